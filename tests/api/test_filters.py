"""Filters: valid values, the query that they produce, and their effect on a run."""

from __future__ import annotations

import json
import logging
import math
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import ConfigurationError, FatalAPIError

from support.histories import BEGINNING, live_through, random_history, read_with_tap
from support.running import bookmark_of, discovered, run_command, run_tap
from support.written_filters import EXAMPLES, account, filters_table, tried
from support.written_settings import CHECKOUT
from tap_callcap.api.filter_table import FILTERS, NOT_FILTERS, RANGE
from tap_callcap.api.filters import Filters
from tap_callcap.environment import read_environment
from tap_callcap.instants import MINUTE
from tap_callcap.sandbox import VENDOR_EXAMPLE, Answer, CallBook, Callcap, Sandbox, Switches
from tap_callcap.settings import SETTINGS
from tap_callcap.validation import config_errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tap_callcap.sandbox import Call

NOW = BEGINNING
RANGES = RANGE.pattern.split("|")[1:]  # without `custom`
EVERY_DAY = {"search_startdate": "1900-01-01", "search_enddate": "2099-12-31"}


def problems_of(**filters: object) -> list[str]:
    """What is wrong with a config that has a key and filters."""
    return config_errors({"api_key": "key", "filters": filters}, SETTINGS)


def query_of(**filters: Any) -> dict[str, str]:
    """The part of a query that filters without problems make, but for the days always sent."""
    assert problems_of(**filters) == []
    query = Filters.from_config(filters).query
    return {name: text for name, text in query.items() if EVERY_DAY.get(name) != text}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_brings_the_calls_that_the_sandbox_means(name: str) -> None:
    """With a filter, exactly the calls that the API itself finds by it come."""
    trial = tried(**{name: EXAMPLES[name]})
    assert name in trial.request
    assert trial.found == trial.meant
    assert 0 < len(trial.found) < len(account())


@pytest.mark.parametrize("name", [name for name, each in FILTERS.items() if each.kind.is_list])
def test_a_list_may_be_written_in_three_ways(name: str) -> None:
    """An array, text with commas, and one value alone are one and the same."""
    first, *rest = [str(each) for each in EXAMPLES[name]]
    ways: list[Any] = [[first, *rest], f"{first} ,{','.join(rest)}".rstrip(" ,"), EXAMPLES[name]]
    assert [query_of(**{name: way}) for way in ways] == [{name: ",".join([first, *rest])}] * 3
    assert query_of(**{name: EXAMPLES[name][0]}) == query_of(**{name: [first]}) == {name: first}


@pytest.mark.parametrize(
    ("filters", "query"),
    [
        ({}, {}),
        ({"division_id": None, "search_term": None}, {}),
        ({"corporate_id": "1001"}, {"corporate_id": "1001"}),
        ({"corporate_id": 1001.0}, {"corporate_id": "1001"}),
        ({"location_id": [7, "7", 8, 7]}, {"location_id": "7,8"}),
        ({"search_daysofweek": " 1, 7 "}, {"search_daysofweek": "1,7"}),
        ({"search_revenue_entered": True}, {"search_revenue_entered": "1"}),
        ({"search_revenue_entered": "false"}, {"search_revenue_entered": "0"}),
        ({"search_revenue_entered": 0}, {"search_revenue_entered": "0"}),
        ({"search_term": " Smith, John "}, {"search_term": "Smith, John"}),
        ({"search_caller_id": 316}, {"search_caller_id": "316"}),
        ({"search_range": "custom"}, {}),
        ({"search_startdate": "2024-02-29"}, {"search_startdate": "2024-02-29"}),
        ({"search_startdate": "2099-12-30"}, {"search_startdate": "2099-12-30"}),
        ({"search_enddate": "1900-01-02"}, {"search_enddate": "1900-01-02"}),
        (
            {"search_range": "custom", "search_startdate": "2024-01-01"},
            {"search_startdate": "2024-01-01"},
        ),
    ],
    ids=repr,
)
def test_filters_become_texts_of_the_query(filters: dict[str, Any], query: dict[str, str]) -> None:
    """Numbers, booleans and lists are sent as the API writes them; null is not set."""
    assert query_of(**filters) == query


def test_the_days_are_always_sent_but_with_a_range() -> None:
    """Without days the API means yesterday and today; a range cannot be combined with days."""
    assert Filters({}).query == EVERY_DAY
    assert query_of(search_range="week") == {"search_range": "week"}
    assert not EVERY_DAY.keys() & Filters.from_config({"search_range": "week"}).query.keys()


