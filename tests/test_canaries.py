"""The complete log at level DEBUG contains no secret and no value of a call, in any encoding."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from support.canaries import CANARIES, HASH_KEY, KEY, NAME, NOTE, NUMBER, RECORDING, found_in, plant
from support.fault_server import FaultServer, answer, playing
from support.histories import BEGINNING
from support.running import Run, clean_environment, discovered, run_command
from tap_callcap.sandbox import CallBook, Callcap, Switches, made_up_calls

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.fault_server import Act, Connection, Seen

FAST = (sys.executable, Path(__file__).parent / "support" / "fast_time.py")
DEBUG = {"TAP_CALLCAP_LOGLEVEL": "DEBUG"}
SAID = {
    "status": f"error {NAME}",
    "message": f"{NAME} ({NUMBER}) of {RECORDING} may not use {KEY}; {NUMBER.replace('-', '')}",
    "call": [{"notes": NOTE, "caller": {"name": NAME, "caller_id": NUMBER}}],
    NAME: NOTE,
}
HEADERS = {
    "Retry-After": f"{NUMBER} {NAME}",
    "Content-Type": f"application/json; charset={quote(NAME)}",
    "WWW-Authenticate": f"Bearer realm={RECORDING}",
    "Location": f"https://rec.example/{KEY}?caller={NUMBER}",
    "Date": f"{NOTE} {NUMBER}",
    "Set-Cookie": f"caller={NUMBER}; name={NAME}",
}


@pytest.fixture
def callcap() -> Callcap:
    """An account that is full of canaries."""
    start = BEGINNING - timedelta(days=30)
    book = CallBook(made_up_calls(40, seed=6, start=start, end=BEGINNING))
    plant(book, everywhere=True)
    return Callcap(book, clock=lambda: BEGINNING + timedelta(days=9), api_key=KEY)


def run_against(
    server: FaultServer,
    folder: Path,
    *options: str,
    environment: dict[str, str] | None = None,
    **settings: Any,
) -> Run:
    """A run of the command, by a clock for which nobody waits."""
    start = (BEGINNING - timedelta(days=31)).isoformat()
    config: dict[str, Any] = {"api_key": KEY, "api_url": server.url, "start_date": start}
    config |= {"page_size": 5, "hash_key": HASH_KEY, "retry_minutes": 0.1, **settings}
    catalog = config.pop("catalog", None)
    return run_command(
        *options,
        folder=folder,
        config=config,
        catalog=catalog,
        environment=DEBUG | (environment or {}),
        command=FAST,
    )


def assert_silent(run: Run) -> None:
    """The log says much, and has no canary."""
    assert "| DEBUG " in run.log
    assert "Traceback" not in run.log
    assert found_in(run.log) == []


FLAT = {"flattening_enabled": True, "flattening_max_depth": 2}
MAPPED: dict[str, Any] = {
    "stream_maps": {
        "calls": {
            "__filter__": "caller['name'] or notes",
            "who": "caller['name'].upper()",
            "hashed": "md5(caller['caller_id'])",
        }
    }
}
WELL: dict[str, dict[str, Any]] = {
    "plain": {},
    "deselected": {"catalog": discovered(caller__name=False, notes=False)},
    "hashed": {"hash_fields": ["caller.name", "caller.caller_id", "summaries[].text", "notes"]},
    "flattened": FLAT,
    "mapped": MAPPED,
}


@pytest.mark.parametrize("name", WELL)
def test_a_run_that_ends_well_is_silent(name: str, callcap: Callcap, tmp_path: Path) -> None:
    """However the records are made; every odd value is told of by its field, never shown."""
    with FaultServer(after=playing(callcap)) as server:
        run = run_against(server, tmp_path, **WELL[name])
    assert run.code == 0
    assert run.ids == callcap.book.ids
    assert_silent(run)
    assert "not an object" in run.log
    shown = found_in(json.dumps(run.messages, default=str))
    assert NAME in shown  # in `_extra`, under names that nobody knows
    assert not {KEY, HASH_KEY} & set(shown)


def test_a_batch_is_silent(callcap: Callcap, tmp_path: Path) -> None:
    """Nor do the names of its files say anything."""
    storage = {"root": tmp_path.as_uri()}
    batch = {"encoding": {"format": "jsonl", "compression": "gzip"}, "storage": storage}
    with FaultServer(after=playing(callcap)) as server:
        run = run_against(server, tmp_path, batch_config=batch)
    assert run.code == 0
    assert_silent(run)
    assert found_in(json.dumps(run.messages, default=str)) == []


@pytest.mark.parametrize("expression", ["int(caller['name'])", "caller['name'] + 1", "nobody"])
def test_a_stream_map_that_fails_is_silent(
    expression: str, callcap: Callcap, tmp_path: Path
) -> None:
    """Python's message would quote the value that an expression failed at."""
    with FaultServer(after=playing(callcap)) as server:
        run = run_against(server, tmp_path, stream_maps={"calls": {"who": expression}})
    assert run.code == 1
    assert_silent(run)


def broken_status(connection: Connection, _: Seen) -> bool:
    """No HTTP, but what a proxy may have mixed in."""
    connection.send(f"{NAME} {NUMBER} {KEY}\r\n\r\n".encode())
    return False


