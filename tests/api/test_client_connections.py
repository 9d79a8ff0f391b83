"""How connections are made, kept and lost: names, addresses, dead servers, odd servers."""

from __future__ import annotations

import json
import logging
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import FatalAPIError

from support.asking import CALLS, HOST, SEARCH, WINDOW, ask, client_of, failure_of, page_of
from support.fast_time import FastTime, fast_time
from support.fault_server import FaultServer, answer, envelope, good, head, reset, silence
from support.running import clean_environment
from tap_callcap.api import connections
from tap_callcap.api.connections import CONNECT_TIMEOUT
from tap_callcap.api.errors import GaveUpError
from tap_callcap.api.responses import NothingFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.fault_server import Act, Connection, Seen
    from tap_callcap.api.client import Client

pytestmark = pytest.mark.usefixtures("_no_garbage_collection")
DEAD = "192.0.2.1"


@pytest.fixture
def fast() -> Iterator[FastTime]:
    """The client's clock, faked."""
    with fast_time() as clock:
        yield clock


def by_name(server: FaultServer, **settings: Any) -> Client:
    """A client that asks a server by a name, on this machine's terms for plain http."""
    return client_of(server, api_url=f"http://{HOST}:{server.port}/v2", **settings)


def resolve_to(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Let every name have these addresses, in this order."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", host) for host in hosts]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda _, port, *rest: [(*entry[:4], (entry[4], port)) for entry in found],  # noqa: ARG005
    )


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """How long was waited for the dead address, each time; nobody waits in truth."""
    waited: list[float | None] = []
    connect = socket.socket.connect

    def connecting(sock: socket.socket, address: Any) -> None:
        if address[0] == DEAD:
            waited.append(sock.gettimeout())
            raise TimeoutError
        connect(sock, address)

    monkeypatch.setattr(socket.socket, "connect", connecting)
    return waited


