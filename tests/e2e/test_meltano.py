"""Loads calls with an installed Meltano into DuckDB, each in its own environment."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from meltano_project import MeltanoError, MeltanoProject
from tap_callcap.records.schema import load_schema
from tap_callcap.sandbox import (
    VENDOR_EXAMPLE,
    Answer,
    Asked,
    CallBook,
    Callcap,
    Sandbox,
    made_up_calls,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_callcap.records.schema import JSONSchema

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(sys.version_info >= (3, 14), reason="duckdb 1.1.3 has no wheel for it"),
    pytest.mark.skipif(sys.platform == "win32", reason="the project's scripts are for sh"),
]

SCHEMA: JSONSchema = load_schema("calls")
DESELECTED = {"demographics"}  # as meltano.yml has it
KEY = "a-key-that-nobody-may-see"
PAGE_SIZE = 10  # small, so that a thousand calls are many windows
LOOKBACK = timedelta(minutes=60)  # the tap's default
BEHIND = timedelta(hours=12)  # the tap reads nothing later than this machine's clock
BEGINNING = datetime(2000, 1, 1, tzinfo=timezone.utc)
COLUMN_TYPES = {
    "string": "VARCHAR",
    "date-time": "TIMESTAMP",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "object": "JSON",
    "array": "JSON",
}


@pytest.fixture(scope="module")
def callcap() -> Callcap:
    """A Callcap with a thousand calls of five years."""
    now = datetime.now(timezone.utc) - BEHIND
    calls = made_up_calls(999, seed=11, start=now - timedelta(days=5 * 365), end=now)
    book = CallBook([*calls, VENDOR_EXAMPLE])
    return Callcap(book, clock=lambda: datetime.now(timezone.utc) - BEHIND, api_key=KEY)


@pytest.fixture(scope="module")
def sandbox(callcap: Callcap) -> Iterator[Sandbox]:
    """That Callcap, served."""
    with Sandbox(callcap) as served:
        yield served


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> MeltanoProject:
    """An installed project that reads from it; its settings reach the tap as text."""
    project = MeltanoProject(
        tmp_path_factory.mktemp("meltano"),
        {
            "api_url": sandbox.url,
            "api_key": KEY,
            "start_date": "2000-01-01",
            "retry_minutes": "2.5",
            "page_size": str(PAGE_SIZE),
        },
    )
    project.install()
    return project


def run(project: MeltanoProject) -> set[str]:
    """Run the pipeline, and return the ids of the calls that it wrote."""
    began = datetime.now()  # noqa: DTZ005 - target-duckdb writes local times as they are
    project.meltano("run", "tap-callcap", "target-duckdb")
    rows = project.rows(
        f"select call_id from callcap.calls where _sdc_batched_at >= '{began.isoformat()}'"  # noqa: S608
    )
    return {row["call_id"] for row in rows}


def modified_within(callcap: Callcap, start: datetime, end: datetime) -> set[str]:
    """Return the ids of the calls last modified from `start` on and before `end`."""
    return {call["call_id"] for call in callcap.book if start <= call["last_modified"] < end}


def searches_of(callcap: Callcap) -> list[Mapping[str, str]]:
    """Return the parameters of every search so far."""
    return [asked.params for asked in callcap.requests if asked.path == "/v2/get/calls/"]


def let_it_settle(callcap: Callcap) -> None:
    """Let the minutes pass that a run leaves for the next one, or that the next one reads again."""
    callcap.advance(timedelta(minutes=15))


# What the warehouse should hold.


def expected_rows(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """Return the sandbox's truth, each call as the warehouse should have it."""
    with urlopen(sandbox.url.replace("/v2", "/sandbox/truth")) as answer:
        calls = json.load(answer)
    rows = {call["call_id"]: as_schema_has_it(call, SCHEMA) for call in calls}
    for row in rows.values():
        for name, value in row.items():
            if isinstance(value, str):
                row[name] = value or None  # target-duckdb loads an empty text as NULL
    return {call_id: without_nothing(row) for call_id, row in rows.items()}


def rows_of(project: MeltanoProject) -> dict[str, dict[str, Any]]:
    """Return the warehouse's calls, JSON parsed and times with their zone again."""
    rows = project.rows("select columns(c -> not starts_with(c, '_sdc_')) from callcap.calls")
    found: dict[str, dict[str, Any]] = {row["call_id"]: row for row in rows}
    for row in found.values():
        for name, value in row.items():
            kind = kind_of(SCHEMA["properties"][name])
            if value is not None and kind in {"object", "array"}:
                row[name] = json.loads(value)
            if value is not None and kind == "date-time":
                row[name] = f"{value}Z"
    return {call_id: without_nothing(row) for call_id, row in found.items()}


def kind_of(schema: JSONSchema) -> str:
    """Return the one type of a property, null apart; `date-time` where it is one."""
    kinds = schema["type"]
    (kind,) = {kinds} if isinstance(kinds, str) else set(kinds) - {"null"}
    return str(schema.get("format", kind))


