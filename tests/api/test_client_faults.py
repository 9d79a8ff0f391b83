"""Any fault is retried for a while; a fault that persists ends the run with one line."""

from __future__ import annotations

import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import requests
from singer_sdk.exceptions import FatalAPIError

from support.asking import (
    KEY,
    SEARCH,
    UTC,
    WINDOW,
    ask,
    assert_nothing_leaks,
    client_of,
    failure_of,
    page_of,
    texts_of,
)
from support.fast_time import FastTime, fast_time
from support.fault_server import FAULTS, SLOW_FAULTS, TOO_LONG, FaultServer, answer, good, head
from tap_callcap.api import transport
from tap_callcap.api.errors import GaveUpError
from tap_callcap.api.retry import LONGEST_BACKOFF, LONGEST_INTERVAL, RateLimiter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.fault_server import Act, Connection, Seen

DATE = "Tue, 24 Nov 2026 10:00:00 GMT"
IN_7_SECONDS = "Tue, 24 Nov 2026 10:00:07 GMT"


pytestmark = pytest.mark.usefixtures("_no_garbage_collection")


@pytest.fixture
def fast() -> Iterator[FastTime]:
    """The client's clock, faked."""
    with fast_time() as clock:
        yield clock


def settings_for(name: str, minutes: float) -> dict[str, Any]:
    """A budget of `minutes`, and little patience where a fault takes all there is."""
    seconds = 0.15 if name in SLOW_FAULTS else 30
    return {"retry_budget": timedelta(minutes=minutes), "timeout": timedelta(seconds=seconds)}


@pytest.mark.parametrize("name", FAULTS | SLOW_FAULTS)
def test_a_fault_is_survived(name: str, fast: FastTime, caplog: pytest.LogCaptureFixture) -> None:
    """What breaks once is mended by another try, said in one line, and nothing leaks."""
    caplog.set_level(logging.DEBUG)
    act = (FAULTS | SLOW_FAULTS)[name]
    with FaultServer(act) as server:
        page = page_of(client_of(server, **settings_for(name, 10)))
    assert page.total_records == 0
    assert len(server.seen) > 1
    assert fast.slept[0] <= 1
    lines = [line for line in caplog.text.splitlines() if "Try 2 in" in line]
    assert len(lines) == 1
    assert "GET /v2/get/calls/ failed: " in lines[0]
    assert_nothing_leaks(caplog.text)


@pytest.mark.parametrize("name", FAULTS | SLOW_FAULTS)
def test_a_fault_for_ever_ends(name: str, fast: FastTime, caplog: pytest.LogCaptureFixture) -> None:
    """What stays broken fails within the budget, by one line that says what to look at."""
    caplog.set_level(logging.DEBUG)
    act = (FAULTS | SLOW_FAULTS)[name]
    with FaultServer(after=act) as server:
        message = failure_of(client_of(server, **settings_for(name, 0.1)))
    assert message.startswith("GET /v2/get/calls/ failed: ")
    assert ": retry_minutes allows 6 s" in message
    advice = dict.fromkeys(("420", "429"), "; lower concurrency or set requests_per_second")
    advice |= dict.fromkeys(("status not success", "200 without pages", "503 with HTML"), "")
    network = "; check the network, api_url and HTTPS_PROXY"
    known = advice.get(name, "" if name.isdigit() else network)
    assert message.endswith(f"retry_minutes allows 6 s{known}")
    assert 3 <= len(server.seen) <= 5
    assert sum(fast.slept) <= 6
    assert_nothing_leaks(caplog.text)


SAID = {
    "reset": "the connection broke (ConnectionResetError). ",
    "reset mid-body": "the connection broke (ConnectionResetError). ",
    "short Content-Length": "the connection broke (IncompleteRead). ",
    "bad chunk": "the connection broke (IncompleteRead). ",
    "bad gzip": "the compressed body is cut or broken. ",
    "cut gzip": "the compressed body is cut or broken. ",
    "no answer": "the connection broke (RemoteDisconnected). ",
    "two lengths": "the connection broke (InvalidHeader). ",
    "200 with HTML": "the answer is no JSON object. ",
    "status not success": "the answer's status is not success (error … … is down). ",
    "200 without pages": "the answer has no pagination. ",
    "503": "Callcap answered 503. ",
    "503 with HTML": "Callcap answered 503. ",
    "hang": "no whole answer came within request_timeout_seconds. ",
    "drip-feed of the headers": "no whole answer came within request_timeout_seconds. ",
}


