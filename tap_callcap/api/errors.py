"""The errors of the API that callers tell apart, and the messages for its HTTP codes."""

from __future__ import annotations

from singer_sdk.exceptions import FatalAPIError, RetriableAPIError

TRANSIENT = frozenset({408, 420, 425, 429, *range(500, 1000)})
"""HTTP codes after which the same request may succeed."""

RATE_LIMITED = frozenset({420, 429})
"""HTTP codes that ask for fewer requests."""

WAITING = TRANSIENT | {403}
"""HTTP codes that ask for time by a Retry-After."""

PROXY_LOGIN = "it requires a login: set HTTPS_PROXY to http://user:password@host:port"

_REMEDIES = {
    400: "it refuses the request: check timezone, page_size and filters",
    401: "the key is not valid: check api_key",
    403: "the key has no access to this: check what its login may see",
    404: "there is no such address: check api_url",
    407: f"a proxy answers: {PROXY_LOGIN}",
}


class BadRequestError(FatalAPIError):
    """Callcap answered 400: an unknown zone, or a range or a page beyond a limit."""


class NoAccessError(FatalAPIError):
    """Callcap answered 403, or that an address has nothing: the key may not see it."""


class GaveUpError(FatalAPIError):
    """A request failed at each try, in a way that a narrower search may not."""


class OutageError(RetriableAPIError):
    """A try that any other request would have failed as well: no connection, or a rate limit."""


class BrokenError(RetriableAPIError):
    """The answer of a try is not whole, or it is not the API's."""


class ForeignZoneError(FatalAPIError):
    """Callcap answered in another zone than it was asked in."""


def failure_message(
    code: int, where: str, said: str = "", meaning: int = 0, remedy: str = ""
) -> str:
    """What happened, where, and what to do.

    Args:
        code: The HTTP code of the answer.
        where: Which request this is.
        said: What the vendor says about it.
        meaning: The code that the answer means, if that is another one.
        remedy: What to do, unless the code tells.
    """
    remedy = remedy or _REMEDIES.get(meaning or code, "check api_url")
    return f"Callcap answered {code} to {where}{said}; {remedy}"


def error_for(meaning: int, message: str) -> FatalAPIError:
    """The error for an answer that means an HTTP code that no retry changes."""
    errors = {400: BadRequestError, 403: NoAccessError, 404: NoAccessError}
    return errors.get(meaning, FatalAPIError)(message)
