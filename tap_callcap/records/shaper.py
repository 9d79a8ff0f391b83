"""From one call as the API sends it to one record as the schema wants it: pure, no I/O.

The schema is compiled once into the `Shaper` of all calls. Every property it declares is in
every record. What the schema does not know, and what fits no reading of its type, goes to `_extra`,
so that nothing is lost.
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
from tap_callcap.records.hashing import NO_HASHING, Hashing, is_private
from tap_callcap.records.json import JSON, decode_json, json_text
from tap_callcap.records.shapes import EXTRA, Array, Breadcrumb, Leaf, Object, Shape, object_of
from tap_callcap.records.structs import NOT_ORDINARY, struct_decoder, tells_version

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
Node: TypeAlias = Callable[[JSON, str, "ExtraFields"], JSON]
"""Reads an object or an array at a path, and puts what it cannot place into the extra."""

_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]{0,62}", re.ASCII)


class ExtraFields:
    """What of the calls has no place in the schema: the content of `_extra`, call by call.

    Args:
        tell: Is told once of each field that is left over, by its name, never by its value.
    """

    def __init__(self, tell: Warn) -> None:
        self._tell = tell
        self._told: set[str] = set()
        self._values: dict[str, JSON] = {}

    def add(self, path: str, value: JSON, why: str) -> None:
        """Keep `value`, found at `path`; `why` says to the log what is wrong with it."""
        key = path
        while key in self._values:  # a field's own name may look like a path
            key += "'"
        self._values[key] = value
        self.warn_once(path, why)

    def add_misplaced(self, path: str, value: JSON, why: str, shape: Shape) -> None:
        """Keep `value`, found where `shape` should be, unless it may hold what must not be seen."""
        if is_private(shape):
            self.warn_once(path, f"{why}; left out, since parts of it are hashed or not selected")
        else:
            self.add(path, value, f"{why}; kept in _extra")

    def add_unread(self, path: str, value: JSON, error: UnreadableError | ZeroDateError) -> None:
        """Keep `value`, which could not be read for `error`; a zero date is null, and only said."""
        if isinstance(error, ZeroDateError):
            self.warn_once(path, "the date 0000-00-00 is read as null")
        else:
            self.add(path, value, f"{error}; kept in _extra")

    def warn_once(self, path: str, what: str) -> None:
        """Say `what` of the field at `path`, once however many calls have it."""
        # A name that the API makes up from data (a telephone number, say) must not reach the log.
        names = re.sub(r"\[\d+\]", "", path).split(".")
        field = ".".join(name if _FIELD_NAME.fullmatch(name) else "?" for name in names)
        if (line := f"Field {field}: {what}") not in self._told:
            self._told.add(line)
            self._tell(line)

    def take(self) -> str | None:
        """The extra of this call as JSON text, null when there are none; then forget them."""
        if not self._values:
            return None
        values, self._values = self._values, {}
        return json_text(values)


class Shaper:
    """Shapes calls, each in two steps: its version is told between them.

    Args:
        schema: What a record looks like: the user's catalog may have narrowed or retyped it.
        zone: Zone of the datetimes in the API's answers.
        tell: Is told of each odd field, once.
        known: The schema that the tap ships: what is in it but not in `schema` was left out
            on purpose, and is dropped instead of kept in `_extra`.
        is_selected: Whether the catalog selects the property at a breadcrumb, such as
            `("properties", "caller", "properties", "zip")`.
        hashing: Which fields become tokens.
        as_dict: Whether each record must be a dict, for who looks into it.
    """

    def __init__(  # noqa: PLR0913 - a catalog, a run and a target decide
        self,
        schema: JSONSchema,
        zone: ZoneInfo,
        tell: Warn,
        *,
        known: JSONSchema | None = None,
        is_selected: Callable[[Breadcrumb], bool] = lambda _: True,
        hashing: Hashing = NO_HASHING,
        as_dict: bool = False,
    ) -> None:
        shape = hashing.applied_to(object_of(schema, known or schema, zone, is_selected))
        self._has_extra = EXTRA in schema["properties"] and is_selected(("properties", EXTRA))
        self._zone = zone
        self._tells_version = tells_version(shape)
        self._decode_struct = struct_decoder(
            shape, has_extra=self._has_extra, as_dict=as_dict
        ).decode
        self._read = _object(shape)
        self._extra = ExtraFields(tell)
        self._as_dict = as_dict

    def decode(self, call: Call) -> tuple[Version, Call]:
        """The version of a call as the API sends it, and the call, decoded.

        Raises:
            UnreadableError: If it is no JSON, nested too deep, or without what makes a version.
        """
        if self._tells_version and isinstance(call, msgspec.Raw):
            try:
                record: Any = self._decode_struct(call)
            except NOT_ORDINARY:
                pass
            else:
                return (record.call_id, record.last_modified), record
        call = decoded(call)
        return version_of(call, self._zone), call

    def records(self, calls: Iterable[Call]) -> list[Record]:
        """The records of decoded calls; those that are Structs take no call of a function each."""
        if self._as_dict:
            return [self(call) for call in calls]
        return [call if isinstance(call, msgspec.Struct) else self(call) for call in calls]

    def __call__(self, call: Call) -> Record:
        """The record of a decoded call: every selected property is in it.

        Raises:
            FatalAPIError: If it is nested too deep to be written.
        """
        if isinstance(call, msgspec.Struct):
            return to_builtins(call, builtin_types=(Decimal,)) if self._as_dict else call
        try:
            record = self._read(call, "", self._extra)
            extra = self._extra.take()
        except RecursionError:
            msg = "Callcap sent a call with a value that is nested too deep to be written"
            raise FatalAPIError(msg) from None
        if self._has_extra:
            record[EXTRA] = extra
        return record


def decoded(call: Call) -> JSON:
    """A call as the API sends it, decoded to JSON with all that is in it.

    Raises:
        UnreadableError: If it is no JSON, or nested too deep.
    """
    if not isinstance(call, msgspec.Raw):
        return call
    try:
        return decode_json(bytes(call))
    except (ValueError, RecursionError):
        msg = "a call is no JSON, or nested too deep"
        raise UnreadableError(msg) from None


def version_of(call: Call, zone: ZoneInfo) -> Version:
    """What makes the version of a call that is decoded to JSON.

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
    return call_id, format_instant(parse_instant(modified, zone))