@pytest.mark.parametrize("name", SAID)
def test_a_failure_says_what_happened(name: str) -> None:
    """The line names the fault."""
    with FaultServer((FAULTS | SLOW_FAULTS)[name]) as server:
        message = failure_of(client_of(server, **settings_for(name, 0)))
    assert message.startswith(f"GET /v2/get/calls/ failed: {SAID[name]}Gave up at try 1 after 0 s")


def test_a_server_that_is_down_is_one_line(fast: FastTime) -> None:
    """A port that nobody listens on is tried as long as the budget lasts."""
    with FaultServer() as server:
        pass
    message = failure_of(client_of(server, retry_budget=timedelta(minutes=10)))
    assert "there is no connection to the server (NewConnectionError). Gave up at try " in message
    assert 400 < sum(fast.slept) <= 600


def test_what_can_be_done_without_is_asked_for_once(fast: FastTime) -> None:
    """Nobody waits for an answer that is good to have, and no more."""
    with FaultServer(after=answer(500)) as server:
        client = client_of(server, retry_budget=timedelta(minutes=10))
        with pytest.raises(FatalAPIError, match="Gave up at try 1 after 0 s"):
            client.accounts(once=True)
    assert len(server.seen) == 1
    assert fast.slept == []


GIVES_UP = {
    name: act
    for name, act in FAULTS.items()
    if name not in {"420", "429"}  # which says nothing about this request
} | {"contradiction": answer(200, '{"status": "success", "search": {"timezone": "UTC"}}')}


@pytest.mark.parametrize("act", GIVES_UP.values(), ids=GIVES_UP)
def test_a_few_tries_can_be_all(act: Act, fast: FastTime) -> None:
    """A request that keeps failing is given up after so many tries, long before the budget ends."""
    with FaultServer(after=act) as server:
        client = client_of(server, retry_budget=timedelta(hours=1))
        with pytest.raises(GaveUpError) as caught:
            client.calls(SEARCH, WINDOW, 1, tries=2)
    assert re.match(
        r"GET /v2/get/calls/ failed: .*\. Gave up at try 2 after \d s", str(caught.value)
    )
    assert "retry_minutes" not in str(caught.value)
    assert len(fast.slept) == 1


@pytest.mark.usefixtures("fast")
def test_a_request_that_was_given_up_can_hang() -> None:
    """An answer that does not come in time is a try as any other."""
    with FaultServer(after=SLOW_FAULTS["hang"]) as server:
        client = client_of(server, **settings_for("hang", 10))
        with pytest.raises(GaveUpError, match="Gave up at try 2"):
            client.calls(SEARCH, WINDOW, 1, tries=2)


@pytest.mark.usefixtures("fast")
def test_a_rate_limit_is_no_try() -> None:
    """A refusal that any request would have met says nothing about this one."""
    limits = [answer(429), refusal(503, "7"), refusal(403, "7")]
    with FaultServer(answer(500), *limits, answer(500), answer(500)) as server:
        client = client_of(server, retry_budget=timedelta(hours=1))
        with pytest.raises(GaveUpError, match="Gave up at try 6"):
            client.calls(SEARCH, WINDOW, 1, tries=3)
    with FaultServer(after=answer(429)) as server:
        client = client_of(server, retry_budget=timedelta(minutes=1))
        with pytest.raises(FatalAPIError, match="retry_minutes allows 60 s") as caught:
            client.calls(SEARCH, WINDOW, 1, tries=2)
    assert not isinstance(caught.value, GaveUpError)


