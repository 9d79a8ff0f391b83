"""The dates, times, order and detail of a search, and what it refuses."""

from __future__ import annotations

from datetime import datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from support.sandbox_requests import (
    ALWAYS,
    EVERYTHING,
    NOW,
    asked,
    body,
    ids_found,
    major_of,
    only_digits,
)
from tap_callcap.sandbox.call import CALL_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.sandbox_requests import Open
    from tap_callcap.sandbox import Call, Callcap

CENTRAL = ZoneInfo("US/Central")


@pytest.mark.parametrize(
    "params",
    [
        {"corporate_id": "one"},
        {"corporate_id": "1,2"},
        {"division_id": "1,"},
        {"search_action": "answered"},
        {"search_feature": "callconnect,blue"},
        {"conversation_type": "fax"},
        {"search_daysofweek": "0"},
        {"search_daysofweek": "8"},
        {"search_major": "5"},
        {"search_callsaver_status": "3"},
        {"search_evaluation_change_status": "lost"},
        {"search_revenue_entered": "2"},
        {"search_direction": "up"},
        {"search_caller_id": "Wichita"},
        {"search_duration_min": "60", "search_duration_max": "60"},
        {"search_duration_min": "-1"},
        {"search_range": "always"},
        {"search_startdate": "2026-13-01"},
        {"search_startdate": "1/2/2026"},
        {"search_startdate": "20260102"},
        {"search_startdate": "0001-01-01"},
        {"search_startdate": "2026-01-02", "search_enddate": "2026-01-02"},
        {"search_startdate": "2026-03-15"},
        {"search_last_modified_start": "2026-01-01T10:00"},
        {"search_last_modified_start": "2026-01-01 10:00:00"},
        {"search_last_modified_end": "2026-01-01 24:00"},
        {"search_timezone": "Wichita"},
        {"search_timezone": "../etc/passwd"},
        {"order": "last_modified"},
        {"page": "0"},
        {"page": "²"},
        {"show": "0"},
        {"show": "1001"},
        {"show": "ten"},
        {"detail": "everything"},
        {"search_last_modifed_start": "2026-01-01"},
    ],
    ids=lambda params: ",".join(f"{name}={text}" for name, text in params.items()),
)
def test_a_wrong_parameter_is_refused(callcap: Callcap, params: dict[str, str]) -> None:
    """A value that is not documented is answered with a 400 whose JSON says what is wrong."""
    answer = asked(callcap, **params)
    assert answer.status == 400
    assert answer.body.startswith(b'{"status":"error","message":"')


@pytest.mark.parametrize(
    ("order", "key", "is_descending"),
    [
        ("newest", itemgetter("start_datetime"), True),
        ("oldest", itemgetter("start_datetime"), False),
        (
            "account",
            lambda c: [
                c["accounts"][level]["name"].lower()
                for level in ("corporate", "division", "location", "campaign")
            ],
            False,
        ),
        ("callerid", lambda c: int(only_digits(c["caller"]["caller_id"])), False),
        ("callername", lambda c: (c["caller"]["name"] or "").casefold(), False),
        (
            "callsurance",
            lambda c: (major_of(c), c["callsurance"]["minor"]["id"] if c["callsurance"] else 0),
            False,
        ),
    ],
)
def test_calls_come_in_order(
    callcap: Callcap,
    order: str,
    key: Callable[[Call], object],
    is_descending: bool,
) -> None:
    """Each order sorts all calls as documented."""
    keys = [key(callcap.book[call_id]) for call_id in ids_found(callcap, order=order)]
    assert keys == sorted(keys, reverse=is_descending)  # type: ignore[type-var]
    assert len(keys) == len(callcap.book)


def test_the_newest_come_first_unless_asked_otherwise(callcap: Callcap) -> None:
    """`newest` is the default order, and 50 the default page size."""
    first = body(callcap, search_startdate="2000-01-01", search_enddate="2026-03-16")
    assert first["pagination"]["show"] == 50
    assert [c["call_id"] for c in first["call"]] == ids_found(callcap, order="newest")[:50]


