"""Runs a target, in its own environment, many times without loading it each time.

    python forking.py COMMAND FILE [MODULE…]

COMMAND is the target's command, FILE a script with a `main` in its place, or empty; MODULES are
loaded as well. Each run is a fork of
this process, with the files that come with the request as its standard input, output and error.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import socket
import sys
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def entry() -> Callable[[], Any]:
    """Return what the command calls, loaded."""
    for name in sys.argv[3:]:
        import_module(name)
    if sys.argv[2]:
        main: Callable[[], Any] = runpy.run_path(sys.argv[2])["main"]
        return main
    (found,) = entry_points(group="console_scripts", name=sys.argv[1])
    loaded: Callable[[], Any] = found.load()
    return loaded


def run(request: dict[str, Any], files: list[int]) -> int:
    """Start a run, and return its process."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:  # noqa: PLW0717 - one course of a run
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.closerange(3, 256)
        os.chdir(request["folder"])
        sys.argv = [sys.argv[1], *request["arguments"]]
        if request["script"]:
            exec(request["script"], {"__name__": "__main__"})  # noqa: S102 - the tests' own
        else:
            main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as Python itself ends
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    main = entry()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = socket.socket(fileno=0)
    while True:
        message, files, _, _ = socket.recv_fds(channel, 2**20, 3)
        if not message:
            break
        request = json.loads(message)
        if "wait" in request:
            process, status = os.waitpid(request["wait"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if process else None
        else:
            answer = run(request, files)
            for file in files:
                os.close(file)
        channel.sendall(json.dumps(answer).encode())
