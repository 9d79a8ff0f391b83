"""Runs the real target-snowflake, in its own environment, on fakesnow in the same process.

    python on_fakesnow.py FOLDER [options of target-snowflake]

FOLDER has the database, and then: `stage`, the user's internal stage; `statements.sql`, what the
target sent about stage and files. fakesnow knows no user stage and reads from no stage with a file
format, so these statements are executed here, each with the meaning that Snowflake documents:
DuckDB reads the staged files with the options of their file format, and the target's own SELECT and
MERGE run over their rows. Any other wording of them fails.
"""

from __future__ import annotations

import gzip
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import fakesnow
from fakesnow.cursor import FakeSnowflakeCursor
from target_snowflake.target import TargetSnowflake

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = r'[^\s(),]+\."tf-[^"]+"'  # of a file format
PLACE = r"'@~/target-snowflake/(?P<place>[\w-]+)/?'"
PUT = re.compile(rf"put '?(?P<file>file://[^']*)'? {PLACE}")
CREATE = re.compile(
    rf"create or replace file format (?P<name>{NAME})"
    r" type = '(?P<kind>JSON|PARQUET)' compression = 'AUTO'"
)
DROP = re.compile(rf"drop file format if exists (?P<name>{NAME})")
REMOVE = re.compile(f"remove {PLACE}")
MERGE = re.compile(
    r"merge into (?P<table>\S+) d using \((?P<select>select .*) from "
    rf"{PLACE}\(file_format => (?P<name>{NAME})\)"
    r" (?P<newest>QUALIFY .*)\) s on (?P<rest>.*)",
    re.DOTALL,
)
COPY = re.compile(
    r"copy into (?P<table>\S+) (?P<columns>\(.*\)) from \((?P<select>select .*) from "
    rf"{PLACE}\)file_format = \(format_name='(?P<name>{NAME})'\)",
    re.DOTALL,
)
READERS = {
    # Snowflake detects compression by the file's name, and one object a line.
    "JSON": "select json as line from read_ndjson_objects({files}, maximum_object_size=16777216)",
    "PARQUET": "select to_json(part) as line from read_parquet({files}) as part",
}

home = Path()
formats: dict[str, str] = {}


def put(cursor: FakeSnowflakeCursor, found: dict[str, str]) -> None:
    """Upload a file; like AUTO_COMPRESS=TRUE, Snowflake's default, compress one that is not."""
    source = Path(unquote(urlsplit(found["file"]).path))
    folder = home / "stage" / found["place"]
    folder.mkdir(parents=True, exist_ok=True)
    content = source.read_bytes()
    if content[:2] == b"\x1f\x8b" or source.suffix == ".parquet":
        (folder / source.name).write_bytes(content)
    else:
        (folder / f"{source.name}.gz").write_bytes(gzip.compress(content, 1))
    answer(cursor, source=source.name, status="UPLOADED")


def create(cursor: FakeSnowflakeCursor, found: dict[str, str]) -> None:
    """Remember a file format."""
    formats[found["name"]] = found["kind"]
    answer(cursor, status="File format successfully created.")


def drop(cursor: FakeSnowflakeCursor, found: dict[str, str]) -> None:
    """Forget a file format."""
    formats.pop(found["name"], None)
    answer(cursor, status="successfully dropped.")


def remove(cursor: FakeSnowflakeCursor, found: dict[str, str]) -> None:
    """Delete staged files."""
    shutil.rmtree(home / "stage" / found["place"], ignore_errors=True)
    answer(cursor, result="removed")


def merge(cursor: FakeSnowflakeCursor, found: dict[str, str]) -> None:
    """Merge the staged rows; fakesnow merges from a table."""
    source = read_stage(cursor, found)
    rows = f"{selected(found['select'], source)} {found['newest'].replace('SEQ8()', 'NUMBER')}"
    own_execute(cursor, f"create or replace table {source}_ROWS as {rows}")
    own_execute(cursor, f"merge into {found['table']} d using {source}_ROWS s on {found['rest']}")


def copy(cursor: FakeSnowflakeCursor, found: dict[str, str]) -> None:
    """Append the staged rows."""
    source = read_stage(cursor, found)
    select = selected(found["select"], source)
    own_execute(cursor, f"insert into {found['table']} {found['columns']} {select}")
    count = cursor.rowcount
    answer(cursor, file=found["place"], status="LOADED", rows_parsed=count, rows_loaded=count)


def read_stage(cursor: FakeSnowflakeCursor, found: dict[str, str]) -> str:
    """Read the staged files into a table of numbered rows, and return its name."""
    kind = formats[found["name"]]
    files = sorted(map(str, (home / "stage" / found["place"]).iterdir()))
    table = f"{found['table'].rpartition('.')[0]}.STAGED"
    own_execute(cursor, f"use schema {found['table'].rpartition('.')[0]}")
    own_execute(cursor, f"create or replace table {table} (NUMBER INTEGER, LINE VARIANT)")
    cursor._duck_conn.execute(  # noqa: SLF001 - DuckDB itself
        f"insert into {table} select row_number() over (), line from "
        f"({READERS[kind].format(files=files)})"
    )
    return table


def selected(select: str, table: str) -> str:
    """Return the target's select list over the rows of a table instead of a stage."""
    return f"{select.replace('$1:', 'LINE:')} from {table}"


def answer(cursor: FakeSnowflakeCursor, **row: object) -> None:
    """Let the statement have one row as its result."""
    columns = ", ".join(f"{value!r} as {name}" for name, value in row.items())
    own_execute(cursor, f"select {columns}")


STATEMENTS: dict[re.Pattern[str], Callable[[FakeSnowflakeCursor, dict[str, str]], None]] = {
    PUT: put,
    CREATE: create,
    DROP: drop,
    REMOVE: remove,
    MERGE: merge,
    COPY: copy,
}
own_execute = FakeSnowflakeCursor.execute


def execute(
    cursor: FakeSnowflakeCursor, command: str, params: Any = None, *more: Any, **options: Any
) -> FakeSnowflakeCursor:
    """Execute a statement here if it is about stage and files, else in fakesnow."""
    text = command % params if "put %(" in command else command.replace("%%", "%")
    for pattern, meaning in STATEMENTS.items():
        if found := pattern.fullmatch(text):
            with (home / "statements.sql").open("a", encoding="utf-8") as file:
                file.write(f"{text};\n")
            meaning(cursor, found.groupdict())
            return cursor
    if "@~" in text or re.match(
        r"\s*(put|copy|remove|create .*file format)\b", text, re.IGNORECASE
    ):
        msg = f"a statement that on_fakesnow.py does not know: {text}"
        raise NotImplementedError(msg)
    return own_execute(cursor, command, params, *more, **options)


FakeSnowflakeCursor.execute = execute
TargetSnowflake.max_parallelism = 1  # fakesnow has one connection for all streams


def main() -> None:
    """Run the target; its first argument is the folder."""
    global home  # noqa: PLW0603 - of this process
    home = Path(sys.argv.pop(1))
    with fakesnow.patch(db_path=str(home)):
        TargetSnowflake.cli()


if __name__ == "__main__":
    main()
