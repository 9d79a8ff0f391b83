"""How Callcap's server writes values, and what each is read as: pure.

It writes JSON loosely: `""` or `[]` where nothing is meant, numbers and booleans as strings, local
times without an offset. A reading is a function from a value other than null to what the schema's
type wants, or null for the API's ways of saying nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from tap_callcap.schema import JSONSchema

JSON: TypeAlias = Any
"""What a JSON decoder returns: dict, list, str, int, Decimal, bool or None."""
Reading: TypeAlias = Callable[[JSON], JSON]
"""Reads a value other than null; raises UnreadableError where it fits no reading of the type."""

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
_ZERO_DATE = re.compile(r"0000-00-00[0:.TZ ]*")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")  # NUL, lone surrogates
_TO_JSON = msgspec.json.Encoder(decimal_format="number", order="sorted")


class UnreadableError(ValueError):
    """A value fits no reading of its type. The message never holds the value."""


class ZeroDateError(Exception):
    """A date-time that says 0000-00-00, a database's word for none."""


def reading_of(schema: JSONSchema, zone: ZoneInfo) -> Reading:
    """The reading of a plain value of the type that `schema` gives it."""
    if schema.get("contentMediaType") == "application/json":
        return _read_json_text
    if schema.get("format") == "date-time":
        return lambda value: _read_instant(value, zone)
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return _READINGS[next(kind for kind in kinds if kind != "null")]


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
    if number is not None and not -LARGEST_NUMBER <= number <= LARGEST_NUMBER:
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


def _read_instant(value: JSON, zone: ZoneInfo) -> str | None:
    text = value.strip() if isinstance(value, str) else value
    if not isinstance(text, str) or not text:
        _expect_nothing(text, "not a date and time")
        return None
    if _ZERO_DATE.fullmatch(text):
        raise ZeroDateError
    return format_instant(parse_instant(text, zone))


def _read_json_text(value: JSON) -> str | None:
    return None if value == "" else json_text(value)  # noqa: PLC1901 - 0 and {} are values


def _expect_nothing(value: JSON, why: str) -> None:
    """Take the API's ways of saying nothing where another type was meant, and nothing else."""
    if value not in ("", [], {}):
        raise UnreadableError(why)


_READINGS: dict[str, Reading] = {
    "string": _read_string,
    "integer": _read_integer,
    "number": _read_number,
    "boolean": _read_boolean,
}


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
