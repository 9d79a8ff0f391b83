"""Reads one window whole: pages side by side, proves that none is missing, else cuts the window.

Page numbers over live data lose rows: a call edited meanwhile leaves the window, and all behind it
moves up by one. So nothing is believed that is not proven:

- An answer that holds all that its search found is a snapshot.
- From a settled window calls can only leave. While answers keep reporting the same totals, nothing
  left; when as many different ids were seen in such a stretch as there are calls, none is missing.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeAlias

from singer_sdk.exceptions import FatalAPIError

from tap_callcap.client import BadRequestError
from tap_callcap.envelope import NothingFound, Page
from tap_callcap.records import version_of
from tap_callcap.values import UnreadableError
from tap_callcap.windows import (
    AIM_PAGES,
    MOST_PAGES,
    NEW_FILL,
    UTC,
    Stride,
    Window,
    border_before,
    cut,
    is_settled,
    stride_after,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from zoneinfo import ZoneInfo

    from tap_callcap.records import Call

Answer: TypeAlias = Page | NothingFound
Ask: TypeAlias = "Callable[[Window, int], Answer]"

SURELY_EMPTY = Window(datetime(1990, 6, 1, tzinfo=UTC), datetime(1990, 6, 2, tzinfo=UTC))
MOST_PASSES = 30  # over a lone settled minute before the run fails
MOST_PAGES_OF_A_MINUTE = 10_000  # what no account can have; an API that says so is not believed
REQUESTS_WITHOUT_GAIN = 200  # ceiling between two parts read whole, and
REQUESTS_PER_PAGE = 20  # as many more for each page that a part is said to hold

logger = logging.getLogger("tap-callcap")


@dataclass(frozen=True, slots=True)
class Whole:
    """Said after the last call of `window`, once it is proven whole; `total` calls were found."""

    window: Window
    total: int


class Proof:
    """Whether the answers seen hold all that a settled window holds."""

    def __init__(self) -> None:
        self._totals = (-1, -1)
        self._ids: set[str] = set()

    def add(self, page: Page, ids: set[str]) -> None:
        """Take one more answer: where its totals differ from the last one's, begin anew."""
        totals = (page.total_records, page.last_page)
        if totals != self._totals:
            self._totals = totals
            self._ids = set()
        self._ids |= ids

    @property
    def total(self) -> int:
        """How many calls there are by the last answer."""
        return self._totals[0]

    @property
    def is_whole(self) -> bool:
        """Whether, while the set stood still, all of it was seen."""
        return len(self._ids) == self.total


