"""Stops of a real `meltano run` into PostgreSQL: what the next run has to load again.

`uv run python tests/stops.py` writes docs/stops.md (about half an hour); `--moments 4` is faster.
It exits 1 if a call is missing in the end, or if a stop cost more than a minute of loading.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from meltano_project import MeltanoProject
from support.tables import head, row
from tap_callcap.sandbox import CallBook, Callcap, Sandbox, made_up_calls
from targets.databases import PostgreSQL
from targets.truth import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

REPORT = Path(__file__).parents[1] / "docs" / "stops.md"
NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
MOST = 60.0  # seconds of loading that a stop may cost
DATE_TIME = {"type": "string", "format": "date-time"}
DROP = """
import sys, psycopg
with psycopg.connect(f"host={sys.argv[1]} user=postgres") as database:
    database.execute(f"drop schema {sys.argv[2]} cascade")
"""
COMMAND = ("run", "--force", "tap-callcap", "target-postgres")
"""After SIGKILL Meltano takes the run for one that goes on, hence --force."""


def everything(project: MeltanoProject, process: int) -> None:
    """Kill all processes of the project at once, as when the machine goes down."""
    del process
    for number in processes(project):
        os.kill(number, signal.SIGKILL)


STOPS: dict[str, Callable[[MeltanoProject, int], None]] = {
    "SIGTERM": lambda _, process: os.kill(process, signal.SIGTERM),
    "Ctrl-C": lambda _, process: os.killpg(process, signal.SIGINT),
    "SIGKILL": lambda _, process: os.kill(process, signal.SIGKILL),
    "SIGKILL to all processes": everything,
}


@dataclass(frozen=True)
class Stop:
    """What a stop cost."""

    kind: str
    after: float  # seconds of loading before it
    rows: int  # that the run had loaded
    again: int  # rows that the next run loads again
    seconds: float  # of loading that are done again


@dataclass
class Pipeline:
    """A sandbox, a Meltano project and a schema in PostgreSQL."""

    callcap: Callcap
    project: MeltanoProject
    warehouse: PostgreSQL

    @property
    def state(self) -> Path:
        """The folder of Meltano's states."""
        return self.project.folder / "state"

    def bookmark(self) -> datetime:
        """The bookmark that the next run starts from."""
        is_there = any(self.state.glob("*/state.json"))
        return self.project.data_as_of() if is_there else datetime.min.replace(tzinfo=timezone.utc)

    def stored(self) -> float:
        """When the bookmark was stored."""
        return max((file.stat().st_mtime for file in self.state.glob("*/state.json")), default=0)

    def rows(self, since: datetime | None = None) -> int:
        """How many calls the warehouse has, or those modified since an instant."""
        where = f"where last_modified >= '{since:%Y-%m-%d %H:%M:%S}'" if since else ""
        try:
            (found,) = self.warehouse.query(
                f"select count(*) as n from {self.warehouse.table} {where}"  # noqa: S608 - ours
            )
        except RuntimeError:  # no table yet
            return 0
        return int(found["n"])

    def start_over(self) -> None:
        """Forget the bookmark, and what was loaded."""
        shutil.rmtree(self.state)
        self.warehouse.run_script(DROP, *self.warehouse.place)

    @property
    def log(self) -> Path:
        """Meltano's log."""
        return self.project.folder / "log"

    def stop(self, kind: str, after: float) -> Stop | None:
        """Stop a run some seconds after its first page; none if it has ended before."""
        rows, asked = self.rows(), len(self.callcap.requests)
        with self.project.start(*COMMAND, log=self.log) as process:
            while len(self.callcap.requests) < asked + 5 and process.poll() is None:
                time.sleep(0.05)
            loading = time.time()
            while time.time() < loading + after and process.poll() is None:
                time.sleep(0.05)
            if process.poll() is not None:
                assert process.returncode == 0, self.log.read_text("utf-8")[-3000:]
                return None
            stopped, stored = time.time(), self.stored()
            STOPS[kind](self.project, process.pid)
            process.wait()
        while processes(self.project):
            time.sleep(0.1)
        loaded = self.rows() - rows
        again = self.rows(self.bookmark())
        if self.stored() > stored:  # a last STATE came with the end
            seconds = again * (stopped - loading) / max(loaded, 1)
        else:
            seconds = stopped - max(stored, loading)
        return Stop(kind, after, loaded, again, seconds)

    def missing(self) -> int:
        """How many calls are missing or older, after a run to the end."""
        with self.project.start(*COMMAND, log=self.log) as process:
            assert process.wait() == 0, self.log.read_text("utf-8")[-3000:]
        query = f"select call_id, last_modified from {self.warehouse.table}"  # noqa: S608 - ours
        rows = self.warehouse.query(query)
        found = {(row["call_id"], plain(row["last_modified"], DATE_TIME)) for row in rows}
        return len({(it["call_id"], it["last_modified"]) for it in self.callcap.book} - found)


