"""The command `tap-callcap`: its errors are one line each."""

from __future__ import annotations

import gc
import logging
import sys

from tap_callcap.tap import TapCallcap

logger = logging.getLogger("tap-callcap")


def main() -> None:
    """Run the command, and exit 1 with one line where it fails."""
    # Records live for a moment, everything else for good: look for garbage seldom.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    try:
        TapCallcap.cli()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        logger.error("%s", error, exc_info=logger.isEnabledFor(logging.DEBUG))  # noqa: TRY400
        sys.exit(1)


if __name__ == "__main__":
    main()
