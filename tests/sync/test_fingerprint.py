"""A run warns of what earlier runs with other settings did not read."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.histories import BEGINNING
from support.running import discovered, run_tap, state_at
from tap_callcap.api.search import detail_of, sections_of
from tap_callcap.sandbox import Answer, CallBook, Callcap, made_up_calls
from tap_callcap.sync.fingerprint import Asked, Fingerprint

if TYPE_CHECKING:
    from tap_callcap.sandbox import Asked as Request

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


def test_a_start_past_a_bookmark_alone_is_warned_of(
    callcap: Callcap, caplog: pytest.LogCaptureFixture
) -> None:
    """A state that does not say what was asked for has a gap all the same."""
    bookmark = {"replication_key": "last_modified", "replication_key_value": "2026-03-01T00:00:00Z"}
    run_tap(callcap, state={"bookmarks": {"calls": bookmark}}, start_date="2026-03-02T00:00:00Z")
    (line,) = warnings(caplog)
    assert "start_date 2026-03-02T00:00:00Z is later than the bookmark" in line


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

    def accounts(asked: Request) -> Answer | None:
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


def test_an_account_exchanged_for_another_is_warned_of(
    callcap: Callcap, caplog: pytest.LogCaptureFixture
) -> None:
    """As many accounts as before, but others: one may be new, which is said once."""
    state = run_tap(callcap).state
    other = [{"account_type": "corporate", "account_name": "B", "account_id": 5_005_005}]
    other *= state["bookmarks"]["calls"]["asked"]["accounts"]["count"]
    body = {"status": "success", "info": "All", "children": other}
    callcap.before_answer = lambda asked: Answer.of(body) if "accounts" in asked.path else None
    for said in (1, 0):
        callcap.advance(timedelta(hours=1))
        state = run_tap(callcap, state=state).state
        lines = warnings(caplog)
        assert len(lines) == said
        assert all("The key sees other accounts than before" in line for line in lines)


OLD = {
    "start_date": None,
    "detail": "all,notes",
    "accounts": ["1", "2"],
    "filters": {"search_action": hashlib.sha256(b"['ans']").hexdigest()[:12]},
}
"""What a run of an older release left."""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, []),
        ({"accounts": None}, []),
        ({"accounts": ("1", "2", "3")}, ["1 more account(s)"]),
        ({"accounts": ("1", "3")}, ["1 more account(s)"]),
        ({"filters": {"search_action": "['missed']"}}, ["other filters (search_action)"]),
    ],
    ids=["the-same", "not-listed", "granted", "exchanged", "filtered"],
)
def test_what_an_older_release_left_is_understood(change: dict[str, Any], words: list[str]) -> None:
    """Ids of accounts and digests without a key are compared as what they are."""
    asked = replace(
        Asked(None, "all,notes", ("2", "1"), {"search_action": "['ans']"}, "k"), **change
    )
    lines = asked.missing(Fingerprint.from_state(OLD), START)
    assert len(lines) == len(words)
    assert all(word in line for word, line in zip(words, lines, strict=True))


def test_another_key_is_said_once() -> None:
    """What another key digested cannot be compared; the next run has its own digests."""
    asked = Asked(None, "all", ("1",), {"search_action": "['ans']"}, "one key")
    left = asked.fingerprint(None)
    assert asked.missing(left, START) == []
    later = replace(asked, api_key="another key")
    (line,) = later.missing(left, START)
    assert "api_key is another than that of the state" in line
    assert later.missing(later.fingerprint(left), START) == []
    assert replace(later, accounts=None).fingerprint(left).accounts is None


def test_accounts_listed_for_the_first_time_are_not_new() -> None:
    """A key that could not list accounts before has not been granted all of them."""
    asked = Asked(None, "all", ("1",), {}, "key")
    assert asked.missing(replace(asked, accounts=None).fingerprint(None), START) == []


def test_nothing_in_the_state_can_be_guessed_back() -> None:
    """No digest of a value without the key, no id, and no more bytes for more accounts."""
    number = "316-555-3333"
    ids = tuple(str(id_) for id_ in range(20_000))
    asked = Asked(None, "all", ids, {"search_caller_id": repr([number])}, "secret key")
    text = json.dumps(asked.fingerprint(None).to_state())
    assert len(text) < 300
    for value in (number, repr([number]), "secret key", "tap-callcap"):
        digest = hashlib.sha256(value.encode()).hexdigest()
        assert digest[:8] not in text
    assert "19999" not in text
    assert (
        replace(asked, api_key="other").fingerprint(None).filters != asked.fingerprint(None).filters
    )


@pytest.mark.parametrize(
    "part",
    [
        None,
        5,
        [],
        {},
        {"detail": "all"},
        {"accounts": 1},
        {**OLD, "accounts": 1},
        {**OLD, "key": 1, "accounts": 2},
    ],
    ids=repr,
)
def test_a_strange_fingerprint_is_none(part: object) -> None:
    """What is no fingerprint of ours counts as none."""
    assert Fingerprint.from_state(part) is None


@pytest.mark.parametrize("accounts", [None, (), ("1", "2")], ids=repr)
def test_a_fingerprint_survives_its_state(accounts: tuple[str, ...] | None) -> None:
    """What is written into the state is read back."""
    fingerprint = Asked(None, "all,notes", accounts, {"search_action": "x"}, "key").fingerprint(
        None
    )
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
