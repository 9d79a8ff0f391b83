"""Compares the speed of the tap with other connectors, over the same pages.

`uv run benchmarks/run.py` installs the other connectors below .cache/benchmarks/, runs every
series, writes each run to measurements/, and writes RESULTS.md and chart.svg. If you name series,
only these run; the others keep their earlier results, even from another machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cases import DLT, SERIES, TAP, Case, Reader, Series
from measuring import HERE, Delivery, Run, RunError, run, run_into, serving, take_files
from pages import BEGINNING, UTC, Pages
from report import MEASUREMENTS, Measured, measured_in, write_fastest, write_report
from warehouses import WAREHOUSES, counted_in

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECKOUT = HERE.parent
CACHE = CHECKOUT / ".cache" / "benchmarks"
RUNS = 5  # per case
REHEARSED = 2_000  # calls that each case reads once, unmeasured, to warm up
QUICK = 3_000  # calls in a series, with --quick


def main() -> None:
    """Run the series that the command line names, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "series", nargs="*", help=f"series to run (default: all): {', '.join(SERIES)}"
    )
    parser.add_argument(
        "--runs", type=int, default=RUNS, help="runs of each case (default %(default)s)"
    )
    parser.add_argument("--resume", action="store_true", help="continue an interrupted measurement")
    parser.add_argument(
        "--report",
        action="store_true",
        help="only write RESULTS.md and the chart from earlier measurements",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one run over few calls, to check that all works; writes to .cache/benchmarks/quick",
    )
    wish = parser.parse_args()
    if unknown := set(wish.series) - set(SERIES):
        parser.error(f"unknown series: {', '.join(sorted(unknown))}")
    results, measurements = HERE, HERE / MEASUREMENTS
    series = [SERIES[name] for name in wish.series or SERIES]
    if wish.quick:
        results = measurements = CACHE / "quick"
        series = [replace(each, calls=min(each.calls, QUICK)) for each in series]
    if not wish.report:
        for each in series:
            measure(each, 1 if wish.quick else wish.runs, measurements, resume=wish.resume)
    write_report(results, measured_in(measurements))
    if not wish.quick:
        write_fastest(CHECKOUT / "docs" / "targets.md", measured_in(measurements))
    print(f"\n{results / 'RESULTS.md'}")


def measure(series: Series, rounds: int, measurements: Path, *, resume: bool = False) -> None:
    """Run the cases of `series` in turn, `rounds` times, and save each run at once.

    Raises:
        RunError: If a run fails or does not deliver every call.
    """
    print(f"\n==> {series.name}: {series.title}; {series.calls:,} calls", flush=True)
    for case in series.cases:
        build_environment(case.reader)
    file = measurements / f"{series.name}.json"
    measured = Measured.read(file) if resume and file.exists() else Measured.begin(series, CHECKOUT)
    rehearsal = replace(series, calls=min(series.calls, REHEARSED), latency=0.0)
    for case in series.cases:
        if case.name not in measured.runs:
            measured_run(rehearsal, case)
    for number in range(rounds):
        for case in series.cases:
            runs = measured.runs.setdefault(case.name, [])
            if len(runs) <= number:
                runs.append(measured_run(series, case))
                measured.write(file)
                print(
                    f"    {number + 1}/{rounds} {case.name:40} {runs[-1].seconds:8.2f} s"
                    f" {runs[-1].cpu:8.2f} s CPU {runs[-1].peak / 1e6:7.0f} MB",
                    flush=True,
                )


