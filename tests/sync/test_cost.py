"""The number of requests of a run."""

from __future__ import annotations

import math
from datetime import timedelta, timezone

import pytest

from support.histories import BEGINNING
from support.running import run_tap
from tap_callcap.sandbox import CallBook, Callcap, made_up_calls

UTC = timezone.utc
NOW = BEGINNING
YEARS = 5 * timedelta(days=365)


@pytest.mark.slow
def test_five_years_cost_little_more_than_their_pages() -> None:
    """100 pages over five uneven years: every id, in at most 1.2 times the least requests."""
    calls = 10_000
    book = CallBook(made_up_calls(calls, seed=1, start=NOW - YEARS, end=NOW - timedelta(hours=1)))
    callcap = Callcap(book, clock=lambda: NOW)
    run = run_tap(callcap, page_size=100)
    assert len(run.records) == calls
    assert run.ids == book.ids
    assert len(callcap.requests) <= 1.2 * math.ceil(calls / 100)


def test_empty_years_cost_a_handful_of_requests() -> None:
    """From the year 2000 to a first call a day ago: less than ten requests."""
    book = CallBook(made_up_calls(20, seed=1, start=NOW - timedelta(days=1), end=NOW))
    callcap = Callcap(book, clock=lambda: NOW)
    run_tap(callcap)
    assert len(callcap.requests) < 10


@pytest.mark.parametrize(
    "gap", [timedelta(minutes=5), timedelta(hours=1), timedelta(days=9)], ids=str
)
@pytest.mark.parametrize("skew", [timedelta(0), timedelta(days=2)], ids=["right", "fast"])
def test_a_quiet_increment_costs_one_or_two_requests(gap: timedelta, skew: timedelta) -> None:
    """A few new calls cost one or two requests, besides one to ask a wrong clock again."""
    book = CallBook(made_up_calls(500, seed=1, start=NOW - YEARS, end=NOW - timedelta(hours=1)))
    callcap = Callcap(book, clock=lambda: NOW)
    state = run_tap(callcap).state
    callcap.advance(gap, new_calls=3, edits=5)
    callcap.requests.clear()
    run = run_tap(callcap, state=state, now=lambda: callcap.now() + skew)
    fresh = {
        c["call_id"] for c in book if NOW <= c["last_modified"] < NOW + gap - timedelta(minutes=3)
    }
    assert fresh <= run.ids
    assert len(callcap.requests) <= (3 if skew else 2)


def test_the_dates_are_always_asked_for() -> None:
    """search_startdate and search_enddate, which default to one day back, are in each request."""
    callcap = Callcap(CallBook(), clock=lambda: NOW)
    run_tap(callcap)
    searches = [asked for asked in callcap.requests if asked.path == "/v2/get/calls/"]
    assert searches
    for asked in searches:
        assert asked.params["search_startdate"] == "1900-01-01"
        assert asked.params["search_enddate"] == "2099-12-31"
