"""What `callcap-doctor` finds out is what the sandbox's switches were set to."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from singer_sdk.exceptions import FatalAPIError

from support.examined import AUTUMN, NOW, account_calls, callcap_of, examined
from tap_callcap.doctor.answers import Answer as Examined
from tap_callcap.doctor.probes import QUESTIONS
from tap_callcap.sandbox import Answer, Call, CallBook, Callcap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_callcap.sandbox import Asked

EXPECTED = {
    "accounts": "200, `{status, info, children[]{account_type, account_name, account_id}}`",
    "range": "9,571 days answered",
    "zones": "UTC accepted; US/Arizona accepted; US/Central accepted",
    "login_zone": "US/Central",
    "zone_of_filter": "in the zone asked for (tried UTC and US/Arizona)",
    "zone_shown": "in the zone asked for (tried UTC and US/Arizona)",
    "repeated_hour": "yes: calls were modified in both passes of the last one",
    "start_minute": "included",
    "end_minute": "included to its last second",
    "default_dates": "only some of the calls are found",
    "days": "the first day is included, the last day is included",
    "same_day": "refused (400)",
    "weekdays": "in the zone asked for",
    "order": "yes, by `start_datetime`",
    "ties": "yes, as far as was seen",
    "page_beyond": "an empty page",
    "page_size": "1,000, it says",
    "totals": "yes: the parts of a search count as many calls as the whole",
    "numbers": "as whole numbers; `last_page` fits the total",
    "depth": "page 160 is answered",
    "empty_search": "200, `call` is empty, `last_page` is 1",
    "single_call": "in a list under `call`, with the zone",
    "no_call": "answered 404",
    "sections_of_all": (
        "`accounts`, `caller`, `callsurance`, `webmatch`, `callsaver`, `sentiment`"
    ),
    "rows": "yes",
    "fields": "none",
    "csrs": "200, `{status, csr[]{csr_id, csr_name, access[]{account_type, account_id}}}`",
    "minors": "answered 404",
    "late_edits": "none was seen while these questions were asked",
    "clock": "the same as this machine's clock",
}
"""What is seen of a sandbox without switches, but for times and what is made up."""

SWITCHED: list[tuple[dict[str, Any], dict[str, str], dict[str, str]]] = [
    # switches, what is seen beside EXPECTED, and what to change
    (
        {"utc": "refused"},
        {
            "zones": "UTC answered 400; US/Arizona accepted; US/Central accepted; "
            "the tap asks in US/Arizona instead",
            "zone_of_filter": "in the zone asked for (tried US/Arizona and US/Central)",
            "zone_shown": "in the zone asked for (tried US/Arizona and US/Central)",
        },
        {},
    ),
    (
        {"utc": "ignored"},
        {
            "zones": "UTC answered in US/Central; US/Arizona accepted; US/Central accepted; "
            "the tap asks in US/Arizona instead",
            "zone_of_filter": "in the zone asked for (tried US/Arizona and US/Central)",
            "zone_shown": "in the zone asked for (tried US/Arizona and US/Central)",
        },
        {},
    ),
    (
        {"utc": "alias"},
        {"zones": "UTC accepted as Etc/UTC; US/Arizona accepted; US/Central accepted"},
        {},
    ),
    (
        {"utc": "refused", "refused_timezones": frozenset({"US/Arizona"})},
        {
            "zones": "UTC answered 400; US/Arizona answered 400; US/Central accepted",
            "zone_of_filter": "only one zone is accepted",
            "zone_shown": "only one zone is accepted",
            "repeated_hour": "no zone without clock changes is accepted",
        },
        {"zones": "`timezone`: US/Central"},
    ),
    ({"login_timezone": "US/Hawaii"}, {"login_zone": "US/Hawaii"}, {}),
    ({"login_timezone": "UTC"}, {"login_zone": "UTC"}, {}),
    (
        {"filter_timezone": "US/Central"},
        {
            "zone_of_filter": "in US/Central, whatever zone is asked for",
            "repeated_hour": "fewer than 5 calls were modified in the last one",
        },
        {"zone_of_filter": "`timezone`: US/Central"},
    ),
    (
        {"filter_timezone": "UTC"},
        {"zone_of_filter": "in UTC, whatever zone is asked for"},
        {"zone_of_filter": "`timezone`: UTC"},
    ),
    (
        {"stored_timezone": "US/Central"},
        {"repeated_hour": "no: all calls are shown in the same pass, as if wall times were stored"},
        {},
    ),
    ({"start_minute": "exclusive"}, {"start_minute": "not included"}, {}),
    ({"end_minute": "excludes"}, {"end_minute": "not included"}, {}),
    ({"end_minute": "on_the_dot"}, {"end_minute": "only its first second is included"}, {}),
    (
        {"end_date": "excludes"},
        {"days": "the first day is included, the last day is not included"},
        {},
    ),
    ({"same_dates": "accepted"}, {"same_day": "accepted"}, {}),
    ({"ties": "shuffled"}, {"ties": "no: the same request is answered in another order"}, {}),
    ({"ties": "by_page"}, {"ties": "no: another page size means another order"}, {}),
    ({"page_beyond_last": "last"}, {"page_beyond": "the last page again"}, {}),
    ({"page_beyond_last": "400"}, {"page_beyond": "answered 400"}, {}),
    ({"page_beyond_last": "404"}, {"page_beyond": "answered 404"}, {}),
    ({"empty_search": "null"}, {"empty_search": "200, `call` is null, `last_page` is 1"}, {}),
    ({"empty_search": "missing"}, {"empty_search": "200, `call` is missing, `last_page` is 1"}, {}),
    (
        {"empty_search": "last_page_0"},
        {"empty_search": "200, `call` is empty, `last_page` is 0"},
        {},
    ),
    ({"empty_search": "404"}, {"empty_search": "answered 404"}, {}),
    ({"empty_search": "204"}, {"empty_search": "answered 204"}, {}),
    (
        {"show_cap": 60},
        {"page_size": "60, whatever is asked for"},
        {"page_size": "`page_size`: 60"},
    ),
    (
        {"max_total": 60},
        {
            "totals": "no: a search counts at most 60 calls, its parts count more",
            "depth": "page 60 is answered",
        },
        {},
    ),
    (
        {"total_cap": 60},
        {
            "totals": "no: a search counts at most 60 calls, its parts count more",
            "depth": "page 60 is answered",
        },
        {},
    ),
    ({"total_of": "page"}, {"totals": "no: it depends on the page size"}, {}),
    ({"counts": "text"}, {"numbers": "as text; `last_page` fits the total"}, {}),
    (
        {"counts": "float"},
        {"numbers": "as numbers with decimals; `last_page` fits the total"},
        {},
    ),
    (
        {"counts": "grouped"},
        {"numbers": "as text or text with commas; `last_page` fits the total"},
        {},
    ),
    ({"last_page": "down"}, {"numbers": "as whole numbers; `last_page` is rounded down"}, {}),
    (
        {"max_range_days": 100},
        {"range": "9,571 days refused (400), 360 days refused (400), 28 days answered"},
        {},
    ),
    (
        {"wide_search_fails_after": timedelta(days=400), "failure": "504"},
        {"range": "9,571 days failed at each try, 360 days answered"},
        {},
    ),
    ({"max_page": 50}, {"depth": "page 160 refused, page 30 is answered"}, {}),
    ({"max_page": 5}, {"depth": "page 160 refused, page 30 refused"}, {}),
    ({"date_header": False}, {"clock": "the answers have no `Date`"}, {}),
    (
        {"date_ahead": timedelta(minutes=20)},
        {"clock": "20 minutes ahead of this machine's clock"},
        {"clock": "none: check this machine's clock"},
    ),
    (
        {"date_ahead": timedelta(minutes=-3), "date_ahead_every": 7},
        {"clock": "it differs from answer to answer, up to 3 minutes behind this machine's clock"},
        {},
    ),
    ({"single_call": "object"}, {"single_call": "as an object under `call`, with the zone"}, {}),
    ({"single_call": "top_level"}, {"single_call": "at the top level, with the zone"}, {}),
    (
        {"unknown_fields": True},
        {
            "fields": "`accounts.region`, `ai_topics`, `caller.line_type`, `queue_seconds`, "
            "`summaries[].language`, `webmatch.gclid`"
        },
        {},
    ),
]
CHANGED_BY_THE_RANGE = {"default_dates", "totals", "depth", "page_beyond", "page_size"}
CHANGED_BY_THE_RANGE |= {"sections_of_all", "late_edits", "order", "ties", "weekdays", "end_minute"}
FROM_THE_CALLS = {"newest_edit", "sections", "seconds_by_size", "seconds_in_flight", "retries"}


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    """The calls of the account that is examined."""
    return account_calls(160)


def test_nothing_is_to_be_changed_for_an_api_as_documented(calls: list[Call]) -> None:
    """Every question has an answer, with some forty requests."""
    callcap = callcap_of(calls)
    rows = examined(callcap)
    assert list(rows) == [question.name for question in QUESTIONS]
    assert {name: row.seen for name, row in rows.items() if name not in FROM_THE_CALLS} == EXPECTED
    assert all(row.is_known for row in rows.values())
    assert {name: row.change for name, row in rows.items() if name != "seconds_in_flight"} == (
        dict.fromkeys(rows.keys() - {"seconds_in_flight"}, "")
    )
    assert len(callcap.requests) <= 45
    assert rows["retries"].seen == f"0 of {len(callcap.requests)} requests"


@pytest.mark.parametrize(
    ("switches", "seen", "change"),
    SWITCHED,
    ids=[" ".join(f"{name}={value}" for name, value in case[0].items()) for case in SWITCHED],
)
def test_what_is_switched_on_is_seen(
    switches: dict[str, Any], seen: dict[str, str], change: dict[str, str], calls: list[Call]
) -> None:
    """A switch changes the answer to its question, and to no other that it does not concern."""
    rows = examined(callcap_of(calls, **switches))
    assert {name: rows[name].seen for name in seen} == seen
    left_out = {*FROM_THE_CALLS, *(CHANGED_BY_THE_RANGE if "range" in seen else ())}
    if "show_cap" in switches:
        left_out |= {"depth", "ties"}
    others = EXPECTED.keys() - seen.keys() - left_out
    assert {name: rows[name].seen for name in others} == {name: EXPECTED[name] for name in others}
    changes = {name: row.change for name, row in rows.items() if row.change}
    changes.pop("seconds_in_flight", None)
    assert {name: text for name, text in changes.items() if name != "retries"} == change


@pytest.mark.parametrize(
    ("switches", "seen"),
    [
        ({}, {"page_size": "1,000", "page_beyond": "an empty page"}),
        (
            {"total_cap": 600},
            {
                "totals": "no: a search counts at most 600 calls, its parts count more",
                "page_beyond": "more calls: `last_page` and totals are too small",
            },
        ),
        (
            {"last_page": "down", "counts": "grouped"},
            {
                "numbers": "as text or text with commas; `last_page` is rounded down",
                "page_beyond": "more calls: `last_page` and totals are too small",
            },
        ),
        ({"page_beyond_last": "last"}, {"page_beyond": "the last page again"}),
        ({"row_lost_every": 1}, {"page_size": "pages show fewer calls than they count"}),
    ],
    ids=str,
)
def test_pages_are_seen_of_more_calls_than_a_page_has(
    switches: dict[str, Any], seen: dict[str, str]
) -> None:
    """Some answers need more than a thousand calls."""
    rows = examined(callcap_of(account_calls(1100), **switches))
    assert {name: rows[name].seen for name in seen} == seen


def test_a_page_size_that_is_not_too_large_stays(calls: list[Call]) -> None:
    """What is set already is no change."""
    row = examined(callcap_of(calls, show_cap=60), page_size=50)["page_size"]
    assert (row.seen, row.change) == ("60, whatever is asked for", "")


def test_a_timezone_that_is_refused_is_to_be_changed(calls: list[Call]) -> None:
    """Only UTC has a zone that the tap asks in instead."""
    rows = examined(
        callcap_of(calls, refused_timezones=frozenset({"US/Hawaii"})), timezone="US/Hawaii"
    )
    assert rows["zones"].change == "`timezone`: UTC"


def test_an_account_without_calls_leaves_questions_open() -> None:
    """It says what is not known, and goes on."""
    callcap = callcap_of([])
    rows = examined(callcap)
    unknown = {name: row.seen for name, row in rows.items() if not row.is_known}
    assert unknown.keys() == {
        *("newest_edit", "zone_of_filter", "zone_shown", "repeated_hour", "start_minute"),
        *("end_minute", "default_dates", "days", "weekdays", "order", "ties", "totals", "depth"),
        *("single_call", "sections", "sections_of_all", "rows", "fields", "seconds_in_flight"),
    }
    assert unknown["sections"] == "no call was found"


def test_without_an_echo_no_zone_counts_as_taken(calls: list[Call]) -> None:
    """The times of such answers cannot be read."""
    rows = examined(callcap_of(calls, zone_echo=False))
    assert rows["zones"].seen == "; ".join(
        f"{zone} answered without its zone" for zone in ("UTC", "US/Arizona", "US/Central")
    )
    assert rows["login_zone"].seen == "the answer does not say its zone"
    assert rows["rows"].seen == "no zone was answered in"


def test_calls_of_today_are_found_without_dates() -> None:
    """The default dates are yesterday and today."""
    calls = account_calls(40)[12:]
    today = [{**call, "start_datetime": NOW - timedelta(hours=9)} for call in calls]
    rows = examined(callcap_of(today))
    assert rows["default_dates"].seen == "all calls are found"
    assert not rows["weekdays"].is_known


@pytest.mark.parametrize(
    ("minutes", "lookback", "change"),
    [(30, 10, "`lookback_minutes`: well above 30 minutes"), (30, 60, ""), (0, 10, None)],
)
def test_late_edits_are_seen(
    minutes: int, lookback: int, change: str | None, calls: list[Call]
) -> None:
    """A call appears meanwhile that was modified before the first request."""
    callcap = callcap_of(calls)

    def appear(asked: Asked) -> None:
        if asked.path.endswith("/minors/"):
            modified = NOW - timedelta(minutes=minutes, seconds=4)
            callcap.book.add({**calls[30], "call_id": "1_2", "last_modified": modified})

    callcap.before_answer = appear
    row = examined(callcap, lookback_minutes=lookback)["late_edits"]
    if change is None:
        assert row.seen == "none was seen while these questions were asked"
    else:
        assert (row.seen, row.change) == (f"up to more than {minutes} minutes late", change)


@pytest.mark.parametrize(
    ("age", "seen"),
    [
        (timedelta(seconds=-40), "less than a minute old"),
        (timedelta(minutes=12), "12 minutes old"),
        (timedelta(hours=40), "1 day 16 hours old"),
    ],
)
def test_the_newest_edit_is_seen(age: timedelta, seen: str, calls: list[Call]) -> None:
    """Its age is told, not its time."""
    old = [call for call in calls if call["last_modified"] < NOW - timedelta(days=9)]
    rows = examined(callcap_of([*old, {**calls[30], "call_id": "1", "last_modified": NOW - age}]))
    assert rows["newest_edit"].seen == seen


def test_more_edits_than_a_page_are_not_compared(calls: list[Call]) -> None:
    """Pages that shift would look like late edits."""
    now = {"last_modified": NOW - timedelta(minutes=3)}
    busy = [{**call, **now} for call in calls]
    rows = examined(callcap_of(busy, show_cap=90))
    assert rows["late_edits"].seen == "more than a page of calls was modified within 1 hour"
    assert not rows["zone_of_filter"].is_known


def test_a_minute_of_more_calls_than_a_page_tells_nothing(calls: list[Call]) -> None:
    """That a call is not on its first page does not say that it is not found."""
    modified = NOW - timedelta(days=3, seconds=4)
    rows = examined(
        callcap_of([{**call, "last_modified": modified} for call in calls], show_cap=90)
    )
    assert rows["start_minute"].seen == "that minute holds more calls than a page"


class Changed(Callcap):
    """A Callcap whose answers to searches are changed, given their zone and their content."""

    def __init__(self, calls: list[Call], change: Callable[[str, dict[str, Any]], None]) -> None:
        super().__init__(CallBook(calls), clock=lambda: NOW)
        self._change = change

    def answer(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        authorization: str | None = None,
    ) -> Answer:
        """Answer, and change it."""
        answer = super().answer(path, params, authorization)
        if path != "/v2/get/calls/":
            return answer
        content = json.loads(answer.body)
        self._change((params or {}).get("search_timezone", ""), content)
        return Answer.of(content, answer.status)


def shifted(calls: list[Call], hours: int, zone: str) -> Callcap:
    """A Callcap that shows last_modified some hours later if it is asked in a zone."""

    def shift(asked: str, content: dict[str, Any]) -> None:
        for call in content["call"] if asked == zone else ():
            shown = datetime.fromisoformat(call["last_modified"])
            call["last_modified"] = str(shown + timedelta(hours=hours))

    return Changed(calls, shift)


@pytest.mark.parametrize(
    ("hours", "seen"),
    [
        (7, "in the same zone, whatever zone is asked for"),
        (1, "at times that differ by another step than the zones do"),
    ],
)
def test_a_zone_that_is_not_shown_is_seen(hours: int, seen: str, calls: list[Call]) -> None:
    """The known call must be shown seven hours earlier in US/Arizona than in UTC."""
    rows = examined(shifted(calls, hours, "US/Arizona"))
    assert rows["zone_shown"].seen == seen


def test_edits_shown_in_the_future_are_seen(calls: list[Call]) -> None:
    """Then this machine's clock may be wrong, or another zone is shown."""
    recent = {**calls[30], "call_id": "1", "last_modified": NOW - timedelta(minutes=5)}
    row = examined(shifted([*calls, recent], 2, "UTC"))["newest_edit"]
    assert (row.seen, row.change) == (
        "1 hour 55 minutes in the future",
        "none: check this machine's clock",
    )


