"""The command `callcap-load`: runs a target in parts, so that a stop costs seconds.

Targets pass STATE on when their input ends, and some every five minutes; what they have loaded
since is loaded again after a stop. So a target gets the messages of some seconds up to a STATE,
loads them, passes that STATE on and ends; the next part starts it again.

In the environment: CALLCAP_LOAD_TARGET, the target's command, if it is not the first argument;
CALLCAP_LOAD_SECONDS, how long a part is at least; CALLCAP_LOAD_COUNTS, a file for how many records
of each stream the target got, for examples/check_counts.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess  # noqa: S404 - it runs the user's own command
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tap_callcap.signals import ENDING

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

PART = 15.0  # seconds until a part ends at the next STATE
QUIET = 3.0  # seconds without input after which a tap that was stopped as well has ended
BLOCK = 2**20  # bytes, read at once
STDOUT = 1
MESSAGE = re.compile(  # as taps and mappers begin it
    rb'\s*\{\s*"type"\s*:\s*"(\w+)"(?:\s*,\s*"stream"\s*:\s*"([^"]*)")?'
)
QUESTIONS = {"--about", "--help", "--version"}  # which a target answers without input
USAGE = "write callcap-load TARGET [OPTION…], or set CALLCAP_LOAD_TARGET to the target's command"


class TargetError(Exception):
    """The target cannot be run, or it has failed; with the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class Load:
    """A target that is started anew for each part of its input."""

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        """Take the target's command, and after how many seconds a part ends at the next STATE."""
        self._command = command
        self._seconds = seconds
        self._schemas: dict[str, bytes] = {}
        self._counts: Counter[str] = Counter()
        self._since = time.time()
        self._target: subprocess.Popen[bytes] | None = None
        self._began = 0.0

    def take(self, line: bytes) -> None:
        """Pass a message on; a STATE may end the part.

        Raises:
            TargetError: If the target has failed.
        """
        self._write(line)
        found = MESSAGE.match(line)
        kind, stream = found.groups() if found else (b"", b"")
        if kind == b"SCHEMA":
            self._schemas[self._stream_of(line)] = line
        elif kind == b"STATE" and self.is_long():
            self.finish()
        elif kind == b"RECORD" and stream:
            self._counts[stream.decode(errors="replace")] += 1
        elif kind == b"BATCH":
            self._counts["BATCH"] += 1

    def _stream_of(self, line: bytes) -> str:
        try:
            return str(json.loads(line)["stream"])
        except (ValueError, KeyError):
            self.finish()  # the target may say more
            msg = "a SCHEMA message is not JSON, or names no stream: see the tap's log"
            raise TargetError(msg) from None

    def is_long(self) -> bool:
        """Whether the part shall end at this STATE."""
        return time.monotonic() - self._began >= self._seconds

    def finish(self) -> None:
        """Let the target load what it has, pass its STATE on, and end.

        Raises:
            TargetError: If it fails.
        """
        target, self._target = self._target, None
        if target is None:
            return
        assert target.stdin is not None  # noqa: S101 - it was asked for
        with contextlib.suppress(BrokenPipeError):  # the exit code says more
            target.stdin.close()
        code = target.wait()
        if code:
            code = code if code > 0 else 128 - code
            msg = f"{self._command[0]} exited with {code}: see its log"
            raise TargetError(msg, code)

    def counts(self) -> str:
        """Return since when it has run, and how many records of each stream it got, as JSON."""
        return json.dumps({"since": self._since, "records": self._counts})

    def _write(self, line: bytes) -> None:
        if self._target is None:
            self._start()
        assert self._target is not None  # noqa: S101 - it was started
        assert self._target.stdin is not None  # noqa: S101 - it was asked for
        try:
            self._target.stdin.write(line)
            self._target.stdin.flush()
        except BrokenPipeError:
            self.finish()
            msg = f"{self._command[0]} ended before its input did"
            raise TargetError(msg) from None

    def popen(self) -> subprocess.Popen[bytes]:
        """Start the target, out of reach of Ctrl-C: it has to load what it was given."""
        return subprocess.Popen(  # noqa: S603 - the user's own command
            self._command, stdin=subprocess.PIPE, start_new_session=True
        )

    def _start(self) -> None:
        try:
            self._target = self.popen()
        except OSError as error:
            msg = f"{self._command[0]} cannot be started: {error.strerror}. Is it installed?"
            raise TargetError(msg) from None
        self._began = time.monotonic()
        for schema in self._schemas.values():
            self._write(schema)


