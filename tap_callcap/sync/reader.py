"""Reads windows whole: page by page, proves that no call is missing, else cuts the window.

Page numbers over live data lose rows: a call edited meanwhile leaves the window, and all behind it
moves up by one. So nothing is believed that is not proven:

- An answer that holds all that its search found is a snapshot.
- From a settled window calls can only leave. While answers keep reporting the same totals, nothing
  left; when as many different ids were seen in such a stretch as there are calls, none is missing.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from singer_sdk.exceptions import FatalAPIError

from tap_callcap.api.errors import BadRequestError
from tap_callcap.api.responses import NothingFound, Page
from tap_callcap.instants import UTC, UnreadableError
from tap_callcap.sync.prefetch import Ask, Plan, Prefetcher, SearchAnswer
from tap_callcap.sync.proof import Proof, Whole
from tap_callcap.windows import (
    AIM_PAGES,
    MOST_PAGES,
    MOST_PARTS,
    UNSETTLED_PAGE_FILL,
    Stride,
    Window,
    border_before,
    cut,
    is_settled,
    stride_after,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from concurrent.futures import Future
    from zoneinfo import ZoneInfo

    from tap_callcap.records.shaper import Call, Version

Following: TypeAlias = Callable[[Window, int], Window | None]
"""Says which window is read after one that held a total of calls."""

EMPTY_SEARCH_WINDOW = Window(datetime(1990, 6, 1, tzinfo=UTC), datetime(1990, 6, 2, tzinfo=UTC))
MOST_PASSES = 30  # over a lone settled minute before the run fails
AGREEING_PASSES = 10  # in a row of those, after which an API is believed to repeat calls
MOST_PAGES_OF_A_MINUTE = 10_000  # what no account can have; an API that says so is not believed
CEILING_STEP = (
    500  # calls; a total that is a multiple may be a ceiling of the API instead of a count
)
CHUNK = 32  # calls that are decoded at a time
REQUESTS_PER_WINDOW = 200  # ceiling, those asked ahead included, and
REQUESTS_PER_PAGE = 60  # as many more for each page that a window is said to hold

logger = logging.getLogger("tap-callcap")


class Reader:
    """Reads windows, one after the other.

    Args:
        ask: Asks for one page of a window.
        check_alive: Raises unless the API answers a request that must succeed.
        decode: Tells the version of a call as the API sends it, and decodes it.
        zone: Zone that the API answers in.
        settled: Up to where calls can only leave a window.
        page_size: How many calls a page holds.
        concurrency: How many pages may be asked for at once.
    """

    def __init__(  # noqa: PLR0913 - what a run has settled before its first window
        self,
        ask: Ask,
        check_alive: Callable[[], object],
        *,
        decode: Callable[[Call], tuple[Version, Call]],
        zone: ZoneInfo,
        settled: datetime,
        page_size: int,
        concurrency: int,
    ) -> None:
        self._check_alive = check_alive
        self._decode = decode
        self._zone = zone
        self._settled = settled
        self._page_size = page_size
        self._prefetcher = Prefetcher(ask, concurrency)
        self._most_requests = 0
        self._most_pages = MOST_PAGES  # that the API has not refused
        self.longest = timedelta.max  # window that the API has not refused

    def stride_after(self, window: Window, total: int) -> Stride:
        """How long the window after one that held `total` calls should be."""
        aim = self._page_size * min(AIM_PAGES, self._most_pages)
        stride = stride_after(window, total, aim, self._page_size)
        return Stride(min(stride.length, self.longest), stride.page_length)

    def read(
        self, start: Window | None, following: Following, first: Page | None = None
    ) -> Iterator[list[Call] | Whole]:
        """The calls from `start` on, each version once, and a `Whole` after each window.

        It ends early at the first newer minute that needs more than a page.

        Args:
            start: What to read first, none for nothing; what cannot be read whole is cut.
            following: Says which window is read after one that held a total of calls.
            first: The first page of `start`, if it is known.

        Raises:
            FatalAPIError: If a window cannot be proven whole, naming it.
        """
        seen: set[Version] = set()
        pending = [start] if start else []
        while pending:
            window = pending.pop()
            self._allow(REQUESTS_PER_WINDOW)
            if not self._prefetcher.is_asked(window):
                plan = self._plan(window, pending, following)
                self._prefetcher.follow(plan, self._page_size)
            if first is not None:
                self._prefetcher.put(window, first)
                first = None
            try:
                page = self._first_page(window)
            except BadRequestError:
                parts = cut(window, 2, self._zone)
                if len(parts) == 1:
                    raise
                self.longest = parts[0].length
                pending.extend(reversed(parts))
                continue
            parts = self._parts(window, page)
            if parts == (window,):
                if (yield from self._read_window(window, page, seen)):
                    yield Whole(window)
                    if not pending:
                        seen.clear()
                        after = following(window, page.total_records)
                        pending += [after] if after else []
                    continue
                parts = cut(window, 2, self._zone)
            elif not parts:
                return
            pending.extend(reversed(parts))

    def _plan(self, window: Window, pending: list[Window], following: Following) -> Plan:
        """Ask for what will be needed from `window` on, as far as the answers tell.

        The first page of a window is asked for before the others of the one before it, so that by
        then it tells how many pages are to come.
        """
        waiting = list(pending)
        first: Future[SearchAnswer] | None = self._prefetcher.ask(window, 1)
        yield True
        while first is not None:
            while not first.done():
                yield False
            page = None if first.exception() else first.result()
            if not isinstance(page, Page) or self._parts(window, page) != (window,):
                return
            after = waiting.pop() if waiting else following(window, page.total_records)
            first = None
            if after is not None:
                first = self._prefetcher.ask(after, 1)
                yield True
            for number in range(2, page.last_page + 1):
                self._prefetcher.ask(window, number)
                yield True
            window = after or window

    def _parts(self, window: Window, first: Page) -> tuple[Window, ...]:
        """What to read instead of `window`: itself, parts of it, nothing where it must wait."""
        if first.total_records and not first.total_records % CEILING_STEP:
            halves = cut(window, 2, self._zone)
            if len(halves) > 1:
                return halves
        if first.is_snapshot:
            return (window,)
        if not is_settled(window, self._settled, self._zone):
            border = border_before(self._settled, self._zone)
            if window.start < border < window.end:
                return Window(window.start, border), Window(border, window.end)
            wanted = math.ceil(
                first.total_records / max(1, int(self._page_size * UNSETTLED_PAGE_FILL))
            )
            parts = cut(window, wanted, self._zone)
            return parts if len(parts) > 1 else ()
        if first.last_page > self._most_pages:
            wanted = math.ceil(2 * first.last_page / self._most_pages)
            return cut(window, min(wanted, MOST_PARTS), self._zone)
        return (window,)

    def _first_page(self, window: Window) -> Page:
        """Page 1, after an answer without a page only if that can be believed."""
        answer = self._take(window, 1)
        if isinstance(answer, NothingFound):
            answer = self._confirmed(window, answer)
        return answer

    def _confirmed(self, window: Window, nothing: NothingFound) -> Page:
        """An empty page, if the API says by `nothing` that a search found nothing.

        It must say so twice, say the same of a search that must be empty, and be alive.
        """
        again = self._take(window, 1)
        if isinstance(again, Page):
            return again
        control = self._take(EMPTY_SEARCH_WINDOW, 1)
        said = (nothing.code, nothing.status)
        if said != (again.code, again.status) or (
            not isinstance(control, NothingFound) or said != (control.code, control.status)
        ):
            msg = (
                f"Callcap answered {nothing.code} to a search of {_span(window)}, which is not how "
                "it says that there are no calls: check api_url, and run again"
            )
            raise FatalAPIError(msg)
        self._check_alive()
        return Page(1, 1, 0, [], again.clock)

    def _read_window(
        self, window: Window, first: Page, seen: set[Version]
    ) -> Generator[list[Call], None, bool]:
        """The calls of `window`; returns whether they are proven to be all."""
        pages = min(first.last_page, MOST_PAGES_OF_A_MINUTE)
        self._allow(REQUESTS_PER_WINDOW + REQUESTS_PER_PAGE * pages)
        proof = Proof()
        page: Page | None = first
        for number in range(2, first.last_page + 2):
            if page is None:
                break
            versions = yield from self._fresh(window, page, seen)
            proof.add(page, first.returned, versions)
            if number <= first.last_page:
                page = self._page_or_none(window, number)
        return (
            first.is_snapshot
            or proof.is_whole
            or (yield from self._reread_minute(window, first, proof, seen))
        )

    def _reread_minute(
        self,
        window: Window,
        first: Page,
        proof: Proof,
        seen: set[Version],
    ) -> Generator[list[Call], None, bool]:
        """Read a lone minute again and again, last page first, until it is proven.

        Tied calls may be in another order on each page, so that one of them is on none, however
        often the pages are asked for: each pass asks for somewhat smaller ones, down to half.

        A window that can be cut is left alone, unproven.
        """
        if len(cut(window, 2, self._zone)) > 1:
            return False
        largest, last_page = first.returned, first.last_page
        last_rows: list[Version] = []
        agreeing = 0
        for smaller in range(MOST_PASSES if last_page <= MOST_PAGES_OF_A_MINUTE else 0):
            page_size = max(largest - smaller, math.ceil(largest / 2))
            last_page = max(last_page, math.ceil(proof.total / page_size))
            rows: list[Version] = []
            numbers = range(last_page, 0, -1)
            self._prefetcher.follow(self._plan_pages(window, numbers), page_size)
            for number in numbers:
                page = self._page_or_none(window, number)
                if page is None:
                    last_page = self._first_page(window).last_page
                    break
                versions = yield from self._fresh(window, page, seen)
                proof.add(page, page_size, versions)
                if proof.is_whole or page.is_snapshot:
                    return True
                rows += versions
                last_page = page.last_page
            rows.sort()
            agreeing = agreeing + 1 if rows == last_rows else 1
            if agreeing == AGREEING_PASSES and len(rows) == proof.total:
                logger.warning(
                    "Callcap repeats calls: %d passes over %s agree", agreeing, _span(window)
                )
                return True
            last_rows = rows
        msg = (
            f"{_span(window)} could not be read whole: Callcap's pages kept changing. "
            "Nothing after it was read; run again"
        )
        raise FatalAPIError(msg)

    def _plan_pages(self, window: Window, numbers: range) -> Plan:
        """Ask for pages of one window."""
        for number in numbers:
            self._prefetcher.ask(window, number)
            yield True

    def _page_or_none(self, window: Window, number: int) -> Page | None:
        """A page of `window`, None where the API has no such page (any more)."""
        if number == 1:
            return self._first_page(window)
        try:
            answer = self._take(window, number)
        except BadRequestError:
            # A limit on the depth of pages, unless the window has fewer pages by now.
            if self._first_page(window).last_page >= number:
                self._most_pages = min(self._most_pages, number - 1)
            return None
        return answer if isinstance(answer, Page) else None

    def _fresh(
        self, window: Window, page: Page, seen: set[Version]
    ) -> Generator[list[Call], None, list[Version]]:
        """The calls of `window` on `page` that were not seen before; returns the versions of all.

        Few are decoded at a time: what a processor's cache holds is written much faster.
        """
        first, end = window.borders
        decode = self._decode
        versions: list[Version] = []
        calls, page.calls = page.calls, []
        for start in range(0, len(calls), CHUNK):
            fresh = []
            for raw in calls[start : start + CHUNK]:
                try:
                    version, call = decode(raw)
                except UnreadableError as error:
                    msg = f"Callcap's answer for {_span(window)} cannot be read: {error}"
                    raise FatalAPIError(msg) from None
                versions.append(version)
                if first <= version[1] < end and version not in seen:
                    seen.add(version)
                    fresh.append(call)
            yield fresh
        return versions

    def _allow(self, requests: int) -> None:
        """Let so many more requests be made before the run fails."""
        self._most_requests = self._prefetcher.asked + requests

    def _take(self, window: Window, number: int) -> SearchAnswer:
        """A page, asked for now unless it was ahead of need."""
        if self._prefetcher.asked > self._most_requests:
            msg = f"{_span(window)} could not be read whole in a bounded number of requests"
            raise FatalAPIError(msg)
        return self._prefetcher.take(window, number)


def _span(window: Window) -> str:
    """A window for people."""
    return (
        f"the calls modified from {window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC"
    )
