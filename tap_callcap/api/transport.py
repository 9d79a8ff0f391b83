"""One HTTP exchange: it ends in time, and its answer is of bounded size.

No message here holds a body, a query or a key, and no error is raised while one of the libraries'
is handled: their messages hold the whole query.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import datetime
from http import client as http_client
from ssl import SSLCertVerificationError
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import requests
from singer_sdk.exceptions import FatalAPIError
from urllib3 import Timeout
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from tap_callcap.api.addresses import REDIRECTS, changes_slash_only
from tap_callcap.api.connections import ProxyError, StaleError
from tap_callcap.api.errors import PROXY_LOGIN, TRANSIENT, BrokenError, OutageError
from tap_callcap.api.inflate import DamagedError, EncodingError, inflated
from tap_callcap.instants import UTC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import timedelta

TRANSPORT_ERRORS = (requests.RequestException, HTTPError, DamagedError, EncodingError)
NEEDED_BODIES = frozenset({200, 404})  # of the other codes the body only explains
BLOCK = 2**19  # bytes to receive at once, if so many have come
LARGEST_BODY = 64 * 2**20  # bytes; a page of 1,000 calls has about four million

UNKNOWN_ENCODING = (
    "the answer is encoded in a way that was not asked for: check whether a proxy on the way to "
    "api_url changes answers"
)


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
        timeout: Limit of one whole exchange, from the look-up of the name to the end of the body.
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
        self._slash = "/"  # at the end of each path, unless the server redirects

    def where(self, path: str) -> str:
        """What messages call a request."""
        return f"GET {urlsplit(self._url).path}{path}"

    def get(self, path: str, params: Mapping[str, str]) -> Exchange:
        """Make one request; a redirect that changes only its last slash is followed once.

        Raises:
            RetriableAPIError: If no whole answer came in time.
            FatalAPIError: If the request cannot be sent, or the answer is too large.
        """
        started, start = self._now(), time.monotonic()
        response, body, error = self._fetch(path, params, start)
        if response is not None and response.status_code in REDIRECTS:
            url = str(response.url)
            if changes_slash_only(url, response.headers.get("Location", "")):
                self._slash = "" if urlsplit(url).path.endswith("/") else "/"
                response, body, error = self._fetch(path, params, start)
        seconds = time.monotonic() - start
        if len(body) > LARGEST_BODY:
            msg = (
                f"{self.where(path)} failed: the answer is larger than {LARGEST_BODY >> 20} MiB: "
                "lower page_size"
            )
            raise FatalAPIError(msg)
        if response is None or response.status_code in NEEDED_BODIES:
            is_late = seconds >= self._timeout and not _is_unreachable(error)
            if response is None or error is not None or is_late:
                raise _failure(None if is_late else error, self.where(path))
        return Exchange(response, body, started, seconds)

    def _fetch(
        self, path: str, params: Mapping[str, str], start: float
    ) -> tuple[requests.Response | None, bytearray, Exception | None]:
        """The answer to a request, its content, and what ended the exchange early, if anything."""
        url = self._url + quote(path.rstrip("/") + self._slash)
        error: Exception | None = StaleError()
        while isinstance(_root_cause(error), StaleError):  # which leaves one less of them
            response, body, error = None, bytearray(), None
            left = max(self._timeout - (time.monotonic() - start), 0.001)
            timeout: Any = Timeout(left)  # in total, from connecting on
            try:
                with self._session.get(
                    url, params=params, timeout=timeout, stream=True
                ) as response:
                    encoding = response.headers.get("Content-Encoding", "")
                    for piece in inflated(_blocks(response), encoding):
                        body += piece
                        if len(body) > LARGEST_BODY:
                            break
            except (*TRANSPORT_ERRORS, OSError, ValueError) as caught:
                error = caught.with_traceback(None)  # its frames would keep the socket
        return response, body, error


def _blocks(response: requests.Response) -> Iterator[bytes]:
    """The body of a streamed answer, as it is sent."""
    return iter(lambda: response.raw.read1(BLOCK, decode_content=False), b"")


def _failure(error: Exception | None, where: str) -> Exception:
    """What to raise for an exchange that `error` ended, or that came too late."""
    if error is None:
        return BrokenError("no whole answer came within request_timeout_seconds")
    if isinstance(error, DamagedError):
        return BrokenError("the compressed body is cut or broken")
    if (remedy := _remedy(error)) is not None:
        return FatalAPIError(f"{where} failed: {remedy}")
    kind = type(_root_cause(error)).__name__
    if code := _tunnel_code(error):
        return OutageError(f"the proxy answered {code}")
    if _is_unreachable(error):
        to = "the proxy" if isinstance(error, requests.exceptions.ProxyError) else "the server"
        return OutageError(f"there is no connection to {to} ({kind})")
    return BrokenError(f"the connection broke ({kind})")


def _remedy(error: Exception) -> str | None:
    """What is wrong and what to do, if no retry changes it."""
    cause, code = _root_cause(error), _tunnel_code(error)
    remedies = {ProxyError: str(error), EncodingError: UNKNOWN_ENCODING}
    if type(error) in remedies:
        return remedies[type(error)]
    if isinstance(cause, SSLCertVerificationError):
        return "the server's certificate is not trusted: check REQUESTS_CA_BUNDLE and api_url"
    if code == requests.codes.proxy_authentication:
        return f"the proxy answered {code}: {PROXY_LOGIN}"
    if code and code not in TRANSIENT:
        return (
            f"the proxy answered {code}: check HTTPS_PROXY, and whether the proxy allows the host "
            "of api_url"
        )
    if not isinstance(error, TRANSPORT_ERRORS) or (
        isinstance(cause, ValueError) or getattr(cause, "library", "") == "X509"
    ):
        return (
            "the request cannot be sent: check api_url, HTTPS_PROXY, REQUESTS_CA_BUNDLE and "
            "SSL_CERT_FILE"
        )
    return None


def _tunnel_code(error: Exception) -> int:
    """The code with which a proxy refused a connection to the server, 0 if none did."""
    refused = re.match(r"Tunnel connection failed: (\d{3})\b", str(_root_cause(error)))
    return int(refused[1]) if refused else 0


def _is_unreachable(error: Exception | None) -> bool:
    """Whether no connection could be made, so that the server has not seen the request."""
    return isinstance(error, requests.exceptions.ProxyError) or isinstance(
        _root_cause(error), (NewConnectionError, ConnectTimeoutError)
    )


def _root_cause(error: BaseException | None) -> BaseException | None:
    """The innermost of exceptions that wrap each other."""
    for inner in (getattr(error, "reason", None), *getattr(error, "args", ())):
        if isinstance(inner, (OSError, HTTPError, http_client.HTTPException)):
            return _root_cause(inner)
    return error