def test_dates_default_to_yesterday_and_today(callcap: Callcap, calls: list[Call]) -> None:
    """Without dates, a search by last_modified finds only calls of yesterday and today."""
    limited = body(callcap, search_last_modified_start="2026-03-10", show="1000")
    yesterday = datetime(2026, 3, 14, tzinfo=CENTRAL)
    meant = {
        call["call_id"]
        for call in calls
        if yesterday <= call["start_datetime"] < datetime(2026, 3, 16, tzinfo=CENTRAL)
    }
    assert {call["call_id"] for call in limited["call"]} == meant
    free = ids_found(callcap, search_last_modified_start="2026-03-10")
    assert set(free) > meant


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("today", "2026-03-15", "2026-03-15"),
        ("yesterday", "2026-03-14", "2026-03-14"),
        ("week", "2026-03-15", "2026-03-15"),
        ("last7days", "2026-03-09", "2026-03-15"),
        ("monthtodate", "2026-03-01", "2026-03-15"),
        ("lastmonth", "2026-02-01", "2026-02-28"),
        ("last30days", "2026-02-14", "2026-03-15"),
        ("last3months", "2025-12-15", "2026-03-15"),
        ("last6months", "2025-09-15", "2026-03-15"),
        ("yeartodate", "2026-01-01", "2026-03-15"),
    ],
)
def test_a_range_by_name(
    callcap: Callcap,
    calls: list[Call],
    name: str,
    first: str,
    last: str,
) -> None:
    """A `search_range` means its days in the zone of the search, and overrides the dates."""
    meant = {
        call["call_id"]
        for call in calls
        if first <= f"{call['start_datetime'].astimezone(CENTRAL):%Y-%m-%d}" <= last
    }
    assert set(ids_found(callcap, search_range=name)) == meant
    assert meant or name == "today"


def test_months_back_end_on_a_day_that_exists(open_callcap: Open, calls: list[Call]) -> None:
    """Three months before the end of May is the end of February."""
    late = datetime(2026, 5, 31, 12, tzinfo=CENTRAL)
    callcap = open_callcap()
    callcap.advance(late - NOW)
    first = datetime(2026, 2, 28, tzinfo=CENTRAL)
    meant = {call["call_id"] for call in calls if call["start_datetime"] >= first}
    assert set(ids_found(callcap, search_range="last3months")) == meant


@pytest.mark.parametrize("minutes", [1, 5, 10, 30, 60])
def test_the_last_minutes(open_callcap: Open, calls: list[Call], minutes: int) -> None:
    """`last5minutes` finds what began within five minutes before the request."""
    last = timedelta(minutes=minutes)
    second = timedelta(seconds=1)
    ages = [timedelta(0), last - second, last, last + second, -second]
    some = [
        {**calls[0], "call_id": str(number), "start_datetime": NOW - age, "last_modified": NOW}
        for number, age in enumerate(ages)
    ]
    assert ids_found(open_callcap(some), search_range=f"last{minutes}minutes") == ["0", "1", "2"]


def test_dates_and_edits_are_combined(callcap: Callcap) -> None:
    """A call must have begun within the dates as well as been modified within the minutes."""
    edited = {
        "search_last_modified_start": "2021-11-01 19:10",
        "search_last_modified_end": "2021-11-01 19:10",
    }
    assert ids_found(callcap, **edited) == ["987654_23_11_19_2012_17:07:29_12"]
    assert ids_found(callcap, search_startdate="2020-09-02", **edited) == []


def test_dates_are_days_of_the_search_zone(callcap: Callcap, calls: list[Call]) -> None:
    """Both dates are whole days of the zone of the search, and the last one is included."""
    tokyo = ZoneInfo("Asia/Tokyo")
    params = {"search_startdate": "2026-03-10", "search_enddate": "2026-03-12"}
    found = ids_found(callcap, search_timezone="Asia/Tokyo", **params)
    meant = {
        call["call_id"]
        for call in calls
        if 10 <= call["start_datetime"].astimezone(tokyo).day <= 12
        and call["start_datetime"] > NOW - timedelta(days=9)
    }
    assert set(found) == meant
    assert set(found) != set(ids_found(callcap, **params))


@pytest.mark.parametrize(("end_date", "days"), [("includes", {"10", "11"}), ("excludes", {"10"})])
def test_the_day_of_the_end_date(
    open_callcap: Open, calls: list[Call], end_date: str, days: set[str]
) -> None:
    """The total of a search over dates counts the calls that began on them, in its zone."""
    tokyo = ZoneInfo("Asia/Tokyo")
    meant = [call["start_datetime"].astimezone(tokyo).strftime("%Y-%m-%d") for call in calls]
    content = body(
        open_callcap(end_date=end_date),
        search_startdate="2026-03-10",
        search_enddate="2026-03-11",
        search_timezone="Asia/Tokyo",
        show="1",
    )
    counted = content["pagination"]["total_records"]
    assert counted == sum(day in {f"2026-03-{day}" for day in days} for day in meant)
    assert counted


