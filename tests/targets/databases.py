"""Targets that are databases."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from targets.environments import environment
from targets.loader import PRINT_ROWS, Loader
from targets.postgresql import postgresql
from targets.servers import running

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from targets.truth import Row

REFUSED = 987654321
"""The seconds of a call that a table refuses."""
EMULATED = Path(__file__).with_name("emulated")


class DuckDB(Loader):
    """The embedded warehouse."""

    name = "target-duckdb"
    title = "DuckDB"
    column_types: ClassVar = {
        "string": "VARCHAR",
        "json": "VARCHAR",
        "date-time": "TIMESTAMP",
        "integer": "BIGINT",
        "number": "DOUBLE",
        "boolean": "BOOLEAN",
        "object": "JSON",
        "array": "JSON",
    }
    nothing = ("",)
    equality = "An empty text in a column of its own is null."
    cannot: ClassVar = {"batch": "It knows no BATCH messages, and fails."}
    python_before = (3, 14)  # duckdb 1.1.3
    method = "upserts each batch from a CSV file"
    refusing = f"""
import sys, duckdb
with duckdb.connect(sys.argv[1]) as database:
    database.execute("create schema callcap")
    database.execute(
        "create table callcap.calls"
        " (call_id varchar primary key, duration bigint check (duration <> {REFUSED}))"
    )
"""
    metadata: ClassVar = {"add_metadata_columns": True, "hard_delete": True}
    _fetch = f"""
import duckdb
def fetch(path, query):
    with duckdb.connect(path, read_only=True) as database:
        database.execute("set enable_progress_bar = false")  # it is printed where rows are
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

    @property
    def place(self) -> tuple[str, ...]:
        """The arguments of `refusing`."""
        return (str(self.path),)

    def query(self, query: str) -> list[Row]:
        """Return what the warehouse answers."""
        rows: list[Row] = json.loads(self.run_script(self._fetch, str(self.path), query))
        return rows

    def create(self) -> None:
        """Make the file, which DuckDB itself cannot open if it was killed as it made it."""
        self.run_script("import sys, duckdb; duckdb.connect(sys.argv[1]).close()", str(self.path))

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
    modules = ("psycopg", "psycopg.rows")
    method = "upserts each batch from a temporary table"
    refusing = f"""
import sys, psycopg
with psycopg.connect(f"host={{sys.argv[1]}} user=postgres") as database:
    database.execute(f"create schema {{sys.argv[2]}}")
    database.execute(
        f"create table {{sys.argv[2]}}.calls"
        " (call_id text primary key, duration bigint check (duration <> {REFUSED}))"
    )
"""
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

    @property
    def table(self) -> str:
        """The name of the table in queries."""
        return f"{self.schema}.calls"

    @property
    def place(self) -> tuple[str, ...]:
        """The arguments of `refusing`."""
        return (str(self.server), self.schema)

    def query(self, query: str) -> list[Row]:
        """Return what the warehouse answers."""
        rows: list[Row] = json.loads(self.run_script(self._fetch, str(self.server), query))
        return rows

    def rows(self) -> list[Row]:
        """Return the rows of the table."""
        return self.query(f"select * from {self.table}")  # noqa: S608 - a name of ours

    def columns(self) -> dict[str, str]:
        """Return the columns with their types."""
        query = "select column_name, data_type from information_schema.columns where table_schema ="
        rows = self.query(f"{query} '{self.schema}'")
        return {row["column_name"]: row["data_type"] for row in rows}


class Snowflake(Loader):
    """Snowflake's SQL as fakesnow understands it."""

    name = "target-snowflake"
    title = "Snowflake"
    extras = ("fakesnow==0.12.1",)
    takes_arrow = True
    script = EMULATED / "on_fakesnow.py"
    arguments = ("database",)
    method = "stages files and merges each"
    refusing = f"""
import sys, fakesnow, snowflake.connector
with fakesnow.patch(db_path=sys.argv[1]):
    connection = snowflake.connector.connect(database="SANDBOX", schema="CALLCAP")
    connection.cursor().execute(
        "create table CALLCAP.CALLS"
        " (CALL_ID VARCHAR PRIMARY KEY, DURATION NUMBER CHECK (DURATION <> {REFUSED}))"
    )
"""
    stand_in = (
        "The real target, on [fakesnow](https://github.com/tekumara/fakesnow) 0.12.1 in place of "
        "Snowflake: its tables, casts and MERGE are executed. fakesnow has no user stage; so PUT, "
        "CREATE FILE FORMAT, COPY and REMOVE are executed by the tests, in these words only, and "
        "DuckDB reads the staged files with the options of the file format."
    )
    column_types: ClassVar = {
        "string": "VARCHAR(16777216)",
        "json": "VARCHAR(16777216)",
        "date-time": "TIMESTAMP_NTZ(9)",
        "integer": "NUMBER(38,0)",
        "number": "FLOAT",
        "boolean": "BOOLEAN",
        "object": "VARIANT",
        "array": "VARIANT",
    }
    _fetch = f"""
import fakesnow, snowflake.connector
def fetch(folder, query):
    with fakesnow.patch(db_path=folder):
        connection = snowflake.connector.connect(database="SANDBOX", schema="CALLCAP")
        with connection.cursor(snowflake.connector.cursor.DictCursor) as cursor:
            rows = cursor.execute(query).fetchall()
        return [{{name.lower(): value for name, value in row.items()}} for row in rows]
{PRINT_ROWS}"""

    def __init__(self, folder: Path, server: Any) -> None:
        """Make a folder for fakesnow's files."""
        super().__init__(folder, server)
        (folder / "database").mkdir()

    @property
    def config(self) -> dict[str, Any]:
        """The target's config."""
        return {
            "account": "sandbox",
            "user": "sandbox",
            "password": "sandbox",
            "database": "SANDBOX",
            "default_target_schema": "CALLCAP",
        }

    @property
    def place(self) -> tuple[str, ...]:
        """The arguments of `refusing`."""
        return (str(self.folder / "database"),)

    def query(self, query: str) -> list[Row]:
        """Return what the warehouse answers, names in lower case."""
        rows: list[Row] = json.loads(
            self.run_script(self._fetch, str(self.folder / "database"), query)
        )
        return rows

    def rows(self) -> list[Row]:
        """Return the rows of the table."""
        return self.query("select * from callcap.calls")

    def columns(self) -> dict[str, str]:
        """Return the columns with their types."""
        return {
            row["name"].lower(): row["type"] for row in self.query("describe table callcap.calls")
        }


