"""Histories of accounts whose server contradicts the API's documentation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

from support.histories import History, random_history

AUTUMN = datetime(2026, 11, 1, 7, 0, tzinfo=timezone.utc)  # US/Central repeats the hour before
Values = Callable[[History, Random], dict[str, Any]]


def _some(history: History, rng: Random) -> frozenset[str]:
    """One call or a few."""
    ids = sorted(history.book.ids)
    return frozenset(rng.sample(ids, min(len(ids), rng.choice([1, 1, 3]))))


def _unshown(history: History, rng: Random) -> frozenset[str]:
    """Calls that the server cannot show, so that nobody can read them."""
    some = _some(history, rng)
    history.unshown |= some
    return some


def _minute(history: History, rng: Random) -> datetime:
    """The minute of a call."""
    modified: datetime = history.book[rng.choice(sorted(history.book.ids))]["last_modified"]
    return modified.replace(second=0, microsecond=0)


def _capped(history: History, rng: Random) -> dict[str, Any]:
    """A ceiling of some full pages, as ceilings of thousands are of pages of a thousand."""
    page_size = history.switches.show_cap or history.config["page_size"]
    return {"total_cap": page_size * rng.choice([1, 2, 5, 10])}


def _wide(rng: Random) -> timedelta:
    return timedelta(days=rng.choice([20, 90, 400]))  # shorter ones cost thousands of requests


FAILURES = ("500", "504", "error_body", "unreadable", "hang")  # a 403 is about the key
FILTER_ZONES = ("US/Central", "US/Arizona", "US/Hawaii")

ODD: dict[str, Values] = {
    "broken_calls": lambda history, rng: {"broken_calls": _unshown(history, rng)},
    "broken_minutes": lambda history, rng: {"broken_minutes": frozenset({_minute(history, rng)})},
    "calls_without_id": lambda history, rng: {"calls_without_id": _unshown(history, rng)},
    "calls_without_last_modified": lambda history, rng: {
        "calls_without_last_modified": _unshown(history, rng)
    },
    "count_age": lambda _, rng: {"count_age": timedelta(seconds=rng.choice([20, 90]))},
    "counts": lambda _, rng: {"counts": rng.choice(["float", "text", "grouped"])},
    "date_ahead": lambda _, rng: {"date_ahead": timedelta(minutes=rng.choice([15, 300]))},
    "date_ahead_every": lambda _, rng: {
        "date_ahead": timedelta(minutes=rng.choice([15, 300])),
        "date_ahead_every": rng.choice([2, 3, 10]),
    },
    "failure": lambda _, rng: {
        "failure": rng.choice(FAILURES),
        "wide_search_fails_after": _wide(rng),
    },
    "filter_timezone": lambda _, rng: {"filter_timezone": rng.choice(FILTER_ZONES)},
    "hidden_calls": lambda history, rng: {"hidden_calls": _unshown(history, rng)},
    "hidden_rows": lambda history, rng: {
        "hidden_calls": _unshown(history, rng),
        "hidden_rows": "closed_up",
    },
    "last_page": lambda _, __: {"last_page": "down"},
    "repeated_calls": lambda history, rng: {"repeated_calls": _some(history, rng)},
    "repeats_counted": lambda history, rng: {
        "repeated_calls": _some(history, rng),
        "repeats_counted": False,
    },
    "row_lost_every": lambda _, rng: {"row_lost_every": rng.choice([2, 5, 20])},
    "stored_timezone": lambda _, rng: {
        "stored_timezone": "US/Central",
        "stored_hour": rng.choice(["first", "second"]),
        "stored_filter": rng.choice(["instants", "wall_times"]),
    },
    "total_cap": _capped,
    "total_of": lambda _, __: {"total_of": "page"},
    "uncounted_calls": lambda history, rng: {"uncounted_calls": _some(history, rng)},
    "wide_search_fails_after": lambda _, rng: {"wide_search_fails_after": _wide(rng)},
}
"""The switches for servers that contradict the documentation, as far as a run can cope."""

UNNOTICED = frozenset({"total_of", "row_lost_every"}), frozenset({"total_of", "last_page"})
"""What cannot be noticed together: a page that counts its own rows, and leaves one out or says that
it is the last."""


def odd_kinds(seed: int) -> tuple[str, ...]:
    """Two or three kinds that a run can cope with together."""
    rng = Random(f"kinds {seed}")
    while True:
        kinds = frozenset(rng.sample(sorted(ODD), rng.choice([2, 3])))
        if not any(kinds >= each for each in UNNOTICED):
            return tuple(sorted(kinds))


def odd_history(seed: int, *kinds: str, **overrides: Any) -> History:
    """A history whose server also has the odd switches of `kinds`."""
    rng = Random(f"odd {seed}")
    if "stored_timezone" in kinds:
        overrides = {"now": AUTUMN + timedelta(hours=rng.uniform(-6, 3)), **overrides}
    history = random_history(seed, **overrides)
    switches = history.switches
    for kind in kinds:
        switches = replace(switches, **ODD[kind](history, rng))
    history.callcap.switches = history.switches = switches
    return history
