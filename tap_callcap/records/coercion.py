"""Coercion: from the values that Callcap's server writes to the types of the schema. Pure.

The server writes JSON loosely: `""` or `[]` for no value, numbers and booleans as strings, local
times without an offset.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from tap_callcap.instants import UTC, UnreadableError, format_instant, parse_instant
from tap_callcap.records.json import JSON, json_text

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from tap_callcap.records.schema import JSONSchema

Coerce: TypeAlias = Callable[[JSON], JSON]
"""Converts a value other than null, or raises UnreadableError; what means no value becomes null."""

LARGEST_INTEGER = 2**63 - 1  # what the integer columns of warehouses hold
LARGEST_NUMBER = Decimal("1.7976931348623157E+308")  # beyond it a double is infinite
LARGEST_EXPONENT = LARGEST_NUMBER.adjusted()

_TRUE = frozenset({"true", "yes", "1"})
_FALSE = frozenset({"false", "no", "0"})
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
# Length, and each third character, of `yyyy-mm-dd hh:mm:ss`, the API's form of a time. The others
# are digits if datetime.fromisoformat accepts the text.
_API_LENGTH, _API_MARKS = 19, "-- ::"
_ZERO_DATE = re.compile(r"0000-00-00[0:.TZ ]*")


class ZeroDateError(ValueError):
    """A date-time that says 0000-00-00, a database's word for none."""


def coercion_of(schema: JSONSchema, zone: ZoneInfo) -> Coerce:
    """The coercion of a plain value to the type that `schema` gives it."""
    kind = kind_of(schema)
    if kind != "date-time":
        return _COERCIONS[kind]
    return _utc_to_instant if zone.key == "UTC" else partial(_to_instant, zone=zone)


def kind_of(schema: JSONSchema) -> str:
    """What a plain value is coerced to: its type, or `date-time` or `json` for such texts."""
    if schema.get("contentMediaType") == "application/json":
        return "json"
    if schema.get("format") == "date-time":
        return "date-time"
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return str(next(kind for kind in kinds if kind != "null"))


def _to_string(value: JSON) -> str | None:
    if type(value) is str:
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return str(value)
    _expect_nothing(value, "not a text")
    return None


def _to_integer(value: JSON) -> int | None:
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


def _to_number(value: JSON) -> int | Decimal | None:
    if type(value) is Decimal and value.is_finite() and value.adjusted() < LARGEST_EXPONENT:
        return value
    if type(value) is int and -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
        return value
    number = _decimal(value, "not a number")
    if number is not None and not -LARGEST_NUMBER <= number <= LARGEST_NUMBER:
        msg = "a number too large for a double"
        raise UnreadableError(msg)
    return number


def _decimal(value: JSON, why: str) -> Decimal | None:
    """`value` as a Decimal with its digits as they were written, null for nothing."""
    if type(value) is Decimal:
        return value if value.is_finite() else None  # JSON has no NaN and no infinity
    if isinstance(value, bool):
        raise UnreadableError(why)
    if isinstance(value, (int, float)):
        return _decimal(Decimal(str(value)), why)
    text = value.strip() if isinstance(value, str) else value
    if not isinstance(text, str) or not text:
        _expect_nothing(text, why)
        return None
    if not _NUMBER.fullmatch(text):
        raise UnreadableError(why)
    return Decimal(text)


def _to_boolean(value: JSON) -> bool | None:
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


def _to_instant(value: JSON, zone: ZoneInfo) -> str | None:
    text = value.strip() if isinstance(value, str) else value
    if not isinstance(text, str) or not text:
        _expect_nothing(text, "not a date and time")
        return None
    if _ZERO_DATE.fullmatch(text):
        raise ZeroDateError
    return format_instant(parse_instant(text, zone))


def _utc_to_instant(value: JSON) -> str | None:
    if type(value) is str and len(value) == _API_LENGTH and value[4::3] == _API_MARKS:
        try:  # many times faster than what follows
            datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            if value[11:13] != "24":  # Python 3.14 accepts it, for the next day's midnight
                return value.replace(" ", "T") + "Z"
    return _to_instant(value, UTC)


def _to_json_text(value: JSON) -> str | None:
    return None if value == "" else json_text(value)  # noqa: PLC1901 - 0 and {} are values


def _expect_nothing(value: JSON, why: str) -> None:
    """Refuse a value that is not one of the API's ways to write no value."""
    if value not in ("", [], {}):
        raise UnreadableError(why)


_COERCIONS: dict[str, Coerce] = {
    "json": _to_json_text,
    "string": _to_string,
    "integer": _to_integer,
    "number": _to_number,
    "boolean": _to_boolean,
}
