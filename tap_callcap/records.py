"""From one call as the API sends it to one record as the schema wants it: pure, no I/O.

Callcap's server writes JSON loosely: `""` or `[]` where nothing is meant, numbers and booleans as
strings, local times without an offset. Every rule for reading that is here. What fits no reading of
its type, and every field that the schema does not know, goes to `_extra`, so that nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from tap_callcap.schema import JSONSchema

JSON: TypeAlias = Any
"""What a JSON decoder returns: dict, list, str, int, Decimal, bool or None."""
Call: TypeAlias = dict[str, JSON]
"""One call as the API sends it."""
Record: TypeAlias = dict[str, JSON]
"""One record as the schema wants it."""
Tell: TypeAlias = Callable[[str], None]
"""Takes a line for the log."""
Leaf: TypeAlias = Callable[[JSON], JSON]
"""Reads a value other than null; raises UnreadableError where it fits no reading of the type."""
Node: TypeAlias = Callable[[JSON, str, "Leftovers"], JSON]
"""Reads an object or an array at a path, and puts what it cannot place into the leftovers."""

EXTRA = "_extra"
API_NAMES = {"line_memo": "line-memo"}  # BigQuery's writer cannot build a column with a hyphen
LARGEST_INTEGER = 2**63 - 1  # what the integer columns of warehouses hold
LARGEST_NUMBER = Decimal("1.7976931348623157E+308")  # beyond it a double is infinite

_TRUE = frozenset({"true", "yes", "1"})
_FALSE = frozenset({"false", "no", "0"})
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6})\d*)?)?)?"
    r"\s?(Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # NUL, lone surrogates
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]{0,62}", re.ASCII)
_TO_JSON = msgspec.json.Encoder(decimal_format="number", order="sorted")


class UnreadableError(ValueError):
    """A value fits no reading of its type. The message never holds the value."""


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
        self._values[path] = value
        self.tell_once(path, why)

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


def parse_instant(text: str, zone: ZoneInfo) -> datetime:
    """The instant that `text` means, in aware UTC.

    `yyyy-mm-dd` with or without a time and an offset; without an offset it is a wall clock time
    of `zone`, in a repeated hour its first pass.

    Raises:
        UnreadableError: If it is no such text, or no date of the calendar.
    """
    match = _INSTANT.fullmatch(text.strip())
    if match is None:
        msg = "not a date and time"
        raise UnreadableError(msg)
    *parts, fraction, offset = match.groups("0")
    try:
        wall = datetime(*map(int, parts), int(fraction.ljust(6, "0")))  # type: ignore[arg-type, call-arg]  # noqa: DTZ001 - six integers; its zone follows
        if offset == "0":
            return wall.replace(tzinfo=zone).astimezone(timezone.utc)
        return wall.replace(tzinfo=_offset_zone(offset)).astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        msg = "no date and time of the calendar"
        raise UnreadableError(msg) from error


def format_instant(instant: datetime) -> str:
    """RFC 3339 text of an aware UTC `instant`, ending in `Z`."""
    return instant.replace(tzinfo=None).isoformat() + "Z"


def scrub(value: JSON) -> JSON:
    """`value` without the characters that databases refuse: NUL and lone surrogates."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("", value)
    if isinstance(value, list):
        return [scrub(item) for item in value]
    if isinstance(value, dict):
        return {scrub(key): scrub(item) for key, item in value.items()}
    return value


def json_text(value: JSON) -> str:
    """`value` as JSON text: keys sorted, numbers as the API wrote them."""
    return _TO_JSON.encode(value).decode()


def _offset_zone(offset: str) -> timezone:
    """The zone of `Z`, `+hh:mm` or `+hhmm`."""
    if offset == "Z":
        return timezone.utc
    minutes = int(offset[1:3]) * 60 + int(offset[-2:])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))


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
    fields: list[tuple[str, str, Leaf | None, Node | None, bool]] = []
    for name, part in schema["properties"].items():
        crumb = (*breadcrumb, "properties", name)
        if is_selected(crumb):
            known_part = known.get("properties", {}).get(name, part)
            node = _node(part, known_part, zone, is_selected, crumb)
            is_object = "object" in part["type"]
            leaf = None if node else _leaf(part, zone)
            fields.append((name, API_NAMES.get(name, name), leaf, node, is_object))
    names = {*schema["properties"], *known.get("properties", {})}
    expected = frozenset(API_NAMES.get(name, name) for name in names)

    def read(value: JSON, path: str, leftovers: Leftovers) -> Record:
        source: Mapping[str, JSON] = {}
        if type(value) is dict:
            source = value
        elif value:
            leftovers.add(path, value, "not an object; kept in _extra")
        prefix = f"{path}." if path else ""
        shaped: Record = {}
        for name, key, leaf, node, is_object in fields:
            item = source.get(key)
            if leaf is not None:
                if item is not None:
                    try:
                        item = leaf(item)
                    except UnreadableError as error:
                        leftovers.add(prefix + key, item, f"{error}; kept in _extra")
                        item = None
                    except _ZeroDateError:
                        leftovers.tell_once(prefix + key, "the date 0000-00-00 is read as null")
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
        return _array(
            _node(items, known_items, zone, is_selected, crumb),
            None if "properties" in items else _leaf(items, zone),
        )
    return None


