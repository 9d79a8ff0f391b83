"""The dbt package over what a target loaded."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from support.selecting import selected_by_meltano
from targets.databases import PostgreSQL
from targets.environments import CHECKOUT, environment, pip_url

if TYPE_CHECKING:
    from pathlib import Path

    from targets.environments import Environment
    from targets.loader import Loader
    from targets.truth import Row

PACKAGE = CHECKOUT / "dbt"
DBT = (*pip_url("dbt-callcap", "utilities"), "dbt-postgres==1.11.0")
MARTS = "analytics"
TIMEZONE = "America/Chicago"

NOW = datetime(2026, 5, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
EDITED = NOW - timedelta(minutes=30)  # within the lookback of a run at NOW
LOST = 10  # calls
FLATTENED = {"flattening_enabled": True, "flattening_max_depth": 3}


def every_stream() -> dict[str, Any]:
    """Return a catalog that selects what Meltano loads, and the other streams."""
    return selected_by_meltano(*(
        "calls.*",
        "accounts.*",
        "csrs.*",
        "call_counts.*",
        "!calls.demographics",
    ))


def dbt_environment() -> Environment:
    """Return where dbt is installed, with the adapters that it is tested with."""
    return environment("dbt", DBT)


class Package:
    """The package, which builds its marts beside what a target loaded."""

    def __init__(self, loader: Loader, *, loaded_at: str | None) -> None:
        """Build over what `loader` loaded; it noted the time in a column, or not."""
        self.loader = loader
        self.loaded_at = loaded_at
        self.target = loader.name.removeprefix("target-")
        self.source = loader.table.partition(".")[0]
        self.schema = f"{self.source}_{MARTS}"
        self.output = ""
        """What the last build printed."""

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which the profiles of the package lead to the warehouse."""
        return {
            **os.environ,
            "DBT_CALLCAP_PATH": str(self.loader.folder / "warehouse.duckdb"),
            "DBT_CALLCAP_HOST": str(self.loader.server),
            "DBT_CALLCAP_SCHEMA": self.schema,
        }

    def build(self) -> None:
        """Build and test all models."""
        done = self._dbt("build")
        assert not done.returncode, done.stdout + done.stderr
        self.output = done.stdout

    def freshness(self) -> dict[str, str]:
        """Return how fresh dbt finds each source."""
        self._dbt("source", "freshness")
        found = json.loads((self.loader.folder / "target" / "sources.json").read_text("utf-8"))
        return {it["unique_id"].rpartition(".")[2]: it["status"] for it in found["results"]}

    def _dbt(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of dbt."""
        folder = self.loader.folder
        values = {
            "callcap_schema": self.source,
            "callcap_timezone": TIMEZONE,
            "callcap_loaded_at": self.loaded_at,
        }
        whole: list[str | Path] = [
            dbt_environment().command("dbt"),
            *command,
            "--no-use-colors",
            *("--project-dir", PACKAGE, "--profiles-dir", PACKAGE, "--target", self.target),
            *("--target-path", folder / "target", "--log-path", folder / "logs"),
            *("--vars", json.dumps(values)),
        ]
        return subprocess.run(
            whole,
            cwd=folder,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def query(self, query: str) -> list[Row]:
        """Return what a query over the package's models finds."""
        return self.loader.query(query.replace("analytics.", f"{self.schema}."))

    def rows(self, model: str) -> list[Row]:
        """Return the rows of a model."""
        rows = self.query(f"select * from analytics.{model}")  # noqa: S608 - a name of ours
        if isinstance(self.loader, PostgreSQL):
            return rows
        return [{name.lower(): value for name, value in row.items()} for row in rows]
