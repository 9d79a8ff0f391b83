"""Connections: they are made and answered in time, and the key goes to no other address.

Proxies and certificates are set by the usual environment variables.
"""

from __future__ import annotations

import logging
import os
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from http import HTTPStatus
from http import client as http_client
from http.cookiejar import DefaultCookiePolicy
from importlib.util import find_spec
from io import BufferedReader, RawIOBase
from ssl import SSLEOFError
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, InvalidHeader

from tap_callcap.api.addresses import is_loopback
from tap_callcap.api.inflate import ACCEPTED

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from socket import socket

    from typing_extensions import Buffer
    from urllib3 import HTTPResponse

CONNECT_TIMEOUT = 5.0  # seconds for each address of a name; a server that is there needs less
STALE_WITHIN = 5.0  # seconds in which a connection that the server has closed is found out
_PROXY_SCHEMES = {"http", "https", "socks4", "socks4a", "socks5", "socks5h"}


class ProxyError(ValueError):
    """The environment names a proxy that cannot be used; the message says what to do."""


class StaleError(ConnectionError):
    """The server had closed a connection that was kept open for this request."""


def open_session(*, api_key: str, user_agent: str, connections: int) -> requests.Session:
    """A session that sends the key to the address of each request, and nowhere else.

    `connections` is how many may be open at once.
    """
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # its lines hold whole queries
    session = requests.Session()
    session.headers.update({"Accept": "application/json", "Accept-Encoding": ACCEPTED})
    session.headers.update({"User-Agent": user_agent, "Authorization": f"Bearer {api_key}"})
    session.auth = lambda request: request  # so that no .netrc replaces the key
    session.verify = os.environ.get("SSL_CERT_FILE") or True  # requests knows the others
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))  # no shared state
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter(pool_maxsize=connections))
    # Followed, a redirect may take the key elsewhere, or lose the query and so most calls.
    session.get_redirect_target = lambda _: None  # type: ignore[assignment, method-assign]
    return session


class _Adapter(requests.adapters.HTTPAdapter):
    """Uses connections that end in time, and a proxy for what is not on this machine."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]  # fewer names
        url = request.url or ""
        proxy = select_proxy(url, options["proxies"])
        if proxy is None or is_loopback(urlsplit(url).hostname or ""):
            options["proxies"] = {}
        else:
            _check_proxy(proxy)
        return super().send(request, **options)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as requests has it
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if not issubclass(pool.ConnectionCls, _Connection):
            pool.ConnectionCls = type("_Connection", (_Connection, pool.ConnectionCls), {})
        return pool


def _check_proxy(proxy: str) -> None:
    """Check that a proxy can be used.

    Raises:
        ProxyError: If it cannot.
    """
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or parts.scheme not in _PROXY_SCHEMES:
        msg = (
            "HTTPS_PROXY or ALL_PROXY is not the address of a proxy: set it to one such as "
            "http://proxy.example:8080"
        )
        raise ProxyError(msg)
    if parts.scheme.startswith("socks") and find_spec("socks") is None:
        msg = (
            "HTTPS_PROXY or ALL_PROXY names a SOCKS proxy, which needs PySocks: install the "
            "package PySocks beside the tap, or set an HTTP proxy"
        )
        raise ProxyError(msg)


class _Connection(HTTPConnection):
    """A connection whose timeout is that of the whole exchange, from the look-up of the name on.

    A socket's own timeout restarts with every byte, so an answer that drips would never end.
    """

    timeout: float
    _answer: http_client.HTTPResponse
    _asked_at: float
    _is_kept = False  # open since an earlier request

    def _new_conn(self) -> socket:
        start, limit = time.monotonic(), self.timeout
        self.timeout = min(limit, CONNECT_TIMEOUT)
        sock = self._in_time(super()._new_conn, limit)
        self.timeout = max(limit - (time.monotonic() - start), 0.001)
        sock.settimeout(self.timeout)
        return sock

    def _in_time(self, connect: Callable[[], socket], seconds: float) -> socket:
        """What `connect` returns, in another thread: nothing ends the look-up of a name."""
        done: Future[socket] = Future()

        def work() -> None:
            try:
                done.set_result(connect())
            except BaseException as error:  # noqa: BLE001 - raised again where it is taken
                done.set_exception(error)

        Thread(target=work, daemon=True).start()
        try:
            return done.result(seconds)
        except FutureTimeoutError:
            done.add_done_callback(_close)
            raise ConnectTimeoutError(self, "no connection in time") from None

    def connect(self) -> None:
        self._is_kept = False
        super().connect()

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._asked_at = time.monotonic()
        with self._stale_if_kept():
            super().request(*args, **kwargs)

    def response_class(  # type: ignore[override]  # called, never compared
        self, sock: socket, debuglevel: int = 0, method: str | None = None
    ) -> http_client.HTTPResponse:
        self._answer = _Answer(sock, debuglevel, method)
        incoming = _Incoming(sock, self._answer.fp, time.monotonic() + self.timeout)
        self._answer.fp = BufferedReader(incoming)
        return self._answer

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 has it
        try:
            with self._stale_if_kept():
                response = super().getresponse()
        except InvalidHeader:
            self._answer.close()  # urllib3 leaves it open
            raise
        self._is_kept = True
        return response

    @contextmanager
    def _stale_if_kept(self) -> Generator[None, None, None]:
        """Tell a connection that ends at once because it was kept for too long."""
        try:
            yield
        except (ConnectionError, SSLEOFError):
            if self._is_kept and time.monotonic() - self._asked_at < STALE_WITHIN:
                raise StaleError from None
            raise


def _close(late: Future[socket]) -> None:
    """Close a connection that nobody waits for any more."""
    if late.exception() is None:
        late.result().close()


class _Answer(http_client.HTTPResponse):
    """An answer; what the server says before it, such as 103, is skipped."""

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]  # private
        is_interim = HTTPStatus.SWITCHING_PROTOCOLS < status < HTTPStatus.OK
        return version, HTTPStatus.CONTINUE if is_interim else status, reason


class _Incoming(RawIOBase):
    """What a socket receives up to a deadline."""

    def __init__(self, sock: socket, file: BufferedReader, deadline: float) -> None:
        self._sock = sock
        self._file = file
        self._deadline = deadline

    def readable(self) -> bool:  # noqa: PLR6301 - what io asks of every stream
        return True

    def readinto(self, buffer: Buffer) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._file.readinto1(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()
