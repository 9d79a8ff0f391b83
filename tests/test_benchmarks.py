"""The benchmarks are valid: each measured reader has read every call."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET  # noqa: S405 - reads what was written here
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
import pytest

import run
from cases import FLOOR, IDIOMATIC, SERIES, TAP_CALLCAP, Case, Series, floor, tap, way
from measuring import Delivery, RunError
from pages import Pages, make, serial_of
from report import BEGIN, END, commit_of, measured_in, write_fastest, write_report

if TYPE_CHECKING:
    from pathlib import Path

CALLS = 6_500  # seven pages: some are asked for only once an earlier one came


def test_pages_hold_the_calls_by_their_times(tmp_path: Path) -> None:
    """Each call once, in order, and a search finds those of its minutes, as the API has it."""
    make(tmp_path, CALLS)
    pages = Pages(tmp_path)

    calls = msgspec.json.decode(b"[%s]" % bytes(pages.json(range(CALLS))))
    times = [datetime.fromisoformat(call["last_modified"]) for call in calls]
    assert [serial_of(call["call_id"]) for call in calls] == list(range(CALLS))
    assert times == sorted(times)
    first, last = times[1000], times[2000]
    assert [times[call] for call in _found(pages, first, last)] == [
        time for time in times if first <= time <= last
    ]
    assert not pages.json(_found(pages, first - timedelta(days=9999), first - timedelta(days=9998)))


def _found(pages: Pages, first: datetime, last: datetime) -> range:
    utc = ZoneInfo("UTC")
    return pages.found(first.replace(tzinfo=utc), last.replace(tzinfo=utc))


@pytest.mark.slow
def test_all_who_are_measured_read_every_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tap, the floor and the idiomatic tap deliver the ids of all pages, else no result is."""
    monkeypatch.setattr(run, "CACHE", tmp_path)
    monkeypatch.setattr(run, "REHEARSED", CALLS)
    cases = (Case(IDIOMATIC), floor(4), tap(4))
    series = Series("300ms", "Some", cases, calls=CALLS, latency=0.01)
    increment = Case(TAP_CALLCAP, arguments=SERIES["start-up"].cases[-1].arguments, owed="newest")

    run.measure(series, 1, tmp_path)
    assert 0 < run.measured_run(series, increment).records < CALLS

    (measured,) = measured_in(tmp_path)
    for case in cases:
        (only,) = measured.runs[case.name]
        assert only.records == CALLS
        assert only.pages >= 7
        assert only.seconds > 0.05
        assert only.peak > 10e6
    run.measure(series, 1, tmp_path, resume=True)
    assert measured_in(tmp_path) == [measured], "what was measured is not measured again"

    write_report(tmp_path, [measured])
    assert all(case.name in (tmp_path / "RESULTS.md").read_text() for case in cases)
    assert ET.parse(tmp_path / "chart.svg").getroot().tag.endswith("svg")  # noqa: S314


@pytest.mark.slow
def test_the_whole_way_is_measured_where_every_call_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into BATCH files and by a real loader; a run that left rows out would be void."""
    monkeypatch.setattr(run, "CACHE", tmp_path)
    monkeypatch.setattr(run, "REHEARSED", 20)
    cases = (way("BATCH, Parquet"), way("RECORD", "JSON Lines"))
    run.measure(Series("to-warehouse", "Some", cases, calls=300), 1, tmp_path)

    (measured,) = measured_in(tmp_path)
    ((batched,), (loaded,)) = (measured.runs[case.name] for case in cases)
    assert batched.records == loaded.records == 300
    assert loaded.loader_cpu > 0
    assert loaded.loader_peak > 10e6
    assert loaded.between > 300 * 3_000 > batched.between > 1_000

    document = tmp_path / "targets.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_fastest(document, [measured])
    lines = document.read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[-1], "old" in lines) == ("before", "after", False)
    (row,) = (line for line in lines if line.startswith("| JSON Lines |"))
    assert row.split("|")[2].strip() == f"{loaded.seconds:.1f}"

    monkeypatch.setattr(run, "counted_in", lambda _: (299, 299))
    with pytest.raises(RunError, match="299 rows of 299 calls, where there are 300"):
        run.measured_run(Series("batches", "Some", cases, calls=300), cases[0])


def test_a_run_that_misses_or_repeats_a_call_is_void() -> None:
    """Being fast by leaving out does not count, nor does a line that was cut."""
    lines = [b'{"type":"RECORD","record":{"call_id":"7_%d_x"}}\n' % number for number in range(3)]
    wrapped = [b'{"record":{"data":{"call_id":"7_%d_x"}}}\n' % number for number in range(3)]

    _check(*lines)
    _check(*wrapped)
    _check(*lines, b'{"type":"STATE","value":{}}\n')
    for wrong in (lines[:2], [*lines, lines[0]], [*lines, b'{"type"']):
        with pytest.raises(RunError):
            _check(*wrong)


def _check(*lines: bytes) -> None:
    delivery = Delivery(3)
    for line in lines:  # in two blocks each
        delivery.take(line[:9])
        delivery.take(line[9:])
    delivery.check(range(3))


def test_each_peer_says_which_version_it_is() -> None:
    """Peers with an environment of their own hold their packages to exact versions."""
    readers = {case.reader for series in SERIES.values() for case in series.cases}
    pinned = [reader for reader in readers if reader.has_environment]

    assert len(pinned) == len(readers - {TAP_CALLCAP, FLOOR, IDIOMATIC})
    assert all(reader.version[0].isdigit() for reader in readers)


@pytest.mark.parametrize("written", ["RESULTS.md", "chart.svg", "measurements/peers.json"])
def test_a_commit_is_not_another_for_its_results(written: str, tmp_path: Path) -> None:
    """Series that run one after the other are told to be of one commit, until code changes."""
    code, results = tmp_path / "code.py", tmp_path / "benchmarks" / written
    results.parent.mkdir(parents=True)
    for file in (code, results):
        file.write_text("1", encoding="utf-8")
    for command in ("init", "add .", "-c user.name=n -c user.email=e commit -m 1"):
        subprocess.run(f"git {command}".split(), cwd=tmp_path, check=True, capture_output=True)
    commit = commit_of(tmp_path)
    results.write_text("2", encoding="utf-8")
    assert commit_of(tmp_path) == commit
    code.write_text("2", encoding="utf-8")
    assert commit_of(tmp_path) == f"{commit}-dirty"
