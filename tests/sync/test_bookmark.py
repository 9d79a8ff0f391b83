"""The bookmark: where it sits in the state, and what it takes for a date and time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from singer_sdk.exceptions import FatalAPIError

from tap_callcap.instants import UTC
from tap_callcap.sync.bookmark import Bookmark
from tap_callcap.sync.fingerprint import Fingerprint
from tap_callcap.windows import ALL_HISTORY

NOON = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
ASKED = Fingerprint(
    "2026-01-01T00:00:00Z", "caller", {"division_id": "abc"}, accounts=(2, "ab12"), key="cd34"
)


def bookmark_at(value: object) -> Bookmark:
    """The bookmark of a state that an earlier run left."""
    return Bookmark({"replication_key_value": value}, "last_modified")


def test_a_state_without_a_bookmark_has_none() -> None:
    """Before the first checkpoint there is no bookmark, and any move is a step forward."""
    bookmark = Bookmark({}, "last_modified")
    assert (bookmark.text, bookmark.instant, bookmark.fingerprint) == (None, None, None)
    assert bookmark.is_before(ALL_HISTORY)


def test_a_move_writes_the_whole_state_of_the_stream() -> None:
    """The state says of which property the bookmark speaks, where it is, and what was asked for."""
    state: dict[str, Any] = {}
    bookmark = Bookmark(state, "last_modified")
    bookmark.move(NOON, ASKED)
    assert state == {
        "replication_key": "last_modified",
        "replication_key_value": "2026-03-03T12:00:00Z",
        "asked": ASKED.to_state(),
    }
    assert (bookmark.text, bookmark.instant) == ("2026-03-03T12:00:00Z", NOON)
    assert bookmark.fingerprint == ASKED


@pytest.mark.parametrize("key", ["start_datetime", ["last_modified"]], ids=str)
def test_a_bookmark_of_another_property_is_refused(key: object) -> None:
    """Calls that were modified after it, but began before, would never be read."""
    state = {"replication_key": key, "replication_key_value": "2026-03-03T12:00:00Z"}
    with pytest.raises(FatalAPIError, match="is not one of last_modified: it belongs to another"):
        _ = Bookmark(state, "last_modified").instant


def test_only_a_later_instant_is_a_step_forward() -> None:
    """The bookmark stands where it is for the same instant, and for an earlier one."""
    bookmark = bookmark_at("2026-03-03T12:00:00Z")
    assert bookmark.is_before(NOON + timedelta(seconds=1))
    assert not bookmark.is_before(NOON)
    assert not bookmark.is_before(NOON - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-03T12:00:00Z", NOON),
        ("2026-03-03 06:00:00-06:00", NOON),
        ("2026-03-03T12:00", NOON),
        ("0001-01-01T00:00:00Z", ALL_HISTORY),
        ("9998-12-31T23:59:59Z", datetime(9998, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
    ids=["as-written", "with-an-offset", "without-an-offset", "before-all-calls", "far-ahead"],
)
def test_a_bookmark_is_an_instant(text: str, instant: datetime) -> None:
    """Any text of an instant is read, one without an offset as UTC, none before all history."""
    assert bookmark_at(text).text == text
    assert bookmark_at(text).instant == instant


@pytest.mark.parametrize("value", ["soon", "", 5, "9999-01-01T00:00:00Z"])
def test_what_is_no_bookmark_is_an_error(value: object) -> None:
    """A state that holds something else stops the run, and the message does not show it."""
    with pytest.raises(FatalAPIError, match="bookmark") as error:
        _ = bookmark_at(value).instant
    assert str(value) not in str(error.value) or not value


def test_a_strange_fingerprint_is_none() -> None:
    """What a run did not leave tells nothing of what was asked for."""
    assert Bookmark({"asked": "all"}, "last_modified").fingerprint is None
