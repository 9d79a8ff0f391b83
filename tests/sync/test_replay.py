"""Crash and replay: what a target holds after any history of edits, faults and kills."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.histories import (
    History,
    live_through,
    random_history,
    read_forward,
    read_with_tap,
)
from support.odd_histories import ODD, odd_history, odd_kinds
from tap_callcap.sandbox import Switches

pytestmark = pytest.mark.slow

HISTORIES = 50  # tests/endurance.py lives through ten thousand
HISTORIES_SIDE_BY_SIDE = 10


@pytest.mark.parametrize("tens", range(HISTORIES // 10), ids=lambda tens: f"seeds-{tens}0")
def test_no_history_loses_a_call(tens: int) -> None:
    """Edits between any two requests, unstable ties, kills: the newest version of each arrives."""
    for seed in range(10 * tens, 10 * tens + 10):
        _live(random_history(seed))


@pytest.mark.parametrize("kind", ODD)
def test_no_odd_server_makes_it_lose_a_call_in_silence_or_stand_still(kind: str) -> None:
    """All that the server shows arrives, once what the failed runs advise is done."""
    _live(odd_history(1_000 * list(ODD).index(kind), kind, calls=20))


@pytest.mark.parametrize("seed", range(10))
def test_no_odd_servers_of_several_kinds_do(seed: int) -> None:
    """The same, where a server is odd in two or three ways."""
    _live(odd_history(seed, *odd_kinds(seed), calls=20))


@pytest.mark.parametrize(
    ("seed", "kinds"),
    [
        (13, "filter_timezone"),  # all calls of the first run are new
        (
            129,
            "calls_without_id stored_timezone",
        ),  # shown by the other pass of an hour only
        (135, "date_ahead total_of"),  # a second look at the clock
        (
            175,
            "total_of uncounted_calls wide_search_fails_after",
        ),  # a full page is not the last
    ],
)
def test_what_once_was_lost_arrives(seed: int, kinds: str) -> None:
    """Histories in which earlier versions lost a call, or stood still."""
    _live(odd_history(seed, *kinds.split()))


@pytest.mark.parametrize("concurrency", [4, 16])
def test_no_history_loses_a_call_side_by_side(concurrency: int) -> None:
    """The same with several requests in flight."""
    for seed in range(10_000, 10_000 + HISTORIES_SIDE_BY_SIDE // 2):
        _live(random_history(seed, config={"concurrency": concurrency}))


def test_the_textbook_reader_loses_calls() -> None:
    """The same histories show the losses of a reader that trusts page numbers and timestamps."""
    lost = 0
    for seed in range(30):
        history = random_history(
            seed, switches=Switches(), faults=0, calls=60, config={"page_size": 7}
        )
        history.edits_per_request = 3
        list(live_through(history, read_forward))
        lost += bool(history.lost())
    assert lost > 15


@pytest.mark.parametrize("lag", [0, 1])
@pytest.mark.parametrize("page_size", [1, 2, 7, 50])
def test_one_leaves_and_one_enters_between_two_pages(lag: int, page_size: int) -> None:
    """In the newest minutes an edit out and an edit in keep every total: nothing is lost."""
    for seed in range(3):
        history = History(
            seed=seed,
            calls=3 * page_size + 2,
            config={"page_size": page_size, "lag_minutes": lag, "lookback_minutes": 0},
            edits_per_request=0,
            kills=False,
        )
        history.now += timedelta(minutes=1)
        recent = sorted(history.book.ids)
        for call_id in recent:
            history.book.edit(call_id, at=history.now.replace(microsecond=0))

        def swap(asked: object, history: History = history) -> None:
            """One call leaves the newest minutes for the present, another comes out of the past."""
            del asked
            history.now += timedelta(seconds=7)
            for call_id in history.rng.sample(sorted(history.book.ids), 2):
                history.book.edit(call_id, at=history.now.replace(microsecond=0))

        history.callcap.before_answer = swap
        for _ in range(4):
            history.run(read_with_tap)
            history.now += timedelta(seconds=90)
        history.callcap.before_answer = None
        history.now += timedelta(hours=1)
        assert history.run(read_with_tap)
        assert history.lost() == []


def test_a_minute_of_many_pages_arrives() -> None:
    """870 calls edited within one minute, while edits go on, are there once it has settled."""
    history = History(
        seed=5, calls=900, config={"page_size": 250}, kills=False, edits_per_request=0
    )
    at = history.now.replace(second=0, microsecond=0)
    for second, call_id in enumerate(sorted(history.book.ids)[:870]):
        history.book.edit(call_id, at=at + timedelta(seconds=second % 60))
    history.now = at + timedelta(minutes=3)
    assert history.run(read_with_tap)
    assert len(history.lost()) >= 870, "a newer minute of many pages is left to the next run"
    history.pass_by(timedelta(minutes=15), changes=40)
    history.edits_per_request = 0.15
    assert history.run(read_with_tap)
    history.is_quiet = True
    history.now += timedelta(hours=1)
    assert history.run(read_with_tap)
    assert history.lost() == []


def _live(history: History) -> None:
    *_, ended_well = live_through(history, read_with_tap)
    assert ended_well, f"seed {history.seed}: the last, quiet run failed: {history.failures[-1:]}"
    assert history.lost() == [], f"seed {history.seed}"
    assert history.stale() == [], f"seed {history.seed}"