def _answering(callcap: Callcap, instead: Any) -> Callcap:
    """Let a Callcap give the answers that `instead` returns, where it returns one."""
    callcap.before_answer = instead
    return callcap


EMPTY = Answer.of({
    "status": "success",
    "search": {"timezone": "UTC"},
    "pagination": {"page": 1, "last_page": 1, "records_returned": 0, "total_records": 0},
    "call": [],
})


@pytest.mark.parametrize("is_other", [True, False])
def test_weekdays_in_another_zone_are_seen(is_other: bool, calls: list[Call]) -> None:
    """A known call is found by the day that it has in the login's zone, or by neither."""
    asked_for = []

    def answer(asked: Asked) -> Answer | None:
        if "search_daysofweek" not in asked.params:
            return None
        asked_for.append(asked)
        return EMPTY if not is_other or len(asked_for) == 1 else everything(callcap, asked)

    callcap = _answering(callcap_of(calls), answer)
    row = examined(callcap)["weekdays"]
    assert (row.seen, row.change) == (
        ("in US/Central, whatever zone is asked for", "`timezone`: US/Central")
        if is_other
        else ("neither in UTC nor in US/Central", "")
    )


def everything(callcap: Callcap, asked: Asked) -> Answer:
    """The answer to a search without its days of the week."""
    params = {name: text for name, text in asked.params.items() if name != "search_daysofweek"}
    hook, callcap.before_answer = callcap.before_answer, None
    try:
        return callcap.answer(asked.path, params, "Bearer sandbox")
    finally:
        callcap.before_answer = hook


