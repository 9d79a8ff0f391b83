"""The command `tap-callcap`, once it is loaded: each of its errors is one line."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import click
from singer_sdk.exceptions import ConfigurationError

from tap_callcap.environment import LOG_LEVEL, read_dotenv
from tap_callcap.redaction import one_line, redact_logs, traceback_without_values
from tap_callcap.tap import TapCallcap

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("tap-callcap")


def run(command_of: Callable[[click.Command], click.Command] | None = None) -> NoReturn:
    """Run the tap's command, or what is made of it; where it fails, log one line and exit."""
    with suppress(ConfigurationError, OSError):  # an error only where settings are read from it
        if level := read_dotenv().get(LOG_LEVEL):
            os.environ.setdefault(LOG_LEVEL, level)
    try:
        command = TapCallcap.cli
    except Exception as error:  # noqa: BLE001 - a log config can fail in any way
        redact_logs([])
        _fail("Logging cannot be set up: check TAP_CALLCAP_LOGLEVEL, SINGER_SDK_LOG_CONFIG", error)
    logger.disabled = False  # a log config that does not name this logger disables it
    redact_logs([])
    if command_of is not None:
        command = command_of(command)
    if sys.stdout is None:
        _fail("Standard output is closed: connect it to a target or to a file")
    try:
        sys.exit(command(standalone_mode=False))  # with the code of --version and the like
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        _fail(error.format_message(), error)
    except Exception as error:  # noqa: BLE001 - every error is one line
        _fail(one_line(error), error)


def _fail(line: str, error: Exception | None = None) -> NoReturn:
    logger.error("%s", line)
    if error is not None:
        logger.debug("%s", traceback_without_values(error))
    sys.exit(1)
