"""A target that is loaded once and run many times, as a fork for each run."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from typing_extensions import Self

    from targets.loader import Loader

FORKING = Path(__file__).parent / "emulated" / "forking.py"
PATIENCE = 60.0  # seconds; a target that needs longer for a few calls hangs


class Running:
    """A run of a target: what `callcap-load` needs of a process."""

    def __init__(self, target: Target, process: int, stdin: int) -> None:
        self.process = process
        self.stdin = io.FileIO(stdin, "w")
        self.code: int | None = None
        self.hung = False
        self._target = target

    def wait(self) -> int:
        """Wait for its end; one that hangs is killed."""
        until = time.monotonic() + PATIENCE
        while self.code is None:
            self.code = self._target.ask({"wait": self.process})
            if self.code is None:
                time.sleep(0.002)
                if time.monotonic() > until:
                    self.hung = True
                    self.kill(signal.SIGKILL)
        return self.code

    def kill(self, number: int) -> None:
        """Send it a signal, if it has not ended."""
        if self.code is None:
            os.kill(self.process, number)  # before `wait` its number is nobody else's


class Target:
    """The process that forks."""

    def __init__(self, loader: type[Loader]) -> None:
        """Load the target of a loader."""
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel = ours
        with its:
            script = str(loader.script or "")
            command = [str(loader.environment().python), str(FORKING), loader.name, script]
            self._process = subprocess.Popen([*command, *loader.modules], stdin=its.fileno())

    def __enter__(self) -> Self:
        """Take it as it is."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let it end."""
        self._channel.close()
        self._process.wait()

    def ask(self, request: dict[str, Any], files: Sequence[int] = ()) -> Any:
        """Send a request, and return the answer."""
        socket.send_fds(self._channel, [json.dumps(request).encode()], [*files])
        return json.loads(self._channel.recv(2**20))

    def start(
        self, folder: Path, arguments: Sequence[str], *, script: str = "", out: str = "out"
    ) -> Running:
        """Start a run in a folder, or a script; its output is appended to files there."""
        reader, writer = os.pipe()
        with (folder / out).open("ab") as output, (folder / "log").open("ab") as log:
            request = {"folder": str(folder), "arguments": [*arguments], "script": script}
            process = self.ask(request, [reader, output.fileno(), log.fileno()])
        os.close(reader)
        return Running(self, process, writer)

    def run(self, folder: Path, script: str, *arguments: str) -> str:
        """Run a script, and return what it printed."""
        (folder / "answer").unlink(missing_ok=True)
        running = self.start(folder, arguments, script=script, out="answer")
        running.stdin.close()
        code = running.wait()
        assert code == 0, (folder / "log").read_text("utf-8")[-2000:]
        return (folder / "answer").read_text("utf-8")