@pytest.mark.usefixtures("fast")
def test_a_server_that_cannot_be_reached_is_no_try() -> None:
    """Where no connection is made, another search would fare no better."""
    with FaultServer() as server:
        pass
    client = client_of(server, retry_budget=timedelta(minutes=1))
    with pytest.raises(FatalAPIError, match="retry_minutes allows 60 s") as caught:
        client.calls(SEARCH, WINDOW, 1, tries=2)
    assert not isinstance(caught.value, GaveUpError)


def test_requests_and_retries_are_counted(fast: FastTime) -> None:
    """Every request counts, and those that repeat another one once more."""
    with FaultServer(answer(500), answer(429), good(), good(), answer(401)) as server:
        client = client_of(server, retry_budget=timedelta(minutes=10))
        page_of(client)
        page_of(client)
        failure_of(client)
    assert (client.requests, client.retries) == (5, 2)
    assert len(fast.slept) >= 2


def test_waits_grow(fast: FastTime) -> None:
    """Each wait is twice the one before, more or less, up to a minute."""
    with FaultServer(after=answer(500)) as server:
        failure_of(client_of(server, retry_budget=timedelta(minutes=10)))
    longest = [min(2.0**tries, LONGEST_BACKOFF) for tries in range(len(fast.slept))]
    assert len(longest) > 10
    for slept, most in zip(fast.slept, longest, strict=True):
        assert most / 2 <= slept <= most


@pytest.mark.parametrize("name", SLOW_FAULTS)
def test_an_exchange_ends_in_time(name: str) -> None:
    """However its bytes come, no exchange outlasts its timeout as a whole."""
    with FaultServer(SLOW_FAULTS[name]) as server:
        message = failure_of(client_of(server, timeout=timedelta(seconds=0.3)))
        assert server.finished == 0
    assert "no whole answer came within request_timeout_seconds" in message