def test_an_order_that_is_ignored_is_seen(calls: list[Call]) -> None:
    """Every search is sorted as by default."""

    def answer(asked: Asked) -> Answer | None:
        if asked.params.get("order") != "oldest":
            return None
        hook, callcap.before_answer = callcap.before_answer, None
        try:
            return callcap.answer(asked.path, {**asked.params, "order": "newest"}, "Bearer sandbox")
        finally:
            callcap.before_answer = hook

    callcap = _answering(callcap_of(calls), answer)
    assert examined(callcap)["order"].seen == "not for `oldest`"


def test_rows_that_cannot_be_told_apart_are_seen(calls: list[Call]) -> None:
    """A call without its id, one without last_modified, one that comes twice."""
    ids = [call["call_id"] for call in calls[40:43]]
    rows = examined(
        callcap_of(
            calls,
            calls_without_id=frozenset(ids[:1]),
            calls_without_last_modified=frozenset(ids[1:2]),
            repeated_calls=frozenset(ids[2:]),
        )
    )
    assert rows["rows"].seen == (
        "no: some lack `call_id`, `last_modified` and some come twice on a page"
    )


def test_a_section_that_is_refused_is_left_out(calls: list[Call]) -> None:
    """Then the sample has what `all` has."""

    def answer(asked: Asked) -> Answer | None:
        is_refused = "demographics" in asked.params.get("detail", "")
        return Answer.of({"status": "error"}, 400) if is_refused else None

    rows = examined(_answering(callcap_of(calls), answer))
    assert rows["sections"].seen.startswith("asking for all is refused (400), so asked for `all`; ")
    assert "never shown: `demographics`, `import`, `notes`" in rows["sections"].seen


