"""One run of one command against the page server: how long, how much, and whether all calls came.

What runs here is kept small: Linux counts what a process had before it became another as the
latter's peak of memory.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from select import select
from typing import TYPE_CHECKING

import msgspec

from pages import serial_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

HERE = Path(__file__).parent
BLOCK = 2**16  # bytes, at the most, that are read at once; what a pipe of Linux holds
UNCHECKED = 256  # blocks, at the most, that were read and not looked at yet
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes; what ru_maxrss counts in


class RunError(Exception):
    """A run that failed or did not deliver every call: it counts for nothing."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took."""

    seconds: float
    cpu: float
    """Seconds of CPU, of all its threads and processes."""
    peak: int
    """Bytes of memory, at the most, of its largest process."""
    records: int
    pages: int
    server_cpu: float


@dataclass
class Served:
    """What the server says that it served; known once it has stopped."""

    url: str
    pages: int = 0
    cpu: float = 0.0


class _Data(msgspec.Struct):
    call_id: str


class _Record(msgspec.Struct):
    call_id: str = ""
    data: _Data | None = None  # where Airbyte has it


class _Line(msgspec.Struct):
    type: str = ""
    record: _Record | None = None


class Delivery:
    """Which calls came, in messages of Singer or of Airbyte."""

    def __init__(self, calls: int) -> None:
        self.records = 0
        self._seen = bytearray(calls)
        self._rest = b""
        self._decode = msgspec.json.Decoder(_Line).decode

    def take(self, block: bytes) -> None:
        """Take a part of the output."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            if line.startswith(b'{"') and (record := self._decode(line).record) is not None:
                self.take_id(record.data.call_id if record.data else record.call_id)

    def take_id(self, call_id: str) -> None:
        """Take a call."""
        self.records += 1
        self._seen[serial_of(call_id)] = 1

    def check(self, owed: range) -> None:
        """Check that every call that is `owed` came, and once if all are owed.

        Raises:
            RunError: If not.
        """
        missing = len(owed) - sum(self._seen[owed.start : owed.stop])
        repeated = self.records - sum(self._seen) if len(owed) == len(self._seen) else 0
        if missing or repeated or (owed and self._rest):
            msg = f"{missing} of {len(owed)} calls are missing, {repeated} came twice"
            raise RunError(msg)


@contextmanager
def serving(folder: Path, latency: float) -> Generator[Served, None, None]:
    """Serve the pages of `folder` from a process of its own."""
    command = [sys.executable, str(HERE / "server.py"), str(folder), str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        served = Served(process.stdout.readline().strip())
        try:
            yield served
        finally:
            process.send_signal(signal.SIGTERM)
            said = json.loads(process.stdout.readline())
            served.pages, served.cpu = said["pages"], said["cpu"]


def run(
    command: Sequence[str],
    delivery: Delivery,
    *,
    folder: Path,
    environment: Mapping[str, str],
    megabytes_per_second: float | None = None,
) -> tuple[float, float, int]:
    """Run `command` in `folder`; return seconds, seconds of CPU, and the peak of its memory.

    Its output is read through a pipe, as a target does, at no more than `megabytes_per_second`.

    Raises:
        RunError: If it fails.
    """
    log = folder / "log"
    with log.open("wb") as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=errors, env=environment
        )
        assert process.stdout is not None
        with process.stdout:
            unchecked = _read(process.stdout.fileno(), delivery, megabytes_per_second)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    for block in unchecked:
        delivery.take(block)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        msg = f"{' '.join(command)} ended with {process.returncode}:\n{last}"
        raise RunError(msg)
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * PEAK_UNIT


def _read(pipe: int, delivery: Delivery, megabytes_per_second: float | None) -> Sequence[bytes]:
    """Read all that comes through `pipe`; return what of it `delivery` did not look at yet.

    It looks when nothing waits in the pipe, so that looking holds up no writer.
    """
    began, read = time.perf_counter(), 0
    unchecked: deque[bytes] = deque()
    while True:
        if unchecked and (len(unchecked) >= UNCHECKED or not select([pipe], [], [], 0)[0]):
            delivery.take(unchecked.popleft())
            continue
        block = os.read(pipe, BLOCK)
        if not block:
            return unchecked
        unchecked.append(block)
        read += len(block)
        if megabytes_per_second is not None:
            due = began + read / (megabytes_per_second * 1e6)
            time.sleep(max(0.0, due - time.perf_counter()))


def take_files(folder: Path, delivery: Delivery) -> None:
    """Take the calls that were loaded into files: JSON by lines, packed or not."""
    decode = msgspec.json.Decoder(_Record).decode
    for path in folder.rglob("*.jsonl*"):
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                delivery.take_id(decode(line).call_id)
