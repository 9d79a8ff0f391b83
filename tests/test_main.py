"""The command's entry point, in this process: exit codes and error lines."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import click
import pytest

from support.histories import KillableWriter
from support.running import discovered
from tap_callcap import __main__ as command
from tap_callcap import tap
from tap_callcap.sandbox import CallBook, Sandbox
from tap_callcap.singer.writer import BlockWriter
from tap_callcap.tap import TapCallcap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Put back what the command's entry changes for its process."""
    hook, handlers = sys.excepthook, list(logging.getLogger().handlers)
    filters = [(each, list(each.filters)) for each in handlers]
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    thresholds = gc.get_threshold()
    yield
    sys.excepthook = hook
    logging.captureWarnings(capture=False)
    logging.getLogger().handlers = handlers
    logging.raiseExceptions = True
    for each, before in filters:
        each.filters = before
    for number, handler in signals.items():
        signal.signal(number, handler)
    gc.enable()
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Call the entry with arguments; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["tap-callcap", *arguments])
    with pytest.raises(SystemExit) as exit_:
        command.main()
    return int(exit_.value.code or 0)


def config_file(folder: Path, **config: Any) -> str:
    """A config in a file, as an option."""
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return f"--config={file}"


def test_an_interrupt_while_it_loads_leaves_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C before there is a tap: exit 130, and not a word."""

    def find_spec(name: str, *_: object) -> None:
        if name == "tap_callcap.command":
            raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "tap_callcap.command", raising=False)
    monkeypatch.setattr(sys, "meta_path", [SimpleNamespace(find_spec=find_spec), *sys.meta_path])
    assert ended(monkeypatch, "--version") == 130
    assert capsys.readouterr() == ("", "")


def test_a_good_run_ends_with_0(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An account without calls: SCHEMA, STATE, exit 0."""
    with Sandbox(CallBook()) as sandbox:
        option = config_file(tmp_path, api_key="sandbox", api_url=sandbox.url)
        assert ended(monkeypatch, option) == 0
    kinds = [json.loads(line)["type"] for line in capsys.readouterr().out.splitlines()]
    assert (kinds[0], kinds[-1]) == ("SCHEMA", "STATE")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_end_changes_nothing(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Python puts itself away, all is written: the exit code stays, and no traceback."""
    assert ended(monkeypatch, "--version") == 0
    signal.raise_signal(number)


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_an_error_is_one_line_unless_debugging(
    level: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A failing run ends with 1 and one line; its traceback is for the level DEBUG."""
    monkeypatch.setenv("TAP_CALLCAP_LOGLEVEL", level)
    with Sandbox(CallBook()) as sandbox:
        option = config_file(tmp_path, api_key="wrong", api_url=sandbox.url)
        assert ended(monkeypatch, option) == 1
    (error,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    assert "check api_key" in error.message
    assert ("in sync_all" in caplog.text) == (level == "DEBUG")


def test_a_wrong_config_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All that is wrong with a config is one line, and exit 1."""
    option = config_file(tmp_path, page_size="many", start_dat="x")
    assert ended(monkeypatch, option) == 1
    (error,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    for words in ("api_key is missing", "page_size must be of type integer", "start_dat"):
        assert words in error.message


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, click.Abort])
def test_an_interrupt_before_the_run_ends_with_130(
    interrupt: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C before the run has its handlers, however click passes it on."""

    def interrupted(*_: object, **__: object) -> None:
        raise interrupt

    monkeypatch.setattr(tap, "config_errors", interrupted)
    assert ended(monkeypatch) == 130


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_an_unexpected_error_is_one_line_without_its_message(
    level: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of the tap is told by type and place; its message may quote a call."""
    value = "316-555-7788"

    def failing(**_: object) -> None:
        int(value)

    monkeypatch.setattr(TapCallcap, "cli", failing)
    caplog.set_level(level)
    assert ended(monkeypatch) == 1
    (error,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    assert error.message.startswith("Unexpected ValueError in test_main, line ")
    assert ("in failing" in caplog.text) == (level == "DEBUG")
    assert value not in caplog.text


def test_a_wrong_option_is_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What click would write in three lines, with exit 2, is one line and exit 1."""
    assert ended(monkeypatch, "--nothing") == 1
    (error,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    assert error.message.startswith("No such option")


def test_a_log_that_cannot_be_set_up_is_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Before there is a log, an error is one line as well."""
    monkeypatch.setenv("TAP_CALLCAP_LOGLEVEL", "loud")
    assert ended(monkeypatch, "--version") == 1
    (error,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    assert error.message.startswith("Logging cannot be set up: ")


@pytest.mark.parametrize("option", ["--version", "--help", "--about"])
def test_who_only_asks_gets_an_answer(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options that end early end with 0."""
    assert ended(monkeypatch, option) == 0


def test_help_says_what_the_test_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--test` is this tap's own, and so is what `--help` says of it."""
    assert ended(monkeypatch, "--help") == 0
    assert "Check with Callcap that api_key, timezone and page_size work" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.parametrize("option", ["--test", "--test=schema"])
def test_a_test_ends_with_0(
    option: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One asks and writes nothing, the other writes a SCHEMA and asks nothing."""
    with Sandbox(CallBook()) as sandbox:
        config = config_file(tmp_path, api_key="sandbox", api_url=sandbox.url)
        assert ended(monkeypatch, option, config) == 0
    out = capsys.readouterr().out
    assert ('"type":"SCHEMA"' in out) == (option == "--test=schema")
    assert bool(sandbox.callcap.requests) == (option == "--test")


def test_files_are_checked_and_secrets_hidden(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """State and catalog are read; a key from a file or the environment stays out of the log."""
    (tmp_path / "state.json").write_text('{"bookmarks": {"calls": {}}}', encoding="utf-8")
    (tmp_path / "catalog.json").write_text(json.dumps(discovered()), encoding="utf-8")
    (tmp_path / ".env").write_text("TAP_CALLCAP_RETRY_MINUTES=0", encoding="utf-8")
    key, url = "c4n4ry-of-a-file", "http://127.0.0.1:9/c4n4ry-of-a-file/c4n4ry-around"
    monkeypatch.setenv("TAP_CALLCAP_API_URL", url)
    options = [config_file(tmp_path, api_key=key), "--config=ENV"]
    options += ["--state=state.json", "--catalog=catalog.json"]
    assert ended(monkeypatch, *options) == 1
    assert "GET /…/c4n4ry-around/get/calls/ failed" in caplog.text
    monkeypatch.setenv("TAP_CALLCAP_API_KEY", "c4n4ry-around")
    assert ended(monkeypatch, *options) == 1
    assert "GET /c4n4ry-of-a-file/…/get/calls/ failed" in caplog.text


def test_dotenv_of_the_working_folder_alone_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the tap's settings are read from it, below the environment, into which nothing goes."""
    (tmp_path / ".env").write_text("TAP_CALLCAP_PAGE_SIZE=0", encoding="utf-8")
    inner = tmp_path / "inner"
    inner.mkdir()
    text = "TAP_CALLCAP_LAG_MINUTES=-1\nTAP_CALLCAP_CONCURRENCY=0\nHTTPS_PROXY=http://c4n4ry"
    (inner / ".env").write_text(text, encoding="utf-8")
    monkeypatch.chdir(inner)
    monkeypatch.setenv("TAP_CALLCAP_CONCURRENCY", "2")
    monkeypatch.setenv("TAP_CALLCAP_API_KEY", "key")
    before = dict(os.environ)
    assert ended(monkeypatch, "--config=ENV") == 1
    (error,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    assert error.message == "Setting lag_minutes must be at least 0"
    assert dict(os.environ) == before


def test_python_code_may_read_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """`parse_env_config` reads the settings as `--config=ENV` does, over those of `config`."""
    monkeypatch.setenv("TAP_CALLCAP_API_KEY", "key")
    monkeypatch.setenv("TAP_CALLCAP_PAGE_SIZE", "50")
    assert TapCallcap(config={"page_size": 5}, parse_env_config=True).config["page_size"] == 50
    assert TapCallcap(config={"page_size": 5, "api_key": "k"}).config["page_size"] == 5


def test_a_setting_of_null_is_not_set() -> None:
    """Templates leave nulls; the SDK would take `batch_config: null` for a value."""
    config = TapCallcap(config={"api_key": "key", "batch_config": None, "page_size": None}).config
    assert "batch_config" not in config
    assert config["page_size"] == 1000


def test_a_dotenv_must_be_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is no text is one line, when it is asked for."""
    (tmp_path / ".env").write_bytes(b"TAP_CALLCAP_API_KEY=\xff\xfe")
    assert ended(monkeypatch, "--config=ENV") == 1
    (error,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    assert error.message == "The file .env in the working folder is not UTF-8 text"


def test_a_wrong_file_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The state of another tap ends the command before anything is asked."""
    (tmp_path / "state.json").write_text('{"bookmarks": {"a": {}}}', encoding="utf-8")
    assert ended(monkeypatch, config_file(tmp_path, api_key="key"), "--state=state.json") == 1
    (error,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    assert "belongs to another tap" in error.message


@pytest.fixture
def goodbyes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a signal's handler would end the process with, if the target did not read."""
    calls: list[Any] = []
    monkeypatch.setattr(tap, "SHUTDOWN_TIMEOUT", 3600.0)
    monkeypatch.setattr(os, "_exit", calls.append)
    return calls


@pytest.mark.usefixtures("goodbyes")
@pytest.mark.parametrize("writer", [BlockWriter(), KillableWriter()], ids=["ours", "another"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"]
)
def test_a_signal_leaves_with_its_code(number: int, code: int, writer: Any) -> None:
    """SIGTERM ends with 143, SIGINT with 130; from then on both are ignored."""
    TapCallcap(config={"api_key": "key"}, message_writer=writer)
    with pytest.raises(SystemExit) as exit_:
        signal.raise_signal(number)
    assert exit_.value.code == code
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)


def test_a_target_that_reads_no_more_does_not_keep_the_tap(
    goodbyes: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where whole lines cannot be written, the process ends a few seconds after the signal."""
    monkeypatch.setattr(tap, "SHUTDOWN_TIMEOUT", 0.01)
    instance = TapCallcap(config={"api_key": "key"}, message_writer=BlockWriter())

    def blocked(leave: object) -> None:
        del leave
        while not goodbyes:
            pass

    monkeypatch.setattr(instance.message_writer, "stop", blocked)
    signal.raise_signal(signal.SIGTERM)
    assert goodbyes == [143]
