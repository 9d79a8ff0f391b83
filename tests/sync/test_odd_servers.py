"""Servers that answer otherwise than they say: nothing is lost in silence, and no run is stuck."""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from singer_sdk.exceptions import FatalAPIError

from support.histories import BEGINNING
from support.running import Run, bookmark_of, run_tap, state_at
from tap_callcap.instants import UTC
from tap_callcap.sandbox import Answer, CallBook, Callcap, Switches, made_up_calls
from tap_callcap.sync.pages import KeptChangingError
from tap_callcap.sync.rows import RowReader
from tap_callcap.windows import Window

if TYPE_CHECKING:
    from tap_callcap.sandbox import Asked

NOW = BEGINNING
MINUTE = timedelta(minutes=1)
NOON = NOW.replace(hour=12)
LATER = NOON + 10 * MINUTE
GAP = re.compile(r'add "([^"]+)" to the setting accepted_gaps')
SINCE = "2026-02-20T00:00:00Z"


def callcap_with(switches: Switches, calls: int = 120) -> Callcap:
    """An account whose calls were last modified within ten days, one each other minute at noon."""
    start = NOW - timedelta(days=10)
    book = CallBook(made_up_calls(calls, seed=5, start=start, end=NOW - timedelta(hours=4)))
    for n, call_id in enumerate(sorted(book.ids)[:20]):
        book.edit(call_id, at=NOON + n * MINUTE / 2 - 5 * MINUTE + timedelta(seconds=n % 2))
    return Callcap(book, switches=switches, clock=lambda: NOW)


def ids_at_noon(callcap: Callcap) -> set[str]:
    """The calls that were modified in the minute that begins at noon."""
    return {
        call["call_id"] for call in callcap.book if NOON <= call["last_modified"] < NOON + MINUTE
    }


def read_with_gaps(callcap: Callcap, *, runs: int = 8, **settings: Any) -> tuple[Run, list[str]]:
    """The run that ends well, and the gaps that had to be accepted before."""
    gaps: list[str] = []
    for _ in range(runs):
        try:
            given = {"start_date": SINCE, "page_size": 10, **settings}
            return run_tap(callcap, accepted_gaps=gaps or None, **given), gaps
        except FatalAPIError as error:
            found = GAP.search(str(error))
            if found is None:
                raise
            gaps.append(found.group(1))
    pytest.fail(f"no run ended well, with {gaps}")


# Calls that were not asked for.


@pytest.mark.parametrize("zone", ["US/Central", "Asia/Tokyo"])
def test_an_api_that_filters_by_other_times_than_it_shows_is_refused(zone: str) -> None:
    """The run says so after a few requests, and what was asked and shown, to the minute."""
    callcap = callcap_with(Switches(filter_timezone=zone))
    with pytest.raises(FatalAPIError, match="filters by other times than it shows") as caught:
        run_tap(callcap, state=state_at("2026-02-25T00:00:00Z"), end_date="2026-02-27T00:00:00Z")
    assert len(callcap.requests) < 12
    assert re.search(
        r"in timezone UTC, and showed one modified at [-0-9]{10} \d\d:\d\d UTC", str(caught.value)
    )


def test_a_call_that_is_edited_while_it_is_sent_is_no_contradiction() -> None:
    """A page is asked for again, since an edit may have moved a call out of its window."""
    callcap = callcap_with(Switches())
    plain = run_tap(callcap, start_date=SINCE, page_size=10)
    assert plain.ids == callcap.book.ids


# Totals that are ceilings.


