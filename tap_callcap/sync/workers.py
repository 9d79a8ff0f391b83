"""Threads that ask the API side by side."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
