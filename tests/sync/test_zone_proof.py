"""Callcap must keep to the zone that it is asked in, which an echo alone does not prove."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from singer_sdk.exceptions import FatalAPIError

from support.direct_client import DirectClient
from support.histories import BEGINNING
from support.running import bookmark_of, run_tap, state_at
from tap_callcap.sandbox import Answer, CallBook, Callcap, Switches, made_up_calls
from tap_callcap.streams import CallsStream
from tap_callcap.tap import TapCallcap

if TYPE_CHECKING:
    from tap_callcap.sandbox import Asked

UTC = timezone.utc
NOW = BEGINNING
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
SEARCH = "/v2/get/calls/"


def callcap_with(calls: int = 50, *, ago: timedelta = DAY, **switches: Any) -> Callcap:
    """An account whose calls are of some days, until some time ago."""
    end = NOW - ago
    book = CallBook(made_up_calls(calls, seed=7, start=end - 20 * DAY, end=end))
    return Callcap(book, clock=lambda: NOW, switches=Switches(**switches))


def check(callcap: Callcap, **settings: Any) -> None:
    """`--test` without HTTP."""
    client = DirectClient(callcap)
    config = {"api_key": "sandbox", **settings}
    stream = TapCallcap(client_factory=lambda _: client, config=config).streams["calls"]
    assert isinstance(stream, CallsStream)
    stream.check()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was warned of."""
    return [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]


def zones_asked(callcap: Callcap) -> list[str]:
    """The zone of each search, in order."""
    return [each.params["search_timezone"] for each in callcap.requests if each.path == SEARCH]