NO_LISTS: tuple[object, ...] = ([], "", ",", [[]], [None], ["canary"], "1,,2", [0.5])
WRONG: dict[str, tuple[object, ...]] = {
    "corporate_id": ("", "canary", -1, 0.5, "1,2", 10**400, math.inf),
    "division_id": (math.nan, -1, "canary", "1;2", [1, -2]),
    "location_id": ("canary", ["1", ""]),
    "campaign_id": (["1x"],),
    "search_range": ("", "LAST30DAYS", "last2minutes", 30),
    "search_startdate": ("2024-02-30", "2024-1-1", "20240101", "1899-12-31", "2099-12-31"),
    "search_enddate": (20240101, "canary"),
    "search_daysofweek": ([0], 8, "7,8", [1, 11]),
    "search_duration_min": (-1, 1.5, "1.5"),
    "search_duration_max": ("canary", 10**9),
    "search_action": ("ans,canary", "Answer", 1),
    "search_feature": (["webmatch", "canary"],),
    "conversation_type": ("call,text", ""),
    "search_medium": ("Website",),
    "search_major": (5, [4, 5], "Positive"),
    "search_csr": (["canary"],),
    "search_callsaver_status": ("0", 3),
    "search_evaluation_change_status": ("Approved",),
    "search_revenue_entered": (2, "canary", ""),
    "search_term": ("", " ", "can\nary"),
    "search_caller_id": ("canary", "()", ""),
    "search_destination": ("316-555-CANARY",),
    "search_reference_id": (" ", 0.5),
    "search_direction": ("in", "inbound,outbound"),
    "search_location_external_id": ("",),
    "search_division_external_id": ("\0",),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_wrong_filter_is_one_line_that_says_what_it_must_be(name: str) -> None:
    """The line names the filter, says what the API takes, and has no word of the value."""
    kind = FILTERS[name].kind
    values = [*WRONG[name], {"canary": 1}, *(NO_LISTS if kind.is_list else [[7]])]
    if name != "search_revenue_entered":
        values.append(True)
    for value in values:
        assert problems_of(**{name: value}) == [f"Setting filters.{name} must be {kind.words}"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("search_acton", "is unknown: did you mean search_action?"),
        ("divisions", "is unknown: did you mean division_id?"),
        ("qqqq", "is unknown: --about lists all filters"),
        ("a\nb", "is unknown: --about lists all filters"),
        *((name, f"is set by the tap: {remedy}") for name, remedy in NOT_FILTERS.items()),
    ],
)
def test_a_name_that_is_no_filter_is_one_line(name: str, problem: str) -> None:
    """A misspelt filter would otherwise let every call in; the tap's own ones name the setting."""
    (line,) = problems_of(**{name: "canary"})
    assert line == f"Setting filters.{repr(name)[1:-1]} {problem}"
    assert len(line.splitlines()) == 1


AFTER = "filters.search_enddate must be after search_startdate, which is 1900-01-01 if not set"
LONGER = "filters.search_duration_max must be more than search_duration_min, which is 0 if not set"


@pytest.mark.parametrize(
    ("filters", "problem"),
    [
        (
            {"search_startdate": "2024-01-02", "search_enddate": "2024-01-02"},
            AFTER,
        ),
        (
            {"search_enddate": "1900-01-01"},
            AFTER,
        ),
        (
            {"search_duration_min": 60, "search_duration_max": "9"},
            LONGER,
        ),
        (
            {"search_duration_max": 0},
            LONGER,
        ),
        (
            {"search_range": "week", "search_startdate": "2024-01-01"},
            "filters.search_range cannot be combined with search_startdate: remove one",
        ),
        (
            {"search_range": "last1minutes"},
            "filters.search_range finds nothing: its minutes must be more than lag_minutes plus 1",
        ),
    ],
    ids=["days", "last-day", "durations", "no-duration", "range-and-days", "minutes"],
)
def test_filters_that_contradict_each_other_are_one_line(
    filters: dict[str, object], problem: str
) -> None:
    """What no search could match, or the API would refuse, is told before any request."""
    assert problems_of(**filters) == [f"Setting {problem}"]


@pytest.mark.parametrize(("lag", "is_wrong"), [(3, False), (4, True), (None, False)])
def test_a_range_of_minutes_is_longer_than_the_lag(lag: int | None, is_wrong: bool) -> None:
    """Of minutes that every run leaves out nothing could be found."""
    config = {"api_key": "key", "lag_minutes": lag, "filters": {"search_range": "last5minutes"}}
    assert bool(config_errors(config, SETTINGS)) == is_wrong