def test_a_flood_ends_in_time() -> None:
    """Nor does one that never stops sending what comes to nothing."""

    def flood(connection: Connection, _: Seen) -> bool:
        connection.send(head(200, {"Content-Encoding": "gzip", "Connection": "close"}))
        connection.send(b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03")
        while not connection.stopping.is_set():
            connection.send(b"x" * 65536)
        return False

    with FaultServer(flood) as server:
        message = failure_of(client_of(server, timeout=timedelta(seconds=0.3)))
    assert "no whole answer came within request_timeout_seconds" in message


@pytest.mark.usefixtures("fast")
def test_a_late_answer_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that came whole, but too late, is asked for again: the limit is the limit."""
    clock = FastTime()
    close = requests.Response.close

    def late(response: requests.Response) -> None:
        clock.sleep(0 if clock.slept else 31)
        close(response)

    monkeypatch.setattr(transport, "time", clock)
    monkeypatch.setattr(requests.Response, "close", late)
    with FaultServer() as server:
        page_of(client_of(server, retry_budget=timedelta(minutes=10)))
    assert len(server.seen) == 2


def cut(code: int, retry_after: str) -> Act:
    """An answer whose body breaks off behind its headers."""

    def act(connection: Connection, _: Seen) -> bool:
        connection.send(head(code, {"Retry-After": retry_after, **TOO_LONG}))
        return False

    return act


def refusal(code: int, retry_after: str, date: str = DATE) -> Act:
    """An answer that asks to wait."""
    return answer(code, '{"status": "busy"}', {"Retry-After": retry_after, "Date": date})


@pytest.mark.parametrize(
    ("act", "seconds"),
    [
        pytest.param(refusal(429, "7"), 7, id="429"),
        pytest.param(refusal(503, "7"), 7, id="503"),
        pytest.param(refusal(500, "7"), 7, id="500"),
        pytest.param(refusal(420, "7"), 7, id="420"),
        pytest.param(refusal(403, "7"), 7, id="403"),
        pytest.param(refusal(429, "7.5"), 7.5, id="part of a second"),
        pytest.param(refusal(429, IN_7_SECONDS), 7, id="date"),
        pytest.param(refusal(429, "Tue, 24 Nov 2026 10:00:07 -0000"), 7, id="date without zone"),
        pytest.param(cut(429, "7"), 7, id="cut body"),
        pytest.param(refusal(429, "0"), 0.5, id="none"),
        pytest.param(refusal(429, "-7"), 0.5, id="negative"),
        pytest.param(refusal(429, "soon"), 0.5, id="words"),
        pytest.param(refusal(429, "Mon, 23 Nov 2026 10:00:00 GMT"), 0.5, id="past"),
    ],
)
def test_retry_after_is_honoured(act: Act, seconds: float, fast: FastTime) -> None:
    """No try comes sooner than the server asks; where it asks for nothing, the backoff holds."""
    with FaultServer(act) as server:
        page_of(client_of(server, retry_budget=timedelta(minutes=10)))
    assert len(server.seen) == 2
    assert seconds - 0.1 <= sum(fast.slept) < max(seconds, 1) + 0.1


def test_retry_after_by_date_needs_no_date(fast: FastTime) -> None:
    """A date counts from this machine's clock where the answer has no Date of its own."""
    until = datetime.now(UTC) + timedelta(seconds=3000)
    text = until.strftime("%a, %d %b %Y %H:%M:%S GMT")
    with FaultServer(refusal(429, text, date="")) as server:
        page_of(client_of(server, retry_budget=timedelta(hours=1)))
    assert 2000 < sum(fast.slept) <= 3000


@pytest.mark.parametrize("asked", ["3600", "9" * 400, "Tue, 24 Nov 2026 11:00:00 GMT"])
def test_a_wait_beyond_the_budget_fails_early(asked: str, fast: FastTime) -> None:
    """Where the server asks for more time than there is, nobody waits for it."""
    with FaultServer(refusal(503, asked)) as server:
        message = failure_of(client_of(server, retry_budget=timedelta(minutes=10)))
    assert "Callcap answered 503 (busy). Gave up at try 1 after 0 s: " in message
    assert "retry_minutes allows 600 s, and Callcap asks to wait " in message
    assert fast.slept == []


def asked_meanwhile(act: Act, clock: FastTime, patch: pytest.MonkeyPatch) -> list[float]:
    """When a server saw a request that `act` answers, another thread's meanwhile, and a retry."""
    times: list[float] = []
    sleep = clock.sleep

    def noting(connection: Connection, seen: Seen) -> bool:
        times.append(clock.monotonic())
        return (act if len(times) == 1 else good())(connection, seen)

    def ask_meanwhile(seconds: float) -> None:
        patch.setattr(clock, "sleep", sleep)
        pool.submit(ask, client).result()
        sleep(seconds)

    patch.setattr(clock, "sleep", ask_meanwhile)
    with FaultServer(after=noting) as server, ThreadPoolExecutor(1) as pool:
        client = client_of(server, connections=2, retry_budget=timedelta(minutes=1))
        ask(client)
    return times


@pytest.mark.parametrize("code", [403, 420, 429, 503])
def test_one_refusal_slows_every_thread(
    code: int, fast: FastTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a refusal no thread asks before the time that the server said is over."""
    refused, meanwhile, retried = asked_meanwhile(refusal(code, "7"), fast, monkeypatch)
    assert meanwhile - refused >= 7
    assert retried - meanwhile == pytest.approx(0.1, abs=0.01)


def test_an_error_slows_only_its_own_thread(
    fast: FastTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread does not wait for the retry of a failed request."""
    failed, meanwhile, retried = asked_meanwhile(answer(500), fast, monkeypatch)
    assert meanwhile - failed < 0.1
    assert retried - failed >= 0.5


@pytest.mark.usefixtures("fast")
def test_the_ceiling_holds_over_all_threads() -> None:
    """However many threads ask, no two requests come closer than requests_per_second allows."""
    limiter = RateLimiter(25)
    with ThreadPoolExecutor(4) as pool:
        starts = sorted(pool.map(lambda _: limiter.wait(), range(12)))
    assert all(after - before >= 1 / 25 - 1e-9 for before, after in pairwise(starts))


def test_waiting_for_a_turn_is_no_failing(fast: FastTime) -> None:
    """The budget of a request begins with its first try, not while others go first."""
    with FaultServer(good(), answer(500)) as server:
        client = client_of(server, requests_per_second=0.001, retry_budget=timedelta(hours=1))
        page_of(client)
        page_of(client)
    assert len(server.seen) == 3
    assert sum(fast.slept) > 1999


def test_a_thread_that_waits_is_held_back_by_a_refusal(
    fast: FastTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn that was near moves when another thread is refused meanwhile."""
    limiter = RateLimiter(2)
    limiter.wait()
    sleep = fast.sleep

    def refuse_meanwhile(seconds: float) -> None:
        if not fast.slept:
            limiter.slow_down(30, fast.monotonic())
        sleep(seconds)

    monkeypatch.setattr(fast, "sleep", refuse_meanwhile)
    limiter.wait()
    assert sum(fast.slept) == pytest.approx(30, abs=0.1)


def intervals(limiter: RateLimiter, clock: FastTime, count: int) -> list[float]:
    """Seconds between some turns in a row."""
    times = [limiter.wait() for _ in range(count + 1)]
    del clock.slept[:]
    return [after - before for before, after in pairwise(times)]


def test_a_burst_of_refusals_slows_once(fast: FastTime) -> None:
    """Refusals of requests in flight together double the interval once, later ones again."""
    limiter = RateLimiter(None)
    asked = [limiter.wait() for _ in range(16)]
    for at in asked:
        limiter.slow_down(0, at)
    assert intervals(limiter, fast, 2) == pytest.approx([0.1, 0.1], abs=0.01)
    limiter.slow_down(0, limiter.wait())
    assert intervals(limiter, fast, 1) == pytest.approx([0.2], abs=0.01)


def test_the_rate_has_a_floor_and_recovers(fast: FastTime) -> None:
    """However often the server refuses, requests go on; with each success they go faster."""
    limiter = RateLimiter(10)
    for _ in range(50):
        limiter.slow_down(0, limiter.wait())
    limiter.wait()
    assert intervals(limiter, fast, 1) == pytest.approx([LONGEST_INTERVAL], abs=0.01)
    limiter.speed_up()
    limiter.wait()
    assert intervals(limiter, fast, 1) == pytest.approx([LONGEST_INTERVAL * 0.9], abs=0.01)
    for _ in range(100):
        limiter.speed_up()
    limiter.wait()
    assert intervals(limiter, fast, 1) == pytest.approx([0.1], abs=0.01)


def test_a_success_speeds_up_and_a_failure_does_not(fast: FastTime) -> None:
    """After a refusal the requests of a client come apart, and closer with each success."""
    script = (refusal(429, "1"), *(good(),) * 4)
    with FaultServer(*script) as server:
        client = client_of(server, retry_budget=timedelta(minutes=10))
        slept = []
        for _ in range(4):
            del fast.slept[:]
            page_of(client)
            slept.append(sum(fast.slept))
    assert slept[1:] == pytest.approx([0.1, 0.09, 0.081], abs=0.03)


def test_nothing_of_a_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG no line of ours or of the libraries has the key or the query."""
    caplog.set_level(logging.DEBUG)
    malformed = answer(200, "{}", {"X": "y\r\nno header at all", "Content-Length": "2"})
    with FaultServer(good(), malformed) as server:
        client = client_of(server)
        ask(client)
        failure_of(client)
    assert_nothing_leaks(caplog.text)


def test_the_checks_for_leaks_find_them() -> None:
    """What these tests look for would be found beneath a suppressed error."""
    clean = ValueError("clean")
    clean.__context__ = KeyError(KEY)
    clean.__suppress_context__ = True
    with pytest.raises(AssertionError):
        assert_nothing_leaks("".join(texts_of(clean)))


def test_no_thread_is_left() -> None:
    """An exchange that was given up leaves no thread behind."""
    with FaultServer(after=SLOW_FAULTS["hang"]) as server:
        before = threading.active_count()
        failure_of(client_of(server, timeout=timedelta(seconds=0.1)))
    assert threading.active_count() <= before
