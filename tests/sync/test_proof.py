"""Which answers prove a window complete, and what a run does with the others."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Literal

import pytest
from singer_sdk.exceptions import FatalAPIError

from support.histories import BEGINNING
from support.running import bookmark_of, run_tap, state_at
from tap_callcap.sandbox import Answer, Asked, CallBook, Callcap, Switches, made_up_calls

NOW = BEGINNING
DATA_AS_OF = "2026-03-03T14:58:00Z"
CALLS = "/v2/get/calls/"
Hook = Callable[[Asked], Answer | None]


def callcap_with(
    calls: int = 120, *, days: float = 300, switches: Switches | None = None
) -> Callcap:
    """An account whose calls are strewn over the last `days`, seen at `NOW`."""
    start = NOW - timedelta(days=days)
    book = CallBook(made_up_calls(calls, seed=2, start=start, end=NOW - timedelta(hours=1)))
    return Callcap(book, switches=switches, clock=lambda: NOW)


def minute_of(callcap: Callcap, *, ago: timedelta, calls: int) -> set[str]:
    """Edit so many calls within one minute, so long ago; returns their ids."""
    ids = sorted(callcap.book.ids)[:calls]
    for second, call_id in enumerate(ids):
        callcap.book.edit(call_id, at=NOW - ago + timedelta(seconds=second % 60))
    return set(ids)


def rewritten(callcap: Callcap, change: Callable[[dict[str, Any], Asked], None]) -> None:
    """Have each answer to a search changed before it goes out."""
    busy = False

    def hook(asked: Asked) -> Answer | None:
        nonlocal busy
        if busy or asked.path != CALLS:
            return None
        busy = True
        answer = callcap.answer(asked.path, asked.params, "Bearer sandbox")
        callcap.requests.pop()
        busy = False
        body = json.loads(answer.body)
        change(body, asked)
        return Answer(answer.status, json.dumps(body).encode(), answer.headers)

    callcap.before_answer = hook


# Limits of the API.


@pytest.mark.parametrize("empty_search", ["list", "404"])
def test_a_cap_on_the_range_is_met_by_shorter_windows(empty_search: Literal["list", "404"]) -> None:
    """An API that answers 400 to a long range is read whole in shorter windows."""
    callcap = callcap_with(switches=Switches(max_range_days=20, empty_search=empty_search))
    assert run_tap(callcap, start_date="2025-01-01T00:00:00Z").ids == callcap.book.ids
    refused = [asked for asked in callcap.requests if asked.status == 400]
    assert len(refused) <= 13


def test_a_cap_on_the_range_may_show_late() -> None:
    """The first window may be short enough and a later one, grown, not."""
    callcap = callcap_with(switches=Switches(max_range_days=50))
    assert run_tap(callcap, start_date="2025-01-01T00:00:00Z").ids == callcap.book.ids


def test_a_cap_on_the_depth_is_met_by_shorter_windows() -> None:
    """An API that answers 400 to a deep page is read whole in windows of fewer pages."""
    callcap = callcap_with(switches=Switches(max_page=4))
    assert run_tap(callcap, page_size=5).ids == callcap.book.ids
    refused = [asked for asked in callcap.requests if asked.status == 400]
    assert 1 <= len(refused) <= 8  # what is asked for ahead of need


@pytest.mark.parametrize("page_size", [50, 1000])
def test_a_ceiling_on_the_total_is_met_by_shorter_windows(page_size: int) -> None:
    """An API that counts no more than 500 calls hides none of the others."""
    callcap = callcap_with(1300, switches=Switches(max_total=500))
    assert run_tap(callcap, page_size=page_size).ids == callcap.book.ids


def test_a_minute_with_a_round_number_of_calls_is_read() -> None:
    """What cannot be cut is believed, however round its total."""
    callcap = callcap_with(500)
    minute_of(callcap, ago=timedelta(minutes=30), calls=500)
    assert run_tap(callcap, page_size=1000).ids == callcap.book.ids


def test_a_400_to_a_lone_minute_is_an_error() -> None:
    """An API that refuses every window is not read in silence."""
    callcap = callcap_with(3, switches=Switches(max_range_days=0.0001))
    with pytest.raises(FatalAPIError, match="400"):
        run_tap(callcap, start_date="2026-03-03T10:00:00Z")


def test_a_400_to_a_lone_minute_later_on_is_an_error() -> None:
    """An API that refuses every window from some moment on is not read in silence either."""
    callcap = callcap_with(60)
    searches = 0

    def refuse(asked: Asked) -> Answer | None:
        nonlocal searches
        searches += asked.path == CALLS
        return Answer.of({"status": "error"}, 400) if searches > 1 else None

    callcap.before_answer = refuse
    with pytest.raises(FatalAPIError, match="400"):
        run_tap(callcap, start_date="2025-06-01T00:00:00Z")


# A minute with more calls than a page.


def test_a_settled_minute_of_many_pages_is_proven() -> None:
    """A minute in which many calls were edited at once is read page by page, ties or not."""
    callcap = callcap_with(switches=Switches(ties="shuffled"))
    minute_of(callcap, ago=timedelta(hours=2), calls=100)
    run = run_tap(callcap, page_size=10)
    assert run.ids == callcap.book.ids
    assert bookmark_of(run.state) == DATA_AS_OF


@pytest.mark.parametrize("ties", ["stable", "shuffled", "by_page"])
@pytest.mark.parametrize("starts", ["few", "one"])
def test_ties_hide_no_call_of_a_settled_minute(starts: str, ties: Any) -> None:
    """Calls with the same start may stand in whatever order, on each page in another one."""
    callcap = callcap_with(switches=Switches(ties=ties))
    for number, call_id in enumerate(sorted(callcap.book.ids)):
        start = NOW - timedelta(days=2, minutes=number // 5 if starts == "few" else 0)
        callcap.book.edit(call_id, at=callcap.book[call_id]["last_modified"], start_datetime=start)
    minute_of(callcap, ago=timedelta(hours=2), calls=100)
    run = run_tap(callcap, page_size=40)
    assert run.ids == callcap.book.ids
    assert bookmark_of(run.state) == DATA_AS_OF


def test_a_newer_minute_of_many_pages_is_left_to_the_next_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """From a newer minute that needs more than a page on, all waits for the next run; exit 0."""
    callcap = callcap_with()
    late = minute_of(callcap, ago=timedelta(minutes=5), calls=40)
    with caplog.at_level(logging.INFO):
        run = run_tap(callcap, page_size=10)
    assert run.ids == callcap.book.ids - late
    # The minute before asks for the first seconds of this one too, so it waits as well.
    assert bookmark_of(run.state) == "2026-03-03T14:54:00Z"
    assert "The next run reads them" in caplog.text
    callcap.advance(timedelta(hours=2))
    assert run_tap(callcap, state=run.state, page_size=10).ids >= late


def test_a_minute_that_never_stands_still_fails_the_run() -> None:
    """Where nothing proves a settled minute, the run names it and the bookmark stays before it."""
    callcap = callcap_with()
    minute_of(callcap, ago=timedelta(hours=2), calls=40)

    def another_total(body: dict[str, Any], asked: Asked) -> None:
        del asked
        if body["pagination"]["last_page"] > 1:
            body["pagination"]["total_records"] += len(callcap.requests)

    rewritten(callcap, another_total)
    minute = "calls modified from 2026-03-03 12:59 to 2026-03-03 13:00 UTC"
    with pytest.raises(FatalAPIError, match=f"Could not read all {minute}: .*kept changing"):
        run_tap(callcap, page_size=10, start_date="2026-03-03T12:00:00Z")
    asked = [each.params["search_last_modified_start"] for each in callcap.requests if each.params]
    assert asked.count("2026-03-03 12:58") <= 300


@pytest.mark.parametrize("passes", range(11))  # the first, and nine that agree with it
def test_two_tied_calls_that_take_turns_on_a_border_are_read(passes: int) -> None:
    """Where one call is on both pages in pass after pass, and the other on none, both come."""
    callcap = callcap_with()
    ids = sorted(minute_of(callcap, ago=timedelta(hours=2), calls=40))
    asked_for: Counter[tuple[str, str]] = Counter()

    def hide(body: dict[str, Any], asked: Asked) -> None:
        window = (
            asked.params["search_last_modified_start"],
            asked.params["search_last_modified_end"],
        )
        asked_for[window] += asked.params["page"] == "1"
        if asked_for[window] <= passes:
            for call in body["call"]:
                call["call_id"] = call["call_id"].replace(ids[10], ids[9])

    rewritten(callcap, hide)
    run = run_tap(callcap, page_size=10, start_date="2026-03-03T12:59:00Z", concurrency=1)
    assert run.ids >= set(ids)


def test_an_api_that_repeats_calls_is_believed_when_ten_passes_agree(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Rows that repeat an id never add up; ten whole passes that find the same do, and say so."""
    callcap = callcap_with()
    ids = minute_of(callcap, ago=timedelta(hours=2), calls=40)

    def repeat(body: dict[str, Any], asked: Asked) -> None:
        del asked
        for call in body["call"]:
            call["call_id"] = call["call_id"].replace(hidden, shown)

    shown, hidden, *_ = sorted(ids)
    rewritten(callcap, repeat)
    run = run_tap(callcap, page_size=10, start_date="2026-03-03T12:59:00Z", concurrency=1)
    assert len(ids - run.ids) == 1, "the repeat hides one call, which no reader could see"
    assert "Callcap hides or repeats calls: 10 passes over calls" in caplog.text


