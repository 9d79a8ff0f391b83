"""meltano.yml in a fresh clone: each loader, jobs, states and stream maps."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import sys
from datetime import datetime, timedelta, timezone
from hashlib import md5
from typing import TYPE_CHECKING

import pytest
import yaml

from meltano_project import MeltanoProject
from support.clones import copy_of_checkout
from support.running import bookmark_of
from tap_callcap.sandbox import CallBook, Callcap, Sandbox, made_up_calls
from targets.bigquery import GoogleAPIs
from targets.databases import DuckDB, PostgreSQL, Snowflake
from targets.files import CSV, JSONLines, Parquet
from targets.postgresql import NoPostgreSQLError
from targets.truth import differences, expected_by_default, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from targets.loader import Loader

pytestmark = [
    pytest.mark.targets,
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(sys.version_info >= (3, 14), reason="duckdb 1.1.3 has no wheel for it"),
    pytest.mark.skipif(sys.platform == "win32", reason="the project's scripts are for sh"),
]

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
SEED = "a seed of one's own"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A Callcap with fifty calls of a month, which are over."""
    calls = made_up_calls(50, seed=5, start=NOW - timedelta(days=30), end=NOW)
    clock = NOW + timedelta(hours=1)
    with Sandbox(Callcap(CallBook(calls), clock=lambda: clock)) as served:
        yield served


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What would be cloned: the files of this checkout that git knows, or would add."""
    return copy_of_checkout(tmp_path_factory.mktemp("clones") / "tap-callcap")


@pytest.fixture(scope="module")
def project(clone: Path, sandbox: Sandbox) -> MeltanoProject:
    """That clone as a Meltano project, with what needs no server installed."""
    project = MeltanoProject(clone, {"api_url": sandbox.url}, {"HASH_SEED": SEED})
    project.install("tap-callcap", "target-duckdb", "target-jsonl", "target-csv")
    return project


def assert_loaded(loader: Loader, sandbox: Sandbox) -> None:
    """Hold what a loader has against the sandbox's truth, less what meltano.yml deselects."""
    expected = expected_by_default(sandbox.book, loader.depth, nothing=loader.nothing)
    assert differences(rows_of(loader), expected) == []


