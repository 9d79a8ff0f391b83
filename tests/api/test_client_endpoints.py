"""The other endpoints: single calls, accounts and call takers, and the checks of their answers."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError

from support.fault_server import Act, FaultServer, answer
from tap_callcap.api.client import Client
from tap_callcap.api.errors import ForeignZoneError, NoAccessError
from tap_callcap.api.filters import Filters
from tap_callcap.api.responses import Response, read_call, read_rows
from tap_callcap.sync.prefetch import Workers

UTC = ZoneInfo("UTC")
CLOCK = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
CALL = {"call_id": "1_1:1", "last_modified": "2026-01-01 00:00:00", "status_of_call": "x"}
ECHO = {"timezone": "UTC"}
NOT_FOUND = answer(404, '{"status": "not found"}')


def ok(**content: object) -> Act:
    """A success with some content."""
    return answer(200, json.dumps({"status": "success", **content}))


def client_of(server: FaultServer, **settings: Any) -> Client:
    """A client that tries once, unless it is given time for more."""
    given = {
        "timeout": timedelta(seconds=30),
        "retry_budget": timedelta(0),
        **settings,
    }
    return Client(api_url=server.url, api_key="key", user_agent="test", **given)


@pytest.mark.parametrize(
    "content",
    [{"call": [CALL]}, {"call": CALL}, CALL, {"call": [CALL], "pagination": {"page": 1}}],
    ids=["list", "object", "top-level", "page"],
)
def test_one_call_is_asked_for_by_its_id(content: dict[str, Any]) -> None:
    """The request has the id in its path, zone and detail; any place of the call is read."""
    with FaultServer(ok(search=ECHO, **content)) as server:
        call = client_of(server).call("1_1:1", UTC, "all,notes")
        (seen,) = server.seen
    assert seen.path == "/v2/get/calls/1_1%3A1/"
    assert seen.query == {"search_timezone": "UTC", "detail": "all,notes"}
    assert call is not None
    assert (json.loads(bytes(call)) if isinstance(call, msgspec.Raw) else call) == CALL


@pytest.mark.parametrize(
    "act",
    [NOT_FOUND, answer(204), ok(call=[]), ok(call=None), ok(call=""), ok(search=ECHO)],
    ids=["404", "204", "list", "null", "text", "nothing"],
)
def test_a_call_that_there_is_not_is_none(act: Act) -> None:
    """All ways of the API to say nothing are understood."""
    with FaultServer(act) as server:
        assert client_of(server).call("1_1", UTC, "all") is None


def test_another_call_is_asked_for_again() -> None:
    """What is not the call that was asked for may be a mix-up of the moment."""
    other = {**CALL, "call_id": "2_2"}
    with FaultServer(ok(search=ECHO, call=[other]), ok(search=ECHO, call=CALL)) as server:
        client = client_of(server, retry_budget=timedelta(minutes=1))
        assert client.call("1_1:1", UTC, "all") == CALL
        assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ([CALL, CALL], "not the call that was asked for"),
        ({**CALL, "call_id": "2_2"}, "not the call that was asked for"),
        ({**CALL, "last_modified": "soon"}, "not a date and time"),
        ({**CALL, "last_modified": None}, "no readable last_modified"),
        ({"last_modified": "2026-01-01 00:00:00"}, "no readable call_id"),
        ("1_1:1", "not an object"),
    ],
    ids=["two", "another", "no-time", "null", "no-id", "text"],
)
def test_what_is_not_the_call_is_not_believed(call: object, problem: str) -> None:
    """An answer that contradicts the question raises what makes the client ask again."""
    content = {"status": "success", "search": ECHO, "call": call}
    with pytest.raises(RetriableAPIError, match=problem):
        read_call(Response(200, content, CLOCK), "1_1:1", UTC)


def test_a_call_in_no_zone_or_another_one_is_an_error() -> None:
    """Its times could not be read."""
    with pytest.raises(FatalAPIError, match="does not say its timezone"):
        read_call(Response(200, {"call": CALL}, CLOCK), "1_1:1", UTC)
    content = {"call": CALL, "search": {"timezone": "US/Central"}}
    with pytest.raises(ForeignZoneError):
        read_call(Response(200, content, CLOCK), "1_1:1", UTC)


@pytest.mark.parametrize(
    ("code", "body", "rows"),
    [
        (200, {"csr": [{"csr_id": 1}]}, [{"csr_id": 1}]),
        (200, {"csr": []}, []),
        (200, {"csr": ""}, []),
        (200, {"csr": None}, []),
        (200, {}, None),
        (204, None, []),
        (404, {"status": "not found"}, None),
    ],
    ids=repr,
)
def test_rows_are_what_is_listed_by_a_name(code: int, body: Any, rows: Any) -> None:
    """An empty list differs from no list."""
    assert read_rows(Response(code, body, CLOCK), "csr") == rows


def test_rows_that_are_no_list_are_not_believed() -> None:
    """They may be the half of an answer."""
    with pytest.raises(RetriableAPIError, match="`csr` is not a list"):
        read_rows(Response(200, {"csr": {"csr_id": 1}}, CLOCK), "csr")


def test_accounts_are_asked_for_level_by_level() -> None:
    """Without an account the topmost, else those below it; none where there is no list."""
    top = [{"account_type": "corporate", "account_id": 1}]
    with FaultServer(ok(children=top), ok(children=[]), NOT_FOUND, ok()) as server:
        client = client_of(server)
        assert client.accounts_below(None) == top
        assert [client.accounts_below(("corporate", "1")) for _ in range(3)] == [[], None, None]
        queries = [seen.query for seen in server.seen]
        assert {seen.path for seen in server.seen} == {"/v2/get/accounts/"}
    assert queries == [{}, *[{"account_type": "corporate", "account_id": "1"}] * 3]


@pytest.mark.parametrize(
    "act", [NOT_FOUND, answer(404), answer(403), ok()], ids=["404", "plain 404", "403", "no-list"]
)
def test_what_the_key_may_not_see_is_told_apart(act: Act) -> None:
    """Nothing at the top, or a refusal, is no empty list."""
    with FaultServer(after=act) as server:
        client = client_of(server)
        with pytest.raises(NoAccessError, match="GET /v2/get/callsurance/csrs/"):
            client.csrs()
        with pytest.raises(NoAccessError, match="GET /v2/get/accounts/"):
            client.accounts_below(None)


def test_call_takers_are_one_request() -> None:
    """They have no pages."""
    with FaultServer(ok(csr=[{"csr_id": 1, "access": "global"}])) as server:
        assert client_of(server).csrs() == [{"csr_id": 1, "access": "global"}]
        assert [(seen.path, seen.query) for seen in server.seen] == [
            ("/v2/get/callsurance/csrs/", {})
        ]


def test_workers_keep_the_order_and_stay_in_bounds() -> None:
    """Results come with their items, in order; few items are taken ahead of what is needed."""
    taken: list[int] = []

    def items() -> Any:
        for number in range(20):
            taken.append(number)
            yield number

    for number, (item, square) in enumerate(Workers(3).each(lambda n: n * n, items())):
        assert (item, square) == (number, number * number)
        assert len(taken) <= number + 4
    assert len(taken) == 20


def test_what_a_job_raises_is_raised_where_its_result_is_taken() -> None:
    """The results before it still come."""
    results = Workers(2).each(lambda n: 1 // n, [2, 1, 0, 1])
    assert [next(results), next(results)] == [(2, 0), (1, 1)]
    with pytest.raises(ZeroDivisionError):
        next(results)


COUNTS = {"page": 1, "last_page": 42, "records_returned": 1, "total_records": 42, "show": 1}


@pytest.mark.parametrize(
    ("act", "count"),
    [(ok(search=ECHO, call=[CALL], pagination=COUNTS), 42), (answer(204), 0)],
    ids=["counted", "204"],
)
def test_the_calls_of_a_day_are_counted(act: Act, count: int) -> None:
    """One call is asked for, and the total taken; a day of which nothing is said has none."""
    with FaultServer(act) as server:
        counted, _ = client_of(server).count_of_day(date(2026, 3, 1), UTC, Filters({}))
        seen = server.seen[0]
    assert counted == count
    assert seen.query["show"] == "1"


def test_a_day_counted_in_another_zone_is_an_error() -> None:
    """A day is one of the zone that was asked for."""
    foreign = ok(search={"timezone": "US/Central"}, call=[CALL], pagination=COUNTS)
    with FaultServer(foreign) as server, pytest.raises(ForeignZoneError):
        client_of(server).count_of_day(date(2026, 3, 1), UTC, Filters({}))
