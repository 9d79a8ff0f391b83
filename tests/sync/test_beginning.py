"""A first run finds where the calls begin, and asks for little more than their pages."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.histories import BEGINNING
from support.running import run_tap
from tap_callcap.sandbox import Answer, CallBook, Callcap, Switches, made_up_calls
from tap_callcap.sync.rows import RowReader

if TYPE_CHECKING:
    from tap_callcap.sandbox import Asked

NOW = BEGINNING
DAY = timedelta(days=1)


def callcap_with(calls: int, *, days: float, ago: timedelta = DAY, **switches: Any) -> Callcap:
    """An account whose calls are of so many days, until some time ago."""
    end = NOW - ago
    book = CallBook(made_up_calls(calls, seed=calls, start=end - days * DAY, end=end))
    return Callcap(book, clock=lambda: NOW, switches=Switches(**switches))


@pytest.mark.parametrize("start_date", [None, "2015-06-01"], ids=["no-start", "early-start"])
@pytest.mark.parametrize("days", [2, 100, 1800])
def test_a_first_run_costs_little_more_than_its_pages(days: int, start_date: str | None) -> None:
    """120 pages that lie anywhere in the range are read with at most a fifth more requests."""
    callcap = callcap_with(1200, days=days)
    settings = {"start_date": start_date} if start_date else {}
    run = run_tap(callcap, page_size=10, **settings)  # type: ignore[arg-type]
    assert run.ids == callcap.book.ids
    assert len(run.records) == 1200
    assert len(callcap.requests) <= 1.2 * math.ceil(1200 / 10)


def test_what_fits_a_page_is_read_at_once() -> None:
    """Twenty years without a call need no search where one answer holds all."""
    callcap = callcap_with(20, days=400)
    assert run_tap(callcap).ids == callcap.book.ids
    assert len(callcap.requests) <= 5


@pytest.mark.parametrize(
    "switches",
    [
        {"wide_search_fails_after": 60 * DAY},
        {"max_range_days": 60},
        {"empty_search": "404"},
        {"empty_search": "204"},
        {"max_page": 2},
        {"show_cap": 7},
    ],
    ids=str,
)
def test_a_beginning_that_cannot_be_searched_is_read_up_to(switches: dict[str, Any]) -> None:
    """Whatever the API refuses, or answers to an empty search: every call comes."""
    callcap = callcap_with(120, days=300, **switches)
    run = run_tap(callcap, page_size=10, start_date="2024-01-01")
    assert run.ids == callcap.book.ids


@pytest.mark.parametrize("code", [400, 500])
def test_counts_that_fail_midway_are_no_failure(code: int) -> None:
    """Where a part of the range cannot be counted, the reader goes on from what is known."""
    callcap = callcap_with(500, days=200)
    counts = 0

    def fail(asked: Asked) -> Answer | None:
        nonlocal counts
        counts += asked.params.get("show") == "1"
        is_late = asked.params.get("show") == "1" and counts > 2
        return Answer.of({"status": "error"}, code) if is_late else None

    callcap.before_answer = fail
    assert run_tap(callcap, page_size=10).ids == callcap.book.ids
    assert counts > 2


def test_new_calls_after_many_years_are_found_in_a_dozen_counts() -> None:
    """All calls are of one hour: each count leaves a quarter of the empty years."""
    callcap = callcap_with(200, days=1 / 24)
    run = run_tap(callcap, page_size=1)
    assert run.ids == callcap.book.ids
    assert sum(asked.params.get("page") == "1" for asked in callcap.requests) < 250


def test_a_resumed_backfill_goes_on_by_the_density_of_the_rest() -> None:
    """A run that was stopped in the middle counts the rest, and searches for no beginning."""
    callcap = callcap_with(1000, days=1000)
    states = run_tap(callcap, page_size=10).states
    middle = states[len(states) // 2]
    callcap.requests.clear()
    rest = run_tap(callcap, page_size=10, state=middle)
    assert 100 < len(rest.ids) < 900
    assert sum(asked.params.get("show") == "1" for asked in callcap.requests) == 1
    assert (
        len(callcap.requests) <= 1.2 * math.ceil(len(rest.records) / 10) + 2
    )  # a look beyond a last page that is full


@pytest.mark.parametrize("days", [3, 1800])
def test_what_is_remembered_does_not_grow_with_the_calls(
    days: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions that were seen are forgotten with their window, without a `start_date` too."""
    remembered: list[int] = []
    forget_before = RowReader.forget_before

    def forget(rows: RowReader, end: str) -> None:
        remembered.append(len(rows._seen))  # noqa: SLF001 - nothing else tells it
        forget_before(rows, end)

    monkeypatch.setattr(RowReader, "forget_before", forget)
    most = {}
    for calls in (500, 4000):
        remembered.clear()
        assert len(run_tap(callcap_with(calls, days=days), page_size=10).records) == calls
        most[calls] = max(remembered)
    assert most[4000] <= 2 * most[500] < 500
