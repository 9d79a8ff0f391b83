"""The whole way: where a loader of the benchmarks writes, and the calls that it has there.

Targets are installed in the environments of the tests, in the versions of meltano.yml.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "tests"))

from targets.environments import environment, pip_url  # noqa: E402 - just put on the path
from targets.postgresql import postgresql  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from targets.environments import Environment

COUNT = "select count(*), count(distinct call_id) from callcap.calls"
COUNT_IN_DUCKDB = f"""
import duckdb, sys
with duckdb.connect(sys.argv[1], read_only=True) as database:
    print(*database.execute("{COUNT}").fetchone())
"""
COUNT_IN_POSTGRESQL = f"""
import sys
try:
    import psycopg
except ImportError:
    import psycopg2 as psycopg
connection = psycopg.connect(host=sys.argv[1], user="postgres")
cursor = connection.cursor()
cursor.execute("{COUNT}")
print(*cursor.fetchone())
cursor.execute("drop schema callcap cascade")
connection.commit()
"""


@dataclass(frozen=True)
class Warehouse:
    """What is loaded: by a target, or by a reader that loads by itself."""

    name: str
    """Of the target, as in meltano.yml."""
    config: Mapping[str, Any]
    count: str = ""
    """A script that prints how many calls there are; none where they are files."""
    extras: tuple[str, ...] = ()
    script: Path | None = None
    """What runs the target instead of its command."""

    def serving(self) -> AbstractContextManager[str]:
        """Run the server that it needs; yields its folder."""
        return _postgresql() if self.name == "target-postgres" else nullcontext("")

    @property
    def environment(self) -> Environment:
        """Where the target is installed."""
        return environment(self.name, (*pip_url(self.name), *self.extras))

    def command(self) -> Sequence[str]:
        """The command line of the target."""
        own = self.environment
        start = [own.python, self.script] if self.script else [own.command(self.name)]
        return [*map(str, start), "--config=target.json"]

    def config_for(self, server: str) -> dict[str, Any]:
        """The target's config; its places are in the folder of the run."""
        return {
            name: value.format(server=server) if isinstance(value, str) else value
            for name, value in self.config.items()
        }

    def counted(self, folder: Path, server: str, python: Path | None = None) -> tuple[int, int]:
        """How many rows there are, and how many different calls; `python` is another reader's."""
        if not self.count:
            return counted_in(folder / "loaded" / ("callcap/calls" if python else ""))
        place = server or str(folder / "warehouse.duckdb")
        command = [str(python or self.environment.python), "-c", self.count, place]
        rows, calls = subprocess.run(command, check=True, capture_output=True).stdout.split()
        return int(rows), int(calls)


def counted_in(folder: Path) -> tuple[int, int]:
    """How many rows the files in `folder` have, and how many different calls.

    Another process looks, so that the one that measures stays small.
    """
    command = [sys.executable, str(HERE / "rows.py"), str(folder)]
    rows, calls = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return rows, calls


@contextmanager
def _postgresql() -> Generator[str, None, None]:
    with postgresql() as folder:
        yield str(folder)


WAREHOUSES = {
    "DuckDB": Warehouse(
        "target-duckdb",
        {"path": "warehouse.duckdb", "default_target_schema": "callcap"},
        COUNT_IN_DUCKDB,
    ),
    "PostgreSQL": Warehouse(
        "target-postgres",
        {
            "sqlalchemy_url": "postgresql+psycopg://postgres@/postgres?host={server}",
            "default_target_schema": "callcap",
            "load_method": "upsert",
        },
        COUNT_IN_POSTGRESQL,
    ),
    "Snowflake's stage": Warehouse(
        "target-snowflake",
        {
            "account": "sandbox",
            "user": "sandbox",
            "password": "sandbox",
            "database": "SANDBOX",
            "default_target_schema": "CALLCAP",
        },
        extras=("fakesnow==0.12.1",),
        script=HERE / "peers" / "snowflake_stage.py",
    ),
    "JSON Lines": Warehouse(
        "target-jsonl", {"destination_path": "loaded", "do_timestamp_file": False}
    ),
}
