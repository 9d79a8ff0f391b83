"""Keeps secrets and the content of calls out of the command's log.

The message of an unexpected exception may quote a value, and so may the lines of some libraries.
So the log shows only the types and places of exceptions, and none of these lines.
"""

from __future__ import annotations

import logging
import re
import traceback
from typing import TYPE_CHECKING

from singer_sdk.exceptions import SingerSDKError

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORT = 8  # characters; a shorter secret may by chance be part of an ordinary word
HIDDEN = "…"
NEVER_LOGGED = ("urllib3", "requests", "http")  # their lines show whole queries
UNTRUE = "Skipping parse of env var settings..."  # of the SDK, also with --config=ENV
NEVER_DEBUGGED = "singer_sdk.mapper"  # these show what a stream map made of a record


def redact_logs(secrets: Iterable[str]) -> None:
    """Make every log handler hide `secrets` and the content of calls."""
    logging.raiseExceptions = False  # else Python prints a line that fails, with its arguments
    fresh = RedactionFilter(secrets)
    loggers = [logging.getLogger(), *logging.getLogger().manager.loggerDict.values()]
    handlers = [handler for logger in loggers for handler in getattr(logger, "handlers", ())]
    for handler in filter(None, [*handlers, logging.lastResort]):
        handler.filters = [old for old in handler.filters if not isinstance(old, RedactionFilter)]
        handler.addFilter(fresh)


class RedactionFilter(logging.Filter):
    """Removes what must not be logged from a log record, before a formatter sees it."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        self._secret = re.compile("|".join(map(_pattern, secrets)) or r"(?!)")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log `record`; removes secrets and the messages of exceptions from it."""
        if record.name.partition(".")[0] in NEVER_LOGGED:
            return False
        if record.msg == UNTRUE:
            return False
        if record.name == NEVER_DEBUGGED and record.levelno < logging.INFO:
            return False
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            message = f"(a line of {record.name} that cannot be formatted)"
            record.msg, record.args = message, ()
        if self._secret.search(message) or self._secret.search(str(record.args)):
            record.msg, record.args = self._without_secrets(message), ()
        if record.exc_info:
            error = record.exc_info[1]
            record.exc_text = None if error is None else traceback_without_values(error)
            record.exc_info = None
        for name, value in list(vars(record).items()):
            if name not in {"msg", "args"} and self._secret.search(str(value)):
                setattr(record, name, self._without_secrets(str(value)))
        return True

    def _without_secrets(self, text: str) -> str:
        return self._secret.sub(HIDDEN, text)


def _pattern(secret: str) -> str:
    """A pattern for `secret`, also as a string or a URL escapes it; a short one as whole words."""
    pattern = "".join(map(_character_pattern, secret))
    return pattern if len(secret) >= SHORT else rf"(?<!\w){pattern}(?!\w)"


def _character_pattern(character: str) -> str:
    in_url = "".join(f"%{byte:02x}" for byte in character.encode())
    in_string = r"\\*" if character in "\"'\\" else ""
    return f"(?:{in_string}{re.escape(character)}|(?i:{in_url}))"


def one_line(error: BaseException) -> str:
    """A line about `error`: its message, if this tap, the SDK or the system wrote it."""
    if isinstance(error, SingerSDKError):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    name = type(error).__name__
    places = [
        (frame.f_globals["__name__"], line)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    if NEVER_DEBUGGED in dict(places):
        return f"An expression in stream_maps failed with {name} for a record: check stream_maps"
    module, line = places[-1]
    return (
        f"Unexpected {name} in {module}, line {line}; its message is hidden because it may quote a "
        "call. Please report this with the log of TAP_CALLCAP_LOGLEVEL=DEBUG"
    )


def traceback_without_values(error: BaseException) -> str:
    """The traceback of `error` and its causes, without their messages."""
    parts = []
    cause: BaseException | None = error
    while cause is not None:
        frames = "".join(traceback.format_tb(cause.__traceback__))
        parts.append(f"{frames}{type(cause).__name__}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\nwhich led to\n".join(reversed(parts))
