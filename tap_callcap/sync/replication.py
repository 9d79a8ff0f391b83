"""From bookmark to bookmark: which window is read next, and up to where calls are safe."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError

from tap_callcap.api.errors import BadRequestError, ForeignZoneError
from tap_callcap.api.responses import NothingFound, Page
from tap_callcap.api.search import Search
from tap_callcap.instants import MINUTE, UTC, format_instant
from tap_callcap.sync.proof import Whole
from tap_callcap.sync.reader import Reader
from tap_callcap.windows import (
    ALL_HISTORY,
    FIRST_LENGTH,
    Range,
    Stride,
    Window,
    border_before,
    cut,
    is_settled,
    settled_bound,
    upper_bound,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from zoneinfo import ZoneInfo

    from tap_callcap.api.client import Client
    from tap_callcap.records.shaper import Record, Shaper
    from tap_callcap.settings import Settings

DAY = timedelta(days=1)
FUTURE = timedelta(hours=1)  # further apart two clocks, or a clock and a bookmark, cannot be right
PROGRESS_EVERY = 10.0  # seconds between two lines of progress

logger = logging.getLogger("tap-callcap")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Every call modified before `until` has been handed out."""

    until: datetime


@dataclass(frozen=True, slots=True)
class _FirstAnswer:
    """What the first request of a run settled."""

    search: Search
    window: Window
    answer: Page | NothingFound
    is_zone_sure: bool


