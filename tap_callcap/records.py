"""From one call as the API sends it to one record as the schema wants it: pure, no I/O.

The schema is compiled once into the function that shapes a call. Every property it declares is in
every record. What the schema does not know, and what fits no reading of its type, goes to `_extra`,
so that nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from tap_callcap.values import (
    JSON,
    Reading,
    UnreadableError,
    ZeroDateError,
    json_text,
    parse_instant,
    reading_of,
)

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from tap_callcap.schema import JSONSchema

Call: TypeAlias = dict[str, JSON]
"""One call as the API sends it."""
Record: TypeAlias = dict[str, JSON]
"""One record as the schema wants it."""
Tell: TypeAlias = Callable[[str], None]
"""Takes a line for the log."""
Node: TypeAlias = Callable[[JSON, str, "Leftovers"], JSON]
"""Reads an object or an array at a path, and puts what it cannot place into the leftovers."""

EXTRA = "_extra"
API_NAMES = {"line_memo": "line-memo"}  # BigQuery's writer cannot build a column with a hyphen
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]{0,62}", re.ASCII)


class Leftovers:
    """What of the calls has no place in the schema: the content of `_extra`, call by call.

    Args:
        tell: Is told once of each field that is left over, by its name, never by its value.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._told: set[str] = set()
        self._values: dict[str, JSON] = {}

    def add(self, path: str, value: JSON, why: str) -> None:
        """Keep `value`, found at `path`; `why` says to the log what is wrong with it."""
        key = path
        while key in self._values:  # a field's own name may look like a path
            key += "'"
        self._values[key] = value
        self.tell_once(path, why)

    def add_unread(self, path: str, value: JSON, error: UnreadableError | ZeroDateError) -> None:
        """Keep `value`, which could not be read for `error`; a zero date is null, and only said."""
        if isinstance(error, ZeroDateError):
            self.tell_once(path, "the date 0000-00-00 is read as null")
        else:
            self.add(path, value, f"{error}; kept in _extra")

    def tell_once(self, path: str, what: str) -> None:
        """Say `what` of the field at `path`, once however many calls have it."""
        # A name that the API makes up from data (a telephone number, say) must not reach the log.
        names = re.sub(r"\[\d+\]", "", path).split(".")
        field = ".".join(name if _FIELD_NAME.fullmatch(name) else "?" for name in names)
        if (line := f"Field {field}: {what}") not in self._told:
            self._told.add(line)
            self._tell(line)

    def take(self) -> str | None:
        """The leftovers of this call as JSON text, null when there are none; then forget them."""
        if not self._values:
            return None
        values, self._values = self._values, {}
        return json_text(values)


def compile_record(
    schema: JSONSchema,
    zone: ZoneInfo,
    tell: Tell,
    *,
    known: JSONSchema | None = None,
    is_selected: Callable[[tuple[str, ...]], bool] = lambda _: True,
) -> Callable[[Call], Record]:
    """Compile `schema` into the function that shapes a call.

    Args:
        schema: What a record looks like: the user's catalog may have narrowed or retyped it.
        zone: Zone of the datetimes in the API's answers.
        tell: Is told of each odd field, once.
        known: The schema that the tap ships: what is in it but not in `schema` was left out
            on purpose, and is dropped instead of kept in `_extra`.
        is_selected: Whether the catalog selects the property at a breadcrumb, such as
            `("properties", "caller", "properties", "zip")`.

    Returns:
        A function from a call to a record that holds every selected property.
    """
    leftovers = Leftovers(tell)
    shape = _object(_without_extra(schema), _without_extra(known or schema), zone, is_selected, ())
    has_extra = EXTRA in schema["properties"] and is_selected(("properties", EXTRA))

    def shape_call(call: Call) -> Record:
        record: Record = shape(call, "", leftovers)
        extra = leftovers.take()
        if has_extra:
            record[EXTRA] = extra
        return record

    return shape_call


