"""The message writer: whole lines, in blocks, flushed when it matters."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
from singer_sdk.singerlib import RecordMessage
from singer_sdk.singerlib.encoding import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message, StateMessage

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 2**18  # bytes; with each write all threads take turns, which costs more than the call
OLDEST = 1.0  # seconds that a record may wait for its block to fill while others come

# Line ends for Python's str.splitlines, which some readers use; JSON may hold them unescaped.
_LINE_ENDS = {
    mark.encode(): f"\\u{ord(mark):04x}".encode() for mark in ("\x85", "\u2028", "\u2029")
}


def _has_line_end(lines: bytearray) -> bool:
    """Whether lines of JSON hold such a mark: single bytes are found much faster than several."""
    at = lines.find(b"\xe2")
    while at >= 0:
        if lines.startswith((b"\x80\xa8", b"\x80\xa9"), at + 1):
            return True
        at = lines.find(b"\xe2", at + 1)
    return b"\xc2" in lines and b"\xc2\x85" in lines


class BlockWriter(GenericSingerWriter[bytes, Message]):
    """Writes RECORD messages in blocks; any other message goes out at once, behind them."""

    def __init__(self) -> None:
        super().__init__()
        self._encoder = msgspec.json.Encoder(enc_hook=str, decimal_format="number")
        self._lines = bytearray()
        self._since = 0.0
        self._last_state = b""
        self._is_writing = False
        self.waited = 0.0  # seconds, for whoever reads what is written
        self._stop: Callable[[], NoReturn] | None = None

    def serialize_message(self, message: Message) -> bytes:
        """One message as a line of JSON."""
        line = bytearray()
        self._add(message, line)
        return bytes(line)

    def _add(self, message: Message, lines: bytearray) -> None:
        end = len(lines)
        try:
            self._encoder.encode_into(message.to_dict(), lines, end)
        except BaseException:
            del lines[end:]  # whatever of it is there
            raise
        lines += b"\n"

    def write_message(self, message: Message) -> None:
        """Write `message`, or keep it until its block is full."""
        self._is_writing = True
        if not self._lines:
            self._since = time.monotonic()
        end = len(self._lines)
        self._add(message, self._lines)
        if isinstance(message, StateMessage):
            self._last_state = bytes(self._lines[end:])
        if (
            len(self._lines) >= BLOCK
            or not isinstance(message, RecordMessage)
            or time.monotonic() - self._since >= OLDEST
        ):
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
        if not block.isascii() and _has_line_end(block):
            for mark, escape in _LINE_ENDS.items():
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
        self.waited += time.monotonic() - started

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
