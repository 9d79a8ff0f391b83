"""The signals that end the process: SIGINT, SIGTERM and, where there is one, SIGHUP."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

SHUTDOWN_TIMEOUT = 5.0  # seconds from a signal to the end of the process, whatever it waits for
HANG_UP = getattr(signal, "SIGHUP", None)
ENDING = tuple(filter(None, (signal.SIGINT, signal.SIGTERM, HANG_UP)))


def end_at_once() -> None:
    """End the process at a signal as long as there is no run.

    As process 1 of a container it would ignore a signal without a handler.
    """
    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:  # not SIG_IGN, as nohup sets it
            signal.signal(number, _end)


def end_in_time() -> None:
    """End the process a few seconds after a signal, whatever it waits for.

    A handler in Python does not run while the main thread looks up a name, or while it writes to
    a target that does not read. This thread learns of the signal nevertheless.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader,), daemon=True).start()


def ignore_signals() -> None:
    """Ignore further signals."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's signature
    os._exit(128 + number)


def _watch(reader: int) -> None:
    """Wait for a signal that ends the process, and end it if nothing else does."""
    number = 0
    while number not in ENDING:
        (number,) = os.read(reader, 1)
    time.sleep(SHUTDOWN_TIMEOUT)
    _end(number, None)
