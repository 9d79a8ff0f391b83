"""The schemas keep to what every target loads, and miss nothing documented.

Each rule is a function from a schema to its faults. Every schema must have none,
and for each rule a small broken schema shows that it can find one.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pytest
from jsonschema import Draft7Validator
from singer_sdk.singerlib import Schema

from tap_callcap import schema as schema_module
from tap_callcap.schema import load_schema
from vendor_example import VENDOR_CALL

if TYPE_CHECKING:
    from tap_callcap.schema import JSONSchema

SCHEMA_FILES = sorted((Path(__file__).parents[1] / "schemas").glob("*.json"))
KEYWORDS = {
    "type",
    "format",
    "description",
    "properties",
    "items",
    "required",
    "contentMediaType",
}
TYPES = {"string", "integer", "number", "boolean", "object", "array"}
NAME = re.compile(r"[a-z_][a-z0-9_]*")
LONGEST_NAME = 63  # PostgreSQL cuts longer names, which can make two columns one

Rule: TypeAlias = Callable[["JSONSchema"], Iterator[str]]


# Walking a schema


@dataclass(frozen=True, slots=True)
class Node:
    """A schema within a schema."""

    path: str
    role: Literal["top", "property", "items"]
    schema: JSONSchema

    @property
    def kind(self) -> str | None:
        """The one type beside null, or None where there is not exactly one."""
        declared = self.schema.get("type")
        kinds = [declared] if isinstance(declared, str) else declared
        if not isinstance(kinds, list):
            return None
        kinds = [kind for kind in kinds if kind != "null"]
        return kinds[0] if len(kinds) == 1 else None


def nodes_of(
    schema: JSONSchema,
    path: str = "",
    role: Literal["top", "property", "items"] = "top",
) -> Iterator[Node]:
    """Yield the schema itself and every one inside it."""
    yield Node(path or "(top)", role, schema)
    for name, inner in schema.get("properties", {}).items():
        yield from nodes_of(inner, f"{path}.{name}".lstrip("."), "property")
    if isinstance(schema.get("items"), dict):
        yield from nodes_of(schema["items"], f"{path}[]", "items")


def column_names(schema: JSONSchema, prefix: str = "") -> Iterator[str]:
    """Yield all columns that flattening an object, to any depth, can make."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{prefix}{name}"
        yield from column_names(inner, f"{prefix}{name}__")


def tables_of(schema: JSONSchema) -> Iterator[tuple[str, list[str]]]:
    """Yield where flattening starts: the top and each kind of array item."""
    for node in nodes_of(schema):
        if node.role != "property":
            yield node.path, list(column_names(node.schema))


# The rules


def keywords_are_known(schema: JSONSchema) -> Iterator[str]:
    """No keyword, such as anyOf or enum, on which some target stumbles."""
    for node in nodes_of(schema):
        for keyword in sorted(node.schema.keys() - KEYWORDS):
            yield f"{node.path}: {keyword}"


def types_are_single(schema: JSONSchema) -> Iterator[str]:
    """One type each: targets lose or rename columns that have several or none."""
    for node in nodes_of(schema):
        form = str if node.role == "top" else list
        if node.kind not in TYPES or not isinstance(node.schema["type"], form):
            yield f"{node.path}: type {node.schema.get('type')}"


def top_is_an_object(schema: JSONSchema) -> Iterator[str]:
    """Each record is an object, and never null."""
    if schema.get("type") != "object":
        yield f"(top): type {schema.get('type')}"


def keys_are_never_null(schema: JSONSchema) -> Iterator[str]:
    """Every required property (a key) exists and is not nullable."""
    required = schema.get("required")
    if not required:
        yield "(top): nothing is required"
        return
    for name in required:
        types = schema["properties"].get(name, {}).get("type")
        if types is None or "null" in types:
            yield f"{name}: type {types}"