def test_sections_without_a_value_are_told(calls: list[Call]) -> None:
    """They may be reserved for other accounts."""
    without = [{**call, "demographics": None} for call in calls]
    assert "always empty: `demographics`" in examined(callcap_of(without))["sections"].seen


def test_a_timestamp_that_cannot_be_read_leaves_one_question_open(calls: list[Call]) -> None:
    """The others are answered."""
    in_autumn = next(call["call_id"] for call in calls if call["last_modified"] == AUTUMN)
    rows = examined(callcap_of(calls, calls_without_last_modified=frozenset({in_autumn})))
    assert rows["repeated_hour"].seen == "the answer was not understood; the log says where"
    assert rows["single_call"].is_known


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        (500, "the request failed at each try; the log says how"),
        (402, "the request failed; the log says how"),
        (403, "answered 403 (or a 404 without a status)"),
    ],
)
def test_a_question_that_fails_does_not_end_the_others(
    code: int, seen: str, calls: list[Call]
) -> None:
    """Its row says so."""

    def answer(asked: Asked) -> Answer | None:
        return Answer.of({"status": "x"}, code) if "/callsurance/" in asked.path else None

    rows = examined(_answering(callcap_of(calls), answer))
    assert (rows["csrs"].seen, rows["minors"].seen) == (seen, seen)
    assert rows["retries"].seen.startswith("4 of " if code == 500 else "0 of ")
    assert bool(rows["retries"].change) == (code == 500)


