"""Batches as columns: Arrow and Parquet files, with the types of the SCHEMA."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from singer_sdk.exceptions import ConfigurationError

from support.histories import BEGINNING
from support.running import discovered, run_tap
from tap_callcap.sandbox import CallBook, Callcap, made_up_calls
from tap_callcap.singer.encodings import arrow_schema
from targets.odd_calls import odd_calls
from targets.truth import differences, plain

if TYPE_CHECKING:
    from support.running import Run
    from tap_callcap.records.schema import JSONSchema

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

NOW = BEGINNING
FORMATS = ["arrow", "parquet"]
MAPPED = {
    "calls": {
        "notes": "__NULL__",
        "day": "last_modified[:10]",
        "much": "float(revenue * 1.5) if revenue else None",
        "__filter__": "not last_modified.endswith('7Z')",
    }
}
CONFIGS: dict[str, dict[str, Any]] = {
    "as they are": {},
    "flattened": {"flattening_enabled": True, "flattening_max_depth": 3},
    "mapped": {"stream_maps": MAPPED, "flattening_enabled": True, "flattening_max_depth": 1},
}


def callcap() -> Callcap:
    """An account with the odd calls and some of the usual ones."""
    calls = made_up_calls(40, seed=4, start=NOW - timedelta(days=90), end=NOW)
    return Callcap(CallBook([*odd_calls(), *calls]), clock=lambda: NOW)


def batched(folder: Path, form: str, compression: str | None = None, **settings: Any) -> Run:
    """A run that writes files of seven calls."""
    encoding = {"format": form} | ({"compression": compression} if compression else {})
    storage = {"root": folder.as_uri()}
    config = {"encoding": encoding, "storage": storage, "batch_size": 7}
    return run_tap(callcap(), batch_config=config, **settings)


def files_of(run: Run) -> list[Path]:
    """The files that a run announced, in order."""
    batches = [line for line in run.messages if line["type"] == "BATCH"]
    return [Path(urlsplit(url).path) for line in batches for url in line["manifest"]]


def table_in(path: Path) -> Any:
    """The table in a file, read as targets do."""
    if path.suffix == ".parquet":
        return parquet.read_table(path)
    with pyarrow.ipc.open_file(path) as reader:
        return reader.read_all()


def plainly(rows: list[dict[str, Any]], schema: JSONSchema) -> dict[str, dict[str, Any]]:
    """Each row by the id of its call, in a form in which records and columns can be compared."""
    return {
        row["call_id"]: {
            name: plain(row.get(name), part) for name, part in schema["properties"].items()
        }
        for row in rows
    }


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("settings", CONFIGS.values(), ids=CONFIGS)
def test_columns_hold_what_records_would(
    form: str, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each field of each call, however odd, also where lines become columns in many parts."""
    monkeypatch.setattr("tap_callcap.singer.batches.COLUMNS_BLOCK", 10_000)
    monkeypatch.setattr("tap_callcap.singer.encodings.ROW_GROUP", 10_000)
    catalog = discovered(demographics=True, caller__zip=False)
    run = batched(tmp_path, form, catalog=catalog, **settings)
    records = run_tap(callcap(), catalog=catalog, **settings)
    rows = [row for path in files_of(run) for row in table_in(path).to_pylist()]

    assert len(rows) == len(records.records) > 30
    expected = plainly(records.records, records.schema)
    assert differences(plainly(rows, run.schema), expected) == []
    assert max(table_in(path).num_rows for path in files_of(run)) == 7


@pytest.mark.parametrize("form", FORMATS)
def test_all_files_have_one_schema(form: str, tmp_path: Path) -> None:
    """Also those of calls that have nothing, or zero, in a column."""
    run = batched(tmp_path, form)
    (schema, *others) = [table_in(path).schema for path in files_of(run)]

    assert len(others) > 5
    assert all(other.equals(schema) for other in others)
    assert schema.equals(arrow_schema("calls", run.schema))
    types = {field.name: str(field.type) for field in schema}
    assert {types[name] for name in ("start_datetime", "end_datetime", "last_modified")} == {
        "timestamp[us, tz=UTC]"
    }
    assert (types["duration"], types["revenue"], types["call_id"]) == ("int64", "double", "string")
    assert pyarrow.types.is_struct(schema.field("caller").type)
    assert pyarrow.types.is_list(schema.field("scorecards").type)
    assert pyarrow.types.is_boolean(schema.field("sentiment").type.field("satisfied").type)


@pytest.mark.parametrize(
    ("compression", "codec"), [(None, "SNAPPY"), ("gzip", "GZIP"), ("none", "UNCOMPRESSED")]
)
def test_parquet_is_compressed_as_announced(
    compression: str | None, codec: str, tmp_path: Path
) -> None:
    """Inside, where each reader looks for it; without a word it is Parquet's usual one."""
    run = batched(tmp_path, "parquet", compression)
    for path in files_of(run):
        assert parquet.read_metadata(path).row_group(0).column(0).compression == codec


@pytest.mark.parametrize(
    ("name", "expression", "said"),
    [
        ("much", "1.5 if duration else 'secret'", "much do"),
        ("last_modified", "'secret' + last_modified", "a property do"),
    ],
)
def test_a_value_that_does_not_fit_is_one_line(
    name: str, expression: str, said: str, tmp_path: Path
) -> None:
    """A stream map can make values of another type than it says; the line shows none of them."""
    with pytest.raises(ConfigurationError, match=f"The values of {said} not have the ") as caught:
        batched(tmp_path, "arrow", stream_maps={"calls": {name: expression}})
    assert "secret" not in str(caught.value)
    assert list(tmp_path.rglob("*.arrow")) == []


@pytest.mark.parametrize(
    "schema",
    [{}, {"type": ["string", "integer"]}, {"type": "object", "properties": {}}, {"type": "array"}],
    ids=["none", "two", "an empty object", "an array of anything"],
)
def test_a_type_that_no_column_can_have_is_one_line(schema: JSONSchema) -> None:
    """It names the property."""
    nested = {"type": "object", "properties": {"x": {"type": "array", "items": schema}}}
    with pytest.raises(ConfigurationError, match=r"^calls\.x has no one type"):
        arrow_schema("calls", nested)
