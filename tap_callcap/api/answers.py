"""What an HTTP answer says: its body as JSON, what it means, its instants, its words. Pure.

No message here holds a body, a query or a key.
"""

from __future__ import annotations

import re
from decimal import InvalidOperation
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import asdict

from tap_callcap.api.errors import RATE_LIMITED
from tap_callcap.instants import UTC
from tap_callcap.records.json import JSON, decode_json, has_nul, to_utf8

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

UNKNOWN = 0
_MEANINGS = {
    401: re.compile(r"unauthori[sz]ed|unauthenticated|(invalid|bad|wrong).(api.?)?key"),
    403: re.compile(r"forbidden|denied|not.allowed"),
    404: re.compile(r"not.found|nothing|no.(calls|results?|records?|data)"),
    429: re.compile(r"too.many|rate.?limit|throttl"),
    400: re.compile(r"bad.request|invalid"),
}


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


def meaning_of(code: int, body: Mapping[str, JSON]) -> int:
    """The HTTP code that an answer means, or `UNKNOWN`.

    What others say by a code, a server may say in the body of a 200, and that a key is not valid
    in the body of any refusal.
    """
    status = str(body.get("status") or "").strip().lower()
    if HTTPStatus.BAD_REQUEST <= code < HTTPStatus.INTERNAL_SERVER_ERROR:
        is_key = code not in RATE_LIMITED and _MEANINGS[401].search(status)
        return 401 if is_key else code
    if code == HTTPStatus.RESET_CONTENT:
        return HTTPStatus.NO_CONTENT
    if code != HTTPStatus.OK or status == "success":
        return code
    return next((code for code, words in _MEANINGS.items() if words.search(status)), UNKNOWN)


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
