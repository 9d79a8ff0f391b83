"""From bookmark to bookmark: what a run covers, its checkpoints, and its progress in the log."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError

from tap_callcap.api.responses import NothingFound
from tap_callcap.instants import duration_in_words, format_instant
from tap_callcap.sync.opening import FirstAnswer, ask_first, range_of, warn_if_empty
from tap_callcap.sync.pages import Pages
from tap_callcap.sync.proof import Whole
from tap_callcap.sync.reader import Reader
from tap_callcap.windows import (
    FIRST_LENGTH,
    Range,
    Stride,
    Window,
    is_settled,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from tap_callcap.api.client import Client
    from tap_callcap.api.responses import Page
    from tap_callcap.records.shaper import Record, Shaper
    from tap_callcap.settings import Settings
    from tap_callcap.sync.prefetch import SearchAnswer

BOOKMARK_TOLERANCE = timedelta(hours=1)  # ahead of both clocks; later than that none can be right
PROGRESS_EVERY = 10.0  # seconds between two lines of progress

logger = logging.getLogger("tap-callcap")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An event of a run: every call modified before `until` has been handed out."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Doubt:
    """An event of a run: it ends at `certain`, since by the clock that counts nothing is later."""

    certain: datetime


class Progress:
    """What a run has done so far.

    Args:
        client: Counts its requests.
        target_wait_seconds: Says for how many seconds the target has kept the run waiting.
    """

    def __init__(self, client: Client, target_wait_seconds: Callable[[], float]) -> None:
        self._client = client
        self._target_wait_seconds = target_wait_seconds
        self._logged_at = time.monotonic()
        self.calls = 0

    def __str__(self) -> str:
        """The figures, as part of a log line."""
        return (
            f"{self.calls:,} calls, {self._client.requests:,} requests, "
            f"{self._client.retries:,} retries, "
            f"{self._target_wait_seconds():.0f} s waited for the target"
        )

    def log(self, span: Range, latest: Window) -> None:
        """Say now and then how much of `span` is read, `latest` being its last window."""
        if time.monotonic() - self._logged_at >= PROGRESS_EVERY:
            self._logged_at = time.monotonic()
            logger.info(
                "Read calls up to %s, %.0f %% of the range, the last window being %s; %s",
                format_instant(latest.end),
                100 * ((latest.end - span.start) / (span.upper - span.start)),
                duration_in_words(latest.length),
                self,
            )


@dataclass(frozen=True, slots=True)
class Replication:
    """One run over the calls.

    `detail` is the API's parameter; `bookmark` is where an earlier run ended, none for the
    beginning; `shaper_in` makes what shapes calls whose times are in a zone.
    """

    client: Client
    settings: Settings
    detail: str
    bookmark: datetime | None
    shaper_in: Callable[[ZoneInfo], Shaper]
    progress: Progress

    def run(self) -> Iterator[list[Record] | Checkpoint | Doubt]:
        """The records, page by page, and a checkpoint after each window that was read whole.

        Raises:
            FatalAPIError: If a window cannot be read whole, naming it.
        """
        first = ask_first(self.client, self.settings, self.detail, self.bookmark)
        span = self._range(first)
        logger.info(
            "Reading calls modified from %s to %s, asked for in timezone %s with detail %s",
            format_instant(span.start),
            format_instant(span.upper),
            span.zone.key,
            self.detail or "none",
        )
        read_until = yield from self._read(first, span)
        if read_until < span.upper:
            logger.info(
                "Stopped at %s: in the next minute more calls were modified than a page holds, "
                "too recently to be read page by page. The next run reads them",
                format_instant(read_until),
            )
        end = self.settings.end_date
        if self.bookmark is not None and (end is None or end > span.upper):
            yield Doubt(min(read_until, span.upper))
        if not first.is_zone_confirmed:
            which = " that match the filters" if self.settings.filters.texts else ""
            logger.warning(
                "Callcap has no calls for this key%s: the bookmark stays where it was", which
            )

    def _range(self, first: FirstAnswer) -> Range:
        """What the run covers.

        Raises:
            FatalAPIError: If the bookmark is later than both clocks.
        """
        latest = first.clock + abs(first.clock_skew)
        if self.bookmark is not None and self.bookmark > latest + BOOKMARK_TOLERANCE:
            msg = (
                f"The bookmark {format_instant(self.bookmark)} is later than Callcap's clock and "
                f"this machine's, {format_instant(latest.replace(microsecond=0))}: correct the "
                "state or reset it"
            )
            raise FatalAPIError(msg)
        span = range_of(self.settings, self.bookmark, first.clock, first.search.zone)
        warn_if_empty(self.settings, self.bookmark, first.clock, span)
        return span

    def _read(
        self, first: FirstAnswer, span: Range
    ) -> Generator[list[Record] | Checkpoint, None, datetime]:
        """Read window after window of `span`; returns the end of the last one."""
        client, settings, shaper = self.client, self.settings, self.shaper_in(span.zone)

        def fetch(window: Window, number: int, page_size: int) -> SearchAnswer:
            return client.calls(replace(first.search, page_size=page_size), window, number)

        reader = Reader(
            Pages(fetch, settings.concurrency, client.accounts),
            span,
            decode=shaper.decode,
            page_size=settings.page_size,
            longest=first.longest,
        )
        latest = Window(span.start, span.start)
        for event in reader.read(*_first_window(reader, span, first)):
            if isinstance(event, Whole):
                latest = event.window
                if first.is_zone_confirmed:
                    yield Checkpoint(latest.end)
            else:
                yield shaper.records(event)
            self.progress.log(span, latest)
        return latest.end


def _first_window(
    reader: Reader, span: Range, first: FirstAnswer
) -> tuple[Window | None, Page | None]:
    """The first window to read, and its first page where the first answer can serve as such."""
    answer = first.answer
    if span.start >= span.upper:
        return None, None
    if first.window.start != span.start:  # by a clock that is later than the earlier one
        return span.window(span.start, Stride(FIRST_LENGTH, FIRST_LENGTH)), None
    window = Window(span.start, min(first.window.end, span.upper))
    if isinstance(answer, NothingFound):
        return span.window(span.start, Stride(window.length, window.length)), None
    if answer.is_snapshot or (
        window == first.window and is_settled(window, span.settled, span.zone)
    ):
        return window, answer
    return reader.window_from(span.start, first.window, answer.total_records), None
