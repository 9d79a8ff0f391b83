"""target-bigquery by each of its four methods, with Google's services in its own process."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from targets.databases import EMULATED, BigQuery

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from targets.truth import Row

METHODS = ("streaming_insert", "storage_write_api", "batch_job", "gcs_stage")


@dataclass(frozen=True)
class Ended:
    """What a run of the target came to."""

    code: int
    states: list[Row]
    log: str


class GoogleAPIs(BigQuery):
    """BigQuery as its client libraries see it; a MERGE is done by its meaning."""

    method: ClassVar = "gcs_stage"
    checked: ClassVar = True

    @classmethod
    def command(cls) -> Sequence[str]:
        """Return the target's command on Google's services."""
        kind = "checked" if cls.checked else "plain"
        script = EMULATED / "on_google_apis.py"
        return [str(cls.environment().python), str(script), kind, "bigquery"]

    @property
    def variables(self) -> dict[str, str]:
        """Nothing goes wrong."""
        return {}

    @property
    def config(self) -> dict[str, Any]:
        """The target's config."""
        return super().config | {"method": self.method, "bucket": "files"}

    def table_named(self, name: str) -> Row:
        """Return schema and rows of a table."""
        kept = json.loads((self.folder / "bigquery" / "tables.json").read_text("utf-8"))
        table: Row = kept[f"sandbox.{name}"]
        return table

    def rows(self) -> list[Row]:
        """Return the rows of the table."""
        rows: list[Row] = self.table_named(self.table)["rows"]
        return rows

    def columns(self) -> dict[str, str]:
        """Return the columns with their types."""
        columns = self.table_named(self.table)["schema"]
        return {column["name"]: column["type"].upper() for column in columns}

    def sent(self) -> list[tuple[str, str]]:
        """Return the kind and the decoded content of each request with rows."""
        files = sorted((self.folder / "bigquery" / "sent").iterdir())
        return [(file.name.split()[1], file.read_text("utf-8")) for file in files]

    def run(self, lines: Iterable[str], *, faults: Row | None = None, **settings: Any) -> Ended:
        """Run the target over messages, with what goes wrong on purpose."""
        config = self.folder / "target.json"
        config.write_text(json.dumps(self.config | settings), "utf-8")
        done = subprocess.run(
            [*self.command(), "--config", str(config)],
            cwd=self.folder,
            env=os.environ | {"FAULTS": json.dumps(faults or {})},
            input="".join(f"{line}\n" for line in lines),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        states = [json.loads(line) for line in done.stdout.splitlines()]
        return Ended(done.returncode, states, done.stderr)


def by_method(method: str, *, checked: bool, folder: Path) -> GoogleAPIs:
    """Return an empty destination of a method, with or without the check."""
    kind: type[GoogleAPIs] = type("M", (GoogleAPIs,), {"method": method, "checked": checked})
    return kind(folder, None)
