"""The errors of the API that callers tell apart, and the messages for its HTTP codes."""

from __future__ import annotations

from singer_sdk.exceptions import FatalAPIError, RetriableAPIError

TRANSIENT = frozenset({408, 425, 429, *range(500, 1000)})
"""HTTP codes after which the same request may succeed."""

_REMEDIES = dict.fromkeys(range(300, 400), "the API has moved: set api_url to its new address") | {
    400: "it refuses the request: check timezone, page_size and filters",
    401: "the key is not valid: check api_key",
    403: "the key has no access to this: check what its login may see",
    404: "there is no such address: check api_url",
    407: "the proxy requires a login: check HTTPS_PROXY",
}


class BadRequestError(FatalAPIError):
    """Callcap answered 400: an unknown zone, or a range or a page beyond a limit."""


class NoAccessError(FatalAPIError):
    """Callcap answered 403, or that an address has nothing: the key may not see it."""


class GaveUpError(FatalAPIError):
    """A request failed at each try, in a way that a narrower search may not."""


class OutageError(RetriableAPIError):
    """A try that any other request would have failed as well: no connection, or a rate limit."""


class ForeignZoneError(FatalAPIError):
    """Callcap answered in another zone than it was asked in."""


def failure_message(code: int, where: str, said: str = "") -> str:
    """What happened, where, and what to do; `said` is what the vendor says about it."""
    return f"Callcap answered {code} to {where}{said}; {_REMEDIES.get(code, 'check api_url')}"


def error_for(code: int, where: str, said: str) -> FatalAPIError:
    """The error for an HTTP code that no retry changes."""
    errors = {400: BadRequestError, 403: NoAccessError, 404: NoAccessError}
    return errors.get(code, FatalAPIError)(failure_message(code, where, said))
