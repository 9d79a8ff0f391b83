"""Requests to a Callcap, and the fixed time of the sandbox's tests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from tap_callcap.sandbox import Answer, Call, Callcap

NOW = datetime(2026, 3, 15, 17, 42, 10, tzinfo=timezone.utc)  # a Sunday, 12:42 in US/Central
EVERYTHING = "all,notes,demographics,scorecards,import,summaries,sentiment"
ALWAYS = {"search_startdate": "2000-01-01", "search_enddate": "2030-01-01", "show": "1000"}

Open = Callable[..., Callcap]
"""The type of the fixture `open_callcap`."""


def asked(callcap: Callcap, path: str = "/get/calls/", **params: str) -> Answer:
    """Return the answer to a request with the right key."""
    return callcap.answer(f"/v2{path}", params, "Bearer sandbox")


def body(callcap: Callcap, path: str = "/get/calls/", **params: str) -> Any:
    """Return the JSON of an answer, which must be a 200."""
    answer = asked(callcap, path, **params)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def ids_found(callcap: Callcap, **params: str) -> list[str]:
    """Return the ids of all calls that a search over all dates finds, page by page."""
    found: list[str] = []
    page, last_page = 1, 1
    while page <= last_page:
        content = body(callcap, **{**ALWAYS, **params, "page": str(page)})
        found += [call["call_id"] for call in content["call"]]
        page, last_page = page + 1, content["pagination"]["last_page"]
    return found


def major_of(call: Call) -> int:
    """Return the id of a call's rating, 0 without one."""
    return call["callsurance"]["major"]["id"] if call["callsurance"] else 0


def only_digits(text: str) -> str:
    """Return the digits of a text."""
    return "".join(re.findall(r"\d", text))
