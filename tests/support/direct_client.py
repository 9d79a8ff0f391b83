"""The tap's client without HTTP: it asks the simulated API in this process."""

from __future__ import annotations

import contextlib
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError, RetriableAPIError

from tap_callcap.api.answers import decode_object, header_instant
from tap_callcap.api.client import Client
from tap_callcap.api.errors import BadRequestError, GaveUpError, NoAccessError
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
from tap_callcap.sandbox import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from zoneinfo import ZoneInfo

    from tap_callcap.api.client import Account
    from tap_callcap.api.filters import Filters
    from tap_callcap.api.search import Search
    from tap_callcap.records.json import JSON
    from tap_callcap.records.shaper import Call
    from tap_callcap.sandbox import Callcap
    from tap_callcap.windows import Window


class DirectClient(Client):
    """The tap's client without HTTP: the same queries, the same reading of answers.

    `now` is this machine's clock; by default it is right.
    """

    def __init__(  # without what only HTTP needs
        self, callcap: Callcap, now: Callable[[], datetime] | None = None
    ) -> None:
        self._callcap = callcap
        self._now = now or callcap.now
        self._retry_policy = RetryPolicy(timedelta(0), None)  # counts requests, and no retries

    def calls(
        self,
        search: Search,
        window: Window,
        number: int,
        *,
        tries: int | None = None,
    ) -> Page | NothingFound:
        """Ask for a page; an answer that is broken or contradicts itself is asked for again."""
        for _ in range(tries or 8):
            answer = self._answer("/v2/get/calls/", search.params(window, number))
            if answer.code >= 500 or (answer.body or {}).get("status") == "error":
                continue
            with contextlib.suppress(RetriableAPIError):
                if answer.code == 200:
                    check_zone(answer.body, search.zone)
                return read_page(answer, number, search.page_size)
        msg = "the answers contradict themselves"
        raise GaveUpError(msg)

    def accounts(self, *, once: bool = False) -> tuple[str, ...]:  # noqa: ARG002 - it never tries again
        """Ids of the accounts that the key sees."""
        answer = self._answer("/v2/get/accounts/", {})
        if answer.code != 200:
            msg = "Callcap answered no accounts"
            raise FatalAPIError(msg)
        return account_ids(answer.body)

    def call(self, call_id: str, zone: ZoneInfo, detail: str) -> Call | None:
        """Ask for one call."""
        params = {"search_timezone": zone.key, "detail": detail}
        return read_call(self._answer(f"/v2/get/calls/{call_id}/", params), call_id, zone)

    def count_of_day(self, day: date, zone: ZoneInfo, filters: Filters) -> tuple[int, datetime]:
        """Ask how many calls began on a day."""
        answer = self._answer("/v2/get/calls/", day_params(day, zone, filters))
        page = read_page(answer, 1, 1)
        return (page.total_records if isinstance(page, Page) else 0), page.clock

    def accounts_below(self, account: Account | None) -> list[JSON] | None:
        """Ask for accounts."""
        names = ("account_type", "account_id")
        params = dict(zip(names, account, strict=True)) if account else {}
        return read_rows(self._answer("/v2/get/accounts/", params), "children")

    def csrs(self) -> list[JSON]:
        """Ask for call takers."""
        return read_rows(self._answer("/v2/get/callsurance/csrs/", {}), "csr") or []

    def _answer(self, path: str, params: Mapping[str, str]) -> Response:
        self._retry_policy.requests += 1
        try:
            answer = self._callcap.answer(path, params, "Bearer sandbox")
        except NoAnswerError:
            return Response(504, None, self._now())
        if answer.status == 400:
            msg = "Callcap answered 400"
            raise BadRequestError(msg)
        if answer.status == 403:
            msg = "Callcap answered 403"
            raise NoAccessError(msg)
        body = decode_object(answer.body, None) or ({"status": "error"} if answer.body else None)
        server, local = header_instant(answer.headers, "Date"), self._now()
        if server is None:
            return Response(answer.status, body, local)
        return Response(answer.status, body, min(server, local), server - local)
