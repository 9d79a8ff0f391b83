"""From one call as the API sends it to one record of the schema. Pure.

The schema is compiled once into a `Shaper`. Every record has every property of the schema; an
absent object is empty. Fields that the schema does not know, and values that cannot be coerced to
their type, go to `_extra`, so that nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from msgspec import to_builtins
from singer_sdk.exceptions import FatalAPIError

from tap_callcap.instants import UnreadableError, format_instant, parse_instant
from tap_callcap.records.coercion import Coerce, ZeroDateError
from tap_callcap.records.hashing import NO_HASHING, Hashing, has_hidden_parts
from tap_callcap.records.json import JSON, decode_json, json_text
from tap_callcap.records.shapes import (
    ABSENT,
    EXTRA,
    Array,
    Breadcrumb,
    Leaf,
    Object,
    Shape,
    object_of,
)
from tap_callcap.records.structs import DECODE_ERRORS, has_version, struct_decoder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from tap_callcap.records.schema import JSONSchema

Call: TypeAlias = JSON
"""One call as the API sends it: a `msgspec.Raw`, what that decodes to, or already its record."""
Record: TypeAlias = JSON
"""One record as the schema wants it: a dict, or a Struct that msgspec encodes as one."""
Version: TypeAlias = tuple[str, str]
"""A call's `call_id` and `last_modified`, the latter as records have it: RFC 3339, UTC, `Z`."""
Warn: TypeAlias = Callable[[str], None]
"""Takes a line for the log."""
Converter: TypeAlias = Callable[[JSON, str, "ExtraFields"], JSON]
"""Converts a value other than null at a path; what fits no type goes to the extra fields."""

_FIELD_NAME = re.compile(r"[a-z_]{1,63}")  # as the API names the fields of a call
_MOST_NAMES = 20  # unknown names in the log; more may be data, such as names of people


class ExtraFields:
    """Collects what has no place in the schema: the content of `_extra`, call by call.

    Args:
        warn: Logs each such field once, by its name, never by its value.
        is_kept: Whether records have `_extra`.
    """

    def __init__(self, warn: Warn, *, is_kept: bool = True) -> None:
        self._warn = warn
        self.fate = "kept in _extra" if is_kept else "lost, because _extra is not selected"
        self._warned: set[str] = set()
        self._names: set[str] = set()
        self._values: dict[str, JSON] = {}

    def add(self, path: str, value: JSON, why: str) -> None:
        """Keep `value`, found at `path`, and log `why` it has no other place."""
        self._keep(path, value)
        self.warn_once(path, why)

    def add_unknown(self, prefix: str, name: str, value: JSON) -> None:
        """Keep the value of an unknown field; log its name only if that cannot be data.

        An object inside a call may have keys such as telephone numbers or names of people.
        """
        self._keep(prefix + name, value)
        is_shown = not prefix and _FIELD_NAME.fullmatch(name)
        line = f"unknown; {self.fate}"
        if is_shown and name not in self._names:
            if len(self._names) == _MOST_NAMES:
                name, line = "?", f"{line}; only the first {_MOST_NAMES} names are shown"
            else:
                self._names.add(name)
        self.warn_once(f"{prefix}{name if is_shown else '?'}", line)

    def add_mismatch(self, path: str, value: JSON, why: str, shape: Shape) -> None:
        """Keep `value`, found in place of `shape`, unless it may hold hidden parts of it."""
        if has_hidden_parts(shape):
            self.warn_once(path, f"{why}; left out, since parts of it are hashed or not selected")
        else:
            self.add(path, value, f"{why}; {self.fate}")

    def warn_once(self, path: str, what: str) -> None:
        """Log `what` about the field at `path`, once however many calls have it."""
        field = re.sub(r"\[\d+\]", "", path)
        if (line := f"Field {field}: {what}") not in self._warned:
            self._warned.add(line)
            self._warn(line)

    def _keep(self, path: str, value: JSON) -> None:
        while path in self._values:  # a field's own name may look like a path
            path += "'"
        self._values[path] = value

    def take(self) -> str | None:
        """Return the extra fields of this call as JSON text, null without any, and forget them."""
        if not self._values:
            return None
        values, self._values = self._values, {}
        return json_text(values)