def test_searches_that_all_fail_leave_their_questions_open(calls: list[Call]) -> None:
    """The addresses are still answered."""
    rows = examined(callcap_of(calls, wide_search_fails_after=timedelta(hours=1)))
    assert rows["range"].seen.startswith("no search was answered: 9,571 days failed at each try")
    assert rows["csrs"].is_known


def test_deep_pages_that_fail_are_seen(calls: list[Call]) -> None:
    """As those that are refused."""

    def answer(asked: Asked) -> Answer | None:
        is_deep = int(asked.params.get("page", "1")) > 99
        return Answer.of({"status": "error"}, 504) if is_deep else None

    rows = examined(_answering(callcap_of(calls), answer))
    assert rows["depth"].seen == "page 160 failed at each try, page 30 is answered"


def test_a_key_that_is_wrong_ends_it(calls: list[Call]) -> None:
    """There is nothing to ask with it."""
    with pytest.raises(FatalAPIError, match="check api_key"):
        examined(callcap_of(calls), api_key="wrong")


def test_a_rate_limit_is_seen(calls: list[Call]) -> None:
    """Requests are repeated until they are answered."""
    seconds = count()
    callcap = callcap_of(
        calls,
        clock=lambda: NOW + timedelta(seconds=next(seconds)),
        requests_per_minute=3,
        rate_window=timedelta(seconds=20),
    )
    row = examined(callcap)["retries"]
    assert row.seen.endswith("; the log says why")
    assert row.change.startswith("`requests_per_second`")


