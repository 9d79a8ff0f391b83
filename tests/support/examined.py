"""Examinations of a sandbox by `callcap-doctor`, with a fixed clock and no waiting."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from support.fast_time import fast_time
from tap_callcap.api.client import Client
from tap_callcap.doctor.examination import Examination
from tap_callcap.doctor.probes import rows_of
from tap_callcap.sandbox import Call, CallBook, Callcap, Sandbox, Switches, made_up_calls
from tap_callcap.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_callcap.doctor.report import Row

NOW = datetime(2026, 3, 15, 17, 42, 10, tzinfo=timezone.utc)
HOUR = timedelta(hours=1, seconds=7)
AUTUMN = datetime(2025, 11, 2, 6, tzinfo=timezone.utc)  # 01:00 in US/Central for the first time
CONFIG: dict[str, Any] = {
    "api_key": "sandbox",
    "lookback_minutes": 10,
    "page_size": 1000,
    "concurrency": 4,
}


def account_calls(count: int) -> list[Call]:
    """Calls of two years up to NOW, twelve of them last modified when US clocks were set back."""
    calls = made_up_calls(count, seed=5, start=NOW - timedelta(days=730), end=NOW)
    for place in range(12):
        modified = AUTUMN + timedelta(minutes=10 * place)
        calls[place] = {**calls[place], "last_modified": modified}
    split = datetime(2026, 1, 10, 6, 30, tzinfo=timezone.utc)  # the 9th in US/Arizona
    calls[21] = {**calls[21], "start_datetime": split, "last_modified": split + HOUR}
    sharp = calls[20]["last_modified"].replace(second=0)
    calls[20] = {**calls[20], "last_modified": sharp}
    return calls


def callcap_of(
    calls: list[Call], clock: Callable[[], datetime] = lambda: NOW, **switches: Any
) -> Callcap:
    """An account with these calls."""
    return Callcap(CallBook(calls), switches=Switches(**switches), clock=clock)


def examined(callcap: Callcap, **config: Any) -> dict[str, Row]:
    """The rows of an examination over HTTP, by their names."""
    with Sandbox(callcap) as sandbox, fast_time():
        settings = Settings.from_config({**CONFIG, "api_url": sandbox.url, **config})
        client = Client(
            api_url=settings.api_url,
            api_key=settings.api_key,
            user_agent=settings.user_agent,
            timeout=settings.request_timeout,
            retry_budget=timedelta(seconds=30),
            connections=settings.concurrency,
            now=lambda: NOW,
        )
        rows = rows_of(Examination(client, settings, lambda: NOW))
    return {row.name: row for row in rows}
