"""The targets: how each is configured, and how what it made is read back.

A loader is one target with one empty destination. Which versions are installed is in meltano.yml;
what emulators and readers need besides is here.
"""

from __future__ import annotations

import csv
import json
from abc import ABC, abstractmethod
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from targets.environments import Environment, environment, pip_url
from targets.postgresql import postgresql
from targets.truth import Row, kind_of, schema_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

# Prints rows as JSON; `fetch` is what differs.
PRINT_ROWS = """
import json, sys
def as_json(value):
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return int(value) if value == value.to_integral_value() else float(value)  # a Decimal
json.dump(fetch(*sys.argv[1:]), sys.stdout, default=as_json)
"""


class Loader(ABC):
    """One target with one empty destination."""

    name: ClassVar[str]  # as in meltano.yml
    title: ClassVar[str]
    extras: ClassVar[tuple[str, ...]] = ()
    """What its environment needs besides."""
    column_types: ClassVar[Mapping[str, str]] = {}
    """The type of a column for each kind of property, as the target's own software calls it."""
    nothing: ClassVar[tuple[object, ...]] = ()
    """What it cannot tell from null in a column of its own."""
    appends: ClassVar[bool] = False
    """Whether an edited call is another row; the newest one counts."""
    cannot: ClassVar[Mapping[str, str]] = {}
    """Columns of docs/targets.md whose tests it cannot pass, each with the reason."""
    python_before: ClassVar[tuple[int, int]] = (3, 15)
    metadata: ClassVar[Mapping[str, Any]] = {"add_record_metadata": True, "hard_delete": True}
    """The settings that add columns about the load, and delete rows for good."""

    def __init__(self, folder: Path, server: Any) -> None:
        """Take an empty folder, and what `serving` yielded."""
        self.folder = folder
        self.server = server

    @classmethod
    @contextmanager
    def serving(cls) -> Generator[Any, None, None]:
        """Run what the target writes to, where that is no file."""
        yield None

    @classmethod
    def environment(cls) -> Environment:
        """Return where the target is installed."""
        return environment(cls.name, (*pip_url(cls.name), *cls.extras))

    @classmethod
    def command(cls) -> Sequence[str | Path]:
        """Return the command of the target."""
        return [cls.environment().command(cls.name)]

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The target's config."""

    @abstractmethod
    def rows(self) -> list[Row]:
        """Return the rows in the destination."""

    def columns(self) -> dict[str, str]:
        """Return the columns with their types."""
        return {}


class DuckDB(Loader):
    """The embedded warehouse."""

    name = "target-duckdb"
    title = "DuckDB"
    column_types: ClassVar = {
        "string": "VARCHAR",
        "json": "VARCHAR",
        "date-time": "TIMESTAMP",
        "integer": "HUGEINT",
        "number": "DOUBLE",
        "boolean": "BOOLEAN",
        "object": "JSON",
        "array": "JSON",
    }
    nothing = ("",)
    cannot: ClassVar = {"batch": "it knows no BATCH messages"}
    metadata: ClassVar = {"add_metadata_columns": True, "hard_delete": True}
    _fetch = f"""
import duckdb
def fetch(path, query):
    with duckdb.connect(path, read_only=True) as database:
        found = database.execute(query)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row)) for row in found.fetchall()]
{PRINT_ROWS}"""

    @property
    def path(self) -> Path:
        """The database."""
        return self.folder / "warehouse.duckdb"

    @property
    def config(self) -> dict[str, Any]:
        """The target's config."""
        return {"path": str(self.path), "default_target_schema": "callcap"}

    def query(self, query: str) -> list[Row]:
        """Return what the warehouse answers."""
        rows: list[Row] = json.loads(self.environment().run(self._fetch, str(self.path), query))
        return rows

    def rows(self) -> list[Row]:
        """Return the rows of the table."""
        return self.query("select * from callcap.calls")

    def columns(self) -> dict[str, str]:
        """Return the columns with their types."""
        rows = self.query("describe callcap.calls")
        return {row["column_name"]: row["column_type"] for row in rows}