def test_all_wrong_filters_are_told_at_once() -> None:
    """A line each, in the order of the table."""
    assert [line.split()[1] for line in problems_of(search_major=9, corporate_id="x")] == [
        "filters.search_major",
        "filters.corporate_id",
    ]


def test_filters_come_from_the_environment_as_one_object() -> None:
    """A variable holds them all, as JSON."""
    environment = {"TAP_CALLCAP_FILTERS": '{"division_id": [1, 2], "search_action": "ans"}'}
    config = read_environment(environment, SETTINGS)
    assert config == {"filters": {"division_id": [1, 2], "search_action": "ans"}}


def test_the_table_in_the_documents_is_of_every_parameter() -> None:
    """Every filter found in the sandbox what it means; the parameters of the tap are named."""
    table = filters_table()
    assert table.count(", as in the sandbox") == len(FILTERS)
    assert "NOT" not in table
    documented = {*FILTERS, *NOT_FILTERS}
    assert all(f"| `{name}` |" in table for name in documented)


def test_the_documents_say_of_every_filter_what_it_follows() -> None:
    """docs/filters.md says what each filter depends on; a range is no property of a call."""
    text = (CHECKOUT / "docs" / "filters.md").read_text(encoding="utf-8")
    _, _, rest = text.partition("| The filter depends on | Filters |")
    table = rest.partition("**Calls that start")[0]
    names = re.findall(r"`(\w+)`", table)
    assert sorted(names) == sorted(FILTERS.keys() - {"search_range"})


# Runs


def calls_of_ages(*ages: timedelta, switches: Switches | None = None) -> Callcap:
    """An account with calls that began so long ago, and were not edited since."""
    calls = [
        {**VENDOR_EXAMPLE, "call_id": f"1_{n}", "start_datetime": NOW - age, "last_modified": at}
        for n, age in enumerate(ages)
        for at in [NOW - age]
    ]
    return Callcap(CallBook(calls), switches=switches, clock=lambda: NOW)


def full_table() -> dict[str, Any]:
    """The catalog, with calls read in full."""
    catalog = discovered()
    catalog["streams"][0]["replication_method"] = "FULL_TABLE"
    return catalog


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What has been warned of since the last look."""
    lines = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    caplog.clear()
    return lines


@pytest.mark.parametrize("name", [name for name in RANGES if name != "last1minutes"])
def test_every_range_brings_the_calls_that_the_sandbox_means(name: str) -> None:
    """With FULL_TABLE, each range that the page lists finds what it says, less the newest."""
    minutes, days = (1, 4, 8, 25, 50, 300), (1, 2, 5, 12, 25, 40, 80, 150, 400)
    ages = [*(MINUTE * n for n in minutes), *(MINUTE * 1440 * n for n in days)]
    callcap = calls_of_ages(*ages)
    run = run_tap(callcap, filters={"search_range": name}, catalog=full_table())
    request = {"search_range": name, "search_timezone": "UTC", "show": "1000"}
    answer = callcap.answer("/v2/get/calls/", request, "Bearer sandbox")
    found = {call["call_id"] for call in json.loads(answer.body)["call"]}
    assert run.ids == found - {"1_0"}
    assert set() < run.ids < callcap.book.ids


def test_a_range_is_refused_for_an_incremental_stream() -> None:
    """Days counted from each run would pass over calls: one line, and no request."""
    callcap = calls_of_ages(MINUTE)
    with pytest.raises(ConfigurationError, match=r"filters.search_range needs .* FULL_TABLE"):
        run_tap(callcap, filters={"search_range": "week"})
    assert callcap.requests == []


@pytest.mark.parametrize("utc", ["refused", "ignored"])
@pytest.mark.parametrize(
    "filters",
    [{"search_daysofweek": [3]}, {"search_startdate": "2026-03-01"}, {"search_range": "week"}],
    ids=["daysofweek", "startdate", "range"],
)
def test_a_filter_on_days_is_never_asked_in_another_zone(utc: Any, filters: dict[str, Any]) -> None:
    """Where the API does not take UTC, days would be Arizona's: an error names timezone."""
    callcap = calls_of_ages(MINUTE * 100, switches=Switches(utc=utc))
    with pytest.raises(FatalAPIError, match="set timezone to one Callcap knows"):
        run_tap(callcap, filters=filters, catalog=full_table())
    assert {asked.params["search_timezone"] for asked in callcap.requests} == {"UTC"}
    zoned = run_tap(callcap, filters=filters, catalog=full_table(), timezone="US/Central")
    assert len(zoned.records) == 1


