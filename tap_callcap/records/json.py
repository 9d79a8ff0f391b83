"""JSON as Callcap's server writes it: decoded loosely, encoded strictly. Pure."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

import msgspec

JSON: TypeAlias = Any
"""What a JSON decoder returns: dict, list, str, int, Decimal, bool or None."""


_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")  # NUL, lone surrogates


_TO_JSON = msgspec.json.Encoder(decimal_format="number", order="sorted")


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
