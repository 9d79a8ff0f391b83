"""Every filter of a search, checked against a plain predicate over the same calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from support.sandbox_requests import NOW, ids_found, major_of, only_digits
from tap_callcap.sandbox.call import CALL_FIELDS
from tap_callcap.sandbox.filters import FILTER_NAMES
from tap_callcap.sandbox.world import MEDIUMS

if TYPE_CHECKING:
    from support.sandbox_requests import Open
    from tap_callcap.sandbox import Call, Callcap

CENTRAL = ZoneInfo("US/Central")
Coerce = Callable[["Call"], object]


def csr_of(call: Call) -> object:
    """Return the id of the call taker, None without one."""
    return call["callsurance"]["csr"]["id"] if call["callsurance"] else None


def change_of(call: Call) -> str | None:
    """Return the status of a call's change request."""
    rating = call["callsurance"] or {}
    return (rating.get("change_request") or {}).get("status")


READINGS: dict[str, tuple[dict[str, str], Coerce]] = {
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
    "longest, and not longer": (
        {"search_duration_max": "570"},
        lambda c: (c["duration"] or 0) <= 570,
    ),
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
    reading: Coerce,
) -> None:
    """A filter finds exactly the calls that its description names."""
    meant = {call["call_id"] for call in calls if reading(call)}
    found = ids_found(callcap, **params)
    assert len(found) == len(set(found))
    assert set(found) == meant
    assert 0 < len(meant) < len(calls)


def test_the_filter_on_call_takers(callcap: Callcap, calls: list[Call]) -> None:
    """`search_csr` takes several ids; one of them may be unknown."""
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
    """`all`, an empty text and a maximum of 600 seconds or more filter nothing."""
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
    """Every filter has a test."""
    tested = {name for params, _ in READINGS.values() for name in params}
    assert FILTER_NAMES - tested == {"search_csr"}


def test_a_call_without_sections_passes_no_filter_on_them(open_callcap: Open) -> None:
    """A call without a value does not match a filter on it, and breaks neither search nor order."""
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
