"""Load made-up calls from the sandbox through Meltano into DuckDB, and draw a page from them.

It loads all calls, then only the changes, builds the marts with dbt, and writes report.html.
Exits 1 if the warehouse and the sandbox differ.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from meltano_project import CHECKOUT, MeltanoError, MeltanoProject
from tap_callcap.sandbox import CallBook, Callcap, Sandbox, made_up_calls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CALLS = 2000
PERIOD = timedelta(days=180)
STREAMS = ["calls.*", "!calls.demographics", "accounts.*", "csrs.*", "call_counts.*"]
TIMEZONE = "America/Chicago"  # of the days and hours on the page
NEW_CALLS = 5
EDITS = 20
LOOKBACK = timedelta(minutes=60)  # the tap's default; each run reads this time again
SETTLING = timedelta(minutes=5)  # longer than the lag, so that a run reads everything before
BEHIND = timedelta(hours=3)  # the tap reads nothing later than this machine's clock

BEGINNING = datetime(2000, 1, 1, tzinfo=timezone.utc)
VERSIONS = "select call_id, last_modified, _sdc_batched_at as written_at from callcap.calls"
NEWEST = """
    select strftime(calls.last_modified, '%Y-%m-%d %H:%M') as last_modified, call_id, action,
           duration, caller->>'$.city' as city, accounts->>'$.campaign.name' as campaign
    from callcap.calls order by calls.last_modified desc, call_id limit 5
"""


class DemoError(Exception):
    """The demo found a wrong result; the message says which."""


def main() -> None:
    """Load all calls, simulate an hour in the sandbox, load the changes, draw the page."""
    folder = CHECKOUT / ".cache" / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

    step(f"Starting the sandbox with {CALLS:,} made-up calls")
    now = datetime.now(timezone.utc).replace(microsecond=0) - BEHIND
    callcap = Callcap(
        CallBook(made_up_calls(CALLS, start=now - PERIOD, end=now)), clock=lambda: now
    )
    with Sandbox(callcap) as sandbox:
        callcap.advance(SETTLING)
        project = MeltanoProject(
            folder,
            {
                "api_url": sandbox.url,
                "api_key": "sandbox",
                "_select": json.dumps(STREAMS),
            },
            dbt_variables(folder),
        )
        step("Installing Meltano, the tap, target-duckdb and dbt (up to a minute the first time)")
        project.install("tap-callcap", "target-duckdb", "dbt-callcap")

        step("Loading all calls: meltano run tap-callcap target-duckdb")
        first = load(project, callcap, since=BEGINNING)

        step(f"Simulating an hour in the sandbox, with {NEW_CALLS} new calls and {EDITS} edits")
        callcap.advance(timedelta(hours=1), new_calls=NEW_CALLS, edits=EDITS)
        callcap.advance(SETTLING)

        step("Loading the changes: meltano run tap-callcap target-duckdb")
        load(project, callcap, since=first - LOOKBACK)

    step("Building the marts: meltano invoke dbt-callcap build")
    variables = json.dumps({"callcap_timezone": TIMEZONE})
    output = project.meltano(
        "invoke", "dbt-callcap", "build", "--no-use-colors", "--vars", variables
    )
    print("\n    " + output.strip().splitlines()[-1].partition("Done. ")[2])

    page = folder / "report.html"
    step("Drawing the marts: uv run examples/draw_report.py warehouse.duckdb report.html")
    project.script("draw_report.py", str(project.warehouse), str(page))
    print(f"\nAfter both runs, warehouse and sandbox were equal. Warehouse: {project.warehouse}")
    print(f"Open the page in a browser: {page.as_uri()}")


def dbt_variables(folder: Path) -> dict[str, str]:
    """Return environment variables for dbt: the package of this checkout, output in `folder`."""
    package = str(CHECKOUT / "dbt")
    return {
        "DBT_CALLCAP_PROJECT_DIR": package,
        "DBT_CALLCAP_PROFILES_DIR": package,
        "DBT_TARGET_PATH": str(folder / "dbt"),
        "DBT_LOG_PATH": str(folder / "dbt"),
    }


def load(project: MeltanoProject, callcap: Callcap, *, since: datetime) -> datetime:
    """Run the pipeline once, compare the warehouse with the sandbox, and print the result.

    Args:
        project: The Meltano project.
        callcap: The source; its clock stands still during the run.
        since: The run must write exactly the calls that were modified from this instant on.

    Returns:
        The run's "data as of".

    Raises:
        DemoError: If warehouse and sandbox differ, or the run wrote other calls.
    """
    began = datetime.now()  # noqa: DTZ005 - target-duckdb writes local times without a zone
    seconds = time.monotonic()
    project.meltano("run", "tap-callcap", "target-duckdb")
    seconds = time.monotonic() - seconds

    until = project.data_as_of()
    in_sandbox = {call["call_id"]: call["last_modified"] for call in callcap.book}
    rows = project.rows(VERSIONS)
    in_warehouse = {row["call_id"]: instant(row["last_modified"]) for row in rows}
    written = {row["call_id"] for row in rows if datetime.fromisoformat(row["written_at"]) >= began}
    print_table([
        {
            "in the sandbox": f"{len(in_sandbox):,}",
            "in the warehouse": f"{len(rows):,}",
            "written by this run": f"{len(written):,}",
            "data as of": f"{until:%Y-%m-%d %H:%M} UTC",
            "took": f"{seconds:.1f} s",
        }
    ])
    if in_warehouse != in_sandbox:
        wrong = {call_id for call_id, _ in in_warehouse.items() ^ in_sandbox.items()}
        msg = f"The warehouse and the sandbox differ in {len(wrong)} calls"
        raise DemoError(msg)
    due = {call_id for call_id, modified in in_sandbox.items() if since <= modified < until}
    if written != due:
        msg = f"The run wrote {len(written)} calls, and should have written {len(due)}"
        raise DemoError(msg)
    print_table(project.rows(NEWEST))
    return until


def instant(text: str) -> datetime:
    """Parse an ISO 8601 time; without an offset it is UTC."""
    time_ = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return time_ if time_.tzinfo else time_.replace(tzinfo=timezone.utc)


def step(text: str) -> None:
    """Announce the next step."""
    print(f"\n==> {text}", flush=True)


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a table with aligned columns."""
    lines = [
        list(rows[0]),
        *(["" if value is None else str(value) for value in row.values()] for row in rows),
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print()
    for line in lines:
        print("    " + "  ".join(map(str.ljust, line, widths)).rstrip())


if __name__ == "__main__":
    try:
        main()
    except (DemoError, MeltanoError) as error:
        sys.exit(f"\nThe demo failed: {error}")
