"""What target-bigquery sends by each of its methods, and what becomes of rows that are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

from support.running import COMMAND, clean_environment, discovered
from tap_callcap.sandbox import CallBook, Callcap, Sandbox, made_up_calls
from targets.bigquery import METHODS, Ended, GoogleAPIs, by_method
from targets.environments import CHECKOUT
from targets.odd_calls import FIRST_DAY, LARGEST, odd_calls
from targets.truth import differences, expected_rows, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from targets.truth import Row

pytestmark = [
    pytest.mark.targets,
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.version_info >= GoogleAPIs.python_before, reason="the target has no version for it"
    ),
]

FLAT = {"flattening_enabled": True, "flattening_max_depth": 3}
NO_NESTED = "the rows' schema refers to schemas that are not sent, so BigQuery cannot read them"


class Fault(NamedTuple):
    """What goes wrong, and the methods by which the target itself then loses no row."""

    faults: Row
    spared: frozenset[str]


FAULTS = {
    "a row is refused": Fault({"refused": ["the third"]}, frozenset({"gcs_stage"})),
    "the last request fails once": Fault({"once": True}, frozenset()),
    "a worker is slower": Fault({"held": True}, frozenset()),
    "the tap ends after minutes": Fault({"ages": True}, frozenset()),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Callcap with the odd calls and twenty of the usual ones."""
    now = FIRST_DAY + timedelta(days=400)
    calls = made_up_calls(20, seed=2, start=now - timedelta(days=90), end=now)
    with Sandbox(Callcap(CallBook([*odd_calls(), *calls]), clock=lambda: now)) as served:
        yield served


