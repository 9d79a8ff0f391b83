"""The stream `calls` over several runs: what a user expects of any incremental stream."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from singer_sdk.exceptions import ConfigurationError

from support.histories import BEGINNING, ENCODER
from support.running import FORMATS, bookmark_of, discovered, expected_record, run_tap, state_at
from tap_callcap.sandbox import CallBook, Callcap, Switches, made_up_calls

UTC = timezone.utc
DAY = timedelta(days=1)
NOW = BEGINNING
# 15:00, less the lag of a minute, less the border minute
DATA_AS_OF = "2026-03-03T14:58:00Z"


def callcap_with(calls: int = 300, *, days: int = 400, switches: Switches | None = None) -> Callcap:
    """An account whose calls are strewn over the last `days`, seen at `NOW`."""
    book = CallBook(made_up_calls(calls, seed=calls, start=NOW - days * DAY, end=NOW - DAY / 24))
    return Callcap(book, switches=switches, clock=lambda: NOW)


def canonical(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Records by id, with numbers as numbers."""
    return {record["call_id"]: record for record in records}


def test_every_field_of_every_call_is_right() -> None:
    """Each record equals the account's truth, field by field."""
    callcap = callcap_with()
    records = canonical(run_tap(callcap).records)
    assert records.keys() == callcap.book.ids
    for call in callcap.book:
        expected = _plain(expected_record(call))
        assert records[call["call_id"]] == expected


@pytest.mark.parametrize(
    "switches",
    [
        Switches(dialect="coldfusion"),
        Switches(absent="missing"),
        Switches(absent="empty"),
        Switches(utc="refused"),
        Switches(utc="ignored"),
    ],
    ids=["coldfusion", "missing", "empty", "utc-refused", "utc-ignored"],
)
def test_every_dialect_of_the_api_gives_the_same_values(switches: Switches) -> None:
    """However the API writes them, instants, ids and numbers come out the same."""
    plain = canonical(run_tap(callcap_with()).records)
    told = canonical(run_tap(callcap_with(switches=switches)).records)
    assert told.keys() == plain.keys()
    for call_id, record in plain.items():
        for name in ("last_modified", "start_datetime", "end_datetime", "duration", "revenue"):
            assert told[call_id][name] == record[name]
        assert told[call_id]["_extra"] is None


def test_records_validate_against_the_emitted_schema() -> None:
    """Each record fits the SCHEMA message, with format checks on."""
    run = run_tap(callcap_with(switches=Switches(unknown_fields=True)))
    validator = Draft202012Validator(run.schema, format_checker=FORMATS)
    for record in run.records:
        validator.validate(record)
        assert record["last_modified"].endswith("Z")
        assert record["_extra"] is not None


def test_every_page_is_read() -> None:
    """No call is lost where a window has many pages, or a page has one call."""
    for page_size in (1, 7, 100):
        callcap = callcap_with(60)
        assert run_tap(callcap, page_size=page_size).ids == callcap.book.ids


def test_start_date_is_the_earliest_last_modified() -> None:
    """Calls modified from start_date on come, inclusive to the second; earlier ones do not."""
    callcap = callcap_with()
    first = sorted(call["last_modified"] for call in callcap.book)[100]
    run = run_tap(callcap, start_date=first.isoformat())
    assert run.ids == {c["call_id"] for c in callcap.book if c["last_modified"] >= first}


def test_end_date_is_exclusive() -> None:
    """Calls modified before end_date come, to the second, and the bookmark is end_date."""
    callcap = callcap_with()
    last = sorted(call["last_modified"] for call in callcap.book)[100]
    run = run_tap(callcap, end_date=last.isoformat())
    assert run.ids == {c["call_id"] for c in callcap.book if c["last_modified"] < last}
    assert bookmark_of(run.state) == last.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_end_date_never_moves_a_bookmark_back() -> None:
    """A run up to an earlier end_date leaves a later bookmark alone."""
    run = run_tap(callcap_with(), state=state_at(DATA_AS_OF), end_date="2025-06-01T00:00:00Z")
    assert run.records == []
    assert [bookmark_of(state) for state in run.states] == [DATA_AS_OF]


def test_the_bookmark_is_the_end_of_the_last_window() -> None:
    """The bookmark is where reading ended, not the largest timestamp seen."""
    run = run_tap(callcap_with())
    assert bookmark_of(run.state) == DATA_AS_OF
    assert max(record["last_modified"] for record in run.records) < DATA_AS_OF
    assert run.state["bookmarks"]["calls"]["replication_key"] == "last_modified"


