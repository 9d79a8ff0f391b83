"""The installed command, as Meltano and users call it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from support.running import (
    COMMAND,
    STREAMS,
    bookmark_of,
    clean_environment,
    discovered,
    run_command,
    state_at,
)
from tap_callcap.sandbox import CallBook, Callcap, Sandbox, Switches, made_up_calls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tap_callcap.sandbox import Asked

NOW = datetime.now(timezone.utc)
KEY = "k3y-c4n4ry-77"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An account with 250 calls, served on this machine."""
    book = CallBook(made_up_calls(250, seed=1, start=NOW - timedelta(days=90), end=NOW))
    with Sandbox(Callcap(book, api_key=KEY)) as sandbox:
        yield sandbox


def config_for(sandbox: Sandbox, **settings: Any) -> dict[str, Any]:
    """The config that reads a sandbox."""
    return {"api_key": KEY, "api_url": sandbox.url, "retry_minutes": 0, **settings}


def searches(sandbox: Sandbox) -> list[Asked]:
    """The searches that a sandbox was asked."""
    return [asked for asked in sandbox.callcap.requests if asked.path == "/v2/get/calls/"]


def test_version(tmp_path: Path) -> None:
    """`--version` says name and version."""
    run = run_command("--version", folder=tmp_path)
    assert (run.code, run.log.split(",")[0]) == (0, "tap-callcap v0.1.0")


def test_about_as_markdown_lists_every_setting(tmp_path: Path) -> None:
    """`--about --format=markdown` has a row for each setting."""
    run = run_command("--about", "--format=markdown", folder=tmp_path)
    assert run.code == 0
    for name in ("api_key", "start_date", "concurrency", "requests_per_second"):
        assert f"| {name} |" in run.log


def test_discover_needs_no_config(tmp_path: Path) -> None:
    """`--discover` prints a catalog, of which calls alone are selected, without demographics."""
    run = run_command("--discover", folder=tmp_path)
    assert run.code == 0
    streams = json.loads(run.log[run.log.index("{") : run.log.rindex("}") + 1])["streams"]
    roots = {
        each["stream"]: entry["metadata"]["selected"]
        for each in streams
        for entry in each["metadata"]
        if not entry["breadcrumb"]
    }
    assert roots == {"accounts": False, "calls": True, "csrs": False, "call_counts": False}
    (stream,) = (each for each in streams if each["stream"] == "calls")
    assert (stream["tap_stream_id"], stream["key_properties"]) == ("calls", ["call_id"])
    assert (stream["replication_method"], stream["replication_key"]) == (
        "INCREMENTAL",
        "last_modified",
    )
    by_name = {tuple(entry["breadcrumb"]): entry["metadata"] for entry in stream["metadata"]}
    assert by_name["properties", "demographics"]["selected-by-default"] is False
    assert by_name["properties", "call_id"]["inclusion"] == "automatic"


def test_a_run_writes_only_messages(sandbox: Sandbox, tmp_path: Path) -> None:
    """Standard output is SCHEMA, RECORDs and STATE, one JSON object a line; exit 0."""
    run = run_command(folder=tmp_path, config=config_for(sandbox, page_size=40))
    assert run.code == 0, run.log
    assert run.ids == sandbox.book.ids
    kinds = [message["type"] for message in run.messages]
    assert (kinds[0], kinds.count("SCHEMA"), kinds[-1]) == ("SCHEMA", 1, "STATE")
    assert f"data as of {bookmark_of(run.state)}" in run.log


