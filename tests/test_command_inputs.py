"""The installed command with wrong files, options and variables: one line, before any request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.fault_server import FaultServer
from support.running import discovered, run_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "k3y-c4n4ry-77"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """A server that nothing must reach."""
    with FaultServer() as server:
        yield server
    assert server.connections == 0


def files(folder: Path, server: FaultServer, **changed: str) -> list[str]:
    """A config, and what else is given as text, in files; as options."""
    config = {"api_key": KEY, "api_url": server.url}
    texts = {"config": json.dumps(config), **changed}
    for name, text in texts.items():
        (folder / f"{name}.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    return [f"--{name}={folder}/{name}.json" for name in texts]


def the_error(log: str) -> str:
    """The one line at level ERROR, of a log that has no traceback and no key."""
    assert "Traceback" not in log
    assert "c4n4ry" not in log
    (line,) = (line for line in log.splitlines() if "| ERROR " in line)
    return line.split("|")[-1].strip()


CATALOG = discovered()
UNKNOWN = json.dumps({"streams": [{**CATALOG["streams"][0], "tap_stream_id": "call"}]})
NOT_JSON = f'{{"api_key": "{KEY}"'
WRONG_FILES: dict[str, tuple[dict[str, str], str]] = {
    "config cut": ({"config": NOT_JSON}, "is not JSON"),
    "config a list": ({"config": f'["{KEY}"]'}, "must be a JSON object"),
    "config binary": ({"config": "\udcff\udcfe"}, "is not JSON: it is empty or not text"),
    "config of a wrong type": ({"config": f'{{"api_key": ["{KEY}"]}}'}, "api_key must be of type"),
    "state empty": ({"state": ""}, "The state is not JSON: it is empty or not text"),
    "state null": ({"state": "null"}, "The state must be a JSON object"),
    "state binary": ({"state": "\udcff"}, "The state is not JSON: it is empty or not text"),
    "state of another tap": (
        {"state": '{"bookmarks": {"contacts": {}}}'},
        "The state has bookmarks of 'contacts', but none of accounts or calls or csrs or call_",
    ),
    "state of another shape": (
        {"state": '{"bookmarks": 1}'},
        "The state is wrong at $.bookmarks (",
    ),
    "bookmark no date": (
        {"state": '{"bookmarks": {"calls": {"replication_key_value": "c4n4ry"}}}'},
        "The state's bookmark of calls is not a date and time",
    ),
    "catalog a number": ({"catalog": "7"}, "The catalog must be a JSON object"),
    "catalog of another shape": (
        {"catalog": '{"streams": {}}'},
        "The catalog is wrong at $.streams (",
    ),
    "stream unknown": ({"catalog": UNKNOWN}, "an unknown stream 'call': did you mean calls?"),
    "nothing selected": ({"catalog": '{"streams": []}'}, "The catalog selects no stream"),
}


@pytest.mark.parametrize(("changed", "words"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_a_wrong_file_is_one_line(
    changed: dict[str, str], words: str, server: FaultServer, tmp_path: Path
) -> None:
    """Exit 1 and one line that says which file is wrong and where."""
    run = run_command(*files(tmp_path, server, **changed), folder=tmp_path)
    assert run.code == 1
    assert words in the_error(run.log)
    assert not run.records


@pytest.mark.parametrize("entry", ["--discover", "--about", "--test", "--test=schema"])
@pytest.mark.parametrize("text", [NOT_JSON, "[]"], ids=["cut", "list"])
def test_a_config_is_read_for_every_entry(
    entry: str, text: str, server: FaultServer, tmp_path: Path
) -> None:
    """A malformed config is one line also for those who do not need it."""
    run = run_command(entry, *files(tmp_path, server, config=text), folder=tmp_path)
    assert run.code == 1
    assert "The config " in the_error(run.log)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--config=nowhere.json"], "No such file or directory: nowhere.json"),
        (["--config=."], "Is a directory: ."),
        (["--state=nowhere.json"], "'nowhere.json': No such file or directory"),
        (["--catalog=nowhere.json"], "'nowhere.json': No such file or directory"),
        (["--staet=x.json"], "No such option"),
        (["x.json"], "Got unexpected extra argument"),
        ([], "Setting api_key is missing: set it in the config, or as TAP_CALLCAP_API_KEY"),
        (["--test"], "Setting api_key is missing: set it in the config, or as TAP_CALLCAP_API_KEY"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_one_line(options: list[str], words: str, tmp_path: Path) -> None:
    """Exit 1 and one line, like any other error."""
    run = run_command(*options, folder=tmp_path)
    assert run.code == 1
    assert words in the_error(run.log)


@pytest.mark.parametrize(
    ("name", "text"),
    [("TAP_CALLCAP_LOGLEVEL", "loud"), ("SINGER_SDK_LOG_CONFIG", "log.yaml")],
)
def test_a_log_that_cannot_be_set_up_is_one_line(name: str, text: str, tmp_path: Path) -> None:
    """A level that there is not, or a file that is no config of a log."""
    (tmp_path / "log.yaml").write_text("{", encoding="utf-8")
    run = run_command("--about", folder=tmp_path, environment={name: text})
    assert run.code == 1
    assert "Traceback" not in run.log
    assert "Logging cannot be set up: check TAP_CALLCAP_LOGLEVEL, SINGER_SDK" in run.log


def test_of_two_configs_the_later_wins(server: FaultServer, tmp_path: Path) -> None:
    """`--config` twice: one file for all, and another for what differs here."""
    general = files(tmp_path, server)
    (tmp_path / "here.json").write_text('{"page_size": 0}', encoding="utf-8")
    run = run_command(*general, "--config=here.json", folder=tmp_path)
    assert run.code == 1
    assert the_error(run.log) == "Setting page_size must be at least 1"


def test_the_environment_wins_over_a_config(server: FaultServer, tmp_path: Path) -> None:
    """`--config=ENV` beside a file; a wrong variable is one line as well."""
    environment = {"TAP_CALLCAP_PAGE_SIZE": "many", "TAP_CALLCAP_NOTHING": "c4n4ry"}
    run = run_command(
        *files(tmp_path, server), "--config=ENV", folder=tmp_path, environment=environment
    )
    assert run.code == 1
    assert the_error(run.log) == "Setting page_size must be of type integer"


def test_structured_logs_hide_the_key(tmp_path: Path) -> None:
    """The SDK's structured log, as configured by a file, shows no key either."""
    (tmp_path / "log.yaml").write_text(
        "version: 1\n"
        "formatters: {structured: {(): singer_sdk.logging.StructuredFormatter}}\n"
        "handlers: {all: {class: logging.StreamHandler, formatter: structured}}\n"
        "loggers: {urllib3: {level: DEBUG}}\n"
        "root: {level: DEBUG, handlers: [all]}\n",
        encoding="utf-8",
    )
    config = {"api_key": KEY, "api_url": f"http://127.0.0.1:9/{KEY}", "retry_minutes": 0}
    environment = {"SINGER_SDK_LOG_CONFIG": "log.yaml"}
    run = run_command(folder=tmp_path, config=config, environment=environment)
    assert run.code == 1
    assert '"level":"error"' in run.log
    assert "GET /\\u2026/get/calls/ failed" in run.log
    assert "c4n4ry" not in run.log


def test_an_unknown_value_of_test_is_one_line(tmp_path: Path) -> None:
    """It would be taken for the whole test."""
    run = run_command("--test=shcema", folder=tmp_path, config={"api_key": "sandbox"})
    assert run.code == 1
    assert "--test=shcema is unknown: write --test, or --test=schema" in run.log
    assert len(run.log.splitlines()) == 1
