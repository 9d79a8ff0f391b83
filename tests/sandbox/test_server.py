"""The sandbox over HTTP, as a context manager and as a command."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.client import HTTPConnection
from select import select
from threading import Event
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest
from click.testing import CliRunner

from support.sandbox_requests import ALWAYS
from tap_callcap import sandbox as sandbox_package
from tap_callcap.sandbox import VENDOR_EXAMPLE, CallBook, Callcap, Sandbox, Switches
from tap_callcap.sandbox import __main__ as entry
from tap_callcap.sandbox.command import main
from tap_callcap.sandbox.switches import SWITCHES

if TYPE_CHECKING:
    from collections.abc import Generator

KEY = {"Authorization": "Bearer sandbox"}
COMMAND = (sys.executable, "-m", "tap_callcap.sandbox")


class Reply:
    """An HTTP answer."""

    def __init__(self, connection: HTTPConnection) -> None:
        """Read the whole answer."""
        response = connection.getresponse()
        self.status = response.status
        self.headers = {name.lower(): text for name, text in response.getheaders()}
        self.json: Any = json.loads(response.read() or b"null")


def fetched(
    url: str,
    path: str,
    params: dict[str, str] | None = None,
    *,
    method: str = "GET",
    sent: bytes | None = None,
) -> Reply:
    """Send one request to the server of `url`; `path` begins at its root."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request(method, f"{path}?{urlencode(params or {})}", sent, KEY)
        return Reply(connection)
    finally:
        connection.close()


def test_the_api_is_served(callcap: Callcap) -> None:
    """Answers are served over HTTP, with the API's own Date and without a Server header."""
    with Sandbox(callcap) as sandbox:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v2", sandbox.url)
        reply = fetched(sandbox.url, "/v2/get/calls/", ALWAYS)
        quoted = fetched(sandbox.url, "/v2/get/calls/987654_23_11_19_2012_17%3A07%3A29_12/")
        wrong = fetched(sandbox.url, "/v2/get/calls/", method="POST")
        nowhere = fetched(sandbox.url, "/v2/")
    assert reply.status == 200
    assert reply.json["pagination"]["total_records"] == 900
    assert reply.headers["date"] == "Sun, 15 Mar 2026 17:42:10 GMT"
    assert "server" not in reply.headers
    assert quoted.json["call"][0]["call_id"] == VENDOR_EXAMPLE["call_id"]
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET")
    assert nowhere.status == 404
    assert not sandbox.url
    assert [request.status for request in sandbox.callcap.requests] == [200, 200, 404]


def test_a_parameter_given_twice_is_a_list(callcap: Callcap) -> None:
    """`division_id=1&division_id=2` means the same as `division_id=1,2`."""
    with Sandbox(callcap) as sandbox:
        fetched(sandbox.url, "/v2/get/calls/?division_id=1669&division_id=2")
    assert sandbox.callcap.requests[0].params["division_id"].startswith("1669,2")


def test_a_sandbox_of_a_book_and_switches() -> None:
    """A sandbox makes a Callcap for a book, and sets switches on a Callcap that it is given."""
    book = CallBook([VENDOR_EXAMPLE])
    switches = Switches(date_header=False)
    with Sandbox(book, switches=switches) as sandbox:
        reply = fetched(sandbox.url, "/v2/get/calls/")
    assert sandbox.book is book
    assert "date" not in reply.headers
    assert Sandbox(Callcap(book), switches=switches).callcap.switches is switches


def test_the_books_can_be_seen_and_time_advanced(callcap: Callcap) -> None:
    """Two more paths show all calls in UTC and move the clock on."""
    with Sandbox(callcap) as sandbox:
        truth = fetched(sandbox.url, "/sandbox/truth").json
        wish = b'{"minutes": 60, "new_calls": 5, "edits": 20}'
        after = fetched(sandbox.url, "/sandbox/advance", method="POST", sent=wish).json
        hour = fetched(sandbox.url, "/sandbox/advance", method="POST").json
        refused = [
            fetched(sandbox.url, "/sandbox/advance", method="POST", sent=wish).status
            for wish in (b"{", b'{"minutes": -1}', b'{"hours": 1}', b'{"edits": 0.5}')
        ]
    calls = {call["call_id"]: call for call in truth}
    assert len(calls) == 900
    assert calls[VENDOR_EXAMPLE["call_id"]]["last_modified"] == "2021-11-02T00:10:46Z"
    assert after == {"status": "success", "now": "2026-03-15T18:42:10Z", "calls": 905}
    assert hour["now"] == "2026-03-15T19:42:10Z"
    assert refused == [400] * 4


def test_a_request_that_is_never_answered(callcap: Callcap) -> None:
    """With `hang` a request waits until the client closes it; others are answered meanwhile."""
    call_id = VENDOR_EXAMPLE["call_id"]
    callcap.switches = Switches(failure="hang", broken_calls=frozenset({call_id}))
    received = Event()
    callcap.before_answer = lambda _: received.set()
    with Sandbox(callcap) as sandbox:
        connection = HTTPConnection(urlsplit(sandbox.url).netloc, timeout=10)
        connection.request("GET", f"/v2/get/calls/{call_id}/", headers=KEY)
        assert received.wait(10)
        assert fetched(sandbox.url, "/v2/get/accounts/").status == 200
        assert select([connection.sock], [], [], 0)[0] == []
        connection.close()
    assert {request.status for request in callcap.requests} == {None, 200}


