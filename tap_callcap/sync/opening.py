"""The first request of a run: it settles key, zone and clock."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from tap_callcap.api.errors import BadRequestError, ForeignZoneError, GaveUpError
from tap_callcap.api.responses import NothingFound, Page
from tap_callcap.api.search import Search
from tap_callcap.instants import MINUTE, UTC, duration_in_words, format_instant
from tap_callcap.sync.zone_proof import ZoneProof
from tap_callcap.windows import (
    ALL_HISTORY,
    FIRST_LENGTH,
    Range,
    Window,
    cut,
    lookback_at,
    lower_bound,
    settled_bound,
    upper_bound,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from tap_callcap.api.client import Client
    from tap_callcap.settings import Settings
    from tap_callcap.sync.prefetch import SearchAnswer

T = TypeVar("T")

DAY = timedelta(days=1)
WIDE_TRIES = 2  # of a wide search, which may fail where a narrow one works

logger = logging.getLogger("tap-callcap")


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """What the first request of a run settled.

    `window` was asked for, with pages of `page_size` calls; `longest` is the longest window that
    the API accepts, as far as is known; without `is_zone_confirmed` no answer has said in which
    zone it is, because the API shows no call at all. `clock` is now, by the earlier clock, and
    `clock_skew` by how much Callcap's is ahead of this machine's.
    """

    search: Search
    window: Window
    page_size: int
    answer: SearchAnswer
    is_zone_confirmed: bool
    clock: datetime
    clock_skew: timedelta
    longest: timedelta = timedelta.max


def in_first_accepted_zone(settings: Settings, ask: Callable[[ZoneInfo], T]) -> tuple[ZoneInfo, T]:
    """The first zone of the settings that Callcap accepts, and what `ask` returns for it.

    Raises:
        ForeignZoneError: If it accepts none, and answered in another zone than asked for.
        BadRequestError: If it refuses each request, for the zone or for something else.
    """
    refusals: list[BadRequestError | ForeignZoneError] = []
    for zone in settings.zones:
        try:
            return zone, ask(zone)
        except (BadRequestError, ForeignZoneError) as error:
            logger.info("Callcap does not accept timezone %s", zone.key)
            refusals.append(error)
    foreign = [error for error in refusals if isinstance(error, ForeignZoneError)]
    refusal = (foreign or refusals)[0]
    msg = f"{refusal}. No timezone was accepted: set timezone to one Callcap knows"
    msg += ", or correct the filters" if settings.filters.texts else ""
    raise type(refusal)(msg)


def range_of(settings: Settings, bookmark: datetime | None, now: datetime, zone: ZoneInfo) -> Range:
    """What a run covers that begins at `now`.

    After a bookmark later than `now`, by a clock that was wrong, it begins where it is sure.
    """
    since = None if bookmark is None else min(bookmark, now)
    lookback = lookback_at(since or now, settings.lookback)
    return Range(
        lower_bound(since, lookback, settings.start_date, zone),
        upper_bound(now, settings.lag, settings.end_date, zone),
        settled_bound(now, settings.lag, lookback_at(now, settings.lookback)),
        zone,
    )


def ask_first(
    client: Client, settings: Settings, detail: str, bookmark: datetime | None
) -> FirstAnswer:
    """Ask the first request alone, for a window that begins where the run does.

    How long the window is rests on this machine's clock; what is made of the answer does not.

    Raises:
        FatalAPIError: If the request fails, or no zone is accepted.
    """
    span = range_of(settings, bookmark, client.now(), settings.zones[0])
    first = _ask_for_window(client, settings, detail, span)
    if largest_skew(settings) < abs(first.clock_skew):
        first = _with_another_clock(client, first)
    _warn_of_clock(first, settings)
    return first


def _ask_for_window(client: Client, settings: Settings, detail: str, span: Range) -> FirstAnswer:
    """Ask for all of a short `span`, count the calls of a long one, or ask for its beginning."""
    window = Window(span.start, span.upper)
    ask = partial(_ask_in, client, settings, detail)
    if window.length > FIRST_LENGTH:
        try:
            wide = partial(ask, window, page_size=1, tries=WIDE_TRIES)
            return in_first_accepted_zone(settings, wide)[1]
        except (BadRequestError, GaveUpError):  # narrow searches may work all the same
            window = Window(span.start, span.start + FIRST_LENGTH)
    elif window.start >= window.end:  # nothing is to be read, but key, zone and clock must be known
        window = Window(span.upper - MINUTE, span.upper)
    longest, last = timedelta.max, Window(span.upper - MINUTE, span.upper)
    while True:
        tries = None if window == last else WIDE_TRIES
        narrow = partial(ask, window, page_size=settings.page_size, tries=tries)
        try:
            return replace(in_first_accepted_zone(settings, narrow)[1], longest=longest)
        except (BadRequestError, GaveUpError) as error:
            half, *rest = cut(window, 2, span.zone)
            if rest:  # the window may be what is refused, or too wide
                longest = half.length if isinstance(error, BadRequestError) else longest
                window = half
            elif window == last:
                raise
            else:  # its minute may be what fails
                window = last


def _ask_in(  # noqa: PLR0913 - a request
    client: Client,
    settings: Settings,
    detail: str,
    window: Window,
    zone: ZoneInfo,
    *,
    page_size: int,
    tries: int | None = None,
) -> FirstAnswer:
    """Ask for the first page of `window` in `zone`."""
    search = Search(zone, settings.page_size, detail, settings.filters)
    answer = client.calls(replace(search, page_size=page_size), window, 1, tries=tries)
    is_zone_confirmed = isinstance(answer, Page) or isinstance(
        # Answers without a page do not say their zone.
        latest_page(client, replace(search, page_size=1), Window(ALL_HISTORY, answer.clock + DAY)),
        Page,
    )
    skew = answer.clock_skew or timedelta(0)
    return FirstAnswer(search, window, page_size, answer, is_zone_confirmed, answer.clock, skew)


def zone_proof(client: Client, settings: Settings, first: FirstAnswer, span: Range) -> ZoneProof:
    """The proof that Callcap keeps to the zone that was accepted; it has seen the first answer."""
    proof = ZoneProof(client, first.search, span.settled, is_zone_set=settings.zone != UTC)
    proof.look_at(first.answer, first.window, 1, first.page_size)
    return proof


def largest_skew(settings: Settings) -> timedelta:
    """By how much the two clocks may differ without a word."""
    return max(settings.lookback, MINUTE)


def _with_another_clock(client: Client, first: FirstAnswer) -> FirstAnswer:
    """`first` with the clock of another answer, if that differs less from this machine's."""
    search = replace(first.search, page_size=first.page_size)
    try:
        other = client.calls(search, first.window, 1, tries=WIDE_TRIES)
    except (BadRequestError, GaveUpError):
        return first
    skew = other.clock_skew or timedelta(0)
    if abs(skew) >= abs(first.clock_skew):
        return first
    return replace(first, clock=other.clock, clock_skew=skew)