ANSWERS: dict[str, Act] = {
    **{
        str(code): answer(code, json.dumps(SAID), HEADERS)
        for code in (200, 206, 301, 400, 401, 403, 404, 407, 410, 429, 500, 503, 999)
    },
    "text": answer(500, f"{NAME} {NUMBER} {KEY} {NOTE}", HEADERS),
    "half": answer(200, json.dumps(SAID)[:-20], HEADERS),
    "status line": broken_status,
    "odd header": answer(200, "{}", {f"{NAME}\r\n{NUMBER} {KEY}": NOTE}),
    "odd zone": answer(
        200, json.dumps({"status": "success", "search": {"timezone": f"{NAME}/{KEY}"}})
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_ends_a_run_is_silent(name: str, callcap: Callcap, tmp_path: Path) -> None:
    """Bodies, headers and what the vendor says: nothing personal of it is shown."""
    with FaultServer(*[playing(callcap)] * 4, after=ANSWERS[name]) as server:
        run = run_against(server, tmp_path)
    assert run.code == 1
    assert_silent(run)


@pytest.mark.parametrize("name", ["200", "401", "404", "500"])
def test_a_test_that_fails_is_silent(name: str, tmp_path: Path) -> None:
    """So is `--test`."""
    with FaultServer(after=ANSWERS[name]) as server:
        run = run_against(server, tmp_path, "--test")
    assert run.code == 1
    assert_silent(run)


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": [KEY]},
        {"api_key": f"{KEY}\n"},
        {"api_url": f"https://{KEY}@example.com"},
        {"api_url": f"http://{KEY}.example.com"},
        {KEY: 1},
        {"user_agent": f"{KEY}\n"},
        {"hash_fields": [KEY]},
        {"api_url": f"http://127.0.0.1:9/{quote(KEY, safe='')}"},
        {"user_agent": base64.b64encode(KEY.encode()).decode(), "timezone": KEY},
    ],
    ids=["list", "line", "user", "host", "name", "agent", "field", "path", "zone"],
)
def test_a_secret_in_a_wrong_place_is_silent(settings: dict[str, Any], tmp_path: Path) -> None:
    """A key in any setting: the line names the setting, not the key."""
    with FaultServer() as server:
        pass
    run = run_against(server, tmp_path, **settings)
    assert run.code == 1
    assert found_in(run.log.replace(r"\n", "")) == []


def test_a_proxy_with_a_password_is_silent(tmp_path: Path) -> None:
    """The address of a proxy may hold a name and a password."""
    proxy = f"http://{quote(NAME)}:{quote(KEY, safe='')}@127.0.0.1:9"
    with FaultServer() as server:
        pass
    run = run_against(
        server,
        tmp_path,
        environment={"HTTPS_PROXY": proxy},
        api_url="https://callcap.invalid/v2",
    )
    assert run.code == 1
    assert "the proxy" in run.log
    assert_silent(run)


def ended_early(
    server: FaultServer, folder: Path, end: Callable[[subprocess.Popen[bytes]], object]
) -> str:
    """The log of a run that is ended by `end` once it has written something."""
    config, log = folder / "config.json", folder / "log.txt"
    given = {"api_key": KEY, "api_url": server.url, "page_size": 2}
    config.write_text(json.dumps(given), encoding="utf-8")
    with (
        log.open("wb") as stderr,  # which a pipe would not hold
        subprocess.Popen(
            [*FAST, f"--config={config}"],
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=clean_environment() | DEBUG,
        ) as process,
    ):
        assert process.stdout is not None
        process.stdout.readline()
        end(process)
        process.stdout.close()
        process.wait(timeout=20)
    assert process.returncode != 0
    return log.read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_kill_is_silent(number: int, callcap: Callcap, tmp_path: Path) -> None:
    """Whenever the process is ended, in the middle of a record or of a request."""
    callcap.switches = Switches(latency=0.2)  # a second or more for all, whatever a pipe may hold
    rng = Random(number)

    def kill(process: subprocess.Popen[bytes]) -> None:
        time.sleep(rng.random() * 0.5)
        process.send_signal(number)

    for _ in range(2):
        with FaultServer(after=playing(callcap)) as server:
            assert_silent(Run([], log=ended_early(server, tmp_path, kill)))


def test_a_dead_target_is_silent(callcap: Callcap, tmp_path: Path) -> None:
    """A target that ends early is no reason to show what it did not take."""
    with FaultServer(after=playing(callcap)) as server:
        assert_silent(Run([], log=ended_early(server, tmp_path, lambda _: None)))


@pytest.mark.parametrize("canary", CANARIES)
def test_the_search_finds_what_it_looks_for(canary: str) -> None:
    """Plain, in JSON, in an address, in base64 at any place."""
    for text in (
        canary,
        json.dumps({"a": canary}),
        repr([canary]),
        quote(canary),
        quote(canary, safe=""),
        canary.upper(),
        *(base64.b64encode((" " * count + canary + "xyz").encode()).decode() for count in range(3)),
        base64.urlsafe_b64encode(canary.encode()).decode(),
    ):
        assert canary in found_in(f"before {text} after")