@contextmanager
def command(*options: str) -> Generator[subprocess.Popen[str]]:
    """Run the command until the block ends."""
    with subprocess.Popen(
        [*COMMAND, "--port=0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_command_serves_until_it_is_stopped() -> None:
    """The command prints its address, serves there, and stops at Ctrl-C without a traceback."""
    options = ("--calls=50", "--api-key=sandbox", "--switch=utc=refused", "--live=1")
    with command(*options) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        url = lines[0].split()[-1]
        assert f"TAP_CALLCAP_API_URL={url} TAP_CALLCAP_API_KEY=sandbox" in "".join(lines)
        found = fetched(url, "/v2/get/calls/", ALWAYS)
        refused = fetched(url, "/v2/get/calls/", {"search_timezone": "UTC"})
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=10)
    assert found.json["pagination"]["total_records"] == 50
    assert VENDOR_EXAMPLE["call_id"] in {call["call_id"] for call in found.json["call"]}
    assert refused.status == 400
    assert (process.returncode, rest, errors) == (0, "Stopped.\n", "")


def test_the_command_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command prints an address that can be used, also for IPv6."""
    monkeypatch.setattr("uvicorn.Server.run", lambda _, sockets: [s.close() for s in sockets])
    plain = CliRunner().invoke(main, ["--port", "0", "--calls", "0"])
    assert plain.exit_code == 0
    assert "Serving 0 made-up calls" in plain.output
    late = CliRunner().invoke(main, ["--port", "0", "--calls", "1", "--behind", "525600"])
    assert f"up to {datetime.now(timezone.utc) - timedelta(days=365):%Y-%m}" in late.output
    six = CliRunner().invoke(main, ["--port", "0", "--host", "::1", "--calls", "1"])
    assert "http://[::1]:" in six.output or "Cannot listen on ::1" in six.output


def test_the_command_stops_at_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt stops the command without an error."""

    def interrupted(_: object, sockets: list[socket.socket]) -> None:
        sockets[0].close()
        raise KeyboardInterrupt

    monkeypatch.setattr("uvicorn.Server.run", interrupted)
    result = CliRunner().invoke(main, ["--port=0", "--calls=5", "--years=20", "--imports=6"])
    assert result.exit_code == 0
    assert result.output.endswith("Stopped.\n")


def test_the_command_lists_the_switches() -> None:
    """`--switches` lists every switch with its values and its description."""
    result = CliRunner().invoke(main, ["--switches"])
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert [line.split(" = ")[0] for line in lines if line[0] != " "] == list(SWITCHES)
    assert "empty_search = list | null | missing | last_page_0 | 404 | 204" in lines
    assert "    The zone of the login, used if a request names none." in lines


def test_the_command_names_the_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what the extra installs it is one line, and the package can be imported."""
    monkeypatch.delitem(sys.modules, "tap_callcap.sandbox.command")
    monkeypatch.setitem(sys.modules, "tap_callcap.sandbox.book", None)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as exit_:
        entry.main()
    signal.signal(signal.SIGTERM, before)
    assert exit_.value.code == (
        "callcap-sandbox needs tap_callcap.sandbox.book, which the extra `sandbox` installs: "
        "pip install 'tap-callcap[sandbox]'"
    )


def test_a_signal_ends_the_command_while_it_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also as process 1 of a container, which ignores signals without a handler."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    before = signal.getsignal(signal.SIGTERM)

    def find_spec(name: str, *_: object) -> None:
        if name == "tap_callcap.sandbox.command":
            signal.raise_signal(signal.SIGTERM)
            raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "tap_callcap.sandbox.command")
    monkeypatch.setattr(sys, "meta_path", [SimpleNamespace(find_spec=find_spec), *sys.meta_path])
    with pytest.raises(SystemExit) as exit_:
        entry.main()
    signal.signal(signal.SIGTERM, before)
    assert (codes, exit_.value.code) == ([143], 130)


def test_the_entry_runs_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its options."""
    monkeypatch.setattr(sys, "argv", ["callcap-sandbox", "--switches"])
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as exit_:
        entry.main()
    signal.signal(signal.SIGTERM, before)
    assert exit_.value.code == 0


def test_the_package_has_no_other_names() -> None:
    """A misspelt name is an error as in any module."""
    assert sandbox_package.Sandbox is Sandbox
    with pytest.raises(AttributeError, match="has no attribute 'Sandbx'"):
        getattr(sandbox_package, "Sandbx")  # noqa: B009 - mypy knows that there is none


def test_wrong_options_are_one_line() -> None:
    """A wrong switch and a port in use are errors of one line that says what to do."""
    switch = CliRunner().invoke(main, ["--switch", "utc=maybe"])
    assert switch.exit_code == 1
    assert switch.output == (
        "Error: The switch utc cannot be 'maybe': it takes accepted, refused, ignored, alias "
        "(Invalid enum value 'maybe')\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["--port", str(port), "--calls", "1"])
    assert result.exit_code == 1
    assert re.fullmatch(rf"Error: Cannot listen on .* port {port}: .*--port\.\n", result.output)