def test_a_run_with_nothing_to_read_emits_one_state() -> None:
    """A second run at the same moment reads only the lookback and says where it stands."""
    callcap = callcap_with()
    state = run_tap(callcap).state
    run = run_tap(callcap, state=state)
    assert run.records == []
    assert run.states == [state]


def test_two_increments_in_a_row_are_equal() -> None:
    """Run twice from the same STATE, an increment gives the same records and STATE."""
    callcap = callcap_with()
    state = state_at("2026-01-01T00:00:00Z")
    first, second = (run_tap(callcap, state=state) for _ in range(2))
    assert first.records == second.records != []
    assert first.states == second.states


def test_lookback_reads_again_what_lies_before_the_bookmark() -> None:
    """Exactly the calls modified within the lookback before the bookmark come again."""
    callcap = callcap_with()
    bookmark = datetime(2026, 1, 1, tzinfo=UTC)
    run = run_tap(callcap, state=state_at("2026-01-01T00:00:00Z"), lookback_minutes=30 * 24 * 60)
    since = bookmark - timedelta(days=30)
    assert run.ids == {c["call_id"] for c in callcap.book if c["last_modified"] >= since}
    before = {c["call_id"] for c in callcap.book if since <= c["last_modified"] < bookmark}
    assert before
    assert before < run.ids


def test_an_old_call_edited_today_arrives_today() -> None:
    """A call that began three years ago and was edited since the last run is in the increment."""
    callcap = callcap_with(days=1200)
    state = run_tap(callcap).state
    oldest = min(callcap.book, key=lambda call: call["start_datetime"] or NOW)
    assert oldest["start_datetime"] < NOW - 3 * 365 * DAY
    callcap.advance(timedelta(hours=1))
    callcap.book.edit(oldest["call_id"], at=NOW + timedelta(minutes=20), revenue=125)
    (record,) = run_tap(callcap, state=state).records
    assert (record["call_id"], record["revenue"]) == (oldest["call_id"], 125)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_reading_on_from_every_state_is_complete(concurrency: int) -> None:
    """Whatever STATE a target has seen, the next run brings all that is behind it."""
    callcap = callcap_with(400)
    run = run_tap(callcap, page_size=5, concurrency=concurrency)
    assert len(run.states) > 5
    seen: set[str] = set()
    for message in run.messages:
        if message["type"] == "RECORD":
            seen.add(message["record"]["call_id"])
        elif message["type"] == "STATE":
            rest = run_tap(callcap, state=message["value"], page_size=100)
            assert seen | rest.ids == callcap.book.ids
            assert bookmark_of(rest.state) == DATA_AS_OF


def test_state_follows_the_records_that_it_covers() -> None:
    """No record behind a STATE was modified before its bookmark: it never precedes its records."""
    covered = ""
    for message in run_tap(callcap_with(400), page_size=5).messages:
        if message["type"] == "RECORD":
            assert message["record"]["last_modified"] >= covered
        elif message["type"] == "STATE":
            assert bookmark_of(message["value"]) >= covered
            covered = bookmark_of(message["value"])


def test_a_call_is_written_once_a_version() -> None:
    """A run in which nothing changes writes each call once, whatever was cut and read again."""
    run = run_tap(callcap_with(400, switches=Switches(ties="shuffled")), page_size=3)
    assert len(run.records) == len(run.ids)


def test_an_older_version_never_follows_a_newer_one() -> None:
    """Within a run, the versions of a call come in their order."""
    callcap = callcap_with(200)
    rng = Random(3)
    now = [NOW]
    callcap_live = Callcap(callcap.book, clock=lambda: now[0])

    def live(_: object) -> None:
        now[0] += timedelta(seconds=50)
        call_id = rng.choice(sorted(callcap.book.ids))
        callcap.book.edit(call_id, at=now[0], revenue=rng.random())

    callcap_live.before_answer = live
    versions: dict[str, str] = {}
    for record in run_tap(callcap_live, page_size=5).records:
        assert versions.get(record["call_id"], "") < record["last_modified"]
        versions[record["call_id"]] = record["last_modified"]


def test_a_bookmark_from_the_future_is_an_error() -> None:
    """A STATE of the year 2999 is named instead of read as nothing to do."""
    with pytest.raises(Exception, match="2999-01-01T00:00:00Z is later than Callcap's clock"):
        run_tap(callcap_with(3), state=state_at("2999-01-01T00:00:00Z"))


