"""The message writer: whole lines, written in blocks."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from datetime import datetime  # noqa: TC003 - msgspec looks it up
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
from msgspec.structs import asdict
from singer_sdk.singerlib import RecordMessage
from singer_sdk.singerlib.encoding import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message, StateMessage

from tap_callcap.singer.pipe import LinePipe

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

BLOCK = 2**20  # bytes; each write lets another thread run, which costs more than the write itself
OLDEST = 1.0  # seconds after which a record is written though its block is not full
PATIENCE = 4.0  # seconds from a signal until lines are given up that the target does not read

# Line ends for Python's str.splitlines, which some readers use; JSON may hold them unescaped.
_LINE_ENDS = {
    mark.encode(): f"\\u{ord(mark):04x}".encode() for mark in ("\x85", "\u2028", "\u2029")
}


ENCODER = msgspec.json.Encoder(enc_hook=str, decimal_format="number")


@contextmanager
def naming(place: str) -> Generator[None, None, None]:
    """Let the error of a file without a name, such as of a full disk, say what was written."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or place
        raise


def escape_line_ends(lines: bytearray) -> bytearray:
    """`lines` of JSON with no line end in them but their own."""
    if not lines.isascii():
        for mark, escape in _LINE_ENDS.items():
            if mark[-1] in lines:  # a single byte is found many times faster than three
                lines = lines.replace(mark, escape)
    return lines


class FastRecordMessage(
    msgspec.Struct, tag_field="type", tag="RECORD", omit_defaults=True, gc=False
):
    """A RECORD message that is cheaper to make and to encode than the SDK's."""

    stream: str
    record: Any
    version: int | None = None
    time_extracted: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """The message as a dict, for writers other than `BlockWriter`."""
        present = {name: part for name, part in asdict(self).items() if part is not None}
        return {"type": "RECORD", **present}


class BlockWriter(GenericSingerWriter[bytes, Message]):
    """Writes RECORD messages in blocks, any other message at once, after the records before it."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = bytearray()
        self._since = 0.0
        self._last_state = b""
        self._is_writing = False
        self.written = 0  # messages other than records
        self.target_wait_seconds = 0.0  # time spent in writes, which block while the target is busy
        self._pipe: tuple[object, LinePipe | None] = (None, None)  # and the stdout that it is of
        self._stop: Callable[[], NoReturn] | None = None
        self._deadline = 0.0

    def serialize_message(  # noqa: PLR6301 - the SDK's signature
        self, message: Message | FastRecordMessage
    ) -> bytes:
        """One message as a line of JSON."""
        return ENCODER.encode(message.to_dict()) + b"\n"

    def write_message(self, message: Message) -> None:
        """Add a RECORD to the block; write any other message, and the block before it."""
        if isinstance(message, RecordMessage):
            self.write_records([message.to_dict()])
        else:
            self._is_writing = True
            line = self.serialize_message(message)
            if isinstance(message, StateMessage):
                self._last_state = line
            self._lines += line
            self._write_block()
            self.written += 1
            self._end_writing()

    def write_records(self, messages: Iterable[FastRecordMessage | dict[str, Any]]) -> None:
        """Add RECORD messages to the block; write it when it is full, or its first record old."""
        self._is_writing = True
        lines, now = self._lines, time.monotonic()
        if not lines:
            self._since = now
        end = len(lines)
        try:
            for message in messages:
                ENCODER.encode_into(message, lines, end)
                lines += b"\n"
                end = len(lines)
        except BaseException:
            del lines[end:]  # the part of the message that was encoded before it failed
            raise
        if end >= BLOCK or now - self._since >= OLDEST:
            self._write_block()
        self._end_writing()

    def flush(self) -> None:
        """Write the block."""
        self._is_writing = True
        self._write_block()
        self._end_writing()

    def _end_writing(self) -> None:
        self._is_writing = False
        if self._stop is not None:
            self.stop(self._stop)

    def _write_block(self) -> None:
        if not self._lines:
            return
        block, self._lines = self._lines, bytearray()
        block = escape_line_ends(block)
        out: Any = sys.stdout  # looked up now: tests and callers redirect it
        started = time.monotonic()
        with naming("standard output"):
            if hasattr(out, "buffer"):
                self._write_bytes(out, memoryview(block))
            else:
                out.write(block.decode())
            out.flush()
        self.target_wait_seconds += time.monotonic() - started

    def _write_bytes(self, out: Any, left: memoryview) -> None:  # noqa: ANN401 - any stdout
        if out is not self._pipe[0]:
            self._pipe = out, LinePipe.of(out)
        pipe = self._pipe[1]
        if pipe is not None:
            out.flush()
        write: Callable[[memoryview], int] = (pipe or out.buffer).write
        while left:  # with PYTHONUNBUFFERED a signal cuts a write short
            left = left[write(left) :]
            if left and self._stop is not None and time.monotonic() >= self._deadline:
                self._stop()

    def stop(self, leave: Callable[[], NoReturn]) -> None:
        """Write the block and the last STATE again, then call `leave`.

        A signal handler calls this. While a message is being written it returns at once, and the
        writer stops as soon as that message is complete. Where the target does not read, it leaves
        after `PATIENCE`, without the lines that the pipe could not hold.
        """
        if self._stop is None:
            self._stop, self._deadline = leave, time.monotonic() + PATIENCE
        if self._is_writing:
            return
        self._lines += self._last_state
        self._write_block()
        leave()
