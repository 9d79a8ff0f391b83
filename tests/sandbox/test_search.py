"""Every documented search parameter, against a plain reading of the same calls."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from sandbox.asking import ALWAYS, EVERYTHING, NOW, asked, body, ids_found
from tap_callcap.sandbox.call import CALL_FIELDS
from tap_callcap.sandbox.filters import FILTER_NAMES
from tap_callcap.sandbox.world import MEDIUMS

if TYPE_CHECKING:
    from sandbox.asking import Open
    from tap_callcap.sandbox import Call, Callcap

CENTRAL = ZoneInfo("US/Central")
Reading = Callable[["Call"], object]


def csr_of(call: Call) -> int | None:
    """Return who took a call."""
    return call["callsurance"] and call["callsurance"]["csr"]["id"]


def change_of(call: Call) -> str | None:
    """Return the status of a call's change request."""
    rating = call["callsurance"] or {}
    return (rating.get("change_request") or {}).get("status")


def major_of(call: Call) -> int:
    """Return the number of a call's rating, 0 without one."""
    return call["callsurance"]["major"]["id"] if call["callsurance"] else 0


def only_digits(text: str) -> str:
    """Return the digits of a text."""
    return "".join(re.findall(r"\d", text))


READINGS: dict[str, tuple[dict[str, str], Reading]] = {
    "one corporate": (
        {"corporate_id": "1001"},
        lambda c: c["accounts"]["corporate"]["id"] == 1001,
    ),
    "several locations": (
        {"location_id": "300001,222222"},
        lambda c: c["accounts"]["location"]["id"] in {300001, 222222},
    ),
    "several campaigns": (
        {"campaign_id": "500001, 500002,111111"},
        lambda c: c["accounts"]["campaign"]["id"] in {500001, 500002, 111111},
    ),
    "a division": (
        {"division_id": "1669"},
        lambda c: c["accounts"]["division"]["id"] == 1669,
    ),
    "days of the week": (
        {"search_daysofweek": "1,7"},
        lambda c: c["start_datetime"].astimezone(CENTRAL).strftime("%a") in {"Sat", "Sun"},
    ),
    "days of the week elsewhere": (
        {"search_daysofweek": "2", "search_timezone": "Asia/Tokyo"},
        lambda c: c["start_datetime"].astimezone(ZoneInfo("Asia/Tokyo")).strftime("%a") == "Mon",
    ),
    "shortest": ({"search_duration_min": "120"}, lambda c: (c["duration"] or 0) >= 120),
    "longest": ({"search_duration_max": "599"}, lambda c: (c["duration"] or 0) <= 599),
    "between": (
        {"search_duration_min": "30", "search_duration_max": "60"},
        lambda c: 30 <= (c["duration"] or 0) <= 60,
    ),
    "no maximum from 600 on": (
        {"search_duration_min": "700", "search_duration_max": "600"},
        lambda c: (c["duration"] or 0) >= 700,
    ),
    "answered": ({"search_action": "ans"}, lambda c: c["action"] == "Answer"),
    "missed": ({"search_action": "missed"}, lambda c: c["action"] in {"Hangup", "Busy"}),
    "blocked or in progress": (
        {"search_action": "blocked,inprogress"},
        lambda c: c["action"] in {"Blocked", "In Progress"},
    ),
    "outbound feature": (
        {"search_feature": "outbound"},
        lambda c: c["accounts"]["campaign"]["direction"] == "outbound",
    ),
    "callsaver or webmatch": (
        {"search_feature": "callsaver,webmatch"},
        lambda c: c["callsaver"] or c["webmatch"],
    ),
    "click to call": (
        {"search_feature": "callconnect"},
        lambda c: c["accounts"]["campaign"]["medium"] == "Click-to-Call",
    ),
    "rated": ({"search_feature": "callsurance"}, lambda c: major_of(c) in {1, 2, 3}),
    "calls": ({"conversation_type": "call"}, lambda c: c["action"] != "Text"),
    "texts": ({"conversation_type": "text"}, lambda c: c["action"] == "Text"),
    "medium": (
        {"search_medium": "1,3,77"},
        lambda c: c["accounts"]["campaign"]["medium"] in {MEDIUMS[1], MEDIUMS[3]},
    ),
    "positive or filtered": ({"search_major": "1,4"}, lambda c: major_of(c) in {1, 4}),
    "not rated": ({"search_major": "0"}, lambda c: c["callsurance"] is None),
    "saved": (
        {"search_callsaver_status": "1"},
        lambda c: c["callsaver"] and c["callsaver"]["outcome"]["label"] == "Saved",
    ),
    "approved": (
        {"search_evaluation_change_status": "approved"},
        lambda c: change_of(c) == "Approved",
    ),
    "revenue": ({"search_revenue_entered": "1"}, lambda c: c["revenue"] != 0),
    "no revenue": ({"search_revenue_entered": "0"}, lambda c: c["revenue"] == 0),
    "caller's number": (
        {"search_caller_id": "(316) 555-33"},
        lambda c: "31655533" in only_digits(c["caller"]["caller_id"]),
    ),
    "part of a number": (
        {"search_caller_id": "316"},
        lambda c: "316" in only_digits(c["caller"]["caller_id"]),
    ),
    "destination": (
        {"search_destination": "316-555"},
        lambda c: "316555" in only_digits(c["accounts"]["campaign"]["destination_number"]),
    ),
    "reference": (
        {"search_reference_id": "zyx321_xyz"},
        lambda c: c["import"] == {"reference_id": "zyx321_xyz"},
    ),
    "inbound": (
        {"search_direction": "inbound"},
        lambda c: c["accounts"]["campaign"]["direction"] == "inbound",
    ),
    "internal": (
        {"search_direction": "internal"},
        lambda c: c["accounts"]["campaign"]["direction"] == "internal",
    ),
    "location's external id": (
        {"search_location_external_id": "abc987"},
        lambda c: c["accounts"]["location"]["external_id"] == "abc987",
    ),
    "division's external id": (
        {"search_division_external_id": "abc123"},
        lambda c: c["accounts"]["division"]["external_id"] == "abc123",
    ),
    "term in notes": (
        {"search_term": "LEAKING sink"},
        lambda c: "leaking sink" in (c["notes"] or "").lower(),
    ),
    "term in a name": (
        {"search_term": "Danger"},
        lambda c: c["caller"]["name"] == "John Danger Doe",
    ),
    "term in a campaign": (
        {"search_term": "direct mail"},
        lambda c: "direct mail" in c["accounts"]["campaign"]["name"].lower(),
    ),
    "two filters": (
        {"search_action": "ans", "search_duration_min": "200"},
        lambda c: c["action"] == "Answer" and c["duration"] >= 200,
    ),
}