def _array(node: Node | None, leaf: Leaf | None) -> Node:
    """The reader of an array, whose nulls are left out: BigQuery takes none."""

    def read(value: JSON, path: str, leftovers: Leftovers) -> list[JSON]:
        if type(value) is not list:
            if value not in ("", {}):
                leftovers.add(path, value, "not an array; kept in _extra")
            return []
        shaped = []
        for index, item in enumerate(value):
            where = f"{path}[{index}]"
            if item is None:
                continue
            if node is not None:
                shaped.append(node(item, where, leftovers))
            elif leaf is not None:
                try:
                    shaped.append(leaf(item))
                except UnreadableError as error:
                    leftovers.add(where, item, f"{error}; kept in _extra")
        return shaped

    return read


def _leaf(schema: JSONSchema, zone: ZoneInfo) -> Leaf:
    """The reader of a plain value."""
    if schema.get("contentMediaType") == "application/json":
        return _read_json_text
    if schema.get("format") == "date-time":
        return lambda value: _read_instant(value, zone)
    kind = next(kind for kind in schema["type"] if kind != "null")
    return _LEAVES[kind]


def _read_string(value: JSON) -> str | None:
    if type(value) is str:
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return str(value)
    _expect_nothing(value, "not a text")
    return None


def _read_integer(value: JSON) -> int | None:
    if type(value) is int:
        number: int | Decimal = value
    else:
        decimal = _decimal(value, "not an integer")
        if decimal is None:
            return None
        number = decimal
    if not -LARGEST_INTEGER - 1 <= number <= LARGEST_INTEGER or number != int(number):
        msg = "not an integer of 64 bits"
        raise UnreadableError(msg)
    return int(number)


def _read_number(value: JSON) -> int | Decimal | None:
    if type(value) is int and -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
        return value
    number = _decimal(value, "not a number")
    if number is not None and abs(number) > LARGEST_NUMBER:
        msg = "a number too large for a double"
        raise UnreadableError(msg)
    return number


def _decimal(value: JSON, why: str) -> Decimal | None:
    """`value` as a Decimal with its digits as they were written, null for nothing."""
    if isinstance(value, bool):
        raise UnreadableError(why)
    if isinstance(value, (int, float, Decimal)):
        number = Decimal(str(value))
        return number if number.is_finite() else None  # JSON has no NaN and no infinity
    text = value.strip() if isinstance(value, str) else value
    if not isinstance(text, str) or not text:
        _expect_nothing(text, why)
        return None
    if not _NUMBER.fullmatch(text):
        raise UnreadableError(why)
    return Decimal(text)


def _read_boolean(value: JSON) -> bool | None:
    if isinstance(value, bool):
        return value
    why = "neither true nor false"
    text = str(value).strip().lower() if isinstance(value, (str, int)) else value
    if not isinstance(text, str) or not text:
        _expect_nothing(text, why)
        return None
    if text not in _TRUE | _FALSE:
        raise UnreadableError(why)
    return text in _TRUE


class _ZeroDateError(Exception):
    """A date-time that says 0000-00-00, a database's word for none."""


def _read_instant(value: JSON, zone: ZoneInfo) -> str | None:
    text = value.strip() if isinstance(value, str) else value
    if not isinstance(text, str) or not text:
        _expect_nothing(text, "not a date and time")
        return None
    if text.startswith("0000-00-00"):
        raise _ZeroDateError
    return format_instant(parse_instant(text, zone))


def _read_json_text(value: JSON) -> str | None:
    return None if value == "" else json_text(value)


def _expect_nothing(value: JSON, why: str) -> None:
    """Take the API's ways of saying nothing where another type was meant, and nothing else."""
    if value not in ("", [], {}):
        raise UnreadableError(why)


_LEAVES: dict[str, Leaf] = {
    "string": _read_string,
    "integer": _read_integer,
    "number": _read_number,
    "boolean": _read_boolean,
}
