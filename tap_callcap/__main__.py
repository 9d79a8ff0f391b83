"""The command `tap-callcap`, from its first moment on."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import signal
import sys
from typing import NoReturn

MALLOC = {  # what to set, by the numbers of glibc's malloc.h
    -8: 1,  # M_ARENA_MAX: what one thread frees is of use to all
    -3: 32 * 2**20,  # M_MMAP_THRESHOLD, bytes: a page takes the room that another has left
    -1: 8 * 2**20,  # M_TRIM_THRESHOLD, bytes: so much of it stays when it is left
}


def main() -> NoReturn:
    """Load the command and run it; whoever interrupts either sees no traceback."""
    gc.disable()  # nothing of what is loaded is garbage
    _reuse_memory()
    try:
        from tap_callcap.command import run  # noqa: PLC0415 - it takes most of a short run

        # Records live for a moment, everything else for good: look for garbage seldom.
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        gc.enable()
        run()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):  # all is written: nothing is left to end
            signal.signal(number, signal.SIG_IGN)


def _reuse_memory() -> None:
    """Have memory be used again: to have the system take and give it for each page costs more.

    Where the C library is not glibc, nothing is done.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        for option, value in MALLOC.items():
            ctypes.CDLL(None).mallopt(option, value)


if __name__ == "__main__":
    main()