def test_a_minute_of_millions_of_pages_fails_at_once() -> None:
    """An API that claims what no account can have does not keep the tap busy."""
    callcap = callcap_with(3)

    def boast(body: dict[str, Any], asked: Asked) -> None:
        del asked
        body["pagination"] |= {"last_page": 3_000_000, "total_records": 3_000_000_000}

    rewritten(callcap, boast)
    with pytest.raises(FatalAPIError, match=r"contradict|Could not read all"):
        run_tap(callcap, start_date="2026-03-01T00:00:00Z")
    assert len(callcap.requests) < 500


# Answers that contradict themselves.


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda body: body.update(call=body["call"][:-1]), id="one-call-less"),
        pytest.param(lambda body: body["pagination"].update(page=7), id="another-page"),
        pytest.param(lambda body: body["pagination"].update(total_records=1), id="small-total"),
        pytest.param(lambda body: body.pop("pagination"), id="no-pagination"),
        pytest.param(lambda body: body.update(call="none"), id="calls-are-text"),
    ],
)
def test_a_page_that_contradicts_itself_is_done_without(
    change: Callable[[dict[str, Any]], object],
) -> None:
    """It is asked for again, then shorter windows are: it is never the end of the data."""
    callcap = callcap_with(30)

    def after_the_first(body: dict[str, Any], asked: Asked) -> None:
        if asked.params["page"] != "1":
            change(body)

    rewritten(callcap, after_the_first)
    run = run_tap(callcap, page_size=10, start_date="2025-01-01T00:00:00Z")
    assert run.ids == callcap.book.ids