def _object(shape: Object) -> Node:
    """The reader of an object: every selected property is in what it returns.

    An absent object comes out as an object of nulls, which each target takes, flattened or not.
    """
    fields = [
        (field.name, field.key, _node(field.shape), isinstance(field.shape, Object))
        for field in shape.fields
    ]
    expected = shape.passed_over | {field.key for field in shape.fields}

    def read(value: JSON, path: str, extra: ExtraFields) -> dict[str, JSON]:
        source: Mapping[str, JSON] = {}
        if type(value) is dict:
            source = value
        elif value not in (None, "", []):
            extra.add_misplaced(path, value, "not an object", shape)
        prefix = f"{path}." if path else ""
        shaped: dict[str, JSON] = {}
        for name, key, node, is_object in fields:
            item = source.get(key)
            if item is not None or is_object:
                item = node(item, prefix + key, extra)
            shaped[name] = item
        if not expected.issuperset(source):
            for key in source.keys() - expected:
                extra.add(prefix + key, source[key], "unknown; kept in _extra")
        return shaped

    return read


def _node(shape: Shape) -> Node:
    """The reader of whatever has a shape."""
    if isinstance(shape, Leaf):
        return _plain(shape.coerce)
    return _object(shape) if isinstance(shape, Object) else _array(shape)


def _array(shape: Array) -> Node:
    """The reader of an array, whose nulls are left out: BigQuery takes none."""
    node = _node(shape.items)

    def read(value: JSON, path: str, extra: ExtraFields) -> list[JSON]:
        if type(value) is not list:
            if value not in ("", {}):
                extra.add_misplaced(path, value, "not an array", shape)
            return []
        items = (
            node(item, f"{path}[{index}]", extra)
            for index, item in enumerate(value)
            if item is not None
        )
        return [item for item in items if item is not None]

    return read


def _plain(coerce: Coerce) -> Node:
    """The reader of a plain value inside an array."""

    def read(value: JSON, path: str, extra: ExtraFields) -> JSON:
        try:
            return coerce(value)
        except (UnreadableError, ZeroDateError) as error:
            extra.add_unread(path, value, error)
            return None

    return read
