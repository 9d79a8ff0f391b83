"""The only module that knows HTTP: one request, its retries, its envelope, one page out.

An exchange is retried as a whole, from the connection to the envelope, because a cut body arrives
as a 200 with broken JSON, and a server in trouble answers with a page that is not the one asked
for. No message here holds a body, a query or a key.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urljoin, urlsplit

import backoff
import requests
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError
from urllib3.exceptions import HTTPError

from tap_callcap.envelope import (
    FIRST_DAY,
    Answer,
    NothingFound,
    Page,
    check_zone,
    decode_json,
    read_page,
    scrub_message,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from tap_callcap.values import JSON
    from tap_callcap.windows import Window

T = TypeVar("T")

CALLS_PATH = "/get/calls/"
ACCOUNTS_PATH = "/get/accounts/"
DAYS_AHEAD = 2  # of search_enddate, always sent: the zone's day may be the server's tomorrow
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
SLOW_DOWN = frozenset({429, 503})
LONGEST_BACKOFF = 60.0  # seconds between two tries, unless the server asks for more
SLOWEST_PACE = 10.0  # seconds between two requests, however often the server says 429
LARGEST_BODY = 256 * 2**20  # bytes; a page of 1,000 calls has about four million
BLOCK = 2**16  # bytes read from a connection at once

_REMEDIES = {
    401: "the key is not valid: check api_key",
    403: "the key may not read this: check what its login may see",
    404: "there is no such address: check api_url",
}

logger = logging.getLogger("tap-callcap")


class BadRequestError(FatalAPIError):
    """Callcap answered 400: a zone it does not know, or a range or a page beyond a limit."""


@dataclass(frozen=True, slots=True)
class Search:
    """What every search of a run asks for, besides its window and page."""

    zone: ZoneInfo
    last_day: date
    page_size: int
    detail: str

    def params(self, window: Window, number: int) -> dict[str, str]:
        """The query of one page, by the API's own names."""
        return {
            "search_last_modified_start": _wall_minute(window.asked_start, self.zone),
            "search_last_modified_end": _wall_minute(window.asked_end, self.zone),
            "search_startdate": FIRST_DAY.isoformat(),
            "search_enddate": self.last_day.isoformat(),
            "search_timezone": self.zone.key,
            "order": "oldest",
            "detail": self.detail,
            "show": str(self.page_size),
            "page": str(number),
        }


class Pace:
    """When the next request may start, over all threads.

    Args:
        per_second: Ceiling of requests a second, None for no ceiling.
    """

    def __init__(self, per_second: float | None) -> None:
        self._least = 1 / per_second if per_second else 0.0
        self._interval = self._least
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when this thread's request may start."""
        with self._lock:
            start = max(time.monotonic(), self._next)
            self._next = start + self._interval
            self._interval = max(self._least, self._interval * 0.9)
        time.sleep(max(0.0, start - time.monotonic()))

    def slow_down(self, seconds: float) -> None:
        """Let no request start for `seconds`, and space those after it further apart."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)
            self._interval = min(max(self._interval * 2, 0.1), max(SLOWEST_PACE, self._least))


class Client:
    """Callcap's API, request by request, from any number of threads.

    Args:
        api_url: Base address, such as `https://api.callcap.com/v2`.
        api_key: Key of the login.
        user_agent: Value of the header of that name.
        timeout: Of one whole exchange, body included.
        retry_budget: How long one request is tried before it fails.
        requests_per_second: Ceiling over all threads, None for no ceiling.
        connections: How many requests may be in flight.
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
        self._timeout = timeout.total_seconds()
        self._retry_budget = retry_budget.total_seconds()
        self._pace = Pace(requests_per_second)
        self._session = _Session()
        self._session.auth = _Bearer(api_key)
        self._session.headers.update({"Accept": "application/json", "User-Agent": user_agent})
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=connections)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        self._said_no_date = False

    def calls(self, search: Search, window: Window, number: int) -> Page | NothingFound:
        """Page `number` of the calls that were modified in `window`, or somewhat around it.

        Raises:
            BadRequestError: If the API refuses the request.
            ForeignZoneError: If the answer is in another zone than asked for.
            FatalAPIError: On any other failure that retries do not mend.
        """

        def read(answer: Answer) -> Page | NothingFound:
            if answer.code == requests.codes.ok:
                check_zone(answer.body, search.zone)
            return read_page(answer, number)

        return self._get(CALLS_PATH, search.params(window, number), read)

    def accounts(self) -> None:
        """Check that the key sees its accounts: that the address and the key are right."""

        def read(answer: Answer) -> None:
            if answer.code != requests.codes.ok:
                raise FatalAPIError(self._complaint(ACCOUNTS_PATH, 404, None))

        self._get(ACCOUNTS_PATH, {}, read)

    def _get(self, path: str, params: Mapping[str, str], read: Callable[[Answer], T]) -> T:
        """`read` the answer, trying again until it is readable or the time for it is over."""
        started = time.monotonic()
        for tries, wait in enumerate(_backoff(), start=1):
            try:
                return read(self._exchange(path, params))
            except RetriableAPIError as error:
                pause = max(wait, _retry_after(error))
                elapsed = time.monotonic() - started
                if elapsed + pause > self._retry_budget:
                    msg = (
                        f"{self._where(path)} failed: {error}. Gave up after {tries} tries in "
                        f"{elapsed:.0f} s; retry_minutes allows {self._retry_budget:.0f} s"
                        + (f", and Callcap asks to wait {pause:.0f} s" if pause > wait else "")
                    )
                    raise FatalAPIError(msg) from None
                logger.warning(
                    "%s failed: %s. Try %d in %.1f s", self._where(path), error, tries + 1, pause
                )
                if error.response is not None and error.response.status_code in SLOW_DOWN:
                    self._pace.slow_down(pause)
                else:
                    time.sleep(pause)
        raise AssertionError  # pragma: no cover - the waits never end

    def _exchange(self, path: str, params: Mapping[str, str]) -> Answer:
        """One request and its answer, with the codes that mean success or nothing found."""
        self._pace.wait()
        started = time.monotonic()
        try:
            with self._session.get(
                self._url + quote(path), params=params, timeout=self._timeout, stream=True
            ) as response:
                body = _body(response, started + self._timeout)
        except (requests.RequestException, HTTPError) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                msg = (
                    f"{self._where(path)} failed: the server's certificate is not trusted: "
                    "name your CA's file in REQUESTS_CA_BUNDLE, and check api_url"
                )
                raise FatalAPIError(msg) from None
            msg = f"the connection broke ({type(error).__name__})"
            raise RetriableAPIError(msg) from None
        code = response.status_code
        clock = self._clock(response, time.monotonic() - started)
        if code == requests.codes.ok:
            return Answer(code, _successful(body, response), clock)
        if code == requests.codes.no_content:
            return Answer(code, None, clock)
        vendor = _vendor_error(body, response)
        if code == requests.codes.not_found and vendor is not None:
            return Answer(code, vendor, clock)
        complaint = self._complaint(path, code, vendor)
        if code in TRANSIENT:
            raise RetriableAPIError(complaint, response)
        if code == requests.codes.bad_request:
            raise BadRequestError(complaint)
        raise FatalAPIError(complaint)

    def _clock(self, response: requests.Response, took: float) -> datetime:
        """The server's clock before the search began: its header is stamped after the query."""
        try:
            now = parsedate_to_datetime(response.headers["Date"]).astimezone(timezone.utc)
        except (KeyError, ValueError):
            now = datetime.now(timezone.utc)
            if not self._said_no_date:
                self._said_no_date = True
                logger.warning("Callcap's answers have no Date: this machine's clock is used")
        return now - timedelta(seconds=took)

    def _complaint(self, path: str, code: int, vendor: Mapping[str, JSON] | None) -> str:
        """What happened, where, what to do."""
        said = scrub_message(vendor) if vendor else ""
        remedy = _REMEDIES.get(code, "")
        if requests.codes.multiple_choices <= code < requests.codes.bad_request:
            remedy = "the API has moved: set api_url to its new address"
        return "; ".join(
            part
            for part in (f"Callcap answered {code} to {self._where(path)}{said}", remedy)
            if part
        )

    def _where(self, path: str) -> str:
        return f"GET {urlsplit(self._url).path}{path}"