def test_days_are_those_of_the_timezone() -> None:
    """A call at 01:30 UTC began the day before in Chicago, and on that day of the week."""
    callcap = calls_of_ages(timedelta(hours=13, minutes=30))  # 01:30 on Tuesday, the third
    tuesday, monday = {"search_daysofweek": 3}, {"search_daysofweek": 2}
    assert run_tap(callcap, filters=tuesday).ids == {"1_0"}
    assert run_tap(callcap, filters=monday).ids == set()
    assert run_tap(callcap, filters=monday, timezone="US/Central").ids == {"1_0"}
    assert run_tap(callcap, filters={"search_enddate": "2026-03-02"}).ids == set()
    last_day = {"search_enddate": "2026-03-02"}
    assert run_tap(callcap, filters=last_day, timezone="US/Central").ids == {"1_0"}


def test_a_maximum_that_is_none_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Ten minutes and more are no maximum to the API, and the user learns so."""
    callcap = calls_of_ages(MINUTE * 100)
    run_tap(callcap, filters={"search_duration_max": 599})
    assert warnings(caplog) == []
    run_tap(callcap, filters={"search_duration_max": 600})
    (line,) = warnings(caplog)
    assert "Callcap ignores filters.search_duration_max from 600 on" in line


def test_a_call_that_stops_matching_stays_as_it_was() -> None:
    """An edited call comes as long as it matches; one that starts matching comes with its edit."""
    callcap = calls_of_ages(MINUTE * 100, MINUTE * 200)
    filters = {"search_action": "ans"}
    state = run_tap(callcap, filters=filters).state
    callcap.advance(timedelta(hours=2))
    callcap.book.edit("1_0", at=NOW + MINUTE, action="Hangup", revenue=5)
    callcap.book.edit("1_1", at=NOW + MINUTE, revenue=7)
    run = run_tap(callcap, filters=filters, state=state)
    assert run.ids == {"1_1"}
    callcap.advance(timedelta(hours=1))
    callcap.book.edit("1_0", at=NOW + 121 * MINUTE, action="Answer")
    assert run_tap(callcap, filters=filters, state=run.state).ids == {"1_0"}


def test_an_api_that_says_nothing_of_the_filters_leaves_the_bookmark(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where nothing matches and the API says so by 404, the run says that filters are set."""
    callcap = calls_of_ages(MINUTE * 100, switches=Switches(empty_search="404"))
    state = run_tap(callcap).state
    caplog.clear()
    run = run_tap(callcap, filters={"search_action": "blocked"}, state=state)
    assert run.states == [state]
    assert warnings(caplog)[-1] == (
        "Callcap has no calls for this key that match the filters: the bookmark stays where it was"
    )
    run = run_tap(callcap, filters={"search_action": "ans"}, state=state)
    assert bookmark_of(run.state) == bookmark_of(state)


def test_filters_that_match_nothing_move_the_bookmark() -> None:
    """An API that answers an empty page was read whole, matching calls or none."""
    run = run_tap(calls_of_ages(MINUTE * 100), filters={"search_action": "blocked"})
    assert run.records == []
    assert bookmark_of(run.state) == "2026-03-03T14:58:00Z"


def test_filters_come_from_the_environment_of_the_command(tmp_path: Path) -> None:
    """`--config=ENV` takes them as one JSON object, and the requests have them."""
    with Sandbox(calls_of_ages(MINUTE * 100)) as sandbox:
        environment = {
            "TAP_CALLCAP_API_KEY": "sandbox",
            "TAP_CALLCAP_API_URL": sandbox.url,
            "TAP_CALLCAP_FILTERS": '{"division_id": [7, 1669], "search_term": "Smith & Söhne"}',
        }
        run = run_command("--config=ENV", folder=tmp_path, environment=environment)
        assert run.code == 0, run.log
        asked = sandbox.callcap.requests[0].params
    assert (asked["division_id"], asked["search_term"]) == ("7,1669", "Smith & Söhne")


