"""What was measured, as a document and a chart."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import msgspec

from cases import FLOOR, IDIOMATIC, READERS, SERIES, TAP_CALLCAP, Case, Reader, Series
from chart import chart
from measuring import Run  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from typing_extensions import Self

CHARTED = ("peers", "300ms", "peers-300ms")
RESULTS, CHART, MEASUREMENTS = "RESULTS.md", "chart.svg", "measurements"
MEGABYTE = 1e6
INTRODUCTION = """\
# How fast

Written by `uv run benchmarks/run.py`. Every reader reads the same pages of 1,000 made-up calls,
3.8 KB each, from a server on the same machine, and writes to a pipe. A run counts if every call
came. Times are of whole processes, medians of runs that took turns; in brackets the fastest and
the slowest.

The idiomatic SDK tap is what the SDK's template leads to. The floor is a loop written by hand that
decodes, encodes and believes everything. Of dlt, *iterated* is fetching and decoding only. Each is
a file in [`peers/`](peers). Where a call lacks an object, the tap writes one of nulls, as some
targets need it, and so more than the others: with a target that reads slowly that takes longer.
"""


class Measured(msgspec.Struct):
    """The runs of a series, by the names of its cases, and what they ran on."""

    series: str
    calls: int
    day: str
    commit: str
    machine: str
    versions: dict[str, str]
    runs: dict[str, list[Run]]

    @classmethod
    def begin(cls, series: Series, checkout: Path) -> Self:
        """Nothing yet, today, on this machine."""
        return cls(
            series.name,
            series.calls,
            f"{datetime.now(timezone.utc):%Y-%m-%d}",
            commit_of(checkout),
            machine(),
            {reader.package: reader.version for reader in READERS},
            {},
        )

    @classmethod
    def read(cls, file: Path) -> Self:
        """What an earlier run wrote."""
        return msgspec.json.decode(file.read_bytes(), type=cls)

    def write(self, file: Path) -> None:
        """Write it down."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.format(msgspec.json.encode(self)))

    def seconds(self, case: Case) -> float | None:
        """The median of a case, None where it was not measured."""
        runs = self.runs.get(case.name)
        return median(run.seconds for run in runs) if runs else None


def measured_in(folder: Path) -> list[Measured]:
    """All that was measured, in the order of the series."""
    files = (folder / f"{name}.json" for name in SERIES)
    return [Measured.read(file) for file in files if file.exists()]


def commit_of(checkout: Path) -> str:
    """The commit there, and whether more was changed than what a report is written to."""

    def git(*command: str) -> str:
        done = subprocess.run(
            ["git", *command], cwd=checkout, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    written = (f":!benchmarks/{name}" for name in (RESULTS, CHART, MEASUREMENTS))
    commit = git("describe", "--always")
    changed = git("diff", "HEAD", "--name-only", "--", ".", *written)
    return f"{commit}-dirty" if changed else commit


def machine() -> str:
    """This machine in a line."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.processor()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores of {model}, {memory:.0f} GB, {platform.system()}, "
        f"CPython {platform.python_version()}"
    )


def write_report(folder: Path, everything: list[Measured]) -> None:
    """Write RESULTS.md and chart.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULTS).write_text("\n".join(_report(everything)) + "\n", encoding="utf-8")
    charted = {each.series: each for each in everything if each.series in CHARTED}
    panels = {
        SERIES[name].title: {
            case.name: measured.calls / seconds
            for case in SERIES[name].cases
            if (seconds := measured.seconds(case)) is not None
        }
        for name, measured in charted.items()
    }
    (folder / CHART).write_text(chart(panels), encoding="utf-8")


def _report(everything: list[Measured]) -> Iterator[str]:
    yield INTRODUCTION
    runs = [run for each in everything for runs in each.runs.values() for run in runs]
    share = max((run.server_cpu / run.seconds for run in runs), default=0.0)
    yield f"The server's own work was at most {share:.0%} of the time of a run."
    yield ""
    if any(each.series in CHARTED for each in everything):
        yield "![Calls a second](chart.svg)"
        yield ""
    if findings := list(_findings({each.series: each for each in everything})):
        yield from findings
        yield ""
    for measured in everything:
        yield from _section(measured, SERIES[measured.series])


