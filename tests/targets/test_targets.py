"""What the tap writes loads into every target, and reads back as it was.

The marker `column` names the column of docs/targets.md that a test stands for.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_callcap.sandbox import VENDOR_EXAMPLE
from targets.databases import REFUSED
from targets.pipes import PipeError, load
from targets.truth import (
    SCHEMA,
    Row,
    differences,
    expected_rows,
    flattened,
    kind_of,
    rows_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tap_callcap.sandbox import Sandbox
    from targets.loader import Loader

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

DEEP = {"flattening_enabled": True, "flattening_max_depth": 3}


def load_from(sandbox: Sandbox, loader: Loader, **settings: Any) -> None:
    """Run the pipe; `target` is a dict of the target's settings, the others are the tap's."""
    load(loader, sandbox.url, target=settings.pop("target", {}), tap=settings)


def batch_config(encoding: dict[str, str], folder: Path) -> dict[str, Any]:
    """Return the tap's config for files of ten records."""
    storage = {"root": (folder / "batches").as_uri()}
    return {"encoding": encoding, "storage": storage, "batch_size": 10}


def assert_equal(sandbox: Sandbox, loader: Loader, *, depth: int) -> dict[str, Row]:
    """Hold the destination's rows against the sandbox's truth, and return them."""
    rows = rows_of(loader)
    expected = expected_rows(sandbox.book, depth, nothing=loader.nothing)
    assert differences(rows, expected) == []
    return rows


def edit_all_kinds(sandbox: Sandbox) -> set[str]:
    """Edit each odd call and some of the usual ones; return the ids of the odd ones."""
    callcap = sandbox.callcap
    edited = {call_id for call_id in callcap.book.ids if call_id.startswith("1_")}
    for rings, call_id in enumerate(sorted(edited)):
        at = callcap.now().replace(microsecond=0) + timedelta(seconds=rings)
        callcap.book.edit(call_id, at=at, rings=rings)
    at = callcap.now().replace(microsecond=0) + timedelta(seconds=len(edited))
    callcap.book.edit(VENDOR_EXAMPLE["call_id"], at=at, caller=None, sentiment=None)
    callcap.advance(timedelta(hours=1), new_calls=3, edits=10)
    callcap.advance(timedelta(minutes=15))
    return edited


@pytest.mark.column("loads")
def test_every_call_loads(sandbox: Sandbox, loader: Loader) -> None:
    """Every call has a row, and no row is anything else."""
    load_from(sandbox, loader)

    assert sorted(row["call_id"] for row in loader.rows()) == sorted(sandbox.book.ids)


@pytest.mark.column("equal")
def test_every_field_is_equal(sandbox: Sandbox, loader: Loader) -> None:
    """Each field of each call reads back as the sandbox has it, from a column of its type."""
    load_from(sandbox, loader)

    assert_equal(sandbox, loader, depth=loader.depth)
    if loader.column_types:
        columns = {name: kind for name, kind in loader.columns().items() if name[:5] != "_sdc_"}
        assert columns == {
            name: loader.column_types[kind_of(part)]
            for name, part in flattened(SCHEMA, loader.depth).items()
        }


@pytest.mark.column("upsert")
def test_an_edited_call_has_its_newest_values(sandbox: Sandbox, loader: Loader) -> None:
    """After a second run a call is one row with its newest values, or its newest row has them."""
    load_from(sandbox, loader, **DEEP)
    edited = edit_all_kinds(sandbox)

    load_from(sandbox, loader, **DEEP)

    rows = assert_equal(sandbox, loader, depth=3)
    assert {rows[call_id]["rings"] for call_id in edited} == set(range(len(edited)))
    assert (len(loader.rows()) > len(rows)) == loader.appends


@pytest.mark.column("repeat")
def test_a_second_run_changes_nothing(sandbox: Sandbox, loader: Loader) -> None:
    """Nor does one that reads again what the first one loaded."""
    load_from(sandbox, loader, **DEEP)
    before = rows_of(loader)

    load_from(sandbox, loader, **DEEP)
    load_from(sandbox, loader, **DEEP, lookback_minutes=500 * 24 * 60)

    assert assert_equal(sandbox, loader, depth=3) == before


@pytest.mark.column("flattened")
@pytest.mark.parametrize("depth", [1, 3])
def test_flattened_fields_are_equal(sandbox: Sandbox, loader: Loader, depth: int) -> None:
    """Each field is in its own column when the tap flattens objects, and equal."""
    load_from(sandbox, loader, flattening_enabled=True, flattening_max_depth=depth)

    assert_equal(sandbox, loader, depth=depth)


@pytest.mark.column("batch")
def test_batches_are_equal(sandbox: Sandbox, loader: Loader, tmp_path: Path) -> None:
    """BATCH messages, the records in files of ten, bring the same rows."""
    encoding = {"format": "jsonl", "compression": "gzip"}

    load_from(sandbox, loader, **DEEP, batch_config=batch_config(encoding, tmp_path))

    assert_equal(sandbox, loader, depth=3)


@pytest.mark.targets
@pytest.mark.column("arrow")
@pytest.mark.parametrize("settings", [{}, DEEP], ids=["nested", "flattened"])
def test_columns_are_equal(
    sandbox: Sandbox, loader: Loader, tmp_path: Path, settings: dict[str, Any]
) -> None:
    """Arrow files bring the same rows, where a target takes them."""
    if not loader.takes_arrow:
        pytest.skip(f"{loader.name} takes no Arrow files")

    load_from(sandbox, loader, **settings, batch_config=batch_config({"format": "arrow"}, tmp_path))

    assert_equal(sandbox, loader, depth=settings.get("flattening_max_depth", 0))


@pytest.mark.column("metadata")
def test_metadata_and_hard_deletes_do_no_harm(sandbox: Sandbox, loader: Loader) -> None:
    """Columns about the load are added, and no call is deleted, in two runs."""
    load_from(sandbox, loader, **DEEP, target=dict(loader.metadata))
    edit_all_kinds(sandbox)

    load_from(sandbox, loader, **DEEP, target=dict(loader.metadata))

    assert_equal(sandbox, loader, depth=3)
    added = {name for name in loader.rows()[0] if name.startswith("_sdc_")}
    assert bool(added) == loader.has_metadata


@pytest.mark.column("alone")
def test_a_call_alone_in_its_batch_is_equal(sandbox: Sandbox, loader: Loader) -> None:
    """No single call is taken for something else, as a CSV file's only line may be for its head."""
    load_from(sandbox, loader, **DEEP, target={"batch_size_rows": 1})

    assert_equal(sandbox, loader, depth=3)


@pytest.mark.column("refused")
def test_a_refused_row_is_noticed(sandbox: Sandbox, loader: Loader) -> None:
    """The target fails and passes no STATE on that covers the row; once taken, it is loaded."""
    if loader.refusing is None:
        pytest.skip("takes every row")
    loader.run_script(loader.refusing, *loader.place)
    call_id = min(sandbox.book.ids)
    sandbox.book.edit(call_id, at=sandbox.callcap.now() - timedelta(days=9), duration=REFUSED)

    with pytest.raises(PipeError, match="exited with"):
        load_from(sandbox, loader)

    state = json.loads((loader.folder / "state.json").read_text("utf-8"))
    assert not state or call_id in {row["call_id"] for row in loader.rows()}
    sandbox.book.edit(call_id, at=sandbox.callcap.now() - timedelta(days=8), duration=7)
    load_from(sandbox, loader)
    assert_equal(sandbox, loader, depth=0)
