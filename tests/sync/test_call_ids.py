"""The setting `call_ids` reads only these calls, whatever the bookmark."""

from __future__ import annotations

import json
import logging
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from singer_sdk.exceptions import FatalAPIError

from support.direct_client import DirectClient
from support.fault_server import FaultServer, answer
from support.histories import BEGINNING, ENCODER, KillableWriter
from support.running import Run, discovered, expected_record, run_command, run_tap, state_at
from tap_callcap.sandbox import (
    VENDOR_EXAMPLE,
    Answer,
    CallBook,
    Callcap,
    Sandbox,
    Switches,
    made_up_calls,
)
from tap_callcap.tap import TapCallcap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from tap_callcap.sandbox import Asked

NOW = BEGINNING
STATE = state_at("2026-03-01T00:00:00Z")
EXAMPLE: str = VENDOR_EXAMPLE["call_id"]
ANOTHER = {"call_id": "c4n4ry", "last_modified": "2026-01-01 00:00:00"}


def some_calls(**switches: Any) -> Callcap:
    """An account with the vendor's call and 30 others."""
    book = CallBook(made_up_calls(30, seed=5, start=NOW - timedelta(days=90), end=NOW))
    book.add(VENDOR_EXAMPLE)
    return Callcap(book, switches=Switches(**switches), clock=lambda: NOW)


@pytest.mark.parametrize("dialect", ["json", "coldfusion"])
@pytest.mark.parametrize("shape", ["list", "object", "top_level"])
def test_a_single_call_comes_out_as_a_search_brings_it(shape: Any, dialect: Any) -> None:
    """Wherever the answer puts the call, its record is the one of a search."""
    callcap = some_calls(single_call=shape, dialect=dialect)
    ids = sorted(callcap.book.ids)[::-4]
    searched = {record["call_id"]: record for record in run_tap(callcap).records}
    callcap.requests.clear()
    run = run_tap(callcap, call_ids=ids)
    assert [record["call_id"] for record in run.records] == ids
    assert run.records == [searched[call_id] for call_id in ids]
    assert len(callcap.requests) == len(ids)
    assert run.records[0]["_extra"] is None


def test_the_log_counts_the_calls(caplog: pytest.LogCaptureFixture) -> None:
    """The last line says how many calls were read: not those that Callcap does not have."""
    callcap = some_calls()
    with caplog.at_level(logging.INFO), pytest.raises(FatalAPIError, match="no call 1_1"):
        run_tap(callcap, call_ids=[*sorted(callcap.book.ids)[:5], "1_1"])
    assert "Done: 5 calls, 6 requests, 0 retries, " in caplog.text


def test_a_single_call_is_right_field_by_field() -> None:
    """The record equals the account's truth."""
    (record,) = run_tap(some_calls(), call_ids=[EXAMPLE]).records
    assert record == msgspec.json.decode(ENCODER.encode(expected_record(VENDOR_EXAMPLE)))


def test_just_these_calls_come_whatever_else_is_set() -> None:
    """Neither dates nor filters count, and no search is made."""
    callcap = some_calls()
    run = run_tap(
        callcap,
        call_ids=[EXAMPLE],
        start_date="2026-03-01",
        end_date="2026-03-02",
        filters={"search_action": "blocked", "search_range": "week"},
    )
    assert run.ids == {EXAMPLE}
    (asked,) = callcap.requests
    assert asked.path == f"/v2/get/calls/{EXAMPLE}/"
    assert asked.params.keys() == {"search_timezone", "detail"}


def test_selection_reaches_the_api() -> None:
    """What is deselected is not asked for here either."""
    callcap = some_calls()
    run = run_tap(callcap, call_ids=[EXAMPLE], catalog=discovered(notes=False, caller__zip=False))
    assert "notes" not in callcap.requests[0].params["detail"]
    assert "notes" not in run.records[0]
    assert "zip" not in run.records[0]["caller"]


@pytest.mark.parametrize("state", [STATE, {}], ids=["state", "none"])
@pytest.mark.parametrize("method", ["INCREMENTAL", "FULL_TABLE"])
def test_the_bookmark_is_left_alone(state: dict[str, Any], method: str) -> None:
    """A state comes out as it went in; where there was no bookmark, none is made."""
    catalog = discovered()
    catalog["streams"][0]["replication_method"] = method
    run = run_tap(some_calls(), call_ids=[EXAMPLE], state=state, catalog=catalog)
    assert run.records
    assert all(each in (state, {"bookmarks": {"calls": {}}}) for each in run.states)
    assert not state or run.state == state


@pytest.mark.parametrize("utc", ["refused", "ignored", "alias"])
def test_the_zone_is_settled_as_in_searches(utc: Any) -> None:
    """Where UTC is not taken, Arizona is asked once, and the times are right."""
    callcap = some_calls(utc=utc)
    ids = sorted(callcap.book.ids)[:5]
    plain = run_tap(some_calls(), call_ids=ids)
    assert run_tap(callcap, call_ids=ids).records == plain.records
    zones = [asked.params["search_timezone"] for asked in callcap.requests]
    if utc == "alias":
        assert zones == ["UTC"] * 5
    else:
        assert zones == ["UTC", *["US/Arizona"] * 5]