class _Session(requests.Session):
    """A session that keeps to its host: the key never follows a redirect elsewhere."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is None:
            return None
        here, there = urlsplit(resp.url), urlsplit(urljoin(resp.url, target))
        return target if (here.scheme, here.netloc) == (there.scheme, there.netloc) else None


class _Bearer(requests.auth.AuthBase):
    """The key as a header; as `auth`, so that no .netrc replaces it."""

    def __init__(self, api_key: str) -> None:
        self._value = f"Bearer {api_key}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request


def _successful(body: bytes, response: requests.Response) -> JSON:
    """The envelope of a 200."""
    try:
        envelope = decode_json(body, _charset(response))
    except (ValueError, LookupError, RecursionError):
        msg = "the answer is not JSON"
        raise RetriableAPIError(msg) from None
    if not isinstance(envelope, dict) or envelope.get("status") != "success":
        msg = "the answer's status is not success"
        raise RetriableAPIError(msg)
    return envelope


def _vendor_error(body: bytes, response: requests.Response) -> dict[str, JSON] | None:
    """The vendor's error object, None where the answer is something else."""
    try:
        error = decode_json(body, _charset(response))
    except (ValueError, LookupError, RecursionError):
        return None
    return error if isinstance(error, dict) and "status" in error else None


def _charset(response: requests.Response) -> str | None:
    match = re.search(r"charset=\"?([\w-]+)", response.headers.get("Content-Type", ""))
    return match.group(1) if match else None


def _body(response: requests.Response, deadline: float) -> bytes:
    """The whole body; requests' own timeout starts anew with every byte, this one does not."""
    body = bytearray()
    while block := response.raw.read1(BLOCK, decode_content=True):
        body += block
        if time.monotonic() > deadline:
            msg = "the answer took longer than request_timeout_seconds"
            raise RetriableAPIError(msg)
        if len(body) > LARGEST_BODY:
            msg = "the answer is larger than any page can be: lower page_size"
            raise FatalAPIError(msg)
    return bytes(body)


def _retry_after(error: RetriableAPIError) -> float:
    """Seconds that the server asks to wait, by a number or by a date on its own clock."""
    if error.response is None:
        return 0.0
    value = error.response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", value, re.ASCII):
        return float(value)
    try:
        until = parsedate_to_datetime(value)
        now = parsedate_to_datetime(error.response.headers.get("Date", ""))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _backoff() -> Iterator[float]:
    """Seconds to wait before each next try, longer and longer, at random so that clients spread."""
    waits = backoff.expo(base=2, factor=1, max_value=LONGEST_BACKOFF)
    next(waits)  # primes the generator: it yields its first wait after this
    for wait in waits:
        yield wait / 2 + backoff.full_jitter(wait / 2)


def _wall_minute(instant: datetime, zone: ZoneInfo) -> str:
    """The API's `yyyy-mm-dd HH:nn` in `zone`."""
    return instant.astimezone(zone).strftime("%Y-%m-%d %H:%M")
