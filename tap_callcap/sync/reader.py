"""Reads windows completely: page by page, with a proof that no call is missing.

Page numbers over live data lose rows: when a call is edited meanwhile, it leaves the window, and
all calls behind it move up by one. So a window is read only where its answers can prove that they
hold all calls (see `Proof`). What is not proven is cut and read again.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from tap_callcap.api.errors import BadRequestError
from tap_callcap.api.responses import Page
from tap_callcap.sync.minutes import (
    CEILING_STEP,
    MinuteReader,
    UnsettledError,
)
from tap_callcap.sync.pages import FAILURES, KeptChangingError, NotReadError
from tap_callcap.sync.proof import Proof, Whole
from tap_callcap.sync.rows import RowReader
from tap_callcap.windows import (
    AIM_PAGES,
    MOST_PARTS,
    UNSETTLED_PAGE_FILL,
    Range,
    Stride,
    Window,
    border_before,
    cut,
    is_settled,
    stride_after,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from concurrent.futures import Future
    from datetime import datetime

    from tap_callcap.records.shaper import Call, Version
    from tap_callcap.sync.pages import Pages
    from tap_callcap.sync.prefetch import Plan, SearchAnswer


class LengthLimit:
    """How long a window may be, by which ones the API has answered.

    A refusal counts at once. A failure may be an outage, or be due to a single minute: a length
    counts as too long when it fails again after shorter ones have worked.

    Args:
        longest: The longest window that the API accepts, as far as is known.
    """

    def __init__(self, longest: timedelta) -> None:
        self.longest = longest
        self._accepted = longest  # the longest that it does not refuse
        self._suspect = timedelta.max  # the shortest that has failed
        self._has_worked = False  # a shorter one since then

    def work(self, length: timedelta) -> None:
        """A window of `length` was answered."""
        self._has_worked = True
        if length >= self._suspect:
            self._suspect = timedelta.max

    def fail(self, length: timedelta, half: timedelta, *, is_refused: bool) -> None:
        """A window of `length` was refused or failed, so that `half` of it is asked for."""
        if is_refused:
            self._accepted = half
        if is_refused or (length >= self._suspect and self._has_worked):
            self.longest = half
        else:
            self._suspect, self._has_worked = min(length, self._suspect), False

    def meet_minute(self, *, is_sound: bool) -> None:
        """A lone minute was read; unless it `is_sound`, longer windows failed because of it."""
        if is_sound:
            self._has_worked = True
        else:
            self.longest, self._suspect = self._accepted, timedelta.max


class Reader:
    """Reads the windows of a range, one after the other.

    Args:
        pages: The pages of windows.
        span: The range.
        decode: Tells the version of a call as the API sends it, and decodes it.
        page_size: How many calls a page holds.
        longest: The longest window that the API accepts, as far as is known.
        accepted_gaps: Minutes that may stay unread.
    """

    def __init__(  # noqa: PLR0913 - what is read, how, and within which limits
        self,
        pages: Pages,
        span: Range,
        *,
        decode: Callable[[Call], tuple[Version, Call]],
        page_size: int,
        longest: timedelta = timedelta.max,
        accepted_gaps: Sequence[Window] = (),
    ) -> None:
        self._pages = pages
        self._span = span
        self._page_size = page_size
        self._limit = LengthLimit(longest)
        self._pending: list[Window] = []  # still to read, the next one last
        self._rows = RowReader(pages, decode, span.zone)
        self._minutes = MinuteReader(
            pages, self._rows, span, page_size=page_size, accepted_gaps=accepted_gaps
        )

    def window_from(self, start: datetime, previous: Window, total: int) -> Window | None:
        """The window from `start`, as long as the density of calls suggests; none at the end.

        Args:
            start: Where it begins.
            previous: A window that shows the density,
            total: by holding so many calls.
        """
        aim = self._page_size * min(AIM_PAGES, self._pages.depth_limit)
        stride = stride_after(previous, total, aim, self._page_size)
        stride = Stride(min(stride.length, self._limit.longest), stride.page_length)
        return self._span.window(start, stride)

    def read(
        self, start: Window | None, first: Page | None = None, asked: Window | None = None
    ) -> Iterator[list[Call] | Whole]:
        """The calls from `start` on, each version once, and a `Whole` after each window.

        It ends early at the first newer minute that needs more than a page.

        Args:
            start: The first window to read, none for nothing.
            first: Its first page, if it is known.
            asked: The window that this page was asked for, if that is longer.

        Raises:
            FatalAPIError: If a window cannot be proven whole, naming it.
        """
        self._pending = [start] if start else []
        if start and first:
            self._ask_ahead(start)
            self._pages.put(start, first)
            self._rows.take(first, asked or start)
        while self._pending:
            window = self._pending.pop()
            try:
                total = yield from self._read(window)
            except UnsettledError:
                return
            if total is not None:
                yield Whole(window)
                self._go_on_after(window, total)

    def _read(self, window: Window) -> Generator[list[Call], None, int | None]:
        """The calls of `window`; returns how many the API counts, none if it was cut instead."""
        zone = self._span.zone
        halves = cut(window, 2, zone)
        if window.length > self._limit.longest and len(halves) > 1:
            self._pending += reversed(halves)
            return None
        self._ask_ahead(window)
        if len(halves) == 1:
            total, is_sound = yield from self._minutes.read(window)
            self._limit.meet_minute(is_sound=is_sound)
            return total
        try:
            page = self._pages.first(window)
        except FAILURES as error:
            is_refused = isinstance(error, BadRequestError)
            self._limit.fail(window.length, halves[0].length, is_refused=is_refused)
            self._pending += reversed(halves)
            return None
        self._limit.work(window.length)
        parts = self._parts(window, page)
        if parts == (window,):
            try:
                return (yield from self._read_pages(window, page))
            except FAILURES:
                parts = halves
        self._pending += reversed(parts)
        return None

    def _go_on_after(self, window: Window, total: int) -> None:
        """Forget the calls of `window`, which is read; if nothing is pending, choose the next."""
        _, end = window.borders
        self._rows.forget_before(end)
        if not self._pending:
            following = self.window_from(window.end, window, total)
            self._pending += [following] if following else []

    def _parts(self, window: Window, first: Page) -> tuple[Window, ...]:
        """What to read instead of `window`: itself, parts of it, nothing where it must wait."""
        zone = self._span.zone
        halves = cut(window, 2, zone)
        if first.total_records and not first.total_records % CEILING_STEP and len(halves) > 1:
            return halves
        if first.is_snapshot:
            return (window,)
        if not is_settled(window, self._span.settled, zone):
            return self._parts_of_unsettled(window, first.total_records)
        if first.last_page > self._pages.depth_limit:
            wanted = math.ceil(2 * first.last_page / self._pages.depth_limit)
            return cut(window, min(wanted, MOST_PARTS), zone)
        return (window,)

    def _parts_of_unsettled(self, window: Window, total: int) -> tuple[Window, ...]:
        """Parts that fit a page each, since calls still come; nothing if there is no room."""
        zone = self._span.zone
        border = border_before(self._span.settled, zone)
        if window.start < border < window.end:
            return Window(window.start, border), Window(border, window.end)
        calls = max(1, int(self._page_size * UNSETTLED_PAGE_FILL))
        parts = cut(window, math.ceil(total / calls), zone)
        return parts if len(parts) > 1 else ()

    def _ask_ahead(self, window: Window) -> None:
        """Have the pages from `window` on asked for ahead of need, unless they are already."""
        if not self._pages.is_asked(window):
            self._pages.follow(self._plan(window), self._page_size)

    def _plan(self, window: Window) -> Plan:
        """Ask for what will be needed from `window` on, as far as the answers tell.

        The first page of a window is asked for before the others of the one before it, so that by
        then it tells how many pages are to come.
        """
        pending = list(self._pending)
        first: Future[SearchAnswer] | None = self._pages.ask(window, 1)
        yield True
        while first is not None:
            while not first.done():
                yield False
            page = None if first.exception() else first.result()
            if not isinstance(page, Page) or self._parts(window, page) != (window,):
                return
            total = page.total_records
            following = pending.pop() if pending else self.window_from(window.end, window, total)
            first = None
            if following is not None and following.length > self._limit.longest:
                return
            if following is not None:
                first = self._pages.ask(following, 1)
                yield True
            for number in range(2, page.last_page + 1):
                self._pages.ask(window, number)
                yield True
            window = following or window

    def _read_pages(self, window: Window, first: Page) -> Generator[list[Call], None, int]:
        """The calls of `window`, if they are proven to be all; returns how many the API counts."""
        proof = Proof()
        count = max(first.last_page, 1)
        page_size = (first.returned if count > 1 else 0) or self._page_size
        for number in range(1, count + 1):
            page = first if number == 1 else self._pages.page_or_none(window, number)
            if page is None:
                break
            rows = yield from self._rows.read(window, page)
            if rows.unreadable:
                raise NotReadError(rows.unreadable)
            proof.add(rows.page, page_size, rows.versions)
        if not proof.is_whole or (
            yield from self._minutes.has_more(window, count + 1, page_size, proof)
        ):
            raise KeptChangingError
        return proof.total
