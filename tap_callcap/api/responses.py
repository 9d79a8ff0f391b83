"""Parsing of Callcap's answers: pages, calls, rows and zones. Pure.

An answer that contradicts itself raises `RetriableAPIError`, so that the request is retried. No
message here holds a body, a query or a key.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError, RetriableAPIError

from tap_callcap.api.errors import ForeignZoneError
from tap_callcap.instants import UnreadableError, is_same_zone
from tap_callcap.records.shaper import decoded, version_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo

    from tap_callcap.records.json import JSON
    from tap_callcap.records.shaper import Call


@dataclass(slots=True)
class Page:
    """One page of a search.

    `total_records` and `last_page` count the whole search. `clock` and `clock_skew` are those of
    `Response`. `returned` is how many calls came: readers remove calls from `calls`, so that a page
    is in memory no longer than needed. `stated_last_page` is what the answer says, where
    `last_page` may be corrected.
    """

    number: int
    last_page: int
    total_records: int
    calls: list[Call]
    clock: datetime
    clock_skew: timedelta | None = None
    stated_last_page: int = -1
    returned: int = field(init=False)

    def __post_init__(self) -> None:
        """Count the calls before any is removed."""
        self.returned = len(self.calls)
        if self.stated_last_page < 0:
            self.stated_last_page = self.last_page

    @property
    def is_snapshot(self) -> bool:
        """Whether this one answer holds all that the search found."""
        return self.last_page <= 1 and self.returned == self.total_records


@dataclass(frozen=True, slots=True)
class NothingFound:
    """An answer without a page: the search found nothing, or has fewer pages by now."""

    code: int
    status: str
    clock: datetime
    clock_skew: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: HTTP code, and decoded body (None without one).

    `clock` is when the request began, UTC, by the server's clock or this machine's, whichever is
    earlier. `clock_skew` is by how much the server's is ahead, None if the answer has no date.
    """

    code: int
    body: JSON
    clock: datetime
    clock_skew: timedelta | None = None


def read_page(answer: Response, number: int, page_size: int) -> Page | NothingFound:
    """The page in `answer`, or `NothingFound` if it has none.

    `last_page` of the first page is never too small for its total: servers round it down, or
    compute it for larger pages than they send.

    Args:
        answer: What was answered.
        number: The page that was asked for.
        page_size: How many calls were asked for.

    Raises:
        RetriableAPIError: If it contradicts itself or is not page `number`.
    """
    clocks = answer.clock, answer.clock_skew
    if answer.code != HTTPStatus.OK:
        status = str(answer.body["status"]) if answer.body else ""
        return NothingFound(answer.code, status, *clocks)
    pagination = answer.body.get("pagination")
    if not isinstance(pagination, dict):
        msg = "the answer has no pagination"
        raise RetriableAPIError(msg)
    calls = answer.body.get("call")
    calls = [calls] if isinstance(calls, dict) and calls else calls or []
    if not isinstance(calls, list):
        msg = "`call` is not a list"
        raise RetriableAPIError(msg)
    total, stated = _count(pagination, "total_records"), _count(pagination, "last_page")
    is_beyond = number > max(stated, 1)
    if is_beyond and (not calls or _count(pagination, "page") != number):
        return NothingFound(answer.code, "success", *clocks)
    if not total and not calls and stated <= 1:  # then no other count matters
        return Page(number, stated, 0, [], *clocks)
    if (problem := _contradiction(pagination, calls, number, page_size)) is not None:
        raise RetriableAPIError(problem)
    last_page = max(stated, math.ceil(total / (len(calls) or page_size)) if number == 1 else number)
    return Page(number, last_page, total, calls, *clocks, stated)


def _contradiction(
    pagination: Mapping[str, JSON], calls: list[JSON], number: int, page_size: int
) -> str | None:
    """What is wrong with page `number`, if anything is."""
    total, last_page = _count(pagination, "total_records"), _count(pagination, "last_page")
    if _count(pagination, "page") != number:
        return f"the answer is not page {number}"
    if _count(pagination, "records_returned") != len(calls):
        return f"page {number} does not hold as many calls as it says"
    if total < _least_total(number, last_page, len(calls), page_size):
        return f"the search holds too few calls for {last_page} pages"
    return None


