"""How far a run is: in lines of the log, and in their fields."""

from __future__ import annotations

import json
import logging
import re
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import FatalAPIError
from singer_sdk.logging import StructuredFormatter

from support.histories import BEGINNING
from support.running import bookmark_of, discovered, run_tap
from tap_callcap.sandbox import Answer, CallBook, Callcap, Switches, made_up_calls
from tap_callcap.sync import progress

if TYPE_CHECKING:
    from tap_callcap.sandbox import Asked

NOW = BEGINNING


def callcap_with(calls: int = 100, **switches: Any) -> Callcap:
    """An account whose calls are of the last 900 days."""
    book = CallBook(made_up_calls(calls, seed=6, start=NOW - timedelta(days=900), end=NOW))
    return Callcap(book, clock=lambda: NOW, switches=Switches(**switches))


class SecondsPass:
    """A clock by which a second passes with each look."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        """A second later than before."""
        self._now += 1
        return self._now


@pytest.fixture(autouse=True)
def _seconds_pass(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(progress, "time", SecondsPass())
    monkeypatch.setattr(progress, "PROGRESS_EVERY", 3.0)


def starting(caplog: pytest.LogCaptureFixture, words: str) -> list[logging.LogRecord]:
    """The lines that begin so."""
    return [line for line in caplog.records if line.getMessage().startswith(words)]


def test_calls_read_of_calls_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Now and then a run says how many of all calls it has read, how fast, how long yet."""
    run_tap(callcap_with(), page_size=3)
    told = starting(caplog, "Read ")
    assert len(told) > 5
    for line in told:
        assert re.fullmatch(
            r"Read \d+ of 100 calls, up to \S+Z; \d+ calls a second(, about [\w ]+ left)?; "
            r"\d+ requests, 0 retries, 0 s waited for the target",
            line.getMessage(),
        )
    for earlier, later in pairwise(vars(line) for line in told):
        assert earlier["calls"] <= later["calls"] <= later["calls_counted"] == 100
        assert earlier["requests"] <= later["requests"]
        assert earlier["read_until"] <= later["read_until"]
        if later["calls"]:
            rate = later["calls"] / later["seconds"]
            assert later["seconds_left"] == pytest.approx((100 - later["calls"]) / rate, abs=0.1)


def test_without_a_total_there_is_no_time_left(caplog: pytest.LogCaptureFixture) -> None:
    """An API that refuses the whole range does not say how many calls there are."""
    run_tap(callcap_with(max_range_days=100), page_size=3, start_date="2024-01-01")
    told = starting(caplog, "Read ")
    assert told
    for line in told:
        assert re.match(r"Read \d+ calls, up to \S+Z; \d+ calls a second; ", line.getMessage())
        assert vars(line)["seconds_left"] is None


def test_a_total_that_was_passed_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Where more calls came than were counted, nobody knows how many are to come."""
    callcap = callcap_with(max_total=3)
    run_tap(callcap, page_size=3)
    for line in starting(caplog, "Read "):
        if vars(line)["calls"] > 3:
            assert " of 3 calls" not in line.getMessage()
            assert vars(line)["seconds_left"] is None


def test_the_figures_are_fields_where_logs_are_json(caplog: pytest.LogCaptureFixture) -> None:
    """The closing line has them all, as the SDK's formatter for JSON writes them."""
    run = run_tap(callcap_with(), page_size=10)
    (line,) = starting(caplog, "Done: ")
    written = json.loads(StructuredFormatter().format(line))
    assert (
        written["extra"].items()
        >= {
            "calls": 100,
            "calls_counted": 100,
            "retries": 0,
            "target_wait_seconds": 0.0,
            "data_as_of": bookmark_of(run.state),
            "is_done": True,
            "seconds_left": 0.0,
        }.items()
    )
    assert written["extra"]["requests"] > 10


@pytest.mark.parametrize("good_requests", [1, 14])
def test_a_run_that_fails_says_what_is_left(
    good_requests: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The closing line of a failed run has the same figures, and the range that was not read."""
    callcap = callcap_with()

    def outage(_: Asked) -> Answer | None:
        done = len(callcap.requests) >= good_requests
        return Answer.of({"status": "error"}, 503) if done else None

    callcap.before_answer = outage
    with pytest.raises(FatalAPIError):
        run_tap(callcap, page_size=5, concurrency=1)
    (line,) = starting(caplog, "Ended early: ")
    figures = vars(line)
    assert figures["is_done"] is False
    left = 100 - figures["calls"]
    since = f" from {figures['data_as_of']}" if figures["data_as_of"] else ""
    count = f"about {left} " if good_requests > 1 or figures["calls_counted"] else ""
    assert line.getMessage().endswith(
        f". Not read: {count}calls modified{since} to 2026-03-03T14:58:00Z"
    )
    assert starting(caplog, "Done: ") == []


def test_a_run_that_fails_at_once_has_a_closing_line(caplog: pytest.LogCaptureFixture) -> None:
    """Also where nothing is known of the range."""
    callcap = callcap_with()
    callcap.before_answer = lambda _: Answer.of({"status": "error"}, 503)
    with pytest.raises(FatalAPIError):
        run_tap(callcap)
    (line,) = starting(caplog, "Ended early: 0 calls, ")
    assert line.getMessage().endswith(". It failed before the first window")


def test_a_wrong_filter_has_no_closing_line(caplog: pytest.LogCaptureFixture) -> None:
    """What fails before any request has nothing to tell."""
    with pytest.raises(Exception, match="search_range"):
        run_tap(callcap_with(), filters={"search_range": "last7days"})
    assert starting(caplog, "Ended early") == []


def test_a_stream_that_was_done_is_not_closed_twice(caplog: pytest.LogCaptureFixture) -> None:
    """A failure that was deferred comes after the closing line."""
    with pytest.raises(FatalAPIError, match="no call 1_1"):
        run_tap(callcap_with(), call_ids=["1_1"])
    assert len(starting(caplog, "Done: ")) == 1
    assert starting(caplog, "Ended early") == []


def test_full_table_counts_too(caplog: pytest.LogCaptureFixture) -> None:
    """Without a bookmark, the closing line has the calls all the same."""
    catalog = discovered()
    catalog["streams"][0]["replication_method"] = "FULL_TABLE"
    run_tap(callcap_with(), catalog=catalog)
    (line,) = starting(caplog, "Done: 100 calls, ")
    assert vars(line)["data_as_of"] is None
