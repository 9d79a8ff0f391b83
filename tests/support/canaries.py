"""Values that must never appear in a log, planted in every field, and a search for them."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_callcap.sandbox import CallBook

KEY = "k3y+c4n4ry/of=Login~"
HASH_KEY = 'h4sh "c4n4ry" of\\tokens'
NUMBER = "316-555-7788"
NAME = "Zyxwvut Qponmlk"
NOTE = "Qwijibo asked for a grommet, gruntled"
RECORDING = "https://rec.example/Gr0mm3t/77-88.mp3?sig=Squ1ggl3"
CANARIES = (KEY, HASH_KEY, NUMBER, NUMBER.replace("-", ""), NAME, *NAME.split(), RECORDING)
CANARIES += ("Qwijibo", "grommet", "Gr0mm3t", "Squ1ggl3")
LEAST_BASE64 = 6  # characters by which a piece of base64 is known


def plant(book: CallBook, *, everywhere: bool = False) -> None:
    """Give every call these values, in fields where they belong; or where they do not as well."""
    for call_id in sorted(book.ids):
        call = book[call_id]
        caller: dict[str, Any] = {**(call["caller"] or {}), "caller_id": NUMBER, "name": NAME}
        changes: dict[str, Any] = {"caller": caller, "notes": NOTE, "recording": RECORDING}
        if everywhere:
            caller |= {"zip": [NAME], NUMBER: NOTE, NAME: {RECORDING: NUMBER}}
            changes |= {
                "duration": NUMBER,
                "rings": NOTE,
                "sentiment": NAME,
                "summaries": [NOTE, {"text": {NUMBER: NAME}, NAME: 1}],
                "scorecards": {NAME: RECORDING},
                "webmatch": {"visitor": [NUMBER], "search": NOTE},
            }
        book.edit(call_id, at=call["last_modified"] + timedelta(seconds=1), **changes)


def found_in(text: str) -> list[str]:
    """The canaries in `text`, whatever they are encoded by."""
    return sorted({canary for canary in CANARIES for form in _forms(canary) if form in text})


def _forms(canary: str) -> Iterator[str]:
    yield from (
        canary,
        canary.upper(),
        canary.lower(),
        repr(canary)[1:-1],
        json.dumps(canary)[1:-1],
    )
    yield from (quote(canary), quote(canary, safe=""), canary.encode().hex())
    for before in range(3):
        encoded = base64.b64encode(b" " * before + canary.encode()).decode()
        sure = encoded[(0, 2, 3)[before] :].rstrip("=")[:-1]
        if len(sure) >= LEAST_BASE64:
            yield from (sure, sure.replace("+", "-").replace("/", "_"))
