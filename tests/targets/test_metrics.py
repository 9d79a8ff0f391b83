"""MetricFlow answers with the figures that Python computes from the sandbox's calls."""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from support.documents import BLOCKS
from targets.dbt_package import DBT, PACKAGE, TIMEZONE
from targets.environments import environment
from targets.marts_truth import call_rows, sums

if TYPE_CHECKING:
    from pathlib import Path

    from tap_callcap.sandbox import Call
    from targets.dbt_package import Package
    from targets.truth import Row

pytestmark = [pytest.mark.e2e, pytest.mark.targets]

QUERY = "mf query --group-by metric_time__month,callcap_call__campaign_name --metrics \\"
MEASURES = ("calls", "answered", "missed", "answer_rate", "booked", "revenue")


def test_metrics_are_pythons_figures(package: Package, loaded: list[Call], tmp_path: Path) -> None:
    """In a project of the user's own, which installs the package, the document's query runs."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in call_rows(loaded).values():
        month = row["local_day"].strftime("%Y-%m") if row["local_day"] else ""
        groups[month, row["campaign_name"] or ""].append(row)
    expected = {}
    for key, rows in groups.items():
        figures = sums(rows)
        judged = figures["answered"] + figures["missed"]
        figures["answer_rate"] = figures["answered"] / judged if judged else None
        expected[key] = [written(figures[name]) for name in MEASURES]

    assert figures_of(package, tmp_path) == expected
    assert len(expected) > 100


def figures_of(package: Package, project: Path) -> dict[tuple[str, str], list[str]]:
    """Return what MetricFlow finds, by month and campaign."""
    for file, settings in {
        "dbt_project.yml": {
            "name": "analysts",
            "profile": "callcap",
            "flags": {"send_anonymous_usage_stats": False},
            "vars": {"callcap_schema": package.source, "callcap_timezone": TIMEZONE},
        },
        "packages.yml": {"packages": [{"local": str(PACKAGE)}]},
    }.items():
        (project / file).write_text(json.dumps(settings), encoding="utf-8")
    profiles = (PACKAGE / "profiles.yml").read_text("utf-8")
    (project / "profiles.yml").write_text(
        profiles.replace("target: duckdb", f"target: {package.target}"), encoding="utf-8"
    )
    home = environment("dbt-metricflow", (*DBT, "dbt-metricflow==0.15.0"))
    answer = project / "answer.csv"
    for program, *arguments in (
        ("dbt", "deps"),
        ("dbt", "parse"),
        (*shlex.split(BLOCKS[QUERY].replace("\\\n", "")), "--csv", str(answer)),
    ):
        done = subprocess.run(
            [home.command(program), *arguments],
            cwd=project,
            env=package.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.returncode, done.stdout + done.stderr
    with answer.open(encoding="utf-8") as rows:
        return {
            (row["metric_time__month"][:7], row["callcap_call__campaign_name"]): [
                written(row[f"callcap_{name}"]) for name in MEASURES
            ]
            for row in csv.DictReader(rows)
        }


def written(figure: float | str | None) -> str:
    """Return a figure in the one form in which they are compared."""
    return "" if figure in {None, ""} else f"{float(figure or 0):.4f}"