@pytest.mark.parametrize(("params", "reading"), READINGS.values(), ids=READINGS)
def test_a_filter_finds_what_it_says(
    callcap: Callcap,
    calls: list[Call],
    params: dict[str, str],
    reading: Reading,
) -> None:
    """A filter finds exactly the calls that a plain reading of its description names."""
    meant = {call["call_id"] for call in calls if reading(call)}
    found = ids_found(callcap, **params)
    assert len(found) == len(set(found))
    assert set(found) == meant
    assert 0 < len(meant) < len(calls)


def test_the_filter_on_call_takers(callcap: Callcap, calls: list[Call]) -> None:
    """`search_csr` takes several ids, of which one may be unknown."""
    csr = next(csr_of(call) for call in calls[1:] if csr_of(call))
    found = ids_found(callcap, search_csr=f"{csr},999999999")
    assert set(found) == {call["call_id"] for call in calls if csr_of(call) == csr}


def test_a_term_that_is_a_number_is_compared_by_digits(callcap: Callcap, calls: list[Call]) -> None:
    """`search_term` finds a phone number in any of a call's numbers, however it is written."""
    phones = ("callcap_number", "dialed_number", "destination_number")
    meant = {
        call["call_id"]
        for call in calls
        if "8665554444"
        in ",".join(
            only_digits(text)
            for text in (
                call["caller"]["caller_id"],
                *(call["accounts"]["campaign"][phone] for phone in phones),
            )
        )
    }
    assert set(ids_found(callcap, search_term="(866) 555-4444")) == meant
    assert len(meant) == 1