def as_schema_has_it(value: Any, schema: JSONSchema) -> Any:
    """Return a value of the API with the departures that the schema's descriptions state."""
    if value is None:
        return None
    kind = kind_of(schema)
    if kind == "object":
        return {
            name: as_schema_has_it(value.get("line-memo" if name == "line_memo" else name), part)
            for name, part in schema["properties"].items()
            if name not in DESELECTED
        }
    if kind == "array":
        return [as_schema_has_it(item, schema["items"]) for item in value]
    if kind == "string" and not isinstance(value, str):
        return json.dumps(value)  # an answer in a scorecard: true, 3.5
    return value


def without_nothing(value: Any) -> Any:
    """Return a value without what is null or empty in it: how that is written is not told apart."""
    if isinstance(value, dict):
        bare = {name: without_nothing(part) for name, part in value.items()}
        return {name: part for name, part in bare.items() if part not in (None, {}, [])}
    if isinstance(value, list):
        return [without_nothing(item) for item in value]
    return value


def test_the_first_run_loads_every_call_field_by_field(
    project: MeltanoProject, sandbox: Sandbox, callcap: Callcap
) -> None:
    """Each field of each call is in the warehouse, as the sandbox has it."""
    let_it_settle(callcap)

    run(project)

    assert rows_of(project) == expected_rows(sandbox)


def test_columns_have_the_types_of_the_schema(project: MeltanoProject) -> None:
    """Times are times and numbers are numbers; what is deselected has no column."""
    columns = {
        row["column_name"]: row["column_type"]
        for row in project.rows("describe callcap.calls")
        if not row["column_name"].startswith("_sdc_")
    }
    assert columns == {
        name: COLUMN_TYPES[kind_of(part)]
        for name, part in SCHEMA["properties"].items()
        if name not in DESELECTED
    }


def test_settings_arrive_through_meltano(callcap: Callcap) -> None:
    """A number that Meltano took from the environment as text is a number for the tap."""
    sizes = {search["show"] for search in searches_of(callcap)}
    assert sizes == {"1", str(PAGE_SIZE)}, "pages, and requests that count"


def test_a_deselected_section_is_not_asked_for(callcap: Callcap) -> None:
    """What meltano.yml deselects is in no request."""
    details = {search["detail"] for search in searches_of(callcap)}
    assert details
    assert not [detail for detail in details if "demographics" in detail]


def test_a_second_run_loads_only_the_changes(
    project: MeltanoProject, sandbox: Sandbox, callcap: Callcap
) -> None:
    """New and edited calls move, however old, and no others."""
    since = project.data_as_of() - LOOKBACK
    callcap.advance(timedelta(hours=1), new_calls=7, edits=20)
    let_it_settle(callcap)

    written = run(project)

    assert written == modified_within(callcap, since, project.data_as_of())
    assert 7 < len(written) <= 27
    assert rows_of(project) == expected_rows(sandbox)


def test_the_key_is_shown_nowhere(project: MeltanoProject, callcap: Callcap) -> None:
    """Meltano knows that the key is sensitive, and no log has it."""
    callcap.advance(LOOKBACK + timedelta(hours=1))  # the last run before the quiet one
    shown = project.meltano("config", "print", "tap-callcap")
    shown += project.meltano("--log-level=debug", "run", "tap-callcap", "target-duckdb")

    assert "page_size" in shown
    assert KEY not in shown


def test_a_quiet_run_writes_nothing(project: MeltanoProject, callcap: Callcap) -> None:
    """Without changes no call is written, and the bookmark does not go back."""
    before = project.data_as_of()
    callcap.advance(timedelta(hours=1))

    assert run(project) == set()
    # Not later: where no record came, target-duckdb passes on the first STATE of a run.
    assert project.data_as_of() >= before


def test_a_run_that_died_goes_on_where_it_stopped(
    project: MeltanoProject, sandbox: Sandbox, callcap: Callcap
) -> None:
    """What the target had taken before the tap failed stays, and is not read again."""
    shutil.rmtree(project.folder / "state")
    project.warehouse.unlink()
    last_request = len(callcap.requests) + 50

    def revoke_the_key(_: Asked) -> Answer | None:
        if len(callcap.requests) < last_request:
            return None
        return Answer.of({"status": "unauthorized", "message": "Your key is invalid"}, 401)

    callcap.before_answer = revoke_the_key
    try:
        with pytest.raises(MeltanoError, match="401"):
            run(project)
    finally:
        callcap.before_answer = None
    reached = project.data_as_of()
    loaded = {row["call_id"] for row in project.rows("select call_id from callcap.calls")}
    everything = {call["call_id"] for call in callcap.book}
    assert modified_within(callcap, BEGINNING, reached) <= loaded < everything
    assert reached > BEGINNING

    written = run(project)

    assert written == modified_within(callcap, reached - LOOKBACK, project.data_as_of())
    assert written < everything
    assert rows_of(project) == expected_rows(sandbox)
