"""Asks for pages ahead of need, side by side, and hands them out when they are needed."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from tap_callcap.api.responses import NothingFound, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_callcap.windows import Window

FEW_TRIES = 3  # of a request that another one can replace, such as one for half the window

SearchAnswer: TypeAlias = Page | NothingFound
Plan: TypeAlias = "Iterator[bool]"
"""Asks for one page a step; yields False where an answer must come first."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page to fetch; `tries` is how often at the most, none for all the time there is."""

    window: Window
    number: int
    page_size: int
    tries: int | None = FEW_TRIES
    order: str = "oldest"


Fetch: TypeAlias = "Callable[[PageRequest], SearchAnswer]"


class Prefetcher:
    """Pages by their windows and numbers.

    Up to `concurrency` are being fetched at a time, and up to twice as many are asked for or
    waiting to be taken: so many are in memory at most.

    Args:
        fetch: Fetches one page of a window.
        concurrency: How many pages may be fetched at once.
    """

    def __init__(self, fetch: Fetch, concurrency: int) -> None:
        self._fetch = fetch
        self._page_size = 0  # calls, as the plan that is followed wants it
        self._tries: int | None = FEW_TRIES  # likewise
        self._concurrency = concurrency
        self._workers = Workers(concurrency)
        self._pages: dict[tuple[Window, int], Future[SearchAnswer]] = {}
        self._plan: Plan = iter(())
        self.asked = 0

    def put(self, window: Window, first: Page) -> None:
        """Take `first` as the answer for the first page of `window`."""
        known: Future[SearchAnswer] = Future()
        known.set_result(first)
        self._pages[window, 1] = known

    def is_asked(self, window: Window) -> bool:
        """Whether the first page of `window` was asked for, and not taken yet."""
        return (window, 1) in self._pages

    def follow(self, plan: Plan, page_size: int, tries: int | None = FEW_TRIES) -> None:
        """Ask ahead as `plan` does from now on, and forget what an earlier one has asked for."""
        self._pages = {}
        self._plan = plan
        self._page_size = page_size
        self._tries = tries

    def ask(self, window: Window, number: int) -> Future[SearchAnswer]:
        """The page, once it has been fetched; asks for it unless that was done."""
        key = window, number
        if key not in self._pages:
            self.asked += 1
            request = PageRequest(window, number, self._page_size, self._tries)
            self._pages[key] = self._workers.submit(partial(self._fetch, request))
        return self._pages[key]

    def take(self, window: Window, number: int) -> SearchAnswer:
        """The page; waits until it has been fetched, and raises what its fetching raised."""
        page = self.ask(window, number)
        self._ask_ahead()
        try:
            return page.result()
        finally:
            del self._pages[window, number]
            self._ask_ahead()

    def _ask_ahead(self) -> None:
        while len(self._pages) < 2 * self._concurrency and next(self._plan, False):
            pass


Item = TypeVar("Item")


Result = TypeVar("Result")


Job: TypeAlias = "tuple[Future[Any], Callable[[], Any]]"


class Workers:
    """Threads that run what they are given, as long as somebody holds these workers.

    They are daemons, so that none delays the end of the process.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._started = 0
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        weakref.finalize(self, _end, self._jobs, count).atexit = False

    def submit(self, job: Callable[[], Result]) -> Future[Result]:
        """Have `job` run; the future holds what it returned or raised."""
        if self._started < self._count:
            self._started += 1
            threading.Thread(target=_work, args=(self._jobs,), daemon=True).start()
        future: Future[Result] = Future()
        self._jobs.put((future, job))
        return future

    def each(
        self, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Iterator[tuple[Item, Result]]:
        """The items in their order, each with what `function` makes of it, few of them ahead."""
        ahead: deque[tuple[Item, Future[Result]]] = deque()
        for item in items:
            ahead.append((item, self.submit(partial(function, item))))
            if len(ahead) > self._count:
                first, future = ahead.popleft()
                yield first, future.result()
        for item, future in ahead:
            yield item, future.result()


def _work(jobs: SimpleQueue[Job | None]) -> None:
    """Do jobs until there is none; no thread holds its workers, so that they can go."""
    while (given := jobs.get()) is not None:
        future, job = given
        try:
            future.set_result(job())
        except BaseException as error:  # noqa: BLE001 - raised again where it is taken
            future.set_exception(error)
        del given, future, job  # which may hold the workers


def _end(jobs: SimpleQueue[Job | None], count: int) -> None:
    for _ in range(count):
        jobs.put(None)
