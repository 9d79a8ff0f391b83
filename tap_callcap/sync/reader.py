"""Reads windows completely: page by page, with a proof that no call is missing.

Page numbers over live data lose rows: when a call is edited meanwhile, it leaves the window, and
all calls behind it move up by one. So a window is read only where its answers can prove that they
hold all calls (see `Proof`). What is not proven is cut and read again.
"""

from __future__ import annotations

import logging
import math
from datetime import timedelta
from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError

from tap_callcap.api.errors import BadRequestError
from tap_callcap.api.responses import Page
from tap_callcap.instants import UnreadableError
from tap_callcap.sync.proof import AGREEING_PASSES, Agreement, Proof, Whole
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
    from collections.abc import Callable, Generator, Iterator
    from concurrent.futures import Future
    from datetime import datetime

    from tap_callcap.records.shaper import Call, Version
    from tap_callcap.sync.pages import Pages
    from tap_callcap.sync.prefetch import Plan, SearchAnswer

MOST_PASSES = 30  # over a lone settled minute before the run fails
MOST_PAGES_OF_A_MINUTE = 10_000  # no account can have more; an API that says so is not believed
CEILING_STEP = 500  # calls; a total that is a multiple of it may be a ceiling instead of a count
CHUNK = 32  # calls that are decoded at a time
REQUESTS_PER_WINDOW = 200  # limit, those asked ahead included, and
REQUESTS_PER_PAGE = 60  # as many more for each page that a window is said to hold

logger = logging.getLogger("tap-callcap")


