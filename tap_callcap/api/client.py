"""The endpoints of Callcap's API, one method each."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import requests
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError

from tap_callcap.api.addresses import REDIRECTS, redirect_remedy
from tap_callcap.api.answers import (
    UNKNOWN,
    decode_object,
    header_instant,
    meaning_of,
    scrub_message,
)
from tap_callcap.api.connections import open_session
from tap_callcap.api.errors import (
    RATE_LIMITED,
    TRANSIENT,
    WAITING,
    BrokenError,
    NoAccessError,
    OutageError,
    error_for,
    failure_message,
)
from tap_callcap.api.responses import (
    NothingFound,
    Page,
    Response,
    account_ids,
    check_zone,
    read_call,
    read_page,
    read_rows,
)
from tap_callcap.api.retry import RetryPolicy
from tap_callcap.api.search import day_params
from tap_callcap.api.transport import Transport, local_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

    from tap_callcap.api.filters import Filters
    from tap_callcap.api.search import Search
    from tap_callcap.api.transport import Exchange
    from tap_callcap.records.json import JSON
    from tap_callcap.records.shaper import Call
    from tap_callcap.windows import Window

T = TypeVar("T")

Account: TypeAlias = tuple[str, str]
"""Type and id of an account, as the API takes them."""

CALLS_PATH = "/get/calls/"
ACCOUNTS_PATH = "/get/accounts/"
CSRS_PATH = "/get/callsurance/csrs/"

logger = logging.getLogger("tap-callcap")


class Client:
    """Requests to Callcap's API, from any number of threads.

    Args:
        api_url: Base address.
        api_key: Key of the login.
        user_agent: Sent with each request.
        timeout: Limit of one whole exchange, body included.
        retry_budget: How long after its first try a request may be retried.
        requests_per_second: Limit over all threads, if any.
        connections: How many requests may be in flight.
        now: This machine's clock.
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
        now: Callable[[], datetime] = local_clock,
    ) -> None:
        self._key = api_key
        self._now = now
        session = open_session(api_key=api_key, user_agent=user_agent, connections=connections)
        self._transport = Transport(api_url, timeout, session, now)
        self._retry_policy = RetryPolicy(retry_budget, requests_per_second)
        self._warned_of_clock = False

    def now(self) -> datetime:
        """Now by this machine's clock."""
        return self._now()

    @property
    def requests(self) -> int:
        """How many requests were made."""
        return self._retry_policy.requests

    @property
    def retries(self) -> int:
        """How many of them repeated another one."""
        return self._retry_policy.retries

    def calls(
        self, search: Search, window: Window, number: int, *, tries: int | None = None
    ) -> Page | NothingFound:
        """Page `number` of the calls that were modified in `window`, or up to a minute around it.

        `tries` ends it early (see `RetryPolicy.run`).

        Raises:
            BadRequestError: If the API refuses the request.
            ForeignZoneError: If the answer is in another zone than asked for.
            GaveUpError: If no try was answered with a page that can be read.
            FatalAPIError: On any other failure that retries do not resolve.
        """

        def read(answer: Response) -> Page | NothingFound:
            if answer.code == requests.codes.ok:
                check_zone(answer.body, search.zone)
            return read_page(answer, number, search.page_size)

        return self._get(CALLS_PATH, search.params(window, number), read, tries=tries)

    def count_of_day(self, day: date, zone: ZoneInfo, filters: Filters) -> tuple[int, datetime]:
        """How many calls began on `day` in `zone`, and when that was counted, in UTC.

        It raises what `calls` raises.
        """

        def read(answer: Response) -> Page | NothingFound:
            if answer.code == requests.codes.ok:
                check_zone(answer.body, zone)
            return read_page(answer, 1, 1)

        page = self._get(CALLS_PATH, day_params(day, zone, filters), read)
        return (page.total_records if isinstance(page, Page) else 0), page.clock

    def accounts(self, *, once: bool = False) -> tuple[str, ...]:
        """Ids of the accounts that the key sees, in order; `once` means without retries.

        It raises what `calls` raises. An answer shows that the API works and knows the key.
        """
        answer = self._get(ACCOUNTS_PATH, {}, lambda answer: answer, once=once)
        if answer.code != requests.codes.ok:
            raise FatalAPIError(failure_message(answer.code, self._transport.where(ACCOUNTS_PATH)))
        return account_ids(answer.body)

    def call(self, call_id: str, zone: ZoneInfo, detail: str) -> Call | None:
        """The call with that id, its times in `zone`, or none if the key sees no such call.

        It raises what `calls` raises.
        """
        path = f"{CALLS_PATH}{call_id}/"
        params = {"search_timezone": zone.key, "detail": detail}
        return self._get(path, params, lambda answer: read_call(answer, call_id, zone))

    def answer(self, path: str, params: Mapping[str, str], *, tries: int | None = None) -> Response:
        """The answer to any request, not read any further; it raises what `calls` raises."""
        return self._get(path, params, lambda answer: answer, tries=tries)

    def accounts_below(self, account: Account | None) -> list[JSON] | None:
        """The accounts one level below `account`, or the topmost ones if that is none.

        None if the API has nothing at that address: no accounts, or no access to them.

        Raises:
            NoAccessError: If the key sees no accounts.
            FatalAPIError: On any other failure that retries do not resolve.
        """
        if account is None:
            return self._rows(ACCOUNTS_PATH, "children")
        params = dict(zip(("account_type", "account_id"), account, strict=True))
        return self._get(ACCOUNTS_PATH, params, lambda answer: read_rows(answer, "children"))

    def csrs(self) -> list[JSON]:
        """The call takers (CSRs); it raises what `accounts_below` raises."""
        return self._rows(CSRS_PATH, "csr")

    def _rows(self, path: str, name: str) -> list[JSON]:
        """All rows of the endpoint at `path`, listed under `name`."""

        def read(answer: Response) -> list[JSON]:
            rows = read_rows(answer, name)
            if rows is None:
                raise NoAccessError(failure_message(answer.code, self._transport.where(path)))
            return rows

        return self._get(path, {}, read)

    def _get(
        self,
        path: str,
        params: Mapping[str, str],
        read: Callable[[Response], T],
        *,
        once: bool = False,
        tries: int | None = None,
    ) -> T:
        """`read` the answer to a request, with retries.

        An exchange is retried as a whole, from the connection to what `read` makes of it: a cut
        body can arrive as a 200 with broken JSON, and a server in trouble may answer with another
        page than the one asked for.
        """
        where = self._transport.where(path)
        return self._retry_policy.run(
            lambda: read(self._answer(path, params)), where, once=once, tries=tries
        )

    def _answer(self, path: str, params: Mapping[str, str]) -> Response:
        """The answer to one request, if its code means success or nothing found."""
        exchange, where = self._transport.get(path, params), self._transport.where(path)
        response, code = exchange.response, exchange.response.status_code
        body = decode_object(exchange.body, response.encoding)
        meaning = meaning_of(code, body)
        said = scrub_message(body, self._key)
        asks_to_wait = "Retry-After" in response.headers and meaning in WAITING
        if meaning in RATE_LIMITED or asks_to_wait:
            msg = f"Callcap answered {code}{said}"
            raise OutageError(msg, response)
        if meaning in TRANSIENT:
            msg = f"Callcap answered {code}{said}"
            raise RetriableAPIError(msg, response)
        if code == requests.codes.ok and not body:
            msg = "the answer is no JSON object"
            raise BrokenError(msg)
        if meaning == UNKNOWN:
            msg = f"the answer's status is not success{said}"
            raise RetriableAPIError(msg)
        is_nothing = meaning == requests.codes.not_found and "status" in body
        if is_nothing or meaning in {requests.codes.ok, requests.codes.no_content}:
            return Response(meaning, body or None, *self._clocks(exchange))
        remedy = ""
        if code in REDIRECTS:
            remedy = redirect_remedy(str(response.url), response.headers.get("Location", ""), path)
        raise error_for(meaning, failure_message(code, where, said, meaning, remedy))

    def _clocks(self, exchange: Exchange) -> tuple[datetime, timedelta | None]:
        """The earlier clock, and the skew, as `Response` has them."""
        local, date = exchange.started, header_instant(exchange.response.headers, "Date")
        if date is not None:
            server = date - timedelta(seconds=exchange.seconds)
            return min(server, local), server - local
        if not self._warned_of_clock:
            self._warned_of_clock = True
            logger.warning("Callcap's answers have no Date: this machine's clock is used")
        return local, None