@pytest.mark.parametrize("end_date", ["includes", "excludes"])
def test_one_day_is_counted_by_its_day_of_the_week(
    open_callcap: Open, calls: list[Call], end_date: str
) -> None:
    """A day, the next one and its day of the week count that day, however the end is read."""
    wednesday = [
        call
        for call in calls
        if f"{call['start_datetime'].astimezone(CENTRAL):%Y-%m-%d}" == "2026-03-11"
    ]
    content = body(
        open_callcap(end_date=end_date),
        search_startdate="2026-03-11",
        search_enddate="2026-03-12",
        search_daysofweek="4",
        show="1",
    )
    assert content["pagination"]["total_records"] == len(wednesday) > 0


def test_equal_dates(open_callcap: Open, calls: list[Call]) -> None:
    """Equal dates are a 400, or are that day if the end is included, and nothing if not."""
    day = {"search_startdate": "2026-03-11", "search_enddate": "2026-03-11"}
    assert asked(open_callcap(), **day).status == 400
    meant = {
        call["call_id"]
        for call in calls
        if f"{call['start_datetime'].astimezone(CENTRAL):%Y-%m-%d}" == "2026-03-11"
    }
    assert set(ids_found(open_callcap(same_dates="accepted"), **day)) == meant
    assert ids_found(open_callcap(same_dates="accepted", end_date="excludes"), **day) == []
    reverse = {"search_startdate": "2026-03-12", "search_enddate": "2026-03-11"}
    assert asked(open_callcap(same_dates="accepted"), **reverse).status == 400


def test_last_modified_is_compared_by_the_minute(callcap: Callcap, calls: list[Call]) -> None:
    """By default both limits are included, as whole minutes."""
    moment = sorted(call["last_modified"] for call in calls)[400]
    minute = f"{moment:%Y-%m-%d %H:%M}"
    found = ids_found(
        callcap,
        search_last_modified_start=minute,
        search_last_modified_end=minute,
        search_timezone="UTC",
    )
    meant = {
        call["call_id"] for call in calls if f"{call['last_modified']:%Y-%m-%d %H:%M}" == minute
    }
    assert set(found) == meant
    assert meant


def test_a_date_without_a_time(callcap: Callcap, calls: list[Call]) -> None:
    """A start without a time is midnight, an end without a time the end of that day."""
    found = ids_found(
        callcap,
        search_last_modified_start="2026-03-11",
        search_last_modified_end="2026-03-12",
        search_timezone="UTC",
    )
    meant = {
        call["call_id"]
        for call in calls
        if "2026-03-11" <= f"{call['last_modified']:%Y-%m-%d}" <= "2026-03-12"
    }
    assert set(found) == meant
    assert meant


BASIC = {
    "call_id",
    "recording",
    "action",
    "start_datetime",
    "last_modified",
    "end_datetime",
    "dtmf",
    "duration",
    "rings",
    "revenue",
    "callsaver",
}


@pytest.mark.parametrize(
    ("detail", "more"),
    [
        (None, {"callsurance", "webmatch", "caller", "accounts", "sentiment"}),
        ("notes", {"notes"}),
        ("caller,accounts", {"caller", "accounts"}),
        ("all,import", {"callsurance", "webmatch", "caller", "accounts", "sentiment", "import"}),
        (",", set()),
    ],
)
def test_detail_chooses_the_fields(callcap: Callcap, detail: str | None, more: set[str]) -> None:
    """Basic fields are always shown, others if `detail` names them; `all` does not include all."""
    params = {} if detail is None else {"detail": detail}
    for call in body(callcap, **ALWAYS, **params)["call"]:
        assert set(call) == BASIC | more


def test_everything_shows_the_whole_call(callcap: Callcap) -> None:
    """With every word of `detail`, the vendor's example has all fields of the vendor's page."""
    content = body(callcap, call_id="987654_23_11_19_2012_17:07:29_12", detail=EVERYTHING)
    (call,) = content["call"]
    assert call["start_datetime"] == "2020-09-01 09:07:15"
    assert call["last_modified"] == "2021-11-01 19:10:46"
    assert call["callsaver"]["date"] == "2020-06-12 16:46:33"
    assert call["accounts"]["campaign"]["line-memo"] == "Memo"
    assert set(call) == set(CALL_FIELDS)
    assert content["search"] == {"timezone": "US/Central"}


def test_decimals_keep_their_digits(callcap: Callcap) -> None:
    """Numbers are written as the vendor writes them: 8.0000, 0.0100."""
    answer = asked(callcap, call_id="987654_23_11_19_2012_17:07:29_12", detail=EVERYTHING)
    assert b'"max_value":8.0000' in answer.body
    assert b'"cost_per_piece_est":0.0100' in answer.body


def test_a_call_id_needs_no_dates(callcap: Callcap) -> None:
    """`call_id` finds an old call without dates, and nothing if there is no such call."""
    assert body(callcap, call_id="987654_23_11_19_2012_17:07:29_12")["call"]
    assert body(callcap, call_id="1")["call"] == []