def test_no_zone_that_is_taken_is_an_error() -> None:
    """Where the API takes neither, the setting is named."""
    callcap = some_calls(utc="refused", refused_timezones=frozenset({"US/Arizona"}))
    with pytest.raises(FatalAPIError, match="set timezone to one Callcap knows"):
        run_tap(callcap, call_ids=[EXAMPLE])


def test_calls_that_there_are_not_fail_the_run_at_its_end() -> None:
    """Those that there are come, whichever of them is first."""
    callcap = some_calls()
    first, *_, last = sorted(callcap.book.ids)
    catalog = discovered()
    writer = KillableWriter()
    client = DirectClient(callcap)
    with pytest.raises(FatalAPIError, match="no call 1_1, 2_2 for this key: check call_ids"):
        TapCallcap(
            client_factory=lambda _: client,
            config={"api_key": "sandbox", "call_ids": ["1_1", first, "2_2", last]},
            catalog=catalog,
            message_writer=writer,
        ).sync_all()
    assert Run(writer.lines).ids == {first, last}


def test_an_answer_without_a_zone_is_an_error() -> None:
    """Times that belong to no zone are not written."""
    with pytest.raises(FatalAPIError, match="does not say its timezone"):
        run_tap(some_calls(zone_echo=False), call_ids=[EXAMPLE])


# The command


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """The account, served on this machine."""
    with Sandbox(some_calls()) as sandbox:
        yield sandbox


def config_for(sandbox: Sandbox, *call_ids: str, **settings: Any) -> dict[str, Any]:
    """The config that reads calls of a sandbox."""
    settings = {"api_url": sandbox.url, "retry_minutes": 0, **settings}
    return {"api_key": "sandbox", "call_ids": call_ids, **settings}


def errors_of(log: str) -> list[str]:
    """The lines of a log at level ERROR."""
    return [line for line in log.splitlines() if "| ERROR " in line or "Traceback" in line]


def test_where_every_call_is_missing_all_are_named() -> None:
    """Not one answer settles the zone, and still each id is asked for and named."""
    with pytest.raises(FatalAPIError, match=r"no call 1_1, 2_2 for this key"):
        run_tap(some_calls(), call_ids=["1_1", "2_2"])