def version_of(call: JSON, zone: ZoneInfo) -> tuple[str, datetime]:
    """What makes a call's version: its `call_id` and `last_modified`, the latter in aware UTC.

    Raises:
        UnreadableError: If one of them is missing or unreadable.
    """
    if not isinstance(call, Mapping):
        msg = "an entry of `call` is not an object"
        raise UnreadableError(msg)
    call_id, modified = call.get("call_id"), call.get("last_modified")
    if not isinstance(call_id, str):
        call_id = str(call_id) if type(call_id) is int else ""
    if not call_id.strip():
        msg = "a call has no readable call_id"
        raise UnreadableError(msg)
    if not isinstance(modified, str):
        msg = "a call has no readable last_modified"
        raise UnreadableError(msg)
    return call_id, parse_instant(modified, zone)


def _without_extra(schema: JSONSchema) -> JSONSchema:
    properties = {name: part for name, part in schema["properties"].items() if name != EXTRA}
    return {**schema, "properties": properties}


def _object(  # noqa: C901 - one closure, compiled once
    schema: JSONSchema,
    known: JSONSchema,
    zone: ZoneInfo,
    is_selected: Callable[[tuple[str, ...]], bool],
    breadcrumb: tuple[str, ...],
) -> Node:
    """The reader of an object: every selected property is in what it returns.

    An absent object comes out as an object of nulls, which each target takes, flattened or not.
    """
    fields: list[tuple[str, str, Reading | None, Node | None, bool]] = []
    for name, part in schema["properties"].items():
        crumb = (*breadcrumb, "properties", name)
        if is_selected(crumb):
            known_part = known.get("properties", {}).get(name, part)
            node = _node(part, known_part, zone, is_selected, crumb)
            is_object = "object" in part["type"]
            leaf = None if node else reading_of(part, zone)
            fields.append((name, API_NAMES.get(name, name), leaf, node, is_object))
    names = {*schema["properties"], *known.get("properties", {})}
    expected = frozenset(API_NAMES.get(name, name) for name in names)

    def read(value: JSON, path: str, leftovers: Leftovers) -> Record:
        source: Mapping[str, JSON] = {}
        if type(value) is dict:
            source = value
        elif value not in (None, "", []):
            leftovers.add(path, value, "not an object; kept in _extra")
        prefix = f"{path}." if path else ""
        shaped: Record = {}
        for name, key, leaf, node, is_object in fields:
            item = source.get(key)
            if leaf is not None:
                if item is not None:
                    try:
                        item = leaf(item)
                    except (UnreadableError, ZeroDateError) as error:
                        leftovers.add_unread(prefix + key, item, error)
                        item = None
            elif node is not None and (item is not None or is_object):
                item = node(item, prefix + key, leftovers)
            shaped[name] = item
        if not expected.issuperset(source):
            for key in source.keys() - expected:
                leftovers.add(prefix + key, source[key], "unknown; kept in _extra")
        return shaped

    return read


def _node(
    schema: JSONSchema,
    known: JSONSchema,
    zone: ZoneInfo,
    is_selected: Callable[[tuple[str, ...]], bool],
    breadcrumb: tuple[str, ...],
) -> Node | None:
    """The reader of an object or an array, none for a plain value."""
    if "object" in schema["type"]:
        return _object(schema, known, zone, is_selected, breadcrumb)
    if "array" in schema["type"]:
        items: JSONSchema = schema["items"]
        known_items: JSONSchema = known.get("items", items)
        crumb = (*breadcrumb, "items")
        node = _node(items, known_items, zone, is_selected, crumb)
        return _array(node or _plain(reading_of(items, zone)))
    return None


def _array(node: Node) -> Node:
    """The reader of an array, whose nulls are left out: BigQuery takes none."""

    def read(value: JSON, path: str, leftovers: Leftovers) -> list[JSON]:
        if type(value) is not list:
            if value not in ("", {}):
                leftovers.add(path, value, "not an array; kept in _extra")
            return []
        items = (
            node(item, f"{path}[{index}]", leftovers)
            for index, item in enumerate(value)
            if item is not None
        )
        return [item for item in items if item is not None]

    return read


def _plain(reading: Reading) -> Node:
    """The reader of a plain value inside an array."""

    def read(value: JSON, path: str, leftovers: Leftovers) -> JSON:
        try:
            return reading(value)
        except (UnreadableError, ZeroDateError) as error:
            leftovers.add_unread(path, value, error)
            return None

    return read
