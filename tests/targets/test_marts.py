"""The models of the dbt package hold what Python computes from the sandbox's calls."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from support.selecting import selected_by_meltano
from support.written_dbt import COLUMNS
from tap_callcap.sandbox import CallBook, Callcap, Sandbox, made_up_calls
from tap_callcap.sandbox.call import at
from targets.databases import DuckDB, PostgreSQL
from targets.dbt_package import Package
from targets.marts_truth import call_rows, caller_rows, comparable, daily_rows
from targets.odd_calls import odd_calls
from targets.pipes import load
from targets.truth import expected_by_default

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_callcap.sandbox import Call
    from targets.loader import Loader
    from targets.truth import Row

pytestmark = [pytest.mark.e2e, pytest.mark.targets]

NOW = datetime(2026, 5, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
FLATTENED = {"flattening_enabled": True, "flattening_max_depth": 3}
CATALOG = selected_by_meltano(
    *("calls.*", "accounts.*", "csrs.*", "call_counts.*", "!calls.demographics")
)
LOST = 10
NOT_COMPARED = {"demographics", "_extra"}  # not selected, and JSON


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    """Odd calls and those of two months, with a return of each third missed one."""
    calls = made_up_calls(1500, seed=8, start=NOW - timedelta(days=60), end=NOW - HOUR)
    outbound = [it for it in calls if direction_of(it) == "outbound" and it["start_datetime"]]
    missed = [it for it in calls if is_missed(it)]
    minutes = (-5, 10, 60, 61)
    for number, call in enumerate(missed[: 3 * len(minutes) * 5 : 3]):
        after = timedelta(minutes=minutes[number % len(minutes)])
        outbound[number]["caller"] = call["caller"]
        outbound[number]["start_datetime"] = call["start_datetime"] + after
    return [*odd_calls(), *calls]


def direction_of(call: Call) -> str | None:
    """Return which way a call went."""
    direction: str | None = at(call, "accounts", "campaign", "direction")
    return direction


def is_missed(call: Call) -> bool:
    """Say whether a caller reached nobody."""
    return call["action"] in {"Hangup", "Busy"} and direction_of(call) == "inbound"


@pytest.fixture(scope="module")
def lost(calls: list[Call]) -> list[Call]:
    """Ten calls of three days that never reach the warehouse."""
    old = [it for it in calls if NOW - 20 * 24 * HOUR > it["last_modified"] > NOW - 24 * 24 * HOUR]
    days = sorted({it["start_datetime"].date() for it in old})[-3:]
    return [it for it in old if it["start_datetime"].date() in days][:LOST]


@pytest.fixture(scope="module")
def deleted(calls: list[Call]) -> Call:
    """A call that is deleted in Callcap after it has been loaded."""
    return next(it for it in calls if it["start_datetime"] and it["start_datetime"] > NOW - 120 * HOUR)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((kind, tap), id=f"{kind.name}-{'flattened' if tap else 'nested'}")
        for kind in (DuckDB, PostgreSQL)
        for tap in ({}, FLATTENED)
    ],
)
def package(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    calls: list[Call],
    lost: list[Call],
    deleted: Call,
) -> Iterator[Package]:
    """The built package over a warehouse that lacks ten calls, and has one that Callcap deleted."""
    kind, tap = request.param
    tap = {**tap, "count_days": 40}
    missing = {call["call_id"] for call in lost}
    book = CallBook(call for call in calls if call["call_id"] not in missing)
    with (
        kind.serving() as server,
        Sandbox(Callcap(book, clock=lambda: NOW)) as sandbox,
    ):
        loader: Loader = kind(tmp_path_factory.mktemp("package"), server)
        load(loader, sandbox.url, tap=tap, target={}, catalog=CATALOG)
        book.delete(deleted["call_id"])
        for call in lost:
            book.add(call)
        load(loader, sandbox.url, tap=tap, target={}, catalog=CATALOG)
        package = Package(loader)
        package.output = package.dbt("build")
        yield package


@pytest.fixture(scope="module")
def records(loaded: list[Call]) -> dict[str, Row]:
    """What the tap wrote of them."""
    return expected_by_default(loaded)


@pytest.fixture(scope="module")
def loaded(calls: list[Call], lost: list[Call]) -> list[Call]:
    """The calls in the warehouse."""
    missing = {call["call_id"] for call in lost}
    return [call for call in calls if call["call_id"] not in missing]


def by(rows: list[Row], *names: str) -> dict[Any, Row]:
    """Return rows by their keys, in the form that is compared."""
    found = {}
    for row in map(comparable, rows):
        key = tuple(row[name] for name in names)
        assert key not in found
        found[key if len(names) > 1 else key[0]] = row
    return found


def expected(rows: dict[Any, Row]) -> dict[Any, Row]:
    """Return what Python computed, in the form that is compared."""
    return {key: comparable(row) for key, row in rows.items()}


def test_all_models_and_tests_pass(package: Package) -> None:
    """Only the test that looks for lost calls warns."""
    assert "ERROR=0 SKIP=0" in package.output
    warned = [line for line in package.output.splitlines() if " WARN " in line]
    assert len(warned) == 1
    assert "callcap__completeness_difference" in warned[0]


def test_a_call_has_what_analysts_ask_for(package: Package, loaded: list[Call]) -> None:
    """callcap__calls."""
    rows = call_rows(loaded)

    assert by(package.rows("callcap__calls"), "call_id") == expected(rows)
    returns = [row["is_returned"] for row in rows.values()]
    assert returns.count(True) > 5
    assert returns.count(False) > 5
    assert {row["kind"] for row in rows.values()} == {"call", "text"}


def test_days_are_summed(package: Package, loaded: list[Call]) -> None:
    """callcap__daily."""
    found = by(package.rows("callcap__daily"), "local_day", "campaign_id", "location_id", "csr_id")

    assert found == expected(daily_rows(call_rows(loaded).values()))


def test_callers_have_a_history(package: Package, loaded: list[Call]) -> None:
    """callcap__callers."""
    rows = expected(caller_rows(call_rows(loaded).values()))

    assert by(package.rows("callcap__callers"), "caller_id") == rows


def test_losses_and_deletions_show(package: Package, lost: list[Call], deleted: Call) -> None:
    """callcap__completeness has the days of the lost calls and of the deleted one, and no others."""
    wanted: dict[str, int] = {deleted["start_datetime"].date().isoformat(): 1}
    for call in lost:
        day = call["start_datetime"].date().isoformat()
        wanted[day] = wanted.get(day, 0) - 1
    rows = package.rows("callcap__completeness")

    assert len(rows) == 40
    assert {row["day"]: row["difference"] for row in rows if row["difference"]} == wanted
    assert sum(wanted.values()) == 1 - LOST
    for row in rows:
        status = {0: "complete", 1: "extra"}.get(row["difference"], "missing")
        assert row["status"] == status


def test_every_property_is_a_typed_column(package: Package, records: dict[str, Row]) -> None:
    """stg_callcap__calls and __change_requests have the values of the records."""
    for model in ("stg_callcap__calls", "stg_callcap__change_requests"):
        found = by(package.rows(model), "call_id")
        wanted = {
            call_id: comparable({
                name: value_at(row, path)
                for name, (path, _) in COLUMNS[model].items()
                if path[0] not in NOT_COMPARED
            })
            for call_id, row in records.items()
        }
        if model == "stg_callcap__change_requests":
            wanted = {
                call_id: row for call_id, row in wanted.items() if any(list(row.values())[1:])
            }
            assert len(wanted) > 5
        for call_id, row in found.items():
            names = wanted[call_id]
            assert {name: row[name] for name in names} == names
        assert found.keys() == wanted.keys()


def value_at(row: Row, path: tuple[str, ...]) -> Any:
    """Return what is at a path in a row, whose objects are whole."""
    value: Any = row
    for name in path:
        value = value[name]
    return value


def test_arrays_are_rows(package: Package, records: dict[str, Row]) -> None:
    """stg_callcap__summaries and __scorecard_answers."""
    summaries = [
        (call_id, number, one["type"] or None, one["text"] or None)
        for call_id, row in records.items()
        for number, one in enumerate(row["summaries"] or [], 1)
    ]
    answers = [
        (call_id, i, card["name"], j, result["question"], k, answer["entry"], answer["value"])
        for call_id, row in records.items()
        for i, card in enumerate(row["scorecards"] or [], 1)
        for j, result in enumerate(card["results"] or [], 1)
        for k, answer in enumerate(result["answers"] or [], 1)
    ]
    found = map(comparable, package.rows("stg_callcap__summaries"))
    assert sorted(map(str, (tuple(row.values()) for row in found))) == sorted(
        map(str, (tuple(comparable(dict(enumerate(it))).values()) for it in summaries))
    )
    found = map(comparable, package.rows("stg_callcap__scorecard_answers"))
    assert sorted(map(str, (tuple(row.values())[:8] for row in found))) == sorted(
        map(str, (tuple(comparable(dict(enumerate(it))).values()) for it in answers))
    )
    assert len(answers) > 100


def test_accounts_and_call_takers_are_rows(package: Package, calls: list[Call]) -> None:
    """stg_callcap__accounts and __csrs."""
    locations = {
        it["accounts"]["location"]["id"]: it["accounts"]["location"]["name"]
        for it in calls
        if at(it, "accounts", "location", "id")
    }
    found = {
        row["account_id"]: row["account_name"]
        for row in package.rows("stg_callcap__accounts")
        if row["account_type"] == "location"
    }
    assert found == locations
    assert package.rows("stg_callcap__csrs")
