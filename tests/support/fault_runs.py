"""Whole runs of the tap against an account whose server breaks: in this process, by HTTP."""

from __future__ import annotations

from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from singer_sdk.exceptions import FatalAPIError

from support.canaries import KEY, plant
from support.fast_time import fast_time
from support.fault_server import FAULTS, SLOW_FAULTS, FaultServer, answer, playing, redirect
from support.histories import BEGINNING, KillableWriter
from support.running import Run, done_at_once
from tap_callcap.sandbox import CallBook, Callcap, made_up_calls
from tap_callcap.sync.prefetch import Workers
from tap_callcap.tap import TapCallcap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.fault_server import Act

AMIDST = 45  # requests that are answered well before a fault
PATIENCE = 0.1  # seconds, for faults that take all there is


def refused(code: int, retry_after: str) -> Act:
    """An answer that asks to wait."""
    return answer(code, '{"status": "busy"}', {"Retry-After": retry_after})


TRANSIENT: dict[str, Act] = {
    **FAULTS,
    **SLOW_FAULTS,
    "429 and Retry-After: 7": refused(429, "7"),
    "503 and Retry-After: 7": refused(503, "7"),
    "429 and Retry-After: 3600": refused(429, "3600"),
}
"""What may pass: the tap tries again."""

LASTING: dict[str, Act] = {
    "400": answer(400),
    "401": answer(401, '{"status": "unauthorized", "message": "Your key is invalid"}'),
    "403": answer(403),
    "404": answer(404, "<html>"),
    "410": answer(410),
    "302 to another host": redirect("http://localhost:9/v2/get/calls/"),
    "100 MB": answer(200, b" " * 100 * 2**20),
}
"""What another try does not mend."""


def account(calls: int = 120, span: timedelta = timedelta(days=90)) -> Callcap:
    """A quiet account full of canaries, the same each time."""
    start = BEGINNING - span
    book = CallBook(made_up_calls(calls, seed=8, start=start, end=BEGINNING))
    plant(book)
    return Callcap(book, clock=lambda: BEGINNING + timedelta(days=30), api_key=KEY)


def settings_for(server: FaultServer, **settings: Any) -> dict[str, Any]:
    """The config that reads `server` in many small requests."""
    start = (BEGINNING - timedelta(days=91)).isoformat()
    given = {"api_key": KEY, "api_url": server.url, "start_date": start}
    return {**given, "page_size": 2, "concurrency": 1, **settings}


@dataclass(frozen=True)
class Ended:
    """What a run wrote, and the error that ended it, if any."""

    run: Run
    error: str
    slept: float
    log: str = ""


def read(server: FaultServer, *, state: Mapping[str, Any] | None = None, **settings: Any) -> Ended:
    """A run of the tap against `server`, which may fail."""
    writer, error = KillableWriter(), ""
    with fast_time() as clock, ExitStack() as stack:
        if settings.get("concurrency", 1) == 1:
            stack.enter_context(patch.object(Workers, "submit", done_at_once))
        tap = TapCallcap(
            config=settings_for(server, **settings),
            state=deepcopy(dict(state or {})),
            message_writer=writer,
        )
        try:
            tap.sync_all()
        except FatalAPIError as caught:
            error = str(caught)
    return Ended(Run(writer.lines, int(bool(error))), error, sum(clock.slept))


def lost(callcap: Callcap, failed: Run) -> set[str]:
    """Ids that neither a run has written that failed, nor one that goes on at its last STATE."""
    with FaultServer(after=playing(callcap)) as server:
        rest = read(server, state=failed.states[-1] if failed.states else {})
    assert not rest.error
    return callcap.book.ids - failed.ids - rest.run.ids


def amidst(callcap: Callcap, *faults: Act, after: Act | None = None) -> FaultServer:
    """A server that breaks after some requests: once, or for ever."""
    play = playing(callcap)
    return FaultServer(*[play] * AMIDST, *faults, after=after or play)