@pytest.mark.parametrize("run", [run_tap, check], ids=["run", "check"])
@pytest.mark.parametrize("utc", ["accepted", "alias", "refused", "ignored"])
def test_a_server_that_keeps_to_the_zone_passes(
    utc: str, run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Asked in two zones where it accepts two; nothing is said."""
    callcap = callcap_with(utc=utc)
    run(callcap)
    assert warnings(caplog) == []
    if utc in {"accepted", "alias"}:
        assert zones_asked(callcap).count("US/Arizona") == 1


def test_the_proof_costs_two_requests_in_the_first_run_only() -> None:
    """A run with a bookmark asks in one zone."""
    callcap = callcap_with()
    state = run_tap(callcap).state
    assert zones_asked(callcap).count("US/Arizona") == 1
    callcap.advance(DAY)
    callcap.requests.clear()
    run_tap(callcap, state=state)
    assert set(zones_asked(callcap)) == {"UTC"}


@pytest.mark.parametrize("run", [run_tap, check], ids=["run", "check"])
@pytest.mark.parametrize("zone", ["US/Central", "US/Eastern", "US/Arizona"])
def test_a_filter_of_another_zone_is_refused_with_the_way_on(
    zone: str, run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The zone that the filter really uses is named; with it, every call comes."""
    callcap = callcap_with(filter_timezone=zone)
    with pytest.raises(FatalAPIError, match=f"set timezone to {zone}, in which both agree"):
        run(callcap)
    if run is run_tap:
        assert run_tap(callcap, timezone=zone).ids == callcap.book.ids
        assert "This run relies on the setting timezone" in warnings(caplog)[0]


def test_a_filter_of_a_zone_that_nobody_guesses_is_refused() -> None:
    """Where no zone mends it, the error says so."""
    with pytest.raises(FatalAPIError, match="report this to Callcap"):
        run_tap(callcap_with(filter_timezone="Asia/Kathmandu"))


def shows_always(callcap: Callcap, zone: str, *, filters: bool) -> None:
    """Have a server show its times in `zone`, whatever is asked and echoed; and filter so, too."""
    inner = Callcap(callcap.book, clock=callcap.now)

    def answer(asked: Asked) -> Answer | None:
        if asked.path != SEARCH:
            return None
        params = {**asked.params, "search_timezone": zone}
        if not filters:
            for side in ("start", "end"):
                name = f"search_last_modified_{side}"
                wall = datetime.fromisoformat(params[name])
                instant = wall.replace(tzinfo=ZoneInfo(asked.params["search_timezone"]))
                params[name] = f"{instant.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"
        given = inner.answer(asked.path, params, "Bearer sandbox")
        echo = f'"timezone":"{asked.params["search_timezone"]}"'.encode()
        body = given.body.replace(f'"timezone":"{zone}"'.encode(), echo)
        body = body.replace(f'"timezone": "{zone}"'.encode(), echo)
        return replace(given, body=body)

    callcap.before_answer = answer


def test_times_of_another_zone_are_refused_with_the_way_on() -> None:
    """The zone that the times are really of is named; with it, they are right."""
    callcap = callcap_with()
    shows_always(callcap, "US/Central", filters=False)
    with pytest.raises(FatalAPIError, match="set timezone to US/Central, in which both agree"):
        run_tap(callcap)
    records = run_tap(callcap, timezone="US/Central").records
    assert {record["last_modified"] for record in records} == {
        f"{call['last_modified']:%Y-%m-%dT%H:%M:%SZ}" for call in callcap.book
    }


def test_a_server_that_ignores_the_zone_needs_the_setting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing in its answers tells the zone: the user must; then the run relies on it."""
    callcap = callcap_with()
    shows_always(callcap, "US/Central", filters=True)
    with pytest.raises(FatalAPIError, match="set timezone to the one in which Callcap shows"):
        run_tap(callcap)
    assert run_tap(callcap, timezone="US/Central").ids == callcap.book.ids
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(
    "callcap",
    [
        callcap_with(0),
        callcap_with(0, empty_search="404"),
        callcap_with(5, ago=-DAY),
        callcap_with(5, calls_without_last_modified=frozenset()),
    ],
    ids=["none", "none-404", "none-old", "plain"],
)
def test_without_a_settled_call_there_is_nothing_to_prove(callcap: Callcap) -> None:
    """An account without calls, or only with new ones, is checked and read all the same."""
    check(callcap)
    run_tap(callcap)


def test_a_call_that_is_edited_meanwhile_is_no_failure() -> None:
    """The proof looks again, and takes the call as it is by then, or another one."""
    callcap = callcap_with(filter_timezone=None)
    oldest = min(callcap.book, key=itemgetter("start_datetime"))["call_id"]
    edits = iter(range(1, 3))

    def edit(asked: Asked) -> None:
        if asked.params.get("search_timezone") == "US/Arizona":
            minutes = next(edits, None)
            if minutes:
                callcap.book.edit(oldest, at=NOW - DAY / 2 + minutes * MINUTE)

    callcap.before_answer = edit
    assert run_tap(callcap).ids == callcap.book.ids
    assert next(edits, None) is None


@pytest.mark.parametrize("code", [400, 500])
def test_a_proof_that_cannot_be_asked_for_is_no_failure(code: int) -> None:
    """A minute that fails must not stop a run that may never need it."""
    callcap = callcap_with()

    def fail(asked: Asked) -> Answer | None:
        is_other = asked.params.get("search_timezone") == "US/Arizona"
        return Answer.of({"status": "error"}, code) if is_other else None

    callcap.before_answer = fail
    assert run_tap(callcap).ids == callcap.book.ids


def test_an_answer_without_a_page_does_not_show_the_call() -> None:
    """A 404 for the minute of a call is asked about again, and then believed to be another zone."""
    callcap = callcap_with()

    def nothing(asked: Asked) -> Answer | None:
        is_other = asked.params.get("search_timezone") == "US/Arizona"
        return Answer.of({"status": "nothing"}, 404) if is_other else None

    callcap.before_answer = nothing
    with pytest.raises(FatalAPIError, match="not found at the same instant in another timezone"):
        check(callcap)


def test_where_no_other_zone_is_taken_nothing_is_proven() -> None:
    """A login that may ask in its own zone only is read, as it was before."""
    refused = frozenset({"US/Arizona", "US/Hawaii"})
    callcap = callcap_with(refused_timezones=refused)
    assert run_tap(callcap).ids == callcap.book.ids


def test_a_call_that_cannot_be_read_proves_nothing() -> None:
    """The next one that can be read is taken, in each of the answers."""
    callcap = callcap_with(calls=4)
    at = NOW - DAY / 2
    ids = sorted(callcap.book.ids)
    for call_id in ids:
        callcap.book.edit(call_id, at=at)
    callcap.switches = Switches(calls_without_id=frozenset(ids[:3]))
    check(callcap, start_date="2026-02-20")


def test_a_new_call_is_passed_over_for_a_settled_one() -> None:
    """What may be edited at any moment proves nothing."""
    callcap = callcap_with(calls=4)
    oldest = min(callcap.book, key=itemgetter("start_datetime"))["call_id"]
    callcap.book.edit(oldest, at=NOW - 10 * MINUTE)
    check(callcap, start_date="2026-02-20")
    assert zones_asked(callcap).count("US/Arizona") == 1


def test_a_minute_of_many_pages_proves_nothing() -> None:
    """Where the call may be on another page, it is not missed."""
    callcap = callcap_with(30)
    for call_id in sorted(callcap.book.ids)[:10]:
        callcap.book.edit(call_id, at=NOW - DAY / 2)
    assert run_tap(callcap, page_size=2).ids == callcap.book.ids


def test_days_in_filters_do_not_hide_the_call() -> None:
    """In another zone, days are others: the proof asks without such filters."""
    callcap = callcap_with()
    filters = {"search_startdate": "2026-02-12", "search_enddate": "2026-02-13"}
    run_tap(callcap, filters=filters, timezone="US/Central")
    dates = {each.params["search_startdate"] for each in callcap.requests if each.path == SEARCH}
    assert dates == {"1900-01-01", "2026-02-12"}


CHANGES = [
    ("2025-11-02T06:00", "Eastern's"),
    ("2025-11-02T07:00", "Central's"),
    ("2025-11-02T10:00", "Alaska's"),
]


@pytest.mark.parametrize("lookback", [0, 60, 300])
@pytest.mark.parametrize(("change", "whose"), CHANGES, ids=[whose for _, whose in CHANGES])
@pytest.mark.parametrize("later", [timedelta(hours=-20), timedelta(), timedelta(hours=3)], ids=str)
def test_around_the_autumn_change_a_run_looks_back_three_hours(
    lookback: int, change: str, whose: str, later: timedelta
) -> None:
    """Servers that store wall times show an hour of that night twice, in whatever zone."""
    del whose
    bookmark = datetime.fromisoformat(change).replace(tzinfo=UTC) + later
    now = bookmark + timedelta(hours=1)
    callcap = Callcap(CallBook(), clock=lambda: now)
    run_tap(callcap, state=state_at(f"{bookmark:%Y-%m-%dT%H:%M:%SZ}"), lookback_minutes=lookback)
    start = bookmark - max(timedelta(minutes=lookback), timedelta(hours=3)) - MINUTE
    asked = callcap.requests[0].params["search_last_modified_start"]
    assert asked == f"{start:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    "bookmark", ["2025-10-31T00:00:00Z", "2025-11-03T00:00:00Z", "2026-03-08T07:00:00Z"]
)
def test_at_other_times_the_lookback_is_the_settings(bookmark: str) -> None:
    """Also around the change in spring, which repeats no hour."""
    at = datetime.fromisoformat(bookmark)
    callcap = Callcap(CallBook(), clock=lambda: at + timedelta(hours=1))
    run_tap(callcap, state=state_at(bookmark), lookback_minutes=0)
    asked = callcap.requests[0].params["search_last_modified_start"]
    assert asked == f"{at - MINUTE:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize("stored_hour", ["first", "second"])
@pytest.mark.parametrize("stored_filter", ["instants", "wall_times"])
@pytest.mark.parametrize("lookback", [0, 60])
def test_edits_of_the_hour_that_is_shown_twice_come(
    lookback: int, stored_hour: str, stored_filter: str
) -> None:
    """A server that stores US/Central wall times: run every half hour, nothing is lost."""
    change = datetime(2025, 11, 2, 7, 0, tzinfo=UTC)
    now = [change - timedelta(hours=4)]
    book = CallBook(made_up_calls(40, seed=7, start=now[0] - 20 * DAY, end=now[0] - DAY))
    switches = Switches(
        stored_timezone="US/Central",
        stored_hour=stored_hour,  # type: ignore[arg-type]
        stored_filter=stored_filter,  # type: ignore[arg-type]
    )
    callcap = Callcap(book, clock=lambda: now[0], switches=switches)
    ids = iter(sorted(book.ids))
    edited: dict[str, int] = {}
    written: dict[str, int] = {}
    state: Any = None
    while now[0] < change + timedelta(hours=6):
        for number in range(1, 3):
            call_id = next(ids)
            book.edit(call_id, at=now[0] + number * 7 * MINUTE, revenue=number * 100)
            edited[call_id] = number * 100
        now[0] += 30 * MINUTE
        run = run_tap(callcap, state=state, lookback_minutes=lookback)
        state = run.state
        written |= {record["call_id"]: record["revenue"] for record in run.records}
    now[0] += timedelta(hours=2)
    written |= {r["call_id"]: r["revenue"] for r in run_tap(callcap, state=state).records}
    assert {call_id: written[call_id] for call_id in edited} == edited
    assert bookmark_of(state)


HOUR_BEFORE = f"{NOW - HOUR:%Y-%m-%dT%H:%M:%SZ}"


def test_where_all_calls_are_new_the_bookmark_waits_for_the_proof(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Otherwise no later run would prove it, and calls would be missed for ever."""
    now = [NOW]
    calls = made_up_calls(5, seed=7, start=NOW - 50 * MINUTE, end=NOW - 10 * MINUTE)
    book = CallBook(calls)
    for call_id in book.ids:
        book.edit(call_id, at=NOW - 5 * MINUTE)
    callcap = Callcap(book, clock=lambda: now[0])
    first = run_tap(callcap)
    assert first.ids == book.ids
    assert "replication_key_value" not in first.state.get("bookmarks", {}).get("calls", {})
    assert "All calls are newer than" in warnings(caplog)[-1]
    callcap.switches = Switches(filter_timezone="US/Central")
    now[0] += DAY
    with pytest.raises(FatalAPIError, match="set timezone to US/Central, in which both agree"):
        run_tap(callcap, state=first.state)
    callcap.switches = Switches()
    assert bookmark_of(run_tap(callcap, state=first.state).state)


def test_the_first_call_that_a_run_meets_can_prove_it() -> None:
    """Where no wide search works, the first answer may be of years without calls."""
    callcap = callcap_with(3, filter_timezone="US/Arizona", wide_search_fails_after=DAY)
    with pytest.raises(FatalAPIError, match="set timezone to US/Arizona, in which both agree"):
        run_tap(callcap, start_date="2024-01-01")
    callcap.switches = Switches(wide_search_fails_after=DAY)
    assert bookmark_of(run_tap(callcap, start_date="2024-01-01").state)


def test_a_range_without_calls_moves_the_bookmark() -> None:
    """Nothing in it could be missed by a filter of another zone that does not show elsewhere."""
    run = run_tap(callcap_with(), start_date=f"{NOW - HOUR:%Y-%m-%dT%H:%M:%SZ}")
    assert bookmark_of(run.state)


def test_what_no_later_run_could_prove_does_not_hold_the_bookmark() -> None:
    """Calls that are all of the night of a clock change prove nothing."""
    change = datetime(2025, 11, 2, 7, 0, tzinfo=UTC)
    made_up = made_up_calls(3, seed=7, start=change - DAY, end=change)
    calls = [{**call, "last_modified": change} for call in made_up]
    callcap = Callcap(CallBook(calls), clock=lambda: NOW)
    run = run_tap(callcap)
    assert "US/Arizona" not in zones_asked(callcap)
    assert bookmark_of(run.state)
