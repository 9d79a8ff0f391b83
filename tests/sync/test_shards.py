"""A backfill in parallel runs, each with its own state, reads the same as one run."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from support.running import bookmark_of, run_tap
from tap_callcap.sandbox import CallBook, Callcap, Switches, made_up_calls
from tap_callcap.sandbox.switch_texts import switch_values
from tap_callcap.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.running import Run

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=timezone.utc)
YEARS = range(2021, 2027)


def year(number: int) -> datetime:
    """Return when a year begins."""
    return datetime(number, 1, 1, tzinfo=timezone.utc)


def callcap_with_seams() -> Callcap:
    """Two hundred calls of six years, and at each New Year some at the seam and beside it."""
    calls = made_up_calls(200, seed=21, start=year(YEARS[0]), end=NOW)
    seams = [
        year(number) + timedelta(seconds=seconds)
        for number in YEARS[1:]
        for seconds in (-60, -59, -1, 0, 1, 59, 60)
    ]
    for call, moment in zip(calls, seams, strict=False):
        call["last_modified"] = moment
    return Callcap(CallBook(calls), clock=lambda: NOW)


def by_year(settings: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the settings of a shard for each year; the last one has no end."""
    borders = [year(number).isoformat() for number in YEARS]
    return [
        {"start_date": start, **({"end_date": end} if end else {}), **(settings or {})}
        for start, end in zip(borders, [*borders[1:], None], strict=True)
    ]


def versions(runs: Iterable[Run]) -> list[tuple[str, str]]:
    """Return what the runs wrote, in order of the calls."""
    return sorted((it["call_id"], it["last_modified"]) for run in runs for it in run.records)


@pytest.mark.parametrize("page_size", [3, 1000])
@pytest.mark.parametrize("end_minute", switch_values("end_minute"))
@pytest.mark.parametrize("start_minute", switch_values("start_minute"))
def test_the_years_together_equal_one_run(
    page_size: int, start_minute: Any, end_minute: Any
) -> None:
    """No call is missing at a seam, and none comes twice, whichever borders the API counts."""
    callcap = callcap_with_seams()
    callcap.switches = Switches(start_minute=start_minute, end_minute=end_minute)
    whole = run_tap(callcap, page_size=page_size)

    shards = [run_tap(callcap, **shard) for shard in by_year({"page_size": page_size})]

    records = {record["call_id"]: record for shard in shards for record in shard.records}
    assert versions(shards) == versions([whole])
    assert records == {record["call_id"]: record for record in whole.records}
    assert records.keys() == callcap.book.ids
    assert all(shard.records for shard in shards)


def test_each_shard_ends_at_its_seam() -> None:
    """The bookmark of a year is its end; run again, even much later, it reads no more."""
    callcap = callcap_with_seams()
    for shard in by_year()[:-1]:
        state = run_tap(callcap, **shard).state
        assert bookmark_of(state) == shard["end_date"].replace("+00:00", "Z")

        again = run_tap(callcap, state=state, **shard, lookback_minutes=0)

        assert again.records == []
        assert bookmark_of(again.state) == bookmark_of(state)


@pytest.mark.parametrize("seed", range(8))
def test_years_that_run_while_calls_are_edited_lose_none(seed: int) -> None:
    """In any order, and with edits between them: the newest year, run last, has what left them."""
    rng = Random(seed)
    now = [NOW]
    callcap = callcap_with_seams()
    callcap = Callcap(callcap.book, clock=lambda: now[0])
    *old, newest = by_year()
    written: dict[str, str] = {}
    for shard in rng.sample(old, len(old)):
        for record in run_tap(callcap, **shard).records:
            written[record["call_id"]] = record["last_modified"]
        for call_id in rng.sample(sorted(callcap.book.ids), 20):
            now[0] += timedelta(seconds=rng.randrange(90))
            callcap.book.edit(call_id, at=now[0].replace(microsecond=0), notes=f"{now[0]}")
    now[0] += timedelta(minutes=30)

    for record in run_tap(callcap, **newest).records:
        written[record["call_id"]] = record["last_modified"]

    assert written == {
        call["call_id"]: call["last_modified"].strftime("%Y-%m-%dT%H:%M:%SZ")
        for call in callcap.book
    }


@pytest.mark.skipif("filters" not in SETTINGS["properties"], reason="there are no filters")
def test_the_divisions_together_equal_one_run() -> None:
    """One run for each division, each with a state of its own, first and after edits."""
    now = [NOW]
    book = callcap_with_seams().book
    callcap = Callcap(book, clock=lambda: now[0])
    divisions = sorted({call["accounts"]["division"]["id"] for call in book})
    shards: dict[int, dict[str, Any]]
    shards = {number: {"filters": {"division_id": number}} for number in divisions}
    whole = run_tap(callcap)
    first = {number: run_tap(callcap, **shard) for number, shard in shards.items()}
    assert len(divisions) > 3
    assert versions(first.values()) == versions([whole])

    callcap.advance(timedelta(days=1), new_calls=10, edits=50)
    callcap.advance(timedelta(minutes=30))

    second = [
        run_tap(callcap, state=first[number].state, **shard) for number, shard in shards.items()
    ]
    assert versions(second) == versions([run_tap(callcap, state=whole.state)]) != []
