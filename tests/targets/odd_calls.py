"""Calls with difficult values, one kind each."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING

from tap_callcap.sandbox import VENDOR_EXAMPLE
from tap_callcap.sandbox.call import CALL_FIELDS

if TYPE_CHECKING:
    from tap_callcap.sandbox import Call

FIRST_DAY = datetime(2024, 2, 29, tzinfo=timezone.utc)
LARGEST = 2**63 - 1
LONG_NOTE = "-----{Update: 02/29/24}----- She said: “größer”, 'yes', \"no\"; 50 % \\ off\n" * 13_500

TEXTS = {
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 \U0001f9d1\U0001f3fd‍🔧",
    "scripts": "Grüße, Ñandú, Łódź, 東京, שלום, مرحبا, e\u0301 and é",
    "line ends": "one\ntwo\r\nthree\rfour\u2028five\u2029six\x85seven",
    "tabs": "\ttab\tand  spaces \v\f and no-break\u00a0space ",
    "quotes": "\"double\" 'single' `back` ''twice'' \"\"twice\"\"",
    "backslashes": "C:\\new\\table \\N \\. \\u0041 \\\\",
    "separators": "a,b;c|d\te:f,\"g\",'h'",
    "statement": "'; drop table calls; -- $1 %s %(name)s {name} ${name} $$",
    "looks like null": "NULL",
    "looks like JSON": '{"a": [1, null, "b"]}',
    "looks like a number": "007.10e5",
    "looks like a date": "2024-02-30 25:61:00",
    "controls": "bell\x07 escape\x1b[31m delete\x7f nothing\x00here",
    "spaces": "   ",
    "long": "x" * 70_000,
}
"""Texts by what is odd about them."""


def odd_calls() -> list[Call]:
    """Return the calls, each modified in a minute of its own."""
    calls = [
        _call("empty"),
        _call("objects without contents", **_hollow(None)),
        _call("empty texts", **_hollow("")),
        _call("large numbers", **_numbers(LARGEST, Decimal("123456789012.0625"))),
        _call("small numbers", **_numbers(-LARGEST - 1, Decimal("0.0000000001"))),
        _call("no numbers but zero", **_numbers(0, Decimal("0.0000"))),
        _call("long note", notes=LONG_NOTE),
        _call("unknown fields", queue={"seconds": 7, "ünknown name": ["é", None]}, topics=[1.5]),
        _call(
            "old",
            start_datetime=datetime(2000, 1, 1, tzinfo=timezone.utc),
            end_datetime=datetime(1999, 12, 31, 23, 59, 59, tzinfo=timezone.utc),
        ),
        _call("midnight", start_datetime=FIRST_DAY, end_datetime=FIRST_DAY + timedelta(days=1)),
        {**VENDOR_EXAMPLE},
        *(_call(kind, **_everywhere(text)) for kind, text in TEXTS.items()),
    ]
    for minute, call in enumerate(calls):
        call["last_modified"] = FIRST_DAY + timedelta(minutes=minute, seconds=minute % 60)
    return calls


def _call(kind: str, **fields: object) -> Call:
    call_id = f"1_{kind.replace(' ', '_')}_02_29_2024_00:00:00_7"
    return {**dict.fromkeys(CALL_FIELDS), "call_id": call_id, **fields}


def _everywhere(text: str) -> Call:
    """Return fields of each depth that hold `text`."""
    return {
        "notes": text,
        "dtmf": text,
        "caller": {**VENDOR_EXAMPLE["caller"], "name": text},
        "webmatch": {**VENDOR_EXAMPLE["webmatch"], "visitor": {"os": {"name": text}}},
        "summaries": [{"type": text, "text": text}, {"type": None, "text": ""}],
        "scorecards": [
            {"name": text, "results": [{"question": text, "answers": [{"entry": text}]}]}
        ],
        "demographics": {"person": {"name": text, text: 1}, "emails": [text]},
        "unheard_of": text,
    }


def _hollow(nothing: str | None) -> Call:
    """Return objects that have all their fields, and nothing in them."""

    def emptied(value: object) -> object:
        if isinstance(value, dict):
            return {name: emptied(part) for name, part in value.items()}
        if isinstance(value, list):
            return [emptied(part) for part in value]
        return nothing if isinstance(value, str) else None

    return {
        name: emptied(value)
        for name, value in VENDOR_EXAMPLE.items()
        if name not in {"call_id", "last_modified", "demographics"}
    } | {"summaries": [], "scorecards": [{"name": nothing, "results": []}]}


def _numbers(whole: int, number: Decimal) -> Call:
    score = {"entry": number, "value": number, "max_value": number, "min_value": -number}
    return {
        "duration": whole,
        "rings": whole,
        "revenue": number,
        "callsurance": {
            **VENDOR_EXAMPLE["callsurance"],
            "minor": {"label": "", "id": whole},
        },
        "scorecards": [{"name": "", "results": [{"question": "", "answers": [score]}]}],
        "accounts": {
            "campaign": {"id": whole, "cost_per_piece_est": number, "cost_per_piece_final": None}
        },
    }
