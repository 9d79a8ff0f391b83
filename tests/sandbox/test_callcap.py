"""The API without its search: keys, paths, accounts, and calls that arrive over time."""

from __future__ import annotations

import json
from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from support.sandbox_requests import ALWAYS, NOW, asked, body, ids_found
from tap_callcap.sandbox import VENDOR_EXAMPLE, Answer, Asked, CallBook, Callcap
from tap_callcap.sandbox.callcap import real_time

if TYPE_CHECKING:
    from support.sandbox_requests import Open
    from tap_callcap.sandbox import Call

ID = VENDOR_EXAMPLE["call_id"]


@pytest.mark.parametrize("key", [None, "", "sandbox", "Bearer", "Bearer x", "Basic sandbox"])
def test_a_bad_key(callcap: Callcap, key: str | None) -> None:
    """Without the right key every path is a 401 with the documented header and body."""
    for path in ("/v2/get/calls/", "/v2/nowhere/"):
        answer = callcap.answer(path, {}, key)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="https://api.callcap.com/v2/"'
        assert answer.body == b'{"status":"unauthorized","message":"Your key is invalid"}'


@pytest.mark.parametrize(
    "path",
    [
        "/get/calls",
        "/get/",
        "/",
        "/get/calls/1/",
        "/get/calls/1/2/",
        "/get/callsurance/",
        "/get/callsurance/csrs/1/",
        "/get/callsurance/csrs/x/",
    ],
)
def test_paths_that_do_not_exist(callcap: Callcap, path: str) -> None:
    """A path or an object that does not exist is a 404 in JSON."""
    answer = asked(callcap, path)
    assert answer.status == 404
    assert json.loads(answer.body)["status"] == "not found"


def test_answers_are_json_with_the_servers_time(callcap: Callcap, open_callcap: Open) -> None:
    """Every answer is declared as JSON and, unless switched off, has the server's time."""
    answer = asked(callcap, **ALWAYS)
    assert answer.headers == {
        "Content-Type": "application/json; charset=utf-8",
        "Date": "Sun, 15 Mar 2026 17:42:10 GMT",
    }
    assert "Date" not in asked(open_callcap(date_header=False)).headers


def test_a_single_call_by_its_path(callcap: Callcap) -> None:
    """A call is found by its id, percent-encoded or not, in the requested zone and detail."""
    quoted = ID.replace(":", "%3A")
    assert body(callcap, f"/get/calls/{ID}/") == body(callcap, f"/get/calls/{quoted}/")
    one = body(callcap, f"/get/calls/{ID}/", search_timezone="UTC", detail="notes")
    assert one["call"][0]["start_datetime"] == "2020-09-01 14:07:15"
    assert one["call"] == body(callcap, call_id=ID, search_timezone="UTC", detail="notes")["call"]
    assert asked(callcap, f"/get/calls/{ID}/", show="10").status == 400


def test_requests_are_recorded(callcap: Callcap) -> None:
    """Every request is recorded with its parameters, its time, and its status."""
    callcap.answer("/v2/get/calls/", {"page": "1"})
    asked(callcap, "/get/calls/1/")
    assert callcap.requests == [
        Asked("/v2/get/calls/", {"page": "1"}, NOW, 401, NOW),
        Asked("/v2/get/calls/1/", {}, NOW, 404, NOW),
    ]


def test_the_book_can_change_before_any_answer(callcap: Callcap) -> None:
    """The hook runs before each request reads the book; it can change the book and the clock."""

    def forget(request: Asked) -> None:
        assert request.status is None
        callcap.book.delete(min(callcap.book.ids))
        callcap.advance(timedelta(days=1))

    callcap.before_answer = forget
    totals = [body(callcap, **ALWAYS)["pagination"]["total_records"] for _ in range(3)]
    assert totals == [899, 898, 897]
    assert callcap.requests[-1].answered_at == NOW + timedelta(days=3)


def test_a_search_is_of_the_time_after_the_hook(open_callcap: Open) -> None:
    """A clock that the hook moves on has moved before the book is read."""
    callcap = open_callcap([{**VENDOR_EXAMPLE, "last_modified": NOW}], visible_after=timedelta(1))
    assert ids_found(callcap) == []
    callcap.before_answer = lambda _: callcap.advance(timedelta(1))
    assert ids_found(callcap) == [ID]


