"""After any fault, a run continues or ends at a checkpoint, and nothing is lost."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from faults import GONE, REPORT
from support.canaries import KEY, found_in
from support.fault_runs import LASTING, PATIENCE, TRANSIENT, account, amidst, lost, read
from support.fault_server import SLOW_FAULTS, FaultServer, playing
from support.hostile_answers import HOSTILE
from support.running import bookmark_of

if TYPE_CHECKING:
    from support.fault_server import Act, Connection, Seen
    from tap_callcap.sandbox import Callcap


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def callcap() -> Callcap:
    """An account that nobody changes, dense, so that few windows are cut down to a minute."""
    return account(span=timedelta(hours=8))


def patience(name: str) -> float:
    """How long an exchange may take where a fault is slow, or not."""
    return PATIENCE if name in SLOW_FAULTS else 30


CLOSED = {"reset", "no answer"}  # ends of a kept connection, after which nobody waits


@pytest.mark.parametrize("name", TRANSIENT)
def test_a_fault_amidst_a_run_is_survived(
    name: str, callcap: Callcap, caplog: pytest.LogCaptureFixture
) -> None:
    """What breaks once does not end the run: all calls come, each once, and none is logged."""
    caplog.set_level(logging.DEBUG)
    with amidst(callcap, TRANSIENT[name]) as server:
        ended = read(server, request_timeout_seconds=patience(name), retry_minutes=90)
    assert not ended.error
    assert ended.run.ids == callcap.book.ids
    assert len(ended.run.records) == len(callcap.book.ids)
    assert found_in(caplog.text) == []
    least = 3600 if "3600" in name else 7 if "7" in name else 0.5
    assert ended.slept >= (0 if name in CLOSED else least)


@pytest.mark.parametrize("name", TRANSIENT | LASTING)
def test_a_fault_for_ever_ends_at_a_checkpoint(
    name: str, callcap: Callcap, caplog: pytest.LogCaptureFixture
) -> None:
    """What stays broken ends the run within the budget; the next one goes on behind its STATE."""
    caplog.set_level(logging.DEBUG)
    act = (TRANSIENT | LASTING)[name]
    with amidst(callcap, after=act) as server:
        ended = read(server, request_timeout_seconds=patience(name), retry_minutes=0.05)
    assert ended.error
    assert len(ended.error.splitlines()) == 1
    given_up = re.findall(r"Gave up at try \d+ after (\d+) s: retry_minutes", ended.error)
    assert bool(given_up) == (name in TRANSIENT)
    # The budget, and the longest pause of the rate limiter, which 503s have slowed.
    assert all(int(seconds) <= 3 + 10 for seconds in given_up)
    assert "2026-03-03T07" < bookmark_of(ended.run.state) < "2026-03-03T14:50"
    assert found_in(ended.error + caplog.text) == []
    assert ended.run.ids < callcap.book.ids
    assert lost(callcap, ended.run) == set()


def mixture(callcap: Callcap, rng: Random) -> Act:
    """Now a page, now a fault."""
    play = playing(callcap)
    faults = [act for name, act in TRANSIENT.items() if "3600" not in name]

    def act(connection: Connection, seen: Seen) -> bool:
        return rng.choice(faults if rng.random() < 0.25 else [play])(connection, seen)

    return act


@pytest.mark.parametrize("seed", range(4))
def test_any_mixture_of_faults_is_survived(seed: int, callcap: Callcap) -> None:
    """A quarter of all requests break in any way, side by side: nothing is lost, nothing twice."""
    with FaultServer(after=mixture(callcap, Random(f"faults {seed}"))) as server:
        ended = read(
            server, concurrency=4, request_timeout_seconds=2 * PATIENCE, retry_minutes=100_000
        )
    assert not ended.error
    assert ended.run.ids == callcap.book.ids
    assert len(ended.run.records) == len(callcap.book.ids)


def test_a_redirect_does_not_take_the_key(callcap: Callcap) -> None:
    """Nobody but the server that the settings name ever sees it."""
    with FaultServer(after=playing(callcap)) as server:
        read(server)
    assert {seen.headers["Authorization"] for seen in server.seen} == {f"Bearer {KEY}"}


def test_the_report_is_of_these_faults() -> None:
    """docs/faults.md has a row for each, and nothing was lost, leaked or crashed in it."""
    report = REPORT.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.*?) \|", report, re.MULTILINE)
    heads = ["fault", "answers with", "inputs"]
    inputs = ["answers", "catalogs and states", "configs"]
    assert rows == [
        *(heads[0], *TRANSIENT, *LASTING, GONE),
        *(heads[1], *HOSTILE, heads[2], *inputs),
    ]
    assert " runs: 0 calls lost, 0 tracebacks, and 0 finds of the key" in report
    for kind in inputs:
        assert re.search(
            rf"^\| {kind} \| [\d,]+ \| [\d,]+ \| [\d,]+ \|( 0 \|){{5}}", report, re.MULTILINE
        )
