"""The schemas contain every documented field, and are found.

What they must look like for targets is in test_dialect.py.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.dialect import nodes_of
from support.vendor_example import VENDOR_CALL
from tap_callcap.records import schema as schema_module
from tap_callcap.records.schema import load_schema

if TYPE_CHECKING:
    from tap_callcap.records.schema import JSONSchema

SCHEMA_FILES = sorted((Path(__file__).parents[2] / "schemas").glob("*.json"))


@pytest.mark.parametrize("file", SCHEMA_FILES, ids=lambda file: file.stem)
def test_no_name_is_written_twice(file: Path) -> None:
    """JSON readers keep the last of two equal names and say nothing."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len(dict(pairs)) == len(pairs), [name for name, _ in pairs]
        return dict(pairs)

    json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=once)


# calls: what Callcap documents

# Where the example's value alone would say another type, or says several.
READ_AS = {
    "revenue": "number",  # 0 in the example, yet money
    "scorecards[].results[].answers[].entry": "string",  # boolean, text or number
    "scorecards[].results[].answers[].value": "number",  # 8, beside a maximum of 8.0000
    "demographics.person": "string",  # JSON text, as for the five below
    "demographics.demographics": "string",
    "demographics.property": "string",
    "demographics.addresses": "string",
    "demographics.emails": "string",
    "demographics.vehicles": "string",
}
TYPE_OF = {bool: "boolean", int: "integer", float: "number", str: "string"}


def leaves_of(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Path and value of everything that holds nothing else; an empty part is a leaf."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from leaves_of(inner, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list) and value:
        for inner in value:
            yield from leaves_of(inner, f"{path}[]")
    else:
        yield path, value


def leaf_types(schema: JSONSchema) -> dict[str, str | None]:
    """Path and type of every leaf of a schema."""
    return {
        node.path: node.kind for node in nodes_of(schema) if node.kind not in {"object", "array"}
    }


def places_missed(schema: JSONSchema, record: Mapping[str, Any]) -> set[str]:
    """Return the paths of a record's leaves at which the schema has none."""
    return {path for path, _ in leaves_of(record)} - leaf_types(schema).keys()


@pytest.mark.parametrize(
    ("path", "value"),
    {path: pytest.param(path, value, id=path) for path, value in leaves_of(VENDOR_CALL)}.values(),
)
def test_calls_has_every_documented_field(path: str, value: object) -> None:
    """Each field of the documented example has its place and type in the schema."""
    expected = READ_AS.get(path) or TYPE_OF[type(value)]
    assert leaf_types(load_schema("calls")).get(path) == expected


def test_calls_has_no_field_of_its_own_but_extra() -> None:
    """All that the schema has beyond the example is `_extra`, the last column."""
    calls = load_schema("calls")
    documented = {path for path, _ in leaves_of(VENDOR_CALL)}
    assert leaf_types(calls).keys() - documented == {"_extra"}
    assert list(calls["properties"])[-1] == "_extra"


@pytest.mark.parametrize("path", sorted({path for path, _ in leaves_of(VENDOR_CALL)}))
def test_a_field_that_calls_lacks_is_noticed(path: str) -> None:
    """Take any field out of the schema, and comparing it with the example tells."""
    calls = deepcopy(load_schema("calls"))
    *parents, name = path.replace("[]", ".items").split(".")
    parent = calls
    for step in parents:
        parent = parent["items"] if step == "items" else parent["properties"][step]
    del parent["properties"][name]
    assert path in places_missed(calls, VENDOR_CALL)


def test_calls_is_keyed_by_call_id_and_last_modified() -> None:
    """The primary and the replication key are what every record must have."""
    calls = load_schema("calls")
    assert calls["required"] == ["call_id", "last_modified"]
    assert list(calls["properties"])[:2] == ["call_id", "last_modified"]


def test_calls_has_these_date_times() -> None:
    """Every documented time is a date-time, and nothing else is."""
    nodes = nodes_of(load_schema("calls"))
    assert {node.path for node in nodes if "format" in node.schema} == {
        "start_datetime",
        "end_datetime",
        "last_modified",
        "callsaver.date",
    }


def test_calls_has_these_json_texts() -> None:
    """Only what has no documented shape comes as JSON text."""
    nodes = nodes_of(load_schema("calls"))
    assert {node.path for node in nodes if "contentMediaType" in node.schema} == {
        "_extra",
        "demographics.person",
        "demographics.demographics",
        "demographics.property",
        "demographics.addresses",
        "demographics.emails",
        "demographics.vehicles",
    }


# load_schema


@pytest.mark.parametrize("file", SCHEMA_FILES, ids=lambda file: file.stem)
def test_load_schema_reads_the_file(file: Path) -> None:
    """The schema is the file's content, nothing added."""
    assert load_schema(file.stem) == json.loads(file.read_text(encoding="utf-8"))


def test_load_schema_gives_a_new_dict() -> None:
    """A caller may change its schema without changing anyone else's."""
    load_schema("calls")["properties"].clear()
    assert load_schema("calls")["properties"]


def test_load_schema_names_what_is_absent() -> None:
    """An unknown name is an error that says which schema is missing."""
    with pytest.raises(FileNotFoundError, match=r"schemas/nothing\.json"):
        load_schema("nothing")


@pytest.mark.parametrize(
    ("homes", "found"),
    [
        pytest.param(["tap_callcap"], "tap_callcap", id="wheel"),
        pytest.param(["."], ".", id="checkout"),
        pytest.param([".", "tap_callcap"], "tap_callcap", id="wheel beside another"),
    ],
)
def test_load_schema_finds_its_file(tmp_path: Path, homes: list[str], found: str) -> None:
    """Schemas are found inside the package first, as in a wheel, then beside it."""
    package = tmp_path / "tap_callcap"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "records").mkdir()
    shutil.copy(schema_module.__file__, package / "records")
    for home in homes:
        schemas = tmp_path / home / "schemas"
        schemas.mkdir()
        (schemas / "calls.json").write_text(json.dumps({"home": home}))
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from tap_callcap.records.schema import load_schema\n"
        "print(load_schema('calls')['home'])"
    )
    # A new interpreter: this one has imported the package already.
    answer = subprocess.run(
        [sys.executable, "-I", "-c", script],
        capture_output=True,
        check=True,
        text=True,
    )
    assert answer.stdout.strip() == found
