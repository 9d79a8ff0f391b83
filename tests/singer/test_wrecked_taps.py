"""Taps that are wrecked in one place: the tests of a tap must notice each of them.

The SDK's standard tests pass all four. The checks here are those that this project's tests make of
the real tap.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from support.direct_client import DirectClient
from support.histories import BEGINNING
from support.running import bookmark_of, run_tap
from tap_callcap.api.responses import Page
from tap_callcap.sandbox import CallBook, Callcap, made_up_calls
from tap_callcap.streams import CallsStream
from tap_callcap.tap import TapCallcap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap_callcap.api.responses import NothingFound
    from tap_callcap.api.search import Search
    from tap_callcap.windows import Window

NOW: datetime = BEGINNING


class _ReadsOnePageOnly(DirectClient):
    """Believes that the first page is all there is."""

    def calls(
        self, search: Search, window: Window, number: int, *, tries: int | None = None
    ) -> Page | NothingFound:
        page = super().calls(search, window, number, tries=tries)
        assert isinstance(page, Page)
        return replace(page, last_page=1, total_records=len(page.calls))


class _NoReplicationKey(CallsStream):
    replication_key = None  # type: ignore[assignment]  # which is what is wrong


class _WrongPrimaryKey(CallsStream):
    primary_keys = ("recording",)


class _EmptyKey(CallsStream):
    primary_keys = ()  # type: ignore[assignment]  # which is what is wrong


def _with(stream: type[CallsStream]) -> type[TapCallcap]:
    """A tap whose only stream is `stream`."""

    class Wrecked(TapCallcap):
        def discover_streams(self) -> Sequence[CallsStream]:
            return [stream(self)]

    return Wrecked


def _callcap() -> Callcap:
    book = CallBook(made_up_calls(40, seed=9, start=NOW - timedelta(days=30), end=NOW))
    return Callcap(book, clock=lambda: NOW + timedelta(hours=1))


def check_every_page_is_read(
    tap: type[TapCallcap], client: type[DirectClient] = DirectClient
) -> None:
    """Each call of the account arrives."""
    callcap = _callcap()
    run = run_tap(callcap, tap_class=tap, client_class=client, page_size=5)
    assert run.ids == callcap.book.ids


def check_state_moves_on(tap: type[TapCallcap]) -> None:
    """A second run reads no call again that lies before the lookback."""
    callcap = _callcap()
    state = run_tap(callcap, tap_class=tap).state
    assert bookmark_of(state) > "2026"
    assert run_tap(callcap, tap_class=tap, state=state).records == []


def check_the_key_is_the_call_id(tap: type[TapCallcap]) -> None:
    """The SCHEMA message names the key that makes an edited call one row."""
    (schema,) = (m for m in run_tap(_callcap(), tap_class=tap).messages if m["type"] == "SCHEMA")
    assert list(schema["key_properties"]) == ["call_id"]


CHECKS = [check_every_page_is_read, check_state_moves_on, check_the_key_is_the_call_id]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_real_tap_passes(check: Callable[[type[TapCallcap]], None]) -> None:
    """The real tap passes each check."""
    check(TapCallcap)


@pytest.mark.parametrize(
    ("stream", "check"),
    [
        (_NoReplicationKey, check_state_moves_on),
        (_WrongPrimaryKey, check_the_key_is_the_call_id),
        (_EmptyKey, check_the_key_is_the_call_id),
    ],
    ids=["no-replication-key", "wrong-primary-key", "empty-key"],
)
def test_a_wrecked_stream_is_noticed(
    stream: type[CallsStream], check: Callable[[type[TapCallcap]], None]
) -> None:
    """A stream without its keys fails a check."""
    with pytest.raises((AssertionError, KeyError)):
        check(_with(stream))


def test_a_reader_that_stops_after_page_one_is_noticed() -> None:
    """A tap that never turns a page fails a check."""
    with pytest.raises(AssertionError):
        check_every_page_is_read(TapCallcap, _ReadsOnePageOnly)
