"""`--test` checks that a run can work, or says in one line why not."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from singer_sdk.exceptions import ConfigurationError, FatalAPIError

from support.direct_client import DirectClient
from support.fast_time import fast_time
from support.fault_server import FaultServer, answer, redirect
from tap_callcap.sandbox import Answer, CallBook, Callcap, Switches, made_up_calls
from tap_callcap.sandbox.switch_texts import switch_values
from tap_callcap.singer.incremental import TEST_RETRY_BUDGET
from tap_callcap.streams import CallsStream
from tap_callcap.tap import TapCallcap

if TYPE_CHECKING:
    from pathlib import Path

    from tap_callcap.sandbox import Asked

NOW = datetime.now(timezone.utc).replace(microsecond=0)


def stream_of(callcap: Callcap | None = None, **settings: Any) -> CallsStream:
    """The stream of calls of a tap with these settings, without HTTP where a Callcap is given."""
    direct: dict[str, Any] = {}
    if callcap:
        direct = {"client_factory": lambda _: DirectClient(callcap, lambda: NOW)}
    stream = TapCallcap(config={"api_key": "sandbox", **settings}, **direct).streams["calls"]
    assert isinstance(stream, CallsStream)
    return stream


def checked(callcap: Callcap, **settings: Any) -> None:
    """Check a tap against a Callcap without HTTP."""
    stream_of(callcap, **settings).check()


def callcap_with(calls: int, *, clock: timedelta = timedelta(0), **switches: Any) -> Callcap:
    """A Callcap of so many calls, whose clock is as far ahead of this machine's."""
    book = CallBook(made_up_calls(calls, seed=2, start=NOW - timedelta(days=900), end=NOW))
    return Callcap(book, clock=lambda: NOW + clock, switches=Switches(**switches))


def told(caplog: pytest.LogCaptureFixture) -> str:
    """All that was logged."""
    return "\n".join(record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("empty_search", switch_values("empty_search"))
def test_an_empty_account_passes(empty_search: str, caplog: pytest.LogCaptureFixture) -> None:
    """However an API says that there are no calls, a key without calls works."""
    caplog.set_level(logging.INFO)
    callcap = callcap_with(0, empty_search=empty_search)
    checked(callcap)
    shows = "no calls yet" if empty_search in {"404", "204"} else "0 of 0 calls on the first page"
    assert f"accepts the key and timezone UTC, and shows {shows}" in told(caplog)
    assert len(callcap.requests) <= 4


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        ({}, "timezone UTC, and shows 20 of 30 calls"),
        ({"utc": "refused"}, "timezone US/Arizona, and shows 20 of 30 calls"),
        ({"utc": "ignored"}, "timezone US/Arizona, and shows 20 of 30 calls"),
        ({"show_cap": 7}, "shows 7 of 30 calls"),
        ({"max_range_days": 20}, "timezone UTC, and shows "),
        ({"max_page": 1}, "shows 20 of 30 calls"),
    ],
    ids=["plain", "zone refused", "zone ignored", "smaller pages", "no wide search", "no depth"],
)
def test_what_was_proved_is_told(
    switches: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The zone that is taken, and how many of all calls a page holds."""
    caplog.set_level(logging.INFO)
    checked(callcap_with(30, **switches), page_size=20)
    assert words in told(caplog)
    assert ("set page_size to 7" in told(caplog)) == ("show_cap" in switches)


def test_a_clock_is_compared(caplog: pytest.LogCaptureFixture) -> None:
    """Some minutes are told; the run goes by Callcap's clock."""
    caplog.set_level(logging.INFO)
    checked(callcap_with(3, clock=timedelta(minutes=-5)))
    assert "its clock is 5 minutes behind this machine's" in told(caplog)


@pytest.mark.parametrize(
    ("hours", "words"), [(-26, "1 day 2 hours behind"), (2, "2 hours ahead of")]
)
def test_a_clock_that_is_far_off_is_said(
    hours: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One of the two is wrong: calls would be read late."""
    checked(callcap_with(3, clock=timedelta(hours=hours)))
    (line,) = (line.getMessage() for line in caplog.records if line.levelno == logging.WARNING)
    assert f"Callcap's clock is {words} this machine's" in line
    assert "Correct this machine's clock" in line


def test_what_a_run_refuses_is_refused() -> None:
    """Days counted from each run do not go with a bookmark."""
    with pytest.raises(ConfigurationError, match=r"filters\.search_range needs"):
        checked(callcap_with(3), filters={"search_range": "last7days"})


def test_a_start_in_the_future_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """A run would read nothing."""
    checked(callcap_with(3), start_date="2099-01-01")
    assert "start_date 2099-01-01T00:00:00Z lies in the future" in told(caplog)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (answer(401), "check api_key"),
        (answer(403), "check what its login may see"),
        (answer(404), "check api_url"),
        (redirect("https://x.example/v3/get/calls/"), "set api_url to https://x.example/v3"),
        (answer(400), "set timezone to one Callcap knows"),
        (answer(200, "<html>"), "the answer is no JSON object"),
        (answer(200, '{"status": "success"}'), "check that api_url is the address of API v2"),
        (answer(404, '{"status": "x"}'), "Callcap answered 404 to GET /v2/get/accounts/"),
    ],
    ids=["key", "login", "address", "moved", "zone", "HTML", "envelope", "never 200"],
)
def test_each_failure_says_what_to_do(act: Any, words: str) -> None:
    """Whatever does not work ends in one line, after half a minute at most."""
    with (
        fast_time() as clock,
        FaultServer(after=act) as server,
        pytest.raises(FatalAPIError) as caught,
    ):
        stream_of(api_url=server.url).check()
    assert words in str(caught.value)
    assert sum(clock.slept) <= 1.5 * TEST_RETRY_BUDGET.total_seconds()


def test_only_the_accounts_tell_a_wrong_address_from_an_empty_account() -> None:
    """A 404 to every search is believed only from an API that lists accounts."""

    def no_accounts(asked: Asked) -> Answer | None:
        return Answer.of({"status": "x"}, 404) if asked.path.endswith("/accounts/") else None

    callcap = callcap_with(0, empty_search="404")
    callcap.before_answer = no_accounts
    with pytest.raises(FatalAPIError):
        checked(callcap)


def test_a_tap_for_discovery_checks_no_names_in_maps() -> None:
    """It has no catalog yet by which to judge them, as the SDK makes it."""
    tap = TapCallcap(
        config={"api_key": "sandbox", "stream_maps": {"callz": {}}}, setup_mapper=False
    )
    assert "calls" in tap.streams


def test_the_schemas_alone_need_no_request(tmp_path: Path) -> None:
    """`--test=schema` writes SCHEMA messages of an account that cannot be reached."""
    file = tmp_path / "config.json"
    file.write_text('{"api_key": "key", "api_url": "http://127.0.0.1:9/v2"}', encoding="utf-8")
    found = CliRunner().invoke(TapCallcap.cli, [f"--config={file}", "--test=schema"])
    assert found.exit_code == 0, found.output
    assert '"type":"SCHEMA","stream":"calls"' in found.output


def test_an_unknown_value_is_refused(tmp_path: Path) -> None:
    """It would be taken for the whole test."""
    file = tmp_path / "config.json"
    file.write_text('{"api_key": "sandbox"}', encoding="utf-8")
    found = CliRunner().invoke(TapCallcap.cli, [f"--config={file}", "--test=shcema"])
    assert isinstance(found.exception, ConfigurationError)
    assert str(found.exception) == "--test=shcema is unknown: write --test, or --test=schema"
