"""Which clock counts as now: data may come late by a wrong one, and are never lost."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from support.histories import BEGINNING
from support.running import bookmark_of, run_tap, state_at
from tap_callcap.sandbox import Answer, CallBook, Callcap, Switches, made_up_calls

NOW = BEGINNING
UTC = timezone.utc
HOUR = timedelta(hours=1)
DATA_AS_OF = "2026-03-03T14:58:00Z"


def callcap_with(**switches: Any) -> Callcap:
    """An account of 50 calls of the last three days."""
    book = CallBook(made_up_calls(50, seed=1, start=NOW - timedelta(days=3), end=NOW))
    return Callcap(book, clock=lambda: NOW, switches=Switches(**switches))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was warned of."""
    return [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]


def owed(callcap: Callcap, until: datetime) -> set[str]:
    """Ids of the calls modified before `until`."""
    return {call["call_id"] for call in callcap.book if call["last_modified"] < until}


@pytest.mark.parametrize("date_header", [True, False])
@pytest.mark.parametrize(
    "skew",
    [timedelta(0), -timedelta(days=2), timedelta(days=-900)],
    ids=["right", "slow", "slower"],
)
def test_a_slow_clock_makes_data_late(skew: timedelta, date_header: bool) -> None:
    """All that was modified before this machine's now comes, and the rest when it is mended."""
    callcap = callcap_with(date_header=date_header)
    run = run_tap(callcap, now=lambda: NOW + skew)
    assert run.ids == owed(callcap, NOW + skew - timedelta(minutes=2))
    rest = run_tap(callcap, state=run.state)
    assert run.ids | rest.ids == owed(callcap, NOW - timedelta(minutes=2))


@pytest.mark.parametrize("ahead", [timedelta(minutes=15), 6 * HOUR], ids=str)
def test_a_date_ahead_of_the_database_loses_nothing(
    ahead: timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    """This machine's clock counts where it is earlier; a large difference is said once."""
    callcap = callcap_with(date_ahead=ahead)
    run = run_tap(callcap)
    assert bookmark_of(run.state) == DATA_AS_OF
    said = [line for line in warnings(caplog) if "clock" in line]
    assert len(said) == (ahead > HOUR)
    assert all("Callcap's clock is 6 hours ahead of this machine's" in line for line in said)


def test_a_fast_clock_of_this_machine_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Callcap's clock counts where it is earlier."""
    run = run_tap(callcap_with(), now=lambda: NOW + timedelta(days=2))
    assert bookmark_of(run.state) == DATA_AS_OF
    (line,) = warnings(caplog)
    assert "Callcap's clock is 2 days behind this machine's" in line


@pytest.mark.parametrize("ahead", [6 * HOUR, -6 * HOUR], ids=["ahead", "behind"])
@pytest.mark.parametrize("seed", range(3))
def test_one_odd_date_does_not_count(
    ahead: timedelta, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Where another answer has the right time, that is the time, without a word."""
    callcap = callcap_with(date_ahead=ahead, date_ahead_every=3)
    callcap._seed = seed  # noqa: SLF001 - which of three answers is odd
    assert bookmark_of(run_tap(callcap).state) == DATA_AS_OF
    assert warnings(caplog) == []


def test_a_clock_that_cannot_be_asked_again_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """An answer that fails takes no place of the first one; nothing is lost."""
    callcap = callcap_with(date_ahead=6 * HOUR)
    callcap.before_answer = lambda _: (
        Answer.of({"status": "error"}, 400) if len(callcap.requests) == 1 else None
    )
    run = run_tap(callcap)
    assert bookmark_of(run.state) == DATA_AS_OF
    assert run.ids == owed(callcap, NOW - timedelta(minutes=2))
    assert [line for line in warnings(caplog) if "6 hours ahead of this machine's" in line]


def test_a_bookmark_between_the_clocks_is_read_on_from(caplog: pytest.LogCaptureFixture) -> None:
    """A machine that has become slow reads again, before its own now, and keeps the bookmark."""
    callcap = callcap_with()
    run = run_tap(callcap, state=state_at(DATA_AS_OF), now=lambda: NOW - timedelta(days=1))
    assert bookmark_of(run.state) == DATA_AS_OF
    assert "1 day ahead of" in warnings(caplog)[0]
    edited = min(callcap.book.ids)
    callcap.book.edit(edited, at=NOW - 20 * HOUR)
    assert edited in run_tap(callcap, state=run.state).ids


def test_a_bookmark_by_the_later_clock_is_read_on_from_the_earlier() -> None:
    """The first request was for a window that begins too late: its answer is not used."""
    callcap = callcap_with()
    edited = min(callcap.book.ids)
    callcap.book.edit(edited, at=NOW - timedelta(minutes=50))
    bookmark = state_at("2026-03-03T15:30:00Z")
    run = run_tap(callcap, state=bookmark, now=lambda: NOW + timedelta(hours=3))
    assert edited in run.ids
    assert run.state["bookmarks"]["calls"]["certain_until"] == DATA_AS_OF


def test_a_start_in_the_future_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is read, no bookmark is set, and the run says why."""
    run = run_tap(callcap_with(), start_date="2099-01-01")
    assert (run.records, run.states) == ([], [{"bookmarks": {"calls": {}}}])
    assert warnings(caplog) == [
        "start_date 2099-01-01T00:00:00Z lies in the future: no call is read before that"
    ]


def test_an_end_before_the_bookmark_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """So that nobody waits for what will not come; within the lookback it is no matter."""
    run_tap(callcap_with(), state=state_at(DATA_AS_OF), end_date="2026-03-01")
    (line,) = warnings(caplog)
    assert "end_date 2026-03-01T00:00:00Z is earlier than the bookmark 2026-03-03T14:58:00Z" in line


def test_nothing_is_said_of_an_increment_without_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """A run at once after another, without lookback, has nothing to read and nothing to say."""
    run = run_tap(callcap_with(), state=state_at(DATA_AS_OF), lookback_minutes=0)
    assert run.records == []
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("settings", "bookmark"),
    [
        ({"start_date": "2026-03-01T10:00", "end_date": "2026-03-01T11:00"}, None),
        ({"start_date": "2026-01-01"}, None),
        ({"end_date": "2026-03-01T11:00"}, "2026-03-01T10:30:00Z"),
        ({"end_date": "2026-02-01"}, "2026-03-01T10:30:00Z"),
        ({"end_date": "2025-01-01"}, None),
    ],
    ids=["an-hour", "months", "increment", "nothing", "no-start"],
)
def test_no_request_asks_for_more_than_the_range(
    settings: dict[str, Any], bookmark: str | None
) -> None:
    """A minute on either side is asked for besides, in the first request as in all others."""
    callcap = callcap_with()
    run_tap(callcap, state=state_at(bookmark) if bookmark else None, **settings)
    searches = [each.params for each in callcap.requests if each.path == "/v2/get/calls/"]
    assert searches
    start = bookmark or settings.get("start_date", "2000-01-01")
    start = min(start, settings.get("end_date", start))
    first = datetime.fromisoformat(start.rstrip("Z")) - HOUR * bool(bookmark)
    last = datetime.fromisoformat(settings.get("end_date", DATA_AS_OF).rstrip("Z"))
    for params in searches:
        asked = [params[f"search_last_modified_{side}"] for side in ("start", "end")]
        assert f"{first - timedelta(minutes=2):%Y-%m-%d %H:%M}" <= asked[0]
        assert asked[1] <= f"{last:%Y-%m-%d %H:%M}"
