"""Asks for pages ahead of need, side by side, and hands them out when they are needed."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from tap_callcap.api.responses import NothingFound, Page
from tap_callcap.sync.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_callcap.windows import Window

Answer: TypeAlias = Page | NothingFound
Ask: TypeAlias = "Callable[[Window, int, int], Answer]"
"""Asks for a page of a window, by its number and how many calls a page holds."""
Plan: TypeAlias = "Iterator[bool]"
"""Asks for one page a step; yields False where an answer must come first."""


class Fetcher:
    """Pages by their windows and numbers.

    Up to `concurrency` are being fetched at a time, and up to twice as many are asked for or
    waiting to be taken: so many are in memory at most.

    Args:
        fetch: Fetches one page of a window.
        concurrency: How many pages may be fetched at once.
    """

    def __init__(self, fetch: Ask, concurrency: int) -> None:
        self._fetch = fetch
        self._page_size = 0  # calls, as the plan that is followed wants it
        self._concurrency = concurrency
        self._workers = Workers(concurrency)
        self._pages: dict[tuple[Window, int], Future[Answer]] = {}
        self._plan: Plan = iter(())
        self.asked = 0

    def put(self, window: Window, first: Page) -> None:
        """Take `first` as the answer for the first page of `window`."""
        known: Future[Answer] = Future()
        known.set_result(first)
        self._pages[window, 1] = known

    def is_asked(self, window: Window) -> bool:
        """Whether the first page of `window` was asked for, and not taken yet."""
        return (window, 1) in self._pages

    def follow(self, plan: Plan, page_size: int) -> None:
        """Ask ahead as `plan` does from now on, and forget what an earlier one has asked for."""
        self._pages = {}
        self._plan = plan
        self._page_size = page_size

    def ask(self, window: Window, number: int) -> Future[Answer]:
        """The page, once it has been fetched; asks for it unless that was done."""
        key = window, number
        if key not in self._pages:
            self.asked += 1
            self._pages[key] = self._workers.submit(
                partial(self._fetch, window, number, self._page_size)
            )
        return self._pages[key]

    def take(self, window: Window, number: int) -> Answer:
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
