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
from singer_sdk.exceptions import ConfigValidationError

from support.histories import KillableWriter
from support.running import discovered
from tap_callcap import __main__ as command
from tap_callcap import tap
from tap_callcap.sandbox import CallBook, Sandbox
from tap_callcap.signals import ENDING
from tap_callcap.singer.writer import BlockWriter
from tap_callcap.tap import TapCallcap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put back what the command's entry changes for its process."""
    monkeypatch.setattr(command, "end_in_time", lambda: None)
    hook, handlers = sys.excepthook, list(logging.getLogger().handlers)
    filters = [(each, list(each.filters)) for each in handlers]
    signals = {number: signal.getsignal(number) for number in ENDING}
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


def test_a_number_may_be_a_text(caplog: pytest.LogCaptureFixture) -> None:
    """Meltano has no kind of setting for numbers that works from its environment."""
    config = {"api_key": "5", "retry_minutes": "0.5", "requests_per_second": "2"}
    made = TapCallcap(config=config).config
    assert made == {**made, "api_key": "5", "retry_minutes": 0.5, "requests_per_second": 2}
    with pytest.raises(ConfigValidationError, match="retry_minutes must be of type number"):
        TapCallcap(config={"api_key": "key", "retry_minutes": "many"})
    assert "many" not in caplog.text


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


@pytest.mark.parametrize("writer", [BlockWriter(), KillableWriter()], ids=["ours", "another"])
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)],
    ids=["TERM", "INT", "HUP"],
)
def test_a_signal_leaves_with_its_code(number: int, code: int, writer: Any) -> None:
    """SIGTERM ends with 143, SIGINT with 130, SIGHUP with 129; from then on all are ignored."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as if not started by nohup
    TapCallcap(config={"api_key": "key"}, message_writer=writer)
    with pytest.raises(SystemExit) as exit_:
        signal.raise_signal(number)
    assert exit_.value.code == code
    for each in ENDING:
        signal.raise_signal(each)


def test_a_hang_up_that_is_ignored_stays_so() -> None:
    """`nohup` starts a process with SIGHUP ignored, so that it outlives its terminal."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    TapCallcap(config={"api_key": "key"})
    signal.raise_signal(signal.SIGHUP)


def test_a_target_that_has_ended_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken pipe says who has ended; what is not written yet is dropped."""

    def broken(_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(TapCallcap, "sync_all", broken)
    assert ended(monkeypatch, config_file(tmp_path, api_key="key")) == 1
    assert caplog.records[-1].message == "The target has ended before the tap: see the target's log"


def test_what_cannot_be_written_is_dropped_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python would try again while it exits, and show a traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        out.write("{")
        monkeypatch.setattr(sys, "stdout", out)
        assert ended(monkeypatch, "--nothing") == 1
        out.flush()


def test_a_closed_output_is_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Python has no `sys.stdout` then."""
    monkeypatch.setattr(sys, "stdout", None)
    assert ended(monkeypatch, "--config=ENV") == 1
    (error,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    assert error.message == "Standard output is closed: connect it to a target or to a file"


def test_the_text_of_about_describes_each_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--about` alone says what a setting means, as `--about --format=json` does."""
    assert ended(monkeypatch, "--about") == 0
    text = capsys.readouterr().out
    for name, part in TapCallcap.config_jsonschema["properties"].items():
        assert f"  - Name: {name}\n    Description: {part['description']}\n    Type: " in text


@pytest.mark.parametrize("around", [None, "WARNING"])
def test_a_log_level_may_stand_in_dotenv(
    around: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As one in the environment, which wins over it."""
    (tmp_path / ".env").write_text("TAP_CALLCAP_LOGLEVEL=DEBUG", encoding="utf-8")
    monkeypatch.setenv("TAP_CALLCAP_LOGLEVEL", "")
    monkeypatch.delenv("TAP_CALLCAP_LOGLEVEL")
    if around:
        monkeypatch.setenv("TAP_CALLCAP_LOGLEVEL", around)
    root = logging.getLogger()
    level = root.level
    assert ended(monkeypatch, "--version") == 0
    found, root.level = root.level, level
    assert logging.getLevelName(found) == (around or "DEBUG")


def test_the_sdk_does_not_say_that_the_environment_is_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so also of a run with `--config=ENV`."""
    monkeypatch.setenv("TAP_CALLCAP_API_KEY", "key")
    assert ended(monkeypatch, "--config=ENV", "--test=schema") == 0
    assert "env var" not in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--test=schema", "run"])
def test_variables_without_effect_are_named(
    option: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """From the environment and from .env, without their values, and each once."""
    (tmp_path / ".env").write_text("TAP_CALLCAP_ENDDATE=c4n4ry", encoding="utf-8")
    monkeypatch.setenv("TAP_CALLCAP_STARTDATE", "c4n4ry")
    monkeypatch.setenv("TAP_CALLCAP_LAG_MINUTES", "7")
    monkeypatch.setattr(TapCallcap, "sync_all", lambda _: None)
    monkeypatch.setenv("TAP_CALLCAP_API_KEY", "key")
    options = [] if option == "run" else [option]
    config = config_file(tmp_path, api_key="key", lag_minutes=5, hash_key="c4n4ry")
    warnings = []
    for source in (config, "--config=ENV"):
        caplog.clear()
        ended(monkeypatch, source, *options)
        warnings.append([each.message for each in caplog.records if each.levelname == "WARNING"])
    unknown = [
        "The variable TAP_CALLCAP_ENDDATE is not a setting: did you mean TAP_CALLCAP_END_DATE?",
        "The variable TAP_CALLCAP_STARTDATE is not a setting: did you mean TAP_CALLCAP_START_DATE?",
    ]
    unused = "Without --config=ENV these variables are not used: TAP_CALLCAP_LAG_MINUTES"
    alone = "Setting hash_key has no effect without hash_fields"
    assert warnings == [[*unknown, unused, alone], unknown]


def test_a_dotenv_that_is_not_asked_for_may_be_anything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Only `--config=ENV` needs it."""
    (tmp_path / ".env").write_bytes(b"TAP_CALLCAP_API_KEY=\xff\xfe")
    assert ended(monkeypatch, config_file(tmp_path, api_key="key"), "--test=schema") == 0


def test_a_config_may_come_from_a_pipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each is read once, in order; a later one wins."""
    pipes = []
    for number, config in enumerate(({"api_key": "key", "page_size": 0}, {"page_size": 5})):
        reader, writer = os.pipe()
        with os.fdopen(writer, "w") as file:
            json.dump(config, file)
        pipes.append(reader)
        (tmp_path / str(number)).symlink_to(f"/dev/fd/{reader}")
    assert ended(monkeypatch, "--config=0", "--config=1", "--test=schema") == 0
    for reader in pipes:
        os.close(reader)
