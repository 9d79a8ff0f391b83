"""target-bigquery by each of its four methods, with Google's services in its own process."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from targets.databases import EMULATED, BigQuery

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from pathlib import Path

    from targets.truth import Row

SCRIPT = EMULATED / "on_google_apis.py"
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
        return [str(cls.environment().python), str(SCRIPT), kind, "bigquery"]

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

    @classmethod
    @contextmanager
    def serving(cls) -> Generator[Any, None, None]:
        """Run what runs the target, so that its libraries are imported only once."""
        with subprocess.Popen(
            [cls.environment().python, SCRIPT, "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            yield server

    def run(self, lines: Iterable[str], *, faults: Row | None = None, **settings: Any) -> Ended:
        """Run the target over messages, with what goes wrong on purpose."""
        files = {
            "input": "".join(f"{line}\n" for line in lines),
            "target.json": json.dumps(self.config | settings),
        }
        for name, content in files.items():
            (self.folder / name).write_text(content, "utf-8")
        job = {
            "folder": str(self.folder),
            "faults": json.dumps(faults or {}),
            "command": [*self.command()[1:], "--config", "target.json"],
        }
        self.server.stdin.write(f"{json.dumps(job)}\n")
        self.server.stdin.flush()
        code = int(self.server.stdout.readline())
        output, log = ((self.folder / name).read_text("utf-8") for name in ("output", "log"))
        return Ended(code, [json.loads(line) for line in output.splitlines()], log)


def by_method(method: str, *, checked: bool, folder: Path, server: Any) -> GoogleAPIs:
    """Return an empty destination of a method, with or without the check."""
    kind: type[GoogleAPIs] = type("M", (GoogleAPIs,), {"method": method, "checked": checked})
    return kind(folder, server)
