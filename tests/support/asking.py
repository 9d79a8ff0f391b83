"""The search that tests of the client make, and a check of its failure."""

from __future__ import annotations

import base64
import traceback
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from singer_sdk.exceptions import FatalAPIError

from tap_callcap.api.client import Client
from tap_callcap.api.responses import NothingFound, Page
from tap_callcap.api.search import Search
from tap_callcap.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.fault_server import FaultServer


UTC = timezone.utc


KEY = "canary/Key+of=a~Login"


HOST = "callcap.test"  # not on this machine, by its name


WINDOW = Window(
    datetime(2026, 7, 1, 5, 0, tzinfo=UTC),
    datetime(2026, 11, 1, 6, 30, 30, tzinfo=UTC),
)


SEARCH = Search(ZoneInfo("UTC"), 500, "all,notes")


CALLS = [{"call_id": "1_23", "last_modified": "2026-07-01 05:00:00"}]


def client_of(server: FaultServer, **settings: Any) -> Client:
    """A client of `server` that tries once, unless given a budget for more."""
    given: dict[str, Any] = {
        "api_url": server.url,
        "api_key": KEY,
        "user_agent": "tap-callcap/test",
        "timeout": timedelta(seconds=30),
        "retry_budget": timedelta(0),
    }
    return Client(**given | settings)


def ask(client: Client) -> Page | NothingFound:
    """Page 1 of the one search that these tests make."""
    return client.calls(SEARCH, WINDOW, 1)


def page_of(client: Client) -> Page:
    """Page 1, which must be one."""
    page = ask(client)
    assert isinstance(page, Page)
    return page


def failure_of(client: Client) -> str:
    """The message with which a request fails, after a look that nothing leaks beside it."""
    with pytest.raises(FatalAPIError) as caught:
        ask(client)
    assert_nothing_leaks("".join(texts_of(caught.value)))
    message = str(caught.value)
    assert "GET /v2/get/calls/" in message
    assert "\n" not in message
    return message


def texts_of(error: BaseException | None) -> Iterator[str]:
    """All that could be printed of an error and of those beneath it, suppressed ones too."""
    if error is not None:
        yield from (str(error), repr(error), *traceback.format_exception(error))
        yield from texts_of(error.__cause__)
        yield from texts_of(error.__context__)


def assert_nothing_leaks(text: str) -> None:
    """Neither the key, in whatever form, nor a query is in `text`."""
    bearer = f"Bearer {KEY}".encode()
    forms = {KEY, quote(KEY), quote(KEY, safe="")}
    forms |= {base64.b64encode(part).decode().rstrip("=") for part in (KEY.encode(), bearer)}
    for canary in (*forms, "search_", "2026-07-01", "timezone="):
        assert canary not in text