@pytest.fixture(scope="module")
def written(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """What the installed tap writes, nested or flattened."""

    @cache
    def lines(*, flat: bool) -> list[str]:
        folder = tmp_path_factory.mktemp("tap")
        config = {"api_key": "sandbox", "api_url": sandbox.url, "retry_minutes": 0}
        (folder / "tap.json").write_text(json.dumps(config | (FLAT if flat else {})), "utf-8")
        (folder / "catalog.json").write_text(json.dumps(discovered(demographics=True)), "utf-8")
        done = subprocess.run(
            [str(COMMAND), "--config=tap.json", "--catalog=catalog.json"],
            cwd=folder,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            check=True,
        )
        return done.stdout.decode().splitlines()

    return lines


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """What runs the target."""
    with GoogleAPIs.serving() as running:
        yield running


@pytest.fixture
def destination(tmp_path: Path, server: Any) -> Callable[..., GoogleAPIs]:
    """An empty destination of a method."""

    def made(method: str, *, checked: bool = True) -> GoogleAPIs:
        return by_method(method, checked=checked, folder=tmp_path, server=server)

    return made


@pytest.mark.parametrize("depth", [0, 3], ids=["nested", "flattened"])
@pytest.mark.parametrize("method", METHODS)
def test_every_field_is_equal(
    sandbox: Sandbox,
    written: Callable[..., list[str]],
    destination: Callable[..., GoogleAPIs],
    method: str,
    depth: int,
) -> None:
    """What is sent, decoded by the schema that goes with it, is what the sandbox has."""
    loader = destination(method)

    ended = loader.run(written(flat=depth > 0))

    if (method, depth) == ("storage_write_api", 0):
        assert (ended.code, ended.states, loader.rows()) == (1, [], []), NO_NESTED
        return
    assert (ended.code, len(ended.states)) == (0, 1)
    expected = expected_rows(sandbox.book, depth, nothing=loader.nothing)
    assert differences(rows_of(loader), expected) == []
    texts = [text for kind, text in loader.sent() if kind != "append"]
    assert all(f'"duration":{LARGEST}' in "".join(texts) for _ in texts[:1]), (
        "as a JSON number: Google advises texts for integers beyond 2**53"
    )


def test_the_plain_target_loses_nested_rows_by_storage_write(
    written: Callable[..., list[str]], destination: Callable[..., GoogleAPIs]
) -> None:
    """It sends a schema that is not self-contained, has every row refused, and exits with 0."""
    loader = destination("storage_write_api", checked=False)

    ended = loader.run(written(flat=False))

    assert (ended.code, len(ended.states), loader.rows()) == (0, 1, []), NO_NESTED


@pytest.mark.parametrize("method", METHODS)
def test_an_edited_call_has_its_newest_values(
    written: Callable[..., list[str]], destination: Callable[..., GoogleAPIs], method: str
) -> None:
    """Two versions of a call in one load, and one more in the next, leave its last one."""
    loader = destination(method)
    schema, *records = messages(written(flat=True))
    first, second, third = (version(records[0], rings) for rings in (1, 2, 3))

    assert loader.run([schema, first, *records[1:], second]).code == 0
    assert row_of(loader, first)["rings"] == 2
    assert loader.run([schema, third, state(1)]).code == 0

    assert row_of(loader, first)["rings"] == 3
    assert len(loader.rows()) == len(records)


def messages(lines: list[str]) -> list[str]:
    """Return the SCHEMA of calls and the records."""
    return [line for line in lines if '"SCHEMA"' in line or '"RECORD"' in line]


def version(line: str, rings: int) -> str:
    """Return a record as it was read a few seconds later."""
    message = json.loads(line)
    message["record"]["rings"] = rings
    message["time_extracted"] = f"2026-01-01T00:00:0{rings}.000000+00:00"
    return json.dumps(message)


def state(count: int) -> str:
    """Return a STATE that stands for the records so far."""
    return json.dumps({"type": "STATE", "value": {"records": count}})


def row_of(loader: GoogleAPIs, line: str) -> Row:
    """Return the one row of a record."""
    call_id = json.loads(line)["record"]["call_id"]
    (row,) = (row for row in loader.rows() if row["call_id"] == call_id)
    return row


@pytest.fixture(scope="module")
def six(written: Callable[..., list[str]]) -> list[str]:
    """SCHEMA, four records, STATE, two records, STATE; flattened, so that each method can."""
    schema, *records = messages(written(flat=True))
    for number, line in enumerate(records[:6]):
        message = json.loads(line)
        message["record"]["call_id"] = "the third" if number == 2 else f"call {number}"
        records[number] = json.dumps(message)
    return [schema, *records[:4], state(4), *records[4:6], state(6)]


def run_with(loader: GoogleAPIs, lines: list[str], fault: Fault, **settings: Any) -> Ended:
    """Run the target while something goes wrong."""
    if "ages" in fault.faults:
        lines = [*lines[:-1], '{"type": "RECORD", "stre']  # half a line: the tap was killed
    size = 2 if {"held", "ages"} & fault.faults.keys() else 100  # one request is the last
    return loader.run(lines, faults=fault.faults, batch_size=size, **settings)


def lost(loader: GoogleAPIs, lines: list[str], ended: Ended) -> set[str]:
    """Return the calls that the last STATE stands for and that are not in the table."""
    count = ended.states[-1]["records"] if ended.states else 0
    ids = [json.loads(line)["record"]["call_id"] for line in lines if '"RECORD"' in line]
    return set(ids[:count]) - {row["call_id"] for row in loader.rows()}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("method", METHODS)
def test_no_row_is_lost_with_the_check(
    destination: Callable[..., GoogleAPIs], six: list[str], method: str, fault: str
) -> None:
    """STATE stands only for rows that are in the table; else the target fails, and says so."""
    loader = destination(method)

    ended = run_with(loader, six, FAULTS[fault])

    assert lost(loader, six, ended) == set()
    if fault == "a row is refused":
        assert (ended.code, ended.states) == (1, [])
        assert "rows were not loaded" in ended.log.splitlines()[-1]
        assert "Traceback" not in ended.log
    if fault == "the tap ends after minutes":
        assert (ended.code, ended.states) == (1, [{"records": 4}])
    if ended.code == 0:
        assert (ended.states, len(loader.rows())) == ([{"records": 6}], 6)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("method", METHODS)
def test_what_the_plain_target_loses(
    destination: Callable[..., GoogleAPIs], six: list[str], method: str, fault: str
) -> None:
    """Without the check STATE goes past rows that are not in the table, mostly with exit code 0."""
    loader = destination(method, checked=False)

    ended = run_with(loader, six, FAULTS[fault])

    assert bool(lost(loader, six, ended)) == (method not in FAULTS[fault].spared)
    fails = fault == "the tap ends after minutes" or method in FAULTS[fault].spared
    assert ended.code == int(fails)


@pytest.mark.parametrize("method", ["storage_write_api", "batch_job"])
def test_the_plain_target_passes_state_on_when_it_fails(
    destination: Callable[..., GoogleAPIs], six: list[str], method: str
) -> None:
    """If it notices in time that a row was refused it exits with 1, but after STATE."""
    loader = destination(method, checked=False)
    faults = {"refused": ["the third"], "ages": True}

    ended = loader.run(six, faults=faults, batch_size=2)

    assert ended.code == 1
    assert "the third" in lost(loader, six, ended)


@pytest.mark.parametrize("method", METHODS)
def test_one_worker_is_waited_for(
    destination: Callable[..., GoogleAPIs], six: list[str], method: str
) -> None:
    """With `max_workers` 1 the plain target merges no sooner than it has all rows."""
    loader = destination(method, checked=False)

    ended = run_with(loader, six, FAULTS["a worker is slower"], options={"max_workers": 1})

    assert (ended.code, lost(loader, six, ended), len(loader.rows())) == (0, set(), 6)


@pytest.mark.parametrize("method", METHODS)
def test_null_in_an_array_is_refused(destination: Callable[..., GoogleAPIs], method: str) -> None:
    """A repeated column takes null for the whole array, and none inside it; the tap writes none."""
    loader = destination(method)
    schema = {
        "type": "SCHEMA",
        "stream": "calls",
        "key_properties": ["call_id"],
        "schema": {
            "properties": {
                "call_id": {"type": ["string"]},
                "tags": {"type": ["array", "null"], "items": {"type": ["string"]}},
            }
        },
    }

    def loaded(tags: list[str | None] | None) -> Ended:
        record = {"type": "RECORD", "stream": "calls", "record": {"call_id": "1", "tags": tags}}
        return loader.run([json.dumps(schema), json.dumps(record), state(1)])

    assert loaded(None).code == 0
    assert [row["tags"] for row in loader.rows()] == [[]]
    ended = loaded(["a", None])
    assert (ended.code, ended.states) == (1, [])
    assert [row["tags"] for row in loader.rows()] == [[]]


def test_a_worker_that_dies_ends_the_run(
    destination: Callable[..., GoogleAPIs], six: list[str]
) -> None:
    """It is not waited for."""
    ended = destination("batch_job").run(six, faults={"dead": True})

    assert (ended.code, ended.states) == (1, [])
    assert "rows were not loaded (TypeError)" in ended.log.splitlines()[-1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bucket": None}, "method gcs_stage needs a bucket"),
        ({"options": {"process_pool": True}}, "options.process_pool cannot be checked"),
        (
            {"options": {"storage_write_batch_mode": True}},
            "options.storage_write_batch_mode cannot be checked",
        ),
    ],
    ids=["bucket", "processes", "streams"],
)
def test_settings_that_cannot_work_are_an_error(
    destination: Callable[..., GoogleAPIs], six: list[str], settings: Row, said: str
) -> None:
    """One line says what to change, before anything is sent."""
    loader = destination("gcs_stage")

    ended = loader.run(six, **settings)

    assert (ended.code, ended.states, loader.sent()) == (1, [], [])
    assert said in ended.log.splitlines()[-1]


