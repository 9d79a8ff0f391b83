"""The command `callcap-doctor`: its output, its errors, and what it never shows."""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.canaries import KEY, found_in, plant
from support.running import clean_environment
from tap_callcap.doctor.__main__ import main
from tap_callcap.doctor.probes import QUESTIONS
from tap_callcap.sandbox import CallBook, Callcap, Sandbox, Switches, made_up_calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

COMMAND = Path(sys.executable).with_name("callcap-doctor")
NOW = datetime.now(timezone.utc)
SAFE = re.compile(r"[a-z ]{1,24}|[A-Z]?[a-z]{1,12}", re.ASCII)  # words that the table may have too


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Put back what the command changes for its process."""
    hook, handlers = sys.excepthook, list(logging.getLogger().handlers)
    filters = [(each, list(each.filters)) for each in handlers]
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    sys.excepthook = hook
    logging.captureWarnings(capture=False)
    logging.getLogger().handlers = handlers
    logging.raiseExceptions = True
    for each, before in filters:
        each.filters = before
    for number, handler in signals.items():
        signal.signal(number, handler)


def book_of(count: int) -> CallBook:
    """Calls of two years."""
    return CallBook(made_up_calls(count, seed=3, start=NOW - timedelta(days=730), end=NOW))


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Call the entry with arguments; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["callcap-doctor", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


def run_doctor(
    *arguments: str, folder: Path, config: Mapping[str, Any]
) -> subprocess.CompletedProcess[str]:
    """A run of the installed command."""
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return subprocess.run(
        [COMMAND, f"--config={file}", *arguments],
        cwd=folder,
        env={**clean_environment(), "TAP_CALLCAP_LOGLEVEL": "DEBUG"},
        capture_output=True,
        check=False,
        timeout=120,
        text=True,
    )


def test_a_table_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With settings from the environment, as the tap takes them; a row for each question."""
    with Sandbox(book_of(60)) as sandbox:
        monkeypatch.setenv("TAP_CALLCAP_API_KEY", "sandbox")
        monkeypatch.setenv("TAP_CALLCAP_API_URL", sandbox.url)
        assert ended(monkeypatch, "--config=ENV") == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert re.match(r"callcap-doctor: version \S+, requests \d+, timezone UTC, page_size", head)
    assert [row.split(" | ")[0] for row in rows] == [
        "| Question",
        "|---|---|---|---|",
        *(f"| {question.text}" for question in QUESTIONS),
    ]
    assert "| not known: " in "".join(rows)


def test_json_is_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With settings from a file, those of the SDK too; one object."""
    with Sandbox(CallBook()) as sandbox:
        config = {"api_key": "sandbox", "api_url": sandbox.url, "flattening_enabled": False}
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        assert ended(monkeypatch, "--config=config.json", "--json") == 0
        asked = len(sandbox.callcap.requests)
    said = json.loads(capsys.readouterr().out)
    assert (said["requests"], said["page_size"]) == (asked, 1000)
    assert [answer["name"] for answer in said["answers"]] == [each.name for each in QUESTIONS]
    assert {"question", "is_known", "seen", "relies", "change"} < said["answers"][0].keys()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"api_key": "wrong"}, "the key is not valid: check api_key"),
        ({}, "Setting api_key is missing"),
        ({"api_key": "sandbox", "page_sise": 3}, "did you mean page_size?"),
        ({"api_key": "sandbox", "api_url": "http://127.0.0.1:9"}, "check the network, api_url"),
    ],
    ids=["key", "no key", "unknown", "no server"],
)
def test_an_error_is_one_line(config: dict[str, Any], words: str, tmp_path: Path) -> None:
    """Where there is nothing to ask, nothing is printed, and the exit code is 1."""
    with Sandbox(CallBook()) as sandbox:
        given = {"api_url": sandbox.url, "retry_minutes": 0, **config}
        run = run_doctor(folder=tmp_path, config=given)
    assert (run.returncode, run.stdout) == (1, "")
    (line,) = (line for line in run.stderr.splitlines() if "| ERROR " in line)
    assert words in line


def test_help_says_what_it_does(tmp_path: Path) -> None:
    """It names its options."""
    text = run_doctor("--help", folder=tmp_path, config={}).stdout
    assert "--json" in text
    assert "--config" in text


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["table", "json"])
def test_nothing_of_calls_and_accounts_is_shown(options: tuple[str, ...], tmp_path: Path) -> None:
    """Neither in the output nor in the log, whatever fails: no value, no id, no key."""
    book = book_of(60)
    plant(book, everywhere=True)
    switches = Switches(unknown_fields=True, broken_calls=frozenset(sorted(book.ids)[:30]))
    with Sandbox(Callcap(book, api_key=KEY, switches=switches)) as sandbox:
        config = {"api_key": KEY, "api_url": sandbox.url, "page_size": 5, "retry_minutes": 0}
        run = run_doctor(*options, folder=tmp_path, config=config)
    assert run.returncode == 0, run.stderr
    shown = run.stdout + run.stderr
    assert "| DEBUG " in shown
    assert found_in(shown) == []
    values = {text for call in book for text in leaves(call) if not SAFE.fullmatch(text)}
    assert len(values) > 300
    assert sorted(value for value in values if value in shown) == []


def leaves(value: object) -> Iterator[str]:
    """The texts and the long numbers in a call."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, datetime):
        yield f"{value:%Y-%m-%d %H:%M:%S}"
    elif len(str(value)) > 4:  # shorter ones are in any text
        yield str(value)
