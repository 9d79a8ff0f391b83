"""Runs the real target-snowflake, in its own environment, on fakesnow in the same process.

    python on_fakesnow.py FOLDER [options of target-snowflake]

fakesnow has no stage for files, so the statements that load from one are given a table with the
files' lines instead; all else that the target does is its own.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import fakesnow
from pyarrow import parquet
from target_snowflake.connector import SnowflakeConnector
from target_snowflake.target import TargetSnowflake

UNKNOWN_TO_FAKESNOW = [r"drop file format.*", r"remove .*"]
STAGE = re.compile(r"'@~/target-snowflake/[^']*'(\(file_format => [^)]*\))?")
MERGE = re.compile(
    r"merge into (?P<table>\S+) d using \((?P<source>.*)\) s on (?P<rest>.*)", re.DOTALL
)

staged: dict[str, list[str]] = {}


def put_batches_to_stage(_: SnowflakeConnector, sync_id: str, files: list[str]) -> None:
    """Remember what should be uploaded."""
    staged[sync_id] = list(files)


def merge_from_stage(self: SnowflakeConnector, *, sync_id: str, **options: object) -> int:
    """Merge as the target would, from a table; fakesnow merges from no subquery."""
    statement, _ = self._get_merge_from_stage_statement(sync_id=sync_id, **options)
    text = STAGE.sub("STAGED", statement.text).replace("$1:", "LINE:").replace("SEQ8()", "NUMBER")
    parts = MERGE.fullmatch(text)
    folder = str(options["full_table_name"]).rpartition(".")[0]
    with self._connect() as connection, connection.begin():

        def execute(query: str, *values: tuple[object, ...]) -> None:
            connection.exec_driver_sql(query if values else query.replace("%", "%%"), *values)

        execute(f"use schema {folder}")
        execute("create or replace table STAGED (NUMBER INTEGER, LINE VARIANT)")
        lines = [line for file in staged.pop(sync_id) for line in lines_of(file)]
        for number, line in enumerate(lines):
            execute("insert into STAGED select %s, parse_json(%s)", (number, line))
        execute(f"create or replace table SOURCE as {parts['source']}")
        execute(f"merge into {parts['table']} d using SOURCE s on {parts['rest']}")
        execute("drop table SOURCE")
        execute("drop table STAGED")
    return len(lines)


def lines_of(url: str) -> list[str]:
    """Return the lines of a file of the target's or of a BATCH message."""
    path = Path(urlsplit(url).path)
    if path.suffix == ".parquet":  # which the target makes of Arrow files
        rows = parquet.read_table(path).to_pylist()
        return [json.dumps(row, default=datetime.isoformat) for row in rows]
    content = path.read_bytes()
    return gzip.decompress(content).decode().split("\n")[:-1]


SnowflakeConnector.put_batches_to_stage = put_batches_to_stage
SnowflakeConnector.merge_from_stage = merge_from_stage

if __name__ == "__main__":
    database = sys.argv.pop(1)
    with fakesnow.patch(db_path=database, nop_regexes=UNKNOWN_TO_FAKESNOW):
        TargetSnowflake.cli()
