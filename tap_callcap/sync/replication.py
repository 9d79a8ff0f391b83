"""From bookmark to bookmark: what a run covers, and its checkpoints."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError

from tap_callcap.api.responses import NothingFound
from tap_callcap.instants import format_instant
from tap_callcap.sync.minutes import CEILING_STEP
from tap_callcap.sync.opening import FirstAnswer, ask_first, range_of, warn_if_empty, zone_proof
from tap_callcap.sync.pages import FAILURES, Pages
from tap_callcap.sync.proof import Whole
from tap_callcap.sync.reader import Reader
from tap_callcap.windows import (
    FIRST_LENGTH,
    Range,
    Stride,
    Window,
    cut,
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
    from tap_callcap.sync.prefetch import PageRequest, SearchAnswer
    from tap_callcap.sync.progress import Progress
    from tap_callcap.sync.zone_proof import ZoneProof

BOOKMARK_TOLERANCE = timedelta(hours=1)  # ahead of both clocks; later than that none can be right

logger = logging.getLogger("tap-callcap")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An event of a run: every call modified before `until` has been handed out."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Doubt:
    """An event of a run: it ends at `certain`, since by the clock that counts nothing is later."""

    certain: datetime


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
        proof = None
        if self.bookmark is None:
            proof = zone_proof(self.client, self.settings, first, span)
            proof.run()
        logger.info(
            "Reading calls modified from %s to %s, requested in timezone %s with detail %s",
            format_instant(span.start),
            format_instant(span.upper),
            span.zone.key,
            self.detail or "none",
        )
        self.progress.upper = span.upper
        read_until = yield from self._read(first, span, proof)
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
        elif proof and proof.waits_for_a_later_run:
            logger.warning(
                "All calls are newer than %s, too new to prove that Callcap keeps to timezone %s: "
                "the bookmark stays where it was",
                format_instant(span.settled),
                span.zone.key,
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
        self, first: FirstAnswer, span: Range, proof: ZoneProof | None
    ) -> Generator[list[Record] | Checkpoint, None, datetime]:
        """Read window after window of `span`; returns the end of the last one."""
        client, settings, shaper = self.client, self.settings, self.shaper_in(span.zone)

        def fetch(asked: PageRequest) -> SearchAnswer:
            search = replace(first.search, page_size=asked.page_size, order=asked.order)
            answer = client.calls(search, asked.window, asked.number, tries=asked.tries)
            if proof:
                proof.look_at(answer, asked.window, asked.number, asked.page_size)
            return answer

        pages = Pages(fetch, settings.concurrency, client.accounts)
        reader = Reader(
            pages,
            span,
            decode=shaper.decode,
            page_size=settings.page_size,
            longest=first.longest,
            accepted_gaps=settings.accepted_gaps,
        )
        latest = Window(span.start, span.start)
        for event in reader.read(*self._first_window(reader, pages, span, first), first.window):
            if isinstance(event, Whole):
                latest = event.window
                if first.is_zone_confirmed and (proof is None or proof.run()):
                    yield Checkpoint(latest.end)
            else:
                yield shaper.records(event)
            self.progress.log(latest.end)
        may_move = first.is_zone_confirmed and latest.end > span.start
        if may_move and proof and (proof.run() or not proof.waits_for_a_later_run):
            yield Checkpoint(latest.end)
        return latest.end

    def _first_window(
        self, reader: Reader, pages: Pages, span: Range, first: FirstAnswer
    ) -> tuple[Window | None, Page | None]:
        """The first window to read, and its first page where the first answer can serve as such."""
        answer, whole = first.answer, Window(span.start, span.upper)
        if span.start >= span.upper:
            return None, None
        if first.window.start != span.start:  # by a clock that is later than the earlier one
            return span.window(span.start, Stride(FIRST_LENGTH, FIRST_LENGTH)), None
        window = Window(span.start, min(first.window.end, span.upper))
        if isinstance(answer, NothingFound):
            return span.window(span.start, Stride(window.length, window.length)), None
        total, page_size = answer.total_records, self.settings.page_size
        if window == whole and (not total or total % CEILING_STEP):
            self.progress.counted = total
        may_be_read = window == first.window and is_settled(window, span.settled, span.zone)
        if answer.is_snapshot or (may_be_read and first.page_size == page_size):
            return window, answer
        if window != whole or total > page_size:
            if self.bookmark is not None or first.page_size == page_size:
                return reader.window_from(span.start, first.window, total), None
            window = _beginning(pages, span, total, page_size * pages.depth_limit)
        return window, None


def _beginning(pages: Pages, span: Range, total: int, most: int) -> Window:
    """A window of `span` before which there are no calls, and which holds at most `most` of them.

    It is found by counts, since a window that holds all the years without calls says nothing of
    how close the calls are. What cannot be counted is left to the reader.
    """
    window, parts = Window(span.start, span.upper), 4  # most accounts are young
    pages.follow(iter(()), page_size=1)
    while total > most:
        *_, last = cut(window, parts, span.zone)
        if last == window:
            break
        earlier = Window(window.start, last.start)
        try:
            count = pages.first(earlier).total_records
        except FAILURES:
            return Window(window.start, min(window.start + FIRST_LENGTH, window.end))
        if count:
            window, total, parts = earlier, count, 2
        else:
            window = last
    return window