def test_every_state_of_a_run_is_a_start_for_the_next(sandbox: Sandbox, tmp_path: Path) -> None:
    """`--state` takes any STATE line of an earlier run and brings what is behind it."""
    run = run_command(folder=tmp_path, config=config_for(sandbox, page_size=2))
    assert len(run.states) > 3
    for state in run.states[:: len(run.states) // 3]:
        rest = run_command(folder=tmp_path, config=config_for(sandbox), state=state)
        assert rest.code == 0
        covered = bookmark_of(state)
        assert {c for c in run.ids if c not in rest.ids} <= {
            record["call_id"] for record in run.records if record["last_modified"] < covered
        }
        assert bookmark_of(rest.state) >= bookmark_of(run.state)


def test_a_catalog_deselects_nested_properties(sandbox: Sandbox, tmp_path: Path) -> None:
    """`--catalog` drops what it deselects from SCHEMA, records and requests."""
    catalog = discovered(caller__name=False, scorecards=False)
    run = run_command(folder=tmp_path, config=config_for(sandbox), catalog=catalog)
    assert run.code == 0, run.log
    assert all("name" not in record["caller"] for record in run.records)
    assert all("scorecards" not in asked.params["detail"] for asked in searches(sandbox))


def test_settings_come_from_the_environment(sandbox: Sandbox, tmp_path: Path) -> None:
    """`--config=ENV` reads TAP_CALLCAP_*, numbers too; an unknown variable is warned of."""
    environment = {
        "TAP_CALLCAP_API_KEY": KEY,
        "TAP_CALLCAP_API_URL": sandbox.url,
        "TAP_CALLCAP_PAGE_SIZE": "100",
        "TAP_CALLCAP_REQUEST_TIMEOUT_SECONDS": "7.5",
        "TAP_CALLCAP_START_DATE": "",
        "TAP_CALLCAP_COLOUR": "red",
    }
    run = run_command("--config=ENV", folder=tmp_path, environment=environment)
    assert run.code == 0, run.log
    assert run.ids == sandbox.book.ids
    # A call is counted, and the zone proven, by pages of one.
    assert {asked.params["show"] for asked in searches(sandbox)} <= {"1", "100"}
    assert {asked.params["show"] for asked in searches(sandbox)} >= {"100"}
    assert "TAP_CALLCAP_COLOUR" in run.log


def test_settings_come_from_dotenv_in_the_working_folder(sandbox: Sandbox, tmp_path: Path) -> None:
    """`--config=ENV` reads a .env file where the command is run."""
    (tmp_path / ".env").write_text(
        f"TAP_CALLCAP_API_KEY={KEY}\nTAP_CALLCAP_API_URL={sandbox.url}\n", encoding="utf-8"
    )
    run = run_command("--config=ENV", folder=tmp_path)
    assert run.code == 0, run.log
    assert run.ids == sandbox.book.ids


def test_the_connection_test_says_what_it_proved(sandbox: Sandbox, tmp_path: Path) -> None:
    """`--test` ends with 0 when a run can work, in four requests and without a record."""
    run = run_command("--test", folder=tmp_path, config=config_for(sandbox, page_size=100))
    assert run.code == 0, run.log
    assert "Callcap accepts the key and timezone UTC, and shows 100 of 250 calls on the" in run.log
    assert re.search(r"first page; its clock is .+ this machine's", run.log)
    assert run.messages == []
    assert len(sandbox.callcap.requests) == 4


def test_the_connection_test_can_be_of_the_schema(tmp_path: Path) -> None:
    """`--test=schema` writes SCHEMA messages and asks nothing, as the SDK has it."""
    config = {"api_key": KEY, "api_url": "http://127.0.0.1:9/v2"}
    run = run_command("--test=schema", folder=tmp_path, config=config)
    assert run.code == 0, run.log
    assert {message["type"] for message in run.messages} == {"SCHEMA"}
    assert {message["stream"] for message in run.messages} == set(STREAMS)


def errors_of(log: str) -> list[str]:
    """The lines of a log at level ERROR."""
    return [line for line in log.splitlines() if "| ERROR " in line or "Traceback" in line]


@pytest.mark.parametrize("options", [["--test"], []], ids=["test", "run"])
def test_a_wrong_key_is_one_line(sandbox: Sandbox, tmp_path: Path, options: list[str]) -> None:
    """A key that is refused: exit 1, one line that names api_key, no STATE."""
    config = config_for(sandbox, api_key="wr0ng-c4n4ry")
    run = run_command(*options, folder=tmp_path, config=config)
    assert run.code == 1
    (line,) = errors_of(run.log)
    assert "401" in line
    assert "check api_key" in line
    assert "wr0ng" not in run.log
    assert "STATE" not in {message["type"] for message in run.messages}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"start_dat": "2024-01-01"}, "'start_dat' is unknown: did you mean start_date?"),
        ({"page_size": 5000}, "page_size must be at most 1000"),
        ({"timezone": "Mars/Olympus"}, "timezone must be an IANA timezone"),
        ({"api_key": 77}, "api_key must be of type string: put the value in quotes"),
        ({"api_url": "http://callcap.example/v2"}, "api_url must begin with https"),
        (
            {"start_date": "2025-01-01T00:00:00Z", "end_date": "2024-01-01T00:00:00Z"},
            "start_date must be before end_date",
        ),
    ],
    ids=["unknown", "too-large", "no-zone", "wrong-type", "plain-http", "backwards"],
)
@pytest.mark.parametrize("options", [["--test"], []], ids=["test", "run"])
def test_a_wrong_setting_is_one_line(
    settings: dict[str, Any], words: str, options: list[str], sandbox: Sandbox, tmp_path: Path
) -> None:
    """A wrong setting: exit 1, one line that names it, before any request."""
    config = config_for(sandbox, **settings)
    run = run_command(*options, folder=tmp_path, config=config)
    assert run.code == 1
    (line,) = errors_of(run.log)
    assert words in line
    assert sandbox.callcap.requests == []


