"""The only module that knows HTTP: one request, its retries, its envelope, one page out.

An exchange is retried as a whole, from the connection to the envelope, because a cut body arrives
as a 200 with broken JSON, and a server in trouble answers with a page that is not the one asked
for. No message here holds a body, a query or a key, and no error carries one that does: what the
libraries raise names the whole query, so it is handled first, and ours is raised after that.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from ssl import SSLCertVerificationError
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

import backoff
import requests
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError
from urllib3 import Timeout

from tap_callcap.api.errors import BadRequestError, NoAccessError, TooLargeError
from tap_callcap.api.responses import (
    NothingFound,
    Page,
    Response,
    account_ids,
    check_zone,
    decode_answer,
    read_call,
    read_page,
    read_rows,
    scrub_message,
)
from tap_callcap.api.retry import LONGEST_BACKOFF, RateLimiter
from tap_callcap.api.transport import TRANSPORT_ERRORS, open_session, read_body, root_cause
from tap_callcap.instants import UTC

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from zoneinfo import ZoneInfo

    from tap_callcap.api.search import Search
    from tap_callcap.records.json import JSON
    from tap_callcap.records.shaper import Call
    from tap_callcap.sync.references import Account
    from tap_callcap.windows import Window

T = TypeVar("T")

CALLS_PATH = "/get/calls/"
ACCOUNTS_PATH = "/get/accounts/"
CSRS_PATH = "/get/callsurance/csrs/"
TRANSIENT = frozenset({408, 425, 429, *range(500, 1000)})
SLOW_DOWN = frozenset({429, 503})
_REMEDIES = dict.fromkeys(range(300, 400), "the API has moved: set api_url to its new address") | {
    400: "it refuses the request: check timezone, page_size and filters",
    401: "the key is not valid: check api_key",
    403: "the key may not read this: check what its login may see",
    404: "there is no such address: check api_url",
    407: "the proxy wants to know who asks: check HTTPS_PROXY",
}
_ADVICE = {
    None: "; check the network, api_url and HTTPS_PROXY",
    429: "; lower concurrency or set requests_per_second",
}

logger = logging.getLogger("tap-callcap")


_ERRORS = {400: BadRequestError, 403: NoAccessError, 404: NoAccessError}


class Client:
    """Callcap's API, request by request, from any number of threads.

    `timeout` is that of one whole exchange, body included; `retry_budget` is how long after its
    first try a request may be tried again; `connections` is how many may be in flight.
    """

    def __init__(  # noqa: PLR0913 - a setting each
        self,
        *,
        api_url: str,
        api_key: str,
        user_agent: str,
        timeout: timedelta,
        retry_budget: timedelta,
        requests_per_second: float | None = None,
        connections: int = 1,
    ) -> None:
        self._url = api_url.rstrip("/")
        self._key = api_key
        self._timeout = timeout.total_seconds()
        self._retry_budget = retry_budget.total_seconds()
        self._rate_limiter = RateLimiter(requests_per_second)
        self._session = open_session(
            api_key=api_key, user_agent=user_agent, connections=connections
        )
        self._said_no_date = False
        self._counting = threading.Lock()
        self.requests = 0
        self.retries = 0  # of those, that repeat another one
        logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # its lines hold whole queries

    def calls(self, search: Search, window: Window, number: int) -> Page | NothingFound:
        """Page `number` of the calls that were modified in `window`, or somewhat around it.

        Raises:
            BadRequestError: If the API refuses the request.
            ForeignZoneError: If the answer is in another zone than asked for.
            FatalAPIError: On any other failure that retries do not mend.
        """

        def read(answer: Response) -> Page | NothingFound:
            if answer.code == requests.codes.ok:
                check_zone(answer.body, search.zone)
            return read_page(answer, number)

        return self._get(CALLS_PATH, search.params(window, number), read)

    def accounts(self, *, once: bool = False) -> tuple[str, ...]:
        """Ids of the accounts that the key sees, in order; that it answers shows it is alive.

        Who can do without them asks `once`, without another try.
        """
        answer = self._get(ACCOUNTS_PATH, {}, lambda answer: answer, once=once)
        if answer.code != requests.codes.ok:
            raise FatalAPIError(self._complaint(ACCOUNTS_PATH, answer.code, {}))
        return account_ids(answer.body)

    def call(self, call_id: str, zone: ZoneInfo, detail: str) -> Call | None:
        """The call with that id, its times in `zone`; none where the key sees no such call.

        It raises what `calls` raises.
        """
        path = f"{CALLS_PATH}{call_id}/"
        params = {"search_timezone": zone.key, "detail": detail}
        return self._get(path, params, lambda answer: read_call(answer, call_id, zone))

    def accounts_below(self, account: Account | None) -> list[JSON]:
        """The accounts one level below another, below none the topmost.

        Raises:
            NoAccessError: If the key sees no accounts.
            FatalAPIError: On any other failure that retries do not mend.
        """
        if account is None:
            return self._rows(ACCOUNTS_PATH, "children")
        params = dict(zip(("account_type", "account_id"), account, strict=True))
        return self._get(ACCOUNTS_PATH, params, lambda answer: read_rows(answer, "children")) or []

    def csrs(self) -> list[JSON]:
        """The call takers; it raises what `accounts_below` raises."""
        return self._rows(CSRS_PATH, "csr")

    def _rows(self, path: str, name: str) -> list[JSON]:
        """All that there is at `path`, listed under `name`."""

        def read(answer: Response) -> list[JSON]:
            rows = read_rows(answer, name)
            if rows is None:
                raise NoAccessError(self._complaint(path, answer.code, answer.body or {}))
            return rows

        return self._get(path, {}, read)

    def _get(
        self,
        path: str,
        params: Mapping[str, str],
        read: Callable[[Response], T],
        *,
        once: bool = False,
    ) -> T:
        """`read` the answer, trying again until it is readable or the time for it is over."""
        first, budget = 0.0, 0.0 if once else self._retry_budget
        waits = backoff.expo(max_value=LONGEST_BACKOFF)
        next(waits)  # primes the generator: it yields its first wait after this
        for tries, longest in enumerate(waits, start=1):
            asked = self._rate_limiter.wait()
            first = first or asked
            with self._counting:
                self.requests += 1
                self.retries += tries > 1
            try:
                result = read(self._exchange(path, params))
            except RetriableAPIError as error:
                failure = error.with_traceback(None)
            else:
                self._rate_limiter.speed_up()
                return result
            wait = longest / 2 + backoff.full_jitter(longest / 2)  # so that clients spread
            pause = max(wait, _retry_after(getattr(failure.response, "headers", {})))
            elapsed = time.monotonic() - first
            code = getattr(failure.response, "status_code", None)
            if elapsed + pause > budget:
                msg = (
                    f"{self._where(path)} failed: {failure}. Gave up at try {tries} after "
                    f"{elapsed:.0f} s: retry_minutes allows {budget:.0f} s"
                    + (f", and Callcap asks to wait {pause:.0f} s" if pause > wait else "")
                    + _ADVICE.get(code, "")
                )
                raise FatalAPIError(msg)
            logger.warning(
                "%s failed: %s. Try %d in %.1f s", self._where(path), failure, tries + 1, pause
            )
            if code in SLOW_DOWN:
                self._rate_limiter.slow_down(pause, asked)
            else:
                time.sleep(pause)
        raise AssertionError  # pragma: no cover - the waits never end

    def _exchange(self, path: str, params: Mapping[str, str]) -> Response:
        """One request and its answer, with the codes that mean success or nothing found."""
        started = time.monotonic()
        timeout: Any = Timeout(self._timeout)  # in total, from connecting on
        response, body, error = None, bytearray(), None
        try:
            with self._session.get(
                self._url + quote(path), params=params, timeout=timeout, stream=True
            ) as response:
                body = read_body(response)
        except TooLargeError:
            msg = f"{self._where(path)} failed: too large for a page: lower page_size"
            raise FatalAPIError(msg) from None
        except (*TRANSPORT_ERRORS, OSError, ValueError) as caught:
            error = caught.with_traceback(None)  # its frames would keep the socket
        took = time.monotonic() - started
        if response is not None and response.status_code in TRANSIENT:  # though its body be cut
            said = self._said(_json_object(body, response))
            msg = f"Callcap answered {response.status_code}{said}"
            raise RetriableAPIError(msg, response)
        if took >= self._timeout:
            msg = "no whole answer came within request_timeout_seconds"
            raise RetriableAPIError(msg)
        if response is None or error is not None:
            raise self._broken(path, error)
        code = response.status_code
        clock = self._clock(response) - timedelta(seconds=took)
        envelope = _json_object(body, response)
        if code == requests.codes.ok:
            if envelope.get("status") != "success":
                what = "its status is not success" if envelope else "it is no JSON object"
                msg = f"the answer is of no use: {what}{self._said(envelope)}"
                raise RetriableAPIError(msg)
            return Response(code, envelope, clock)
        is_nothing = code == requests.codes.not_found and "status" in envelope
        if is_nothing or code == requests.codes.no_content:
            return Response(code, envelope or None, clock)
        raise _ERRORS.get(code, FatalAPIError)(self._complaint(path, code, envelope))

    def _broken(self, path: str, error: Exception | None) -> Exception:
        """What to raise for an exchange that `error` broke off."""
        cause = root_cause(error)
        if isinstance(cause, SSLCertVerificationError):
            why = "the server's certificate is not trusted: check REQUESTS_CA_BUNDLE and api_url"
        elif not isinstance(error, TRANSPORT_ERRORS) or (
            isinstance(cause, ValueError) or getattr(cause, "library", "") == "X509"
        ):
            why = "it cannot be sent: check api_url, HTTPS_PROXY, REQUESTS_CA_BUNDLE, SSL_CERT_FILE"
        else:
            through = " to the proxy" if isinstance(error, requests.exceptions.ProxyError) else ""
            return RetriableAPIError(f"the connection{through} broke ({type(cause).__name__})")
        return FatalAPIError(f"{self._where(path)} failed: {why}")

    def _clock(self, response: requests.Response) -> datetime:
        """The server's clock by its answer, this machine's where that does not say."""
        now = _instant(response.headers, "Date")
        if now is None and not self._said_no_date:
            self._said_no_date = True
            logger.warning("Callcap's answers have no Date: this machine's clock is used")
        return now or datetime.now(UTC)

    def _complaint(self, path: str, code: int, vendor: Mapping[str, JSON]) -> str:
        """What happened, where, what to do."""
        remedy = _REMEDIES.get(code, "check api_url")
        return f"Callcap answered {code} to {self._where(path)}{self._said(vendor)}; {remedy}"

    def _said(self, vendor: Mapping[str, JSON]) -> str:
        """The vendor's own words, without the key should it be among them."""
        words = {name: str(text).replace(self._key, "…") for name, text in vendor.items() if text}
        return scrub_message(words)

    def _where(self, path: str) -> str:
        return f"GET {urlsplit(self._url).path}{path}"


def _json_object(body: bytes | bytearray, response: requests.Response) -> dict[str, JSON]:
    """The JSON object that an answer consists of, an empty one where it is something else."""
    try:
        value = decode_answer(body, response.encoding)
    except (ValueError, LookupError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _instant(headers: Mapping[str, str], name: str) -> datetime | None:
    """The instant that a header names; one without a zone is meant in UTC."""
    try:
        instant = parsedate_to_datetime(headers.get(name, ""))
        return instant.replace(tzinfo=instant.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks to wait, by a number or by a date on its own clock."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d*)?", value, re.ASCII):
        return float(value)
    until = _instant(headers, "Retry-After")
    now = _instant(headers, "Date") or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds()) if until else 0.0