def test_one_request_at_a_time_has_none_beside_it(calls: list[Call]) -> None:
    """Nothing is compared then."""
    assert not examined(callcap_of(calls), concurrency=1)["seconds_in_flight"].is_known


@pytest.mark.parametrize(
    ("instead", "seen"),
    [
        ({"status": "success", "search": {"timezone": "UTC"}}, "nowhere, with the zone"),
        ({"status": "error", "message": "no"}, "answered 404"),
    ],
)
def test_a_single_call_that_is_not_there_is_seen(
    instead: dict[str, Any], seen: str, calls: list[Call]
) -> None:
    """Whatever the answer has in its place."""

    def answer(asked: Asked) -> Answer | None:
        if asked.path == "/v2/get/calls/" or "/calls/" not in asked.path:
            return None
        return Answer.of(instead, 200 if instead["status"] == "success" else 404)

    assert examined(_answering(callcap_of(calls), answer))["single_call"].seen == seen


def test_an_answer_without_counts_leaves_questions_open(calls: list[Call]) -> None:
    """A pagination that cannot be read is told by name."""

    def answer(asked: Asked) -> Answer | None:
        if not asked.params.get("search_last_modified_start", "").startswith("1990"):
            return None
        odd = {"call": [1, {"call_id": "1"}], "pagination": [], "status": "success"}
        return Answer.of(odd)

    rows = examined(_answering(callcap_of(calls), answer))
    assert rows["empty_search"].seen == "`pagination.last_page` is not a number"