def test_a_failing_run_keeps_its_checkpoints(sandbox: Sandbox, tmp_path: Path) -> None:
    """When the API breaks amidst a run: exit 1, one line, and the STATE of what was read whole."""
    answered = 0

    def break_later(_: object) -> Any:
        nonlocal answered
        answered += 1
        if answered > 70:
            sandbox.callcap.switches = Switches(requests_per_minute=1)

    sandbox.callcap.before_answer = break_later
    run = run_command(folder=tmp_path, config=config_for(sandbox, page_size=3, concurrency=1))
    assert run.code == 1
    (line,) = errors_of(run.log)
    assert "429" in line
    sandbox.callcap.before_answer = None
    sandbox.callcap.switches = Switches()
    rest = run_command(folder=tmp_path, config=config_for(sandbox), state=run.state)
    assert run.ids | rest.ids == sandbox.book.ids
    assert run.ids - rest.ids


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"]
)
def test_a_signal_ends_the_run_at_its_last_checkpoint(
    number: int, code: int, sandbox: Sandbox, tmp_path: Path
) -> None:
    """SIGTERM and SIGINT: whole lines, a last STATE to read on from, the exit code."""
    sandbox.callcap.switches = Switches(latency=0.1)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(config_for(sandbox, page_size=3)), encoding="utf-8")
    with subprocess.Popen(
        [COMMAND, f"--config={config}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline() for _ in range(30)]
        process.send_signal(number)
        time.sleep(0.05)
        process.send_signal(number)
        lines += process.stdout.readlines()
        log = process.stderr.read()
        process.wait(timeout=20)
    assert process.returncode == code
    assert b"Traceback" not in log
    messages = [json.loads(line) for line in lines]
    assert messages[-1]["type"] == "STATE"
    written = {m["record"]["call_id"] for m in messages if m["type"] == "RECORD"}
    assert written < sandbox.book.ids
    sandbox.callcap.switches = Switches()
    run = run_command(folder=tmp_path, config=config_for(sandbox), state=messages[-1]["value"])
    assert written | run.ids == sandbox.book.ids


def test_a_dead_target_ends_the_run_with_one_line(sandbox: Sandbox, tmp_path: Path) -> None:
    """When nobody reads standard output any more: exit 1, a line that says so, no traceback."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(config_for(sandbox, page_size=3)), encoding="utf-8")
    reader, writer = os.pipe()
    with subprocess.Popen(
        [COMMAND, f"--config={config}"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    ) as process:
        os.close(writer)
        os.close(reader)
        _, log = process.communicate(timeout=20)
    assert process.returncode == 1
    (line,) = errors_of(log.decode())
    assert "The target has ended before the tap: see the target's log" in line
    assert b"Traceback" not in log
    assert b"Exception ignored" not in log


def test_a_state_of_the_year_2999_is_one_line(sandbox: Sandbox, tmp_path: Path) -> None:
    """A bookmark from the future: exit 1 and one line, not a run that reads nothing for years."""
    state = state_at("2999-01-01T00:00:00Z")
    run = run_command(folder=tmp_path, config=config_for(sandbox), state=state)
    assert run.code == 1
    (line,) = errors_of(run.log)
    assert "later than Callcap's clock" in line


def test_a_wrong_address_is_never_an_empty_account(sandbox: Sandbox, tmp_path: Path) -> None:
    """An api_url that leads nowhere: exit 1 and one line that names it."""
    config = config_for(sandbox, api_url=sandbox.url + "/nowhere")
    run = run_command(folder=tmp_path, config=config)
    assert run.code == 1
    (line,) = errors_of(run.log)
    assert "check api_url" in line
