"""Histories with a real target: tap, target, or both are killed; STATE is the target's."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass, field
from functools import partial
from random import Random
from threading import Timer
from typing import TYPE_CHECKING, Any, cast

from support.histories import live_through, random_history, read_with_tap
from support.running import catalog_of
from tap_callcap.load import Load, TargetError
from targets.truth import plain

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from singer_sdk.singerlib.encoding import GenericSingerWriter

    from support.histories import History
    from targets.forked import Running, Target
    from targets.loader import Loader
    from targets.truth import Row

DATE_TIME = {"type": "string", "format": "date-time"}
SELECTED = {"call_id", "last_modified", "duration", "notes"}
"""Targets check the schema against JSON Schema's own when they start: few properties are quick."""


@dataclass
class Found:
    """What a history left in the warehouse, and what happened on the way."""

    seeds: list[int] = field(default_factory=list)
    """Those with a find."""
    histories: int = 0
    runs: int = 0
    kills_of_tap: int = 0
    kills_of_target: int = 0
    hangs: int = 0
    lost: int = 0
    doubled: int = 0
    older: int = 0

    def __add__(self, other: Found) -> Found:
        """Both together."""
        return Found(**{name: getattr(self, name) + it for name, it in vars(other).items()})


class ForkedLoad(Load):
    """The parts of `callcap-load`, into a target that is loaded already."""

    def __init__(self, target: Target, loader: Loader, ends: Callable[[], bool]) -> None:
        super().__init__([loader.name], 0)
        self._ends = ends
        self.runs: list[Running] = []
        self._forks = target
        self._loader = loader

    def is_long(self) -> bool:
        """Whether the part shall end: by chance, not by time."""
        return self._ends()

    def popen(self) -> subprocess.Popen[bytes]:
        """Fork instead."""
        arguments = [*self._loader.arguments, "--config", "target.json"]
        self.runs.append(self._forks.start(self._loader.folder, arguments))
        return cast("subprocess.Popen[bytes]", self.runs[-1])

    def kill(self, number: int) -> None:
        """Kill the target, if there is one."""
        if self.runs:
            self.runs[-1].kill(number)


def small_catalog() -> dict[str, Any]:
    """Return the catalog with a few properties."""
    catalog = catalog_of("calls")
    (stream,) = catalog["streams"]
    properties = stream["schema"]["properties"]
    stream["schema"]["properties"] = {name: properties[name] for name in sorted(SELECTED)}
    stream["metadata"] = [
        entry for entry in stream["metadata"] if {*entry["breadcrumb"][1:2]} <= SELECTED
    ]
    return catalog


def read_little(
    history: History, state: Mapping[str, Any], writer: GenericSingerWriter[Any, Any]
) -> None:
    """A run of the tap, all of it but HTTP, of a few properties."""
    read_with_tap(history, state, writer, small_catalog())


def live(seed: int, loader: Loader, target: Target, *, kills: bool = True) -> Found:
    """Live through the history of a seed, and hold the warehouse against the book."""
    rng = Random(f"target {seed}")
    history = random_history(seed, calls=rng.choice([3, 12, 30]))
    config = loader.config | {"batch_size_rows": rng.choice([5, 20, 1000])}
    (loader.folder / "target.json").write_text(json.dumps(config), encoding="utf-8")
    loader.run_script = partial(target.run, loader.folder)
    loader.create()
    found = Found(histories=1)
    read = 0
    state: dict[str, Any] = {}
    for ended_well in live_through(history, read_little):
        lines = [json.dumps(line).encode() + b"\n" for line in history.written[read:]]
        read = len(history.written)
        found.runs += 1
        found.kills_of_tap += not ended_well
        dies = kills and not history.is_quiet and rng.random() < 0.6
        found.kills_of_target += dies
        states = sum(line["type"] == "STATE" for line in history.written[-len(lines) :])
        chance = rng.choice([0, 2 / (states + 1)])
        _feed(
            *(lines, loader, target, rng if dies else None, found),
            partial(_by_chance, rng, chance),
        )
        state = history.state = _state(loader.folder) or state
    _compare(history, loader, found)
    if found.lost or found.doubled or found.older or found.hangs:
        found.seeds.append(seed)
    return found


def _by_chance(rng: Random, chance: float) -> bool:
    return rng.random() < chance


def _feed(  # noqa: PLR0913, PLR0917 - all that a run is given
    lines: list[bytes],
    loader: Loader,
    target: Target,
    rng: Random | None,
    found: Found,
    ends: Callable[[], bool],
) -> None:
    """Feed a target, which is killed at a random moment if there is a `rng`."""
    load = ForkedLoad(target, loader, ends)
    moment = rng.randrange(len(lines) + 1) if rng else -1
    killer = Timer(0, lambda: None)
    if rng:
        number = rng.choice([signal.SIGKILL, signal.SIGTERM])
        killer = Timer(rng.choice([0, 0.01, 0.05, 0.2]) * rng.random(), load.kill, [number])
    try:  # noqa: PLW0717 - one course of a run
        for place, line in enumerate(lines):
            if place == moment:
                killer.start()
            load.take(line)
        if moment == len(lines):
            killer.start()
        load.finish()
    except TargetError as error:
        if not rng:
            msg = f"{error}: {(loader.folder / 'log').read_text('utf-8')[-3000:]}"
            raise AssertionError(msg) from error
    finally:
        killer.cancel()
        for run in load.runs:
            run.stdin.close()
            run.wait()
        found.hangs += sum(run.hung for run in load.runs)


def _state(folder: Path) -> dict[str, Any] | None:
    """The last STATE that the target passed on."""
    out = folder / "out"
    *lines, _ = out.read_text("utf-8").split("\n") if out.exists() else [""]
    return dict(json.loads(lines[-1])) if lines else None


def _compare(history: History, loader: Loader, found: Found) -> None:
    """Count what is lost, doubled, or older than the book has it."""
    rows: dict[str, list[Row]] = {}
    for row in loader.rows():
        rows.setdefault(row["call_id"], []).append(row)
    newest: Callable[[Row], Any] = lambda row: plain(row["last_modified"], DATE_TIME)  # noqa: E731
    for call in history.book:
        versions = rows.get(call["call_id"], [])
        if call["call_id"] in history.unshown or history.is_accepted(call):
            continue
        if not versions:
            found.lost += 1
            continue
        found.doubled += len(versions) > 1 and not loader.appends
        held = max(versions, key=newest)
        is_old = newest(held) != call["last_modified"]
        found.older += is_old or (held["notes"] or None) != (call["notes"] or None)
