"""The message writer: whole lines, in blocks, flushed when it matters."""

from __future__ import annotations

import contextlib
import sys
import time
from datetime import datetime  # noqa: TC003 - msgspec looks it up
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
from msgspec.structs import asdict
from singer_sdk.singerlib import RecordMessage
from singer_sdk.singerlib.encoding import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message, StateMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PIPE = 2**20  # bytes that may wait for the target, so that both work at once; Linux allows no more
BLOCK = PIPE  # bytes; with each write all threads take turns, which costs more than the call
OLDEST = 1.0  # seconds that a record may wait for its block to fill while others come

# Line ends for Python's str.splitlines, which some readers use; JSON may hold them unescaped.
_LINE_ENDS = {
    mark.encode(): f"\\u{ord(mark):04x}".encode() for mark in ("\x85", "\u2028", "\u2029")
}


class LeanRecordMessage(
    msgspec.Struct, tag_field="type", tag="RECORD", omit_defaults=True, gc=False
):
    """A RECORD message that costs little to make and to write, unlike the SDK's own."""

    stream: str
    record: Any
    version: int | None = None
    time_extracted: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """The message as other writers than ours want it."""
        present = {name: part for name, part in asdict(self).items() if part is not None}
        return {"type": "RECORD", **present}


def _holds(lines: bytearray, mark: bytes) -> bool:
    """Whether lines of JSON, in UTF-8, hold such a mark.

    Its last byte is sought: it is rare in texts of most languages, its first is not; and single
    bytes are found much faster than several.
    """
    last, before = mark[-1:], mark[:-1]
    at = lines.find(last)
    while at >= 0:
        if lines.endswith(before, 0, at):
            return True
        at = lines.find(last, at + 1)
    return False


def widen_pipe(file: int) -> None:
    """Let more wait in the pipe that `file` writes to, if it is one and this is Linux."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl  # noqa: PLC0415 - there is none on Windows

        fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, PIPE)


class BlockWriter(GenericSingerWriter[bytes, Message]):
    """Writes RECORD messages in blocks; any other message goes out at once, behind them."""

    def __init__(self) -> None:
        super().__init__()
        self._encoder = msgspec.json.Encoder(enc_hook=str, decimal_format="number")
        self._lines = bytearray()
        self._since = 0.0
        self._last_state = b""
        self._is_writing = False
        self.target_wait_seconds = 0.0  # seconds, for whoever reads what is written
        self._stop: Callable[[], NoReturn] | None = None

    def serialize_message(self, message: Message | LeanRecordMessage) -> bytes:
        """One message as a line of JSON."""
        return self._encoder.encode(message.to_dict()) + b"\n"

    def write_message(self, message: Message) -> None:
        """Write `message` behind what is kept; a RECORD is kept itself."""
        if isinstance(message, RecordMessage):
            self.write_records([message.to_dict()])
        else:
            self._is_writing = True
            line = self.serialize_message(message)
            if isinstance(message, StateMessage):
                self._last_state = line
            self._lines += line
            self._write_kept()
            self._end_writing()

    def write_records(self, messages: Iterable[LeanRecordMessage | dict[str, Any]]) -> None:
        """Keep RECORD messages until their block is full, or the first of it old."""
        self._is_writing = True
        lines, now = self._lines, time.monotonic()
        if not lines:
            self._since = now
        end = len(lines)
        try:
            for message in messages:
                self._encoder.encode_into(message, lines, end)
                lines += b"\n"
                end = len(lines)
        except BaseException:
            del lines[end:]  # whatever there is of the message that failed
            raise
        if end >= BLOCK or now - self._since >= OLDEST:
            self._write_kept()
        self._end_writing()

    def flush(self) -> None:
        """Write what is kept."""
        self._is_writing = True
        self._write_kept()
        self._end_writing()

    def _end_writing(self) -> None:
        self._is_writing = False
        if self._stop is not None:
            self.stop(self._stop)

    def _write_kept(self) -> None:
        if not self._lines:
            return
        block, self._lines = self._lines, bytearray()
        if not block.isascii():
            for mark, escape in _LINE_ENDS.items():
                if _holds(block, mark):
                    block = block.replace(mark, escape)
        out: Any = sys.stdout  # looked up now: tests and callers redirect it
        started = time.monotonic()
        if hasattr(out, "buffer"):
            left = memoryview(block)
            while left:  # a signal cuts a write short, where PYTHONUNBUFFERED leaves no buffer
                left = left[out.buffer.write(left) :]
        else:
            out.write(block.decode())
        out.flush()
        self.target_wait_seconds += time.monotonic() - started

    def stop(self, leave: Callable[[], NoReturn]) -> None:
        """End with whole lines, the last of them the last STATE, then `leave`.

        Called by a signal's handler, maybe amidst a message: then it returns, and all this happens
        once that message is written.
        """
        if self._is_writing:
            self._stop = leave
            return
        self._lines += self._last_state
        self._write_kept()
        leave()