def _least_total(number: int, last_page: int, returned: int, page_size: int) -> int:
    """How many calls a search has at least, by the calls of one of its pages.

    The pages before the last are full, and some servers count one page too many; more calls than
    were asked for are repeated ones, which a total need not count. A page beyond the last is one
    that the total leaves out; so may a single page have some.
    """
    if number < last_page:
        full = min(returned, page_size)
        return max((last_page - 1) * full, full + 1)
    return number - 1 + returned if number == last_page > 1 else 0


def _count(pagination: Mapping[str, JSON], name: str) -> int:
    """A count in the pagination, which may be written as 42, 42.0, "42", or "1,234"."""
    value = pagination.get(name)
    is_plain = isinstance(value, (int, float, Decimal, str))
    match = _COUNT.fullmatch(str(value).strip()) if is_plain else None
    if match is None:
        msg = f"pagination.{name} is not a count"
        raise RetriableAPIError(msg)
    return int(match[1].replace(",", ""))


_COUNT = re.compile(r"([0-9]{1,18}|[0-9]{1,3}(?:,[0-9]{3}){1,5})(?:\.0*)?")


def read_call(answer: Response, call_id: str, zone: ZoneInfo) -> Call | None:
    """The call in `answer`: in a list, as an object or at the top level; none without one.

    Raises:
        RetriableAPIError: If it is another call, more than one, or unreadable.
        FatalAPIError: As `check_zone` does.
    """
    if answer.code != HTTPStatus.OK:
        return None
    around = {"status", "search", "pagination"}
    at_the_top = {name: value for name, value in answer.body.items() if name not in around}
    calls = answer.body.get("call", at_the_top)
    call, *others = (calls if isinstance(calls, list) else [calls]) or [None]
    if not call:
        return None
    check_zone(answer.body, zone)
    try:
        call = decoded(call)
        version = version_of(call, zone)
    except UnreadableError as error:
        raise RetriableAPIError(str(error)) from None
    if version[0] != call_id or others:
        msg = "the answer is not the call that was asked for"
        raise RetriableAPIError(msg)
    return call


def read_rows(answer: Response, name: str) -> list[JSON] | None:
    """The rows in `answer` under `name`, or none if it has no such field.

    Raises:
        RetriableAPIError: If the field is not a list.
    """
    if answer.code == HTTPStatus.NO_CONTENT:
        return []
    if answer.code != HTTPStatus.OK or name not in answer.body:
        return None
    rows = answer.body[name] or []
    if not isinstance(rows, list):
        msg = f"`{name}` is not a list"
        raise RetriableAPIError(msg)
    return rows


def account_ids(body: Mapping[str, JSON]) -> tuple[str, ...]:
    """Ids of the accounts in an answer, in order."""
    children = body.get("children")
    listed = children if isinstance(children, list) else []
    ids = (child.get("account_id") for child in listed if isinstance(child, dict))
    return tuple(sorted(str(id_) for id_ in ids if id_))


def check_zone(body: Mapping[str, JSON], asked: ZoneInfo) -> None:
    """Check that an answer is in the zone asked for, since its times carry no offset.

    Raises:
        FatalAPIError: If it names no zone.
        ForeignZoneError: If it names another one.
    """
    search = body.get("search")
    echo = search.get("timezone") if isinstance(search, dict) else None
    if not isinstance(echo, str) or not echo:
        msg = (
            "Callcap's answer does not say its timezone, so its times cannot be read: "
            "check that api_url is the address of API v2"
        )
        raise FatalAPIError(msg)
    if not is_same_zone(echo, asked.key):
        msg = f"Callcap was asked in {asked.key} and answered in another zone: check timezone"
        raise ForeignZoneError(msg)
