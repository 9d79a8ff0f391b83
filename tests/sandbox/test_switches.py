"""Each switch does what its description says, and each one is tested."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from support.sandbox_requests import ALWAYS, EVERYTHING, NOW, asked, body, ids_found
from tap_callcap.sandbox import VENDOR_EXAMPLE, CallBook, Callcap, Switches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.sandbox_requests import Open
    from tap_callcap.sandbox import Answer, Call

UTC = timezone.utc
NOTHING = {**ALWAYS, "search_last_modified_end": "1990-01-01"}
ONE = f"/get/calls/{VENDOR_EXAMPLE['call_id']}/"
MINUTE = datetime(2026, 1, 5, 10, 4, tzinfo=UTC)
BARE: Call = {
    **VENDOR_EXAMPLE,
    "call_id": "bare",
    "dtmf": None,
    "end_datetime": None,
    "caller": {**VENDOR_EXAMPLE["caller"], "name": None},
    "callsaver": None,
    "callsurance": None,
    "summaries": None,
    "scorecards": None,
}


def around_the_minute() -> list[Call]:
    """Return calls modified before 10:04, at its start, within it, at its end and after it."""
    seconds = {"9:59": -1, "4:00": 0, "4:01": 1, "4:30": 30, "4:59": 59, "5:00": 60}
    return [
        {**VENDOR_EXAMPLE, "call_id": name, "last_modified": MINUTE + timedelta(seconds=offset)}
        for name, offset in seconds.items()
    ]


IN_UTC = {
    **ALWAYS,
    "search_timezone": "UTC",
    "search_last_modified_start": "2025-11-02 07:05",
    "search_last_modified_end": "2025-11-02 07:15",
}
DIVISION = {"account_type": "division", "account_id": "1669"}
FAILING = {"broken_calls": frozenset({VENDOR_EXAMPLE["call_id"]})}
# Switches that have an effect only with others.
NEEDED: Mapping[str, dict[str, Any]] = {
    "rate_window": {"requests_per_minute": 1},
    "retry_after": {"requests_per_minute": 1},
    "rate_limit_code": {"requests_per_minute": 1},
    "stored_hour": {"stored_timezone": "US/Central"},
    "stored_filter": {"stored_timezone": "US/Central"},
    "date_ahead_every": {"date_ahead": timedelta(hours=1)},
    "failure": FAILING,
    "hidden_rows": {"hidden_calls": frozenset({"1"})},
    "repeats_counted": {"repeated_calls": frozenset({"1"})},
    "redirect_code": {"trailing_slash": "removed"},
    "redirect_query": {"trailing_slash": "removed"},
}
# For each switch: a value other than its default, and a request that is answered otherwise with it.
DIFFERENCES: Mapping[str, tuple[object, str, Mapping[str, str]]] = {
    "empty_search": ("404", "/get/calls/", NOTHING),
    "start_minute": (
        "exclusive",
        "/get/calls/",
        {**ALWAYS, "search_last_modified_start": "2021-11-01 19:10"},
    ),
    "end_minute": (
        "excludes",
        "/get/calls/",
        {**ALWAYS, "search_last_modified_end": "2021-11-01 19:10"},
    ),
    "filter_timezone": ("Asia/Tokyo", "/get/calls/", IN_UTC),
    "stored_timezone": ("US/Central", "/get/calls/second pass/", {"search_timezone": "UTC"}),
    "stored_hour": ("second", "/get/calls/second pass/", {"search_timezone": "UTC"}),
    "stored_filter": ("wall_times", "/get/calls/", IN_UTC),
    "date_ahead": (timedelta(hours=1), ONE, {}),
    "date_ahead_every": (2, ONE, {}),
    "failure": ("504", ONE, {}),
    "wide_search_fails_after": (timedelta(days=1), "/get/calls/", ALWAYS),
    "broken_minutes": (frozenset({MINUTE}), "/get/calls/", ALWAYS),
    "broken_calls": (frozenset({VENDOR_EXAMPLE["call_id"]}), ONE, {}),
    "broken_accounts": (frozenset({1669}), "/get/accounts/", DIVISION),
    "missing_accounts": (frozenset({1669}), "/get/accounts/", DIVISION),
    "bad_key": ("200", "/get/calls/", {"key": "wrong"}),
    "rate_limit_code": ("420", ONE, {}),
    "hidden_calls": (frozenset({"1"}), "/get/calls/", ALWAYS),
    "hidden_rows": ("closed_up", "/get/calls/", {**ALWAYS, "show": "5"}),
    "uncounted_calls": (frozenset({"1"}), "/get/calls/", ALWAYS),
    "repeated_calls": (frozenset({"1"}), "/get/calls/", ALWAYS),
    "repeats_counted": (False, "/get/calls/", ALWAYS),
    "calls_without_id": (frozenset({"1"}), "/get/calls/", ALWAYS),
    "calls_without_last_modified": (frozenset({"1"}), "/get/calls/", ALWAYS),
    "row_lost_every": (2, "/get/calls/", ALWAYS),
    "count_age": (timedelta(days=9999), "/get/calls/", ALWAYS),
    "total_cap": (3, "/get/calls/", ALWAYS),
    "total_of": ("page", "/get/calls/", {**ALWAYS, "show": "2"}),
    "last_page": ("down", "/get/calls/", {**ALWAYS, "show": "20"}),
    "counts": ("float", "/get/calls/", ALWAYS),
    "trailing_slash": ("removed", ONE, {}),
    "redirect_code": ("302", ONE, {}),
    "redirect_query": ("dropped", ONE, {"detail": "notes"}),
    "end_date": ("excludes", "/get/calls/", {**ALWAYS, "search_enddate": "2020-09-01"}),
    "same_dates": ("accepted", "/get/calls/", {**ALWAYS, "search_enddate": "2000-01-01"}),
    "repeated_hour": (
        "first",
        "/get/calls/",
        {**ALWAYS, "search_last_modified_end": "2025-11-02 01:30"},
    ),
    "utc": ("refused", ONE, {"search_timezone": "UTC"}),
    "refused_timezones": (frozenset({"UTC"}), ONE, {"search_timezone": "UTC"}),
    "login_timezone": ("US/Arizona", ONE, {}),
    "zone_echo": (False, ONE, {}),
    "ties": ("shuffled", "/get/calls/", ALWAYS),
    "page_beyond_last": ("404", "/get/calls/", {**ALWAYS, "page": "9"}),
    "requests_per_minute": (1, ONE, {}),
    "rate_window": (timedelta(0), ONE, {}),
    "retry_after": ("seconds", ONE, {}),
    "max_range_days": (1.5, "/get/calls/", ALWAYS),
    "max_page": (1, "/get/calls/", {**ALWAYS, "show": "1", "page": "2"}),
    "max_total": (3, "/get/calls/", ALWAYS),
    "show_cap": (3, "/get/calls/", ALWAYS),
    "visible_after": (timedelta(days=9999), ONE, {}),
    "single_call": ("object", ONE, {}),
    "absent": ("missing", "/get/calls/bare/", {}),
    "dialect": ("coldfusion", ONE, {}),
    "callsaver_detail": ("with_all", ONE, {"detail": "notes"}),
    "unknown_fields": (True, ONE, {}),
    "unknown_parameters": ("ignored", ONE, {"colour": "blue"}),
    "date_header": (False, ONE, {}),
    "latency": (0.25, ONE, {}),
}


def answers_in(switches: Switches, path: str, params: Mapping[str, str]) -> list[Answer | float]:
    """Return two answers to the same request, and the seconds slept for both."""
    book = CallBook(
        [
            VENDOR_EXAMPLE,
            BARE,
            *({**VENDOR_EXAMPLE, "call_id": str(number)} for number in range(30)),
            {
                **VENDOR_EXAMPLE,
                "call_id": "second pass",
                "last_modified": datetime(2025, 11, 2, 7, 10, tzinfo=UTC),
            },
        ],
    )
    slept: list[float] = []
    callcap = Callcap(book, switches=switches, clock=lambda: NOW, sleep=slept.append)
    key = f"Bearer {params.get('key', 'sandbox')}"
    answers = [callcap.answer(f"/v2{path}", params, key) for _ in range(2)]
    return [*answers, sum(slept)]


@pytest.mark.parametrize("switch", [field.name for field in dataclasses.fields(Switches)])
def test_every_switch_makes_a_difference(switch: str) -> None:
    """Every switch has an effect, and an entry in the table."""
    value, path, params = DIFFERENCES[switch]
    others = NEEDED.get(switch, {})
    plain = answers_in(Switches(**others), path, params)
    assert answers_in(Switches(**{**others, switch: value}), path, params) != plain


@pytest.mark.parametrize(
    ("switch", "status", "content"),
    [
        ("list", 200, {"call": [], "last_page": 1}),
        ("null", 200, {"call": None, "last_page": 1}),
        ("missing", 200, {"last_page": 1}),
        ("last_page_0", 200, {"call": [], "last_page": 0}),
        ("404", 404, {"status": "not found"}),
        ("204", 204, None),
    ],
)
def test_an_empty_search(
    open_callcap: Open,
    switch: str,
    status: int,
    content: dict[str, object] | None,
) -> None:
    """A search without results is answered in one of six ways."""
    answer = asked(open_callcap(empty_search=switch), **NOTHING)
    assert answer.status == status
    if content is None:
        assert not answer.body
        return
    read: dict[str, Any] = json.loads(answer.body)
    if status == 200:
        assert read["pagination"]["total_records"] == read["pagination"]["records_returned"] == 0
        found = {name: read[name] for name in ("call",) if name in read}
        assert {**found, "last_page": read["pagination"]["last_page"]} == content
    else:
        assert read["status"] == content["status"]


@pytest.mark.parametrize(
    ("switch", "found"),
    [
        ("inclusive", {"4:00", "4:01", "4:30", "4:59", "5:00"}),
        ("exclusive", {"5:00"}),
    ],
)
def test_the_minute_of_a_start(open_callcap: Open, switch: str, found: set[str]) -> None:
    """The minute given as start is included, or is not."""
    callcap = open_callcap(around_the_minute(), start_minute=switch)
    params = {"search_last_modified_start": "2026-01-05 10:04", "search_timezone": "UTC"}
    assert set(ids_found(callcap, **params)) == found
    whole_day = {"search_last_modified_start": "2026-01-05", "search_timezone": "UTC"}
    assert len(ids_found(callcap, **whole_day)) == 6


@pytest.mark.parametrize(
    ("switch", "found"),
    [
        ("includes", {"9:59", "4:00", "4:01", "4:30", "4:59"}),
        ("excludes", {"9:59"}),
        ("on_the_dot", {"9:59", "4:00"}),
    ],
)
def test_the_minute_of_an_end(open_callcap: Open, switch: str, found: set[str]) -> None:
    """The minute given as end is included, is not, or only with its first second."""
    callcap = open_callcap(around_the_minute(), end_minute=switch)
    params = {"search_last_modified_end": "2026-01-05 10:04", "search_timezone": "UTC"}
    assert set(ids_found(callcap, **params)) == found
    whole_day = {"search_last_modified_end": "2026-01-05", "search_timezone": "UTC"}
    assert len(ids_found(callcap, **whole_day)) == 6


@pytest.mark.parametrize(
    ("switch", "echoed", "start"),
    [
        ("accepted", "UTC", "2020-09-01 14:07:15"),
        ("alias", "Etc/UTC", "2020-09-01 14:07:15"),
        ("ignored", "US/Central", "2020-09-01 09:07:15"),
    ],
)
def test_utc(open_callcap: Open, switch: str, echoed: str, start: str) -> None:
    """UTC is used, used under another name, or ignored; the echo says which."""
    content = body(open_callcap(utc=switch), ONE, search_timezone="UTC")
    assert content["search"]["timezone"] == echoed
    assert content["call"][0]["start_datetime"] == start


def test_refused_zones(open_callcap: Open) -> None:
    """Refused zones, and UTC under any of its names, are a 400; others are used."""
    callcap = open_callcap(utc="refused", refused_timezones=frozenset({"US/Arizona"}))
    for zone in ("UTC", "Etc/UTC", "Zulu", "US/Arizona"):
        assert asked(callcap, ONE, search_timezone=zone).status == 400
    assert body(callcap, ONE, search_timezone="US/Pacific")["search"]["timezone"] == "US/Pacific"


def test_no_echo_of_the_zone(open_callcap: Open) -> None:
    """Without `zone_echo` no answer has a `search`."""
    callcap = open_callcap(zone_echo=False)
    assert "search" not in body(callcap, ONE)
    assert "search" not in body(callcap, **ALWAYS)


@pytest.mark.parametrize(
    ("switch", "retry_after"),
    [("none", None), ("seconds", "48"), ("date", "Sun, 15 Mar 2026 17:43:10 GMT")],
)
def test_too_many_requests(calls: list[Call], switch: str, retry_after: str | None) -> None:
    """Too many requests within a minute are a 429, until the minute is over."""
    switches = Switches(requests_per_minute=2, retry_after=switch)  # type: ignore[arg-type]  # parametrized
    callcap = Callcap(CallBook(calls), switches=switches, clock=lambda: NOW)
    assert asked(callcap, ONE).status == 200
    callcap.advance(timedelta(seconds=12))
    assert [asked(callcap, ONE).status for _ in range(2)] == [200, 429]
    refused = asked(callcap, ONE)
    assert refused.headers.get("Retry-After") == retry_after
    assert json.loads(refused.body)["status"] == "error"
    callcap.advance(timedelta(seconds=48))
    assert [asked(callcap, ONE).status for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(
    ("params", "status"),
    [
        (
            {"search_last_modified_start": "2026-03-01", "search_last_modified_end": "2026-03-03"},
            200,
        ),
        (
            {"search_last_modified_start": "2026-03-01", "search_last_modified_end": "2026-03-04"},
            400,
        ),
        ({"search_last_modified_start": "2026-03-14"}, 200),
        ({"search_last_modified_start": "2026-03-01"}, 400),
        ({"search_last_modified_end": "2026-03-01"}, 400),
        ({}, 400),
        ({"search_startdate": "2026-03-01", "search_enddate": "2026-03-03"}, 200),
        ({"call_id": "1"}, 200),
    ],
)
def test_a_range_too_long(open_callcap: Open, params: dict[str, str], status: int) -> None:
    """`max_range_days` limits last_modified if it is filtered, otherwise the dates."""
    callcap = open_callcap(max_range_days=3)
    assert asked(callcap, **{**ALWAYS, **params}).status == status


def test_edits_show_up_late(open_callcap: Open) -> None:
    """Until `visible_after` has passed, an edit shows the old version, a new call nothing."""
    old = {**VENDOR_EXAMPLE, "revenue": 1}
    callcap = open_callcap([old], visible_after=timedelta(minutes=10))
    call_id = old["call_id"]
    callcap.book.edit(call_id, at=NOW - timedelta(minutes=30), revenue=2)
    callcap.book.edit(call_id, at=NOW, revenue=3)
    callcap.book.add({**old, "call_id": "new", "start_datetime": NOW, "last_modified": NOW})

    def shown() -> tuple[list[int], list[int]]:
        """Return the revenues that a search and a request for the single call show."""
        found = body(callcap, **ALWAYS)["call"]
        one = body(callcap, ONE)["call"]
        return [call["revenue"] for call in found], [call["revenue"] for call in one]

    assert shown() == ([2], [2])
    assert asked(callcap, "/get/calls/new/").status == 404
    assert ids_found(callcap, call_id="new") == []
    edited = {"search_last_modified_start": "2026-03-15 12:30"}
    assert ids_found(callcap, **edited) == []
    callcap.advance(timedelta(minutes=10))
    assert shown() == ([1, 3], [3])
    assert set(ids_found(callcap, **edited)) == {"new", call_id}
    callcap.book.delete(call_id)
    assert ids_found(callcap) == ["new"]


def test_a_single_call(open_callcap: Open) -> None:
    """A single call is in a list, an object, or at the top level."""
    listed, alone, top = (
        body(open_callcap(single_call=switch), ONE) for switch in ("list", "object", "top_level")
    )
    assert listed["call"] == [alone["call"]]
    assert listed["pagination"]["total_records"] == 1
    assert top == {"status": "success", "search": alone["search"], **alone["call"]}


def test_what_is_absent(open_callcap: Open) -> None:
    """A field without a value is null, missing, or empty."""
    null, missing, empty = (
        body(open_callcap([BARE], absent=switch), "/get/calls/bare/", detail=EVERYTHING)["call"][0]
        for switch in ("null", "missing", "empty")
    )
    absent = {"dtmf", "end_datetime", "callsaver", "callsurance", "summaries", "scorecards"}
    assert {name for name, value in null.items() if value is None} == absent
    assert null["caller"]["name"] is None
    assert set(missing) == set(null) - absent
    assert "name" not in missing["caller"]
    assert {name: empty[name] for name in absent} == {
        "dtmf": "",
        "end_datetime": "",
        "callsaver": {},
        "callsurance": {},
        "summaries": [],
        "scorecards": [],
    }
    assert not empty["caller"]["name"]
    assert empty["demographics"] == null["demographics"] == missing["demographics"]


def test_coldfusion(open_callcap: Open) -> None:
    """In ColdFusion's dialect numbers and booleans are text, null is "" and {} is []."""
    callcap = open_callcap([VENDOR_EXAMPLE, BARE], dialect="coldfusion")
    content = body(callcap, **{**ALWAYS, "detail": EVERYTHING})
    assert content["pagination"]["total_records"] == "2"
    calls = {call["call_id"]: call for call in content["call"]}
    call = calls[VENDOR_EXAMPLE["call_id"]]
    assert call["duration"] == "570"
    assert call["sentiment"]["satisfied"] == "true"
    assert call["sentiment"]["frustrated"] == "false"
    assert call["scorecards"][0]["results"][0]["answers"][0]["max_value"] == "8.0000"
    assert call["demographics"]["person"] == []
    assert calls["bare"]["callsaver"] == calls["bare"]["end_datetime"]
    assert not calls["bare"]["callsaver"]