def measured_run(series: Series, case: Case) -> Run:
    """One run of `case` over the pages of `series`.

    Raises:
        RunError: If it fails or does not deliver every call.
    """
    folder = CACHE / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    place = pages_of(series.calls)
    if case.batches or case.warehouse:
        return whole_way(series, case, folder)
    pages = Pages(place)
    newest = datetime.fromtimestamp(pages.times[-1], UTC).replace(second=0)
    owed = {
        "all": range(len(pages)),
        "newest": pages.found(newest, newest + timedelta(days=1)),
        "none": range(0),
    }[case.owed]
    delivery = Delivery(len(pages))
    with serving(place, series.latency) as served:
        config = {"api_url": served.url, "api_key": "key", "start_date": f"{BEGINNING:%FT%TZ}"}
        bookmark = {
            "replication_key": "last_modified",
            "replication_key_value": f"{newest:%FT%TZ}",
        }
        files = {
            "config": {**config, **case.config},
            "state": {"bookmarks": {"calls": bookmark}},
        }
        for name, content in files.items():
            (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
        seconds, cpu, peak = run(
            command_of(case),
            delivery,
            folder=folder,
            environment=environment_in(folder),
            megabytes_per_second=series.megabytes_per_second,
        )
    if "into_files" in case.config:
        take_files(folder / "loaded" / "callcap" / "calls", delivery)
    try:
        delivery.check(owed)
    except RunError as error:
        msg = f"{case.name}: {error}"
        raise RunError(msg) from None
    return Run(seconds, cpu, peak, delivery.records, served.pages, served.cpu)


def whole_way(series: Series, case: Case, folder: Path) -> Run:
    """One run of `case` into BATCH files, or into its warehouse by a loader.

    Raises:
        RunError: If it fails, or not every call is there once.
    """
    warehouse = WAREHOUSES.get(case.warehouse)
    files = folder / "batches"
    with (
        serving(pages_of(series.calls), series.latency) as served,
        warehouse.serving() if warehouse else nullcontext("") as server,
    ):
        start = f"{BEGINNING:%FT%TZ}"
        config = {"api_url": served.url, "api_key": "key", "start_date": start, **case.config}
        if case.batches:
            encoding = {"format": case.batches}
            if case.batches == "jsonl":
                encoding["compression"] = "gzip"
            config["batch_config"] = {"encoding": encoding, "storage": {"root": files.as_uri()}}
        if case.reader == DLT:
            config["server"] = server
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        loader: Sequence[str] = ()
        if warehouse and case.reader != DLT:
            loader = warehouse.command()
            target = json.dumps(warehouse.config_for(server))
            (folder / "target.json").write_text(target, encoding="utf-8")
        (folder / "loaded").mkdir()
        seconds, reader, by_loader = run_into(
            command_of(case), loader, folder=folder, environment=environment_in(folder)
        )
        python = environment_of(DLT) / "bin" / "python" if case.reader == DLT else None
        found = warehouse.counted(folder, server, python) if warehouse else counted_in(files)
    if found != (series.calls, series.calls):
        msg = f"{case.name}: {found[0]} rows of {found[1]} calls, where there are {series.calls}"
        raise RunError(msg)
    return Run(
        seconds,
        reader.cpu,
        reader.peak,
        found[0],
        served.pages,
        served.cpu,
        by_loader.cpu,
        by_loader.peak,
        reader.written,
    )


def command_of(case: Case) -> list[str]:
    """The command line of a case."""
    script = case.reader.script
    if script is None:
        return [TAP, *case.arguments]
    own = environment_of(case.reader) / "bin" / "python"
    python = str(own) if case.reader.has_environment else sys.executable
    return [python, str(script), *case.arguments]


def environment_in(folder: Path) -> dict[str, str]:
    """The environment of a run: no proxy for this machine, no settings of the tap."""
    inherited = {
        name: text for name, text in os.environ.items() if not name.startswith("TAP_CALLCAP_")
    }
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)  # the rehearsal writes the bytecode
    return {**inherited, "NO_PROXY": "127.0.0.1", "DLT_DATA_DIR": str(folder / "dlt")}


def pages_of(calls: int) -> Path:
    """The folder with the pages of so many calls, which are made if they do not exist."""
    folder = CACHE / f"calls-{calls}"
    if not (folder / "ends").exists():  # the last file that is written
        subprocess.run(
            [sys.executable, str(HERE / "pages.py"), str(folder), str(calls)], check=True
        )
    return folder


def environment_of(reader: Reader) -> Path:
    """The folder of a reader's own environment."""
    return CACHE / "environments" / (reader.script or Path(TAP)).stem


def build_environment(reader: Reader) -> None:
    """Install the requirements of the script of `reader`, with this Python."""
    if not reader.has_environment:
        return
    uvw, place = str(CHECKOUT / "uvw"), environment_of(reader)
    if not place.exists():
        subprocess.run([uvw, "venv", "--quiet", "--python", sys.executable, place], check=True)
    subprocess.run(
        [uvw, "sync", "--quiet", "--active", "--script", str(reader.script)],
        check=True,
        env={**os.environ, "VIRTUAL_ENV": str(place)},
    )


if __name__ == "__main__":
    try:
        main()
    except RunError as error:
        sys.exit(f"\nA run failed: {error}")