@pytest.mark.parametrize("lookback", [0, 20, 60])
def test_after_a_bookmark_that_went_too_far_calls_are_read_from_where_it_is_sure(
    lookback: int,
) -> None:
    """A bookmark somewhat ahead of both clocks stays, but what it skipped comes all the same."""
    callcap = callcap_with(3)
    edited = min(callcap.book.ids)
    state = state_at("2026-03-03T15:50:00Z")
    state = run_tap(callcap, state=state, lookback_minutes=lookback).state
    assert bookmark_of(state) == "2026-03-03T15:50:00Z"
    callcap.advance(timedelta(minutes=5))
    callcap.book.edit(edited, at=callcap.now())
    callcap.advance(timedelta(days=1))
    run = run_tap(callcap, state=state, lookback_minutes=lookback)
    assert edited in run.ids
    assert "certain_until" in state["bookmarks"]["calls"]
    assert "certain_until" not in run.state["bookmarks"]["calls"]


def test_a_bookmark_that_went_too_far_reads_the_lookback_before_now() -> None:
    """It begins at the clock less the lookback, and leaves the bookmark alone."""
    callcap = callcap_with(3)
    call_id = min(callcap.book.ids)
    callcap.book.edit(call_id, at=NOW - timedelta(minutes=15))
    run = run_tap(callcap, state=state_at("2026-03-03T15:30:00Z"), lookback_minutes=20)
    assert run.ids == {call_id}
    assert bookmark_of(run.state) == "2026-03-03T15:30:00Z"


def test_end_date_before_the_bookmark_leaves_no_doubt() -> None:
    """A run that ends early because it was told to says nothing about the bookmark."""
    run = run_tap(callcap_with(3), state=state_at(DATA_AS_OF), end_date="2026-03-03T14:50:00Z")
    assert "certain_until" not in run.state["bookmarks"]["calls"]


def test_a_bookmark_ahead_by_more_than_an_hour_is_an_error() -> None:
    """No clock can have been right that moved it there."""
    with pytest.raises(Exception, match="16:30:00Z is later than Callcap's clock and this machine"):
        run_tap(callcap_with(3), state=state_at("2026-03-03T16:30:00Z"))


def test_an_unreadable_bookmark_is_an_error() -> None:
    """A STATE whose bookmark is no instant is named."""
    with pytest.raises(Exception, match="bookmark of calls is not a date and time"):
        run_tap(callcap_with(3), state=state_at("yesterday"))


def test_a_state_with_an_unreadable_doubt_is_an_error() -> None:
    """It is named as the bookmark is, not as something that nobody expected."""
    state = state_at("2026-03-03T14:30:00Z")
    state["bookmarks"]["calls"]["certain_until"] = "yesterday"
    with pytest.raises(Exception, match="bookmark of calls is not a date and time"):
        run_tap(callcap_with(3), state=state)


def test_rows_from_the_future_never_move_the_bookmark() -> None:
    """A call whose last_modified lies ahead of the server's clock waits for its time."""
    callcap = callcap_with(20)
    call_id = min(callcap.book.ids)
    callcap.book.edit(call_id, at=NOW + 30 * DAY)
    run = run_tap(callcap)
    assert run.ids == callcap.book.ids - {call_id}
    assert bookmark_of(run.state) == DATA_AS_OF
    callcap.advance(31 * DAY)
    assert call_id in run_tap(callcap, state=run.state).ids


def test_the_newest_minutes_are_left_to_the_next_run() -> None:
    """A call modified within the lag, or in the minute behind it, comes with the next run."""
    callcap = callcap_with(5)
    call_id = min(callcap.book.ids)
    callcap.book.edit(call_id, at=datetime(2026, 3, 3, 14, 58, tzinfo=UTC))
    run = run_tap(callcap)
    assert run.ids == callcap.book.ids - {call_id}
    callcap.advance(timedelta(minutes=1))
    assert run_tap(callcap, state=run.state).ids >= {call_id}


def test_full_table_reads_all_and_leaves_no_bookmark() -> None:
    """A catalog that asks for FULL_TABLE gets every call, whatever the state says."""
    callcap = callcap_with(50)
    catalog = discovered()
    catalog["streams"][0]["replication_method"] = "FULL_TABLE"
    run = run_tap(callcap, catalog=catalog)
    assert run.ids == callcap.book.ids
    assert run.states == [{"bookmarks": {"calls": {}}}]


