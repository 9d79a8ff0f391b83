"""The schemas use only what every target can load.

Every schema must have no fault, and for each rule a small broken schema shows that it finds one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.dialect import (
    RULES,
    Rule,
    all_but_keys_may_be_null,
    arrays_have_typed_items,
    everything_is_described,
    formats_are_date_times_in_strings,
    is_json_schema,
    keys_are_never_null,
    keywords_are_known,
    names_fit_every_database,
    names_stay_apart,
    objects_have_properties,
    open_parts_are_json_text,
    required_is_at_the_top,
    sdk_keeps_it,
    top_is_an_object,
    types_are_single,
)
from support.running import discovered, run_tap
from tap_callcap.sandbox import CallBook, Callcap

if TYPE_CHECKING:
    from tap_callcap.records.schema import JSONSchema

SCHEMA_FILES = sorted((Path(__file__).parents[2] / "schemas").glob("*.json"))


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


EMITTED = {
    "as it is": {},
    "flattened once": {"flattening_enabled": True, "flattening_max_depth": 1},
    "flattened": {"flattening_enabled": True, "flattening_max_depth": 3},
    "flattened to the ground": {"flattening_enabled": True, "flattening_max_depth": 9},
}
DESCRIBED = everything_is_described  # where the SDK makes a column of an object, it is not


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != DESCRIBED], ids=rule_name)
@pytest.mark.parametrize("settings", EMITTED.values(), ids=EMITTED)
def test_emitted_schema_keeps_rule(settings: dict[str, Any], rule: Rule) -> None:
    """So does the SCHEMA message, flattened or not, with every property selected."""
    schema = run_tap(Callcap(CallBook()), catalog=discovered(demographics=True), **settings).schema

    assert list(rule(schema)) == []


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