def processes(project: MeltanoProject) -> set[int]:
    """The processes that work in the project's folder."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink() == project.folder:
                found.add(int(link.parent.name))
        except OSError:
            continue  # it has ended, or is another user's
    return found


@contextmanager
def pipeline(calls: int, page_size: int) -> Generator[Pipeline, None, None]:
    """Install all of it, with nothing loaded yet."""
    book = CallBook(made_up_calls(calls, seed=1, start=NOW - timedelta(days=900), end=NOW))
    callcap = Callcap(book, clock=lambda: NOW + timedelta(hours=1))
    with (
        tempfile.TemporaryDirectory() as folder,
        Sandbox(callcap) as sandbox,
        PostgreSQL.serving() as server,
    ):
        warehouse = PostgreSQL(Path(folder), server)
        variables = {
            f"TARGET_POSTGRES_{name.upper()}": str(it) for name, it in warehouse.config.items()
        }
        settings = {"api_url": sandbox.url, "api_key": "sandbox", "page_size": str(page_size)}
        home = Path(folder).resolve() / "project"
        home.mkdir()
        project = MeltanoProject(home, settings, variables)
        project.install("tap-callcap", "target-postgres")
        yield Pipeline(callcap, project, warehouse)


def stopped(pipeline: Pipeline, moments: int, longest: float) -> Iterator[Stop]:
    """Stop runs at random moments, each going on from the one before, and over again at the end."""
    rng = Random(22)
    for number in range(moments):
        kind = [*STOPS][number % len(STOPS)]
        while (stop := pipeline.stop(kind, rng.uniform(longest / 15, longest))) is None:
            pipeline.start_over()
        yield stop


def main() -> int:
    """Stop many runs, write the report, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--calls", type=int, default=30_000)
    parser.add_argument("--page-size", type=int, default=250, help="as in meltano.yml: 250")
    wish = parser.parse_args()
    stops = []
    with pipeline(wish.calls, wish.page_size) as ready:
        began = time.monotonic()
        missing = None
        try:
            for stop in stopped(ready, wish.moments, 75):
                sys.stderr.write(f"{stop}\n")
                stops.append(stop)
            missing = ready.missing()
        except KeyboardInterrupt:
            sys.stderr.write("Interrupted: the report has what was seen so far\n")
        minutes = (time.monotonic() - began) / 60
    lines = list(report(stops, missing, wish.calls, wish.page_size, minutes))
    REPORT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write("\n".join(lines) + "\n")
    return int(missing != 0 or any(stop.seconds > MOST for stop in stops))


def report(
    stops: list[Stop], missing: int | None, calls: int, page_size: int, minutes: float
) -> Iterator[str]:
    """The report, as Markdown."""
    speed = sum(it.rows for it in stops) / sum(it.after for it in stops)
    yield INTRODUCTION.format(
        day=datetime.now(timezone.utc),
        python=platform.python_version(),
        cores=os.cpu_count(),
        minutes=minutes,
        moments=len(stops),
        most=max(it.seconds for it in stops),
        end=END.format(missing) if missing is not None else INTERRUPTED,
        calls=calls,
        page_size=page_size,
        speed=speed,
    )
    yield from head("stop", "after", "calls loaded", "again", "seconds again")
    for stop in stops:
        yield row(stop.kind, f"{stop.after:.0f}", stop.rows, stop.again, f"{stop.seconds:.1f}")


END = "After a last run that was not stopped, {} calls were missing or older than in the sandbox."
INTERRUPTED = "The series was interrupted before its last run, which compares all calls."
INTRODUCTION = """# Stops

What a stop of `meltano run tap-callcap target-postgres` costs: what the next run loads again.
Generated by `uv run python tests/stops.py` on {day:%Y-%m-%d}, CPython {python}, Meltano 4.4.1,
{cores} cores, {minutes:.0f} minutes, with the loaders of [`meltano.yml`](../meltano.yml), which
run in parts (`callcap-load`).

{moments} stops at random moments of a first load of {calls:,} calls; each run went on from the
bookmark that the stop before it had left. `page_size` was {page_size}, and the machine loaded
{speed:.0f} calls a second. **The largest repeat: {most:.0f} seconds of loading.**
{end}

*SIGTERM* and *SIGKILL* went to Meltano alone, *Ctrl-C* to its process group. "After" is the time
from the first page to the stop, in seconds. "Again" counts the calls that were in PostgreSQL and
came after the bookmark. The seconds are those since the bookmark was stored, or, if a last one
came with the end, those that the calls after it had taken.
"""


if __name__ == "__main__":
    sys.exit(main())
