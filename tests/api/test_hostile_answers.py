"""For any malformed answer, the records are correct or the run ends with one line."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from singer_sdk.exceptions import FatalAPIError

from support.fault_runs import account, read, settings_for
from support.fault_server import FaultServer, playing
from support.hostile_answers import HOSTILE, TOO_LARGE, Record, body, nested
from support.running import COMMAND, clean_environment
from tap_callcap.instants import UTC, UnreadableError
from tap_callcap.records.schema import load_schema
from tap_callcap.records.shaper import Shaper

if TYPE_CHECKING:
    from pathlib import Path

GIGABYTE = 2**30


pytestmark = pytest.mark.usefixtures("_no_garbage_collection")


def records_of(lines: list[Record]) -> dict[str, Record]:
    """Records by their ids, with `_extra` as JSON; what floats cannot hold is text in it."""
    return {
        record["call_id"]: {
            **record,
            "_extra": record["_extra"]
            and json.loads(record["_extra"], parse_int=integer_or_text, parse_float=str),
        }
        for record in lines
    }


def integer_or_text(literal: str) -> int | str:
    """An integer, if Python makes one of so many digits."""
    return int(literal) if len(literal) < 4300 else literal


@pytest.fixture(scope="module")
def sound() -> dict[str, Record]:
    """The records of the account when its answers are sound."""
    with FaultServer(after=playing(account())) as server:
        return records_of(read(server).run.records)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_are_read_or_refused(name: str, sound: dict[str, Record]) -> None:
    """No unexpected exception, no hang, and no wrong record."""
    hostile = HOSTILE[name]
    with FaultServer(after=playing(account(), hostile.change)) as server:
        ended = read(server, retry_minutes=0.05)
    assert hostile.error in ended.error
    assert bool(hostile.error) == bool(ended.error)
    expected = {call_id: hostile.record(record) for call_id, record in sound.items()}
    found = records_of(ended.run.records)
    if hostile.error:
        assert found.items() <= expected.items() if not found else found.keys() < expected.keys()
        assert not ended.run.states or not found
    else:
        assert found == expected


@pytest.mark.parametrize("depth", [100_000, 200_000])
def test_a_value_nested_too_deep_is_an_error(depth: int) -> None:
    """Where the decoder took it and the encoder cannot, the run ends with one line."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    call = {"call_id": "9", "last_modified": "2021-11-01 19:10:46", "odd": value}
    shape = Shaper(load_schema("calls"), UTC, print)
    with pytest.raises(FatalAPIError, match="nested too deeply to be written"):
        shape(call)


def test_a_call_nested_too_deep_is_an_error() -> None:
    """What the decoder does not take makes a call unreadable."""
    call = msgspec.Raw(b'{"call_id":"9","call_id":%b}' % nested(100_000))
    with pytest.raises(UnreadableError, match="nested too deeply"):
        Shaper(load_schema("calls"), UTC, print).decode(call)


def peak_of(server: FaultServer, folder: Path, **settings: Any) -> tuple[int, str, int]:
    """Exit code, log and most memory in bytes of the command."""
    config = folder / "config.json"
    config.write_text(json.dumps(settings_for(server, **settings)), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-c", WATCHED, COMMAND, f"--config={config}"],
        capture_output=True,
        check=False,
        env=clean_environment(),
        timeout=100,
    )
    return ended.returncode, ended.stderr.decode(), int(ended.stdout.splitlines()[-1]) * 1024


WATCHED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "name", [name for name, each in HOSTILE.items() if each.error == TOO_LARGE]
)
def test_memory_stays_bounded(name: str, tmp_path: Path) -> None:
    """What is too large for a page is not taken in."""
    with FaultServer(after=playing(account(), HOSTILE[name].change)) as server:
        code, log, peak = peak_of(server, tmp_path)
    assert code == 1
    assert TOO_LARGE in log
    assert "Traceback" not in log
    assert peak < GIGABYTE // 2


def test_large_pages_pass_one_by_one(tmp_path: Path) -> None:
    """Pages of 40 MB come through, and are never all in memory."""
    large = body(lambda text: text.replace(b'"notes":"', b'"notes":"%b' % (b"x" * 20 * 2**20)))
    with FaultServer(after=playing(account(8), large)) as server:
        code, log, peak = peak_of(server, tmp_path)
    assert code == 0, log
    assert peak < GIGABYTE


def test_the_units_of_memory_are_known() -> None:
    """Linux counts kilobytes, and these tests multiply."""
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > 2**24
