"""The switches for servers that contradict the documentation, alone and together."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from support.sandbox_requests import ALWAYS, NOW, asked, body, ids_found
from tap_callcap.sandbox import VENDOR_EXAMPLE, Callcap, NoAnswerError, Switches
from tap_callcap.sandbox.switch_texts import switch_values

if TYPE_CHECKING:
    from support.sandbox_requests import Open
    from tap_callcap.sandbox import Call

UTC = timezone.utc
ID = VENDOR_EXAMPLE["call_id"]
ONE = f"/get/calls/{ID}/"
MINUTE = datetime(2026, 1, 5, 10, 4, tzinfo=UTC)


def call_at(name: str, modified: datetime, **changes: object) -> Call:
    """Return a call with this id and last_modified."""
    return {**VENDOR_EXAMPLE, "call_id": name, "last_modified": modified, **changes}


def numbered(count: int) -> list[Call]:
    """Return calls "0", "1", … that begin one second apart, so that they come in that order."""
    start = VENDOR_EXAMPLE["start_datetime"]
    return [
        {**VENDOR_EXAMPLE, "call_id": str(n), "start_datetime": start + timedelta(seconds=n)}
        for n in range(count)
    ]


def page(callcap: Callcap, number: int = 1, show: int = 4) -> tuple[str, dict[str, Any]]:
    """Return the ids on a page, oldest first, and its pagination."""
    content = body(callcap, **{**ALWAYS, "order": "oldest", "show": str(show), "page": str(number)})
    return " ".join(call["call_id"] for call in content["call"]), content["pagination"]


def test_limits_in_another_zone(open_callcap: Open) -> None:
    """With `filter_timezone`, limits are read in that zone, and times are shown as requested."""
    callcap = open_callcap([call_at("1", MINUTE)], filter_timezone="US/Central")
    in_central = {"search_last_modified_start": "2026-01-05 04:04", "search_timezone": "UTC"}
    in_utc = {"search_last_modified_start": "2026-01-05 10:04", "search_timezone": "UTC"}
    content = body(callcap, **ALWAYS, **in_central)
    assert content["search"]["timezone"] == "UTC"
    assert content["call"][0]["last_modified"] == "2026-01-05 10:04:00"
    assert ids_found(callcap, search_last_modified_end="2026-01-05 04:03", **in_central) == []
    assert ids_found(callcap, **in_utc) == []
    assert ids_found(open_callcap([call_at("1", MINUTE)]), **in_utc) == ["1"]


FIRST = datetime(2025, 11, 2, 6, 30, tzinfo=UTC)  # 01:30 in US/Central, and so is an hour later
SECOND = FIRST + timedelta(hours=1)


@pytest.mark.parametrize(
    ("hour", "shown"), [("first", "2025-11-02 06:30:00"), ("second", "2025-11-02 07:30:00")]
)
def test_wall_times_are_stored(open_callcap: Open, hour: str, shown: str) -> None:
    """With `stored_timezone`, both passes of the repeated hour are one instant, in any zone."""
    noon = datetime(2026, 1, 5, 12, tzinfo=UTC)
    some = [call_at("first", FIRST), call_at("second", SECOND), call_at("noon", noon)]
    callcap = open_callcap(some, stored_timezone="US/Central", stored_hour=hour)
    times = {
        name: body(callcap, f"/get/calls/{name}/", search_timezone="UTC")["call"][0][
            "last_modified"
        ]
        for name in ("first", "second", "noon")
    }
    assert times == {"first": shown, "second": shown, "noon": "2026-01-05 12:00:00"}
    limits = {
        "search_last_modified_start": shown[:16],
        "search_last_modified_end": shown[:16],
        "search_timezone": "UTC",
    }
    assert set(ids_found(callcap, **limits)) == {"first", "second"}
    other = {**limits, "search_timezone": "US/Arizona"}
    assert ids_found(callcap, **other) == []


def test_stored_wall_times_are_compared(open_callcap: Open) -> None:
    """With `wall_times`, each pass of the repeated hour finds the calls of both."""
    some = [call_at("first", FIRST), call_at("second", SECOND)]
    callcap = open_callcap(some, stored_timezone="US/Central", stored_filter="wall_times")

    def found(start: str, end: str) -> set[str]:
        return set(
            ids_found(
                callcap,
                search_last_modified_start=f"2025-11-02 {start}",
                search_last_modified_end=f"2025-11-02 {end}",
                search_timezone="UTC",
            )
        )

    assert found("06:30", "06:30") == found("07:30", "07:30") == {"first", "second"}
    assert found("06:30", "07:10") == set()
    assert set(ids_found(callcap)) == {"first", "second"}
    assert ids_found(callcap, call_id="first") == ["first"]


def test_a_date_ahead(open_callcap: Open) -> None:
    """`date_ahead` moves the `Date` of each answer, or of one of several, and no other time."""
    hour = timedelta(hours=1)
    right, ahead = "Sun, 15 Mar 2026 17:42:10 GMT", "Sun, 15 Mar 2026 18:42:10 GMT"

    def dates(callcap: Callcap) -> list[str]:
        return [asked(callcap, ONE).headers["Date"] for _ in range(4)]

    assert dates(open_callcap(date_ahead=hour)) == [ahead] * 4
    odd = {"date_ahead": hour, "date_ahead_every": 3}
    assert dates(open_callcap(**odd)) == [ahead, right, right, ahead]
    assert dates(open_callcap(seed=1, **odd)) == [right, ahead, right, right]
    assert open_callcap(date_ahead=hour).now() == NOW


@pytest.mark.parametrize(
    ("failure", "status", "text"),
    [
        ("500", 500, b'"status":"error"'),
        ("504", 504, b"<html>"),
        ("403", 403, b'"status":"error"'),
        ("error_body", 200, b'"status":"error"'),
        ("unreadable", 200, b'"call":[{'),
    ],
)
def test_ways_to_fail(open_callcap: Open, failure: str, status: int, text: bytes) -> None:
    """`failure` chooses the answer to requests that fail."""
    answer = asked(open_callcap(broken_calls=frozenset({ID}), failure=failure), ONE)
    assert answer.status == status
    assert text in answer.body


def test_a_request_without_an_answer(open_callcap: Open) -> None:
    """With `hang` a request that fails is never answered, and is recorded as such."""
    callcap = open_callcap(broken_calls=frozenset({ID}), failure="hang")
    with pytest.raises(NoAnswerError):
        asked(callcap, ONE)
    assert [(request.status, request.answered_at) for request in callcap.requests] == [(None, None)]
    assert asked(callcap, "/get/accounts/").status == 200


def test_wide_searches_fail(open_callcap: Open) -> None:
    """With `wide_search_fails_after`, a search over a longer range fails, a narrower one works."""
    callcap = open_callcap(wide_search_fails_after=timedelta(hours=2))
    start = {"search_last_modified_start": "2026-01-05 10:00", "search_timezone": "UTC"}
    status = {
        end: asked(callcap, **ALWAYS, **start, search_last_modified_end=f"2026-01-05 {end}").status
        for end in ("11:59", "12:00")
    }
    assert status == {"11:59": 200, "12:00": 500}
    assert asked(callcap, **ALWAYS).status == 500
    assert asked(callcap, call_id=ID).status == 200


def test_a_broken_minute(open_callcap: Open) -> None:
    """With `broken_minutes`, each search that touches such a minute fails, and no other."""
    callcap = open_callcap(broken_minutes=frozenset({MINUTE}))

    def status(start: str, end: str) -> int:
        return asked(
            callcap,
            **ALWAYS,
            search_timezone="UTC",
            search_last_modified_start=f"2026-01-05 {start}",
            search_last_modified_end=f"2026-01-05 {end}",
        ).status

    assert [status("10:00", "10:03"), status("10:05", "11:00")] == [200, 200]
    assert [status("10:00", "10:04"), status("10:04", "10:04"), status("10:04", "11:00")] == [
        500,
        500,
        500,
    ]
    assert asked(callcap, **ALWAYS).status == 500
    assert asked(callcap, call_id=ID).status == 200


def test_a_broken_call(open_callcap: Open) -> None:
    """With `broken_calls`, each request that would show such a call fails, and no other."""
    callcap = open_callcap(numbered(5), broken_calls=frozenset({"2"}))
    assert asked(callcap, "/get/calls/2/").status == 500
    assert asked(callcap, call_id="2").status == 500
    assert asked(callcap, "/get/calls/1/").status == 200
    pages = [{**ALWAYS, "order": "oldest", "show": "2", "page": str(n)} for n in (1, 2, 3)]
    assert [asked(callcap, **params).status for params in pages] == [200, 500, 200]


def test_broken_and_missing_accounts(open_callcap: Open) -> None:
    """One account fails or is a 404; the others are answered, and their parent lists all."""
    corporate = {"account_type": "corporate", "account_id": "1"}
    division = {"account_type": "division", "account_id": "1669"}
    for switches, status in (
        ({"broken_accounts": frozenset({1669}), "failure": "403"}, 403),
        ({"missing_accounts": frozenset({1669})}, 404),
    ):
        callcap = open_callcap(**switches)
        assert asked(callcap, "/get/accounts/", **division).status == status
        children = body(callcap, "/get/accounts/", **corporate)["children"]
        assert [child["account_id"] for child in children] == [1669]


@pytest.mark.parametrize("code", switch_values("bad_key"))
def test_the_status_for_a_wrong_key(open_callcap: Open, code: str) -> None:
    """A wrong key gets the same body with any status, and the documented header with 401."""
    answer = open_callcap(bad_key=code).answer("/v2/get/calls/", {}, "Bearer wrong")
    assert answer.status == int(code)
    assert json.loads(answer.body)["status"] == "unauthorized"
    assert ("WWW-Authenticate" in answer.headers) == (code == "401")


@pytest.mark.parametrize("code", switch_values("rate_limit_code"))
def test_the_status_for_too_many_requests(open_callcap: Open, code: str) -> None:
    """Too many requests get this status, with `Retry-After` if switched on."""
    callcap = open_callcap(requests_per_minute=1, retry_after="seconds", rate_limit_code=code)
    assert asked(callcap, ONE).status == 200
    answer = asked(callcap, ONE)
    assert (answer.status, answer.headers["Retry-After"]) == (int(code), "60")


@pytest.mark.parametrize(
    ("rows", "pages"), [("gap", ["0 2 3", "4 5 6 7"]), ("closed_up", ["0 2 3 4", "5 6 7"])]
)
def test_calls_that_are_counted_and_not_shown(
    open_callcap: Open, rows: str, pages: list[str]
) -> None:
    """A hidden call is counted and on no page; its row is left out, or the next ones move up."""
    callcap = open_callcap(numbered(8), hidden_calls=frozenset({"1"}), hidden_rows=rows)
    shown = [page(callcap, number) for number in (1, 2)]
    assert [ids for ids, _ in shown] == pages
    assert [numbers["total_records"] for _, numbers in shown] == [8, 8]
    assert [numbers["records_returned"] for _, numbers in shown] == [
        len(ids.split()) for ids in pages
    ]


def test_a_page_of_hidden_calls_is_not_beyond_the_last(open_callcap: Open) -> None:
    """A page that is counted and has no rows is empty, although a later page is an error."""
    callcap = open_callcap(
        numbered(5),
        hidden_calls=frozenset({"4"}),
        hidden_rows="closed_up",
        page_beyond_last="404",
    )
    assert not page(callcap, 2)[0]
    assert asked(callcap, **{**ALWAYS, "show": "4", "page": "3"}).status == 404


def test_calls_that_are_shown_and_not_counted(open_callcap: Open) -> None:
    """An uncounted call is on a page, also beyond the last one, and in no total."""
    callcap = open_callcap(numbered(5), uncounted_calls=frozenset({"0"}), page_beyond_last="404")
    ids, numbers = page(callcap)
    assert (ids, numbers["total_records"], numbers["last_page"]) == ("0 1 2 3", 4, 1)
    assert page(callcap, 2)[0] == "4"
    assert asked(callcap, **{**ALWAYS, "show": "4", "page": "3"}).status == 404
    alone = open_callcap(numbered(1), uncounted_calls=frozenset({"0"}), empty_search="404")
    assert page(alone)[0] == "0"


@pytest.mark.parametrize(("is_counted", "total"), [(True, 6), (False, 5)])
def test_calls_that_are_shown_twice(open_callcap: Open, is_counted: bool, total: int) -> None:
    """A repeated call takes two rows, and counts as two or as one."""
    callcap = open_callcap(numbered(5), repeated_calls=frozenset({"3"}), repeats_counted=is_counted)
    assert [page(callcap, 1)[0], page(callcap, 2)[0]] == ["0 1 2 3", "3 4"]
    assert page(callcap)[1]["total_records"] == total


def test_calls_without_id_or_last_modified(open_callcap: Open) -> None:
    """A call is shown without its id or last_modified, in the form of any absent value."""
    callcap = open_callcap(
        numbered(3),
        calls_without_id=frozenset({"0"}),
        calls_without_last_modified=frozenset({"1"}),
    )
    null = body(callcap, **{**ALWAYS, "order": "oldest"})["call"]
    assert [call["call_id"] for call in null] == [None, "1", "2"]
    assert [call["last_modified"] is None for call in null] == [False, True, False]
    missing = open_callcap(numbered(1), calls_without_id=frozenset({"0"}), absent="missing")
    assert "call_id" not in body(missing, **ALWAYS)["call"][0]


def test_a_page_loses_a_row(open_callcap: Open) -> None:
    """One page of several leaves out a row that is counted, and has it when read again."""
    callcap = open_callcap(numbered(4), row_lost_every=3)
    shown = [page(callcap) for _ in range(4)]
    assert [len(ids.split()) for ids, _ in shown] == [3, 4, 4, 3]
    assert {numbers["total_records"] for _, numbers in shown} == {4}
    assert body(open_callcap([], row_lost_every=1), **ALWAYS)["call"] == []


def test_a_total_older_than_its_page(open_callcap: Open) -> None:
    """With `count_age`, a call is shown at once and counted later; or counted first."""
    calls = [call_at("old", NOW - timedelta(hours=2)), call_at("new", NOW)]
    older = open_callcap(calls, count_age=timedelta(hours=1))
    ids, numbers = page(older)
    assert (set(ids.split()), numbers["total_records"]) == ({"old", "new"}, 1)
    older.advance(timedelta(hours=1))
    assert page(older)[1]["total_records"] == 2
    delay = timedelta(minutes=30)
    newer = open_callcap(calls, count_age=-delay, visible_after=delay)
    ids, numbers = page(newer)
    assert (ids, numbers["total_records"]) == ("old", 2)


def test_a_capped_total(open_callcap: Open) -> None:
    """With `total_cap`, totals stop at the cap, and the pages beyond have the other calls."""
    callcap = open_callcap(numbered(11), total_cap=8, page_beyond_last="400")
    assert page(callcap)[1] == {
        "page": 1,
        "last_page": 2,
        "records_returned": 4,
        "show": 4,
        "total_records": 8,
    }
    assert page(callcap, 3)[0] == "8 9 10"
    assert asked(callcap, **{**ALWAYS, "show": "4", "page": "4"}).status == 400
    assert page(open_callcap(numbered(5), total_cap=8))[1]["total_records"] == 5


def test_a_total_of_the_page(open_callcap: Open) -> None:
    """With `total_of=page`, the total is the number of rows, and `last_page` is right."""
    callcap = open_callcap(numbered(6), total_of="page")
    numbers = [page(callcap, number)[1] for number in (1, 2)]
    assert [(n["total_records"], n["last_page"]) for n in numbers] == [(4, 2), (2, 2)]


@pytest.mark.parametrize(("calls", "last_page"), [(8, 2), (11, 2), (3, 1), (0, 1)])
def test_last_page_rounded_down(open_callcap: Open, calls: int, last_page: int) -> None:
    """Rounded down, `last_page` leaves out the last page, which has its calls all the same."""
    callcap = open_callcap(numbered(calls), last_page="down", page_beyond_last="404")
    assert page(callcap)[1]["last_page"] == last_page
    if calls == 11:
        assert page(callcap, 3)[0] == "8 9 10"


@pytest.mark.parametrize(
    ("counts", "total", "one"),
    [
        ("float", b'"total_records":1200.0', b'"page":1.0'),
        ("text", b'"total_records":"1200"', b'"page":"1"'),
        ("grouped", b'"total_records":"1,200"', b'"page":"1"'),
    ],
)
def test_forms_of_counts(open_callcap: Open, counts: str, total: bytes, one: bytes) -> None:
    """The numbers of `pagination` come as float, as text, or with commas."""
    callcap = open_callcap(numbered(1200), counts=counts)
    answer = asked(callcap, **{**ALWAYS, "show": "1"})
    assert total in answer.body
    assert one in answer.body
    assert one in asked(callcap, "/get/calls/0/").body


def test_redirects_of_the_trailing_slash(open_callcap: Open) -> None:
    """A redirect adds or removes the trailing slash on the same host, with or without query."""
    added = open_callcap(trailing_slash="added", redirect_code="308")
    answer = asked(added, "/get/calls", show="1", page="2")
    assert (answer.status, answer.headers["Location"]) == (308, "/v2/get/calls/?show=1&page=2")
    assert asked(added, ONE).status == 200
    removed = open_callcap(trailing_slash="removed", redirect_query="dropped")
    answer = asked(removed, ONE, detail="notes")
    assert (answer.status, answer.headers["Location"]) == (301, f"/v2{ONE.removesuffix('/')}")
    assert asked(removed, ONE.removesuffix("/")).status == 200
    assert asked(open_callcap(trailing_slash="added"), "/get").headers["Location"] == "/v2/get/"


def test_deviations_combine(open_callcap: Open) -> None:
    """Several deviations act on one answer, each in its own way."""
    callcap = open_callcap(
        numbered(1200),
        hidden_calls=frozenset({"0"}),
        repeated_calls=frozenset({"1"}),
        uncounted_calls=frozenset({"2"}),
        calls_without_last_modified=frozenset({"3"}),
        stored_timezone="US/Central",
        filter_timezone="US/Pacific",
        counts="grouped",
        total_cap=1100,
        date_ahead=timedelta(hours=1),
    )
    answer = asked(callcap, **{**ALWAYS, "show": "5", "order": "oldest"})
    content = json.loads(answer.body)
    assert [call["call_id"] for call in content["call"]] == ["1", "1", "2", "3"]
    assert content["call"][3]["last_modified"] is None
    assert content["pagination"]["total_records"] == "1,100"
    assert answer.headers["Date"] == "Sun, 15 Mar 2026 18:42:10 GMT"


def test_switches_replaced_between_requests(open_callcap: Open) -> None:
    """A result that was cached with other switches is not used."""
    callcap = open_callcap([call_at("second", SECOND)])
    limits = {"search_last_modified_start": "2025-11-02 07:00", "search_timezone": "UTC"}
    assert ids_found(callcap, **limits) == ["second"]
    callcap.switches = Switches(stored_timezone="US/Central")
    assert ids_found(callcap, **limits) == []
