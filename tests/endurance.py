"""Long tests: ten thousand simulated histories, and hundreds of killed processes.

`uv run python tests/endurance.py` writes docs/endurance.md (about half an hour on two cores);
with `--histories 100 --kills 5` it is faster, but less thorough. It exits 1 if a call was lost.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import signal
import sys
import time
from collections import Counter
from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import product
from multiprocessing import Pool
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.histories import (
    History,
    live_through,
    random_history,
    read_forward,
    read_with_tap,
)
from support.kills import SIGNALS, Kill, killed
from support.odd_histories import ODD, odd_history, odd_kinds
from support.tables import head, row
from tap_callcap.sandbox import Switches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REPORT = Path(__file__).parents[1] / "docs" / "endurance.md"
UTC = timezone.utc
ALONE = "as documented"
SIDE_BY_SIDE = "as documented, four requests in flight"
SEVERAL = "two or three of the switches"
TEXTBOOK = "textbook reader, as documented"


@dataclass
class Tally:
    """What became of many histories."""

    histories: int = 0
    with_loss: int = 0
    lost: int = 0
    stale: int = 0
    unfinished: int = 0
    runs: int = 0
    requests: int = 0
    least_requests: int = 0
    seeds: list[int] = field(default_factory=list)

    def __add__(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))


def lived(kind: str, seed: int) -> Tally:
    """One history, read by the tap or by the textbook's reader."""
    history = _history(kind, seed)
    reader = read_forward if kind == TEXTBOOK else read_with_tap
    outcomes, least, read = [], 0, 0
    for ended_well in live_through(history, reader):
        outcomes.append(ended_well)
        records = sum(line["type"] == "RECORD" for line in history.written[read:])
        read = len(history.written)
        least += max(1, -(-records // history.config["page_size"]))
    lost = len(history.lost()) if outcomes[-1] else 0
    stale = 0 if lost or kind == TEXTBOOK or not outcomes[-1] else len(history.stale())
    bad = [seed] if lost or stale or not outcomes[-1] else []
    requests = len(history.callcap.requests)
    return Tally(1, bool(lost), lost, stale, not outcomes[-1], len(outcomes), requests, least, bad)


def _history(kind: str, seed: int) -> History:
    if kind == TEXTBOOK:  # without the switches that it knows nothing of
        return random_history(seed, switches=Switches(), faults=0)
    if kind == SEVERAL:
        return odd_history(seed, *odd_kinds(seed))
    if kind in ODD:
        return odd_history(seed, kind)
    concurrency = 4 if kind == SIDE_BY_SIDE else 1
    return random_history(seed, config={"concurrency": concurrency})


def swapped(seed: int, page_size: int, lag: int) -> int:
    """One call leaves and one enters between any two pages of the newest minutes: calls lost."""
    config = {"page_size": page_size, "lag_minutes": lag, "lookback_minutes": 0}
    history = History(seed=seed, calls=3 * page_size + 2, config=config, kills=False)
    history.edits_per_request = 0
    history.now += timedelta(minutes=1)
    for call_id in sorted(history.book.ids):
        history.book.edit(call_id, at=history.now.replace(microsecond=0))

    def swap(_: object) -> None:
        history.now += timedelta(seconds=7)
        for call_id in history.rng.sample(sorted(history.book.ids), 2):
            history.book.edit(call_id, at=history.now.replace(microsecond=0))

    history.callcap.before_answer = swap
    for _ in range(4):
        history.run(read_with_tap)
        history.now += timedelta(seconds=90)
    history.callcap.before_answer = None
    history.now += timedelta(hours=1)
    return len(history.lost()) if history.run(read_with_tap) else -1


def tallied(pool: Any, kind: str, seeds: Iterable[int]) -> Tally:
    """Many histories, side by side."""
    tally = sum(pool.starmap(lived, [(kind, seed) for seed in seeds], chunksize=20), Tally())
    sys.stderr.write(f"{kind}: {tally}\n")
    return tally


def main() -> int:
    """Run all, write the report, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--histories", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=200)
    wish = parser.parse_args()
    began = time.monotonic()
    with Pool(os.cpu_count(), logging.disable) as pool:
        tallies = {
            ALONE: tallied(pool, ALONE, range(wish.histories * 3 // 10)),
            SIDE_BY_SIDE: tallied(pool, SIDE_BY_SIDE, range(wish.histories // 10)),
            **{
                kind: tallied(pool, kind, range(wish.histories * 3 // 10 // len(ODD)))
                for kind in ODD
            },
            SEVERAL: tallied(pool, SEVERAL, range(wish.histories * 3 // 10)),
            TEXTBOOK: tallied(pool, TEXTBOOK, range(wish.histories // 10)),
        }
        sizes = [(seed, size, lag) for seed in (1, 2) for size in range(1, 51) for lag in (0, 1)]
        swaps = pool.starmap(swapped, sizes)
        seeds = {"RECORD": range(wish.kills), "BATCH": range(wish.kills // 2)}
        moments = [(each, seed, way) for way in seeds for each in SIGNALS for seed in seeds[way]]
        kills = pool.starmap(killed, moments, chunksize=5)
    lines = list(report(tallies, swaps, kills, time.monotonic() - began))
    REPORT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    ours = [tally for kind, tally in tallies.items() if kind != TEXTBOOK]
    is_bad = any(t.seeds for t in ours) or any(swaps)
    is_bad |= any(kill.is_bad for kill in kills)
    sys.stdout.write("\n".join(lines) + "\n")
    return int(is_bad)


def report(
    tallies: dict[str, Tally], swaps: list[int], kills: list[Kill], seconds: float
) -> Iterator[str]:
    """The report, as Markdown."""
    yield "# Endurance"
    yield ""
    yield "Generated by `uv run python tests/endurance.py` on "
    yield f"{datetime.now(UTC):%Y-%m-%d}, CPython {platform.python_version()}, "
    yield f"{os.cpu_count()} cores, {seconds / 60:.0f} minutes."
    yield ""
    yield "## Histories"
    yield ""
    yield "Each history simulates an account whose calls are edited, added and deleted between"
    yield "any two requests, on a server with one of the behaviours that the documentation"
    yield "allows. In most rows the server also contradicts the documentation, by the switch of"
    yield "that name (`callcap-sandbox --switches` describes each). A history has five runs; some"
    yield "are killed at a random line or request, and each starts from the last STATE that its"
    yield "target has received. What a failed run advises is done before the next one: the gap"
    yield "that it names is accepted, or the timezone set. At the end, the newest version of every"
    yield "call that the server can show must have been written, after all older versions."
    yield '"Lost in silence" counts such calls after a last run that ended well; "stuck" counts'
    yield 'histories whose last run failed all the same. "Least" is the minimum number of requests:'
    yield "one for each full page of written records, plus one for each run. Not combined are"
    yield "`total_of` and `row_lost_every`: no reader can notice the row that a page leaves out and"
    yield "does not count."
    yield ""
    yield from head(
        "server",
        "histories",
        "runs",
        "histories with a loss",
        "calls lost in silence",
        "older after newer",
        "stuck",
        "requests",
        "times the least",
        "seeds",
    )
    for kind, t in tallies.items():
        yield row(
            f"`{kind}`" if kind in ODD else kind,
            t.histories,
            t.runs,
            f"{t.with_loss:,} ({t.with_loss / t.histories:.1%})",
            t.lost,
            t.stale,
            t.unfinished,
            t.requests,
            f"{t.requests / t.least_requests:.1f}",
            "" if kind == TEXTBOOK else ", ".join(map(str, t.seeds)),
        )
    yield ""
    yield "## One leaves and one enters"
    yield ""
    yield "Between any two requests, one call leaves the newest minutes and another enters them,"
    yield "so that the total stays the same; lag 0 and 1, page sizes 1 to 50: "
    yield f"{len(swaps)} histories, "
    yield f"{sum(1 for swap in swaps if swap)} with a loss."
    yield ""
    yield "## Signals"
    yield ""
    yield "The installed command is stopped at a random moment, every other time with"
    yield 'PYTHONUNBUFFERED; then a run continues from its last STATE. "Repeated too early"'
    yield 'counts calls from before the bookmark minus the lookback. "Broken lines" excludes'
    yield 'the last line after SIGKILL, which may be cut. "Torn files" are missing or unreadable,'
    yield 'and named in a manifest; "files left" are in none. BATCH takes all formats in turn.'
    yield ""
    yield from head(
        "signal",
        "messages",
        "moments",
        "exit codes",
        "calls lost",
        "repeated too early",
        "broken lines",
        "torn files",
        "files left",
        "tracebacks",
    )
    for way, number in product(("RECORD", "BATCH"), SIGNALS):
        of_it = [kill for kill in kills if (kill.way, kill.number) == (way, number)]
        codes = Counter(kill.code for kill in of_it)
        yield row(
            signal.Signals(number).name,
            way,
            len(of_it),
            ", ".join(f"{code}: {count}" for code, count in sorted(codes.items())),
            *(
                sum(getattr(kill, name) for kill in of_it)
                for name in (
                    "lost",
                    "repeated_before",
                    "broken_lines",
                    "torn",
                    "left",
                    "is_traced",
                )
            ),
        )


if __name__ == "__main__":
    sys.exit(main())
