"""The command `tap-callcap`, from its first moment on."""

from __future__ import annotations

import gc
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Load the command and run it; an interrupt of either leaves no traceback."""
    gc.disable()  # nothing that is loaded is garbage
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
        for number in (signal.SIGINT, signal.SIGTERM):  # everything is written already
            signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
