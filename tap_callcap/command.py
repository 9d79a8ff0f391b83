"""What the command `tap-callcap` does once it is loaded: its errors are one line each."""

from __future__ import annotations

import logging
import sys
from typing import NoReturn

import click

from tap_callcap.redaction import one_line, redact_logs, traceback_without_values
from tap_callcap.singer.writer import widen_pipe
from tap_callcap.tap import TapCallcap

logger = logging.getLogger("tap-callcap")


def run() -> NoReturn:
    """Run the command; where it fails, exit with one line."""
    widen_pipe(1)
    try:
        command = TapCallcap.cli
    except Exception as error:  # noqa: BLE001 - a file in YAML, of which anything can be wrong
        redact_logs([])
        _fail(
            "The log cannot be set up: check TAP_CALLCAP_LOGLEVEL and SINGER_SDK_LOG_CONFIG", error
        )
    logger.disabled = False  # as by any log config that does not name it: errors must be seen
    redact_logs([])
    try:
        sys.exit(command(standalone_mode=False))  # with the code of --version and the like
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        _fail(error.format_message(), error)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is one line
        _fail(one_line(error), error)


def _fail(line: str, error: Exception) -> NoReturn:
    logger.error("%s", line)
    logger.debug("%s", traceback_without_values(error))
    sys.exit(1)
