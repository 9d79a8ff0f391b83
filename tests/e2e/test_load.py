"""examples/load.sh, run as in the crontab: it keeps the bookmark, and fails if the tap dies."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from support.running import COMMAND, bookmark_of, clean_environment
from tap_callcap.sandbox import CallBook, Callcap, Sandbox, Switches, made_up_calls
from targets.databases import DuckDB
from targets.environments import CHECKOUT
from targets.truth import differences, expected_by_default, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(sys.version_info >= DuckDB.python_before, reason="no DuckDB for it"),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no bash"),
]

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Callcap with a hundred calls."""
    calls = made_up_calls(100, seed=4, start=NOW - timedelta(days=300), end=NOW)
    with Sandbox(Callcap(CallBook(calls), clock=lambda: NOW)) as served:
        yield served


def start(folder: Path, sandbox: Sandbox, **variables: str) -> subprocess.Popen[str]:
    """Start what cron's line starts, with DuckDB in place of PostgreSQL."""
    text = (CHECKOUT / "examples" / "crontab").read_text("utf-8")
    (line,) = re.findall(r"^7 \* \* \* \*  (.*)$", text, re.MULTILINE)
    line = line.replace("target-postgres --config=ENV", "target-duckdb --config duckdb.json")
    home = folder / "callcap"
    if not home.exists():
        home.mkdir()
        (home / "load.sh").symlink_to(CHECKOUT / "examples" / "load.sh")
        (home / "duckdb.json").write_text(json.dumps(DuckDB(home, None).config), "utf-8")
    settings = {
        "TAP_CALLCAP_API_KEY": "sandbox",
        "TAP_CALLCAP_API_URL": sandbox.url,
        "TAP_CALLCAP_PAGE_SIZE": "9",
        **variables,
    }
    lines = [f"{name}={value}\n" for name, value in settings.items()]
    (home / ".env").write_text("".join(lines), "utf-8")
    path = [str(COMMAND.parent), str(DuckDB.environment().home / "bin"), os.environ["PATH"]]
    return subprocess.Popen(
        ["/bin/bash", "-c", line],
        env={**clean_environment(), "HOME": str(folder), "PATH": os.pathsep.join(path)},
        text=True,
    )


def run(folder: Path, sandbox: Sandbox, **variables: str) -> int:
    """Run it, and return its exit code."""
    with start(folder, sandbox, **variables) as process:
        return process.wait(timeout=120)


def bookmark(folder: Path) -> str:
    """Return the bookmark that the runs left."""
    return bookmark_of(json.loads((folder / "callcap" / "calls.json").read_text("utf-8")))


def test_each_run_goes_on_from_the_last(tmp_path: Path, sandbox: Sandbox) -> None:
    """Everything first, then what changed, and everything is there."""
    assert run(tmp_path, sandbox) == 0
    first, asked = bookmark(tmp_path), len(sandbox.callcap.requests)
    sandbox.callcap.advance(timedelta(hours=1), new_calls=3, edits=10)
    sandbox.callcap.advance(timedelta(minutes=15))

    assert run(tmp_path, sandbox) == 0

    rows = rows_of(DuckDB(tmp_path / "callcap", None))
    assert differences(rows, expected_by_default(sandbox.book, nothing=DuckDB.nothing)) == []
    assert first < bookmark(tmp_path)
    assert len(sandbox.callcap.requests) - asked < asked


def test_a_tap_that_fails_fails_the_run(tmp_path: Path, sandbox: Sandbox) -> None:
    """The exit code is the tap's, the bookmark stays, and the next run goes on from it."""
    assert run(tmp_path, sandbox) == 0
    before = bookmark(tmp_path)

    assert run(tmp_path, sandbox, TAP_CALLCAP_API_KEY="another") == 1

    assert bookmark(tmp_path) == before
    assert run(tmp_path, sandbox) == 0


def test_never_two_runs_at_once(tmp_path: Path, sandbox: Sandbox) -> None:
    """A run that finds another at its bookmark leaves it alone, and says so by its exit code."""
    sandbox.callcap.switches = Switches(latency=0.5)
    with start(tmp_path, sandbox) as first:
        while not sandbox.callcap.requests:
            assert first.poll() is None
            time.sleep(0.1)
        assert run(tmp_path, sandbox) == 75
        assert first.wait(timeout=120) == 0
    assert bookmark(tmp_path) > "2026-02-28"
