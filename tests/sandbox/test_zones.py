"""Wall times around clock changes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.sandbox_requests import body, ids_found
from tap_callcap.sandbox import VENDOR_EXAMPLE
from tap_callcap.sandbox.zones import local_text, span_of_walls

if TYPE_CHECKING:
    from support.sandbox_requests import Open

UTC = timezone.utc
CENTRAL = ZoneInfo("US/Central")
ZONES = ("US/Central", "US/Arizona", "Europe/Berlin", "Australia/Lord_Howe", "UTC")
# 2025-11-02: US/Central repeats the hour from 01:00; its passes begin at 06:00Z and 07:00Z.
PASSES = {
    name: datetime(2025, 11, 2, hour, 30, 15, tzinfo=UTC)
    for name, hour in (("before", 5), ("first", 6), ("second", 7), ("after", 8))
}


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 3, 8, 7, 59, 59, tzinfo=UTC), "2026-03-08 01:59:59"),
        (datetime(2026, 3, 8, 8, 0, 0, tzinfo=UTC), "2026-03-08 03:00:00"),
        (PASSES["first"], "2025-11-02 01:30:15"),
        (PASSES["second"], "2025-11-02 01:30:15"),
    ],
)
def test_wall_times_over_a_clock_change(moment: datetime, text: str) -> None:
    """Wall times skip an hour in spring and repeat one in autumn, and have no offset."""
    assert local_text(moment, CENTRAL) == text


def test_all_datetimes_are_in_the_zone_of_the_search(open_callcap: Open) -> None:
    """`search_timezone` governs every datetime in the answer."""
    callcap = open_callcap([VENDOR_EXAMPLE])
    content = body(callcap, call_id=VENDOR_EXAMPLE["call_id"], search_timezone="Asia/Kolkata")
    (call,) = content["call"]
    assert content["search"]["timezone"] == "Asia/Kolkata"
    assert call["start_datetime"] == "2020-09-01 19:37:15"
    assert call["end_datetime"] == "2020-09-01 20:17:15"
    assert call["last_modified"] == "2021-11-02 05:40:46"
    assert call["callsaver"]["date"] == "2020-06-13 03:16:33"


@pytest.mark.parametrize(
    ("switch", "side", "found"),
    [
        ("both", "start", {"first", "second", "after"}),
        ("first", "start", {"first", "second", "after"}),
        ("second", "start", {"second", "after"}),
        ("both", "end", {"before", "first", "second"}),
        ("first", "end", {"before", "first"}),
        ("second", "end", {"before", "first", "second"}),
    ],
)
def test_a_limit_in_a_repeated_hour(
    open_callcap: Open,
    switch: str,
    side: str,
    found: set[str],
) -> None:
    """A limit of 01:30 means its wall time, or one of its two instants."""
    some = [
        {**VENDOR_EXAMPLE, "call_id": name, "last_modified": moment}
        for name, moment in PASSES.items()
    ]
    params = {f"search_last_modified_{side}": "2025-11-02 01:30"}
    assert set(ids_found(open_callcap(some, repeated_hour=switch), **params)) == found


@given(
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    first=st.datetimes(datetime(2025, 1, 1), datetime(2026, 1, 1)),  # noqa: DTZ001 - wall times
    length=st.timedeltas(timedelta(0), timedelta(days=200)),
    moment=st.datetimes(datetime(2025, 1, 1), datetime(2026, 8, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - UTC by timezones
)
def test_a_span_compares_wall_times(
    zone: ZoneInfo,
    first: datetime,
    length: timedelta,
    moment: datetime,
) -> None:
    """An instant is in a span if and only if its wall time is between the two of the span."""
    span = span_of_walls(first, first + length, zone)
    wall = moment.astimezone(zone).replace(tzinfo=None)
    assert (moment in span) == (first <= wall < first + length)


@given(
    minutes=st.integers(0, 5 * 60),
    length=st.integers(0, 120),
    seconds=st.integers(0, 8 * 3600),
)
def test_a_span_compares_wall_times_near_a_clock_change(
    minutes: int,
    length: int,
    seconds: int,
) -> None:
    """The same around the repeated hour."""
    first = datetime(2025, 11, 1, 23) + timedelta(minutes=minutes)  # noqa: DTZ001 - a wall time
    end = first + timedelta(minutes=length)
    moment = datetime(2025, 11, 2, 3, tzinfo=UTC) + timedelta(seconds=seconds)
    wall = moment.astimezone(CENTRAL).replace(tzinfo=None)
    assert (moment in span_of_walls(first, end, CENTRAL)) == (first <= wall < end)