def _section(measured: Measured, series: Series) -> Iterator[str]:
    yield f"## {series.title}"
    yield ""
    yield f"{measured.calls:,} calls, {measured.day}, tap-callcap at {measured.commit}, "
    yield f"{measured.machine}: `uv run benchmarks/run.py {series.name}`"
    yield ""
    is_whole = all(case.owed == "all" for case in series.cases)
    head = ["reader", "seconds", "s CPU", "peak MB"]
    yield from _head(head + ["calls/s", "× idiomatic", "of the floor", "pages"] * is_whole)
    for case in series.cases:
        if runs := measured.runs.get(case.name):
            cells = list(_cells(measured, series, case, runs))
            yield _row(cells if is_whole else cells[: len(head)])
    yield ""
    used = {case.reader.package for case in series.cases}
    names = (f"{name} {text}" for name, text in measured.versions.items() if name in used)
    yield f"{', '.join(names)}."
    yield ""


def _cells(measured: Measured, series: Series, case: Case, runs: list[Run]) -> Iterator[str]:
    seconds = sorted(run.seconds for run in runs)
    middle = median(seconds)
    yield case.name
    yield f"{middle:.2f} ({seconds[0]:.2f}–{seconds[-1]:.2f})"
    yield f"{median(run.cpu for run in runs):.2f}"
    yield f"{median(run.peak for run in runs) / MEGABYTE:.0f}"
    yield f"{measured.calls / middle:,.0f}"
    for reader in (IDIOMATIC, FLOOR):
        base = _base(series, reader, case)
        its = None if base is None else measured.seconds(base)
        yield "–" if its is None else f"{its / middle:.2f}"
    yield f"{median(run.pages for run in runs):.0f}"


def _base(series: Series, reader: Reader, case: Case) -> Case | None:
    """The case of `reader` that `case` compares with: of the same manner, or the only one."""
    cases = [each for each in series.cases if each.reader == reader]
    same = [each for each in cases if each.manner == case.manner]
    return (same or cases)[0] if same or len(cases) == 1 else None


def _findings(by_name: Mapping[str, Measured]) -> Iterator[str]:
    """What the tables say, in a sentence each."""
    for name, measured in by_name.items():
        series = SERIES[name]
        others = {FLOOR, TAP_CALLCAP}
        for case in series.cases:
            mine = measured.seconds(case)
            if case.reader != TAP_CALLCAP or mine is None:
                continue
            said = []
            for reader in (IDIOMATIC, FLOOR):
                base = _base(series, reader, case)
                if base is not None and (its := measured.seconds(base)) is not None:
                    said.append(f"{its / mine:.2f} times as fast as {base.name}")
            peers = {
                each.name: seconds
                for each in series.cases
                if each.reader not in others and (seconds := measured.seconds(each)) is not None
            }
            if len(peers) > 1 and case.owed == "all" and name in CHARTED:
                fastest = min(peers, key=peers.__getitem__)
                ratio = peers[fastest] / mine
                said.append(f"{ratio:.2f} times as fast as the fastest other, {fastest}")
            if said:
                yield f"* {series.title}, {case.name}: {'; '.join(said)}."
    for few, many in (("peers", "million"), ("50ms", "million-50ms")):
        both = [by_name[name] for name in (few, many) if name in by_name]
        if len(both) == 2 and both[0].commit == both[1].commit:  # noqa: PLR2004 - both
            yield from _growth(by_name[few], by_name[many], SERIES[many])


def _growth(few: Measured, many: Measured, series: Series) -> Iterator[str]:
    """What ten times the calls cost."""
    for case in series.cases:
        one, ten = few.runs.get(case.name), many.runs.get(case.name)
        if case.reader == TAP_CALLCAP and one and ten:
            time = _median(ten, "seconds") / many.calls / (_median(one, "seconds") / few.calls)
            peak = _median(ten, "peak") / _median(one, "peak")
            yield (
                f"* {series.title}, {case.name}: a call takes {time:.2f} times as long as among "
                f"{few.calls:,}, and the peak of memory is {peak:.2f} times as high."
            )


def _median(runs: Iterable[Run], name: str) -> float:
    return float(median(getattr(run, name) for run in runs))


def _head(cells: list[str]) -> Iterator[str]:
    yield _row(cells)
    yield _row(["---", *["--:"] * (len(cells) - 1)])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
