"""Messages are written as complete lines, in order and in blocks, and flushed when necessary."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from singer_sdk.singerlib import RecordMessage, SchemaMessage, StateMessage

from support import seeded
from tap_callcap.singer.writer import (
    BLOCK,
    OLDEST,
    BlockWriter,
    FastRecordMessage,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from singer_sdk.singerlib.encoding.simple import Message

FULL = Path("/dev/full")
SEEDED = settings(seeded.SEEDED, max_examples=100)
SCHEMA = SchemaMessage("calls", {"type": "object", "properties": {}}, ["call_id"])
STATE = StateMessage({"bookmarks": {}})


@dataclass
class Output:
    """Stands for stdout and for its buffer, and keeps what it was given."""

    blocks: list[bytes] = field(default_factory=list)
    most: int | None = None  # bytes that it takes at once
    flushed: int = 0

    @property
    def buffer(self) -> Output:
        """Where bytes go."""
        return self

    def write(self, block: bytes) -> int:
        """Take a block as it is at this moment, or some of it, and return how much."""
        taken = bytes(block[: self.most])
        self.blocks.append(taken)
        return len(taken)

    def flush(self) -> None:
        """Note that all that was written has been flushed."""
        self.flushed = len(self.blocks)

    @property
    def messages(self) -> list[Any]:
        """What was written, line by line."""
        whole = b"".join(self.blocks)
        assert whole.endswith(b"\n") or not whole
        return [json.loads(line, parse_float=Decimal) for line in whole.decode().splitlines()]


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> Output:
    """What is written to stdout."""
    output = Output()
    # For the writer alone: pytest puts its own stdout in place after the fixtures.
    monkeypatch.setattr("tap_callcap.singer.writer.sys", SimpleNamespace(stdout=output))
    return output


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that tells how old a record is."""
    hand = Clock()
    monkeypatch.setattr("tap_callcap.singer.writer.time", SimpleNamespace(monotonic=hand))
    return hand


def record(**fields: object) -> RecordMessage:
    """A record of calls."""
    return RecordMessage("calls", fields)


@pytest.mark.parametrize("version", [None, 1_700_000_000_000])
def test_a_fast_record_is_the_record_of_the_sdk(version: int | None) -> None:
    """Whichever class makes it, whichever writer writes it."""
    moment = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
    parts: tuple[Any, ...] = ("calls", {"call_id": "1"}, version, moment)
    fast, usual = FastRecordMessage(*parts), RecordMessage(*parts)
    assert fast.to_dict() == usual.to_dict()
    writer = BlockWriter()
    assert writer.serialize_message(fast) == writer.serialize_message(usual)


def test_records_wait_for_their_block(out: Output, clock: Clock) -> None:
    """A record alone is not worth a system call."""
    writer = BlockWriter()
    writer.write_message(record(call_id="1"))
    clock.now += OLDEST * 0.99
    writer.write_message(record(call_id="2"))
    assert out.blocks == []
    writer.flush()
    assert [message["record"]["call_id"] for message in out.messages] == ["1", "2"]
    assert out.flushed == len(out.blocks) == 1


