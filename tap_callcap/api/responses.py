"""Parsing of Callcap's answers, from bytes and codes to a page. Pure.

An answer that contradicts itself raises `RetriableAPIError`, so that the request is retried. No
message here holds a body, a query or a key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import InvalidOperation
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import asdict
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError

from tap_callcap.api.errors import ForeignZoneError
from tap_callcap.instants import UTC, UnreadableError, is_same_zone
from tap_callcap.records.json import JSON, decode_json, has_nul, to_utf8
from tap_callcap.records.shaper import decoded, version_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo

    from tap_callcap.records.shaper import Call


@dataclass(slots=True)
class Page:
    """One page of a search.

    `total_records` and `last_page` count the whole search. `clock` and `clock_skew` are those of
    `Response`. `returned` is how many calls came: readers remove calls from `calls`, so that a page
    is in memory no longer than needed.
    """

    number: int
    last_page: int
    total_records: int
    calls: list[Call]
    clock: datetime
    clock_skew: timedelta | None = None
    returned: int = field(init=False)

    def __post_init__(self) -> None:
        """Count the calls before any is removed."""
        self.returned = len(self.calls)

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


def read_page(answer: Response, number: int) -> Page | NothingFound:
    """The page in `answer`, or `NothingFound` if it has none.

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
    total, last_page = _count(pagination, "total_records"), _count(pagination, "last_page")
    if number > max(last_page, 1):
        return NothingFound(answer.code, "success", *clocks)
    if not isinstance(calls, list):
        msg = "`call` is not a list"
    elif not total and not calls and last_page <= 1:
        return Page(number, last_page, 0, [], *clocks)  # then no other count matters
    elif _count(pagination, "page") != number:
        msg = f"the answer is not page {number}"
    elif _count(pagination, "records_returned") != len(calls):
        msg = f"page {number} does not hold as many calls as it says"
    elif not calls and (number == 1 or number < last_page):
        msg = f"page {number} of {last_page} is empty"
    elif len(calls) > total:
        msg = f"page {number} holds more calls than the whole search"
    else:
        return Page(number, last_page, total, calls, *clocks)
    raise RetriableAPIError(msg)


def _count(pagination: Mapping[str, JSON], name: str) -> int:
    """A count in the pagination, which may be written as a string."""
    value = pagination.get(name)
    if isinstance(value, str) and re.fullmatch(r"\d{1,18}", value.strip(), re.ASCII):
        value = int(value)
    if type(value) is not int or not 0 <= value < 10**18:
        msg = f"pagination.{name} is not a count"
        raise RetriableAPIError(msg)
    return value


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


def decode_answer(body: bytes | bytearray, charset: str | None) -> JSON:
    """The JSON value in `body`; the calls of a page stay encoded where possible.

    It raises what `decode_json` does.
    """
    body = to_utf8(body, charset)
    try:
        if not has_nul(body):
            page = _PAGE_DECODER.decode(body)
            return {name: part for name, part in asdict(page).items() if part is not None}
    except (msgspec.MsgspecError, InvalidOperation):
        pass  # not the page of a search, or not strict JSON
    return decode_json(body)


class _PageBody(msgspec.Struct):
    """The fields of a page that the tap reads."""

    call: list[msgspec.Raw]
    status: JSON = None
    message: JSON = None
    pagination: JSON = None
    search: JSON = None


_PAGE_DECODER = msgspec.json.Decoder(_PageBody)


def decode_object(body: bytes | bytearray, charset: str | None) -> dict[str, JSON]:
    """The JSON object in `body`, or an empty one if `body` is anything else."""
    try:
        value = decode_answer(body, charset)
    except (ValueError, LookupError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def header_instant(headers: Mapping[str, str], name: str) -> datetime | None:
    """The instant in a header, in UTC; none if it cannot be parsed."""
    try:
        instant = parsedate_to_datetime(headers.get(name, ""))
        return instant.replace(tzinfo=instant.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def scrub_message(body: Mapping[str, JSON], key: str) -> str:
    """`status` and `message` of the vendor's error, without the key and personal data.

    Only lower-case words are kept: they hold no numbers, no addresses, and no names, which are
    capitalized.
    """
    texts = [str(body.get(name) or "").replace(key, "…") for name in ("status", "message")]
    words = " ".join(texts).split()
    safe = " ".join(word if _PLAIN_WORD.fullmatch(word) else "…" for word in words)
    return f" ({safe[:200]})" if safe else ""


_PLAIN_WORD = re.compile(r"[(\"'`]?[a-z_'-]+[.,:;!?)\"'`]{0,2}")
