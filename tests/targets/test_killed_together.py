"""Tap and target killed together: nothing is lost, doubled or older in the end.

`tests/killed_together.py` lives through many more such histories, and writes
docs/killed-together.md.
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import time
from datetime import datetime, timedelta, timezone
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from support.running import COMMAND, bookmark_of, clean_environment, discovered
from support.target_histories import live
from tap_callcap.sandbox import CallBook, Callcap, Sandbox, made_up_calls
from targets.databases import PostgreSQL
from targets.forked import Target
from targets.pipes import load
from targets.postgresql import NoPostgreSQLError
from targets.truth import differences, expected_rows, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from targets.loader import Loader

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)


@pytest.mark.column("killed")
def test_no_history_of_kills_loses_a_call(
    served: tuple[type[Loader], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Edits, and kills of tap, target or both at random moments, with the target's STATE."""
    kind, server = served
    if "killed" in kind.cannot:
        pytest.skip(kind.cannot["killed"])
    monkeypatch.setattr(logging.getLogger("tap-callcap"), "disabled", True)
    with Target(kind) as target:
        for seed in (3, 5):
            folder = tmp_path / str(seed)
            folder.mkdir()
            found = live(seed, kind(folder, server), target)
            assert found.seeds == [], vars(found)
            assert found.kills_of_tap + found.kills_of_target


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    """An empty schema."""
    try:
        with PostgreSQL.serving() as server:
            yield PostgreSQL(tmp_path_factory.mktemp("postgres"), server)
    except NoPostgreSQLError as error:
        pytest.skip(str(error))


def test_a_kill_of_everything_repeats_one_part(postgres: PostgreSQL) -> None:
    """SIGKILL to the commands themselves: the bookmark is that of the last part."""
    calls = made_up_calls(400, seed=4, start=NOW - timedelta(days=300), end=NOW)
    callcap = Callcap(CallBook(calls), clock=lambda: NOW + timedelta(hours=2))
    killed = Event()

    def hold(_: object) -> None:
        if len(callcap.requests) > 100:  # of 150: the kill finds the tap amidst its run
            killed.wait(60)

    callcap.before_answer = hold
    folder = postgres.folder
    with Sandbox(callcap) as sandbox:
        config = {"api_key": "sandbox", "api_url": sandbox.url, "page_size": 3}
        (folder / "tap.json").write_text(json.dumps(config), encoding="utf-8")
        (folder / "target.json").write_text(json.dumps(postgres.config), encoding="utf-8")
        catalog = discovered(demographics=True)  # as `load` has it
        (folder / "catalog.json").write_text(json.dumps(catalog), encoding="utf-8")
        loading_command = str(COMMAND.with_name("callcap-load"))
        parts = [loading_command, *postgres.command(), "--config", "target.json"]
        environment = clean_environment() | {"CALLCAP_LOAD_SECONDS": "0"}
        with (
            (folder / "log").open("w") as log,
            subprocess.Popen(
                [COMMAND, "--config=tap.json", "--catalog=catalog.json"],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=log,
            ) as tap,
            subprocess.Popen(
                parts,
                cwd=folder,
                env=environment,
                stdin=tap.stdout,
                stdout=subprocess.PIPE,
                stderr=log,
            ) as loading,
        ):
            assert loading.stdout is not None
            states = [json.loads(loading.stdout.readline()) for _ in range(2)]
            tap.send_signal(signal.SIGKILL)
            loading.send_signal(signal.SIGKILL)
            killed.set()
        assert bookmark_of(states[0]) < bookmark_of(states[1])
        wait_for_the_target(postgres)
        before = {row["call_id"] for row in postgres.rows()}
        known = datetime.fromisoformat(bookmark_of(states[1]).replace("Z", "+00:00"))
        assert {it["call_id"] for it in callcap.book if it["last_modified"] < known} <= before
        assert len(before) < 400
        (folder / "state.json").write_text(json.dumps(states[1]), encoding="utf-8")
        load(postgres, sandbox.url, tap={}, target={})
    assert differences(rows_of(postgres), expected_rows(callcap.book)) == []


def wait_for_the_target(postgres: PostgreSQL) -> None:
    """Wait until a target whose callcap-load was killed has loaded what it had."""
    query = "select count(*) as n from pg_stat_activity where query like '%{}%'"
    query += " and pid <> pg_backend_pid()"
    while postgres.query(query.format(postgres.schema))[0]["n"]:
        time.sleep(0.1)
