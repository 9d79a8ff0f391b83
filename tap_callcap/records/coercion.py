"""How Callcap's server writes values, and what each is read as: pure.

It writes JSON loosely: `""` or `[]` where nothing is meant, numbers and booleans as strings, local
times without an offset. A reading is a function from a value other than null to what the schema's
type wants, or null for the API's ways of saying nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from tap_callcap.records.schema import JSONSchema

JSON: TypeAlias = Any
"""What a JSON decoder returns: dict, list, str, int, Decimal, bool or None."""
Reading: TypeAlias = Callable[[JSON], JSON]
"""Reads a value other than null; raises UnreadableError where it fits no reading of the type."""

LARGEST_INTEGER = 2**63 - 1  # what the integer columns of warehouses hold
LARGEST_NUMBER = Decimal("1.7976931348623157E+308")  # beyond it a double is infinite
LARGEST_EXPONENT = LARGEST_NUMBER.adjusted()

_TRUE = frozenset({"true", "yes", "1"})
_FALSE = frozenset({"false", "no", "0"})
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6})\d*)?)?)?"
    r"\s?(Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
# Length, and each third character, of `yyyy-mm-dd hh:nn:ss`: as the API writes it, and as records
# have it. The others are digits if datetime.fromisoformat takes the text.
_API_LENGTH, _API_MARKS = 19, "-- ::"
_RECORD_LENGTH, _RECORD_MARKS = 20, "--T::Z"
_ZERO_DATE = re.compile(r"0000-00-00[0:.TZ ]*")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")  # NUL, lone surrogates
_TO_JSON = msgspec.json.Encoder(decimal_format="number", order="sorted")


class UnreadableError(ValueError):
    """A value fits no reading of its type. The message never holds the value."""


class ZeroDateError(ValueError):
    """A date-time that says 0000-00-00, a database's word for none."""


def reading_of(schema: JSONSchema, zone: ZoneInfo) -> Reading:
    """The reading of a plain value of the type that `schema` gives it."""
    kind = kind_of(schema)
    if kind != "date-time":
        return _READINGS[kind]
    read_instant = partial(_read_instant, zone=zone)
    if zone.key != "UTC":
        return read_instant

    def read_utc_instant(value: JSON) -> str | None:
        if type(value) is str and len(value) == _API_LENGTH and value[4::3] == _API_MARKS:
            try:  # many times faster than what follows
                datetime.fromisoformat(value)
            except ValueError:
                pass
            else:
                return value.replace(" ", "T") + "Z"
        return read_instant(value)

    return read_utc_instant


def kind_of(schema: JSONSchema) -> str:
    """Which reading a plain value has: its type, or `date-time` or `json` for such texts."""
    if schema.get("contentMediaType") == "application/json":
        return "json"
    if schema.get("format") == "date-time":
        return "date-time"
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return str(next(kind for kind in kinds if kind != "null"))


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
    "json": _read_json_text,
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
    if len(text) == _RECORD_LENGTH and text[4::3] == _RECORD_MARKS:
        try:  # many times faster than what follows
            return datetime.fromisoformat(text[:19] + "+00:00")
        except ValueError:
            pass
    match = _INSTANT.fullmatch(text.strip())
    if match is None:
        msg = "not a date and time"
        raise UnreadableError(msg)
    try:
        *parts, fraction, offset = match.groups("0")
        wall = datetime(*map(int, parts), int(fraction.ljust(6, "0")))  # type: ignore[arg-type, call-arg]  # noqa: DTZ001 - six integers; its zone follows
        if offset == "0":
            return wall.replace(tzinfo=zone).astimezone(timezone.utc)
        return wall.replace(tzinfo=_offset_zone(offset)).astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        msg = "no date and time of the calendar"
        raise UnreadableError(msg) from error


def format_instant(instant: datetime) -> str:
    """RFC 3339 text of an aware UTC `instant`, ending in `Z`."""
    return instant.isoformat().removesuffix("+00:00") + "Z"


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


def decode_json(body: bytes | bytearray, charset: str | None = None) -> JSON:
    """The JSON value in `body`; a decimal number keeps its digits, as Decimal.

    msgspec reads strict JSON fast. What it refuses, Python's own decoder may read: another
    charset, a byte order mark, NaN (read as null), half of a surrogate pair, a raw line break in a
    string, an integer of more digits than Python turns into one (read as Decimal).

    Raises:
        ValueError: If neither can.
        LookupError: If neither can for not knowing `charset`.
        RecursionError: If it is nested too deep.
    """
    try:
        value = _DECODER.decode(body)
    except (msgspec.DecodeError, ValueError, InvalidOperation):
        text = body.decode(charset or "utf-8", errors="replace").removeprefix("\ufeff")
        return scrub(_LOOSE_DECODER.decode(text))
    return scrub(value) if has_nul(body) else value


def has_nul(body: bytes | bytearray) -> bool:
    """Whether JSON holds an escaped NUL: single bytes are found much faster than several."""
    at = body.find(b"\\")
    while at >= 0:
        if body.startswith(b"u0000", at + 1):
            return True
        at = body.find(b"\\", at + 1)
    return False


def _decimal_or_text(literal: str) -> Decimal | str:
    """A decimal number, or its text where not even Decimal holds its exponent."""
    try:
        return Decimal(literal)
    except InvalidOperation:
        return literal


def _integer_or_decimal(literal: str) -> int | Decimal:
    """An integer, as Decimal where Python makes none of so many digits."""
    try:
        return int(literal)
    except ValueError:
        return Decimal(literal)


_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_LOOSE_DECODER = json.JSONDecoder(
    parse_int=_integer_or_decimal,
    parse_float=_decimal_or_text,
    parse_constant=lambda _: None,
    strict=False,
)


def is_decodable_in_parts(body: bytes | bytearray, charset: str | None) -> bool:
    """Whether `decode_json` makes the same of the values in `body` as of the whole.

    The charset is known for the whole only, and NUL characters are sought in the whole.
    """
    if has_nul(body):
        return False
    if charset is None or charset.lower() in {"utf-8", "utf8"}:
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
