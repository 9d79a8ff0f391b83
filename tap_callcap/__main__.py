"""The command `tap-callcap`, from its first moment on."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

from tap_callcap.signals import end_at_once, end_in_time, ignore_signals


def main() -> NoReturn:
    """Load the command and run it; an interrupt of either leaves no traceback."""
    end_at_once()
    gc.disable()  # nothing that is loaded is garbage
    end_in_time()
    try:
        from tap_callcap.command import run  # noqa: PLC0415 - loading it takes most of a short run

        # Records live for a moment, everything else to the end: collect garbage seldom.
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        gc.enable()
        run()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        ignore_signals()  # everything is written already
        _drop_output()


def _drop_output() -> None:
    """Drop what standard output does not take: Python would try once more, with a traceback."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
