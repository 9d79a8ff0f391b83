"""Signals end the process: at once before a run, and in time whatever it waits for."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tap_callcap import signals

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The codes that the process would have ended with; handlers are put back."""
    codes: list[int] = []
    handlers = {number: signal.getsignal(number) for number in signals.ENDING}
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(signals, "SHUTDOWN_TIMEOUT", 0.0)
    yield codes
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_before_a_run_a_signal_ends_the_process_at_once(ends: list[int]) -> None:
    """Process 1 of a container would ignore them; Ctrl-C stays an exception."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signals.end_at_once()
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGHUP)
    assert ends == [143, 129]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_signal_that_is_ignored_stays_so(ends: list[int]) -> None:
    """As `nohup` has SIGHUP."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals.end_at_once()
    signal.raise_signal(signal.SIGHUP)
    assert ends == []


def test_a_signal_ends_a_process_that_does_not_end_by_itself(ends: list[int]) -> None:
    """Its handler has run, and nothing came of it; another signal is none of an end."""
    before = set(threading.enumerate())
    for number in (signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signals.end_in_time()
    (watcher,) = set(threading.enumerate()) - before
    signal.raise_signal(signal.SIGUSR1)
    assert ends == []
    signal.raise_signal(signal.SIGTERM)
    watcher.join(10)
    assert ends == [143]
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)


def test_signals_can_be_ignored(ends: list[int]) -> None:
    """At the end nothing is left that they could interrupt."""
    signals.ignore_signals()
    for number in signals.ENDING:
        signal.raise_signal(number)
    assert ends == []