@pytest.mark.parametrize("kind", [DuckDB, JSONLines, CSV], ids=lambda kind: str(kind.name))
def test_a_fresh_clone_loads_the_sandbox(
    project: MeltanoProject, sandbox: Sandbox, kind: type[Loader]
) -> None:
    """`meltano run` in the environment `sandbox`, the default, brings every call as it is."""
    project.meltano("run", "tap-callcap", kind.name)

    folder = project.folder if kind is DuckDB else project.folder / "output"
    assert_loaded(kind(folder, None), sandbox)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    """A schema in a server."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(PostgreSQL.serving())
        except NoPostgreSQLError as error:
            pytest.skip(str(error))
        yield PostgreSQL(tmp_path_factory.mktemp("postgres"), server)


@pytest.mark.targets
def test_postgresql_is_loaded(tmp_path: Path, sandbox: Sandbox, postgres: PostgreSQL) -> None:
    """`meltano run` installs target-postgres as meltano.yml has it, and loads a server."""
    variables = {
        f"TARGET_POSTGRES_{name.upper()}": str(value) for name, value in postgres.config.items()
    }
    project = MeltanoProject(tmp_path, {"api_url": sandbox.url}, variables)
    project.install("tap-callcap", "target-postgres")

    project.meltano("run", "tap-callcap", "target-postgres")

    assert_loaded(postgres, sandbox)


@pytest.mark.targets
@pytest.mark.parametrize("kind", [Snowflake, GoogleAPIs, Parquet], ids=lambda kind: str(kind.name))
def test_stand_ins_are_loaded(tmp_path: Path, sandbox: Sandbox, kind: type[Loader]) -> None:
    """`meltano run` as meltano.yml has the loader, its command on what plays the service."""
    if sys.version_info >= kind.python_before:
        pytest.skip(f"{kind.name} has no version for this Python")
    with kind.serving() as server:
        loader = kind(tmp_path, server)
        start = tmp_path / "start"
        start.write_text(f'#!/bin/sh\nexec {shlex.join(loader.command())} "$@"\n', "utf-8")
        start.chmod(0o700)
        project = MeltanoProject(tmp_path, {"api_url": sandbox.url}, loader.variables)
        file = tmp_path / "meltano.yml"
        definition = yaml.safe_load(file.read_text("utf-8"))
        (plugin,) = (it for it in definition["plugins"]["loaders"] if it["name"] == kind.name)
        del plugin["pip_url"]
        plugin["executable"] = "./start"
        plugin["config"] |= loader.config
        file.write_text(yaml.safe_dump(definition), "utf-8")
        project.install("tap-callcap")

        project.meltano("run", "tap-callcap", kind.name)

        assert_loaded(loader, sandbox)


@pytest.mark.skipif(
    sys.version_info >= GoogleAPIs.python_before, reason="target-bigquery has no version for it"
)
def test_the_checked_bigquery_target_is_installed(project: MeltanoProject) -> None:
    """Meltano installs it from the folder of the definition, and passes every variable on."""
    project.install("target-bigquery")

    said = project.meltano("invoke", "target-bigquery", "--version")
    assert "target-bigquery v" in said
    dumped = project.meltano(
        *("invoke", "--dump=config", "target-bigquery"), TARGET_BIGQUERY_BUCKET="a-bucket"
    )
    assert '"bucket": "a-bucket"' in dumped
    assert '"method": "gcs_stage"' in dumped


def test_the_tap_is_tested_and_invoked(project: MeltanoProject) -> None:
    """`config test` finds that calls come, `invoke` runs the command."""
    said = project.meltano("--environment=sandbox", "config", "test", "tap-callcap")

    assert "Plugin configuration is valid" in said
    assert '"tap_stream_id"' in project.meltano("invoke", "tap-callcap", "--discover")


def test_states_are_listed_got_set_and_cleared(project: MeltanoProject) -> None:
    """The bookmark is where Meltano keeps it, and can be moved."""
    name = "sandbox:tap-callcap-to-target-jsonl"
    project.meltano("run", "tap-callcap", "target-jsonl")
    assert name in project.meltano("state", "list")

    state = json.loads(project.meltano("state", "get", name).strip().splitlines()[-1])
    bookmark = bookmark_of(state["singer_state"])
    assert bookmark.startswith("2026-03-01T00:5")

    earlier = json.dumps(state).replace(bookmark, "2026-02-20T00:00:00Z")
    project.meltano("state", "set", "--force", name, earlier)
    assert "2026-02-20T00:00:00Z" in project.meltano("state", "get", name)

    project.meltano("state", "clear", "--force", name)
    assert "2026-02-20T00:00:00Z" not in project.meltano("state", "get", name)


def test_the_job_of_the_schedule_runs(project: MeltanoProject, sandbox: Sandbox) -> None:
    """The schedule has the job, and the job loads."""
    assert "calls-to-duckdb" in project.meltano("schedule", "list", "--format=json")
    (project.folder / "warehouse.duckdb").unlink(missing_ok=True)

    project.meltano("run", "calls-to-duckdb", "--full-refresh")

    assert_loaded(DuckDB(project.folder, None), sandbox)


def test_stream_maps_hash_the_number_and_drop_notes(
    project: MeltanoProject, sandbox: Sandbox
) -> None:
    """The second extractor of meltano.yml tells callers apart without saying who they are."""
    shutil.rmtree(project.folder / "output", ignore_errors=True)

    project.meltano("run", "tap-callcap-without-callers", "target-jsonl")

    text = (project.folder / "output" / "calls.jsonl").read_text("utf-8")
    rows = {row["call_id"]: row for row in map(json.loads, text.splitlines())}
    assert rows.keys() == sandbox.book.ids
    for call in sandbox.book:
        number, row = call["caller"]["caller_id"], rows[call["call_id"]]
        assert not {"caller", "notes"} & row.keys()
        assert row["caller_hash"] == md5(f"{SEED}{number}".encode()).hexdigest()  # noqa: S324 - the SDK's
        assert row["caller_zip"] == call["caller"]["zip"]
        assert number not in text
