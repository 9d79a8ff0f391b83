"""Optional streams and filters, with an installed Meltano into DuckDB."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from meltano_project import MeltanoError, MeltanoProject
from tap_callcap.sandbox import CallBook, Callcap, Sandbox, made_up_calls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_callcap.sandbox import Call

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(sys.version_info >= (3, 14), reason="duckdb 1.1.3 has no wheel for it"),
    pytest.mark.skipif(sys.platform == "win32", reason="the project's scripts are for sh"),
]

LEVELS = ("corporate", "division", "location")


@pytest.fixture(scope="module")
def callcap() -> Callcap:
    """A Callcap with calls of all companies."""
    now = datetime.now(timezone.utc)
    book = CallBook(made_up_calls(300, seed=11, start=now - timedelta(days=100), end=now))
    callcap = Callcap(book)
    callcap.advance(timedelta(minutes=15))
    return callcap


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, callcap: Callcap) -> Iterator[MeltanoProject]:
    """A Meltano project that reads every stream of it."""
    with Sandbox(callcap) as sandbox:
        settings = {
            "api_url": sandbox.url,
            "api_key": "sandbox",
            "_select": '["*.*", "!calls.demographics"]',
        }
        project = MeltanoProject(tmp_path_factory.mktemp("meltano"), settings)
        project.install()
        yield project


def run(project: MeltanoProject) -> None:
    """Run the pipeline from the beginning, into an empty warehouse."""
    project.warehouse.unlink(missing_ok=True)
    project.meltano("run", "--full-refresh", "tap-callcap", "target-duckdb")


def id_at(call: Call, level: str) -> int:
    """The id of a call's account at a level."""
    id_: int = call["accounts"][level]["id"]
    return id_


def test_every_stream_is_loaded(project: MeltanoProject, callcap: Callcap) -> None:
    """Selected in Meltano, accounts and call takers are in the warehouse beside the calls."""
    run(project)

    accounts = project.rows(
        "select account_type, account_id, account_name, corporate_id, division_id "
        "from callcap.accounts"
    )
    truth = set()
    for call in callcap.book:
        above: list[int | None] = []
        for level in LEVELS:
            here = call["accounts"][level]
            truth.add((level, here["id"], here["name"], *[*above, None, None][:2]))
            above.append(here["id"])
    assert {tuple(row.values()) for row in accounts} == truth
    assert len(accounts) == len(truth)

    csrs: list[dict[str, Any]] = project.rows("select * from callcap.csrs")
    ratings = (call["callsurance"] for call in callcap.book if call["callsurance"])
    names = {rating["csr"]["id"]: rating["csr"]["name"] for rating in ratings}
    assert {row["csr_id"]: row["csr_name"] for row in csrs} == {
        id_: name for id_, name in names.items() if id_
    }
    for row in csrs:
        places = json.loads(row["access"] or "[]")
        assert row["access_is_global"] == (not places)
        assert all(place["account_type"] in LEVELS for place in places)
        assert all(isinstance(place["account_id"], int) for place in places)

    (calls,) = project.rows("select count(*) as number from callcap.calls")
    assert calls["number"] == len(callcap.book)


def test_filters_are_set_in_meltano_one_by_one(project: MeltanoProject, callcap: Callcap) -> None:
    """`filters.…` is a setting of Meltano, as text; what it says reaches the API."""
    divisions = sorted({id_at(call, "division") for call in callcap.book})[:2]
    wanted = ",".join(map(str, divisions))
    project.meltano("config", "set", "tap-callcap", "filters.division_id", wanted)
    project.meltano("config", "set", "tap-callcap", "filters.search_action", "ans")
    callcap.requests.clear()

    run(project)

    rows = project.rows("select call_id from callcap.calls")
    assert {row["call_id"] for row in rows} == {
        call["call_id"]
        for call in callcap.book
        if id_at(call, "division") in divisions and call["action"] == "Answer"
    }
    searches = [asked.params for asked in callcap.requests if asked.path == "/v2/get/calls/"]
    assert {(each["division_id"], each["search_action"]) for each in searches} == {(wanted, "ans")}


def test_a_wrong_filter_is_told_through_meltano(project: MeltanoProject) -> None:
    """A misspelt filter stops the run, with the line that says which one is meant."""
    project.meltano("config", "set", "tap-callcap", "filters.search_acton", "ans")
    with pytest.raises(MeltanoError) as caught:
        run(project)
    words = "Setting filters.search_acton is unknown: did you mean search_action?"
    assert words in str(caught.value)