def test_an_answer_can_be_replaced(callcap: Callcap) -> None:
    """An answer that the hook returns is sent instead of the API's own."""
    callcap.before_answer = lambda _: Answer(503, b"<html>", {"Retry-After": "1"})
    answer = asked(callcap)
    assert (answer.status, answer.body) == (503, b"<html>")
    assert answer.headers["Retry-After"] == "1"
    assert callcap.requests[0].status == 503


def tree(callcap: Callcap, **params: str) -> set[tuple[Any, ...]]:
    """Return the ids of all accounts below one, each as a path from the top."""
    answer = body(callcap, "/get/accounts/", **params)
    above = params.get("account_id")
    found: set[tuple[Any, ...]] = set()
    for child in answer["children"]:
        deeper = tree(
            callcap,
            account_type=child["account_type"],
            account_id=str(child["account_id"]),
        )
        found |= {(child["account_id"], *rest) for rest in deeper} or {(child["account_id"],)}
    assert (answer["info"] == "All accessible corporate accounts") == (above is None)
    return found


def test_accounts_are_those_of_the_calls(callcap: Callcap, calls: list[Call]) -> None:
    """Walked from the top, the accounts are exactly those of the calls."""
    levels = ("corporate", "division", "location")
    meant = {tuple(call["accounts"][level]["id"] for level in levels) for call in calls}
    assert tree(callcap) == meant


def test_one_account(callcap: Callcap) -> None:
    """An account comes with its type, its name and its parent, by its id or its external id."""
    by_id = body(callcap, "/get/accounts/", account_type="location", account_id="222222")
    assert by_id == {
        "status": "success",
        "info": {
            "account_type": "location",
            "account_name": "Example Location No. 3555",
            "account_id": 222222,
            "parent": {
                "account_type": "division",
                "account_name": "Midwest",
                "account_id": 1669,
            },
        },
        "children": [],
    }
    assert body(callcap, "/get/accounts/", location_external_id="abc987") == by_id
    division = body(callcap, "/get/accounts/", division_external_id="abc123")
    assert division["children"][0]["account_id"] == 222222
    corporate = body(callcap, "/get/accounts/", account_type="corporate", account_id="1")
    assert corporate["info"]["parent"] is None


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"account_type": "division"}, 400),
        ({"account_id": "1"}, 400),
        ({"account_type": "campaign", "account_id": "1"}, 400),
        ({"account_type": "division", "account_id": "x"}, 400),
        ({"account_type": "division", "account_id": "5"}, 404),
        ({"location_external_id": "nowhere"}, 404),
        ({"page": "1"}, 400),
    ],
)
def test_accounts_that_are_not_there(
    callcap: Callcap,
    params: dict[str, str],
    status: int,
) -> None:
    """Incomplete parameters are a 400, an account that does not exist is a 404."""
    assert asked(callcap, "/get/accounts/", **params).status == status


def test_no_calls_have_no_accounts(open_callcap: Open) -> None:
    """Without calls, or with calls that name no account, the account list is empty."""
    assert body(open_callcap([]), "/get/accounts/")["children"] == []
    stray = {**VENDOR_EXAMPLE, "accounts": None}
    assert body(open_callcap([stray]), "/get/accounts/")["children"] == []


def test_call_takers_are_those_of_the_calls(callcap: Callcap, calls: list[Call]) -> None:
    """The call takers are those of the calls, with access to the locations of their calls."""
    places: dict[int, set[int]] = {}
    names: dict[int, str] = {}
    for call in calls:
        if call["callsurance"] and call["callsurance"]["csr"]["id"]:
            csr = call["callsurance"]["csr"]
            names[csr["id"]] = csr["name"]
            places.setdefault(csr["id"], set()).add(call["accounts"]["location"]["id"])
    listed = body(callcap, "/get/callsurance/csrs/")["csr"]
    assert {csr["csr_id"]: csr["csr_name"] for csr in listed} == names
    for csr in listed:
        assert {place["account_id"] for place in csr["access"]} == places[csr["csr_id"]]
    first = listed[0]
    one = body(callcap, f"/get/callsurance/csrs/{first['csr_id']}/")
    assert one["csr"] == [first]
    location = first["access"][0]["account_id"]
    there = body(callcap, "/get/callsurance/csrs/", location_id=str(location))["csr"]
    assert {csr["csr_id"] for csr in there} == {i for i, at in places.items() if location in at}
    named = body(callcap, "/get/callsurance/csrs/", search_term=first["csr_name"].upper())["csr"]
    assert first in named
    assert len(named) < len(listed)


