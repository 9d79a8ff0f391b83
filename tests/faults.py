"""Runs the installed command with every fault, malformed answer and random input.

`uv run python tests/faults.py` writes docs/faults.md (about an hour and a quarter on two cores);
`--minutes 1` shortens the fuzzing. It exits 1 if a call was lost, a value leaked or a run crashed.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import count
from multiprocessing import Pool
from pathlib import Path
from typing import TYPE_CHECKING

from support import fuzz
from support.canaries import found_in
from support.fault_runs import LASTING, PATIENCE, TRANSIENT, account, amidst, settings_for
from support.fault_server import SLOW_FAULTS, FaultServer, playing
from support.hostile_answers import HOSTILE
from support.running import run_command
from support.tables import head, row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.running import Run
    from tap_callcap.sandbox import Callcap

REPORT = Path(__file__).parents[1] / "docs" / "faults.md"
FAST = (sys.executable, Path(__file__).parent / "support" / "fast_time.py")
ONCE, FOR_EVER, GONE = "once", "for ever", "the server is gone"


@dataclass(frozen=True)
class Outcome:
    """What became of a run, and of the next one where it failed."""

    name: str
    code: int
    tries: int
    waited: float
    line: str
    lost: int
    is_traced: bool
    canaries: int

    @property
    def text(self) -> str:
        """The outcome for people."""
        if self.code:
            return f"exit {self.code}: {self.line}"
        if not self.tries:
            return "read"
        return f"survived at try {self.tries + 1} after {self.waited:.1f} s"

    @property
    def is_bad(self) -> bool:
        """Whether it is not as promised."""
        return bool(self.lost or self.is_traced or self.canaries or self.code not in {0, 1})


def run_against(server: FaultServer, *, state: Mapping[str, object] | None, name: str) -> Run:
    """A run of the command at level DEBUG, by a clock for which nobody waits."""
    settings = {"request_timeout_seconds": PATIENCE} if name in SLOW_FAULTS else {}
    with tempfile.TemporaryDirectory() as folder:
        return run_command(
            folder=Path(folder),
            config=settings_for(server, **settings),
            state=state,
            environment={"TAP_CALLCAP_LOGLEVEL": "DEBUG"},
            command=FAST,
        )


def outcome_of(name: str, callcap: Callcap, run: Run) -> Outcome:
    """What became of a run; where it failed, another one goes on at its last STATE."""
    again = re.findall(r"Try \d+ in ([\d.]+) s", run.log)
    errors = [line.split("|")[-1].strip() for line in run.log.splitlines() if "| ERROR " in line]
    written = run.ids
    if run.code:
        with FaultServer(after=playing(callcap)) as server:
            state = run.states[-1] if run.states else None
            written |= run_against(server, state=state, name="").ids
    return Outcome(
        name,
        run.code,
        len(again),
        sum(map(float, again)),
        "; ".join(errors),
        len(callcap.book.ids - written),
        "Traceback" in run.log,
        len(found_in(run.log)),
    )


def broken(mode: str, name: str) -> Outcome:
    """A run in whose middle the server breaks, once or for ever."""
    callcap = account()
    if name == GONE:
        server = amidst(callcap, after=lambda *_: server.vanish())
    else:
        act = (TRANSIENT | LASTING)[name]
        server = amidst(callcap, act) if mode == ONCE else amidst(callcap, after=act)
    with server:
        return outcome_of(name, callcap, run_against(server, state=None, name=name))


def hostile(name: str) -> Outcome:
    """A run whose answers are hostile throughout."""
    callcap = account()
    with FaultServer(after=playing(callcap, HOSTILE[name].change)) as server:
        return outcome_of(name, callcap, run_against(server, state=None, name=name))


def fuzzed(kind: str, worker: int, workers: int, minutes: float) -> fuzz.Tally:
    """Random inputs for some minutes."""
    logging.disable(logging.NOTSET)
    return fuzz.many(kind, count(worker, workers), time.monotonic() + 60 * minutes)


def main() -> int:
    """Run all, write the report, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=60, help="of fuzzing, in all")
    minutes = parser.parse_args().minutes
    workers = os.cpu_count() or 1
    began = time.monotonic()
    with Pool(workers) as pool:
        once = pool.starmap(broken, [(ONCE, name) for name in TRANSIENT], chunksize=1)
        names = [*TRANSIENT, *LASTING, GONE]
        for_ever = pool.starmap(broken, [(FOR_EVER, name) for name in names], chunksize=1)
        answers = pool.map(hostile, HOSTILE, chunksize=1)
        shares = {"answers": 0.7, "inputs": 0.2, "config": 0.1}
        tallies = {
            kind: sum(
                pool.starmap(
                    fuzzed, [(kind, each, workers, share * minutes) for each in range(workers)]
                ),
                fuzz.Tally(),
            )
            for kind, share in shares.items()
        }
    lines = [*report(once, for_ever, answers, time.monotonic() - began), *of_fuzzing(tallies)]
    REPORT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write("\n".join(lines) + "\n")
    outcomes = [*once, *for_ever, *answers]
    return int(any(each.is_bad for each in outcomes) or any(t.finds for t in tallies.values()))


