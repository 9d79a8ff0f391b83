"""Rules that a schema must follow to load into every target.

Each rule is a function from a schema to its faults.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from jsonschema import Draft7Validator
from singer_sdk.singerlib import Schema

if TYPE_CHECKING:
    from tap_callcap.records.schema import JSONSchema

KEYWORDS = {
    "type",
    "format",
    "description",
    "properties",
    "items",
    "required",
    "contentMediaType",
    "minimum",  # with these DuckDB has BIGINT columns instead of HUGEINT
    "maximum",
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
