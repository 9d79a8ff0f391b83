"""What may reach the log of the command: neither secrets nor what calls say.

A message of an exception that nobody foresaw may quote what it failed at, and so may the lines of
some libraries. So of exceptions only their types and places are shown, and such lines not at all.
"""

from __future__ import annotations

import base64
import logging
import re
import traceback
from typing import TYPE_CHECKING

from singer_sdk.exceptions import SingerSDKError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LEAST_BASE64 = 8  # characters that can hardly be anything else by chance
HIDDEN = "…"
# Their lines hold whole queries, or what a stream map made of a record.
NEVER_LOGGED = ("urllib3", "requests", "http")
NEVER_DEBUGGED = "singer_sdk.mapper"


def redact_logs(secrets: Iterable[str]) -> None:
    """Keep `secrets`, whatever form they take, and what calls say out of every handler there is."""
    logging.raiseExceptions = False  # else a line that cannot be written is printed with its values
    fresh = RedactionFilter(secrets)
    loggers = [logging.getLogger(), *logging.getLogger().manager.loggerDict.values()]
    handlers = [handler for logger in loggers for handler in getattr(logger, "handlers", ())]
    for handler in filter(None, [*handlers, logging.lastResort]):
        handler.filters = [old for old in handler.filters if not isinstance(old, RedactionFilter)]
        handler.addFilter(fresh)


class RedactionFilter(logging.Filter):
    """Takes out of a record what must not be logged, before any formatter sees it."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        patterns = [pattern for secret in secrets for pattern in _patterns(secret)]
        self._secret = re.compile("|".join(patterns) or r"(?!)")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log `record`, which is then without secrets and values."""
        if record.name.partition(".")[0] in NEVER_LOGGED:
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


def _patterns(secret: str) -> Iterator[str]:
    """What matches `secret` in a text: plain, in a string, in a URL, in base64 beside anything."""
    yield "".join(map(_pattern, secret))
    for before in range(3):  # bytes in front of it within three, which make four characters
        encoded = base64.b64encode(b"\0" * before + secret.encode()).rstrip(b"=")
        behind = -1 if (before + len(secret.encode())) % 3 else None
        sure = encoded[(0, 2, 3)[before] : behind].decode()
        if len(sure) >= LEAST_BASE64:
            yield re.escape(sure).replace(r"\+", "[+-]").replace("/", "[/_]")


def _pattern(character: str) -> str:
    """What matches a character, also where a string or a URL escapes it."""
    in_url = "".join(f"%{byte:02x}" for byte in character.encode())
    in_string = r"\\*" if character in "\"'\\" else ""
    return f"(?:{in_string}{re.escape(character)}|(?i:{in_url}))"


def one_line(error: BaseException) -> str:
    """What to tell of `error`: its message, if nothing but this tap or the SDK can have made it."""
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
        return f"A stream map failed with {name}: check stream_maps"
    module, line = places[-1]
    return (
        f"{name} in {module}, line {line}, which nobody foresaw; its message is left out, since it "
        "may quote calls. Report it with what TAP_CALLCAP_LOGLEVEL=DEBUG shows"
    )


def traceback_without_values(error: BaseException) -> str:
    """Where `error` and those beneath it were raised, without messages and without locals."""
    parts = []
    beneath: BaseException | None = error
    while beneath is not None:
        frames = "".join(traceback.format_tb(beneath.__traceback__))
        parts.append(f"{frames}{type(beneath).__name__}")
        beneath = beneath.__cause__ or (
            None if beneath.__suppress_context__ else beneath.__context__
        )
    return "\nwhich led to\n".join(reversed(parts))