def report(
    once: list[Outcome], for_ever: list[Outcome], answers: list[Outcome], seconds: float
) -> Iterator[str]:
    """The outcomes of faults and hostile answers, as Markdown."""
    outcomes = [*once, *for_ever, *answers]
    yield INTRODUCTION.format(
        day=datetime.now(timezone.utc),
        python=platform.python_version(),
        cores=os.cpu_count(),
        minutes=seconds / 60,
        runs=len(outcomes),
        lost=sum(each.lost for each in outcomes),
        tracebacks=sum(each.is_traced for each in outcomes),
        canaries=sum(each.canaries for each in outcomes),
        patience=PATIENCE,
    )
    survived = {each.name: each.text for each in once}
    yield from head("fault", "once", "for ever")
    for each in for_ever:
        yield row(each.name, survived.get(each.name, "as for ever"), each.text)
    yield HOSTILE_ANSWERS
    yield from head("answers with", "outcome")
    for each in answers:
        yield row(each.name, each.text)


INTRODUCTION = """# Faults

What happens to a run when the network breaks or the API sends wrong answers. Generated
by `uv run python tests/faults.py`, with the installed command, on {day:%Y-%m-%d}, CPython {python},
{cores} cores, {minutes:.0f} minutes.

{runs} runs: {lost} calls lost, {tracebacks} tracebacks, and {canaries} finds of the key or of a
caller's number, name, note or recording in the complete log at level DEBUG, in any encoding.
After a failed run, another run continued from its last STATE; a call counts as lost if neither
has written it.

## Broken exchanges

After twenty good answers the server shows the fault, once or for ever. The settings are the
defaults, with `retry_minutes` 10; only for exchanges that never end, the timeout is {patience}
instead of 120 seconds. The clock is simulated: seconds are those that would have passed. The last
try begins while `retry_minutes` allows it, and may take its full timeout.
"""

HOSTILE_ANSWERS = """
## Hostile answers

Every answer to a search has the property in the table. *Read* means that all calls were written
correctly; the tests compare them field by field
([`test_hostile_answers.py`](../tests/api/test_hostile_answers.py)).
"""

RANDOM_INPUTS = """
## Random inputs

Any JSON anywhere in an answer, a call, a catalog, a state or a config, and answers of random
bytes. Each input starts a run, which accepts it or refuses it with one line
([`fuzz.py`](../tests/support/fuzz.py); the tests include a short run of it).
"""


def of_fuzzing(tallies: dict[str, fuzz.Tally]) -> Iterator[str]:
    """The outcomes of random inputs, as Markdown."""
    yield RANDOM_INPUTS
    names = ("taken", "refused", "traceback", "hang", "invalid record", "canary", "several lines")
    yield from head("inputs", "tried", *names, "records")
    titles = {"answers": "answers", "inputs": "catalogs and states", "config": "configs"}
    for kind, tally in tallies.items():
        counts = [tally.outcomes[name] for name in names]
        yield row(titles[kind], tally.inputs, *counts, tally.records)
    finds = [find for tally in tallies.values() for find in tally.finds]
    if finds:
        yield ""
        yield from head("kind", "seed", "find")
        yield from (row(kind, str(seed), what.replace("|", "/")) for kind, seed, what in finds)


if __name__ == "__main__":
    sys.exit(main())