def required_is_at_the_top(schema: JSONSchema) -> Iterator[str]:
    """Inside a call anything may be missing."""
    for node in nodes_of(schema):
        if node.role != "top" and "required" in node.schema:
            yield f"{node.path}: required"


def all_but_keys_may_be_null(schema: JSONSchema) -> Iterator[str]:
    """Nothing but the keys is promised; a null item is left out instead."""
    keys = schema.get("required", [])
    for node in nodes_of(schema):
        may_be_null = "null" in node.schema.get("type", [])
        if node.role == "items" and may_be_null:
            yield f"{node.path}: null item"
        if node.role == "property" and node.path not in keys and not may_be_null:
            yield f"{node.path}: never null"


def formats_are_date_times_in_strings(schema: JSONSchema) -> Iterator[str]:
    """No format but date-time, and only in a string."""
    for node in nodes_of(schema):
        if "format" in node.schema and (
            node.schema["format"] != "date-time" or node.kind != "string"
        ):
            yield f"{node.path}: format {node.schema['format']}"


def open_parts_are_json_text(schema: JSONSchema) -> Iterator[str]:
    """No media type but JSON, and only in a string without a format."""
    for node in nodes_of(schema):
        if "contentMediaType" in node.schema and (
            node.schema["contentMediaType"] != "application/json"
            or node.kind != "string"
            or "format" in node.schema
        ):
            yield f"{node.path}: contentMediaType {node.schema['contentMediaType']}"


def objects_have_properties(schema: JSONSchema) -> Iterator[str]:
    """No object without properties: some targets leave out its column."""
    for node in nodes_of(schema):
        if (node.kind == "object") != bool(node.schema.get("properties")):
            yield f"{node.path}: {node.kind} with or without properties"


def arrays_have_typed_items(schema: JSONSchema) -> Iterator[str]:
    """One schema for all items, which are no arrays themselves: BigQuery nests none."""
    for node in nodes_of(schema):
        items = node.schema.get("items")
        if node.kind != "array":
            if items is not None:
                yield f"{node.path}: {node.kind} with items"
        elif not isinstance(items, dict) or Node("", "items", items).kind is None:
            yield f"{node.path}: items without a type"
        elif Node("", "items", items).kind == "array":
            yield f"{node.path}: array of arrays"


def everything_is_described(schema: JSONSchema) -> Iterator[str]:
    """Every node has a description: words that end as a sentence does."""
    for node in nodes_of(schema):
        description = node.schema.get("description")
        if not isinstance(description, str) or not re.fullmatch(r"\S.*\w.*\.", description):
            yield f"{node.path}: description {description!r}"


def names_fit_every_database(schema: JSONSchema) -> Iterator[str]:
    """Lower case, digits and underscores, no digit first; short even when flattened."""
    for node in nodes_of(schema):
        for name in node.schema.get("properties", {}):
            if not NAME.fullmatch(name):
                yield f"{node.path}: name {name!r}"
    for table, names in tables_of(schema):
        for name in names:
            if len(name) > LONGEST_NAME:
                yield f"{table}: name {name} has {len(name)} characters"


def names_stay_apart(schema: JSONSchema) -> Iterator[str]:
    """Two names never become one when they are flattened and their case is folded."""
    for table, names in tables_of(schema):
        for name, count in Counter(map(str.casefold, names)).items():
            if count > 1:
                yield f"{table}: {count} columns named {name}"


def is_json_schema(schema: JSONSchema) -> Iterator[str]:
    """Every schema is valid JSON Schema, of the draft that targets read."""
    for error in Draft7Validator(Draft7Validator.META_SCHEMA).iter_errors(schema):
        yield f"{error.json_path}: {error.validator}"


def sdk_keeps_it(schema: JSONSchema) -> Iterator[str]:
    """Nothing is lost when the SDK writes a catalog or a SCHEMA message."""
    if Schema.from_dict(schema).to_dict() != schema:
        yield "(top): not the same after Schema.from_dict and to_dict"


