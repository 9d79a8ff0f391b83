"""The page of the demo shows what is in the marts."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from targets.browser import NoBrowserError, look
from targets.databases import DuckDB
from targets.environments import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from targets.dbt_package import Package

pytestmark = [pytest.mark.e2e, pytest.mark.targets]


def test_the_page_shows_the_marts(package: Package, tmp_path: Path) -> None:
    """Every figure is drawn, in a real browser, on a phone and on a desk, without a network."""
    if not isinstance(package.loader, DuckDB):
        pytest.skip("the page is drawn from DuckDB")
    page = tmp_path / "report.html"
    subprocess.run(
        [
            *(CHECKOUT / "uvw", "run", "--python", sys.executable),
            *(CHECKOUT / "examples" / "draw_report.py", package.loader.path, page),
            f"--schema={package.schema}",
        ],
        check=True,
    )
    try:
        desk = look(page, width=1000, scheme="light", picture=tmp_path / "desk.png")
        phone = look(page, width=390, scheme="dark", picture=tmp_path / "phone.png")
    except NoBrowserError as error:
        pytest.skip(str(error))

    assert desk["marks"].keys() == {"days", "hours", "campaigns", "csrs", "completeness"}
    assert (desk["width"], phone["width"]) == (1000, 390)
    assert desk["background"] == "rgb(255, 255, 255)"
    assert desk["text"] == "rgb(34, 34, 34)"
    assert phone["background"] == "rgb(22, 24, 28)"
    assert phone["text"] == "rgb(221, 221, 221)"
    for seen in (desk, phone):
        assert seen["asked"] == [page.as_uri()]
        assert seen["errors"] == []
        assert {name: [mark[0] for mark in marks] for name, marks in seen["marks"].items()} == {
            name: [mark[0] for mark in marks] for name, marks in desk["marks"].items()
        }
        assert_bars_are_as_long_as_their_figures(seen["marks"])
    daily = package.query(f"select * from analytics.callcap__daily where {LAST_DAYS}")  # noqa: S608 - ours
    drawn = {mark[0] for mark in desk["marks"]["days"]}
    for day in {row["local_day"] for row in daily}:
        for outcome in ("answered", "missed"):
            total = sum(row[outcome] for row in daily if row["local_day"] == day)
            assert f"{day}: {total} {outcome}" in drawn
    for name in ("calls", "texts", "missed", "returned", "booked"):
        assert desk["figures"][name] == f"{sum(row[name] for row in daily):,}"
    assert {mark[0] for mark in desk["marks"]["completeness"]} == {
        f"{row['day']}: {calls} {part}"
        for row in package.rows("callcap__completeness")
        for part, calls in (
            ("loaded", min(row["callcap_calls"], row["warehouse_calls"])),
            (row["status"], abs(row["difference"])),
        )
        if part != "complete"
    }
    assert {mark[0] for mark in desk["marks"]["csrs"]} <= {
        f"{row['csr_name']}: {row['booked']}"
        for row in package.query(
            "select csr_name, cast(sum(booked) as bigint) as booked "  # noqa: S608 - ours
            f"from analytics.callcap__daily where {LAST_DAYS} group by csr_id, csr_name"
        )
    }
    for name in ("hours", "campaigns", "csrs"):
        assert len(desk["marks"][name]) > 10


LAST_DAYS = (
    "local_day > (select max(local_day) - 56 from analytics.callcap__daily "
    "where local_day <= current_date) and local_day <= current_date"
)


def assert_bars_are_as_long_as_their_figures(marks: dict[str, list[list[Any]]]) -> None:
    """Each bar has the length that its figure has in the scale of its chart."""
    for name, pattern, side in (
        ("days", r": (\d+) ", 2),
        ("completeness", r": (\d+) ", 2),
        ("campaigns", r": ([\d.]+)$", 1),
        ("csrs", r": (\d+)$", 1),
    ):
        figures = [float(re.findall(pattern, mark[0])[-1]) for mark in marks[name]]
        longest = max(range(len(figures)), key=figures.__getitem__)
        scale = marks[name][longest][side] / figures[longest]
        assert scale > 0
        for mark, figure in zip(marks[name], figures, strict=True):
            # Figures are rounded to 0.01, and bars to pixels.
            assert mark[side] == pytest.approx(figure * scale, abs=2 + 0.01 * scale)