def test_unknown_fields(open_callcap: Open) -> None:
    """Undocumented fields come at the top level, in objects, and in objects in lists."""
    callcap = open_callcap([VENDOR_EXAMPLE], unknown_fields=True)
    (call,) = body(callcap, **{**ALWAYS, "detail": EVERYTHING})["call"]
    assert set(call) - set(VENDOR_EXAMPLE) == {"queue_seconds", "ai_topics"}
    assert "line_type" in call["caller"]
    assert "language" in call["summaries"][0]
    (plain,) = body(callcap, **{**ALWAYS, "detail": "notes"})["call"]
    assert "caller" not in plain


def test_callsaver_with_all_only(open_callcap: Open) -> None:
    """`callsaver` is always shown, or only with `all`."""
    callcap = open_callcap([VENDOR_EXAMPLE], callsaver_detail="with_all")
    assert "callsaver" in body(callcap, ONE)["call"][0]
    assert "callsaver" not in body(callcap, ONE, detail="notes")["call"][0]


def test_latency_is_between_reading_and_the_date(calls: list[Call]) -> None:
    """The book is read before the latency, and the Date is taken after it."""
    time = [NOW]

    def sleep(seconds: float) -> None:
        time[0] += timedelta(seconds=seconds)
        callcap.book.delete(VENDOR_EXAMPLE["call_id"])

    switches = Switches(latency=5)
    callcap = Callcap(CallBook(calls), switches=switches, clock=lambda: time[0], sleep=sleep)
    answer = asked(callcap, ONE)
    assert answer.status == 200
    assert answer.headers["Date"] == "Sun, 15 Mar 2026 17:42:15 GMT"
