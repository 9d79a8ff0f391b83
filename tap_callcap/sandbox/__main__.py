"""The command `callcap-sandbox`, from its first moment on."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Load the command and run it; what is missing for that is one line."""
    # Until there is a server; process 1 of a container would ignore a signal without a handler.
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    try:
        from tap_callcap.sandbox.command import main as serve  # noqa: PLC0415 - it takes a while
    except ModuleNotFoundError as error:
        sys.exit(
            f"callcap-sandbox needs {error.name}, which the extra `sandbox` installs: "
            "pip install 'tap-callcap[sandbox]'"
        )
    except KeyboardInterrupt:
        sys.exit(130)
    serve()


if __name__ == "__main__":
    main()
