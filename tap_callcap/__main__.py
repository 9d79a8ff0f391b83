"""The command `tap-callcap`, from its first moment on."""

from __future__ import annotations

import gc
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Load the command and run it; whoever interrupts either sees no traceback."""
    gc.disable()  # nothing of what is loaded is garbage
    try:
        from tap_callcap.command import run  # noqa: PLC0415 - it takes most of a short run

        # Records live for a moment, everything else for good: look for garbage seldom.
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        gc.enable()
        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
