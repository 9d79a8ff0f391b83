"""One HTTP exchange: it ends in time, its answer is of bounded size, and the key stays here.

Proxies and certificates are set by the usual environment variables. No message here holds a body,
a query or a key, and no error is raised while one of the libraries' is handled: their messages
hold the whole query.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from datetime import datetime
from http import client as http_client
from http.cookiejar import DefaultCookiePolicy
from io import BufferedReader, RawIOBase
from ssl import SSLCertVerificationError
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import requests
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError
from urllib3 import Timeout
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, InvalidHeader, NewConnectionError

from tap_callcap.api.errors import TRANSIENT, OutageError
from tap_callcap.instants import UTC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import timedelta
    from socket import socket

    from typing_extensions import Buffer
    from urllib3 import HTTPResponse

TRANSPORT_ERRORS = (requests.RequestException, HTTPError)
BLOCK = 2**19  # bytes to receive at once, if so many have come
LARGEST_BODY = 64 * 2**20  # bytes; a page of 1,000 calls has about four million


@dataclass(frozen=True, slots=True)
class Exchange:
    """An answer, when it was asked for by this machine's clock, and how long it took.

    The body may be cut where its code asks for a retry.
    """

    response: requests.Response
    body: bytearray
    started: datetime
    seconds: float


def local_clock() -> datetime:
    """Now by this machine's clock, in UTC."""
    return datetime.now(UTC)


class Transport:
    """Exchanges requests for answers, from any number of threads.

    Args:
        api_url: Base address.
        timeout: Limit of one whole exchange, body included.
        session: Makes the requests.
        now: This machine's clock.
    """

    def __init__(
        self,
        api_url: str,
        timeout: timedelta,
        session: requests.Session,
        now: Callable[[], datetime],
    ) -> None:
        self._url = api_url.rstrip("/")
        self._timeout = timeout.total_seconds()
        self._session = session
        self._now = now

    def where(self, path: str) -> str:
        """What messages call a request."""
        return f"GET {urlsplit(self._url).path}{path}"

    def get(self, path: str, params: Mapping[str, str]) -> Exchange:
        """Make one request.

        Raises:
            RetriableAPIError: If no whole answer came in time.
            FatalAPIError: If the request cannot be sent, or the answer is too large.
        """
        started, start = self._now(), time.monotonic()
        timeout: Any = Timeout(self._timeout)  # in total, from connecting on
        response, body, error = None, bytearray(), None
        try:
            with self._session.get(
                self._url + quote(path), params=params, timeout=timeout, stream=True
            ) as response:
                for block in _blocks(response):
                    body += block
                    if len(body) > LARGEST_BODY:
                        break
        except (*TRANSPORT_ERRORS, OSError, ValueError) as caught:
            error = caught.with_traceback(None)  # its frames would keep the socket
        seconds = time.monotonic() - start
        if len(body) > LARGEST_BODY:
            msg = (
                f"{self.where(path)} failed: the answer is larger than {LARGEST_BODY >> 20} MiB: "
                "lower page_size"
            )
            raise FatalAPIError(msg)
        if response is None or response.status_code not in TRANSIENT:
            if seconds >= self._timeout:
                msg = "no whole answer came within request_timeout_seconds"
                raise RetriableAPIError(msg)
            if response is None or error is not None:
                raise _connection_error(error, self.where(path))
        return Exchange(response, body, started, seconds)


def open_session(*, api_key: str, user_agent: str, connections: int) -> requests.Session:
    """A session that sends the key to the address of each request, and nowhere else.

    `connections` is how many may be open at once.
    """
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # its lines hold whole queries
    session = requests.Session()
    session.headers.update({"Accept": "application/json", "User-Agent": user_agent})
    session.headers["Authorization"] = f"Bearer {api_key}"
    session.auth = lambda request: request  # so that no .netrc replaces the key
    session.verify = os.environ.get("SSL_CERT_FILE") or True  # requests knows the others
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))  # no shared state
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter(pool_maxsize=connections))
    # Followed, a redirect may take the key elsewhere, or lose the query and so most calls.
    session.get_redirect_target = lambda _: None  # type: ignore[assignment, method-assign]
    return session


def _blocks(response: requests.Response) -> Iterator[bytes]:
    """The decoded body of a streamed answer."""
    is_encoded = "Content-Encoding" in response.headers
    return iter(lambda: response.raw.read1(BLOCK, decode_content=is_encoded), b"")


def _connection_error(error: Exception | None, where: str) -> Exception:
    """What to raise for an exchange that `error` ended."""
    cause = _root_cause(error)
    if isinstance(cause, SSLCertVerificationError):
        why = "the server's certificate is not trusted: check REQUESTS_CA_BUNDLE and api_url"
    elif not isinstance(error, TRANSPORT_ERRORS) or (
        isinstance(cause, ValueError) or getattr(cause, "library", "") == "X509"
    ):
        why = (
            "the request cannot be sent: check api_url, HTTPS_PROXY, REQUESTS_CA_BUNDLE and "
            "SSL_CERT_FILE"
        )
    else:
        through = " to the proxy" if isinstance(error, requests.exceptions.ProxyError) else ""
        kind = (
            OutageError if through or isinstance(cause, NewConnectionError) else RetriableAPIError
        )
        return kind(f"the connection{through} broke ({type(cause).__name__})")
    return FatalAPIError(f"{where} failed: {why}")


def _root_cause(error: BaseException | None) -> BaseException | None:
    """The innermost of exceptions that wrap each other."""
    for inner in (getattr(error, "reason", None), *getattr(error, "args", ())):
        if isinstance(inner, (OSError, HTTPError, http_client.HTTPException)):
            return _root_cause(inner)
    return error


class _Adapter(requests.adapters.HTTPAdapter):
    """Uses connections that end in time, also through a proxy."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as requests has it
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if not issubclass(pool.ConnectionCls, _Connection):
            pool.ConnectionCls = type("_Connection", (_Connection, pool.ConnectionCls), {})
        return pool


class _Connection(HTTPConnection):
    """A connection whose timeout is that of the whole answer, headers and body.

    A socket's own timeout restarts with every byte, so an answer that drips would never end.
    """

    timeout: float
    _answer: http_client.HTTPResponse

    def response_class(  # type: ignore[override]  # called, never compared
        self, sock: socket, debuglevel: int = 0, method: str | None = None
    ) -> http_client.HTTPResponse:
        self._answer = http_client.HTTPResponse(sock, debuglevel, method)
        incoming = _Incoming(sock, self._answer.fp, time.monotonic() + self.timeout)
        self._answer.fp = BufferedReader(incoming)
        return self._answer

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 has it
        try:
            return super().getresponse()
        except InvalidHeader:
            self._answer.close()  # urllib3 leaves it open
            raise


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