def test_numbers_that_are_missing_are_seen(calls: list[Call]) -> None:
    """What needs them is not known."""

    def without_show(_: str, content: dict[str, Any]) -> None:
        content["pagination"]["page"] = None

    rows = examined(Changed(calls, without_show))
    assert rows["numbers"].seen == "as nothing or whole numbers; `last_page` fits the total"


def test_a_known_call_that_is_not_found_in_another_zone_leaves_it_open(calls: list[Call]) -> None:
    """Then nothing can be compared."""

    def answer(asked: Asked) -> Answer | None:
        is_other = asked.params.get("search_timezone") == "US/Arizona"
        return EMPTY if is_other and asked.params["show"] == "1000" else None

    rows = examined(_answering(callcap_of(calls), answer))
    assert rows["zone_shown"].seen == "a known call was not found in US/Arizona"
    assert rows["zone_of_filter"].seen == "in UTC, whatever zone is asked for"


def test_a_search_that_is_refused_leaves_its_question_open(calls: list[Call]) -> None:
    """A refusal is not the same as nothing found."""

    def answer(asked: Asked) -> Answer | None:
        is_refused = "search_daysofweek" in asked.params
        return Answer.of({"status": "error"}, 400) if is_refused else None

    rows = examined(_answering(callcap_of(calls), answer))
    assert rows["weekdays"].seen == "the search was refused (400)"


def test_parts_that_count_less_than_the_whole_are_seen(calls: list[Call]) -> None:
    """Narrow searches lose calls then."""

    def answer(asked: Asked) -> Answer | None:
        is_part = asked.params.get("search_last_modified_start", "2000").startswith("2000")
        return None if is_part or asked.params["show"] != "1" else EMPTY

    rows = examined(_answering(callcap_of(calls), answer))
    assert rows["totals"].seen == "no: the parts of a search count fewer calls than the whole"


def test_a_new_call_without_last_modified_is_passed_over(calls: list[Call]) -> None:
    """Others are."""
    new = [
        {**calls[30], "call_id": str(n), "last_modified": NOW - timedelta(minutes=5 + n)}
        for n in (1, 2)
    ]
    callcap = callcap_of([*calls, *new], calls_without_last_modified=frozenset({"1"}))
    assert examined(callcap)["newest_edit"].seen == "7 minutes old"


def test_a_row_that_is_no_call_is_passed_over() -> None:
    """Whatever it is."""
    rows = [msgspec.Raw(b'{"call_id": "1"}'), msgspec.Raw(b"["), msgspec.Raw(b"7")]
    assert Examined("200", {"call": rows}).rows == [{"call_id": "1"}]


def test_half_a_day_is_the_shortest_range_that_is_tried(calls: list[Call]) -> None:
    """What a search over half a day shows is answered still."""
    rows = examined(callcap_of(calls, max_range_days=1))
    assert rows["range"].seen == (
        "9,571 days refused (400), 360 days refused (400), 28 days refused (400), "
        "6 days refused (400), half a day answered"
    )
    assert rows["empty_search"].seen == EXPECTED["empty_search"]


def test_without_a_call_of_a_whole_minute_the_end_is_known_in_part(calls: list[Call]) -> None:
    """Whether the first second of the last minute is included cannot be said."""
    others = [call for call in calls if call["last_modified"].second]
    rows = examined(callcap_of(others, end_minute="excludes"))
    assert rows["end_minute"].seen == "not included, at least after its first second"


def test_an_api_that_fails_is_soon_left_alone(calls: list[Call]) -> None:
    """After some requests in a row that failed, nothing more is asked."""

    def answer(_: Asked) -> Answer | None:
        is_later = len(callcap.requests) > 8
        return Answer.of({"status": "error"}, 500) if is_later else None

    callcap = _answering(callcap_of(calls), answer)
    rows = examined(callcap)
    assert len(callcap.requests) <= 9 + 8 * 3 + 3 * 3  # some of them in flight together
    assert rows["minors"].seen == "not asked, since 8 requests in a row failed"
    assert rows["zones"].is_known