class BigQuery(Loader):
    """BigQuery as bqemulator plays it."""

    name = "target-bigquery"
    title = "BigQuery"
    stand_in = (
        "The real target, by `streaming_insert`, on bqemulator 1.4.0 in place of BigQuery. By "
        "`storage_write_api` the emulator takes no nested records, and by `batch_job` no rows, "
        "so these two are not tested."
    )
    nothing: ClassVar[tuple[object, ...]] = ([],)
    equality = "An array is never null: it is empty."
    cannot: ClassVar = {
        "batch": "It takes BATCH messages, loads nothing and exits 0: leave `batch_config` out."
    }
    metadata: ClassVar = {}
    python_before = (3, 12)
    column_types: ClassVar = {
        "string": "STRING",
        "json": "STRING",
        "date-time": "TIMESTAMP",
        "integer": "INTEGER",
        "number": "FLOAT",
        "boolean": "BOOLEAN",
        "object": "RECORD",
        "array": "RECORD",
    }
    _emulator = (
        "bqemulator==1.4.0",
        "duckdb==1.5.5",
        "duckdb-extensions",
        "duckdb-extension-spatial==1.5.5",
        "google-cloud-bigquery",
        "numpy",
    )
    _fetch = f"""
import os
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client
def fetch(address, query):
    os.environ["BIGQUERY_EMULATOR_HOST"] = address
    client = Client(project="sandbox", credentials=AnonymousCredentials())
    if not query.startswith("select"):
        return [{{field.name: field.field_type}} for field in client.get_table(query).schema]
    return [dict(row) for row in client.query(query).result()]
{PRINT_ROWS}"""

    def __init__(self, folder: Path, server: Any) -> None:
        """Take a dataset of one's own."""
        super().__init__(folder, server)
        self.dataset = f"callcap_{uuid4().hex}"

    @classmethod
    @contextmanager
    def serving(cls) -> Generator[Any, None, None]:
        """Run the emulator."""
        emulator = environment("bqemulator", cls._emulator)
        install = "from duckdb_extensions import import_extension as install; install('spatial')"
        home = {"HOME": str(emulator.home)}  # where DuckDB looks for extensions
        subprocess.run([emulator.python, "-c", install], env={**os.environ, **home}, check=True)
        command = [str(emulator.command("bqemulator")), "start", "--rest-port=0", "--grpc-port=0"]
        with running([*command, "--project=sandbox"], environment=home) as address:
            yield address

    @classmethod
    def command(cls) -> Sequence[str]:
        """Return the target's command on the emulator."""
        return [str(cls.environment().python), str(EMULATED / "on_bqemulator.py")]

    @property
    def variables(self) -> dict[str, str]:
        """Where the emulator is."""
        return {"BIGQUERY_EMULATOR_HOST": self.server}

    @property
    def config(self) -> dict[str, Any]:
        """The target's config."""
        return {
            "project": "sandbox",
            "dataset": self.dataset,
            "denormalized": True,
            "method": "streaming_insert",
            "upsert": True,
            "dedupe_before_upsert": True,
        }

    @property
    def table(self) -> str:
        """The name of the table in queries."""
        return f"{self.dataset}.calls"

    def query(self, query: str) -> list[Row]:
        """Return what the warehouse answers; to the name of a table, its columns."""
        rows: list[Row] = json.loads(self.environment().run(self._fetch, self.server, query))
        return rows

    def rows(self) -> list[Row]:
        """Return the rows of the table."""
        return self.query(f"select * from {self.table}")  # noqa: S608 - a name of ours

    def columns(self) -> dict[str, str]:
        """Return the columns with their types."""
        columns = self.query(f"sandbox.{self.table}")
        return {name: kind for column in columns for name, kind in column.items()}
