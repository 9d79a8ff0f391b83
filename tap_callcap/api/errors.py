"""What can go wrong with a request, as far as callers tell it apart."""

from __future__ import annotations

from singer_sdk.exceptions import FatalAPIError


class BadRequestError(FatalAPIError):
    """Callcap answered 400: a zone it does not know, or a range or a page beyond a limit."""


class NoAccessError(FatalAPIError):
    """Callcap answered 403, or that there is nothing at an address: the key may not see it."""


class ForeignZoneError(FatalAPIError):
    """Callcap answered in another zone than the one it was asked in."""


class TooLargeError(Exception):
    """An answer has more bytes than any page."""
