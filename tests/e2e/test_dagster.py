"""The assets of examples/dagster_assets.py, materialized by a real Dagster into PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from support.running import COMMAND, bookmark_of, clean_environment
from tap_callcap.sandbox import CallBook, Callcap, Sandbox, made_up_calls
from targets.databases import PostgreSQL
from targets.environments import CHECKOUT, environment
from targets.truth import differences, expected_by_default, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.targets,
    pytest.mark.skipif(sys.platform != "linux", reason="load.sh needs flock"),
]

EXAMPLE = CHECKOUT / "examples" / "dagster_assets.py"
BEGINNING = datetime(2025, 11, 1, tzinfo=timezone.utc)
NOW = datetime(2026, 2, 15, tzinfo=timezone.utc)


def dagster() -> Path:
    """The command of Dagster, in an environment of its own."""
    return environment("dagster", ("dagster==1.13.29",)).command("dagster")


@dataclass
class Pipeline:
    """Callcap, Dagster and an empty schema in PostgreSQL."""

    callcap: Callcap
    warehouse: PostgreSQL
    states: Path
    variables: dict[str, str]

    def start(self, asset: str, *options: str) -> subprocess.Popen[str]:
        """Start a run of Dagster that materializes an asset."""
        return subprocess.Popen(
            [dagster(), "asset", "materialize", "-f", EXAMPLE, "--select", asset, *options],
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def bookmark(self, state: str) -> str:
        """Return a bookmark that runs left."""
        return bookmark_of(json.loads((self.states / f"{state}.json").read_text("utf-8")))

    def differences(self) -> list[str]:
        """Return where warehouse and Callcap differ."""
        return differences(rows_of(self.warehouse), expected_by_default(self.callcap.book))


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    """One with a hundred calls."""
    calls = made_up_calls(100, seed=4, start=BEGINNING, end=NOW)
    callcap = Callcap(CallBook(calls), clock=lambda: NOW)
    with Sandbox(callcap) as sandbox, PostgreSQL.serving() as server:
        warehouse = PostgreSQL(tmp_path, server)
        commands = [COMMAND.parent, warehouse.environment().home / "bin"]
        dropped = ("COVERAGE_", "DAGSTER", "VIRTUAL_ENV")
        around = clean_environment().items()
        (tmp_path / "dagster").mkdir()
        variables = {name: text for name, text in around if not name.startswith(dropped)} | {
            "CALLCAP_FIRST_MONTH": f"{BEGINNING:%Y-%m}",
            "CALLCAP_LAST_MONTH": "2026-01",
            "DAGSTER_HOME": str(tmp_path / "dagster"),
            "PATH": os.pathsep.join([*map(str, commands), os.environ["PATH"]]),
            "STATES": str(tmp_path / "states"),
            "TAP_CALLCAP_API_KEY": "sandbox",
            "TAP_CALLCAP_API_URL": sandbox.url,
            "TARGET_POSTGRES_SQLALCHEMY_URL": warehouse.config["sqlalchemy_url"],
            "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": warehouse.schema,
        }
        # Runs that begin side by side must not all create Dagster's database.
        subprocess.run([dagster(), "instance", "migrate"], check=True, env=variables)
        yield Pipeline(callcap, warehouse, tmp_path / "states", variables)


def end_well(process: subprocess.Popen[str]) -> None:
    """Wait for a run, which must succeed."""
    said, _ = process.communicate(timeout=500)
    assert process.returncode == 0, said


def test_months_are_loaded_side_by_side_and_then_the_changes(pipeline: Pipeline) -> None:
    """Each partition has its own state; together with the changes they are everything."""
    pipeline.callcap.advance(timedelta(minutes=15))
    months = ["2025-11-01", "2025-12-01", "2026-01-01"]
    running = [pipeline.start("calls_by_month", "--partition", month) for month in months]
    for process in running:
        end_well(process)
    assert {file.stem for file in pipeline.states.glob("*.json")} == {it[:7] for it in months}
    assert pipeline.bookmark("2025-12") == "2026-01-01T00:00:00Z"

    end_well(pipeline.start("calls"))

    assert pipeline.differences() == []
    before, asked = pipeline.bookmark("calls"), len(pipeline.callcap.requests)
    pipeline.callcap.advance(timedelta(hours=1), new_calls=3, edits=5)
    pipeline.callcap.advance(timedelta(minutes=15))
    end_well(pipeline.start("calls"))
    assert pipeline.differences() == []
    assert pipeline.bookmark("calls") > before
    assert len(pipeline.callcap.requests) - asked < 20  # not all over again


def test_a_month_that_is_not_in_the_backfill_is_refused(pipeline: Pipeline) -> None:
    """Its calls are the other asset's: no call is in two states."""
    process = pipeline.start("calls_by_month", "--partition", "2026-02-01")
    said, _ = process.communicate(timeout=500)

    assert process.returncode != 0
    assert "2026-02-01" in said
    assert not pipeline.states.exists()