@pytest.mark.parametrize("beyond", ["empty", "last", "400", "404"])
def test_calls_beyond_the_last_page_that_is_counted_are_read(
    beyond: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A minute of 130 calls, of which the API counts 100, is believed after passes that agree."""
    callcap = callcap_with(Switches(total_cap=100, page_beyond_last=beyond), calls=150)
    for n, call_id in enumerate(sorted(callcap.book.ids)[:130]):
        callcap.book.edit(call_id, at=LATER + timedelta(seconds=n % 60))
    assert run_tap(callcap, start_date=SINCE, page_size=10).ids == callcap.book.ids
    assert "10 passes" in caplog.text


@pytest.mark.parametrize("page_size", [100, 250, 1000])
def test_a_minute_of_which_the_api_shows_only_the_first_calls_is_never_believed(
    page_size: int,
) -> None:
    """Another order shows that there are more; what it shows is written, and the gap is named."""
    callcap = callcap_with(Switches(max_total=500), calls=900)
    for n, call_id in enumerate(sorted(callcap.book.ids)[:800]):
        callcap.book.edit(call_id, at=LATER + timedelta(seconds=n % 60))
    run, gaps = read_with_gaps(callcap, page_size=page_size)
    assert f"{LATER:%Y-%m-%dT%H:%MZ}/{LATER + MINUTE:%Y-%m-%dT%H:%MZ}" in gaps
    others = {call["call_id"] for call in callcap.book if call["last_modified"] < LATER}
    assert run.ids >= others
    assert len(run.ids - others) >= 500 + min(page_size, 300)


# Searches that fail.


@pytest.mark.parametrize("failure", ["500", "504", "error_body", "unreadable"])
def test_searches_that_are_too_wide_are_cut_and_the_limit_is_kept(failure: Any) -> None:
    """Each width fails at most twice, then no window is as wide."""
    switches = Switches(wide_search_fails_after=timedelta(hours=30), failure=failure)
    callcap = callcap_with(switches)
    assert run_tap(callcap, start_date=SINCE, concurrency=1).ids == callcap.book.ids
    failed = [asked for asked in callcap.requests if asked.status != 200]
    assert len(failed) <= 30


def test_a_short_outage_leaves_windows_as_wide_as_they_were() -> None:
    """What failed while everything failed is asked for again."""
    callcap = callcap_with(Switches())
    left = 60

    def fail(asked: Any) -> Any:
        nonlocal left
        if asked.path == "/v2/get/calls/" and len(callcap.requests) > 3 and left:
            left -= 1
            callcap.switches = Switches(wide_search_fails_after=timedelta(0))
        else:
            callcap.switches = Switches()

    callcap.before_answer = fail
    assert run_tap(callcap, start_date=SINCE, page_size=10).ids == callcap.book.ids
    assert len(callcap.requests) < 60 + 120


def test_a_minute_that_always_fails_is_named_and_can_be_accepted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every other call arrives, each run warns, and when the minute heals it is read."""
    callcap = callcap_with(Switches(broken_minutes=frozenset({NOON})))
    run, gaps = read_with_gaps(callcap)
    assert f"{NOON:%Y-%m-%dT%H:%MZ}/{NOON + MINUTE:%Y-%m-%dT%H:%MZ}" in gaps
    assert len(gaps) <= 2
    assert run.ids == callcap.book.ids - ids_at_noon(callcap)
    assert ids_at_noon(callcap)
    assert bookmark_of(run.state) > "2026-03-03T14:00:00Z"
    assert "which accepted_gaps allows" in caplog.text
    callcap.switches = Switches()
    assert run_tap(callcap, start_date=SINCE).ids == callcap.book.ids


def test_a_failed_minute_at_the_very_beginning_does_not_hold_up_the_run() -> None:
    """Key, zone and clock are settled by another minute."""
    callcap = callcap_with(Switches(broken_minutes=frozenset({NOON})))
    run, _ = read_with_gaps(callcap, start_date=f"{NOON:%Y-%m-%dT%H:%M:%SZ}")
    later = {call["call_id"] for call in callcap.book if call["last_modified"] >= NOON}
    assert run.ids == later - ids_at_noon(callcap)


def test_calls_beside_one_that_fails_are_read_in_an_accepted_gap() -> None:
    """What can be read of the minute is written."""
    callcap = callcap_with(Switches())
    broken, *others = sorted(ids_at_noon(callcap))
    callcap.switches = Switches(broken_calls=frozenset({broken}))
    run, gaps = read_with_gaps(callcap)
    assert gaps
    assert others
    assert run.ids == callcap.book.ids - {broken}


def test_an_accepted_gap_that_answers_nothing_costs_few_requests() -> None:
    """Smaller and smaller pages are tried once each, down to one call a page."""
    callcap = callcap_with(Switches(broken_minutes=frozenset({NOON})))
    run, gaps = read_with_gaps(callcap, page_size=1000)
    assert run.ids == callcap.book.ids - ids_at_noon(callcap)
    before = len(callcap.requests)
    run_tap(callcap, accepted_gaps=gaps, start_date=SINCE)
    assert len(callcap.requests) - before < 120


def test_a_minute_that_claims_too_many_pages_is_not_read_for_ever() -> None:
    """No account can have ten million calls in a minute: it is named, and can be accepted."""
    callcap = callcap_with(Switches())

    def claim(asked: Asked) -> Answer | None:
        start = asked.params.get("search_last_modified_start")
        if start not in {f"{NOON - n * MINUTE:%Y-%m-%d %H:%M}" for n in (0, 1)}:
            return None
        counts = {"page": 1, "last_page": 20_000, "records_returned": 0, "total_records": 200_000}
        body = {"status": "success", "search": {"timezone": "UTC"}, "call": []}
        return Answer.of({**body, "pagination": counts})

    callcap.before_answer = claim
    with pytest.raises(FatalAPIError, match=r"20,000 pages.*accepted_gaps"):
        run_tap(callcap, start_date=f"{NOON:%Y-%m-%dT%H:%M:%SZ}", page_size=10)


@pytest.mark.parametrize(("days", "is_said"), [(1, False), (2, True)])
def test_a_long_accepted_gap_is_said(
    days: int, is_said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody gives up more than single minutes without a warning."""
    gap = f"2026-02-20T00:00Z/2026-02-2{days}T00:00Z"
    run_tap(callcap_with(Switches()), accepted_gaps=[gap], start_date=SINCE)
    assert ("accepted_gaps has more than a day" in caplog.text) == is_said


@pytest.mark.parametrize("is_shown", [True, False])
def test_an_accepted_gap_is_read_by_smaller_pages(is_shown: bool) -> None:
    """A server that shows the minute only in small pages loses nothing that these have."""
    callcap = callcap_with(Switches())

    def large_pages_fail(asked: Asked) -> Answer | None:
        start, end = (asked.params.get(f"search_last_modified_{it}", "") for it in ("start", "end"))
        if not start <= f"{NOON:%Y-%m-%d %H:%M}" <= end:
            return None
        if int(asked.params["show"]) > 32:
            return Answer.of({"status": "error"}, 500)
        return None if is_shown else Answer(204)

    callcap.before_answer = large_pages_fail
    run, gaps = read_with_gaps(callcap, page_size=1000)
    assert gaps
    assert run.ids == callcap.book.ids - (set() if is_shown else ids_at_noon(callcap))


def test_a_new_minute_with_more_than_it_counts_is_left_to_the_next_run() -> None:
    """A total that was a ceiling, in a minute in which calls still change, proves nothing."""
    callcap = callcap_with(Switches(total_cap=10))
    minute = NOW - 4 * MINUTE
    for n, call_id in enumerate(sorted(callcap.book.ids)[:20]):
        callcap.book.edit(call_id, at=minute + timedelta(seconds=n))
    run = run_tap(callcap, state=state_at(f"{NOW - 30 * MINUTE:%Y-%m-%dT%H:%M:%SZ}"), page_size=10)
    assert bookmark_of(run.state) <= f"{minute:%Y-%m-%dT%H:%M:%SZ}"


def test_a_repeated_hour_that_fails_is_named_whole() -> None:
    """In a zone with clock changes that hour cannot be cut: the gap to accept is all of it."""
    hour = datetime(2025, 11, 2, 6, 0, tzinfo=NOW.tzinfo)
    callcap = callcap_with(Switches(broken_minutes=frozenset({hour + 9 * MINUTE})))
    with pytest.raises(FatalAPIError, match="2025-11-02T06:00Z/2025-11-02T08:00Z"):
        run_tap(callcap, timezone="US/Central", start_date="2025-11-02T04:00:00Z", page_size=10)


def test_a_page_that_is_gone_when_it_is_asked_for_again_proves_nothing() -> None:
    """A call outside what was asked for, then no page at all: the window is read in another way."""
    pages, page = Mock(), Mock(calls=[b"{}"], number=2, clock=NOW)
    pages.page_or_none.return_value = None
    rows = RowReader(pages, lambda _: (("1_1", "2020-01-01T00:00:00Z"), b"{}"), UTC)
    reading = rows.read(Window(NOON, NOON + MINUTE), page)
    assert list(islice(reading, 1)) == [[]]
    with pytest.raises(KeptChangingError):
        next(reading)


def test_a_call_that_only_the_other_pass_of_a_repeated_hour_shows_is_written() -> None:
    """A server that compares wall times may not find it where it shows it: so it comes here."""
    start = datetime(2026, 11, 1, 6, 19, tzinfo=UTC)  # 01:19 in US/Central, for the first time
    minutes = {"in it": "06:19", "beside it": "06:20", "an hour off": "07:19"}
    shown = [(name, f"2026-11-01T{minute}:11Z") for name, minute in minutes.items()]
    pages = Mock(page_or_none=Mock(return_value=None))
    rows = RowReader(pages, lambda raw: (raw, raw[0]), UTC)
    page = Mock(calls=shown, clock=start + timedelta(hours=9))
    written = [call for calls in rows.read(Window(start, start + MINUTE), page) for call in calls]
    assert written == ["in it", "an hour off"]


# Calls that cannot be read.


@pytest.mark.parametrize("switch", ["calls_without_id", "calls_without_last_modified"])
@pytest.mark.parametrize("page_size", [1, 10])
def test_a_call_without_its_keys_costs_only_itself(switch: str, page_size: int) -> None:
    """Its minute is named; once that is accepted, all others come, also those of the minute."""
    callcap = callcap_with(Switches())
    odd = min(ids_at_noon(callcap))
    callcap.switches = Switches(**{switch: frozenset({odd})})  # type: ignore[arg-type]
    run, gaps = read_with_gaps(callcap, page_size=page_size)
    assert f"{NOON:%Y-%m-%dT%H:%MZ}/{NOON + MINUTE:%Y-%m-%dT%H:%MZ}" in gaps
    assert run.ids == callcap.book.ids - {odd}


@pytest.mark.parametrize("page_size", [1, 10])
@pytest.mark.parametrize("rows", ["gap", "closed_up"])
def test_calls_that_are_counted_and_never_shown_are_accepted(
    rows: Any, page_size: int, caplog: pytest.LogCaptureFixture
) -> None:
    """After passes that agree, with a warning."""
    callcap = callcap_with(Switches())
    hidden = ids_at_noon(callcap)
    callcap.switches = Switches(hidden_calls=frozenset(hidden), hidden_rows=rows)
    with caplog.at_level(logging.WARNING):
        run = run_tap(callcap, start_date=SINCE, page_size=page_size)
    assert run.ids == callcap.book.ids - hidden
    assert "Callcap hides or repeats calls: 10 passes over" in caplog.text


@pytest.mark.parametrize("page_size", [1, 10])
@pytest.mark.parametrize(
    "switches",
    [
        {"uncounted_calls": 1},
        {"repeated_calls": 1},
        {"repeated_calls": 1, "repeats_counted": False},
    ],
    ids=["uncounted", "repeated", "repeated-uncounted"],
)
def test_minutes_that_show_others_than_they_count_are_read(
    switches: dict[str, Any], page_size: int
) -> None:
    """All that is shown comes."""
    callcap = callcap_with(Switches())
    named: dict[str, Any] = {
        name: frozenset(ids_at_noon(callcap)) if value == 1 else value
        for name, value in switches.items()
    }
    callcap.switches = Switches(**named)
    assert run_tap(callcap, start_date=SINCE, page_size=page_size).ids == callcap.book.ids


def test_a_row_that_is_lost_now_and_then_is_found() -> None:
    """Pages that leave out a random row are read until all have been seen."""
    callcap = callcap_with(Switches(row_lost_every=3))
    assert run_tap(callcap, start_date=SINCE, page_size=10).ids == callcap.book.ids
