"""Slow pages, alone and in flight, lead to advice."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tap_callcap.doctor.answers import Answer
from tap_callcap.doctor.pages import seconds_by_size, seconds_in_flight


def examination(alone: float, in_flight: float = 0.0, page: float = 0.0) -> Any:
    """What is known of an API that takes so many seconds."""
    counts = {"last_page": 9}

    def search(*, again: str = "", **_: str) -> Answer:
        seconds = in_flight if again else alone
        return Answer("200", {"call": [{}] * 100, "pagination": counts}, seconds=seconds)

    settings = SimpleNamespace(
        concurrency=4, page_size=1000, request_timeout=timedelta(seconds=120)
    )
    sample = Answer("200", {"call": [{}] * 1000}, seconds=page)
    return SimpleNamespace(search=search, sample=sample, settings=settings)


@pytest.mark.parametrize(
    ("alone", "in_flight", "change"),
    [(0.5, 0.6, ""), (0.01, 0.9, ""), (0.5, 2.1, "`concurrency`: less"), (2, 7.9, "")],
)
def test_requests_that_wait_for_each_other_are_told(
    alone: float, in_flight: float, change: str
) -> None:
    """Then four in flight take longer than four in turn; what is fast needs no advice."""
    finding = seconds_in_flight(examination(alone, in_flight))
    assert finding.change == change
    assert finding.seen == f"100 calls: {alone:.2f} s alone, {in_flight:.2f} s with 4 in flight"


@pytest.mark.parametrize(("page", "change"), [(29, ""), (31, "`page_size`: 500 or less")])
def test_large_pages_that_take_long_are_told(page: float, change: str) -> None:
    """More than a quarter of the timeout is too long."""
    finding = seconds_by_size(examination(1, page=page))
    assert finding.change == change
    assert finding.seen == f"100 calls: 1.00 s, 1,000 calls: {page:.2f} s"