class Shaper:
    """Converts calls to records in two steps: `decode` returns the version, `records` the records.

    Args:
        schema: Schema of a record; the user's catalog may have narrowed or retyped it.
        zone: Zone of the times in the API's answers.
        warn: Logs each unexpected field once.
        known: The schema that the tap ships: properties that are only in it were left out on
            purpose, and are dropped instead of kept in `_extra`.
        is_selected: Whether the catalog selects the property at a breadcrumb, such as
            `("properties", "caller", "properties", "zip")`.
        hashing: Which fields become tokens.
        as_dict: Whether each record must be a dict, for code that looks into it.
    """

    def __init__(  # noqa: PLR0913 - a catalog, a run and a target decide
        self,
        schema: JSONSchema,
        zone: ZoneInfo,
        warn: Warn,
        *,
        known: JSONSchema | None = None,
        is_selected: Callable[[Breadcrumb], bool] = lambda _: True,
        hashing: Hashing = NO_HASHING,
        as_dict: bool = False,
    ) -> None:
        shape = hashing.applied_to(object_of(schema, known or schema, zone, is_selected))
        self._has_extra = EXTRA in schema["properties"] and is_selected(("properties", EXTRA))
        self._zone = zone
        self._has_version = has_version(shape)
        self._decode_struct = struct_decoder(shape, has_extra=self._has_extra).decode
        self._convert = _object(shape)
        self._extra = ExtraFields(warn, is_kept=self._has_extra)
        self._as_dict = as_dict

    def decode(self, call: Call) -> tuple[Version, Call]:
        """The version of a call as the API sends it, and the decoded call, perhaps its record.

        Raises:
            UnreadableError: If it is not valid JSON, is nested too deeply, or has no version.
        """
        if self._has_version and isinstance(call, msgspec.Raw):
            try:
                record: Any = self._decode_struct(call)
            except DECODE_ERRORS:
                pass
            else:
                return (record.call_id, record.last_modified), record
        call = decoded(call)
        return version_of(call, self._zone), call

    def records(self, calls: Iterable[Call]) -> list[Record]:
        """The records of decoded calls; a loop of its own, because most are Structs already."""
        if self._as_dict:
            return [self(call) for call in calls]
        return [call if isinstance(call, msgspec.Struct) else self(call) for call in calls]

    def __call__(self, call: Call) -> Record:
        """The record of a decoded call: every selected property is in it.

        Raises:
            FatalAPIError: If it is nested too deeply to be written.
        """
        if isinstance(call, msgspec.Struct):
            return to_builtins(call, builtin_types=(Decimal,)) if self._as_dict else call
        try:
            record = self._convert(call, "", self._extra)
            extra = self._extra.take()
        except RecursionError:
            msg = "Callcap sent a call with a value that is nested too deeply to be written"
            raise FatalAPIError(msg) from None
        if self._has_extra:
            record[EXTRA] = extra
        return record


def decoded(call: Call) -> JSON:
    """A call as the API sends it, decoded to JSON.

    Raises:
        UnreadableError: If it is not valid JSON, or is nested too deeply.
    """
    if not isinstance(call, msgspec.Raw):
        return call
    try:
        return decode_json(bytes(call))
    except (ValueError, RecursionError):
        msg = "a call is not valid JSON, or is nested too deeply"
        raise UnreadableError(msg) from None


def version_of(call: Call, zone: ZoneInfo) -> Version:
    """The version of a call that is decoded to JSON.

    Raises:
        UnreadableError: If its id or its last change is missing or unreadable.
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
    return call_id, format_instant(parse_instant(modified, zone))


def _object(shape: Object) -> Converter:
    """The converter of an object: every selected property is in the result."""
    fields = [
        (field.name, field.key, _converter(field.shape), isinstance(field.shape, Object))
        for field in shape.fields
    ]
    expected = shape.passed_over | {field.key for field in shape.fields}

    def convert(value: JSON, path: str, extra: ExtraFields) -> dict[str, JSON]:
        if type(value) is not dict:
            if value not in ("", []):
                extra.add_mismatch(path, value, "not an object", shape)
            return ABSENT.copy()
        prefix = f"{path}." if path else ""
        record: dict[str, JSON] = {}
        for name, key, converter, is_object in fields:
            item = value.get(key)
            if item is not None:
                item = converter(item, prefix + key, extra)
            elif is_object:
                item = ABSENT.copy()
            record[name] = item
        if not expected.issuperset(value):
            for key in value.keys() - expected:
                extra.add_unknown(prefix, key, value[key])
        return record

    return convert


def _converter(shape: Shape) -> Converter:
    if isinstance(shape, Leaf):
        return _leaf(shape.coerce)
    return _object(shape) if isinstance(shape, Object) else _array(shape)


def _array(shape: Array) -> Converter:
    """The converter of an array; nulls are left out, because BigQuery refuses them."""
    converter = _converter(shape.items)

    def convert(value: JSON, path: str, extra: ExtraFields) -> list[JSON]:
        if type(value) is not list:
            if value not in ("", {}):
                extra.add_mismatch(path, value, "not an array", shape)
            return []
        items = (
            converter(item, f"{path}[{index}]", extra)
            for index, item in enumerate(value)
            if item is not None
        )
        return [item for item in items if item is not None]

    return convert


def _leaf(coerce: Coerce) -> Converter:
    """The converter of a plain value."""

    def convert(value: JSON, path: str, extra: ExtraFields) -> JSON:
        try:
            return coerce(value)
        except ZeroDateError:
            extra.warn_once(path, "the date 0000-00-00 is read as null")
        except UnreadableError as error:
            extra.add(path, value, f"{error}; {extra.fate}")
        return None

    return convert