def test_an_empty_page_before_the_last_is_done_without() -> None:
    """An empty page in the middle is not the end."""
    callcap = callcap_with(30)

    def empty_middle(body: dict[str, Any], asked: Asked) -> None:
        if asked.params["page"] == "2":
            body["call"] = []
            body["pagination"]["records_returned"] = 0

    rewritten(callcap, empty_middle)
    run = run_tap(callcap, page_size=5, start_date="2025-01-01T00:00:00Z")
    assert run.ids == callcap.book.ids


def test_a_repeated_page_is_not_believed() -> None:
    """A server that sends page 1 again under another number does not pass for whole."""
    callcap = callcap_with(40)
    first: list[Any] = []

    def repeat(body: dict[str, Any], asked: Asked) -> None:
        if asked.params["page"] == "1":
            first[:] = body["call"]
        elif len(body["call"]) == len(first):
            body["call"] = first

    rewritten(callcap, repeat)
    assert run_tap(callcap, page_size=5, concurrency=1).ids == callcap.book.ids


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("call_id", None),
        ("call_id", " "),
        ("call_id", []),
        ("last_modified", None),
        ("last_modified", ""),
        ("last_modified", 5),
        ("last_modified", "soon"),
    ],
    ids=["null-id", "blank-id", "list-id", "null-time", "empty-time", "number-time", "text-time"],
)
def test_a_call_without_its_keys_fails_the_run(name: str, value: object) -> None:
    """A call that cannot be told from others, or placed in time, is never skipped."""
    callcap = callcap_with(30)

    def spoil(body: dict[str, Any], asked: Asked) -> None:
        del asked
        if body["call"]:
            body["call"][0][name] = value

    rewritten(callcap, spoil)
    with pytest.raises(FatalAPIError, match=r"Could not read all .* accepted_gaps"):
        run_tap(callcap, start_date="2025-06-01T00:00:00Z")


