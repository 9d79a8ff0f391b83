"""Starts servers for the tests."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence


@contextmanager
def running(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None
) -> Generator[str, None, None]:
    """Run a server on a free port, and yield the address that it prints.

    Raises:
        RuntimeError: If it ends before it has printed one.
    """
    with subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            said = []
            for line in process.stdout or ():
                said.append(line)
                if address := re.search(r"http://127\.0\.0\.1:\d+", line):
                    break
            else:
                msg = f"{command[0]} did not start:\n{''.join(said)}"
                raise RuntimeError(msg)
            # What it says from now on must not fill the pipe.
            with subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL):  # noqa: S607 - any cat
                yield address[0]
                process.terminate()
        finally:
            process.kill()
