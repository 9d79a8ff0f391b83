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
_WHOLE = re.compile(r"[^\x00-\x7f\ufffd]")  # a character of several bytes
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

    msgspec decodes strict JSON fast. What it refuses, Python's own decoder may accept: a byte
    order mark, NaN (null here), half of a surrogate pair, a raw line break in a string, an integer
    with more digits than Python converts (Decimal here).

    Raises:
        ValueError: If neither accepts it.
        LookupError: If `charset` is needed and unknown.
        RecursionError: If it is nested too deep.
    """
    body = to_utf8(body, charset)
    try:
        value = _DECODER.decode(body)
    except (msgspec.DecodeError, ValueError, InvalidOperation):
        text = body.decode(errors="replace").removeprefix("\ufeff")
        return scrub(_LOOSE_DECODER.decode(text))
    return scrub(value) if has_nul(body) else value


def to_utf8(body: bytes | bytearray, charset: str | None) -> bytes | bytearray:
    """`body` in UTF-8; a declared `charset` counts only where the bytes are not UTF-8.

    Servers declare ISO-8859-1, or nothing, which HTTP takes for the same, and send UTF-8. Some of
    it may be cut: what has more whole characters than broken ones is UTF-8 all the same.
    """
    if charset is None or charset.lower() in {"utf-8", "utf8"}:
        return body
    try:
        body.decode()
    except UnicodeDecodeError:
        text = body.decode(errors="replace")
        if len(_WHOLE.findall(text)) <= text.count("\ufffd"):
            return body.decode(charset, errors="replace").encode(errors="replace")
    return body


def has_nul(body: bytes | bytearray) -> bool:
    """Whether JSON may hold an escaped NUL."""
    return b"\\u0000" in body


def _decimal_or_text(literal: str) -> Decimal | str:
    """A decimal number, or its text where not even Decimal holds its exponent."""
    try:
        return Decimal(literal)
    except InvalidOperation:
        return literal


def _integer_or_decimal(literal: str) -> int | Decimal:
    """An integer, as Decimal where it has more digits than Python converts."""
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
