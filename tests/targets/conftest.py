"""A sandbox of odd and made-up calls, and an empty destination of each target."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from tap_callcap.sandbox import CallBook, Callcap, Sandbox, made_up_calls
from tap_callcap.sandbox.call import at
from targets.databases import DuckDB, PostgreSQL
from targets.dbt_package import EDITED, FLATTENED, HOUR, LOST, NOW, Package, every_stream
from targets.loaders import LOADERS
from targets.matrix import Matrix
from targets.odd_calls import FIRST_DAY, odd_calls
from targets.pipes import load
from targets.postgresql import NoPostgreSQLError
from targets.truth import expected_by_default

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from tap_callcap.sandbox import Call
    from targets.loader import Loader
    from targets.truth import Row

MATRIX = Matrix()
ALWAYS = {"target-duckdb", "target-postgres"}
"""The targets that every run of the tests uses; the others need the marker `targets`."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what became of a test that stands for a column of the matrix."""
    report = yield
    mark = item.get_closest_marker("column")
    if mark and isinstance(item, pytest.Function) and (report.when == "call" or not report.passed):
        outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        MATRIX.add(cast("type[Loader]", item.callspec.params["served"]), mark.args[0], outcome)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the matrix where that was asked for."""
    if session.config.getoption("write_matrix"):
        MATRIX.write()


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(each, marks=() if each.name in ALWAYS else pytest.mark.targets, id=each.name)
        for each in LOADERS
    ],
)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[type[Loader], Any]]:
    """Each kind of loader in turn, with the server that it needs."""
    kind: type[Loader] = request.param
    if sys.version_info >= kind.python_before:
        pytest.skip(f"{kind.name} has no version for this Python")
    try:
        with kind.serving() as server:
            yield kind, server
    except NoPostgreSQLError as error:
        if os.environ.get("ALL_TARGETS"):  # .ci/run: nothing may be skipped
            raise
        pytest.skip(str(error))


@pytest.fixture
def loader(
    served: tuple[type[Loader], Any], tmp_path: Path, request: pytest.FixtureRequest
) -> Loader:
    """An empty destination; expects the failure of what the target cannot do."""
    kind, server = served
    (column,) = (mark.args[0] for mark in request.node.iter_markers("column"))
    if column in kind.cannot:
        request.applymarker(pytest.mark.xfail(reason=kind.cannot[column], strict=True))
    return kind(tmp_path, server)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Callcap with the odd calls and twenty of the usual ones, one of which was edited."""
    now = FIRST_DAY + timedelta(days=400)
    calls = made_up_calls(20, seed=2, start=now - timedelta(days=90), end=now)
    with Sandbox(Callcap(CallBook([*odd_calls(), *calls]), clock=lambda: now)) as served:
        yield served


@pytest.fixture(scope="session")
def all_calls() -> list[Call]:
    """Odd calls and those of two months.

    Some were edited lately, each third missed one was returned, and two requests of changes have
    only one part.
    """
    calls = made_up_calls(1500, seed=8, start=NOW - timedelta(days=60), end=NOW - HOUR)
    outbound = [it for it in calls if direction_of(it) == "outbound" and it["start_datetime"]]
    missed = [it for it in calls if is_missed(it)]
    minutes = (-5, 10, 60, 61)
    for number, call in enumerate(missed[: 3 * len(minutes) * 5 : 3]):
        after = timedelta(minutes=minutes[number % len(minutes)])
        outbound[number]["caller"] = call["caller"]
        outbound[number]["start_datetime"] = call["start_datetime"] + after
    old = [it for it in calls if it["start_datetime"] and it["start_datetime"] < NOW - 240 * HOUR]
    for call in [it for it in old if it["action"] == "Answer"][:20]:
        call["last_modified"] = EDITED
    ratings = [it["callsurance"] for it in calls if at(it, "callsurance", "change_request")]
    for rating, part in zip(ratings, ("customer", "csr"), strict=False):
        request = rating["change_request"]
        rating["change_request"] = dict.fromkeys(request) | {part: request[part]}
    return [*odd_calls(), *calls]


def direction_of(call: Call) -> str | None:
    """Return which way a call went."""
    direction: str | None = at(call, "accounts", "campaign", "direction")
    return direction


def is_missed(call: Call) -> bool:
    """Say whether a caller reached nobody."""
    return call["action"] in {"Hangup", "Busy"} and direction_of(call) == "inbound"


@pytest.fixture(scope="session")
def lost(all_calls: list[Call]) -> list[Call]:
    """Ten calls of three days that never reach the warehouse."""
    old = [
        it for it in all_calls if NOW - 20 * 24 * HOUR > it["last_modified"] > NOW - 24 * 24 * HOUR
    ]
    days = sorted({it["start_datetime"].date() for it in old})[-3:]
    return [it for it in old if it["start_datetime"].date() in days][:LOST]


@pytest.fixture(scope="session")
def deleted(all_calls: list[Call]) -> Call:
    """A call that is deleted in Callcap after it has been loaded."""
    return next(
        it for it in all_calls if it["start_datetime"] and it["start_datetime"] > NOW - 120 * HOUR
    )


@pytest.fixture(
    scope="session",
    params=[
        pytest.param((kind, tap), id=f"{kind.name}-{'flattened-appended' if tap else 'nested'}")
        for kind in (DuckDB, PostgreSQL)
        for tap in ({}, FLATTENED)
    ],
)
def package(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    all_calls: list[Call],
    lost: list[Call],
    deleted: Call,
) -> Iterator[Package]:
    """The built package over a warehouse that lacks ten calls, and has one that Callcap deleted.

    Twenty calls were edited after they had been loaded; flattened warehouses keep both versions.
    All but nested DuckDB note when each row was loaded.
    """
    kind, tap = request.param
    catalog = every_stream()
    if tap:
        (calls,) = (it for it in catalog["streams"] if it["tap_stream_id"] == "calls")
        calls["key_properties"] = ["call_id", "last_modified"]
    target = {name: True for name in kind.metadata if name != "hard_delete"} if tap else {}
    has_metadata = tap or kind is PostgreSQL  # which has it by default
    tap = {**tap, "count_days": 40}
    missing = {call["call_id"] for call in lost}
    edited = [call for call in all_calls if call["last_modified"] == EDITED]
    before = {"last_modified": EDITED - 48 * HOUR, "action": "Busy", "revenue": 1}
    book = CallBook(
        {**call, **before} if call in edited else call
        for call in all_calls
        if call["call_id"] not in missing
    )
    with (
        kind.serving() as server,
        Sandbox(Callcap(book, clock=lambda: NOW)) as sandbox,
    ):
        loader: Loader = kind(tmp_path_factory.mktemp("package"), server)
        load(loader, sandbox.url, tap=tap, target=target, catalog=catalog)
        for call in edited:
            changes = {name: call[name] for name in ("action", "revenue")}
            book.edit(call["call_id"], at=EDITED, **changes)
        book.delete(deleted["call_id"])
        for call in lost:
            book.add(call)
        load(loader, sandbox.url, tap=tap, target=target, catalog=catalog)
        package = Package(loader, loaded_at="_sdc_extracted_at" if has_metadata else None)
        package.build()
        yield package


@pytest.fixture(scope="session")
def records(loaded: list[Call]) -> dict[str, Row]:
    """What the tap wrote of them."""
    return expected_by_default(loaded)


@pytest.fixture(scope="session")
def loaded(all_calls: list[Call], lost: list[Call]) -> list[Call]:
    """The calls in the warehouse."""
    missing = {call["call_id"] for call in lost}
    return [call for call in all_calls if call["call_id"] not in missing]
