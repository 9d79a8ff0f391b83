"""The first request of a run: it settles key, zone and clock."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from singer_sdk.exceptions import FatalAPIError

from tap_callcap.api.errors import BadRequestError, ForeignZoneError
from tap_callcap.api.responses import NothingFound, Page
from tap_callcap.api.search import Search
from tap_callcap.instants import MINUTE, UTC, duration_in_words, format_instant
from tap_callcap.windows import (
    ALL_HISTORY,
    FIRST_LENGTH,
    Window,
    cut,
    lower_bound,
    upper_bound,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from tap_callcap.api.client import Client
    from tap_callcap.settings import Settings
    from tap_callcap.sync.prefetch import SearchAnswer

T = TypeVar("T")

DAY = timedelta(days=1)
LARGEST_CLOCK_DIFFERENCE = timedelta(hours=1)  # two clocks further apart cannot both be right

logger = logging.getLogger("tap-callcap")


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """What the first request of a run settled.

    `window` was asked for; `longest` is the longest window that the API accepts, as far as is
    known; without `is_zone_confirmed` no answer has said in which zone it is, because the API
    shows no call at all.
    """

    search: Search
    window: Window
    answer: SearchAnswer
    is_zone_confirmed: bool
    longest: timedelta = timedelta.max

    @property
    def clock(self) -> datetime:
        """The instant that counts as now."""
        return self.answer.clock


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


def ask_first(
    client: Client, settings: Settings, detail: str, bookmark: datetime | None
) -> FirstAnswer:
    """Ask the first request alone, for a window that begins where the run does.

    How long the window is rests on this machine's clock; what is made of the answer does not.

    Raises:
        FatalAPIError: If the request fails, or no zone is accepted.
    """
    zone = settings.zones[0]
    start = lower_bound(bookmark, settings.lookback, settings.start_date, zone)
    now = datetime.now(UTC)
    if now <= start:  # this clock is wrong: calls were read up to there
        now = start + DAY
    upper = upper_bound(now, settings.lag, None, zone)
    window = Window(start, max(start + MINUTE, min(start + FIRST_LENGTH, upper)))
    longest = timedelta.max
    while True:
        ask = partial(_ask_in, client, settings, detail, window)
        try:
            _, first = in_first_accepted_zone(settings, ask)
            return replace(first, longest=longest)
        except BadRequestError:  # the window may be what is refused
            window, *rest = cut(window, 2, zone)
            if not rest:
                raise
            longest = window.length


def _ask_in(
    client: Client, settings: Settings, detail: str, window: Window, zone: ZoneInfo
) -> FirstAnswer:
    """Ask for the first page of `window` in `zone`."""
    search = Search(zone, settings.page_size, detail, settings.filters)
    answer = client.calls(search, window, 1)
    is_zone_confirmed = isinstance(answer, Page) or isinstance(
        # Answers without a page do not say their zone.
        search_all_times(client, replace(search, page_size=1), answer.clock),
        Page,
    )
    return FirstAnswer(search, window, answer, is_zone_confirmed)


def search_all_times(client: Client, search: Search, now: datetime) -> SearchAnswer:
    """The first page of a search over all times, or over the latest that the API accepts."""
    window = Window(ALL_HISTORY, now + DAY)
    while True:
        try:
            return client.calls(search, window, 1)
        except BadRequestError:
            window = cut(window, 2, search.zone)[-1]
            if window.length < DAY:
                raise


def check(client: Client, settings: Settings, detail: str) -> str:
    """Prove by two requests or so that a run can work; returns what was found, as a sentence.

    Raises:
        FatalAPIError: If it cannot, with what to do.
    """
    first = ask_first(client, settings, detail, bookmark=None)
    skew = first.answer.clock_skew or timedelta(0)
    ahead = timedelta(seconds=round(skew.total_seconds()))
    difference = "the same as"
    if ahead:
        direction = "ahead of" if ahead > timedelta(0) else "behind"
        difference = f"{duration_in_words(abs(ahead))} {direction}"
    if abs(ahead) > LARGEST_CLOCK_DIFFERENCE:
        server = (datetime.now(UTC) + ahead).replace(microsecond=0)
        msg = (
            f"Callcap's clock says {format_instant(server)}, "
            f"{difference} this machine's: correct this machine's clock; if it is right, check "
            "whether a proxy on the way to api_url sends old answers"
        )
        raise FatalAPIError(msg)
    page = search_all_times(client, first.search, first.clock)
    if isinstance(page, NothingFound):
        client.accounts()
        found = "no calls yet"
    else:
        found = f"{page.returned:,} of {page.total_records:,} calls on the first page"
        if page.returned < min(page.total_records, first.search.page_size):
            logger.warning("Callcap's pages are smaller: set page_size to %d", page.returned)
    return (
        f"Callcap accepts the key and timezone {first.search.zone.key}, and shows {found}; "
        f"its clock is {difference} this machine's"
    )
