"""The stream `call_counts`: how many calls Callcap counts, day by day."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from singer_sdk.exceptions import FatalAPIError

from support.histories import BEGINNING
from support.running import catalog_of, run_tap
from tap_callcap.sandbox import CallBook, Callcap, Switches, made_up_calls

if TYPE_CHECKING:
    from support.running import Run

NOW = BEGINNING
DAY = timedelta(days=1)


def callcap_with(**switches: Any) -> Callcap:
    """An account with 900 calls of the last 60 days."""
    book = CallBook(made_up_calls(900, seed=5, start=NOW - 60 * DAY, end=NOW))
    return Callcap(book, clock=lambda: NOW, switches=Switches(**switches))


def counted(callcap: Callcap, **settings: Any) -> Run:
    """A run of the stream alone."""
    return run_tap(callcap, catalog=catalog_of("call_counts"), **settings)


def truth(callcap: Callcap, zone: str, days: int = 30) -> dict[str, int]:
    """The calls of each of the last days that are over, counted in the sandbox's book."""
    began = Counter(
        call["start_datetime"].astimezone(ZoneInfo(zone)).date() for call in callcap.book
    )
    today = NOW.astimezone(ZoneInfo(zone)).date()
    wanted = [today - DAY * back for back in range(days, 0, -1)]
    return {day.isoformat(): began[day] for day in wanted}


def counts_of(run: Run) -> dict[str, int]:
    """What the run wrote, by day."""
    return {row["day"]: row["calls"] for row in run.records}


@pytest.mark.parametrize("end_date", ["includes", "excludes"])
@pytest.mark.parametrize("zone", ["UTC", "US/Pacific", "Asia/Tokyo"])
def test_each_day_is_counted(zone: str, end_date: Any) -> None:
    """Whatever the last day of a range means, and in whatever zone days are."""
    callcap = callcap_with(end_date=end_date)
    run = counted(callcap, timezone=zone)
    assert counts_of(run) == truth(callcap, zone)
    assert {row["timezone"] for row in run.records} == {zone}
    assert {row["counted_at"] for row in run.records} == {"2026-03-03T15:00:00Z"}


def test_one_request_a_day() -> None:
    """And one that tells which days are over; each asks for one call."""
    callcap = callcap_with()
    counted(callcap, count_days=7)
    assert len(callcap.requests) == 8
    assert {asked.params["show"] for asked in callcap.requests} == {"1"}


@pytest.mark.parametrize("empty", ["list", "404", "204"])
def test_a_day_without_calls_is_zero(empty: Any) -> None:
    """However the API says that it found none."""
    callcap = callcap_with(empty_search=empty)
    run = counted(callcap, count_days=70)
    assert counts_of(run) == truth(callcap, "UTC", 70)
    assert 0 in counts_of(run).values()


def test_days_that_the_filters_exclude_are_left_out() -> None:
    """The counts are of the calls that the run reads."""
    first, last = (NOW - 20 * DAY).date(), (NOW - 5 * DAY).date()
    filters = {
        "search_startdate": first.isoformat(),
        "search_enddate": last.isoformat(),
        "search_daysofweek": [2, 3],
        "search_direction": "inbound",
    }
    callcap = callcap_with()
    run = counted(callcap, filters=filters)
    days = [date.fromisoformat(day) for day in counts_of(run)]
    assert days
    assert all(first <= day <= last and day.weekday() in {0, 1} for day in days)
    inbound = Counter(
        call["start_datetime"].date().isoformat()
        for call in callcap.book
        if call["accounts"]["campaign"]["direction"] == "inbound"
    )
    assert counts_of(run) == {day.isoformat(): inbound[day.isoformat()] for day in days}


def test_a_range_that_moves_cannot_be_counted() -> None:
    """It is one line at the end of the run."""
    with pytest.raises(FatalAPIError, match=r"call_counts cannot be combined with filters\.search"):
        counted(callcap_with(), filters={"search_range": "last7days"})


def test_a_refused_zone_fails_the_stream_at_the_end() -> None:
    """Days of another zone would be other days: no other zone is tried."""
    with pytest.raises(FatalAPIError, match="Stream call_counts could not be read"):
        counted(callcap_with(utc="refused"))
