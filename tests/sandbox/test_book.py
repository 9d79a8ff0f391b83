"""The book of calls: its contents, and that its index finds what a full scan finds."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.sandbox_requests import NOW
from tap_callcap.sandbox import VENDOR_EXAMPLE, CallBook, made_up_calls
from tap_callcap.sandbox.zones import Span

if TYPE_CHECKING:
    from tap_callcap.sandbox import Call

UTC = timezone.utc
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
ID = VENDOR_EXAMPLE["call_id"]


def call_at(call_id: str, start: int, modified: int) -> Call:
    """Return a call that began `start` and was modified `modified` seconds into the year."""
    return {
        **VENDOR_EXAMPLE,
        "call_id": call_id,
        "start_datetime": EPOCH + timedelta(seconds=start),
        "last_modified": EPOCH + timedelta(seconds=modified),
    }


def test_a_book_is_a_collection(calls: list[Call]) -> None:
    """A book has a length, ids, and calls by id, and can be iterated over."""
    book = CallBook(calls)
    assert len(book) == len(calls) == len(book.ids)
    assert {call["call_id"] for call in book} == book.ids == set(book.latest())
    assert book[ID] is VENDOR_EXAMPLE
    assert ID in book
    assert "1" not in book


def test_an_edit_makes_a_new_version() -> None:
    """An edit changes fields and last_modified, and does not change the earlier version."""
    book = CallBook([VENDOR_EXAMPLE])
    new = book.edit(ID, at=NOW, revenue=7)
    assert new == {**VENDOR_EXAMPLE, "revenue": 7, "last_modified": NOW} == book[ID]
    assert VENDOR_EXAMPLE["revenue"] == 0
    before = book.latest()
    book.edit(ID, at=NOW, revenue=8)
    assert before[ID]["revenue"] == 7


def test_what_the_book_refuses() -> None:
    """A second call with an id, an edit before the last one, and invalid times are refused."""
    book = CallBook([VENDOR_EXAMPLE])
    with pytest.raises(ValueError, match="exists already"):
        book.add(VENDOR_EXAMPLE)
    with pytest.raises(ValueError, match="later than"):
        book.edit(ID, at=EPOCH - timedelta(days=9999))
    with pytest.raises(ValueError, match="whole seconds"):
        book.edit(ID, at=NOW + timedelta(microseconds=1))
    with pytest.raises(ValueError, match="aware"):
        book.edit(ID, at=NOW, end_datetime=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point
    with pytest.raises(KeyError):
        book.edit("1", at=NOW)
    with pytest.raises(KeyError):
        book.delete("1")
    assert list(book) == [VENDOR_EXAMPLE]


def since_epoch(seconds: int | None) -> datetime | None:
    """Return the instant `seconds` into the year."""
    return None if seconds is None else EPOCH + timedelta(seconds=seconds)


seconds = st.integers(0, 50)
changes = st.lists(
    st.tuples(st.sampled_from(("add", "edit", "delete")), st.integers(0, 5), seconds, seconds),
    max_size=25,
)
spans = st.tuples(st.none() | seconds, st.none() | seconds).map(
    lambda pair: Span(since_epoch(pair[0]), since_epoch(pair[1])),
)


@settings(max_examples=150, deadline=None)
@given(changes=changes, started=spans, modified=spans, shown=st.none() | seconds)
def test_near_finds_what_a_full_scan_finds(
    changes: list[tuple[str, int, int, int]],
    started: Span,
    modified: Span,
    shown: int | None,
) -> None:
    """After any history the index finds the same calls as a list of all versions."""
    book = CallBook()
    versions: dict[str, list[Call]] = {}
    for kind, number, start, later in changes:
        call_id = str(number)
        if kind == "add" and call_id not in versions:
            versions[call_id] = [call_at(call_id, start, start + later)]
            book.add(versions[call_id][0])
        elif kind == "edit" and call_id in versions:
            at = versions[call_id][-1]["last_modified"] + timedelta(seconds=later)
            began = EPOCH + timedelta(seconds=start)
            versions[call_id].append(book.edit(call_id, at=at, start_datetime=began))
        elif kind == "delete" and call_id in versions:
            del versions[call_id]
            book.delete(call_id)
    moment = since_epoch(shown)
    newest = [
        [call for call in history if moment is None or call["last_modified"] <= moment][-1:]
        for history in versions.values()
    ]
    meant = [
        call
        for history in newest
        for call in history
        if call["start_datetime"] in started and call["last_modified"] in modified
    ]
    near = book.near(started, modified, shown=moment)
    found = [c for c in near if c["start_datetime"] in started and c["last_modified"] in modified]
    assert sorted(c["call_id"] for c in found) == sorted(c["call_id"] for c in meant)
    assert all(call in meant for call in found)
    assert all(book.shown(call["call_id"], at=moment) == call for call in meant)


def test_a_deleted_call_leaves_no_version_behind() -> None:
    """A new call with the id of a deleted one has no earlier versions."""
    book = CallBook([VENDOR_EXAMPLE])
    book.edit(ID, at=NOW)
    book.delete(ID)
    book.add({**VENDOR_EXAMPLE, "last_modified": NOW})
    assert book.shown(ID, at=NOW - timedelta(seconds=1)) is None


def test_a_call_without_a_start_counts_by_its_edit() -> None:
    """A call without a start is found by the date of its last_modified."""
    book = CallBook([{**VENDOR_EXAMPLE, "start_datetime": None}])
    modified = VENDOR_EXAMPLE["last_modified"]
    assert book.near(Span(modified, modified), Span())
    assert not book.near(Span(modified + timedelta(seconds=1)), Span())


def test_time_passes_in_a_book(calls: list[Call]) -> None:
    """New calls and edits are spread over the time that passes, reproducibly by seed."""
    since, until = NOW, NOW + timedelta(hours=6)
    one, two, other = CallBook(calls), CallBook(calls), CallBook(calls)
    for book, seed in ((one, 1), (two, 1), (other, 2)):
        book.pass_time(since, until, new_calls=30, edits=100, seed=seed)
    assert one.latest() == two.latest() != other.latest()
    new = [call for call in one if call["call_id"] not in {c["call_id"] for c in calls}]
    assert len(new) == 30
    assert all(since <= call["start_datetime"] < until for call in new)
    known = CallBook(calls).latest()
    edited = [call for call in one if known.get(call["call_id"], call) != call]
    assert 80 <= len(edited) <= 100
    assert all(since <= call["last_modified"] < until for call in edited)
    assert len({call["last_modified"] for call in edited}) > 80


def test_time_passes_again_and_again() -> None:
    """New calls get new ids, also after one was deleted, and when no time passes."""
    book = CallBook()
    serials: set[str] = set()
    for _ in range(3):
        book.pass_time(NOW, NOW, new_calls=4, edits=2)
        serials |= {call_id.split("_")[1] for call_id in book.ids}
        book.delete(min(book.ids))
    assert len(book) == 9
    assert len(serials) == 12
    assert {call["last_modified"] for call in book} == {NOW}


def test_a_call_in_progress_ends_by_an_edit() -> None:
    """An edit ends a call in progress, never before its start."""
    book = CallBook(
        {**call, "action": "In Progress", "end_datetime": None, "duration": None}
        for call in made_up_calls(20, start=NOW - timedelta(hours=1), end=NOW)
    )
    book.pass_time(NOW, NOW + timedelta(hours=1), edits=200)
    ended = [call for call in book if call["action"] == "Answer"]
    assert len(ended) == 20
    assert all(call["end_datetime"] >= call["start_datetime"] for call in ended)
    assert all(call["duration"] >= 0 for call in ended)