class Reader:
    """Reads windows, one after the other.

    Args:
        ask: Asks for one page of a window.
        check_alive: Raises unless the API answers a request that must succeed.
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
        zone: ZoneInfo,
        settled: datetime,
        page_size: int,
        concurrency: int,
    ) -> None:
        self._ask = ask
        self._check_alive = check_alive
        self._zone = zone
        self._settled = settled
        self._page_size = page_size
        self._workers = _Workers(concurrency)
        self._concurrency = concurrency
        self._ahead: dict[tuple[Window, int], Future[Answer]] = {}
        self._requests_left = 0
        self._most_pages = MOST_PAGES  # that the API has not refused
        self.longest = timedelta.max  # window that the API has not refused

    def put(self, window: Window, first: Page) -> None:
        """Take `first` as the answer for the first page of `window`."""
        known: Future[Answer] = Future()
        known.set_result(first)
        self._ahead[window, 1] = known

    def stride_after(self, window: Window, total: int) -> Stride:
        """How long the window after one that held `total` calls should be."""
        aim = self._page_size * min(AIM_PAGES, self._most_pages)
        stride = stride_after(window, total, aim, self._page_size)
        return Stride(min(stride.length, self.longest), stride.page_length)

    def read(
        self, window: Window, following: Callable[[int], Window | None]
    ) -> Iterator[list[Call] | Whole]:
        """The calls of `window`, each version once, and a `Whole` after each part of it.

        It ends early at the first newer minute that needs more than a page.

        Args:
            window: What to read.
            following: Says which window is read next when this one holds a total of calls.

        Raises:
            FatalAPIError: If a part cannot be proven whole, naming it.
        """
        seen: set[tuple[str, datetime]] = set()
        pending = [window]
        self._requests_left = REQUESTS_WITHOUT_GAIN
        while pending:
            part = pending.pop()
            try:
                first = self._first_page(part)
            except BadRequestError:
                parts = cut(part, 2, self._zone)
                if len(parts) == 1:
                    raise
                self.longest = parts[0].length
                pending.extend(reversed(parts))
                continue
            self._requests_left += REQUESTS_PER_PAGE * min(first.last_page, MOST_PAGES_OF_A_MINUTE)
            parts = self._parts(part, first)
            if not parts:
                return
            if len(parts) == 1:
                after = pending[-1] if pending else following(first.total_records)
                is_whole = yield from self._read_part(part, first, after, seen)
                self._forget(part)
                if is_whole:
                    self._requests_left = REQUESTS_WITHOUT_GAIN
                    yield Whole(part, first.total_records)
                    continue
                parts = cut(part, 2, self._zone)
            pending.extend(reversed(parts))

    def _parts(self, window: Window, first: Page) -> tuple[Window, ...]:
        """What to read instead of `window`: itself, parts of it, nothing where it must wait."""
        if first.is_snapshot:
            return (window,)
        if not is_settled(window, self._settled, self._zone):
            border = border_before(self._settled, self._zone)
            if window.start < border < window.end:
                return Window(window.start, border), Window(border, window.end)
            wanted = math.ceil(first.total_records / max(1, int(self._page_size * NEW_FILL)))
            parts = cut(window, wanted, self._zone)
            return parts if len(parts) > 1 else ()
        if first.last_page > self._most_pages:
            return cut(window, math.ceil(2 * first.last_page / self._most_pages), self._zone)
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
        control = self._take(SURELY_EMPTY, 1)
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

    def _read_part(
        self,
        window: Window,
        first: Page,
        after: Window | None,
        seen: set[tuple[str, datetime]],
    ) -> Generator[list[Call], None, bool]:
        """The calls of `window`; returns whether they are proven to be all."""
        if first.is_snapshot:
            if after is not None:
                self._ask_ahead(after, 1)
            yield self._fresh(window, first, seen)[0]
            return True
        proof = Proof()
        for page in self._pages(window, range(2, first.last_page + 1), known=first, after=after):
            if page is None:
                break
            calls, ids = self._fresh(window, page, seen)
            proof.add(page, ids)
            yield calls
        return proof.is_whole or (yield from self._insist(window, first.last_page, proof, seen))

    def _insist(
        self,
        window: Window,
        last_page: int,
        proof: Proof,
        seen: set[tuple[str, datetime]],
    ) -> Generator[list[Call], None, bool]:
        """Read a lone minute again and again, last page first, until it is proven.

        A window that can be cut is left alone, unproven.
        """
        if len(cut(window, 2, self._zone)) > 1:
            return False
        last_rows: list[tuple[str, datetime]] = []
        for _ in range(MOST_PASSES if last_page <= MOST_PAGES_OF_A_MINUTE else 0):
            rows: list[tuple[str, datetime]] = []
            for page in self._pages(window, range(last_page, 0, -1)):
                if page is None:
                    last_page = self._first_page(window).last_page
                    break
                calls, ids = self._fresh(window, page, seen)
                yield calls
                proof.add(page, ids)
                if proof.is_whole or page.is_snapshot:
                    return True
                rows += [version_of(call, self._zone) for call in page.calls]
                last_page = page.last_page
            self._forget(window)
            rows.sort()
            if rows == last_rows and len(rows) == proof.total:
                logger.warning("Callcap repeats calls: two passes over %s agree", _span(window))
                return True
            last_rows = rows
        msg = (
            f"{_span(window)} could not be read whole: Callcap's pages kept changing. "
            "Nothing after it was read; run again"
        )
        raise FatalAPIError(msg)

    def _pages(
        self,
        window: Window,
        numbers: range,
        *,
        known: Page | None = None,
        after: Window | None = None,
    ) -> Iterator[Page | None]:
        """The pages of `window` by their numbers, asked for side by side, None where one is not.

        What is `known` comes first; last is asked for the first page of the window `after`.
        """
        wanted = deque((window, number) for number in numbers)
        if after is not None:
            wanted.append((after, 1))
        for _ in range(min(self._concurrency, len(wanted))):
            self._ask_ahead(*wanted.popleft())
        if known is not None:
            yield known
        for number in numbers:
            page = self._page_or_none(window, number)
            if wanted:
                self._ask_ahead(*wanted.popleft())
            yield page

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
        self, window: Window, page: Page, seen: set[tuple[str, datetime]]
    ) -> tuple[list[Call], set[str]]:
        """The calls of `window` on `page` that were not seen before, and the ids of all of it."""
        calls, ids = [], set()
        for call in page.calls:
            try:
                version = version_of(call, self._zone)
            except UnreadableError as error:
                msg = f"Callcap's answer for {_span(window)} cannot be read: {error}"
                raise FatalAPIError(msg) from None
            ids.add(version[0])
            if version[1] in window and version not in seen:
                seen.add(version)
                calls.append(call)
        return calls, ids

    def _ask_ahead(self, window: Window, number: int) -> None:
        """Have a page fetched meanwhile."""
        if (window, number) not in self._ahead:
            self._requests_left -= 1
            self._ahead[window, number] = self._workers.submit(self._ask, window, number)

    def _forget(self, window: Window) -> None:
        """Drop what was asked ahead of a window that is done with."""
        self._ahead = {key: page for key, page in self._ahead.items() if key[0] != window}

    def _take(self, window: Window, number: int) -> Answer:
        """A page, asked for now unless it was ahead of need."""
        if self._requests_left <= 0:
            msg = f"{_span(window)} could not be read whole in a bounded number of requests"
            raise FatalAPIError(msg)
        self._ask_ahead(window, number)
        return self._ahead.pop((window, number)).result()


class _Workers:
    """Threads that run what they are given; daemons, so that none delays the end of the process."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._started = False
        self._jobs: SimpleQueue[tuple[Future[Answer], Ask, Window, int]] = SimpleQueue()

    def submit(self, ask: Ask, window: Window, number: int) -> Future[Answer]:
        """Have `ask(window, number)` run; the future holds its answer or what it raised."""
        if not self._started:
            self._started = True
            for _ in range(self._count):
                threading.Thread(target=self._work, daemon=True).start()
        future: Future[Answer] = Future()
        self._jobs.put((future, ask, window, number))
        return future

    def _work(self) -> None:
        while True:
            future, ask, window, number = self._jobs.get()
            try:
                future.set_result(ask(window, number))
            except BaseException as error:  # noqa: BLE001 - raised again where it is taken
                future.set_exception(error)


def _span(window: Window) -> str:
    """A window for people."""
    return (
        f"the calls modified from {window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC"
    )