def test_a_call_that_is_no_object_fails_the_run() -> None:
    """An entry of `call` that is a text is an error."""
    callcap = callcap_with(30)
    rewritten(callcap, lambda body, _: body["call"] and body["call"].__setitem__(0, "call"))
    with pytest.raises(FatalAPIError, match="is not an object"):
        run_tap(callcap, start_date="2025-06-01T00:00:00Z")


# Nothing found.


@pytest.mark.parametrize("empty_search", ["404", "204", "null", "missing", "last_page_0"])
def test_every_way_to_say_nothing_is_understood(empty_search: Any) -> None:
    """Empty years are read as empty, however the API says so, and the bookmark moves on."""
    callcap = callcap_with(switches=Switches(empty_search=empty_search))
    run = run_tap(callcap)
    assert run.ids == callcap.book.ids
    assert bookmark_of(run.state) == DATA_AS_OF
    quiet = run_tap(callcap, state=run.state)
    assert (quiet.records, quiet.states) == ([], [run.state])


def stray_404(callcap: Callcap, *, times: int) -> Hook:
    """Answer one search with a 404 so many times: the first one for a page from the sixth on."""
    searches = 0
    stray: list[Mapping[str, str]] = []

    def hook(asked: Asked) -> Answer | None:
        nonlocal searches
        searches += asked.path == CALLS
        is_chosen = searches >= 6 and asked.params.get("page") == "1" and not stray
        if len(stray) < times and (is_chosen or asked.params in stray):
            stray.append(asked.params)
            return Answer.of({"status": "not found"}, 404)
        return None

    callcap.before_answer = hook
    return hook


def test_a_stray_404_never_counts_as_an_empty_window() -> None:
    """One 404 from an API that says nothing otherwise is asked about again."""
    callcap = callcap_with()
    stray_404(callcap, times=1)
    assert run_tap(callcap, page_size=10).ids == callcap.book.ids


def test_404s_that_empty_searches_do_not_answer_are_not_believed() -> None:
    """The window is cut; a minute that is always answered so ends the run."""
    callcap = callcap_with()
    stray_404(callcap, times=2)
    assert run_tap(callcap, page_size=10).ids == callcap.book.ids
    before = len(callcap.requests)

    def not_found(asked: Asked) -> Answer | None:
        is_control = asked.params.get("search_last_modified_start", "1990") < "1999"
        is_first = len(callcap.requests) < before + 6
        return None if is_control or is_first else Answer.of({"status": "not found"}, 404)

    callcap.before_answer = not_found
    with pytest.raises(FatalAPIError, match="otherwise when there are no calls"):
        run_tap(callcap, page_size=10)


