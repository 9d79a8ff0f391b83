"""Measures one run of one command against the page server, and checks that every call arrives.

This process must stay small: Linux counts the memory of the parent at the time of the fork into
the peak of the child.
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
BLOCK = 2**16  # bytes to read at once; the capacity of a pipe on Linux
UNCHECKED = 256  # maximum number of blocks that are read but not yet checked
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes; the unit of ru_maxrss


class RunError(Exception):
    """A run failed or did not deliver every call, and does not count."""


@dataclass(frozen=True, slots=True)
class Run:
    """The measurements of one run."""

    seconds: float
    cpu: float
    """CPU time in seconds, over all threads and processes; without the loader's."""
    peak: int
    """Peak memory of the largest process, in bytes; without the loader's."""
    records: int
    pages: int
    server_cpu: float
    loader_cpu: float = 0.0
    loader_peak: int = 0
    between: int = 0
    """Bytes that the reader wrote, to the pipe and to files."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process used: seconds of CPU, peak of memory in bytes, bytes written."""

    cpu: float
    peak: int
    written: int


@dataclass
class Served:
    """What the server served; pages and CPU time are known after it has stopped."""

    url: str
    pages: int = 0
    cpu: float = 0.0


class _Data(msgspec.Struct):
    call_id: str


class _Record(msgspec.Struct):
    call_id: str = ""
    data: _Data | None = None  # Airbyte's place for the call


class _Line(msgspec.Struct):
    type: str = ""
    record: _Record | None = None


class Delivery:
    """The calls that a run delivered, from messages of Singer or of Airbyte."""

    def __init__(self, calls: int) -> None:
        self.records = 0
        self._seen = bytearray(calls)
        self._rest = b""
        self._decode = msgspec.json.Decoder(_Line).decode

    def take(self, block: bytes) -> None:
        """Add a block of the output."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            if line.startswith(b'{"') and (record := self._decode(line).record) is not None:
                self.take_id(record.data.call_id if record.data else record.call_id)

    def take_id(self, call_id: str) -> None:
        """Add a call."""
        self.records += 1
        self._seen[serial_of(call_id)] = 1

    def check(self, owed: range) -> None:
        """Check that every `owed` call was delivered, and only once if all are owed.

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


def run_into(
    command: Sequence[str],
    loader: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
) -> tuple[float, Usage, Usage]:
    """Run `command`, its output read by `loader`, if any; return seconds and what each used.

    Raises:
        RunError: If one of them fails.
    """
    with (folder / "log").open("wb") as log, (folder / "states").open("wb") as states:
        began = time.perf_counter()
        source = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stderr=log,
            stdout=subprocess.PIPE if loader else subprocess.DEVNULL,
        )
        processes = [source]
        if loader:
            processes.append(
                subprocess.Popen(
                    loader,
                    cwd=folder,
                    env=environment,
                    stdin=source.stdout,
                    stdout=states,
                    stderr=log,
                )
            )
            assert source.stdout is not None
            source.stdout.close()  # so that the reader notices where the loader ends early
        used = [_ended(process) for process in processes]
        seconds = time.perf_counter() - began
    if any(process.returncode for process in processes):
        last = (folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
        msg = f"{' '.join(command)} | {' '.join(loader)} failed:\n{last}"
        raise RunError(msg)
    return seconds, used[0], used[1] if loader else Usage(0.0, 0, 0)


def _ended(process: subprocess.Popen[bytes]) -> Usage:
    """Wait for the end of a process; returns what it used."""
    written = 0
    if sys.platform == "linux":
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        lines = Path(f"/proc/{process.pid}/io").read_text(encoding="ascii").splitlines()
        written = int(dict(line.split(": ") for line in lines)["wchar"])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Usage(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * PEAK_UNIT, written)


def _read(pipe: int, delivery: Delivery, megabytes_per_second: float | None) -> Sequence[bytes]:
    """Read `pipe` to its end; return the blocks that `delivery` has not checked yet.

    Blocks are checked only while the pipe is empty, so that checking does not slow the writer.
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
    """Add the calls in JSON Lines files, compressed or not."""
    decode = msgspec.json.Decoder(_Record).decode
    for path in folder.rglob("*.jsonl*"):
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                delivery.take_id(decode(line).call_id)