def test_a_filter_that_the_api_refuses_is_named(tmp_path: Path) -> None:
    """A 400 that no window mends: exit 1, and one line that tells to check the filters."""
    callcap = calls_of_ages(MINUTE * 100)
    refusal = Answer.of({"status": "error", "message": "no access"}, 400)
    callcap.before_answer = lambda asked: refusal if "campaign_id" in asked.params else None
    with Sandbox(callcap) as sandbox:
        config = {"api_key": "sandbox", "api_url": sandbox.url, "filters": {"campaign_id": 4711}}
        run = run_command(folder=tmp_path, config=config)
    assert run.code == 1
    (line,) = [line for line in run.log.splitlines() if "| ERROR " in line]
    assert "(error no access)" in line
    assert "correct the filters" in line
    assert "4711" not in run.log


@pytest.mark.parametrize("seeds", [range(15), range(15, 30)], ids=["seeds-0", "seeds-15"])
@pytest.mark.parametrize(
    ("filters", "matches"),
    [
        ({"corporate_id": 1003}, lambda call: call["accounts"]["corporate"]["id"] == 1003),
        ({"search_term": "edited at"}, lambda call: "edited at" in (call["notes"] or "")),
    ],
    ids=["stays", "begins-by-an-edit"],
)
def test_no_history_loses_a_call_that_matches(
    filters: dict[str, Any], matches: Callable[[Call], bool], seeds: range
) -> None:
    """Edits between any two requests and kills: the newest version of each such call arrives."""
    for seed in seeds:
        history = random_history(seed, config={"filters": filters})
        *_, ended_well = live_through(history, read_with_tap)
        assert ended_well, f"seed {seed}"
        lost = [call_id for call_id in history.lost() if matches(history.book[call_id])]
        assert lost == [], f"seed {seed}"
        written = {line["record"]["call_id"] for line in history.written if "record" in line}
        assert all(matches(history.book[each]) for each in written & history.book.ids)


# The fingerprint

FILTERED = {"search_action": "ans", "division_id": [1669, 7], "search_caller_id": "316-555-3333"}


@pytest.mark.parametrize(
    ("later", "words"),
    [
        ({**FILTERED, "search_action": "missed"}, ["(search_action): those that match only now"]),
        ({"division_id": [7, 1669]}, ["(search_action, search_caller_id): those that match"]),
        ({**FILTERED, "search_major": 1}, ["without the filters search_major: those that do not"]),
        (
            {**FILTERED, "search_action": "missed", "search_major": 1},
            ["(search_action): those", "without the filters search_major"],
        ),
    ],
    ids=["changed", "removed", "added", "both"],
)
def test_a_changed_filter_is_warned_of_once(
    later: dict[str, Any], words: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Other filters than those of the state: the run says what earlier calls lack, once."""
    callcap = calls_of_ages(MINUTE * 100)
    state = run_tap(callcap, filters=FILTERED).state
    for filters in (FILTERED, {**FILTERED, "division_id": "7,1669"}):
        callcap.advance(timedelta(hours=1))
        state = run_tap(callcap, filters=filters, state=state).state
    assert warnings(caplog) == []
    callcap.advance(timedelta(hours=1))
    state = run_tap(callcap, filters=later, state=state).state
    lines = warnings(caplog)
    assert len(lines) == len(words)
    assert all(word in line for word, line in zip(words, lines, strict=True))
    callcap.advance(timedelta(hours=1))
    run_tap(callcap, filters=later, state=state)
    assert warnings(caplog) == []


def test_the_first_filter_of_a_state_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """A state of a run without filters, or of a release that knew none, is read on from."""
    callcap = calls_of_ages(MINUTE * 100)
    state = run_tap(callcap).state
    del state["bookmarks"]["calls"]["asked"]["filters"]
    callcap.advance(timedelta(hours=1))
    run_tap(callcap, filters={"search_action": "ans"}, state=state)
    (line,) = warnings(caplog)
    assert "without the filters search_action" in line


def test_days_in_another_timezone_are_another_filter(caplog: pytest.LogCaptureFixture) -> None:
    """A filter on days says other days in another timezone; the others do not."""
    callcap = calls_of_ages(MINUTE * 100)
    filters = {"search_startdate": "2024-01-01", "search_action": "ans"}
    state = run_tap(callcap, filters=filters).state
    callcap.advance(timedelta(hours=1))
    run_tap(callcap, filters=filters, state=state, timezone="US/Central")
    (line,) = warnings(caplog)
    assert "(search_startdate): those" in line


def test_the_state_does_not_say_what_the_filters_say() -> None:
    """Targets log states, and a filter may be a person's telephone number."""
    run = run_tap(calls_of_ages(MINUTE * 100), filters=FILTERED)
    assert run.state["bookmarks"]["calls"]["asked"]["filters"].keys() == FILTERED.keys()
    assert "3333" not in json.dumps(run.state)