RULES: tuple[Rule, ...] = (
    keywords_are_known,
    types_are_single,
    top_is_an_object,
    keys_are_never_null,
    required_is_at_the_top,
    all_but_keys_may_be_null,
    formats_are_date_times_in_strings,
    open_parts_are_json_text,
    objects_have_properties,
    arrays_have_typed_items,
    everything_is_described,
    names_fit_every_database,
    names_stay_apart,
    is_json_schema,
    sdk_keeps_it,
)


def rule_name(value: object) -> str | None:
    """Return a rule's name, as the id of a test."""
    return getattr(value, "__name__", None)


# Small schemas, whole and broken


def prop(kind: str = "string", **keywords: object) -> JSONSchema:
    """Return a nullable property, with keywords added or replaced."""
    return {"type": [kind, "null"], "description": "A thing.", **keywords}


def item(kind: str = "string", **keywords: object) -> JSONSchema:
    """Return a kind of array item, with keywords added or replaced."""
    return {**prop(), "type": [kind], **keywords}


def stream(**properties: object) -> JSONSchema:
    """Return a stream with a key and the properties given."""
    return {
        "type": "object",
        "description": "Things.",
        "properties": {"id": item(), **properties},
        "required": ["id"],
    }


def without(schema: JSONSchema, keyword: str) -> JSONSchema:
    """Return the schema less one keyword."""
    return {name: value for name, value in schema.items() if name != keyword}


WHOLE = stream(
    at=prop(format="date-time"),
    text=prop(contentMediaType="application/json"),
    part=prop("object", properties={"size": prop("integer"), "text": prop()}),
    tags=prop("array", items=item()),
    rows=prop("array", items=item("object", properties={"part": prop("number")})),
)