def skew_in_words(skew: timedelta) -> str:
    """How Callcap's clock compares to this machine's."""
    if abs(skew) < timedelta(seconds=1):
        return "the same as"
    rounded = timedelta(seconds=round(abs(skew).total_seconds()))
    return f"{duration_in_words(rounded)} {'ahead of' if skew > timedelta(0) else 'behind'}"


def _warn_of_clock(first: FirstAnswer, settings: Settings) -> None:
    if abs(first.clock_skew) > largest_skew(settings):
        logger.warning(
            "Callcap's clock is %s this machine's. The tap uses the earlier one, so that calls may "
            "be late, but none is lost. Correct this machine's clock; if it is right, check "
            "whether a proxy before api_url returns cached answers",
            skew_in_words(first.clock_skew),
        )


def warn_if_empty(
    settings: Settings, bookmark: datetime | None, now: datetime, span: Range
) -> None:
    """Say why there is nothing to read in `span`, if a setting is the reason."""
    if span.start < span.upper:
        return
    start, end = settings.start_date, settings.end_date
    if start is not None and start > now:
        logger.warning(
            "start_date %s lies in the future: no call is read before that", format_instant(start)
        )
    elif end is not None and bookmark is not None and end < bookmark:
        logger.warning(
            "end_date %s is earlier than the bookmark %s: there is nothing to read",
            format_instant(end),
            format_instant(bookmark),
        )


def latest_page(client: Client, search: Search, window: Window) -> SearchAnswer:
    """The first page of a search for `window`, or for as much of its end as can be searched."""
    while True:
        try:
            return client.calls(search, window, 1, tries=WIDE_TRIES)
        except (BadRequestError, GaveUpError):
            _, *later = cut(window, 2, search.zone)
            if not later or window.length < DAY:
                raise
            window = later[-1]


def check(client: Client, settings: Settings, detail: str) -> str:
    """Prove by a few requests that a run can work; returns what was found, as a sentence.

    Raises:
        FatalAPIError: If it cannot, with what to do.
    """
    first = ask_first(client, settings, detail, bookmark=None)
    search = first.search
    span = range_of(settings, None, first.clock, search.zone)
    warn_if_empty(settings, None, first.clock, span)
    proof = zone_proof(client, settings, first, span)
    whole = Window(span.start, span.upper) if span.start < span.upper else first.window
    page = latest_page(client, search, whole)
    proof.look_at(page, whole, 1, search.page_size)
    proof.run()
    if isinstance(page, NothingFound):
        client.accounts()
        found = "no calls yet"
    else:
        found = f"{page.returned:,} of {page.total_records:,} calls on the first page"
        if page.returned < min(page.total_records, search.page_size):
            logger.warning("Callcap's pages are smaller: set page_size to %d", page.returned)
    return (
        f"Callcap accepts the key and timezone {search.zone.key}, and shows {found}; "
        f"its clock is {skew_in_words(first.clock_skew)} this machine's"
    )