def test_batch_messages_are_an_error(
    destination: Callable[..., GoogleAPIs], six: list[str]
) -> None:
    """The plain target would take them, load nothing, and exit with 0."""
    message = {
        "type": "BATCH",
        "stream": "calls",
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "manifest": [],
    }

    ended = destination("gcs_stage").run([six[0], json.dumps(message), state(1)])

    assert (ended.code, ended.states) == (1, [])
    assert ended.log.endswith("remove batch_config from the tap\n")


def test_a_new_column_must_be_added_by_hand(
    destination: Callable[..., GoogleAPIs], six: list[str]
) -> None:
    """The MERGE names a column that the table does not have, so the run fails, without STATE."""
    loader = destination("gcs_stage")
    message = json.loads(six[0])
    del message["schema"]["properties"]["notes"]
    assert loader.run([json.dumps(message), *six[1:]]).code == 0

    ended = loader.run(six)

    assert (ended.code, ended.states) == (1, [])
    assert "rows were not loaded (BadRequest, invalid" in ended.log.splitlines()[-1]


def test_meltano_yml_has_every_setting() -> None:
    """Meltano passes no variable on for a setting that its definition does not name."""
    environment = GoogleAPIs.environment()
    about = subprocess.run(
        [environment.command("target-bigquery-checked"), "--about", "--format=json"],
        capture_output=True,
        check=True,
    )
    properties = json.loads(about.stdout)["settings"]["properties"]
    loaders = yaml.safe_load((CHECKOUT / "meltano.yml").read_text("utf-8"))["plugins"]["loaders"]
    (loader,) = (loader for loader in loaders if loader["name"] == "target-bigquery")

    assert {setting["name"] for setting in loader["settings"]} == properties.keys()
    assert loader["config"].keys() <= properties.keys()