def test_a_full_block_is_written(out: Output, clock: Clock) -> None:
    """As soon as a block is full it goes out whole, and the next begins empty."""
    writer = BlockWriter()
    line = record(notes="x" * 1000)
    size = len(writer.format_message(line))
    for _ in range(BLOCK // size):
        writer.write_message(line)
    assert out.blocks == []
    writer.write_message(line)
    assert [len(block) for block in out.blocks] == [size * (BLOCK // size + 1)]
    assert out.flushed == 1
    writer.write_message(line)
    assert len(out.blocks) == 1
    assert clock.now == Clock.now


def test_a_block_is_full_to_the_byte(out: Output, clock: Clock) -> None:
    """A record that fills a block exactly is written with it."""
    writer = BlockWriter()
    room = BLOCK - len(writer.format_message(record(notes="")))
    writer.write_message(record(notes="x" * room))
    assert [len(block) for block in out.blocks] == [BLOCK]
    assert clock.now == Clock.now


def test_a_record_does_not_wait_for_long(out: Output, clock: Clock) -> None:
    """While records come slowly, the oldest is written after a second, with those behind it."""
    writer = BlockWriter()
    for second in (0.0, 0.5, 0.5, 0.5, 0.4):
        clock.now += second
        writer.write_message(record(call_id="1"))
    assert [block.count(b"\n") for block in out.blocks] == [3]
    clock.now += OLDEST
    writer.flush()
    writer.write_message(record(call_id="2"))
    assert [block.count(b"\n") for block in out.blocks] == [3, 2]


@pytest.mark.parametrize("message", [SCHEMA, STATE], ids=["SCHEMA", "STATE"])
def test_any_other_message_goes_out_at_once_behind_its_records(
    out: Output, clock: Clock, message: Message
) -> None:
    """A STATE must not overtake a record that it speaks of, nor wait for later ones."""
    writer = BlockWriter()
    writer.write_message(record(call_id="1"))
    writer.write_message(message)
    assert [line["type"] for line in out.messages] == ["RECORD", message.to_dict()["type"]]
    assert out.flushed == len(out.blocks) == 1
    assert clock.now == Clock.now


def test_time_waited_for_the_target_is_told(
    out: Output, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What writing and flushing takes adds up; what lies between does not."""
    writer = BlockWriter()
    monkeypatch.setattr(out, "flush", lambda: setattr(clock, "now", clock.now + 2.5))
    writer.write_message(STATE)
    clock.now += 100
    writer.write_message(SCHEMA)
    assert writer.target_wait_seconds == pytest.approx(5)


def test_a_flush_of_nothing_writes_nothing(out: Output) -> None:
    """Neither a new writer nor one that has just written has anything to write."""
    writer = BlockWriter()
    writer.flush()
    assert out.blocks == []
    writer.write_message(STATE)
    writer.flush()
    assert len(out.blocks) == 1


def test_what_a_write_leaves_is_written_next(out: Output) -> None:
    """Without a buffer (PYTHONUNBUFFERED, as images set it) a signal cuts a write short."""
    out.most = 7
    BlockWriter().write_message(STATE)
    assert out.messages == [STATE.to_dict()]
    assert len(out.blocks) > 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows interrupts no write")
@pytest.mark.parametrize("buffering", [0, -1], ids=["without a buffer", "with a buffer"])
def test_a_signal_amidst_a_block_loses_none_of_it(
    buffering: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of the block follows, then the last STATE again, then the process ends."""
    reads, writes = os.pipe()
    file = os.fdopen(writes, "wb", buffering=buffering)
    stdout = io.TextIOWrapper(file, encoding="utf-8")
    monkeypatch.setattr("tap_callcap.singer.writer.sys", SimpleNamespace(stdout=stdout))
    monkeypatch.setattr("tap_callcap.singer.writer.BLOCK", 2**23)
    writer = BlockWriter()
    before = signal.signal(signal.SIGALRM, lambda *_: writer.stop(leave))
    writer.write_message(STATE)
    for n in range(3000):
        writer.write_message(record(n=n, notes="x" * 1000))
    # The block is longer than the pipe, which nobody reads until the signal has come.
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    received = bytearray()

    def read() -> None:
        time.sleep(0.3)
        while got := os.read(reads, 2**16):
            received.extend(got)

    reader = threading.Thread(target=read)
    reader.start()
    with pytest.raises(LeftError):
        writer.flush()
    signal.signal(signal.SIGALRM, before)
    file.close()
    reader.join()
    os.close(reads)
    lines = [json.loads(line) for line in received.splitlines()]
    assert [line["type"] for line in lines] == ["STATE", *["RECORD"] * 3000, "STATE"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a pipe can hold")
@pytest.mark.parametrize("size", [3000, 5000, 70_000, 400_000])
@pytest.mark.parametrize("buffering", [0, -1], ids=["without a buffer", "with a buffer"])
def test_a_stop_while_nobody_reads_leaves_whole_lines(
    size: int, buffering: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that the pipe cannot hold whole is not begun, however long the lines are."""
    reads, writes = os.pipe()
    file = os.fdopen(writes, "wb", buffering=buffering)
    stdout = io.TextIOWrapper(file, encoding="utf-8")
    monkeypatch.setattr("tap_callcap.singer.writer.sys", SimpleNamespace(stdout=stdout))
    monkeypatch.setattr("tap_callcap.singer.writer.PATIENCE", 0.1)
    writer = BlockWriter()
    before = signal.signal(signal.SIGALRM, lambda *_: writer.stop(leave))
    writer.write_message(STATE)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    records = [record(n=n, notes="x" * size) for n in range(2 * BLOCK // size + 2)]
    with pytest.raises(LeftError):
        writer.write_records([each.to_dict() for each in records])
    signal.signal(signal.SIGALRM, before)
    stdout.detach()
    file.close()
    with os.fdopen(reads, "rb") as reader:
        received = reader.read()
    assert received.endswith(b"\n")
    lines = [json.loads(line) for line in received.splitlines()]
    assert [line["type"] for line in lines] == ["STATE", *["RECORD"] * (len(lines) - 1)]
    assert [line["record"]["n"] for line in lines[1:]] == list(range(len(lines) - 1))
    assert len(lines) > 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a pipe can hold")
@pytest.mark.parametrize("chunk", [1000, 2**16, 2**22])
def test_a_slow_reader_gets_all(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whatever pieces it reads, also a line longer than a pipe, and after another's line."""
    reads, writes = os.pipe()
    os.write(writes, b'{"type":"before"}\n')
    stdout = io.TextIOWrapper(os.fdopen(writes, "wb"), encoding="utf-8")
    monkeypatch.setattr("tap_callcap.singer.writer.sys", SimpleNamespace(stdout=stdout))
    received = bytearray()

    def read() -> None:
        while got := os.read(reads, chunk):
            received.extend(got)

    reader = threading.Thread(target=read)
    reader.start()
    writer = BlockWriter()
    sizes = [*range(0, 9000, 30), 2 * BLOCK, 5]
    for size in sizes:
        writer.write_message(record(notes="x" * size))
    writer.write_message(STATE)
    stdout.close()
    reader.join()
    os.close(reads)
    lines = [json.loads(line) for line in received.splitlines()]
    assert [len(line["record"]["notes"]) for line in lines[1:-1]] == sizes


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a pipe can hold")
def test_a_reader_that_has_gone_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the pipe is full: nobody waits for room that never comes."""
    reads, writes = os.pipe()
    file = os.fdopen(writes, "wb", buffering=0)
    stdout = io.TextIOWrapper(file, encoding="utf-8")
    monkeypatch.setattr("tap_callcap.singer.writer.sys", SimpleNamespace(stdout=stdout))
    writer = BlockWriter()
    before = signal.signal(signal.SIGALRM, lambda *_: os.close(reads))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    records = [record(notes="x" * 10_000).to_dict() for _ in range(300)]
    with pytest.raises(BrokenPipeError):
        writer.write_records(records)
    signal.signal(signal.SIGALRM, before)
    stdout.detach()
    file.close()


def test_a_stdout_without_bytes_is_written_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers redirect stdout to a StringIO, which has no buffer."""
    text = io.StringIO()
    monkeypatch.setattr(sys, "stdout", text)
    BlockWriter().write_message(StateMessage({"é": "\u2028"}))
    assert text.getvalue() == '{"type":"STATE","value":{"é":"\\u2028"}}\n'


@pytest.mark.parametrize("mark", ["\x85", "\u2028", "\u2029", "\n", "\r", "\x0b", "\x1c"], ids=repr)
def test_no_line_end_is_left_inside_a_message(out: Output, clock: Clock, mark: str) -> None:
    """Readers that split lines as Python does get one line a message, with its text whole."""
    text = f"a{mark}b{mark}"
    writer = BlockWriter()
    writer.write_message(record(notes=text, **{mark: 1}))
    writer.write_message(STATE)
    assert len(b"".join(out.blocks).decode().splitlines()) == 2
    assert out.messages[0]["record"] == {"notes": text, mark: 1}
    assert clock.now == Clock.now


def test_numbers_keep_their_digits(out: Output) -> None:
    """8.0000 goes out as it came, as a number, however large or precise."""
    numbers = [Decimal("8.0000"), Decimal("1E+400"), 2**70, Decimal("0." + "1" * 50)]
    writer = BlockWriter()
    writer.write_message(record(numbers=numbers))
    writer.flush()
    assert b'"numbers":[8.0000,1E+400,1180591620717411303424,0.1111' in out.blocks[0]
    assert out.messages[0]["record"]["numbers"] == numbers


def test_types_that_json_lacks_go_out_as_text(out: Output) -> None:
    """A stream map may make any object: it comes out as its text rather than stop the run."""
    moment = datetime(2026, 11, 24, 10, 5, tzinfo=timezone.utc)
    writer = BlockWriter()
    writer.write_message(record(path=PurePosixPath("/x"), at=moment, many=range(2)))
    writer.flush()
    assert out.messages[0]["record"] == {
        "path": "/x",
        "at": "2026-11-24T10:05:00Z",
        "many": "range(0, 2)",
    }


def test_nothing_is_left_of_what_cannot_be_encoded(out: Output) -> None:
    """The record that failed must not become half a line before the last STATE."""

    class Unreadable:
        def __str__(self) -> str:
            raise ArithmeticError

    writer = BlockWriter()
    writer.write_message(record(call_id="1"))
    with pytest.raises(ArithmeticError):
        writer.write_message(record(call_id="2", notes=Unreadable()))
    writer.flush()
    assert [message["record"] for message in out.messages] == [{"call_id": "1"}]


def test_messages_are_the_sdks(out: Output) -> None:
    """What a message holds is the SDK's; only how it is written is this writer's."""
    moment = datetime(2026, 11, 24, 10, 5, tzinfo=timezone.utc)
    writer = BlockWriter()
    writer.write_message(RecordMessage("calls", {"a": None}, time_extracted=moment))
    writer.write_message(SCHEMA)
    assert out.messages == [
        {
            "type": "RECORD",
            "stream": "calls",
            "record": {"a": None},
            "time_extracted": "2026-11-24T10:05:00Z",
        },
        SCHEMA.to_dict(),
    ]


class LeftError(Exception):
    """Raised where the process would end."""


def leave() -> NoReturn:
    """Stand for the end of the process."""
    raise LeftError


@pytest.mark.parametrize("states", [0, 1, 2], ids=["no STATE", "one STATE", "two STATEs"])
def test_a_stop_ends_with_the_last_state(out: Output, clock: Clock, states: int) -> None:
    """The records that wait go out, and behind them the STATE of the last checkpoint."""
    writer = BlockWriter()
    lines = [StateMessage({"n": n}) for n in range(states)] + [record(n=n) for n in range(2)]
    for line in lines:
        writer.write_message(line)
    with pytest.raises(LeftError):
        writer.stop(leave)
    expected = lines + lines[:states][-1:]
    assert out.messages == [line.to_dict() for line in expected]
    assert clock.now == Clock.now


def test_a_stop_before_the_first_message_writes_nothing(out: Output) -> None:
    """A signal may come before there is anything to say."""
    with pytest.raises(LeftError):
        BlockWriter().stop(leave)
    assert out.blocks == []


def test_a_stop_amidst_a_message_waits_for_its_end(out: Output, clock: Clock) -> None:
    """A signal comes at any moment, yet every line is whole, and the process still ends."""
    writer = BlockWriter()
    writer.write_message(STATE)

    class Interrupting:
        def __str__(self) -> str:
            writer.stop(leave)
            assert len(out.blocks) == 1
            return "1"

    with pytest.raises(LeftError):
        writer.write_message(record(call_id=Interrupting()))
    assert [line["type"] for line in out.messages] == ["STATE", "RECORD", "STATE"]
    assert out.messages[0] == out.messages[2]
    assert out.flushed == len(out.blocks) == 2
    assert clock.now == Clock.now


texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from((
    "\u2028",
    "Â\x85",
    "…",
))
written = st.one_of(
    st.builds(RecordMessage, st.just("calls"), st.dictionaries(texts, texts | st.integers())),
    st.builds(StateMessage, st.dictionaries(texts, texts)),
    st.floats(0, 2),
)


@SEEDED
@given(st.lists(written))
def test_any_messages_come_out_whole_and_in_order(steps: list[Message | float]) -> None:
    """Whatever is written and however slowly, each message is a line, in the order of writing."""
    with pytest.MonkeyPatch.context() as patch:
        out, clock, messages = Output(), Clock(), []
        patch.setattr(sys, "stdout", out)
        patch.setattr("tap_callcap.singer.writer.time", SimpleNamespace(monotonic=clock))
        writer = BlockWriter()
        for step in steps:
            if isinstance(step, float):
                clock.now += step
                continue
            messages.append(json.loads(json.dumps(step.to_dict())))
            writer.write_message(step)
            assert out.messages == messages[: len(out.messages)]
            assert isinstance(step, RecordMessage) or out.messages == messages
        writer.flush()
        assert out.messages == messages
        assert out.flushed == len(out.blocks)


@dataclass
class Signalled(Output):
    """Stands for stdout; a signal comes at the first of many small writes."""

    most: int | None = 5
    on_signal: list[Callable[[], object]] = field(default_factory=list)

    def write(self, block: bytes) -> int:
        """Take some of the block, then let the signal come."""
        taken = super().write(block)
        if self.on_signal:
            self.on_signal.pop()()
        return taken


@pytest.mark.parametrize("step", ["state", "schema", "flush"])
def test_a_stop_amidst_a_write_waits_for_its_end(
    step: str, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """Whatever is written when a signal comes is written whole, and the last STATE after it."""
    out = Signalled()
    monkeypatch.setattr("tap_callcap.singer.writer.sys", SimpleNamespace(stdout=out))
    writer = BlockWriter()
    writer.write_message(StateMessage({"n": 1}))
    writer.write_message(record(n=1))
    out.on_signal.append(lambda: writer.stop(leave))
    act: dict[str, Callable[[], object]] = {
        "state": lambda: writer.write_message(StateMessage({"n": 2})),
        "schema": lambda: writer.write_message(SCHEMA),
        "flush": writer.flush,
    }
    with pytest.raises(LeftError):
        act[step]()
    written: dict[str, list[Message]] = {"state": [StateMessage({"n": 2})], "schema": [SCHEMA]}
    last = StateMessage({"n": 2 if step == "state" else 1})
    expected = [StateMessage({"n": 1}), record(n=1), *written.get(step, []), last]
    assert out.messages == [json.loads(json.dumps(message.to_dict())) for message in expected]
    assert clock.now == Clock.now


@pytest.mark.skipif(not FULL.exists(), reason="Linux has it")
def test_a_full_disk_says_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system names no file with the error of a write."""
    with os.fdopen(os.open(FULL, os.O_WRONLY), "w", closefd=False) as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(OSError, match="No space left") as caught:
            BlockWriter().write_message(SCHEMA)
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())  # for what it still holds
    assert caught.value.filename == "standard output"
