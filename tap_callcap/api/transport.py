"""The wire: requests that end in time and answers of bounded size, whatever the other end does.

All settings of networks (proxies, certificates) are the usual variables of the environment.
"""

from __future__ import annotations

import os
import time
from http import client as http_client
from http.cookiejar import DefaultCookiePolicy
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, Any

import requests
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, InvalidHeader

from tap_callcap.api.errors import TooLargeError

if TYPE_CHECKING:
    from socket import socket

    from typing_extensions import Buffer
    from urllib3 import HTTPResponse

TRANSPORT_ERRORS = (requests.RequestException, HTTPError)
BLOCK = 2**19  # bytes to receive at once, if so many have come
ROOM = 2**20  # bytes; what a body has takes a multiple, so that the next fits in its place
LARGEST_BODY = 64 * 2**20  # bytes; a page of 1,000 calls has about four million


def open_session(*, api_key: str, user_agent: str, connections: int) -> requests.Session:
    """A session that sends the key to where it is told to, and nowhere else.

    `connections` is how many may be open at once.
    """
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


def read_body(response: requests.Response) -> bytearray:
    """The decoded body of a streamed answer.

    Raises:
        TooLargeError: If it is larger than any page.
    """
    is_encoded = "Content-Encoding" in response.headers
    body, end = bytearray(), 0
    while block := response.raw.read1(BLOCK, decode_content=is_encoded):
        begin, end = end, end + len(block)
        if end > LARGEST_BODY:
            raise TooLargeError
        if end > len(body):
            body += bytes(-(-end // ROOM) * ROOM - len(body))
        body[begin:end] = block
    del body[end:]
    return body


def root_cause(error: BaseException | None) -> BaseException | None:
    """The one at the bottom of exceptions that wrap each other."""
    for inner in (getattr(error, "reason", None), *getattr(error, "args", ())):
        if isinstance(inner, (OSError, HTTPError, http_client.HTTPException)):
            return root_cause(inner)
    return error


class _Adapter(requests.adapters.HTTPAdapter):
    """Connects, through whatever proxy, by connections that end in time."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as requests has it
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if not issubclass(pool.ConnectionCls, _Connection):
            pool.ConnectionCls = type("_Connection", (_Connection, pool.ConnectionCls), {})
        return pool


class _Connection(HTTPConnection):
    """A connection whose timeout is that of the whole answer, headers and body.

    A socket's own begins anew with every byte, so that an answer in drops would never end.
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