def test_every_address_of_a_name_is_tried(
    waits: list[float | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead address takes a few seconds of the exchange, not all of it."""
    resolve_to(monkeypatch, DEAD, DEAD, "127.0.0.1")
    with FaultServer(good(CALLS)) as server:
        assert page_of(by_name(server)).total_records == 1
    assert waits == [CONNECT_TIMEOUT, CONNECT_TIMEOUT]
    assert CONNECT_TIMEOUT < 10


def test_a_server_that_is_dead_is_one_line(
    waits: list[float | None], fast: FastTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that there is no connection; another search would not fare better."""
    resolve_to(monkeypatch, DEAD)
    with FaultServer() as server:
        client = by_name(server, timeout=timedelta(seconds=2), retry_budget=timedelta(minutes=1))
        with pytest.raises(FatalAPIError) as caught:
            client.calls(SEARCH, WINDOW, 1, tries=2)
    assert not isinstance(caught.value, GaveUpError)
    assert "there is no connection to the server (ConnectTimeoutError). " in str(caught.value)
    assert str(caught.value).endswith("check the network, api_url and HTTPS_PROXY")
    assert all(waited and 1 < waited <= 2 for waited in waits)
    assert sum(fast.slept) > 30


def test_a_name_that_is_unknown_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what failed, and where to look."""

    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "canary")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with FaultServer() as server:
        message = failure_of(by_name(server))
    assert "there is no connection to the server (NameResolutionError). " in message


def test_a_look_up_counts_towards_the_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that does not answer ends the try; a connection that comes late is closed."""
    answered, looked_up_by = threading.Event(), set()
    resolve = socket.getaddrinfo

    def slow(_: str, port: int, *rest: Any) -> Any:
        looked_up_by.add(threading.current_thread())
        answered.wait(20)
        return resolve("127.0.0.1", port, *rest)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with FaultServer() as server:
        message = failure_of(by_name(server, timeout=timedelta(seconds=0.2)))
        assert "there is no connection to the server (ConnectTimeoutError). " in message
        answered.set()
        (thread,) = looked_up_by
        assert thread is not threading.main_thread()
        thread.join(20)
    assert server.seen == []


def test_a_look_up_may_fail_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nobody is there to be told."""
    answered, looked_up_by = threading.Event(), set()

    def failing(*_: object) -> None:
        looked_up_by.add(threading.current_thread())
        answered.wait(20)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", failing)
    with FaultServer() as server:
        failure_of(by_name(server, timeout=timedelta(seconds=0.2)))
        answered.set()
        looked_up_by.pop().join(20)
    assert server.seen == []


BLOCKED = """
import ctypes, socket, sys
from tap_callcap.__main__ import main

def blocked(*_):
    mutex = ctypes.create_string_buffer(64)
    lock = ctypes.CDLL(None).pthread_mutex_lock
    lock(mutex)
    print("looking up", file=sys.stderr, flush=True)
    lock(mutex)  # for ever, whatever signals come

socket.getaddrinfo = blocked
main()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the lock is that of Linux")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_look_up(number: signal.Signals, tmp_path: Path) -> None:
    """The first look-up of a run blocks in the system, and a signal ends the run all the same."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"api_key": "sandbox", "api_url": f"https://{HOST}/v2"}))
    with subprocess.Popen(
        [sys.executable, "-c", BLOCKED, f"--config={config}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
        text=True,
    ) as run:
        try:
            assert run.stderr is not None
            assert any("looking up" in line for line in run.stderr)
            run.send_signal(number)
            run.communicate(timeout=60)
        finally:
            run.kill()
    assert run.returncode == 128 + number


def second_closed(act: Act) -> Act:
    """A page for the first request of each connection, `act` for the second."""
    seen_on: set[int] = set()

    def acting(connection: Connection, seen: Seen) -> bool:
        is_first = seen.connection not in seen_on
        seen_on.add(seen.connection)
        return (good(CALLS) if is_first else act)(connection, seen)

    return acting


@pytest.mark.parametrize("act", [silence, reset], ids=["closed", "reset"])
def test_a_kept_connection_that_was_closed_is_replaced_quietly(
    act: Act, fast: FastTime, caplog: pytest.LogCaptureFixture
) -> None:
    """Servers close connections when they like: that is no failure, and nobody waits."""
    with FaultServer(after=second_closed(act)) as server:
        client = client_of(server)  # which may not retry
        assert [page_of(client).total_records for _ in range(5)] == [1] * 5
    assert (client.requests, client.retries) == (5, 0)
    assert server.connections == 5
    assert fast.slept == []
    assert caplog.records == []


def test_a_kept_connection_over_tls_is_replaced_quietly(
    tls: Any, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS makes no difference."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with FaultServer(after=second_closed(reset), tls=tls) as server:
        client = client_of(server)
        assert [page_of(client).total_records for _ in range(3)] == [1] * 3
    assert server.connections == 3


def test_each_kept_connection_may_be_closed() -> None:
    """Where several were kept, and all are closed, one request replaces them all."""
    together = threading.Barrier(3)
    close = second_closed(silence)

    def acting(connection: Connection, seen: Seen) -> bool:
        if len(server.seen) <= 3:
            together.wait(20)
        return close(connection, seen)

    with FaultServer(after=acting) as server, ThreadPoolExecutor(3) as pool:
        client = client_of(server, connections=3)
        assert all(pool.map(lambda _: ask(client), range(3)))
        assert page_of(client).total_records == 1
    assert server.connections == 4


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("act", [silence, reset], ids=["closed", "reset"])
def test_a_fresh_connection_that_is_closed_is_a_failure(act: Act) -> None:
    """After it has been replaced once, another request would only meet the same."""
    with FaultServer(good(), after=act) as server:
        client = client_of(server)
        page_of(client)
        assert "the connection broke (" in failure_of(client)
    assert len(server.seen) == 3
    assert client.requests == 2


def test_a_connection_made_anew_is_a_fresh_one() -> None:
    """One whose end was seen in time is opened again, and what then fails is a failure."""

    def good_and_gone(connection: Connection, seen: Seen) -> bool:
        good()(connection, seen)
        return False

    with FaultServer(good_and_gone, silence) as server:
        client = client_of(server)
        page_of(client)
        server.wait_for_ends()
        assert "the connection broke (RemoteDisconnected)" in failure_of(client)
    assert len(server.seen) == 2


@pytest.mark.usefixtures("fast")
def test_a_kept_connection_that_is_closed_late_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that closes it after long work has failed at the request, and may do so again."""
    monkeypatch.setattr(connections, "STALE_WITHIN", 0.0)
    with FaultServer(good(), silence) as server:
        client = client_of(server)
        page_of(client)
        assert "the connection broke (RemoteDisconnected)" in failure_of(client)
    assert len(server.seen) == 2


def raw(shape: Callable[[bytes], bytes]) -> Act:
    """An answer whose very bytes are given, for the body of a page."""

    def act(connection: Connection, seen: Seen) -> bool:
        connection.send(shape(envelope(seen, CALLS)))
        return False

    return act


def in_chunks(body: bytes, trailer: bytes = b"") -> bytes:
    """A body in two chunks."""
    parts = (body[:7], body[7:])
    return b"".join(b"%x;x=1\r\n%b\r\n" % (len(part), part) for part in parts) + (
        b"0\r\n%b\r\n" % trailer
    )


DATE = "Date: Tue, 24 Nov 2026 10:00:00 GMT\r\n"
ODD_SERVERS: dict[str, Callable[[bytes], bytes]] = {
    "HTTP/1.0": lambda body: b"HTTP/1.0 200 OK\r\n\r\n" + body,
    "no reason": lambda body: b"HTTP/1.1 200\r\nContent-Length: %d\r\n\r\n" % len(body) + body,
    "lower case": lambda body: b"HTTP/1.1 200 ok\r\ncontent-length:%d\r\n\r\n" % len(body) + body,
    "line feeds": lambda body: b"HTTP/1.1 200 OK\nContent-Length: %d\n\n" % len(body) + body,
    "a trailer": lambda body: (
        head(200, {"Transfer-Encoding": "chunked", "Trailer": "X-Sum"})
        + in_chunks(body, b"X-Sum: 1\r\n")
    ),
    "100": lambda body: b"HTTP/1.1 100 Continue\r\n\r\n" + head(200, {}) + body,
    "102 and 103": lambda body: (
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        + head(200, {})
        + body
    ),
    "a length twice": lambda body: (
        head(200, {"Content-Length": f"{len(body)}, {len(body)}"}) + body
    ),
    "a header twice": lambda body: (
        head(200, {"X-A": "1", "x-a": "2", "Content-type": "text/plain"}) + body
    ),
    "a header of 60,000 characters": lambda body: head(200, {"X-A": "x" * 60_000}) + body,
    "a header in UTF-8": lambda body: head(200, {"X-A": "é日本".encode().decode("latin-1")}) + body,
    "a byte order mark": lambda body: head(200, {}) + b"\xef\xbb\xbf" + body,
    "identity": lambda body: head(200, {"Content-Encoding": "identity"}) + body,
}


@pytest.mark.parametrize("name", ODD_SERVERS)
def test_an_odd_server_is_understood(name: str) -> None:
    """What HTTP allows, and what servers do besides, is read."""
    with FaultServer(raw(ODD_SERVERS[name])) as server:
        assert page_of(client_of(server)).total_records == 1


@pytest.mark.parametrize("code", [204, 205])
def test_an_answer_without_content_may_have_a_body(code: int) -> None:
    """It counts as none, and the next answer on that connection is read."""
    empty = answer(code, "" if code == 205 else "canary")
    with FaultServer(empty, good(CALLS)) as server:
        client = client_of(server)
        nothing = ask(client)
        assert isinstance(nothing, NothingFound)
        assert nothing.code == 204
        assert page_of(client).total_records == 1


@pytest.mark.parametrize("encoding", ["br", "zstd", "canary"])
def test_an_unknown_encoding_is_one_line(encoding: str) -> None:
    """Nobody asked for it, and what would come of it is no JSON."""
    with FaultServer(answer(200, "canary", {"Content-Encoding": encoding})) as server:
        message = failure_of(client_of(server, retry_budget=timedelta(minutes=1)))
    assert server.seen[0].headers["Accept-Encoding"] == "gzip, deflate"
    assert "the answer is encoded in a way that was not asked for: check whether a pr" in message
    assert "canary" not in message
    assert len(server.seen) == 1


def test_a_date_may_come_twice(caplog: pytest.LogCaptureFixture) -> None:
    """Proxies repeat headers; the first one counts."""
    caplog.set_level(logging.WARNING)

    def twice(body: bytes) -> bytes:
        return f"HTTP/1.1 200 OK\r\n{DATE}{DATE}\r\n".encode() + body

    with FaultServer(raw(twice)) as server:
        assert page_of(client_of(server)).clock_skew is not None
    assert caplog.records == []