def test_deselection_reaches_the_api_and_the_records() -> None:
    """What is not selected is not asked for, and not written; nested properties too."""
    callcap = callcap_with(20)
    catalog = discovered(summaries=False, webmatch=False, notes=False, caller__zip=False)
    run = run_tap(callcap, catalog=catalog)
    (detail,) = {asked.params["detail"] for asked in callcap.requests if asked.params}
    assert detail == "accounts,caller,callsurance,import,scorecards,sentiment"
    for record in run.records:
        assert record.keys() & {"summaries", "webmatch", "notes", "demographics"} == set()
        assert "zip" not in record["caller"]
        assert "city" in record["caller"]
    assert "zip" not in run.schema["properties"]["caller"]["properties"]


def test_demographics_come_only_when_selected() -> None:
    """They are about people and rarely enabled: the user must ask for them."""
    callcap = callcap_with(60)
    plain = run_tap(callcap)
    assert "demographics" not in plain.schema["properties"]
    assert "demographics" not in callcap.requests[0].params["detail"]
    callcap.requests.clear()
    run = run_tap(callcap, catalog=discovered(demographics=True))
    assert "demographics" in callcap.requests[0].params["detail"].split(",")
    texts = [record["demographics"].get("person") for record in run.records]
    assert any(text and text.startswith("{") for text in texts)


def test_a_column_that_the_catalog_lacks_is_dropped() -> None:
    """A property that the user took out of the catalog's schema comes nowhere, nor as _extra."""
    callcap = callcap_with(20)
    catalog = discovered()
    del catalog["streams"][0]["schema"]["properties"]["caller"]["properties"]["name"]
    del catalog["streams"][0]["schema"]["properties"]["notes"]
    for record in run_tap(callcap, catalog=catalog).records:
        assert "notes" not in record
        assert "name" not in record["caller"]
        assert record["_extra"] is None


def test_unknown_fields_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """A new field of the API is kept, and named in the log once, without its value."""
    with caplog.at_level(logging.WARNING):
        run = run_tap(callcap_with(50, switches=Switches(unknown_fields=True)))
    warnings = [record.message for record in caplog.records if "unknown" in record.message]
    assert warnings
    assert len(warnings) == len(set(warnings))
    assert all(record["_extra"] for record in run.records)


def test_flattening_keeps_every_column() -> None:
    """Each record has every column, but for those of an object that the call lacks."""
    callcap = callcap_with(60)
    run = run_tap(callcap, flattening_enabled=True, flattening_max_depth=3)
    columns = set(run.schema["properties"])
    assert "callsurance__change_request__status" in columns
    nested = {record["call_id"]: record for record in run_tap(callcap).records}
    for record in run.records:
        lacking = columns - set(record)
        assert set(record) <= columns
        for column in lacking:
            value: Any = nested[record["call_id"]]
            for name in column.split("__"):
                if value == {}:
                    break
                value = value[name]
            assert value == {}, column


def test_stream_maps_apply() -> None:
    """The SDK's stream maps see the shaped record."""
    maps = {"calls": {"call_id": "call_id", "city": "caller['city']", "__else__": None}}
    run = run_tap(callcap_with(10), stream_maps=maps)
    assert {tuple(record) for record in run.records} == {("call_id", "city")}


def test_fields_of_absent_objects_are_null_in_stream_maps() -> None:
    """An expression need not ask first whether an object is there; a wrong name still fails."""
    callcap = callcap_with(3)
    for call in list(callcap.book):
        callcap.book.edit(call["call_id"], at=call["last_modified"], caller=None, accounts=None)
    maps = {"zip": "caller['zip']", "memo": "accounts['campaign']['line_memo']", "one": "[1][0]"}
    run = run_tap(callcap, stream_maps={"calls": maps})
    found = [(record["zip"], record["memo"], record["one"]) for record in run.records]
    assert found == [(None, None, 1)] * 3
    with pytest.raises(ConfigurationError, match="for zip of calls in stream_maps failed with Ty"):
        run_tap(callcap_with(3), stream_maps={"calls": {"zip": "call_id['zip']"}})


def _plain(value: Any) -> Any:
    """A truth as it looks after JSON: Decimals as floats."""
    return msgspec.json.decode(ENCODER.encode(value))
