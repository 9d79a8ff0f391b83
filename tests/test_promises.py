"""The promises of docs/guarantees.md, by number."""

from __future__ import annotations

import json
import logging
import re
from datetime import datetime, timedelta, timezone
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from support.histories import BEGINNING, History, live_through, random_history, read_with_tap
from support.running import bookmark_of, expected_record, run_command, run_tap, state_at
from support.selecting import selected_by_meltano
from tap_callcap.records.schema import load_schema
from tap_callcap.sandbox import Answer, Asked, CallBook, Callcap, Sandbox, Switches, made_up_calls
from tap_callcap.sandbox.switch_texts import switch_values

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

UTC = timezone.utc
NOW = BEGINNING


def instant(text: str) -> datetime:
    """A datetime of a record or a STATE."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def written_versions(history: History) -> set[tuple[str, str]]:
    """Every version that a target of this history has read."""
    records = (line["record"] for line in history.written if line["type"] == "RECORD")
    return {(record["call_id"], record["last_modified"]) for record in records}


def test_promise_1_complete() -> None:
    """After each run that exits 0, every call modified before its "data as of" is written."""
    runs = 0
    for seed in range(20_000, 20_015):
        history = random_history(seed)
        for ended_well in live_through(history, read_with_tap):
            # The last run began before this moment, and a bookmark lies before its beginning.
            if not ended_well or not history.bookmark:  # nothing has proven the zone yet
                continue
            runs += 1
            data_as_of = instant(history.bookmark)
            owed = {
                (call["call_id"], call["last_modified"].strftime("%Y-%m-%dT%H:%M:%SZ"))
                for call in history.book
                if call["last_modified"] < data_as_of
            }
            assert owed <= written_versions(history), f"seed {seed}"
    assert runs > 20


@pytest.mark.parametrize("status", [500, 403, 404, 200], ids=str)
def test_promise_2_no_silent_loss(status: int, tmp_path: Path) -> None:
    """Whatever the API answers for a window, the run that cannot read it fails before it."""
    book = CallBook(made_up_calls(100, seed=6, start=NOW - timedelta(days=100), end=NOW))
    answers = 0

    def broken(_: Asked) -> Answer | None:
        nonlocal answers
        answers += 1
        return Answer.of({"status": "success"}, status) if answers > 42 else None

    with Sandbox(Callcap(book, clock=lambda: NOW)) as sandbox:
        sandbox.callcap.before_answer = broken
        config = {
            "api_key": "sandbox",
            "api_url": sandbox.url,
            "page_size": 2,
            "concurrency": 1,
            "retry_minutes": 0,
        }
        run = run_command(folder=tmp_path, config=config)
        assert run.code == 1
        sandbox.callcap.before_answer = None
        rest = run_command(folder=tmp_path, config=config, state=run.state)
    covered = instant(bookmark_of(run.state))
    assert covered < NOW - timedelta(days=1)
    assert {c["call_id"] for c in book if c["last_modified"] < covered} <= run.ids
    assert run.ids | rest.ids == book.ids


def test_promise_3_at_least_once() -> None:
    """Versions repeat only within the lookback, and after a kill behind the last STATE."""
    for seed in range(30_000, 30_012):
        history = random_history(seed)
        lookback = timedelta(minutes=history.config["lookback_minutes"])
        before: set[tuple[str, str]] = set()
        start = datetime.min.replace(tzinfo=UTC)
        read = 0
        for _ in live_through(history, read_with_tap):
            lines, read = history.written[read:], len(history.written)
            versions = [
                (line["record"]["call_id"], line["record"]["last_modified"])
                for line in lines
                if line["type"] == "RECORD"
            ]
            assert len(versions) == len(set(versions)), f"seed {seed}: twice within a run"
            assert all(instant(at) >= start for _, at in before & set(versions)), f"seed {seed}"
            before |= set(versions)
            if history.bookmark:  # not as long as nothing proves the zone
                start = instant(history.bookmark) - lookback


def test_promise_4_bounded_repeat() -> None:
    """After a kill, the next run repeats at most what followed the last STATE, and the lookback."""
    for seed in range(40_000, 40_012):
        history = random_history(seed, switches=Switches(), config={"lookback_minutes": 0})
        history.is_quiet = True
        history.run(read_with_tap, kill=True)
        kinds = [line["type"] for line in history.written]
        behind = kinds[::-1].index("STATE") if "STATE" in kinds else len(kinds)
        killed, history.written = written_versions(history), []
        assert history.run(read_with_tap)
        assert len(killed & written_versions(history)) <= behind, f"seed {seed}"


ZONES = ["US/Central", "Europe/London", "Australia/Lord_Howe", "America/St_Johns", "US/Arizona"]
NIGHTS = {
    "US/Central": [datetime(2026, 3, 8, 8, tzinfo=UTC), datetime(2026, 11, 1, 7, tzinfo=UTC)],
    "Europe/London": [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)],
    "Australia/Lord_Howe": [
        datetime(2026, 4, 4, 15, tzinfo=UTC),
        datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    ],
    "America/St_Johns": [
        datetime(2026, 3, 8, 5, 30, tzinfo=UTC),
        datetime(2026, 11, 1, 4, 30, tzinfo=UTC),
    ],
    "US/Arizona": [datetime(2026, 3, 8, 8, tzinfo=UTC), datetime(2026, 11, 1, 7, tzinfo=UTC)],
}


@pytest.mark.parametrize("repeated_hour", switch_values("repeated_hour"))
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("night", [0, 1], ids=["spring", "autumn"])
def test_promise_5_utc(zone: str, night: int, repeated_hour: Any) -> None:
    """Over a clock change of the zone that the API is asked in, all is read, once, and in UTC.

    Only a time of the repeated hour comes out as its first pass: nothing tells the two apart.
    """
    change = NIGHTS[zone][night]
    calls = made_up_calls(
        160, seed=11, start=change - timedelta(hours=4), end=change + timedelta(hours=4)
    )
    clock = [change - timedelta(hours=4)]
    callcap = Callcap(
        CallBook(), clock=lambda: clock[0], switches=Switches(repeated_hour=repeated_hour)
    )
    tz = ZoneInfo(zone)
    records: dict[str, dict[str, Any]] = {}
    state: dict[str, Any] = {}
    waiting = sorted(calls, key=itemgetter("last_modified"))
    while waiting or clock[0] < change + timedelta(hours=11):  # until all is settled
        clock[0] += timedelta(minutes=67)
        while waiting and waiting[0]["last_modified"] <= clock[0]:
            callcap.book.add(waiting.pop(0))
        run = run_tap(
            callcap,
            state=state,
            timezone=zone,
            lookback_minutes=0,
            page_size=9,
            start_date=(change - timedelta(hours=6)).isoformat(),
        )
        state = run.state
        records |= {record["call_id"]: record for record in run.records}
    assert records.keys() == callcap.book.ids
    for call in callcap.book:
        first_pass = {
            name: value.astimezone(tz).replace(fold=0).astimezone(UTC)
            for name, value in call.items()
            if isinstance(value, datetime)
        }
        expected = expected_record({**call, **first_pass})
        for name in ("last_modified", "start_datetime", "end_datetime"):
            assert records[call["call_id"]][name] == expected[name]


def test_promise_6_nothing_dropped() -> None:
    """What the schema does not know comes out in `_extra`, from any depth, with its value."""
    book = CallBook(made_up_calls(50, seed=6, start=NOW - timedelta(days=9), end=NOW))
    callcap = Callcap(book, switches=Switches(unknown_fields=True), clock=lambda: NOW)
    callcap.advance(timedelta(hours=1))
    found: set[str] = set()
    for record in run_tap(callcap).records:
        extra = json.loads(record["_extra"])
        assert all(value is not None for value in extra.values())
        found |= {path.split("[")[0] for path in extra}
    assert found >= {"queue_seconds", "ai_topics", "caller.line_type", "accounts.region"}


CANARIES = (
    "316-555-7788",
    "Ada C4nary",
    "c4nary-note",
    "https://c4nary.example/r.mp3",
    "c4nary-key",
)


@pytest.mark.parametrize("ending", ["well", "badly"])
def test_promise_7_silent_about_people(ending: str, tmp_path: Path) -> None:
    """At level DEBUG, no key and no value of a call is in the log of a run, however it ends."""
    number, name, note, recording, key = CANARIES
    book = CallBook(made_up_calls(40, seed=6, start=datetime(2026, 1, 1, tzinfo=UTC), end=NOW))
    for call_id in book.ids:
        caller = {**(book[call_id]["caller"] or {}), "caller_id": number, "name": name, number: 1}
        changes = {"caller": caller, "notes": note, "recording": recording, "duration": note}
        book.edit(call_id, at=NOW, **changes)
    with Sandbox(Callcap(book, api_key=key)) as sandbox:
        if ending == "badly":
            sandbox.callcap.before_answer = lambda asked: (
                Answer.of({"status": "error", "message": f"{name} {number}", "call": note}, 500)
                if asked.params.get("page") != "1"
                else None
            )
        run = run_command(
            folder=tmp_path,
            config={"api_key": key, "api_url": sandbox.url, "page_size": 9, "retry_minutes": 0},
            environment={"TAP_CALLCAP_LOGLEVEL": "DEBUG"},
        )
    assert run.code == (0 if ending == "well" else 1)
    assert "DEBUG" in run.log
    for canary in (number, note, recording, key, "C4nary" if ending == "well" else note):
        assert canary not in run.log


BATCH = {
    "encoding": {"format": "jsonl", "compression": "gzip"},
    "storage": {"root": "file:///tmp/batches"},
}
NOT_AS_ASKED: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "a setting": ({"batch_config": {**BATCH, "batch_size": 0}}, {}, "batch_config.batch_size"),
    "a name in a map": ({"stream_maps": {"calls": {"callr": None}}}, {}, "callr"),
    "a hashed field": ({"hash_fields": ["callr"], "hash_key": "k" * 32}, {}, "callr"),
    "a filter": ({"filters": {"search_campain": 1}}, {}, "search_campain"),
    "a variable's value": ({}, {"TAP_CALLCAP_PAGE_SIZE": "many"}, "page_size"),
}


@pytest.mark.parametrize("case", NOT_AS_ASKED)
def test_promise_8_as_asked_or_said(case: str, tmp_path: Path) -> None:
    """What cannot be done as asked is one line that names it, before any request."""
    settings, environment, name = NOT_AS_ASKED[case]
    with Sandbox(Callcap(CallBook([]), clock=lambda: NOW)) as sandbox:
        config = {"api_key": "sandbox", "api_url": sandbox.url, **settings}
        run = run_command("--config=ENV", folder=tmp_path, config=config, environment=environment)
        assert sandbox.callcap.requests == []
    assert run.code == 1
    assert run.messages == []
    (line,) = [line for line in run.log.splitlines() if "ERROR" in line]
    assert name in line


def test_promise_8_a_selection_is_what_is_requested(tmp_path: Path) -> None:
    """A catalog that selects one object has that object whole, and no other section asked for."""
    book = CallBook(made_up_calls(5, seed=6, start=NOW - timedelta(days=9), end=NOW))
    with Sandbox(Callcap(book, clock=lambda: NOW)) as sandbox:
        config = {"api_key": "sandbox", "api_url": sandbox.url}
        catalog = selected_by_meltano("calls.caller")
        run = run_command(folder=tmp_path, config=config, catalog=catalog)
        details = {asked.params.get("detail", "") for asked in sandbox.callcap.requests}
    assert not any("demographics" in detail or "notes" in detail for detail in details)
    assert run.schema["properties"]["caller"] == load_schema("calls")["properties"]["caller"]
    assert {tuple(sorted(record)) for record in run.records} == {
        ("call_id", "caller", "last_modified")
    }


def test_promise_9_says_what_it_does_not_promise() -> None:
    """A call that is deleted in Callcap stays in the target: no message takes it out."""
    book = CallBook(made_up_calls(5, seed=6, start=NOW - timedelta(days=9), end=NOW))
    callcap = Callcap(book, clock=lambda: NOW + timedelta(hours=1))
    first = run_tap(callcap)
    book.delete(min(book.ids))
    second = run_tap(callcap, state=state_at("2026-01-01T00:00:00Z"))
    assert {message["type"] for message in second.messages} == {"SCHEMA", "RECORD", "STATE"}
    assert first.ids > second.ids


def test_the_log_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    """A run says where it starts and up to when its data are, and little in between."""
    book = CallBook(made_up_calls(100, seed=6, start=NOW - timedelta(days=900), end=NOW))
    with caplog.at_level(logging.INFO):
        run = run_tap(Callcap(book, clock=lambda: NOW), page_size=1)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("tap-")]
    lines = [line for line in lines if not line.startswith("Skipping deselected stream")]
    *_, beginning, reading, done = lines
    assert beginning == "Beginning sync of 'calls' in incremental mode"
    assert len(lines) <= 4, "the SDK names its version once for each process"
    assert reading == (
        "Reading calls modified from 2000-01-01T00:00:00Z to 2026-03-03T14:58:00Z, requested in "
        "timezone UTC with detail all,import,notes,scorecards,sentiment,summaries"
    )
    assert re.fullmatch(
        rf"Done: data as of {bookmark_of(run.state)}; 100 calls, \d{{3}} requests, 0 retries, "
        r"0 s waited for the target\. The next run continues from there",
        done,
    )
