"""examples/check_counts.py fails a job whose rows are not all in the warehouse."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime, timedelta, timezone
from operator import itemgetter
from typing import TYPE_CHECKING

import pytest

from support.running import COMMAND, catalog_of, clean_environment
from tap_callcap.sandbox import CallBook, Callcap, Sandbox, made_up_calls
from targets.databases import PostgreSQL
from targets.environments import CHECKOUT
from targets.postgresql import NoPostgreSQLError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NOW = datetime(2026, 3, 20, 12, tzinfo=timezone.utc)
LOST = """
import sys, psycopg
with psycopg.connect(f"host={sys.argv[1]} user=postgres") as database:
    for call_id in sys.argv[3:]:
        database.execute(f"delete from {sys.argv[2]}.calls where call_id = %s", [call_id])
"""


class Job:
    """A job that loads calls and their counts into PostgreSQL, and then checks the rows."""

    def __init__(self, folder: Path, sandbox: Sandbox, warehouse: PostgreSQL) -> None:
        self.warehouse = warehouse
        self._folder = folder
        commands = [COMMAND.parent, warehouse.environment().home / "bin"]
        self._environment = clean_environment() | {
            "CALLCAP_LOAD_COUNTS": "counts.json",
            "PATH": os.pathsep.join([*map(str, commands), os.environ["PATH"]]),
            "TAP_CALLCAP_API_KEY": "sandbox",
            "TAP_CALLCAP_API_URL": sandbox.url,
            "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": warehouse.schema,
            "TARGET_POSTGRES_SQLALCHEMY_URL": warehouse.config["sqlalchemy_url"],
        }
        catalog = catalog_of("calls", "call_counts")
        (folder / "catalog.json").write_text(json.dumps(catalog), encoding="utf-8")
        (folder / "state.json").write_text("{}", encoding="utf-8")

    def load(self) -> None:
        """Run tap and target."""
        line = "set -o pipefail; tap-callcap --config=ENV --catalog=catalog.json --state=state.json"
        line += " | callcap-load target-postgres --config=ENV | tail -n 1 > new.json"
        self._run("bash", "-c", f"{line}; mv new.json state.json")

    def check(self) -> list[str]:
        """Check the rows, and return what is said; an error exactly if anything is."""
        script = str(CHECKOUT / "examples" / "check_counts.py")
        done = self._run(script, "target-postgres", "counts.json", fails=True)
        assert "Traceback" not in done.stderr, done.stderr
        lines = done.stderr.splitlines()
        assert done.returncode == bool(lines), done.stderr
        return lines

    def lose(self, *call_ids: str) -> None:
        """Delete calls in the warehouse."""
        self.warehouse.run_script(LOST, *self.warehouse.place, *call_ids)

    def _run(self, *command: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert fails or done.returncode == 0, done.stderr
        return done


@pytest.fixture
def callcap() -> Callcap:
    """A Callcap with forty calls of the last twenty days."""
    calls = made_up_calls(40, seed=4, start=NOW - timedelta(days=20), end=NOW)
    return Callcap(CallBook(calls), clock=lambda: NOW + timedelta(hours=2))


@pytest.fixture
def job(callcap: Callcap, tmp_path: Path) -> Iterator[Job]:
    """A job that reads from it."""
    try:
        with Sandbox(callcap) as sandbox, PostgreSQL.serving() as server:
            yield Job(tmp_path, sandbox, PostgreSQL(tmp_path, server))
    except NoPostgreSQLError as error:
        pytest.skip(str(error))


def test_a_loss_fails_the_job(job: Job, callcap: Callcap) -> None:
    """One of the run's rows; then one of an earlier run's, which only Callcap's counts show."""
    job.load()
    assert job.check() == []

    some, other, *_ = sorted(callcap.book, key=itemgetter("start_datetime"))
    job.lose(some["call_id"])
    first, second = job.check()
    assert first == "check_counts: calls: the run wrote 40 records, 39 rows are loaded"
    assert second.startswith(f"check_counts: {some['start_datetime']:%Y-%m-%d}: Callcap counts ")

    callcap.book.edit(some["call_id"], at=callcap.now() - timedelta(minutes=9), notes="again")
    job.load()
    assert job.check() == []
    job.lose(other["call_id"])
    (line,) = job.check()
    assert line.startswith(f"check_counts: {other['start_datetime']:%Y-%m-%d}: Callcap counts ")


def test_nothing_to_check_is_an_error(job: Job, tmp_path: Path) -> None:
    """A run that was killed has counted nothing."""
    assert not (tmp_path / "counts.json").exists()
    assert job.check() == ["check_counts: counts.json is not there"]