def test_call_takers_of_many_places(open_callcap: Open) -> None:
    """A call taker of several corporates has global access, one of many locations the corporate."""

    def taken(number: int, csr: int, corporate: int, location: int) -> Call:
        accounts = {
            **VENDOR_EXAMPLE["accounts"],
            "corporate": {"id": corporate, "name": "A"},
            "location": {**VENDOR_EXAMPLE["accounts"]["location"], "id": location},
        }
        rating = {**VENDOR_EXAMPLE["callsurance"], "csr": {"id": csr, "name": None}}
        return {
            **VENDOR_EXAMPLE,
            "call_id": str(number),
            "accounts": accounts,
            "callsurance": rating,
        }

    callcap = open_callcap(
        [taken(n, 1, n, n) for n in range(1, 3)] + [taken(n, 2, 7, n) for n in range(10, 14)],
    )
    access = {c["csr_id"]: c["access"] for c in body(callcap, "/get/callsurance/csrs/")["csr"]}
    assert access == {1: "global", 2: [{"account_type": "corporate", "account_id": 7}]}
    elsewhere = body(callcap, "/get/callsurance/csrs/", corporate_id="5")["csr"]
    assert [csr["csr_id"] for csr in elsewhere] == [1]


def test_time_can_be_advanced(callcap: Callcap, calls: list[Call]) -> None:
    """Advancing moves the clock on, and spreads new calls and edits over the time between."""
    callcap.advance(timedelta(hours=2), new_calls=5, edits=20)
    assert callcap.now() == NOW + timedelta(hours=2)
    assert len(callcap.book) == len(calls) + 5
    found = ids_found(
        callcap,
        search_last_modified_start="2026-03-15 17:42",
        search_last_modified_end="2026-03-15 19:42",
        search_timezone="UTC",
    )
    assert 20 <= len(found) <= 25
    assert asked(callcap).headers["Date"] == "Sun, 15 Mar 2026 19:42:10 GMT"


def test_calls_keep_coming(calls: list[Call]) -> None:
    """With `live=2`, each request first adds the two calls and two edits of each minute passed."""
    time = [NOW]
    callcap = Callcap(CallBook(calls), clock=lambda: time[0], live=2)
    asked(callcap)
    assert len(callcap.book) == 900
    time[0] += timedelta(seconds=20)
    asked(callcap)
    assert len(callcap.book) == 900
    time[0] += timedelta(seconds=160)
    asked(callcap)
    assert len(callcap.book) == 906
    assert all(call["last_modified"] < time[0] for call in callcap.book)
    callcap.advance(timedelta(hours=1))
    asked(callcap)
    assert len(callcap.book) == 906


def test_the_real_clock_is_utc() -> None:
    """By default Callcap has the clock of this machine, in UTC."""
    before = real_time()
    callcap = Callcap(CallBook())
    assert timedelta(0) <= callcap.now() - before < timedelta(minutes=1)
    assert callcap.now().utcoffset() == timedelta(0)


def test_threads_may_ask_while_the_book_changes(callcap: Callcap) -> None:
    """Requests and changes from several threads at once leave every page consistent."""
    statuses: list[int] = []

    def ask() -> None:
        for page in range(1, 10):
            content = body(callcap, **{**ALWAYS, "show": "100", "page": str(page)})
            statuses.append(content["pagination"]["total_records"])

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for call_id in sorted(callcap.book.ids)[:50]:
        callcap.book.edit(call_id, at=NOW, revenue=1)
    for thread in threads:
        thread.join()
    assert statuses == [900] * 36
    assert len(callcap.requests) == 36