def whole_lines(source: int, stop: int) -> Iterator[bytes]:
    """Yield each whole line of a file, until it ends or `stop` can be read.

    A line that is cut, as by a tap that was killed, would make the target fail before it has
    passed STATE on.
    """
    begun: list[bytes] = []  # of the line that is not yet whole, which may be very long
    while stop not in select.select([source, stop], [], [])[0]:
        block = os.read(source, BLOCK)
        if not block:
            if any(begun):
                sys.stderr.write("callcap-load: the last message was incomplete, and is left out\n")
            return
        first, *others = block.split(b"\n")
        begun.append(first)
        if others:
            *lines, rest = [b"".join(begun), *others]
            begun = [rest]
            yield from (line + b"\n" for line in lines)


def drop(source: int) -> None:
    """Read on for nothing: Meltano waits for ever for a tap whose output nobody takes."""
    while select.select([source], [], [], QUIET)[0] and os.read(source, BLOCK):
        pass


def command_of(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the target's command.

    Raises:
        TargetError: If none is named, or if it would empty its tables at the start of each part.
    """
    name = environment.get("CALLCAP_LOAD_TARGET")
    named = bool(arguments) and not arguments[0].startswith("-")
    if not named and not name:
        raise TargetError(USAGE, 2)
    command = [*arguments] if named else [str(name), *arguments]
    methods: list[object] = [
        text for key, text in environment.items() if key.endswith("_LOAD_METHOD")
    ]
    for option in command[1:]:
        file = option.partition("=")[2] if option.startswith("-") else option
        with contextlib.suppress(OSError, ValueError):  # no file, or one that the target refuses
            config = json.loads(Path(file).read_bytes())
            methods.append(config.get("load_method") if isinstance(config, dict) else None)
    if "overwrite" in methods:
        msg = "load_method overwrite would empty the tables at each part: run the target itself"
        raise TargetError(msg, 2)
    return command


def seconds_of(environment: Mapping[str, str]) -> float:
    """Return how long a part is at least.

    Raises:
        TargetError: If the setting is no number, or a negative one.
    """
    text = environment.get("CALLCAP_LOAD_SECONDS") or str(PART)
    with contextlib.suppress(ValueError):
        if (seconds := float(text)) >= 0:  # not nan
            return seconds
    msg = f"CALLCAP_LOAD_SECONDS is {text!r}, and should be a number of seconds"
    raise TargetError(msg, 2)


def check_streams(*descriptors: int) -> None:
    """Check that input and output are open: else a pipe of this process would take their place.

    Raises:
        TargetError: If one is closed.
    """
    for descriptor in descriptors:
        try:
            os.fstat(descriptor)
        except OSError:
            msg = "standard input or output is closed: connect it to the tap, or to a file"
            raise TargetError(msg, 2) from None


@contextmanager
def caught_signals() -> Generator[int, None, None]:
    """Catch what would end the process; yields a file that can be read once a signal came."""
    stop, wake = os.pipe()
    os.set_blocking(wake, False)
    before = {
        number: signal.signal(number, lambda *_: None)
        for number in ENDING
        if signal.getsignal(number) is not signal.SIG_IGN  # as nohup sets it
    }
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(wake)
        os.close(stop)


def load(arguments: Sequence[str], environment: Mapping[str, str], source: int) -> int:
    """Run a target on the messages of a file, and return the exit code."""
    if [*arguments] == ["--help"] and not environment.get("CALLCAP_LOAD_TARGET"):
        sys.stdout.write(f"{__doc__}\nUsage: {USAGE}\n")
        return 0
    try:
        command = command_of(arguments, environment)
        if QUESTIONS & {*arguments}:
            return subprocess.run(command, check=False).returncode  # noqa: S603 - the user's own
        check_streams(source, STDOUT)
        with caught_signals() as stop:
            return _load(Load(command, seconds_of(environment)), environment, source, stop)
    except TargetError as error:
        sys.stderr.write(f"callcap-load: {error}\n")
        return error.code


def _load(part: Load, environment: Mapping[str, str], source: int, stop: int) -> int:
    for line in whole_lines(source, stop):
        part.take(line)
    part.finish()
    if counts := environment.get("CALLCAP_LOAD_COUNTS"):
        write_counts(Path(counts), part.counts())
    if select.select([stop], [], [], 0)[0]:
        drop(source)
        return 128 + os.read(stop, 1)[0]
    return 0


def write_counts(file: Path, counts: str) -> None:
    """Write how many records the target got.

    Raises:
        TargetError: If the file cannot be written.
    """
    try:
        file.write_text(counts, encoding="utf-8")
    except OSError as error:
        msg = f"the file in CALLCAP_LOAD_COUNTS cannot be written: {error.strerror}"
        raise TargetError(msg) from None


def main() -> NoReturn:
    """Run the command."""
    sys.exit(load(sys.argv[1:], os.environ, 0))


if __name__ == "__main__":
    main()