@pytest.mark.parametrize("missing", ["404", "204", "empty list", "nothing"])
@pytest.mark.parametrize("batch", [False, True], ids=["records", "batch"])
def test_missing_calls_are_named_after_the_others_came(
    missing: str, batch: bool, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Calls that the key does not see: exit 1, one line with their ids; the others are written."""
    answers = {
        "204": Answer(204),
        "empty list": Answer.of({"status": "success", "call": []}),
        "nothing": Answer.of({"status": "success", "search": {"timezone": "UTC"}}),
    }
    gone = ["1_1", "2_2:2"]
    sandbox.callcap.before_answer = lambda asked: (
        answers.get(missing) if asked.path.split("/")[4].replace("%3A", ":") in gone else None
    )
    ids = sorted(sandbox.book.ids)[:6]
    config = config_for(sandbox, gone[0], *ids[:3], gone[1], *ids[3:])
    if batch:
        encoding, storage = {"format": "jsonl", "compression": "gzip"}, {"root": tmp_path.as_uri()}
        config["batch_config"] = {"encoding": encoding, "storage": storage}
    run = run_command(folder=tmp_path, config=config, state=STATE)
    assert run.code == 1
    (line,) = errors_of(run.log)
    assert "Callcap has no call 1_1, 2_2:2 for this key: check call_ids" in line
    assert run.state == STATE
    if batch:
        assert [len(each["manifest"]) for each in run.messages if each["type"] == "BATCH"] == [1]
    else:
        assert [record["call_id"] for record in run.records] == ids


@pytest.mark.parametrize(
    ("call_id", "path"),
    [
        (EXAMPLE, "987654_23_11_19_2012_17%3A07%3A29_12"),
        ("1?x=1&y#z%20é", "1%3Fx%3D1%26y%23z%2520%C3%A9"),
    ],
    ids=["colons", "all"],
)
def test_an_id_is_one_part_of_the_path(call_id: str, path: str, tmp_path: Path) -> None:
    """An id holds colons, and whatever it holds, it leads to no other address."""
    content = {"call_id": call_id, "last_modified": "2026-01-01 00:00:00"}
    body = {"status": "success", "search": {"timezone": "UTC"}, "call": content}
    with FaultServer(after=answer(200, json.dumps(body))) as server:
        config = {"api_key": "key", "api_url": server.url, "call_ids": [call_id]}
        run = run_command(folder=tmp_path, config=config)
        assert [seen.path for seen in server.seen] == [f"/v2/get/calls/{path}/"]
    assert run.ids == {call_id}


@pytest.mark.parametrize(
    "content",
    [
        {"call": [ANOTHER]},
        {"call": ANOTHER},
        ANOTHER,
        {"call": [{**ANOTHER, "call_id": EXAMPLE}, ANOTHER]},
        {"call": [{**ANOTHER, "call_id": EXAMPLE, "last_modified": "c4n4ry"}]},
        {"call": "c4n4ry"},
        {"call": [None]},
    ],
    ids=["in-a-list", "object", "top-level", "two", "no-time", "text", "null"],
)
def test_another_call_is_an_error(
    content: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    """An answer that is not the call asked for, or no call at all, is not written, nor shown."""
    body = {"status": "success", "search": {"timezone": "UTC"}, **content}
    sandbox.callcap.before_answer = lambda _: Answer.of(body)
    run = run_command(folder=tmp_path, config=config_for(sandbox, EXAMPLE))
    assert (run.code, run.records) == (1, [])
    (line,) = errors_of(run.log)
    assert f"GET /v2/get/calls/{EXAMPLE}/ failed: " in line
    assert "c4n4ry" not in run.log


def test_a_wrong_key_is_one_line(sandbox: Sandbox, tmp_path: Path) -> None:
    """What is wrong for every call is no missing call."""
    config = config_for(sandbox, EXAMPLE, "1_1", api_key="wr0ng")
    run = run_command(folder=tmp_path, config=config)
    assert run.code == 1
    (line,) = errors_of(run.log)
    assert "check api_key" in line


def test_ids_come_from_the_environment_as_an_array(sandbox: Sandbox, tmp_path: Path) -> None:
    """A repair needs no file: one variable beside those that are there."""
    environment = {
        "TAP_CALLCAP_API_KEY": "sandbox",
        "TAP_CALLCAP_API_URL": sandbox.url,
        "TAP_CALLCAP_CALL_IDS": f'["{EXAMPLE}"]',
    }
    run = run_command("--config=ENV", folder=tmp_path, environment=environment)
    assert run.code == 0, run.log
    assert run.ids == {EXAMPLE}


@pytest.mark.parametrize("concurrency", [1, 3])
def test_calls_are_asked_for_side_by_side(
    concurrency: int, sandbox: Sandbox, tmp_path: Path
) -> None:
    """As many requests as `concurrency` says are in flight, and never more; the order stays."""
    lock, now, most = threading.Lock(), 0, 0

    def slowly(seconds: float) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(seconds)
        with lock:
            now -= 1

    callcap = Callcap(
        sandbox.book, switches=Switches(latency=0.05), clock=lambda: NOW, sleep=slowly
    )
    ids = sorted(sandbox.book.ids)
    with Sandbox(callcap) as slow:
        config = config_for(slow, *ids, concurrency=concurrency)
        run = run_command(folder=tmp_path, config=config)
    assert run.code == 0, run.log
    assert [record["call_id"] for record in run.records] == ids
    assert most == concurrency


@pytest.mark.parametrize("number", [0, 7])
def test_one_call_that_cannot_be_read_is_named_at_the_end(
    number: int, sandbox: Sandbox, tmp_path: Path
) -> None:
    """All others come, the exit code is 1, and the state stays."""
    ids = sorted(sandbox.book.ids)
    broken = Answer.of({"status": "error", "message": "Down"}, 500)

    def break_one(asked: Asked) -> Answer | None:
        return broken if asked.path.split("/")[4].replace("%3A", ":") == ids[number] else None

    sandbox.callcap.before_answer = break_one
    run = run_command(folder=tmp_path, config=config_for(sandbox, *ids), state=STATE)
    assert run.code == 1
    (line,) = errors_of(run.log)
    assert ids[number] in line
    assert run.ids == set(ids) - {ids[number]}
    assert run.state == STATE


class FailingFor(DirectClient):
    """A client to which Callcap does not answer about some calls."""

    failing: frozenset[str] = frozenset()

    def call(self, call_id: str, zone: ZoneInfo, detail: str) -> Any:
        """Ask for one call.

        Raises:
            FatalAPIError: For those that fail.
        """
        if call_id in self.failing:
            msg = "Callcap answered 500"
            raise FatalAPIError(msg)
        return super().call(call_id, zone, detail)


@pytest.mark.parametrize("number", [0, 3])
def test_one_call_that_fails_costs_only_itself(
    number: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is the first, which settles the zone, or another one."""
    callcap = some_calls()
    ids = sorted(callcap.book.ids)[:5]
    monkeypatch.setattr(FailingFor, "failing", frozenset({ids[number]}))
    with pytest.raises(FatalAPIError, match="Callcap answered 500"):
        run_tap(callcap, call_ids=ids, client_class=FailingFor)
    assert ids[number] in caplog.text
    assert len(callcap.requests) == 4


def test_a_server_that_answers_no_call_is_not_asked_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a few failures and no answer, the run ends."""
    callcap = some_calls()
    monkeypatch.setattr(FailingFor, "failing", frozenset(callcap.book.ids))
    with pytest.raises(FatalAPIError, match="Callcap answered 500"):
        run_tap(callcap, call_ids=sorted(callcap.book.ids), client_class=FailingFor)