class Reader:
    """Reads the windows of a range, one after the other.

    Args:
        pages: The pages of windows.
        span: The range.
        decode: Tells the version of a call as the API sends it, and decodes it.
        page_size: How many calls a page holds.
        longest: The longest window that the API accepts, as far as is known.
    """

    def __init__(
        self,
        pages: Pages,
        span: Range,
        *,
        decode: Callable[[Call], tuple[Version, Call]],
        page_size: int,
        longest: timedelta = timedelta.max,
    ) -> None:
        self._pages = pages
        self._span = span
        self._decode = decode
        self._page_size = page_size
        self._longest = longest
        self._pending: list[Window] = []  # still to read, the next one last
        self._seen: set[Version] = set()  # in windows that were read and are not proven yet

    def window_from(self, start: datetime, previous: Window, total: int) -> Window | None:
        """The window from `start`, as long as the density of calls suggests; none at the end.

        Args:
            start: Where it begins.
            previous: A window that shows the density,
            total: by holding so many calls.
        """
        aim = self._page_size * min(AIM_PAGES, self._pages.depth_limit)
        stride = stride_after(previous, total, aim, self._page_size)
        stride = Stride(min(stride.length, self._longest), stride.page_length)
        return self._span.window(start, stride)

    def read(self, start: Window | None, first: Page | None = None) -> Iterator[list[Call] | Whole]:
        """The calls from `start` on, each version once, and a `Whole` after each window.

        It ends early at the first newer minute that needs more than a page.

        Args:
            start: The first window to read, none for nothing.
            first: Its first page, if it is known.

        Raises:
            FatalAPIError: If a window cannot be proven whole, naming it.
        """
        self._pending = [start] if start else []
        if start and first:
            self._ask_ahead(start)
            self._pages.put(start, first)
        while self._pending:
            window, page = self._open(self._pending.pop())
            parts = self._parts(window, page)
            if not parts:
                return
            if parts == (window,) and (yield from self._read_window(window, page)):
                yield Whole(window)
                self._go_on_after(window, page.total_records)
            else:
                parts = parts if len(parts) > 1 else cut(window, 2, self._span.zone)
                self._pending += reversed(parts)

    def _open(self, window: Window) -> tuple[Window, Page]:
        """`window`, or as much of its beginning as the API accepts, and its first page."""
        while True:
            self._pages.allow(REQUESTS_PER_WINDOW)
            self._ask_ahead(window)
            try:
                return window, self._pages.first(window)
            except BadRequestError:
                window, *rest = cut(window, 2, self._span.zone)
                if not rest:
                    raise
                self._longest = window.length
                self._pending += rest

    def _go_on_after(self, window: Window, total: int) -> None:
        """Forget the calls of `window`, which is read; if nothing is pending, choose the next."""
        _, end = window.borders
        self._seen = {version for version in self._seen if version[1] >= end}
        if not self._pending:
            following = self.window_from(window.end, window, total)
            self._pending += [following] if following else []

    def _parts(self, window: Window, first: Page) -> tuple[Window, ...]:
        """What to read instead of `window`: itself, parts of it, nothing where it must wait."""
        zone = self._span.zone
        if first.total_records and not first.total_records % CEILING_STEP:
            halves = cut(window, 2, zone)
            if len(halves) > 1:
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
            if following is not None:
                first = self._pages.ask(following, 1)
                yield True
            for number in range(2, page.last_page + 1):
                self._pages.ask(window, number)
                yield True
            window = following or window

    def _read_window(self, window: Window, first: Page) -> Generator[list[Call], None, bool]:
        """The calls of `window`; returns whether they are proven to be all."""
        last_page = max(first.last_page, 1)
        pages = min(last_page, MOST_PAGES_OF_A_MINUTE)
        self._pages.allow(REQUESTS_PER_WINDOW + REQUESTS_PER_PAGE * pages)
        proof = Proof()
        for number in range(1, last_page + 1):
            page = first if number == 1 else self._pages.page_or_none(window, number)
            if page is None:
                break
            versions = yield from self._new_calls(window, page)
            proof.add(page, first.returned, versions)
        return proof.is_whole or (yield from self._reread_minute(window, first, proof))

    def _reread_minute(
        self, window: Window, first: Page, proof: Proof
    ) -> Generator[list[Call], None, bool]:
        """Read a lone minute again and again until it is proven.

        Tied calls may be in another order on each page, so that one of them is on none, however
        often the pages are asked for: each pass asks for somewhat smaller ones, down to half.

        A window that can be cut is left alone, unproven.
        """
        if len(cut(window, 2, self._span.zone)) > 1:
            return False
        last_page = first.last_page
        agreement = Agreement()
        for smaller in range(MOST_PASSES if last_page <= MOST_PAGES_OF_A_MINUTE else 0):
            page_size = max(first.returned - smaller, math.ceil(first.returned / 2))
            last_page = max(last_page, math.ceil(proof.total / page_size))
            versions, last_page = yield from self._read_backwards(
                window, last_page, page_size, proof
            )
            agreement.add(versions, proof.total)
            if proof.is_whole:
                return True
            if agreement.is_reached:
                logger.warning(
                    "Callcap repeats calls, and may hide others: %d passes over %s agree",
                    AGREEING_PASSES,
                    window,
                )
                return True
        msg = (
            f"Could not read all {window}: Callcap's pages kept changing. Later calls were not "
            "read: run again"
        )
        raise FatalAPIError(msg)

    def _read_backwards(
        self, window: Window, last_page: int, page_size: int, proof: Proof
    ) -> Generator[list[Call], None, tuple[list[Version], int]]:
        """One pass over a lone minute, last page first, until it is proven or a page is missing.

        Returns the versions of all calls that it saw, and which page is the last one by now.
        """
        all_versions: list[Version] = []
        numbers = range(last_page, 0, -1)
        self._pages.follow(self._plan_pages(window, numbers), page_size)
        for number in numbers:
            page = self._pages.page_or_none(window, number) or self._pages.first(window)
            versions = yield from self._new_calls(window, page)
            all_versions += versions
            last_page = page.last_page
            proof.add(page, page_size, versions)
            if proof.is_whole or page.number != number:
                break
        return all_versions, last_page

    def _plan_pages(self, window: Window, numbers: range) -> Plan:
        """Ask for pages of one window."""
        for number in numbers:
            self._pages.ask(window, number)
            yield True

    def _new_calls(self, window: Window, page: Page) -> Generator[list[Call], None, list[Version]]:
        """The calls of `window` on `page` that were not seen before; returns the versions of all.

        Few are decoded at a time: what a processor's cache holds is written much faster.
        """
        start, end = window.borders
        calls, page.calls = page.calls, []
        versions: list[Version] = []
        for index in range(0, len(calls), CHUNK):
            new = []
            for raw in calls[index : index + CHUNK]:
                try:
                    version, call = self._decode(raw)
                except UnreadableError as error:
                    msg = f"Callcap's answer for {window} cannot be read: {error}"
                    raise FatalAPIError(msg) from None
                versions.append(version)
                if start <= version[1] < end and version not in self._seen:
                    self._seen.add(version)
                    new.append(call)
            yield new
        return versions