def test_an_outage_of_404s_fails_the_run() -> None:
    """When everything answers 404, even what must be there, nothing is believed to be empty."""
    callcap = callcap_with(switches=Switches(empty_search="404"))
    searches = 0

    def hook(asked: Asked) -> Answer | None:
        nonlocal searches
        searches += asked.path == CALLS
        return Answer.of({"status": "not found"}, 404) if searches > 8 else None

    callcap.before_answer = hook
    with pytest.raises((FatalAPIError, AssertionError)):
        run_tap(callcap, page_size=10)


def test_an_account_without_calls_keeps_its_bookmark(caplog: pytest.LogCaptureFixture) -> None:
    """Where a whole run finds no page, it says that there are no calls, and no STATE moves."""
    callcap = Callcap(CallBook(), switches=Switches(empty_search="404"), clock=lambda: NOW)
    run = run_tap(callcap, state=state_at("2026-03-01T00:00:00Z"))
    assert run.states == [state_at("2026-03-01T00:00:00Z")]
    assert "no calls for this key" in caplog.text


def test_an_account_without_calls_is_searched_within_its_limits() -> None:
    """The search for any call at all respects a cap on the range."""
    switches = Switches(empty_search="404", max_range_days=40)
    callcap = callcap_with(days=20, switches=switches)
    state = run_tap(callcap, start_date="2026-02-01T00:00:00Z").state
    callcap.advance(timedelta(hours=3))
    assert bookmark_of(run_tap(callcap, state=state).state) == "2026-03-03T17:58:00Z"
    callcap.switches = Switches(empty_search="404", max_range_days=0.5)
    with pytest.raises(FatalAPIError, match="400"):
        run_tap(callcap, state=state)


# Timezones.


@pytest.mark.parametrize(
    ("switches", "zones"),
    [
        (Switches(), {"UTC"}),
        (Switches(utc="alias"), {"UTC"}),
        (Switches(utc="refused"), {"UTC", "US/Arizona"}),
        (Switches(utc="ignored"), {"UTC", "US/Arizona"}),
    ],
    ids=["accepted", "alias", "refused", "ignored"],
)
def test_utc_is_asked_first_and_arizona_next(switches: Switches, zones: set[str]) -> None:
    """The API is asked in UTC; where it refuses or ignores that, in US/Arizona."""
    callcap = callcap_with(switches=switches)
    assert run_tap(callcap, page_size=20).ids == callcap.book.ids
    asked_in = [asked.params["search_timezone"] for asked in callcap.requests if asked.params]
    assert set(asked_in) > zones
    first, second = ("UTC", "US/Arizona") if len(zones) == 1 else ("US/Arizona", "US/Hawaii")
    assert asked_in.count(second) == 1, "to prove the zone"
    assert len(zones) == 1 or asked_in.count("UTC") == 1
    assert asked_in.count(first) > 5


@pytest.mark.parametrize("utc", ["refused", "ignored"])
def test_a_key_that_knows_neither_zone_names_the_setting(utc: Any) -> None:
    """Where Arizona is refused too, the error names `timezone`."""
    switches = Switches(utc=utc, refused_timezones=frozenset({"US/Arizona"}))
    with pytest.raises(FatalAPIError, match="set timezone"):
        run_tap(callcap_with(3, switches=switches))


def test_a_zone_of_the_users_own_is_never_replaced() -> None:
    """A zone that the setting names is used or is an error."""
    callcap = callcap_with(switches=Switches(refused_timezones=frozenset({"US/Central"})))
    with pytest.raises(FatalAPIError, match="timezone"):
        run_tap(callcap, timezone="US/Central")
    assert {asked.params["search_timezone"] for asked in callcap.requests} == {"US/Central"}


def test_an_answer_without_a_zone_is_an_error() -> None:
    """A page that does not say its zone cannot be read, and no STATE is written."""
    with pytest.raises(FatalAPIError, match="does not say its timezone"):
        run_tap(callcap_with(3, switches=Switches(zone_echo=False)))
