"""The models of the dbt package hold what Python computes from the sandbox's calls."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from support.written_dbt import COLUMNS
from tap_callcap.sandbox.accounts import csrs_answer
from tap_callcap.sandbox.call import at
from targets.dbt_package import NOW
from targets.marts_truth import DAILY, by, call_rows, caller_rows, comparable, daily_rows, expected

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_callcap.sandbox import Call
    from targets.dbt_package import Package
    from targets.truth import Row

pytestmark = [pytest.mark.e2e, pytest.mark.targets]

NOT_COMPARED = {"demographics", "_extra"}  # not selected, and JSON


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
    found = by(package.rows("callcap__daily"), *DAILY)

    assert found == expected(daily_rows(call_rows(loaded).values()))


def test_callers_have_a_history(package: Package, loaded: list[Call]) -> None:
    """callcap__callers."""
    rows = expected(caller_rows(call_rows(loaded).values()))

    assert by(package.rows("callcap__callers"), "caller_id") == rows


def test_losses_and_deletions_show(
    package: Package, all_calls: list[Call], loaded: list[Call], lost: list[Call], deleted: Call
) -> None:
    """callcap__completeness has the days of the lost calls and of the deleted one, no others."""
    in_callcap = calls_by_day(it for it in all_calls if it["call_id"] != deleted["call_id"])
    in_warehouse = calls_by_day(loaded)
    differences = calls_by_day([deleted])
    differences.subtract(calls_by_day(lost))
    found = by(package.rows("callcap__completeness"), "day")

    # NOW is midnight, but the tap reads only up to shortly before.
    assert found.keys() == {
        (NOW - timedelta(days=days)).date().isoformat() for days in range(2, 42)
    }
    assert {day: row["difference"] for day, row in found.items() if row["difference"]} == (
        differences
    )
    assert sum(differences.values()) == 1 - 10
    for day, row in found.items():
        assert row["callcap_calls"] == in_callcap[day]
        assert row["warehouse_calls"] == in_warehouse[day]
        assert row["status"] == {0: "complete", 1: "extra"}.get(row["difference"], "missing")
        assert row["timezone"] == "UTC"


def calls_by_day(calls: Iterable[Call]) -> Counter[str]:
    """Return how many calls began on each day in UTC."""
    return Counter(it["start_datetime"].date().isoformat() for it in calls if it["start_datetime"])


def test_freshness_is_of_calls_and_of_loads(package: Package) -> None:
    """The newest call was modified long ago, but the target loaded it just now, if it says so."""
    loads = {"loaded_calls": "pass"} if package.loaded_at else {}

    assert package.freshness() == {"calls": "error"} | loads


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
    assert texts_of(
        tuple(row.values()) for row in package.rows("stg_callcap__summaries")
    ) == texts_of(summaries)
    assert texts_of(
        tuple(row.values())[:8] for row in package.rows("stg_callcap__scorecard_answers")
    ) == texts_of(answers)
    assert len(answers) > 100


def texts_of(rows: Iterable[tuple[Any, ...]]) -> list[str]:
    """Return rows as texts that can be sorted and compared."""
    named = ({str(place): value for place, value in enumerate(row)} for row in rows)
    return sorted(str(list(comparable(row).values())) for row in named)


def test_accounts_are_rows(package: Package, all_calls: list[Call]) -> None:
    """stg_callcap__accounts."""
    locations = {
        it["accounts"]["location"]["id"]: it["accounts"]["location"]["name"]
        for it in all_calls
        if at(it, "accounts", "location", "id")
    }
    found = {
        row["account_id"]: row["account_name"]
        for row in package.rows("stg_callcap__accounts")
        if row["account_type"] == "location"
    }
    assert found == locations


def test_call_takers_are_rows(package: Package, all_calls: list[Call], deleted: Call) -> None:
    """stg_callcap__csrs and __csr_access."""
    calls = (it for it in all_calls if it["call_id"] != deleted["call_id"])
    csrs = csrs_answer(calls, {})["csr"]
    accesses = [
        (it["csr_id"], number, account["account_type"], account["account_id"])
        for it in csrs
        if it["access"] != "global"
        for number, account in enumerate(it["access"], 1)
    ]
    found = {
        (row["csr_id"], row["csr_name"], row["access_is_global"])
        for row in package.rows("stg_callcap__csrs")
    }

    assert found == {
        (it["csr_id"], it["csr_name"] or None, it["access"] == "global") for it in csrs
    }
    assert accesses == sorted(
        tuple(row.values()) for row in package.rows("stg_callcap__csr_access")
    )
    assert len(accesses) > 10


def test_days_have_no_gap(package: Package) -> None:
    """callcap__days."""
    rows = package.rows("callcap__days")
    days = sorted(date.fromisoformat(row["day"][:10]) for row in rows)

    assert days[0] == date(2000, 1, 1)
    assert days[-1] == date(2049, 12, 31)
    assert {after - day for day, after in pairwise(days)} == {timedelta(days=1)}
