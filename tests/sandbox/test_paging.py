"""The pages of a search are a partition of its calls."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.sandbox_requests import ALWAYS, asked, body, ids_found

if TYPE_CHECKING:
    from support.sandbox_requests import Open
    from tap_callcap.sandbox import Call, Callcap

ORDERS = ("newest", "oldest", "account", "callerid", "callername", "callsurance")


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the calls never change here
)
@given(
    show=st.integers(7, 1000),
    order=st.sampled_from(ORDERS),
    action=st.sampled_from(("", "ans", "missed", "blocked")),
)
def test_pages_are_a_partition(callcap: Callcap, show: int, order: str, action: str) -> None:
    """The pages up to the last one have each call once, in order, and the total is right."""
    params = {"order": order, "search_action": action, "show": str(show)}
    first = body(callcap, **{**ALWAYS, **params})["pagination"]
    found = ids_found(callcap, **params)
    assert found == ids_found(callcap, **{**params, "show": "1000"})
    assert len(set(found)) == len(found) == first["total_records"]
    assert (first["last_page"] - 1) * show < len(found) <= first["last_page"] * show


def test_pagination_says_what_is_on_the_page(callcap: Callcap) -> None:
    """The last page holds the rest, and `records_returned` counts it."""
    content = body(callcap, **{**ALWAYS, "show": "400", "page": "3"})
    assert content["pagination"] == {
        "page": 3,
        "last_page": 3,
        "records_returned": 100,
        "show": 400,
        "total_records": 900,
    }
    assert len(content["call"]) == 100


def test_ties_are_stable(open_callcap: Open, calls: list[Call]) -> None:
    """Calls with equal sort keys are ordered by call_id, whatever the filters."""
    tied = [{**calls[0], "call_id": str(number)} for number in (3, 1, 2)]
    callcap = open_callcap(tied)
    assert ids_found(callcap, order="oldest") == ["1", "2", "3"]
    assert ids_found(callcap, order="newest") in (["1", "2", "3"], ["3", "2", "1"])
    assert ids_found(callcap, search_last_modified_start="2021-01-01") == ["1", "2", "3"]
    earlier = {**calls[0], "last_modified": calls[0]["last_modified"] - timedelta(days=1)}
    same_account = [calls[0], {**earlier, "call_id": "9999999"}]
    assert ids_found(open_callcap(same_account), order="account") == [
        calls[0]["call_id"],
        "9999999",
    ]


def test_shuffled_ties(open_callcap: Open, calls: list[Call]) -> None:
    """With `shuffled`, only ties change their order from one answer to the next."""
    tied = [{**calls[0], "call_id": str(number)} for number in range(20)]
    later = {**calls[1], "call_id": "later"}
    callcap = open_callcap([*tied, later], ties="shuffled")
    one, two = (ids_found(callcap, order="oldest") for _ in range(2))
    assert one != two
    assert set(one) == set(two)
    assert (one.index("later"), two.index("later")) in {(0, 0), (20, 20)}
    again = open_callcap([*tied, later], ties="shuffled")
    assert ids_found(again, order="oldest") == one


def test_ties_by_page(open_callcap: Open, calls: list[Call]) -> None:
    """With `by_page`, a page has the same order again, and another page another order."""
    callcap = open_callcap([{**calls[0], "call_id": str(n)} for n in range(20)], ties="by_page")
    one, again = (ids_found(callcap, show="20") for _ in range(2))
    assert one == again
    assert set(one) > set(ids_found(callcap, show="10"))


@pytest.mark.parametrize(
    ("switch", "status", "page", "records"),
    [
        ("empty", 200, 9, 0),
        ("last", 200, 3, 100),
        ("400", 400, None, None),
        ("404", 404, None, None),
    ],
)
def test_a_page_beyond_the_last(
    open_callcap: Open,
    switch: str,
    status: int,
    page: int | None,
    records: int | None,
) -> None:
    """A page after the last one is empty, is the last one again, or is an error."""
    callcap = open_callcap(page_beyond_last=switch)
    answer = asked(callcap, **{**ALWAYS, "show": "400", "page": "9"})
    assert answer.status == status
    pagination = json.loads(answer.body).get("pagination", {})
    assert pagination.get("page") == page
    assert pagination.get("records_returned") == records


@pytest.mark.parametrize("switch", ["empty", "last", "400", "404"])
def test_the_last_page_is_not_beyond(open_callcap: Open, switch: str) -> None:
    """The last page itself always has its calls."""
    callcap = open_callcap(page_beyond_last=switch)
    content = body(callcap, **{**ALWAYS, "show": "400", "page": "3"})
    assert content["pagination"]["records_returned"] == 100


def test_a_deep_page_is_refused(open_callcap: Open) -> None:
    """With `max_page` the last allowed page is answered, the next one is a 400."""
    callcap = open_callcap(max_page=3)
    assert asked(callcap, **{**ALWAYS, "show": "10", "page": "3"}).status == 200
    assert asked(callcap, **{**ALWAYS, "show": "10", "page": "4"}).status == 400


def test_a_ceiling_on_what_a_search_finds(open_callcap: Open) -> None:
    """With `max_total` the first calls of the order are found, and the others are not counted."""
    callcap = open_callcap(max_total=25)
    content = body(callcap, **{**ALWAYS, "show": "10", "page": "3"})
    assert content["pagination"]["total_records"] == 25
    assert (content["pagination"]["last_page"], len(content["call"])) == (3, 5)


def test_a_smaller_page_than_asked(open_callcap: Open) -> None:
    """With `show_cap` pages are smaller than requested, and together still the whole search."""
    callcap = open_callcap(show_cap=70)
    content = body(callcap, **ALWAYS)
    assert content["pagination"]["show"] == len(content["call"]) == 70
    assert content["pagination"]["last_page"] == 13
    assert len(set(ids_found(callcap))) == 900
    assert body(callcap, **{**ALWAYS, "show": "20"})["pagination"]["show"] == 20


def test_a_search_sees_each_change_of_the_book(callcap: Callcap, calls: list[Call]) -> None:
    """An answer is never older than the book, although results are cached."""
    before = ids_found(callcap)
    callcap.book.delete(before[0])
    assert ids_found(callcap) == before[1:]
    callcap.book.add({**calls[0], "call_id": "new"})
    assert set(ids_found(callcap)) == {*before[1:], "new"}


def test_many_searches_are_answered_as_the_first(callcap: Callcap) -> None:
    """A search that has left the cache gives the same calls again."""
    first = ids_found(callcap, corporate_id="1001")
    for location in range(20):
        ids_found(callcap, location_id=str(location))
    assert ids_found(callcap, corporate_id="1001") == first
