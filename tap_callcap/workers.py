"""Threads that ask the API side by side."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """Threads that run what they are given; daemons, so that none delays the end of the process."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._started = 0
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()

    def submit(self, job: Callable[[], Result]) -> Future[Result]:
        """Have `job` run; the future holds what it returned or raised."""
        if self._started < self._count:
            self._started += 1
            threading.Thread(target=self._work, daemon=True).start()
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

    def _work(self) -> None:
        while True:
            future, job = self._jobs.get()
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001 - raised again where it is taken
                future.set_exception(error)