class Replication:
    """One run over the calls.

    Args:
        client: Asks the API.
        settings: The run's settings.
        detail: Which sections of a call the API shall send, as its `detail` parameter has it.
        bookmark: Where an earlier run ended, none for the beginning.
        shaper_in: Makes what shapes calls whose times are in a zone.
        target_wait_seconds: Says for how many seconds the target has kept the run waiting.
    """

    def __init__(  # noqa: PLR0913 - what a stream knows and its reader does not
        self,
        client: Client,
        settings: Settings,
        *,
        detail: str,
        bookmark: datetime | None,
        shaper_in: Callable[[ZoneInfo], Shaper],
        target_wait_seconds: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._client = client
        self._settings = settings
        self._detail = detail
        self._bookmark = bookmark
        self._shaper_in = shaper_in
        self._target_wait_seconds = target_wait_seconds
        self._longest = timedelta.max
        self._calls = 0
        self._progress_at = time.monotonic()

    def run(self) -> Iterator[list[Record] | Checkpoint]:
        """The records, page by page, and a checkpoint after each window that was read whole.

        Raises:
            FatalAPIError: If something cannot be read whole, naming it.
        """
        first_answer = self._open()
        yield from self._read(first_answer, self._range(first_answer))

    def check(self) -> str:
        """Prove by two requests or so that a run can work; returns what was found, for people.

        Raises:
            FatalAPIError: If it cannot, with what to do.
        """
        first_answer = self._open()
        clock = first_answer.answer.clock
        ahead = timedelta(seconds=round((clock - datetime.now(UTC)).total_seconds()))
        if abs(ahead) > FUTURE:
            msg = (
                f"Callcap's clock says {format_instant(clock.replace(microsecond=0))}, which is "
                f"{abs(ahead)} from this machine's: correct this one; if it is right, see whether "
                "a proxy on the way to api_url gives old answers"
            )
            raise FatalAPIError(msg)
        page = self._over_all_times(first_answer.search, clock)
        if isinstance(page, NothingFound):
            self._client.accounts()
            found = "no calls yet"
        else:
            found = f"{page.returned:,} of {page.total_records:,} calls on the first page"
            if page.returned < min(page.total_records, first_answer.search.page_size):
                logger.warning("Callcap's pages are smaller: set page_size to %d", page.returned)
        return (
            f"Callcap takes the key and timezone {first_answer.search.zone.key}, "
            f"and shows {found}; "
            f"its clock is {ahead.total_seconds():+.0f} s from this machine's"
        )

    def _start(self, zone: ZoneInfo) -> datetime:
        start = self._settings.start_date or ALL_HISTORY
        if self._bookmark is not None:
            start = max(start, self._bookmark - self._settings.lookback)
        return border_before(start, zone)

    def _open(self) -> _FirstAnswer:
        """Ask the first request alone; it settles key, zone and clock.

        How far it asks rests on this machine's clock, what is made of the answer does not.
        """
        zones = self._settings.zones
        start = self._start(zones[0])
        now = _local_now(start)
        upper = upper_bound(now, self._settings.lag, None, zones[0])
        window = Window(start, max(start + MINUTE, min(start + FIRST_LENGTH, upper)))
        while True:
            refusals: list[FatalAPIError] = []
            for zone in zones:
                try:
                    return self._open_in(zone, window)
                except (BadRequestError, ForeignZoneError) as error:
                    logger.info("Callcap does not take timezone %s", zone.key)
                    refusals.append(error)
            parts = cut(window, 2, zones[0])
            if len(parts) == 1 or any(isinstance(error, ForeignZoneError) for error in refusals):
                msg = f"{refusals[0]}. No timezone was accepted: set timezone to one Callcap knows"
                msg += ", or correct the filters" if self._settings.filters.texts else ""
                raise FatalAPIError(msg)
            window = parts[0]
            self._longest = window.length

    def _open_in(self, zone: ZoneInfo, window: Window) -> _FirstAnswer:
        settings = self._settings
        search = Search(zone, settings.page_size, self._detail, settings.filters)
        answer = self._client.calls(search, window, 1)
        is_zone_sure = isinstance(answer, Page) or isinstance(
            # Answers without a page echo no zone.
            self._over_all_times(replace(search, page_size=1), answer.clock),
            Page,
        )
        return _FirstAnswer(search, window, answer, is_zone_sure)

    def _over_all_times(self, search: Search, now: datetime) -> Page | NothingFound:
        """The first page of a search over all times, or the latest that the API takes."""
        window = Window(ALL_HISTORY, now + DAY)
        while True:
            try:
                return self._client.calls(search, window, 1)
            except BadRequestError:
                window = cut(window, 2, search.zone)[-1]
                if window.length < DAY:
                    raise

    def _read(self, first_answer: _FirstAnswer, span: Range) -> Iterator[list[Record] | Checkpoint]:
        """Read window after window of `span`, from what the first request settled."""
        shaper = self._shaper_in(span.zone)
        reader = Reader(
            lambda window, number, page_size: self._client.calls(
                replace(first_answer.search, page_size=page_size), window, number
            ),
            self._client.accounts,
            decode=shaper.decode,
            zone=span.zone,
            settled=span.settled,
            page_size=self._settings.page_size,
            concurrency=self._settings.concurrency,
        )
        reader.longest = self._longest
        window, first = _first_window(span, first_answer, reader)
        whole = Window(span.start, span.start)
        for event in reader.read(window, partial(_following, span, reader), first):
            if isinstance(event, Whole):
                whole = event.window
                if first_answer.is_zone_sure:
                    yield Checkpoint(whole.end)
            else:
                self._calls += len(event)
                yield shaper.records(event)
            self._report(span, whole)
        if whole.end < span.upper:
            logger.info(
                "More calls were modified from %s on than a page holds, and too lately to be "
                "read page by page: they are left to the next run",
                format_instant(whole.end),
            )
        if not first_answer.is_zone_sure:
            which = " that match the filters" if self._settings.filters.texts else ""
            logger.warning(
                "Callcap has no calls for this key%s: the bookmark stays where it was", which
            )

    def _range(self, first_answer: _FirstAnswer) -> Range:
        """What the run covers."""
        settings, zone, now = self._settings, first_answer.search.zone, first_answer.answer.clock
        # Within the lookback, what is modified until then is read by a later run all the same.
        if self._bookmark is not None and self._bookmark > now + min(FUTURE, settings.lookback):
            msg = (
                f"The bookmark {format_instant(self._bookmark)} is later than Callcap's clock, "
                f"{format_instant(now.replace(microsecond=0))}: correct the state or reset it"
            )
            raise FatalAPIError(msg)
        span = Range(
            self._start(zone),
            upper_bound(now, settings.lag, settings.end_date, zone),
            settled_bound(now, settings.lag, settings.lookback),
            zone,
        )
        logger.info(
            "Coerce calls modified from %s to %s, asked in %s, detail %s",
            format_instant(span.start),
            format_instant(span.upper),
            span.zone.key,
            self._detail or "none",
        )
        return span

    def _report(self, span: Range, whole: Window) -> None:
        """Say how far the run is, `whole` being its last window, now and then."""
        if time.monotonic() - self._progress_at >= PROGRESS_EVERY:
            self._progress_at = time.monotonic()
            logger.info(
                "Read up to %s by a window of %s, %.0f %% of the range: %s",
                format_instant(whole.end),
                whole.length,
                100 * ((whole.end - span.start) / (span.upper - span.start)),
                self.summary,
            )

    @property
    def summary(self) -> str:
        """What the run has done so far, for people."""
        return (
            f"{self._calls:,} calls, {self._client.requests:,} requests, "
            f"{self._client.retries:,} retries, "
            f"{self._target_wait_seconds():.0f} s waited for the target"
        )


def _local_now(start: datetime) -> datetime:
    """This machine's clock, or a guess where it is surely wrong: calls were read up to `start`."""
    now = datetime.now(UTC)
    return now if now > start else start + DAY


def _following(span: Range, reader: Reader, window: Window, total: int) -> Window | None:
    """The window after one that held `total` calls."""
    return span.window(window.end, reader.stride_after(window, total))


def _first_window(
    span: Range, first_answer: _FirstAnswer, reader: Reader
) -> tuple[Window | None, Page | None]:
    """The first window to read; the first_answer's answer serves as its first page where it can."""
    if span.start >= span.upper:
        return None, None
    window, answer = (
        Window(span.start, min(first_answer.window.end, span.upper)),
        first_answer.answer,
    )
    if isinstance(answer, NothingFound):
        return span.window(span.start, Stride(window.length, window.length)), None
    if answer.is_snapshot or (
        window == first_answer.window and is_settled(window, span.settled, span.zone)
    ):
        return window, answer
    stride = reader.stride_after(first_answer.window, answer.total_records)
    return span.window(span.start, stride), None
