"""The bytes of an answer become a JSON value, or an error that the client knows."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support import seeded
from tap_callcap.records.json import decode_json

SEEDED = settings(seeded.SEEDED, max_examples=200)


@pytest.mark.parametrize(
    ("body", "charset", "value"),
    [
        (b'{"a": [1, "\xc3\xa9", true, null]}', None, {"a": [1, "é", True, None]}),
        (b"\xef\xbb\xbf{}", None, {}),
        (b"\xef\xbb\xbf{}", "utf-8", {}),
        ("{}".encode("utf-16"), "utf-16", {}),
        (b'"\xe9"', "latin-1", "é"),
        (b'["\xc3\xa9", NaN]', "ISO-8859-1", ["é", None]),
        (b'["\xe9", NaN]', "ISO-8859-1", ["é", None]),
        ('["é", "ü", "'.encode() + b'\xc3"]', "ISO-8859-1", ["é", "ü", "\ufffd"]),
        (b'["\xe9", "\xc3\xa9"]', "ISO-8859-1", ["é", "Ã©"]),
        (b'"\xe9"', "utf-8", "\ufffd"),
        (rb'"a\ud800b"', None, "ab"),
        (rb'{"\ud83d\ude00\udc00": 1}', None, {"😀": 1}),
        (b'"\xed\xa0\x80"', None, "\ufffd\ufffd\ufffd"),
        (rb'{"a\u0000": ["b\u0000"]}', None, {"a": ["b"]}),
        (b"[NaN, Infinity, -Infinity, 1.50]", None, [None, None, None, Decimal("1.50")]),
        (b'{"a": 1, "a": 2}', None, {"a": 2}),
        (b"[NaN, 1e99999999999999999999]", None, [None, "1e99999999999999999999"]),
        (b"1e99999999999999999999", None, "1e99999999999999999999"),
        (b"1" * 400, None, int("1" * 400)),
        (b"[" + b"1" * 5000 + b"]", None, [Decimal("1" * 5000)]),
        (b'"a\nb\x00"', None, "a\nb"),
        (b"0." + b"1" * 5000, None, Decimal("0." + "1" * 5000)),
        (b"[" * 100 + b"]" * 100, None, json.loads("[" * 100 + "]" * 100)),
    ],
    ids=[
        "strict JSON",
        "byte order mark",
        "byte order mark and charset",
        "UTF-16",
        "Latin-1",
        "UTF-8 declared as Latin-1",
        "Latin-1 beside NaN",
        "UTF-8 with a cut character declared as Latin-1",
        "Latin-1 that looks like UTF-8 in a place",
        "Latin-1 as UTF-8",
        "half a pair",
        "half a pair in a key",
        "half a pair in raw bytes",
        "NUL",
        "NaN",
        "a key twice",
        "a vast exponent beside NaN",
        "a vast exponent",
        "an integer of 400 digits",
        "an integer of 5,000 digits",
        "a raw line break and NUL",
        "a decimal of 5,000 digits",
        "a hundred lists",
    ],
)
def test_loose_json_is_read(body: bytes, charset: str | None, value: object) -> None:
    """What strict JSON refuses is read where it has a meaning, and what databases refuse goes."""
    assert decode_json(body, charset) == value


@pytest.mark.parametrize("literal", ["8.0000", "0.10", "-0.0", "1E+5", "1234567890.123456789012"])
@pytest.mark.parametrize("body", ["[{}]", "[{}, NaN]", '["\\u0000", {}]'], ids=["1", "2", "3"])
def test_a_decimal_number_keeps_its_digits(literal: str, body: str) -> None:
    """8.0000 does not become 8.0 on the way, whichever decoder reads it."""
    value = decode_json(body.format(literal).replace(", {}", "").encode(), None)
    assert [str(number) for number in value if isinstance(number, Decimal)] == [literal]


REFUSED = {
    "nothing": b"",
    "cut": b"{",
    "quotes of Python": b"{'a': 1}",
    "HTML": b"<html>",
    "a comma too many": b"[1,]",
    "two values": b"{} {}",
    "no text": b"\xff",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("charset", [None, "latin-1"])
def test_what_is_no_json_is_refused(body: bytes, charset: str | None) -> None:
    """A cut or foreign body is an error that the client knows."""
    with pytest.raises(ValueError, match=r"."):
        decode_json(body, charset)


@pytest.mark.parametrize("depth", [700, 990, 1000, 100_000])
@pytest.mark.parametrize(
    "parts",
    [(b"[", b"", b"]"), (b'{"a":', b"1", b"}"), (b"[", b"NaN", b"]"), (b"[", rb'"\u0000"', b"]")],
    ids=["lists", "objects", "lists with NaN", "lists with NUL"],
)
def test_deep_nesting_is_read_or_refused(parts: tuple[bytes, bytes, bytes], depth: int) -> None:
    """However deep a body is nested, the process lives, and what is refused is so as expected."""
    start, middle, end = parts
    with contextlib.suppress(RecursionError):
        assert decode_json(start * depth + middle + end * depth, None)
    with pytest.raises((ValueError, RecursionError)):
        decode_json(start * depth + middle, None)


def test_an_unknown_charset_is_refused_only_where_it_matters() -> None:
    """UTF-8 needs no charset; other bytes cannot be decoded without one."""
    assert decode_json(b"\xef\xbb\xbf{}", "canary") == {}
    with pytest.raises(LookupError):
        decode_json(b'"\xe9"', "canary")


@SEEDED
@given(st.binary(max_size=60), st.sampled_from((None, "utf-8", "latin-1", "utf-16")))
@example(rb'{"a": "\ud800\u0000", "b": -1.5e-7}', None)
def test_any_bytes_are_json_or_refused(body: bytes, charset: str | None) -> None:
    """Whatever a server sends, nothing but a value or an expected error comes of it."""
    for text in (
        body,
        b'{"a":[' + body + b"]}",
        b'"' + body + b'"',
        b"[" + body[:9].hex().encode(),
    ):
        try:
            value = decode_json(text, charset)
        except (ValueError, RecursionError):
            continue
        json.dumps(value, default=str).encode("ascii")