def test_all_is_no_restriction(callcap: Callcap, calls: list[Call]) -> None:
    """`all`, an empty text and a maximum of 600 seconds or more limit nothing."""
    found = ids_found(
        callcap,
        conversation_type="all",
        search_direction="all",
        search_duration_min="0",
        search_duration_max="600",
        search_csr="",
    )
    assert len(found) == len(calls)


def test_every_filter_has_a_reading() -> None:
    """No filter is left without a test of its own."""
    tested = {name for params, _ in READINGS.values() for name in params}
    assert FILTER_NAMES - tested == {"search_csr"}


def test_a_call_without_sections_passes_no_filter_on_them(open_callcap: Open) -> None:
    """What a call does not have cannot match, and does not break the search or its order."""
    bare: Call = {
        **dict.fromkeys(CALL_FIELDS),
        "call_id": "1_1",
        "action": "Answer",
        "last_modified": NOW,
    }
    callcap = open_callcap([bare])
    for params, _ in READINGS.values():
        if set(params) & {"corporate_id", "search_csr", "search_caller_id", "search_term"}:
            assert ids_found(callcap, **params) == []
    for order in ("newest", "account", "callerid", "callername", "callsurance"):
        assert ids_found(callcap, order=order) == ["1_1"]


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
    """A value that is not documented is answered with a 400 in JSON that says what is wrong."""
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
    is_descending: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Each order sorts all calls as its description says."""
    keys = [key(callcap.book[call_id]) for call_id in ids_found(callcap, order=order)]
    assert keys == sorted(keys, reverse=is_descending)  # type: ignore[type-var]
    assert len(keys) == len(callcap.book)


def test_the_newest_come_first_unless_asked_otherwise(callcap: Callcap) -> None:
    """`newest` is the default order, and 50 the default page size."""
    first = body(callcap, search_startdate="2000-01-01", search_enddate="2026-03-16")
    assert first["pagination"]["show"] == 50
    assert [c["call_id"] for c in first["call"]] == ids_found(callcap, order="newest")[:50]


def test_the_date_trap(callcap: Callcap, calls: list[Call]) -> None:
    """A search for edits that sends no dates silently sees calls of yesterday and today only."""
    trapped = body(callcap, search_last_modified_start="2026-03-10", show="1000")
    yesterday = datetime(2026, 3, 14, tzinfo=CENTRAL)
    meant = {
        call["call_id"]
        for call in calls
        if yesterday <= call["start_datetime"] < datetime(2026, 3, 16, tzinfo=CENTRAL)
    }
    assert {call["call_id"] for call in trapped["call"]} == meant
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
    """A shortcut stands for its days in the search's zone, and the dates besides do not count."""
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
    ages = [timedelta(minutes=minutes, seconds=seconds) for seconds in (-1, 0, 1)]
    some = [
        {**calls[0], "call_id": str(number), "start_datetime": NOW - age, "last_modified": NOW}
        for number, age in enumerate(ages)
    ]
    assert ids_found(open_callcap(some), search_range=f"last{minutes}minutes") == ["0", "1"]


def test_dates_are_days_of_the_search_zone(callcap: Callcap, calls: list[Call]) -> None:
    """Both dates are whole days, the last one included, wherever the search's zone puts them."""
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


def test_last_modified_is_compared_by_the_minute(callcap: Callcap, calls: list[Call]) -> None:
    """Without moods the minutes of both ends are included, and both filters are combined."""
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
    """Basic fields always come, the others where `detail` names them; `all` is not everything."""
    params = {} if detail is None else {"detail": detail}
    for call in body(callcap, **ALWAYS, **params)["call"]:
        assert set(call) == BASIC | more


def test_everything_shows_the_whole_call(callcap: Callcap) -> None:
    """The longest `detail` shows every field of the vendor's example as the page prints it."""
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
    """`call_id` finds an old call without dates, and nothing when there is no such call."""
    assert body(callcap, call_id="987654_23_11_19_2012_17:07:29_12")["call"]
    assert body(callcap, call_id="1")["call"] == []