class PostgreSQL(Loader):
    """A real server, in a schema of its own."""

    name = "target-postgres"
    title = "PostgreSQL"
    column_types: ClassVar = {
        "string": "text",
        "json": "text",
        "date-time": "timestamp without time zone",
        "integer": "bigint",
        "number": "numeric",
        "boolean": "boolean",
        "object": "jsonb",
        "array": "ARRAY",
    }
    _fetch = f"""
import psycopg, psycopg.rows
def fetch(folder, query):
    with psycopg.connect(f"host={{folder}} user=postgres", row_factory=psycopg.rows.dict_row) as it:
        return it.execute(query).fetchall()
{PRINT_ROWS}"""

    def __init__(self, folder: Path, server: Any) -> None:
        """Take a schema of one's own."""
        super().__init__(folder, server)
        self.schema = f"callcap_{uuid4().hex}"

    @classmethod
    @contextmanager
    def serving(cls) -> Generator[Any, None, None]:
        """Run a server."""
        with postgresql() as folder:
            yield folder

    @property
    def config(self) -> dict[str, Any]:
        """The target's config."""
        return {
            "sqlalchemy_url": f"postgresql+psycopg://postgres@/postgres?host={self.server}",
            "default_target_schema": self.schema,
            "load_method": "upsert",
        }

    def query(self, query: str) -> list[Row]:
        """Return what the warehouse answers."""
        rows: list[Row] = json.loads(self.environment().run(self._fetch, str(self.server), query))
        return rows

    def rows(self) -> list[Row]:
        """Return the rows of the table."""
        return self.query(f"select * from {self.schema}.calls")  # noqa: S608 - a name of ours

    def columns(self) -> dict[str, str]:
        """Return the columns with their types."""
        rows = self.query(
            "select column_name, data_type from information_schema.columns "
            f"where table_schema = '{self.schema}'"
        )
        return {row["column_name"]: row["data_type"] for row in rows}


class JSONLines(Loader):
    """A file that grows."""

    name = "target-jsonl"
    title = "JSON Lines"
    appends = True
    cannot: ClassVar = {"batch": "it knows no BATCH messages"}
    metadata: ClassVar = {}

    @property
    def config(self) -> dict[str, Any]:
        """The target's config."""
        return {"destination_path": str(self.folder), "do_timestamp_file": False}

    def rows(self) -> list[Row]:
        """Return the lines of the file."""
        lines = (self.folder / "calls.jsonl").read_text("utf-8").split("\n")
        return [json.loads(line, parse_float=Decimal) for line in lines if line]


class CSV(Loader):
    """A file for each run."""

    name = "target-csv"
    title = "CSV"
    nothing = ("",)
    appends = True
    cannot: ClassVar = {
        "equal": "it writes objects and arrays as Python would, not as JSON: flatten them",
        "batch": "BATCH files are never flattened, and objects are written as Python would",
    }

    @property
    def config(self) -> dict[str, Any]:
        """The target's config."""
        return {
            "output_path": str(self.folder),
            "file_naming_scheme": "{stream_name}-{timestamp}.csv",
        }

    def rows(self) -> list[Row]:
        """Return the lines of all files."""
        csv.field_size_limit(2**31 - 1)
        rows: list[Row] = []
        for file in sorted(self.folder.glob("calls-*.csv")):
            with file.open(encoding="utf-8", newline="") as lines:
                rows += [
                    {column: _typed(text, column) for column, text in line.items()}
                    for line in csv.DictReader(lines)
                ]
        return rows


def _typed(text: str, column: str) -> Any:
    """Return what a field of a CSV file means."""
    kind = "string" if column.startswith("_sdc_") else kind_of(schema_of(column))
    if not text:
        return None
    if kind == "boolean":
        return {"True": True, "False": False}[text]
    return {"integer": int, "number": Decimal}.get(kind, str)(text)


LOADERS: tuple[type[Loader], ...] = (DuckDB, PostgreSQL, JSONLines, CSV)
"""Every loader."""
