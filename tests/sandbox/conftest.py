"""A small Callcap, its clock standing still, and ways to ask it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tap_callcap.sandbox import VENDOR_EXAMPLE, Answer, Call, CallBook, Callcap, Moods, made_up_calls

NOW = datetime(2026, 3, 15, 17, 42, 10, tzinfo=timezone.utc)  # a Sunday, 12:42 in US/Central
EVERYTHING = "all,notes,demographics,scorecards,import,summaries,sentiment"
ALWAYS = {"search_startdate": "2000-01-01", "search_enddate": "2030-01-01", "show": "1000"}

Open = Callable[..., Callcap]
Ask = Callable[..., Any]


@pytest.fixture(scope="session")
def calls() -> list[Call]:
    """Return 900 calls of two years up to NOW, some of them quite new, and the vendor's."""
    old = made_up_calls(700, seed=5, start=NOW - timedelta(days=730), end=NOW)
    new = made_up_calls(
        199,
        seed=6,
        start=NOW - timedelta(days=9),
        end=NOW,
        first_serial=701,
    )
    return [VENDOR_EXAMPLE, *old, *new]


@pytest.fixture
def open_callcap(calls: list[Call]) -> Open:
    """Return a way to open a Callcap at NOW with some moods, over all calls or those given."""

    def opened(some: list[Call] | None = None, *, seed: int = 0, **moods: object) -> Callcap:
        return Callcap(
            CallBook(calls if some is None else some),
            moods=Moods(**moods),  # type: ignore[arg-type]  # checked by the dataclass's users
            clock=lambda: NOW,
            sleep=lambda _: None,
            seed=seed,
        )

    return opened


@pytest.fixture
def callcap(open_callcap: Open) -> Callcap:
    """Return a Callcap at NOW without moods."""
    return open_callcap()


def asked(callcap: Callcap, path: str = "/get/calls/", **params: str) -> Answer:
    """Ask with the right key."""
    return callcap.answer(f"/v2{path}", params, "Bearer sandbox")


def body(callcap: Callcap, path: str = "/get/calls/", **params: str) -> Any:  # noqa: ANN401 - JSON
    """Ask for what must be a 200, and return its JSON."""
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
