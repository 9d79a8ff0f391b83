"""The DAGs of examples/airflow_dags.py, executed by a real Airflow into a real PostgreSQL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from support.running import COMMAND, bookmark_of, clean_environment
from tap_callcap.sandbox import CallBook, Callcap, Sandbox, Switches, made_up_calls
from targets.databases import PostgreSQL
from targets.environments import CHECKOUT, Environment, environment
from targets.truth import differences, expected_by_default, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.targets,
    pytest.mark.skipif(sys.platform != "linux", reason="load.sh needs flock and setsid"),
]

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
EXAMPLES = CHECKOUT / "examples"


@dataclass
class Airflow:
    """An Airflow whose only DAGs are the examples."""

    installed: Environment
    variables: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start one of its commands."""
        return subprocess.Popen(
            [self.installed.command("airflow"), *arguments],
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> str:
        """Run one of its commands, which must succeed, and return what it printed."""
        with self.start(*arguments) as process:
            said, _ = process.communicate(timeout=500)
        assert process.returncode == 0, said
        return said


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    """An Airflow with its database made."""
    variables = {
        name: text
        for name, text in clean_environment().items()
        if not name.startswith(("AIRFLOW", "COVERAGE_", "VIRTUAL_ENV"))
    }
    airflow = Airflow(
        environment("airflow", ("apache-airflow==3.3.2",)),
        variables
        | {
            "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
            "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",  # second
            "CALLCAP_FIRST_YEAR": "2020",
            "CALLCAP_LAST_YEAR": "2025",
        },
    )
    airflow.run("db", "migrate")
    return airflow


@dataclass
class Pipeline:
    """Callcap, Airflow and an empty schema in PostgreSQL."""

    callcap: Callcap
    airflow: Airflow
    warehouse: PostgreSQL
    states: Path

    def load(self, dag: str) -> None:
        """Execute a DAG."""
        self.airflow.run("dags", "test", dag)

    def bookmark(self, shard: str) -> datetime:
        """Return the bookmark that a shard's runs left."""
        state = json.loads((self.states / f"{shard}.json").read_text("utf-8"))
        return datetime.fromisoformat(bookmark_of(state).replace("Z", "+00:00"))

    def differences(self) -> list[str]:
        """Return where warehouse and Callcap differ."""
        return differences(rows_of(self.warehouse), expected_by_default(self.callcap.book))


@pytest.fixture
def pipeline(home: Airflow, tmp_path: Path) -> Iterator[Pipeline]:
    """One with four hundred calls of the DAG's years."""
    calls = made_up_calls(400, seed=4, start=datetime(2020, 1, 1, tzinfo=timezone.utc), end=NOW)
    callcap = Callcap(CallBook(calls), clock=lambda: NOW)
    with Sandbox(callcap) as sandbox, PostgreSQL.serving() as server:
        warehouse = PostgreSQL(tmp_path, server)
        commands = [COMMAND.parent, warehouse.environment().home / "bin"]
        variables = home.variables | {
            "PATH": os.pathsep.join([*map(str, commands), home.variables["PATH"]]),
            "STATES": str(tmp_path / "states"),
            "TAP_CALLCAP_API_KEY": "sandbox",
            "TAP_CALLCAP_API_URL": sandbox.url,
            "TAP_CALLCAP_PAGE_SIZE": "5",
            "TARGET_POSTGRES_SQLALCHEMY_URL": warehouse.config["sqlalchemy_url"],
            "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": warehouse.schema,
        }
        yield Pipeline(callcap, Airflow(home.installed, variables), warehouse, tmp_path / "states")


def test_a_backfill_fans_out_and_the_hours_go_on(pipeline: Pipeline) -> None:
    """A mapped task a year, then what is new: each with its own state, and together everything."""
    pipeline.load("callcap_backfill")
    years = sorted(file.stem for file in pipeline.states.glob("*.json"))
    assert years == [str(year) for year in range(2020, 2026)]
    assert pipeline.bookmark("2024") == datetime(2025, 1, 1, tzinfo=timezone.utc)

    pipeline.load("callcap")
    assert pipeline.differences() == []

    pipeline.callcap.advance(timedelta(hours=1), new_calls=3, edits=20)
    pipeline.callcap.advance(timedelta(minutes=15))
    before = pipeline.bookmark("calls")
    asked = len(pipeline.callcap.requests)
    pipeline.load("callcap")

    assert pipeline.differences() == []
    assert pipeline.bookmark("calls") > before
    assert len(pipeline.callcap.requests) - asked < 20  # not all over again


def test_a_killed_task_is_resumed(pipeline: Pipeline) -> None:
    """SIGTERM ends the tap at a checkpoint, whose calls are loaded; the next try goes on there."""
    pipeline.callcap.switches = Switches(latency=0.4)
    pipeline.airflow.variables |= {"TAP_CALLCAP_PAGE_SIZE": "1", "TAP_CALLCAP_CONCURRENCY": "1"}
    with pipeline.airflow.start("dags", "test", "callcap") as process:
        while not is_past_a_checkpoint(pipeline.callcap):
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.05)
        starts = starts_of_windows(pipeline.callcap)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=300)
    resumed = starts_of_windows(pipeline.callcap)[len(starts) + 2 :]  # less what was in flight

    assert "return code 143" in said
    assert process.returncode == 0, said  # the second try
    assert starts[0] < min(resumed)
    newest = {it["call_id"] for it in pipeline.callcap.book if it["last_modified"].year == NOW.year}
    assert {row["call_id"] for row in pipeline.warehouse.rows()} == newest
    assert pipeline.bookmark("calls") > NOW - timedelta(minutes=10)


def is_past_a_checkpoint(callcap: Callcap) -> bool:
    """Say whether the second window is read page by page, and so the first one written."""
    starts = starts_of_windows(callcap)
    pages = [
        request.params for request in callcap.requests if request.params.get("page", "1") > "1"
    ]
    return any(page["search_last_modified_start"] > starts[0] for page in pages)


def starts_of_windows(callcap: Callcap) -> list[str]:
    """Return from when on each search asked for calls."""
    asked = [request.params.get("search_last_modified_start") for request in callcap.requests]
    return [start for start in asked if start]
