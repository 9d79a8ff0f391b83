"""A server that breaks HTTP itself: it plays a script of answers over a raw socket.

An `Act` is what it does to one request; it says whether the connection may serve another one.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http.client import responses
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from ssl import SSLContext

    from typing_extensions import Self

    from tap_callcap.sandbox import Answer, Callcap

OFTEN = 0.03  # seconds between two drops of a drip-feed


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came; `at` is by the monotonic clock."""

    at: float
    connection: int
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Connection:
    """The connection on which a request came."""

    sock: socket.socket
    stopping: threading.Event

    def send(self, part: bytes) -> None:
        """Send some bytes of an answer."""
        self.sock.sendall(part)

    def drip(self, part: bytes) -> None:
        """Send bytes one by one, each early enough to keep a socket's own timeout from ending."""
        for index in range(len(part)):
            self.send(part[index : index + 1])
            if self.stopping.wait(OFTEN):
                return

    def reset(self) -> None:
        """End the connection by RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Act: TypeAlias = Callable[[Connection, Seen], bool]
Headers: TypeAlias = Mapping[str, str]


def envelope(seen: Seen, calls: Iterable[Mapping[str, Any]] = ()) -> bytes:
    """The body of a page that holds all calls there are."""
    rows = list(calls)
    page = {
        "status": "success",
        "search": {"timezone": seen.query.get("search_timezone", "")},
        "pagination": {
            "page": int(seen.query.get("page", 1)),
            "last_page": 1,
            "records_returned": len(rows),
            "show": int(seen.query.get("show", 50)),
            "total_records": len(rows),
        },
        "call": rows,
        "children": [],
    }
    return json.dumps(page).encode()


def head(code: int, headers: Headers) -> bytes:
    """Status line and headers, a `Date` among them; an empty header is left out."""
    given = {"Date": formatdate(usegmt=True), "Content-Type": "application/json", **headers}
    lines = [f"{name}: {value}" for name, value in given.items() if value]
    status = f"HTTP/1.1 {code} {responses.get(code, 'Unheard of')}"
    return "\r\n".join([status, *lines, "", ""]).encode("latin-1")


def answer(code: int, body: bytes | str = b"", headers: Headers | None = None) -> Act:
    """A well-formed answer of any kind."""
    encoded = body.encode() if isinstance(body, str) else body

    def act(connection: Connection, _: Seen) -> bool:
        lines = {"Content-Length": str(len(encoded)), **(headers or {})}
        connection.send(head(code, lines) + encoded)
        return True

    return act


def good(calls: Iterable[Mapping[str, Any]] = (), headers: Headers | None = None) -> Act:
    """A page, in the zone that it was asked in."""

    def act(connection: Connection, seen: Seen) -> bool:
        return answer(200, envelope(seen, calls), headers)(connection, seen)

    return act


def playing(
    callcap: Callcap, change: Callable[[Seen, Answer], Answer] = lambda _, found: found
) -> Act:
    """What a whole Callcap answers, changed or not."""

    def act(connection: Connection, seen: Seen) -> bool:
        found = callcap.answer(seen.path, seen.query, seen.headers.get("Authorization"))
        changed = change(seen, found)
        return answer(changed.status, changed.body, changed.headers)(connection, seen)

    return act


def compressed(calls: Iterable[Mapping[str, Any]] = ()) -> Act:
    """A page in chunks and gzip, as real servers send it."""

    def act(connection: Connection, seen: Seen) -> bool:
        body = gzip.compress(envelope(seen, calls))
        connection.send(head(200, {"Content-Encoding": "gzip", "Transfer-Encoding": "chunked"}))
        for part in (body[:20], body[20:]):
            connection.send(b"%x\r\n%b\r\n" % (len(part), part))
        connection.send(b"0\r\n\r\n")
        return True

    return act


def broken(
    headers: Headers,
    shape: Callable[[bytes], bytes] = lambda body: body,
    *,
    reset: bool = False,
    code: int = 200,
) -> Act:
    """A page whose framing, or whose body, is not what its headers say; then the end."""

    def act(connection: Connection, seen: Seen) -> bool:
        connection.send(head(code, headers) + shape(envelope(seen)))
        if reset:
            time.sleep(0.01)  # so that the client reads something before
            connection.reset()
        return False

    return act


def dripping(headers: Headers, shape: Callable[[bytes], bytes] = lambda body: body) -> Act:
    """A page whose body comes in drops."""

    def act(connection: Connection, seen: Seen) -> bool:
        connection.send(head(200, headers))
        connection.drip(shape(envelope(seen)))
        return False

    return act


def drip_headers(connection: Connection, seen: Seen) -> bool:
    """A page whose very headers come in drops."""
    connection.drip(head(200, {"Connection": "close"}) + envelope(seen))
    return False


def reset(connection: Connection, _: Seen) -> bool:
    """An RST instead of an answer."""
    connection.reset()
    return False


def silence(_connection: Connection, _: Seen) -> bool:
    """The connection closed without an answer."""
    return False


def hang(connection: Connection, _: Seen) -> bool:
    """No answer, and the connection left open."""
    connection.stopping.wait()
    return False


def redirect(location: str, code: int = 302) -> Act:
    """The word that the API is elsewhere."""
    return answer(code, b"", {"Location": location})


def tunnel_to(port: int) -> Act:
    """What a proxy does when asked to CONNECT."""

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(65536):
                target.sendall(part)
            target.shutdown(socket.SHUT_WR)

    def act(connection: Connection, _: Seen) -> bool:
        with socket.create_connection(("127.0.0.1", port)) as target:
            connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(target, connection.sock), daemon=True)
            back.start()
            pump(connection.sock, target)
            back.join(timeout=5)
        return False

    return act


def _first_half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _long_gzip_name(_: bytes) -> bytes:
    return b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03" + b"x" * 5000


TOO_LONG = {"Content-Length": "100000"}


def not_http(connection: Connection, _: Seen) -> bool:
    """What another service on that port would say."""
    connection.send(b"SSH-2.0-OpenSSH_9.2\r\n")
    return False


def interim_for_ever(connection: Connection, _: Seen) -> bool:
    """The word that an answer will come, again and again."""
    while not connection.stopping.wait(OFTEN):
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    return False


GZIP = {"Content-Encoding": "gzip", "Connection": "close"}
CLOSE = {"Connection": "close"}
CHUNKED = {"Transfer-Encoding": "chunked"}

FAULTS: dict[str, Act] = {
    "reset": reset,
    "reset mid-body": broken(TOO_LONG, reset=True),
    "short Content-Length": broken(TOO_LONG),
    "cut without length": broken(CLOSE, _first_half),
    "bad chunk": broken(CHUNKED, lambda body: b"zz\r\n" + body),
    "cut chunk": broken(CHUNKED, lambda body: b"ffff\r\n" + body),
    "bad gzip": broken(GZIP),
    "cut gzip": broken(GZIP, lambda body: _first_half(gzip.compress(body))),
    "no answer": silence,
    "not HTTP": not_http,
    "too many headers": broken({f"X-{number}": "x" for number in range(200)}),
    "a header of a megabyte": broken({"X": "x" * 2**20}),
    "two lengths": broken({"Content-Length": "5, 7"}),
    "200 with HTML": answer(
        200, "<html>Down for maintenance</html>", {"Content-Type": "text/html"}
    ),
    "200 and empty": answer(200),
    "200 with a list": answer(200, "[]"),
    "200 and nested": answer(200, "[" * 100_000),
    "200 with cut JSON": answer(200, '{"status": "success", "call": ['),
    "status not success": answer(200, '{"status": "error", "message": "Database 7 is down"}'),
    "200 without pages": answer(200, '{"status": "success", "search": {"timezone": "UTC"}}'),
    **{f"{code}": answer(code) for code in (408, 420, 425, 429, 500, 501, 502, 503, 504, 520, 599)},
    "503 with HTML": answer(503, "<h1>Service Unavailable</h1>"),
}
"""What a try may survive; each ends at once."""

SLOW_FAULTS: dict[str, Act] = {
    "hang": hang,
    "100 Continue for ever": interim_for_ever,
    "drip-feed of the headers": drip_headers,
    "drip-feed of the body": dripping(CLOSE, lambda body: b" " * 5000 + body),
    "drip-feed by length": dripping(TOO_LONG, lambda body: b" " * 5000 + body),
    "drip-feed of a chunk's size": dripping(CHUNKED, lambda _: b"1;" + b"x" * 5000),
    "drip-feed of a gzip header": dripping(GZIP, _long_gzip_name),
}
"""What a try may survive; each ends only when the client loses patience."""


class FaultServer:
    """Plays `script`, a request an act, and then `after` for ever, on a port of this machine."""

    def __init__(
        self,
        *script: Act,
        after: Act | None = None,
        tls: SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._script = list(script)
        self._after = after or good()
        self._tls = tls
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.seen: list[Seen] = []
        self.finished = 0  # acts that came to their end before the client left
        self.connections = 0

    @property
    def url(self) -> str:
        """Base address, with the path of the real one."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/v2"

    def __enter__(self) -> Self:
        """Serve."""
        self._start(self._accept)
        return self

    def wait_for_ends(self) -> None:
        """Wait until the connections that came so far have ended."""
        for thread in self._threads[1:]:
            thread.join(timeout=5)

    def vanish(self) -> bool:
        """Be gone: nobody listens any more; an act's word that its connection ends."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        return False

    def __exit__(self, *_: object) -> None:
        """End every connection and wait until none is left."""
        self._stopping.set()
        for sock in (self._listener, *self._socks):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        while self._threads:
            self._threads.pop().join(timeout=5)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self._start(self._serve, sock, self.connections)

    def _serve(self, plain: socket.socket, number: int) -> None:
        plain.settimeout(10)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            sock = stack.enter_context(plain)
            if self._tls is not None:
                sock = stack.enter_context(self._tls.wrap_socket(plain, server_side=True))
            self._socks.append(sock)
            while (seen := _request(sock, number)) is not None:
                with self._lock:
                    self.seen.append(seen)
                    act = self._script.pop(0) if self._script else self._after
                goes_on = act(Connection(sock, self._stopping), seen)
                self.finished += 1
                if not goes_on:
                    return


def _request(sock: socket.socket, number: int) -> Seen | None:
    """The next request of a connection, None where there is none any more."""
    text = b""
    while b"\r\n\r\n" not in text:
        part = sock.recv(65536)
        if not part:
            return None
        text += part
    first, *lines = text.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines if line)
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    return Seen(time.monotonic(), number, method, parts.path, query, headers)
