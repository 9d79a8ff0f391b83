"""callcap-load runs a target in parts, and stops it so that no STATE is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.running import clean_environment
from tap_callcap import load
from tap_callcap.signals import ENDING

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = Path(sys.executable).with_name("callcap-load")
TARGET = """
import json, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
lines = []
for line in sys.stdin:
    lines.append(json.loads(line))
    if lines[-1].get("value") == 2 and "STARTED" in os.environ:
        open(os.environ["STARTED"], "w").close()
with open(sys.argv[1], "a") as file:
    print(json.dumps([line.get("stream", line.get("value")) for line in lines]), file=file)
states = [line["value"] for line in lines if line["type"] == "STATE"]
if states:
    print(json.dumps(states[-1]), flush=True)
sys.exit(int(os.environ.get("FAILS", "0")))
"""
MESSAGES = [
    {"type": "SCHEMA", "stream": "calls", "schema": {}},
    {"type": "RECORD", "stream": "calls", "record": {"note": '{"type":"STATE"}'}},
    {"type": "STATE", "value": 1},
    {"type": "SCHEMA", "stream": "csrs", "schema": {}},
    {"type": "RECORD", "stream": "csrs", "record": {}},
    {"type": "RECORD", "stream": "calls", "record": {}},
    {"type": "STATE", "value": 2},
    {"type": "RECORD", "stream": "calls", "record": {}},
]


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Put signals back."""
    before = {number: signal.getsignal(number) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def ran(
    folder: Path, *arguments: str, messages: Any = MESSAGES, end: str = "", **environment: str
) -> tuple[int, list[Any]]:
    """Run a load in this process; return its code and what each run of the target got."""
    source, sink = os.pipe()
    text = b"".join(json.dumps(message).encode() + b"\n" for message in messages) + end.encode()
    os.write(sink, text)
    os.close(sink)
    parts = folder / "parts"
    command = arguments or (sys.executable, "-c", TARGET, str(parts))
    code = load.load(command, environment, source)
    os.close(source)
    got = parts.read_text("utf-8").splitlines() if parts.exists() else []
    return code, [json.loads(line) for line in got]


def test_a_part_ends_at_a_state_and_the_next_begins_with_the_schemas(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each STATE is passed on when its part is loaded."""
    code, parts = ran(tmp_path, CALLCAP_LOAD_SECONDS="0")

    assert (code, parts) == (
        0,
        [
            ["calls", "calls", 1],
            ["calls", "csrs", "csrs", "calls", 2],
            ["calls", "csrs", "calls"],
        ],
    )
    assert capfd.readouterr().out == "1\n2\n"


def test_a_short_run_is_one_part(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As if the target had been run by itself."""
    code, parts = ran(tmp_path)

    assert (code, len(parts)) == (0, 1)
    assert capfd.readouterr().out == "2\n"


def test_a_message_that_was_cut_is_left_out(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A killed tap leaves half a line, at which the target would fail; one line says so."""
    code, parts = ran(tmp_path, end='{"type":"RECORD","str')

    assert (code, len(parts[0])) == (0, len(MESSAGES))
    captured = capfd.readouterr()
    assert captured.err == "callcap-load: the last message was incomplete, and is left out\n"
    assert captured.out == "2\n"


@pytest.mark.parametrize("block", [1, 2, 7, 1000])
def test_lines_are_whole_however_they_arrive(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one read or in many; empty ones too."""
    monkeypatch.setattr(load, "BLOCK", block)
    file = tmp_path / "messages"
    file.write_bytes(b"a\n\nbcd\nefghijk\nlost")
    with file.open("rb") as source, load.caught_signals() as stop:
        lines = [*load.whole_lines(source.fileno(), stop)]

    assert lines == [b"a\n", b"\n", b"bcd\n", b"efghijk\n"]


def test_the_code_of_a_target_that_fails_is_passed_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one line; nothing more is started."""
    monkeypatch.setenv("FAILS", "3")
    code, parts = ran(tmp_path, CALLCAP_LOAD_SECONDS="0")

    assert (code, len(parts)) == (3, 1)
    assert capfd.readouterr().err == f"callcap-load: {sys.executable} exited with 3: see its log\n"


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("import os; os.close(0)", 1, "ended before its input did"),
        ("import os; os.kill(os.getpid(), 9)", 137, "exited with 137: see its log"),
    ],
    ids=["ends early", "killed"],
)
def test_a_target_that_ends_early_fails_the_load(
    script: str, code: int, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever its exit code is: the rest was not loaded."""
    many = [MESSAGES[0], *[{"type": "RECORD", "stream": "calls", "record": "x" * 6000}] * 60]
    file = tmp_path / "messages"
    file.write_text("".join(f"{json.dumps(message)}\n" for message in many), encoding="utf-8")
    with file.open("rb") as source:
        found = load.load([sys.executable, "-c", script], {}, source.fileno())

    assert found == code
    assert said in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "said"),
    [
        (("no-such-target",), {}, 1, "no-such-target cannot be started"),
        (("--config", "x"), {}, 2, "CALLCAP_LOAD_TARGET"),
        (("target-x",), {"TARGET_X_LOAD_METHOD": "overwrite"}, 2, "load_method overwrite"),
        (("target-x", "--config", "config.json"), {}, 2, "load_method overwrite"),
        (("target-x", "--config=config.json"), {}, 2, "load_method overwrite"),
        (("target-x",), {"CALLCAP_LOAD_SECONDS": "soon"}, 2, "should be a number of seconds"),
        (("target-x",), {"CALLCAP_LOAD_SECONDS": "nan"}, 2, "should be a number of seconds"),
        (("target-x",), {"CALLCAP_LOAD_SECONDS": "-1"}, 2, "should be a number of seconds"),
        (("cat",), {"CALLCAP_LOAD_COUNTS": "no/folder"}, 1, "CALLCAP_LOAD_COUNTS cannot be"),
    ],
    ids=[
        *("not installed", "no target", "overwrites", "overwrites by its config"),
        *("overwrites by its config, after =", "no seconds", "not a number", "less than none"),
        "counts into no folder",
    ],
)
def test_what_cannot_work_is_one_line(  # noqa: PLR0913, PLR0917 - a table's columns
    arguments: tuple[str, ...],
    environment: dict[str, str],
    code: int,
    said: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says what to correct."""
    monkeypatch.chdir(tmp_path)
    Path("config.json").write_text('{"load_method": "overwrite"}', encoding="utf-8")

    found, _ = ran(tmp_path, *arguments, **environment)

    (line,) = capfd.readouterr().err.splitlines()
    assert found == code
    assert said in line


def test_the_target_may_be_named_in_the_environment(tmp_path: Path) -> None:
    """As in meltano.yml, which gives no arguments."""
    command = load.command_of(["--config", "x"], {"CALLCAP_LOAD_TARGET": "target-x"})

    assert command == ["target-x", "--config", "x"]
    assert load.command_of(["target-y"], {"CALLCAP_LOAD_TARGET": "target-x"}) == ["target-y"]
    assert ran(tmp_path, "true", messages=[])[0] == 0


def test_records_are_counted(tmp_path: Path) -> None:
    """For each stream, over all parts."""
    counts = tmp_path / "counts.json"
    batch = {"type": "BATCH", "stream": "calls", "manifest": []}
    ran(
        tmp_path,
        messages=[*MESSAGES, batch],
        CALLCAP_LOAD_SECONDS="0",
        CALLCAP_LOAD_COUNTS=str(counts),
    )

    assert json.loads(counts.read_text("utf-8"))["records"] == {"calls": 3, "csrs": 1, "BATCH": 1}


@pytest.mark.parametrize(
    "message", [b'{"type":"SCHEMA", "stream"\n', b'{"type":"SCHEMA"}\n'], ids=["broken", "nameless"]
)
def test_a_schema_that_cannot_be_kept_fails_the_load(
    message: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In one line: the next part could not begin with it."""
    file = tmp_path / "messages"
    file.write_bytes(message)
    with file.open("rb") as source:
        assert load.load(["cat"], {}, source.fileno()) == 1

    assert capfd.readouterr().err == (
        "callcap-load: a SCHEMA message is not JSON, or names no stream: see the tap's log\n"
    )


def test_a_stream_whose_name_is_no_text_is_counted(tmp_path: Path) -> None:
    """The target, which gets the line as it is, decides on it."""
    file, counts = tmp_path / "messages", tmp_path / "counts.json"
    file.write_bytes(b'{"type":"RECORD","stream":"\xff"}\n')
    with file.open("rb") as source:
        assert load.load(["cat"], {"CALLCAP_LOAD_COUNTS": str(counts)}, source.fileno()) == 0

    assert json.loads(counts.read_text("utf-8"))["records"] == {"\ufffd": 1}


@pytest.mark.skipif(sys.platform == "win32", reason="It needs a POSIX shell")
@pytest.mark.parametrize("closed", ["<&-", ">&-"], ids=["input", "output"])
def test_a_closed_stream_is_one_line(closed: str) -> None:
    """A pipe of the process would take its place, and the load wait for itself for ever."""
    shell = subprocess.run(
        ["/bin/sh", "-c", f'"$0" cat {closed}', COMMAND],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert (shell.returncode, shell.stderr) == (
        2,
        b"callcap-load: standard input or output is closed: connect it to the tap, or to a file\n",
    )


def test_a_descriptor_that_is_not_open_is_an_error() -> None:
    """The code is that of a wrong use."""
    with pytest.raises(load.TargetError, match="standard input or output is closed") as caught:
        load.check_streams(2**20)
    assert caught.value.code == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_lets_the_target_load_what_it_has(number: int, tmp_path: Path) -> None:
    """The command itself: the STATE comes out, and the tap can write on until it ends too."""
    started = tmp_path / "started"
    environment = clean_environment() | {"STARTED": str(started)}
    with subprocess.Popen(
        [COMMAND, sys.executable, "-c", TARGET, tmp_path / "parts"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for message in MESSAGES:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
        while not started.exists():  # which a target does that has its first message
            time.sleep(0.02)
        os.killpg(process.pid, number)
        assert process.stdout.readline() == b"2\n"
        process.stdin.write(b"x" * 300_000 + b"\n")  # more than a pipe holds
        process.stdin.close()
        assert process.wait(timeout=60) == 128 + number


def test_help_without_a_target_is_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    """It says what the command does and how it is set up."""
    assert load.load(["--help"], {}, 0) == 0
    assert "CALLCAP_LOAD_TARGET" in capfd.readouterr().out


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As nohup has it for SIGHUP."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with load.caught_signals():
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL


def test_a_question_goes_to_the_target(capfd: pytest.CaptureFixture[str]) -> None:
    """It has no messages to wait for."""
    assert load.load([sys.executable, "--version"], {}, 0) == 0
    assert capfd.readouterr().out.startswith("Python 3")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_signal_ends_the_load_in_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What comes afterwards is dropped, and the code tells of the signal."""
    started = tmp_path / "started"
    monkeypatch.setenv("STARTED", str(started))
    monkeypatch.setattr(load, "QUIET", 0.01)
    source, sink = os.pipe()
    os.write(sink, b"".join(json.dumps(message).encode() + b"\n" for message in MESSAGES))

    def end() -> None:
        while not started.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=end)
    thread.start()
    code = load.load([sys.executable, "-c", TARGET, str(tmp_path / "parts")], {}, source)
    thread.join()

    assert (code, capfd.readouterr().out) == (143, "2\n")
    os.write(sink, b"more")
    load.drop(source)
    os.close(sink)
    os.close(source)


def test_the_command_ends_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the target, or of what is wrong."""
    monkeypatch.setattr(sys, "argv", ["callcap-load"])
    monkeypatch.delenv("CALLCAP_LOAD_TARGET", raising=False)

    with pytest.raises(SystemExit) as ended:
        load.main()

    assert ended.value.code == 2
