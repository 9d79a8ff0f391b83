"""What a record is made of: the schema and the selection, compiled to a tree. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tap_callcap.records.coercion import Coerce, coercion_of, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from tap_callcap.records.json import JSON
    from tap_callcap.records.schema import JSONSchema

Breadcrumb: TypeAlias = tuple[str, ...]
"""Where a property is, such as `("properties", "caller", "properties", "zip")`."""

EXTRA = "_extra"
ABSENT: dict[str, JSON] = {}
"""An absent object in a record: not null, on which target-csv fails where it flattens records."""
API_NAMES = {"line_memo": "line-memo"}  # BigQuery's writer cannot build a column with a hyphen
JSON_TEXT: JSONSchema = {"type": ["string", "null"], "contentMediaType": "application/json"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A plain value: `kind` is its type or format, `coerce` makes it of what the API writes."""

    kind: str
    coerce: Coerce


@dataclass(frozen=True, slots=True)
class Array:
    """A list whose items are alike."""

    items: Shape


@dataclass(frozen=True, slots=True)
class Object:
    """An object of the selected `fields`; the API's fields in `passed_over` are not wanted."""

    fields: tuple[Field, ...]
    passed_over: frozenset[str]


@dataclass(frozen=True, slots=True)
class Field:
    """A property of an object: `name` in a record, `key` in the API's answer."""

    name: str
    key: str
    shape: Shape


Shape: TypeAlias = Leaf | Array | Object


def object_of(
    schema: JSONSchema,
    known: JSONSchema,
    zone: ZoneInfo,
    is_selected: Callable[[Breadcrumb], bool] = lambda _: True,
    breadcrumb: Breadcrumb = (),
) -> Object:
    """The shape of an object with `schema`.

    Args:
        schema: What it looks like in a record; a user's catalog may have narrowed or retyped it.
        known: The same in the tap's own schema: what is only in it was left out on purpose.
        zone: Zone of the datetimes in the API's answers.
        is_selected: Whether the catalog selects the property at a breadcrumb.
        breadcrumb: Where the object is.
    """
    fields, passed_over = [], set()
    known_properties = known.get("properties", {})
    for name, part in {**known_properties, **schema["properties"]}.items():
        crumb = (*breadcrumb, "properties", name)
        key = API_NAMES.get(name, name)
        if crumb == ("properties", EXTRA):
            continue
        if name not in schema["properties"] or not is_selected(crumb):
            passed_over.add(key)
            continue
        shape = _shape_of(part, known_properties.get(name, part), zone, is_selected, crumb)
        fields.append(Field(name, key, shape))
    return Object(tuple(fields), frozenset(passed_over))


def _shape_of(
    schema: JSONSchema,
    known: JSONSchema,
    zone: ZoneInfo,
    is_selected: Callable[[Breadcrumb], bool],
    breadcrumb: Breadcrumb,
) -> Shape:
    if "object" in schema["type"]:
        return object_of(schema, known, zone, is_selected, breadcrumb)
    if "array" in schema["type"]:
        items: JSONSchema = schema["items"]
        known_items: JSONSchema = known.get("items", items)
        crumb = (*breadcrumb, "items")
        return Array(_shape_of(items, known_items, zone, is_selected, crumb))
    if known.get("format") == "date-time":
        schema = known  # in whatever text type: an instant
    elif "properties" in known or "items" in known:
        schema = JSON_TEXT
    return Leaf(kind_of(schema), coercion_of(schema, zone))
