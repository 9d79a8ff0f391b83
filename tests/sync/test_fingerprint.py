"""A run warns of what earlier runs with other settings did not read."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.histories import BEGINNING
from support.running import discovered, run_tap, state_at
from tap_callcap.api.search import detail_of, sections_of
from tap_callcap.sandbox import Answer, CallBook, Callcap, made_up_calls
from tap_callcap.sync.fingerprint import Fingerprint

if TYPE_CHECKING:
    from tap_callcap.sandbox import Asked

NOW = BEGINNING
START = "2026-02-01T00:00:00Z"


@pytest.fixture
def callcap() -> Callcap:
    """An account with 40 calls of the last month."""
    book = CallBook(made_up_calls(40, seed=4, start=NOW - timedelta(days=30), end=NOW))
    return Callcap(book, clock=lambda: NOW)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What has been warned of since the last look."""
    lines = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    caplog.clear()
    return lines


def test_a_run_that_asks_for_the_same_is_quiet(
    callcap: Callcap, caplog: pytest.LogCaptureFixture
) -> None:
    """Run after run with the same settings, nothing is warned of, start_date included."""
    state = run_tap(callcap, start_date=START).state
    for _ in range(3):
        callcap.advance(timedelta(hours=1), edits=2)
        state = run_tap(callcap, state=state, start_date=START).state
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("later", "words"),
    [
        ({"start_date": "2024-01-01T00:00:00Z"}, "start_date has no effect"),
        ({}, "start_date has no effect"),
        (
            {"start_date": START, "catalog": discovered(demographics=True)},
            "were read without demographics",
        ),
    ],
    ids=["earlier-start", "no-start", "section"],
)
def test_what_earlier_calls_lack_is_warned_of_once(
    later: dict[str, Any], words: str, callcap: Callcap, caplog: pytest.LogCaptureFixture
) -> None:
    """Asking for more than before warns what calls before the bookmark lack, in one run only."""
    state = run_tap(callcap, start_date=START).state
    callcap.advance(timedelta(hours=1))
    state = run_tap(callcap, state=state, **later).state
    (line,) = warnings(caplog)
    assert words in line
    assert "--full-refresh" in line
    callcap.advance(timedelta(hours=1))
    run_tap(callcap, state=state, **later)
    assert warnings(caplog) == []


def test_a_start_moved_past_the_bookmark_is_warned_of(
    callcap: Callcap, caplog: pytest.LogCaptureFixture
) -> None:
    """Calls between the bookmark and the new start_date are skipped, which is said once."""
    state = run_tap(callcap, start_date=START).state
    callcap.advance(timedelta(days=3))
    later: dict[str, Any] = {"start_date": "2026-03-05T00:00:00Z"}
    state = run_tap(callcap, state=state, **later).state
    (line,) = warnings(caplog)
    assert "start_date 2026-03-05T00:00:00Z is later than the bookmark" in line
    assert "calls modified from 2026-03-03T14:58:00Z until then are not read" in line
    callcap.advance(timedelta(hours=1))
    run_tap(callcap, state=state, **later)
    assert warnings(caplog) == []


def test_asking_for_less_is_quiet(callcap: Callcap, caplog: pytest.LogCaptureFixture) -> None:
    """What is deselected later is no loss."""
    state = run_tap(callcap).state
    callcap.advance(timedelta(hours=1))
    run_tap(callcap, state=state, catalog=discovered(notes=False, webmatch=False))
    assert warnings(caplog) == []


def test_an_account_granted_later_is_warned_of(
    callcap: Callcap, caplog: pytest.LogCaptureFixture
) -> None:
    """When the key sees more accounts, the run counts them and names none."""
    children = [{"account_type": "corporate", "account_name": "A", "account_id": 4_004_004}]

    def accounts(asked: Asked) -> Answer | None:
        if asked.path != "/v2/get/accounts/":
            return None
        return Answer.of({"status": "success", "info": "All", "children": children})

    callcap.before_answer = accounts
    state = run_tap(callcap).state
    callcap.advance(timedelta(hours=1))
    children.append({"account_type": "corporate", "account_name": "B", "account_id": 5_005_005})
    run_tap(callcap, state=state)
    (line,) = warnings(caplog)
    assert "1 more account(s)" in line
    assert "5005005" not in caplog.text


def test_accounts_that_cannot_be_listed_stop_nothing(
    callcap: Callcap, caplog: pytest.LogCaptureFixture
) -> None:
    """A key that may not list accounts still reads calls; what was seen before is kept."""
    state = run_tap(callcap).state
    seen = state["bookmarks"]["calls"]["asked"]["accounts"]
    assert seen
    callcap.advance(timedelta(hours=1), edits=2)
    callcap.before_answer = lambda asked: (
        Answer.of({"status": "forbidden"}, 403) if "accounts" in asked.path else None
    )
    run = run_tap(callcap, state=state)
    assert run.records
    assert run.state["bookmarks"]["calls"]["asked"]["accounts"] == seen
    assert warnings(caplog) == []


def test_the_state_of_an_older_release_is_read(
    callcap: Callcap, caplog: pytest.LogCaptureFixture
) -> None:
    """A state without a fingerprint is read on from; only a start_date before it is warned of."""
    state = state_at("2026-03-01T00:00:00Z")
    run = run_tap(callcap, state=state)
    assert run.records
    assert warnings(caplog) == []
    run_tap(callcap, state=state, start_date=START)
    assert "start_date has no effect" in warnings(caplog)[0]


@pytest.mark.parametrize("part", [None, 5, [], {}, {"detail": "all"}, {"accounts": 1}], ids=repr)
def test_a_strange_fingerprint_is_none(part: object) -> None:
    """What is no fingerprint of ours counts as none."""
    assert Fingerprint.from_state(part) is None


def test_a_fingerprint_survives_its_state() -> None:
    """What is written into the state is read back."""
    fingerprint = Fingerprint(None, "all,notes", ("1", "2"))
    assert Fingerprint.from_state(fingerprint.to_state()) == fingerprint


@pytest.mark.parametrize(
    ("selected", "detail"),
    [
        ({"accounts", "caller", "callsurance", "webmatch"}, "all"),
        ({"accounts", "caller", "callsurance"}, "accounts,caller,callsurance"),
        ({"notes", "summaries", "call_id", "_extra"}, "notes,summaries"),
        ({"accounts", "caller", "callsurance", "webmatch", "notes"}, "all,notes"),
        (set(), ""),
    ],
    ids=["all", "part", "besides", "all-and-notes", "none"],
)
def test_detail_asks_for_what_is_selected(selected: set[str], detail: str) -> None:
    """`all` stands for its sections only where each is selected."""
    assert detail_of(selected) == detail
    sections = {"accounts", "caller", "callsurance", "webmatch", "notes", "summaries"}
    assert sections_of(detail) == selected & sections
