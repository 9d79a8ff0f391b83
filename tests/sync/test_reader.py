"""What counts as proof, and what a reader keeps in memory."""

from __future__ import annotations

import weakref
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tap_callcap.api.responses import Page
from tap_callcap.instants import UTC, format_instant
from tap_callcap.sync.pages import Pages
from tap_callcap.sync.proof import Agreement, Proof, Whole
from tap_callcap.sync.reader import Reader
from tap_callcap.windows import Range, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_callcap.records.shaper import Version

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def versions_of(*ids: str) -> list[Version]:
    """Versions of calls that were modified at noon."""
    return [(call_id, "2026-01-01T12:00:00Z") for call_id in ids]


def page_of(*ids: str, total: int, number: int = 1, last_page: int = 3) -> Page:
    """A page with these calls of so many."""
    return Page(number, last_page, total, [{"call_id": each} for each in ids], NOON)


@pytest.mark.parametrize(
    ("pages", "is_whole"),
    [
        pytest.param([("a", "b"), ("c", "d"), ("e",)], True, id="all"),
        pytest.param([("a", "b"), ("c", "d"), ("d",)], False, id="one-twice"),
        pytest.param([("a", "b"), ("c", "d"), ("e", "f")], False, id="more-than-counted"),
    ],
)
def test_as_many_ids_as_are_counted_are_proof(pages: list[tuple[str, ...]], is_whole: bool) -> None:
    """Fewer may hide a call, and more contradict the count: neither proves anything."""
    proof = Proof()
    for number, ids in enumerate(pages, start=1):
        proof.add(page_of(*ids, total=5, number=number), 2, versions_of(*ids))
    assert proof.is_whole == is_whole


@pytest.mark.parametrize(
    "change",
    [{"total": 3}, {"total": 4, "last_page": 4}],
    ids=["another-total", "another-last-page"],
)
def test_other_totals_begin_a_new_proof(change: dict[str, int]) -> None:
    """What was seen before the set of calls changed proves nothing about it now."""
    proof = Proof()
    proof.add(page_of("a", "b", total=4), 2, versions_of("a", "b"))
    proof.add(page_of("c", **change), 2, versions_of("c"))
    assert not proof.is_whole
    proof.add(page_of("d", **change), 2, versions_of("d"))
    assert not proof.is_whole


def test_pages_of_two_sizes_add_up() -> None:
    """Fewer and larger pages are no sign that the set has changed."""
    proof = Proof()
    proof.add(page_of("a", "b", total=4, last_page=2), 2, versions_of("a", "b"))
    proof.add(page_of("c", total=4, last_page=4), 1, versions_of("c"))
    proof.add(page_of("a", "d", total=4, last_page=2), 2, versions_of("a", "d"))
    assert proof.is_whole


def test_a_snapshot_is_proof_by_itself() -> None:
    """One answer that holds all rows that it counts needs no other, even if a row repeats."""
    proof = Proof()
    proof.add(page_of("a", "a", total=2, last_page=1), 2, versions_of("a", "a"))
    assert proof.is_whole


def passes(*shown: tuple[str, ...], total: int = 3) -> bool:
    """Whether passes that showed these ids agree."""
    agreement = Agreement()
    for ids in shown:
        agreement.add(versions_of(*ids), total)
    return agreement.is_reached


def test_ten_passes_in_a_row_must_agree() -> None:
    """Nine are not enough, nor ten with another one among them."""
    same = ("a", "b", "b")
    assert not passes(*[same] * 9)
    assert passes(*[same] * 10)
    assert passes(*[("b", "a", "b"), same] * 5), "the order does not matter"
    assert not passes(*[same] * 9, ("a", "a", "b"), same)
    assert not passes(*[same] * 10, ("a", "a", "b"))
    assert not passes(*[same] * 20, total=4), "passes that do not show as many rows as are counted"


def test_ten_passes_must_count_the_same() -> None:
    """A pass after which the API counts other calls is not the same."""
    agreement = Agreement()
    for total in (4, *[3] * 9):
        agreement.add(versions_of("a", "b", "b"), total)
    assert not agreement.is_reached


class Id(str):  # noqa: FURB189 - a version holds a str
    """An id of which can be told whether it is still in memory."""

    __slots__ = ("__weakref__",)


def busy_minutes(window: Window, number: int, page_size: int) -> Page:
    """An API that counts two calls in each minute, and shows all only in single minutes."""
    minutes = window.length // MINUTE
    ids = [f"{window.start + minute * MINUTE} {n}" for minute in range(minutes) for n in (1, 2)]
    shown = ids[(number - 1) * page_size : number * page_size]
    if minutes > 1:
        shown = [ids[0]] * len(shown)
    calls = [{"call_id": each, "last_modified": each[:16]} for each in shown]
    return Page(number, -(-len(ids) // page_size), len(ids), calls, NOON)


@pytest.mark.parametrize("fetch", [busy_minutes])
def test_what_is_read_is_forgotten(fetch: Callable[[Window, int, int], Page]) -> None:
    """Memory does not grow with the windows: only versions of what is not proven are kept."""
    kept: list[weakref.ref[Id]] = []

    def decode(raw: object) -> tuple[Version, dict[str, object]]:
        assert isinstance(raw, dict)
        call_id = Id(raw["call_id"])
        kept.append(weakref.ref(call_id))
        at = datetime.fromisoformat(raw["last_modified"]).replace(tzinfo=UTC)
        return (call_id, format_instant(at)), {}

    span = Range(NOON, NOON + 64 * MINUTE, NOON + 600 * MINUTE, UTC)
    reader = Reader(Pages(fetch, 1, lambda: None), span, decode=decode, page_size=1)
    read = 0
    most = 0
    for event in reader.read(Window(NOON, span.upper)):
        if isinstance(event, Whole):
            most = max(most, sum(each() is not None for each in kept))
        else:
            read += len(event)
    assert read == 2 * 64
    assert len(kept) > read
    assert most <= 8