BROKEN: dict[Rule, dict[str, JSONSchema]] = {
    keywords_are_known: {
        "anyOf": stream(a={"anyOf": [{"type": "string"}], "description": "A thing."}),
        "ref": stream(a=prop(**{"$ref": "#/properties/id"})),
        "enum": stream(a=prop(enum=["x", None])),
        "multipleOf": stream(a=prop("number", multipleOf=0.01)),
        "closed top": {**stream(), "additionalProperties": False},
        "open part": stream(a=prop("object", properties={"b": prop()}, additionalProperties=True)),
        "in an item": stream(a=prop("array", items=item(maxLength=3))),
    },
    types_are_single: {
        "two types": stream(a=prop(type=["string", "integer", "null"])),
        "no type": stream(a=without(prop(), "type")),
        "null only": stream(a=prop(type=["null"])),
        "not in a list": stream(a=prop(type="string")),
        "unknown type": stream(a=prop("date")),
        "in an item": stream(a=prop("array", items=item(type=["string", "integer"]))),
        "top in a list": {**stream(), "type": ["object"]},
    },
    top_is_an_object: {
        "array": {**stream(), "type": "array"},
        "nullable": {**stream(), "type": ["object", "null"]},
    },
    keys_are_never_null: {
        "nullable key": stream(id=prop()),
        "unknown key": {**stream(), "required": ["id", "at"]},
        "no required": without(stream(), "required"),
        "empty required": {**stream(), "required": []},
    },
    required_is_at_the_top: {
        "in an object": stream(a=prop("object", properties={"b": prop()}, required=["b"])),
    },
    all_but_keys_may_be_null: {
        "property": stream(a=item()),
        "inner property": stream(a=prop("object", properties={"id": item()})),
        "null item": stream(a=prop("array", items=prop())),
        "property of an item": stream(
            a=prop("array", items=item("object", properties={"b": item()}))
        ),
    },
    formats_are_date_times_in_strings: {
        "date": stream(a=prop(format="date")),
        "integer": stream(a=prop("integer", format="date-time")),
    },
    open_parts_are_json_text: {
        "html": stream(a=prop(contentMediaType="text/html")),
        "object": stream(
            a=prop(
                "object",
                properties={"b": prop()},
                contentMediaType="application/json",
            )
        ),
        "date-time": stream(a=prop(contentMediaType="application/json", format="date-time")),
    },
    objects_have_properties: {
        "no properties": stream(a=prop("object")),
        "empty properties": stream(a=prop("object", properties={})),
        "string with properties": stream(a=prop(properties={"b": prop()})),
        "item": stream(a=prop("array", items=item("object"))),
    },
    arrays_have_typed_items: {
        "no items": stream(a=prop("array")),
        "items without a type": stream(a=prop("array", items={"description": "A."})),
        "list of items": stream(a=prop("array", items=[item()])),
        "array of arrays": stream(
            a=prop("array", items=item("array", items=item())),
        ),
        "string with items": stream(a=prop(items=item())),
    },
    everything_is_described: {
        "property": stream(a=without(prop(), "description")),
        "top": without(stream(), "description"),
        "item": stream(a=prop("array", items=without(item(), "description"))),
        "empty": stream(a=prop(description="")),
        "no sentence": stream(a=prop(description="a thing")),
    },
    names_fit_every_database: {
        "hyphen": stream(**{"line-memo": prop()}),
        "capital": stream(callId=prop()),
        "digit first": stream(**{"1st": prop()}),
        "not ASCII": stream(größe=prop()),
        "empty": stream(**{"": prop()}),
        "long": stream(**{"a" * 64: prop()}),
        "long when flattened": stream(**{"a" * 31: prop("object", properties={"b" * 31: prop()})}),
        "in an item": stream(a=prop("array", items=item("object", properties={"B": prop()}))),
    },
    names_stay_apart: {
        "case": stream(ID=prop()),
        "flattened": stream(a__b=prop(), a=prop("object", properties={"b": prop()})),
        "flattened halfway": stream(
            a__b=prop(),
            a=prop(
                "object",
                properties={"b": prop("object", properties={"c": prop()})},
            ),
        ),
        "in an item": stream(
            a=prop("array", items=item("object", properties={"b": prop(), "B": prop()}))
        ),
    },
    is_json_schema: {
        "unknown type": stream(a=prop("date")),
        "description is no text": stream(a=prop(description=["A thing."])),
        "required is no list": {**stream(), "required": "id"},
    },
    sdk_keeps_it: {
        "keyword it does not know": stream(a=prop(examples=["x"])),
        "comment": {**stream(), "$comment": "A comment."},
    },
}


@pytest.mark.parametrize("rule", RULES, ids=rule_name)
@pytest.mark.parametrize("file", SCHEMA_FILES, ids=lambda file: file.stem)
def test_schema_keeps_rule(file: Path, rule: Rule) -> None:
    """Every schema file keeps every rule of the dialect."""
    assert list(rule(json.loads(file.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize("rule", RULES, ids=rule_name)
def test_rule_lets_a_whole_schema_pass(rule: Rule) -> None:
    """No rule forbids what the dialect allows."""
    assert list(rule(WHOLE)) == []


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        pytest.param(rule, broken, id=f"{rule_name(rule)}-{fault}")
        for rule, faults in BROKEN.items()
        for fault, broken in faults.items()
    ],
)
def test_rule_catches_a_broken_schema(rule: Rule, broken: JSONSchema) -> None:
    """Every rule finds the fault in a small schema that breaks it."""
    assert list(rule(broken)) != []


def test_every_rule_can_fail() -> None:
    """No rule is without a broken schema, and there are schemas to hold it against."""
    assert set(BROKEN) == set(RULES)
    assert SCHEMA_FILES


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
    shutil.copy(schema_module.__file__, package)
    for home in homes:
        schemas = tmp_path / home / "schemas"
        schemas.mkdir()
        (schemas / "calls.json").write_text(json.dumps({"home": home}))
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from tap_callcap.schema import load_schema\n"
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
