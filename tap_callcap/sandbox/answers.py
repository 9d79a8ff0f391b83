"""Requests, answers, and the answers that are not a result."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tap_callcap.sandbox.render import encode, in_dialect
from tap_callcap.sandbox.zones import UTC

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tap_callcap.sandbox.call import Call
    from tap_callcap.sandbox.switches import Switches

NOT_FOUND = "The requested resource did not exist or did not have anything to say"


class NoAnswerError(TimeoutError):
    """The server never answers this request."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request and its outcome; `status` and `answered_at` are None until it is answered."""

    path: str
    params: Mapping[str, str]
    asked_at: datetime
    status: int | None = None
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, content: Call, status: int = 200, **headers: str) -> Answer:
        """Return a JSON answer; `_` in the name of a header is sent as `-`."""
        return cls(
            status,
            encode(content),
            {
                "Content-Type": "application/json; charset=utf-8",
                **{name.replace("_", "-"): text for name, text in headers.items()},
            },
        )


def found(content: Call, switches: Switches) -> Answer:
    """Return the answer with a result."""
    return Answer.of(in_dialect(content, switches))


def not_found() -> Answer:
    """Return the answer for a path or object that does not exist.

    The documentation gives its message, but not its status code.
    """
    return Answer.of({"status": "not found", "message": NOT_FOUND}, 404)


def unauthorized(switches: Switches) -> Answer:
    """Return the answer to a wrong key."""
    content = {"status": "unauthorized", "message": "Your key is invalid"}
    if switches.bad_key != "401":
        return Answer.of(content, int(switches.bad_key))
    return Answer.of(content, 401, WWW_Authenticate='Bearer realm="https://api.callcap.com/v2/"')


def failed(switches: Switches) -> Answer:
    """Return the answer to a request that fails, or raise NoAnswerError."""
    kind = switches.failure
    if kind == "hang":
        raise NoAnswerError
    if kind == "504":
        page = b"<html><body>504 Gateway Time-out</body></html>"
        return Answer(504, page, {"Content-Type": "text/html"})
    if kind == "unreadable":
        return Answer(200, b'{"status":"success","call":[{', {"Content-Type": "application/json"})
    content = {"status": "error", "message": "The request failed"}
    return Answer.of(content, 200 if kind == "error_body" else int(kind))


def too_many_requests(seconds: int, now: datetime, switches: Switches) -> Answer:
    """Return the answer to a request that must wait `seconds`."""
    texts = {
        "seconds": str(seconds),
        "date": format_datetime((now + timedelta(seconds=seconds)).astimezone(UTC), usegmt=True),
    }
    text = texts.get(switches.retry_after)
    content = {"status": "error", "message": "Too many requests"}
    headers = {"Retry_After": text} if text else {}
    return Answer.of(content, int(switches.rate_limit_code), **headers)


def slash_redirect(path: str, params: Mapping[str, str], switches: Switches) -> Answer | None:
    """Return the redirect that adds or removes a trailing slash, or None if there is none."""
    if switches.trailing_slash != ("removed" if path.endswith("/") else "added"):
        return None
    target = path.removesuffix("/") if path.endswith("/") else f"{path}/"
    query = f"?{urlencode(params)}" if params and switches.redirect_query == "kept" else ""
    return Answer(int(switches.redirect_code), b"", {"Location": f"{target}{query}"})
