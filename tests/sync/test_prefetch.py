"""Pages are prefetched in parallel, within limits, and returned in order."""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections import UserDict, deque
from concurrent.futures import Future
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from tap_callcap.api.responses import Page
from tap_callcap.records.shaper import version_of
from tap_callcap.sync.pages import Pages
from tap_callcap.sync.prefetch import Fetch, PageRequest, Plan, Prefetcher, Workers
from tap_callcap.sync.proof import Whole
from tap_callcap.sync.reader import Reader
from tap_callcap.windows import Range, Stride, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_callcap.records.shaper import Call

UTC = timezone.utc
START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW = Window(START, START + HOUR)


class SlowApi:
    """An API with `pages` pages in every hour, that counts what is in flight at once."""

    def __init__(self, pages: int = 10, latency: float = 0.01) -> None:
        self._pages = pages
        self._latency = latency
        self._lock = threading.Lock()
        self._in_flight = 0
        self.in_flight: list[int] = []  # with each request that began
        self.asked: list[tuple[Window, int]] = []

    def fetch(self, request: PageRequest) -> Page:
        """A page of one call, after a while."""
        window, number = request.window, request.number
        if number > self._pages or request.order == "newest":
            return Page(number, self._pages, self._pages, [], START)
        with self._lock:
            self.asked.append((window, number))
            self._in_flight += 1
            self.in_flight.append(self._in_flight)
        time.sleep(self._latency)
        with self._lock:
            self._in_flight -= 1
        at = window.start + timedelta(minutes=number)
        call = {"call_id": f"{at}", "last_modified": f"{at:%Y-%m-%d %H:%M:%S}"}
        return Page(number, self._pages, self._pages, [call], START)


def numbers(fetcher: Prefetcher, count: int) -> Plan:
    """A plan for so many pages of a window."""
    for number in range(1, count + 1):
        fetcher.ask(WINDOW, number)
        yield True


@pytest.mark.parametrize("concurrency", [1, 2, 4, 16])
def test_pages_in_memory_and_in_flight_are_bounded(concurrency: int) -> None:
    """However slowly pages are taken, twice the concurrency are asked for, and no more."""
    api = SlowApi(100, latency=0.001)
    fetcher = Prefetcher(api.fetch, concurrency)
    fetcher.follow(numbers(fetcher, 100), 1)
    for number in range(1, 101):
        page = fetcher.take(WINDOW, number)
        assert isinstance(page, Page)
        assert page.number == number
        time.sleep(0.001)
        assert len(api.asked) <= number + 2 * concurrency
    assert len(api.asked) == 100
    assert max(api.in_flight) <= concurrency


def test_what_a_fetch_raised_is_raised_where_it_is_taken() -> None:
    """A failed request is no page, and fails the one who needs it, once."""

    def fetch(request: PageRequest) -> Page:
        number = request.number
        if number == 2:
            msg = "broken"
            raise ValueError(msg)
        return Page(number, 2, 2, [], START)

    fetcher = Prefetcher(fetch, 4)
    fetcher.follow(numbers(fetcher, 2), 1)
    assert isinstance(fetcher.take(WINDOW, 1), Page)
    with pytest.raises(ValueError, match="broken"):
        fetcher.take(WINDOW, 2)


def test_another_plan_forgets_what_was_asked_for() -> None:
    """Pages of a plan that was given up are not handed out: they are asked for again."""
    api = SlowApi()
    fetcher = Prefetcher(api.fetch, 2)
    fetcher.follow(numbers(fetcher, 4), 1)
    fetcher.take(WINDOW, 1)
    fetcher.follow(iter(()), 1)
    fetcher.take(WINDOW, 2)
    assert api.asked.count((WINDOW, 2)) == 2


def test_threads_end_with_what_needs_them() -> None:
    """Whoever reads again and again in one process keeps no thread of an earlier time."""
    before = threading.active_count()
    for _ in range(20):
        workers = Workers(3)
        assert [workers.submit(lambda: 1).result() for _ in range(3)] == [1, 1, 1]
    del workers
    ended_by = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < ended_by:
        time.sleep(0.01)
    assert threading.active_count() <= before


class Rounds:
    """Stands for the workers: whoever waits lets a round of the jobs run, the oldest first."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.taken = 0
        self.jobs: deque[tuple[Awaited, Callable[[], Page]]] = deque()

    def submit(self, job: Callable[[], Page]) -> Awaited:
        """Let the job run in a round to come."""
        future = Awaited(self)
        self.jobs.append((future, job))
        return future

    def take(self) -> None:
        """Run as many jobs as there are workers."""
        self.taken += 1
        for _ in range(min(self.count, len(self.jobs))):
            future, job = self.jobs.popleft()
            future.set_result(job())


class Awaited(Future[Page]):
    """What a job will have returned."""

    def __init__(self, rounds: Rounds) -> None:
        super().__init__()
        self._rounds = rounds

    def result(self, timeout: float | None = None) -> Page:
        """What it returned, after as many rounds as that takes."""
        while not self.done():
            self._rounds.take()
        return super().result(timeout)


class HourlyRange(Range):
    """A range whose windows are an hour long, whatever they hold."""

    def window(self, start: datetime, stride: Stride) -> Window | None:
        """The hour from `start`."""
        del stride
        return super().window(start, Stride(HOUR, HOUR))


def ten_hours(fetch: Fetch, concurrency: int) -> Iterator[list[Call] | Whole]:
    """What a reader makes of ten hours of an API, whose pages have one call each."""
    zone = ZoneInfo("UTC")
    reader = Reader(
        Pages(fetch, concurrency, lambda: None),
        HourlyRange(START, START + 10 * HOUR, START + 10 * HOUR, zone),
        decode=lambda call: (version_of(call, zone), call),
        page_size=1,
    )
    return reader.read(WINDOW)


@pytest.mark.parametrize("concurrency", [4, 8])
def test_windows_are_read_side_by_side(concurrency: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The borders of windows leave no worker idle, but for the first page and the last ones."""
    rounds = Rounds(concurrency)
    monkeypatch.setattr("tap_callcap.sync.prefetch.Workers", lambda _: rounds)
    api = SlowApi(latency=0)
    events = list(ten_hours(api.fetch, concurrency))
    assert [event.window.start for event in events if isinstance(event, Whole)] == [
        START + hour * HOUR for hour in range(10)
    ]
    assert len(api.asked) == len(set(api.asked)) == 100
    assert rounds.taken <= 1 + math.ceil(99 / concurrency)


class Tracked(UserDict[str, str]):
    """A call of which can be told whether anybody still has it."""


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_page_leaves_memory_once_it_is_read(
    concurrency: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page in hand, and twice the concurrency ahead of it: nothing holds those before."""
    rounds = Rounds(concurrency)
    monkeypatch.setattr("tap_callcap.sync.prefetch.Workers", lambda _: rounds)
    api = SlowApi(latency=0)
    calls: list[weakref.ref[Tracked]] = []

    def fetch(request: PageRequest) -> Page:
        page = api.fetch(request)
        page.calls = [Tracked(call) for call in page.calls]
        calls.extend(weakref.ref(call) for call in page.calls)
        return page

    held = []
    for event in ten_hours(fetch, concurrency):
        while rounds.jobs:
            rounds.take()
        if isinstance(event, list):
            held.append(sum(call() is not None for call in calls))
    assert len(held) == 100
    assert max(held) == 1 + 2 * concurrency
