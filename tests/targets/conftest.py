"""A sandbox of odd and made-up calls, and an empty destination of each target."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from tap_callcap.sandbox import CallBook, Callcap, Sandbox, made_up_calls
from targets.loaders import LOADERS
from targets.matrix import Matrix
from targets.odd_calls import FIRST_DAY, odd_calls
from targets.postgresql import NoPostgreSQLError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from targets.loader import Loader

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
    """Callcap with the odd calls and sixty of the usual ones, one of which was edited."""
    now = FIRST_DAY + timedelta(days=400)
    calls = made_up_calls(60, seed=2, start=now - timedelta(days=90), end=now)
    with Sandbox(Callcap(CallBook([*odd_calls(), *calls]), clock=lambda: now)) as served:
        yield served
