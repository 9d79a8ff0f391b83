"""Pages are asked for ahead of need: side by side, in bounds, and handed out in order."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from tap_callcap.envelope import Page
from tap_callcap.fetcher import Fetcher, Plan
from tap_callcap.reader import Reader, Whole
from tap_callcap.windows import Range, Stride, Window
from tap_callcap.workers import Workers

UTC = timezone.utc
START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW = Window(START, START + HOUR)
HOURLY = Stride(HOUR, HOUR)


class SlowApi:
    """An API with `pages` pages in every hour, that counts what is in flight at once."""

    def __init__(self, pages: int = 10, latency: float = 0.01) -> None:
        self._pages = pages
        self._latency = latency
        self._lock = threading.Lock()
        self._in_flight = 0
        self.in_flight: list[int] = []  # with each request that began
        self.asked: list[tuple[Window, int]] = []

    def fetch(self, window: Window, number: int, _: int) -> Page:
        """A page of one call, after a while."""
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


def numbers(fetcher: Fetcher, count: int) -> Plan:
    """A plan for so many pages of a window."""
    for number in range(1, count + 1):
        fetcher.ask(WINDOW, number)
        yield True


@pytest.mark.parametrize("concurrency", [1, 2, 4, 16])
def test_pages_in_memory_and_in_flight_are_bounded(concurrency: int) -> None:
    """However slowly pages are taken, twice the concurrency are asked for, and no more."""
    api = SlowApi(latency=0.001)
    fetcher = Fetcher(api.fetch, concurrency, 1)
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

    def fetch(_window: Window, number: int, _page_size: int) -> Page:
        if number == 2:
            msg = "broken"
            raise ValueError(msg)
        return Page(number, 2, 2, [], START)

    fetcher = Fetcher(fetch, 4, 1)
    fetcher.follow(numbers(fetcher, 2), 1)
    assert isinstance(fetcher.take(WINDOW, 1), Page)
    with pytest.raises(ValueError, match="broken"):
        fetcher.take(WINDOW, 2)


def test_another_plan_forgets_what_was_asked_for() -> None:
    """Pages of a plan that was given up are not handed out: they are asked for again."""
    api = SlowApi()
    fetcher = Fetcher(api.fetch, 2, 1)
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


class PatientApi(SlowApi):
    """An API that answers once so many requests are in flight, or none has come for a while."""

    def __init__(self, concurrency: int) -> None:
        super().__init__(latency=0)
        self._full = threading.Barrier(concurrency)
        self.answered_early = 0

    def fetch(self, window: Window, number: int, page_size: int) -> Page:
        """A page, together with as many others as may be asked for at once."""
        try:
            self._full.wait(timeout=2)
        except threading.BrokenBarrierError:
            with self._lock:
                self.answered_early += 1
                if not self._full.n_waiting:
                    self._full.reset()
        return super().fetch(window, number, page_size)


@pytest.mark.parametrize("concurrency", [4, 8])
def test_windows_are_read_side_by_side(concurrency: int) -> None:
    """The borders of windows leave no request waiting: all are in flight, but first and last."""
    api = PatientApi(concurrency)
    zone = ZoneInfo("UTC")
    span = Range(START, START + 10 * HOUR, START + 10 * HOUR, zone)
    reader = Reader(
        api.fetch,
        lambda: None,
        decode=lambda call: call,
        zone=zone,
        settled=span.settled,
        page_size=1,
        concurrency=concurrency,
    )
    events = list(reader.read(WINDOW, lambda window, _: span.window(window.end, HOURLY)))
    assert [event.window.start for event in events if isinstance(event, Whole)] == [
        START + hour * HOUR for hour in range(10)
    ]
    assert len(api.asked) == len(set(api.asked)) == 100
    assert api.answered_early <= 1 + concurrency
