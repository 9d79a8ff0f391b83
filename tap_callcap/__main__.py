"""The command `tap-callcap`, from its first moment on."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from typing import NoReturn

M_ARENA_MAX = -8  # of glibc's malloc.h


def main() -> NoReturn:
    """Load the command and run it; whoever interrupts either sees no traceback."""
    gc.disable()  # nothing of what is loaded is garbage
    _share_memory_between_threads()
    try:
        from tap_callcap.command import run  # noqa: PLC0415 - it takes most of a short run

        # Records live for a moment, everything else for good: look for garbage seldom.
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        gc.enable()
        run()
    except KeyboardInterrupt:
        sys.exit(130)


def _share_memory_between_threads() -> None:
    """Have what one thread frees be of use to all: else each keeps the room of its largest pages.

    Where the C library is not glibc, nothing is done.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


if __name__ == "__main__":
    main()
