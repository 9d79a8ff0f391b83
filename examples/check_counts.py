#!/usr/bin/env python3
"""Compare the warehouse with what a run wrote and with Callcap's counts; exit 1 if it differs.

    check_counts.py TARGET COUNTS

TARGET is a target of the SDK whose `sqlalchemy_url` is in the environment, such as
TARGET_POSTGRES_SQLALCHEMY_URL. COUNTS is the file that `callcap-load` wrote (CALLCAP_LOAD_COUNTS).
If the run also read `call_counts`, each of its days is compared with the calls in the warehouse;
that makes sense only without filters.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

HERE = "CHECK_COUNTS_HERE"
command = shutil.which(sys.argv[1]) if sys.argv[1:] else None
python = Path(command).resolve().with_name("python") if command else None
if HERE not in os.environ and python and python.exists():
    # The target's Python has SQLAlchemy and the driver of the database.
    os.environ[HERE] = "yes"
    os.execv(python, [str(python), *sys.argv])  # noqa: S606 - the user's own target
try:
    import sqlalchemy
except ImportError:
    sys.exit("check_counts: run it with a Python that has SQLAlchemy and the database's driver")

UTC = timezone.utc


def differences(connection: sqlalchemy.Connection, schema: str, counts: Path) -> list[str]:
    """Return what differs, a line each."""
    wrote = json.loads(counts.read_text(encoding="utf-8"))
    since = datetime.fromtimestamp(wrote["since"], UTC).replace(tzinfo=None)
    if "BATCH" in wrote["records"]:
        return [
            "the run wrote BATCH files, whose rows have no time of loading: they cannot be counted"
        ]

    def ask(query: str, **values: object) -> list[sqlalchemy.Row[Any]]:
        return [*connection.execute(sqlalchemy.text(query), values)]

    found = []
    for stream, records in wrote["records"].items():
        query = f"select count(*) from {schema}.{stream} where _sdc_batched_at >= :since"  # noqa: S608
        ((rows,),) = ask(query, since=since)
        if rows != records:
            found.append(f"{stream}: the run wrote {records:,} records, {rows:,} rows are loaded")
    if "call_counts" in wrote["records"]:
        query = f"select day, timezone, calls from {schema}.call_counts"  # noqa: S608
        days = {
            (str(row.day)[:10], row.timezone): int(row.calls)
            for row in ask(f"{query} where _sdc_batched_at >= :since", since=since)
        }
        first = datetime.fromisoformat(min(day for day, _ in days)) - timedelta(days=1)
        query = f"select start_datetime from {schema}.calls"  # noqa: S608
        begun = tuple(row[0] for row in ask(f"{query} where start_datetime >= :first", first=first))
        for (day, zone), calls in days.items():
            has = days_in(zone, begun)[day]
            if has < calls:
                found.append(f"{day}: Callcap counts {calls:,} calls, the warehouse has {has:,}")
    return found


@cache
def days_in(zone: str, begun: tuple[datetime, ...]) -> Counter[str]:
    """Count the calls of each day in a zone; the times are UTC, without saying so."""
    moments = (moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)) for moment in begun)
    return Counter(f"{moment:%Y-%m-%d}" for moment in moments)


def main() -> None:
    """Print what differs, and exit with 1 if anything does."""
    if len(sys.argv) != 3:  # noqa: PLR2004 - two arguments
        sys.exit(__doc__)
    prefix = sys.argv[1].upper().replace("-", "_")
    url = os.environ.get(f"{prefix}_SQLALCHEMY_URL")
    counts = Path(sys.argv[2])
    if url is None or not counts.exists():
        what = f"{counts} is not there" if url else f"{prefix}_SQLALCHEMY_URL is not set"
        sys.exit(f"check_counts: {what}")
    schema = os.environ.get(f"{prefix}_DEFAULT_TARGET_SCHEMA", "melty")  # the SDK's default
    with sqlalchemy.create_engine(url).connect() as connection:
        found = differences(connection, schema, counts)
    for line in found:
        print(f"check_counts: {line}", file=sys.stderr)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
