"""Windows cover a run without gaps, and no border is at an ambiguous wall-clock time."""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime, timedelta
from functools import cache
from itertools import cycle, pairwise
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from support import seeded
from tap_callcap.instants import MINUTE, UTC, ceil_to_minute, floor_to_minute, format_instant
from tap_callcap.windows import (
    AIM_PAGES,
    ALL_HISTORY,
    EMPTY_GROWTH,
    FIRST_LENGTH,
    GROWTH,
    SETTLED_AFTER,
    Range,
    Stride,
    Window,
    border_before,
    cut,
    is_settled,
    settled_bound,
    stride_after,
    upper_bound,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T", str, datetime)

SEEDED = settings(seeded.SEEDED, max_examples=100)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CHANGING_ZONES = (
    "US/Central",
    "Europe/London",
    "Australia/Lord_Howe",  # half an hour
    "America/St_Johns",  # half hours from UTC
    "America/Asuncion",  # at midnight; none since 2024
    "Africa/Casablanca",  # around Ramadan
)
ZONES = ("UTC", "US/Arizona", *CHANGING_ZONES)
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
AUTUMN = datetime(2026, 11, 1, 7, 0, tzinfo=UTC)  # US/Central: 02:00 becomes 01:00 again
CENTRAL = ZoneInfo("US/Central")


@cache
def clock_changes(key: str) -> tuple[tuple[datetime, timedelta], ...]:
    """When the clocks of a zone change from 2015 to 2030, to the minute, and by how much."""
    zone = ZoneInfo(key)

    def offset(instant: datetime) -> timedelta:
        return instant.astimezone(zone).utcoffset() or timedelta()

    def change_after(day: datetime) -> datetime:
        minutes = range(24 * 60 + 1)
        changed = bisect_left(minutes, 1, key=lambda n: offset(day + n * MINUTE) != offset(day))
        return day + changed * MINUTE

    days = [datetime(2015, 1, 1, tzinfo=UTC) + n * DAY for n in range(366 * 16)]
    return tuple(
        (change_after(day), offset(following) - offset(day))
        for day, following in pairwise(days)
        if offset(following) != offset(day)
    )


def repeated_start(instant: datetime, key: str) -> datetime | None:
    """Where the repeated hour begins that `instant` is strictly inside of, none outside."""
    for change, by in clock_changes(key):
        if by < timedelta() and change + by < instant < change - by:
            return change + by
    return None


def windows_of(span: Range, strides: Sequence[Stride]) -> list[Window]:
    """Every window of `span`, by one stride after the other, again and again."""
    windows, start, wanted = [], span.start, cycle(strides)
    while (window := span.window(start, next(wanted))) is not None:
        assert window.start == start
        assert window.end > start
        windows.append(window)
        start = window.end
    return windows


def strides(*minutes: float) -> list[Stride]:
    """Strides of so many minutes."""
    return [Stride(m * MINUTE, m * MINUTE) for m in minutes]


zone_keys = st.sampled_from(ZONES)
lengths = st.sampled_from((1, 2, 7, 30, 59, 60, 61, 180, 1440, 100_000))
seconds = st.integers(0, 3 * 86_400).map(lambda s: timedelta(seconds=s))


@st.composite
def instants(draw: st.DrawFn, key: str) -> datetime:
    """An instant to the second, mostly near a clock change of the zone."""
    changes = clock_changes(key) or ((NOON, timedelta()),)
    change, _ = draw(st.sampled_from(changes))
    return change + timedelta(seconds=draw(st.integers(-4 * 3600, 4 * 3600)))


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    """A range as a run makes it, of at most three days."""
    key = draw(zone_keys)
    zone = ZoneInfo(key)
    start = border_before(draw(instants(key)), zone)
    upper = border_before(start + draw(seconds), zone)
    return Range(start, upper, floor_to_minute(start + draw(seconds)), zone)


@SEEDED
@given(ranges(), st.lists(st.builds(Stride, lengths.map(MINUTE.__mul__), seconds), min_size=1))
@example(Range(AUTUMN - HOUR, AUTUMN + HOUR, NOON, CENTRAL), strides(1))
@example(Range(AUTUMN - HOUR, AUTUMN - HOUR + MINUTE / 2, NOON, CENTRAL), strides(1))
def test_windows_tile_the_range(span: Range, wanted: list[Stride]) -> None:
    """Whatever the strides, windows cover `[start, upper)` without gap, overlap or odd border."""
    windows = windows_of(span, wanted)
    if span.start >= span.upper:
        assert windows == []
        return
    assert windows[0].start == span.start
    assert windows[-1].end == span.upper
    for left, right in pairwise(windows):
        assert left.end == right.start
        assert left.end == floor_to_minute(left.end)
        assert repeated_start(left.end, span.zone.key) is None


@pytest.mark.parametrize("key", CHANGING_ZONES)
def test_no_border_falls_inside_a_repeated_hour(key: str) -> None:
    """At every clock change, a border inside a repeated hour moves to its start, others stay."""
    changes = clock_changes(key)
    assert {by < timedelta() for _, by in changes} == {True, False}
    assert len(changes) >= 18
    zone = ZoneInfo(key)
    for change, by in changes:
        for minutes in (-130, -61, -60, -59, -31, -30, -29, -1, 0, 1, 13, 29, 30, 59, 60, 61, 130):
            for instant in (change + minutes * MINUTE, change + (minutes + 0.5) * MINUTE):
                expected = repeated_start(instant, key) or instant
                assert border_before(instant, zone) == expected, (change, by, minutes)


def test_a_repeated_hour_is_one_window() -> None:
    """Both passes of the hour are read together, because the API's times do not tell them apart."""
    span = Range(AUTUMN - 2 * HOUR, AUTUMN + 2 * HOUR, NOON, CENTRAL)
    windows = windows_of(span, strides(20))
    assert Window(AUTUMN - HOUR, AUTUMN + HOUR) in windows
    assert [window.length // MINUTE for window in windows] == [20, 20, 20, 120, 20, 20, 20]


@SEEDED
@given(ranges(), st.lists(st.integers(-1, 15), min_size=1))
@example(Range(AUTUMN - 3 * HOUR, AUTUMN + 3 * HOUR, NOON, CENTRAL), [2, 1])
@example(Range(AUTUMN - HOUR, AUTUMN + HOUR, NOON, CENTRAL), [2])
@example(Range(AUTUMN - HOUR, AUTUMN + 2 * HOUR, NOON, CENTRAL), [2, 3])
def test_cut_tiles_shrinks_and_ends_in_lone_minutes(span: Range, parts: list[int]) -> None:
    """Parts tile their window and shrink, until there is no minute left for a border."""
    assume(span.start < span.upper)
    window = Window(span.start, span.upper)
    for wanted in cycle(parts):
        cuts = cut(window, wanted, span.zone)
        assert (cuts[0].start, cuts[-1].end) == (window.start, window.end)
        assert all(left.end == right.start for left, right in pairwise(cuts))
        assert all(part.start < part.end for part in cuts)
        assert all(part.end == floor_to_minute(part.end) for part in cuts[:-1])
        assert all(repeated_start(part.end, span.zone.key) is None for part in cuts[:-1])
        assert len(cuts) <= max(wanted, 2)
        if len(cuts) == 1:
            break
        assert max(part.length for part in cuts) < window.length
        window = cuts[wanted % len(cuts)]
    minute = floor_to_minute(window.start) + MINUTE
    while minute < window.end:
        assert repeated_start(minute, span.zone.key) is not None
        minute += MINUTE


def test_a_cut_makes_parts_of_similar_length() -> None:
    """A window is cut into as many parts as asked for, whole minutes each."""
    window = Window(NOON, NOON + 10 * MINUTE)
    lengths_of = [part.length // MINUTE for part in cut(window, 4, UTC)]
    assert lengths_of == [2, 3, 2, 3]
    assert [part.length // MINUTE for part in cut(window, 0, UTC)] == [5, 5]


def test_a_cut_into_absurdly_many_parts_takes_no_time() -> None:
    """An API that speaks of a billion billion calls does not stop the run: minutes are the end."""
    window = Window(NOON, NOON + 5 * MINUTE)
    assert [part.length for part in cut(window, 10**18, UTC)] == 5 * [MINUTE]


def api_finds(moment: datetime, window: Window, zone: ZoneInfo, includes: str) -> dict[str, bool]:
    """Whether a filter of wall-clock minutes finds a call, by each reading of it.

    Args:
        moment: When the call was modified.
        window: What is asked for.
        zone: Zone of the filter.
        includes: Which of its border minutes the filter includes.
    """

    def between(start: T, at: T, end: T) -> bool:
        after = start <= at if "first" in includes else start < at
        return after and (at <= end if "last" in includes else at < end)

    start, at, end = (
        instant.astimezone(zone).replace(tzinfo=None, fold=0)
        for instant in (window.asked_start, moment, window.asked_end)
    )
    passes = [
        [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for wall in (start, end)]
        for fold in (0, 1)
    ]
    return {
        "wall clock to the minute": between(
            *(f"{wall:%Y-%m-%d %H:%M}" for wall in (start, at, end))
        ),
        "wall clock to the second": between(start, at, end),
        "instants by first passes": between(passes[0][0], moment, passes[0][1]),
        "instants by second passes": between(passes[1][0], moment, passes[1][1]),
    }


def holds(window: Window, moment: datetime) -> bool:
    """Whether a call modified at `moment` belongs to `window`."""
    first, end = window.borders
    return first <= format_instant(moment) < end


@SEEDED
@given(
    ranges(), st.lists(lengths, min_size=1), st.sampled_from(("", "first", "last", "first, last"))
)
@example(Range(AUTUMN - 3 * HOUR, AUTUMN + 3 * HOUR, NOON, CENTRAL), [10], "")
def test_a_request_covers_its_window_whatever_the_api_includes(
    span: Range, minutes: list[int], includes: str
) -> None:
    """Every moment of a window is found, may the API include its border minutes or not."""
    windows = windows_of(span, strides(*minutes))
    for window in windows[:40] + windows[-40:]:
        moments = {window.start, window.end - timedelta(seconds=1)}
        moments |= {window.start + window.length * n / 7 for n in range(7)}
        for moment in moments:
            found = api_finds(moment, window, span.zone, includes)
            assert holds(window, moment)
            assert all(found.values()), (window, moment, found)


def test_a_window_asks_for_a_minute_more_and_keeps_what_is_its_own() -> None:
    """The asked minutes go around the window, and the calls in them belong to its neighbours."""
    window = Window(NOON + MINUTE / 2, NOON + 90 * MINUTE)
    assert (window.asked_start, window.asked_end) == (NOON - MINUTE, NOON + 90 * MINUTE)
    assert holds(window, window.start)
    assert not holds(window, window.end)
    assert not holds(window, NOON)
    assert ceil_to_minute(NOON + timedelta(microseconds=1)) == NOON + MINUTE
    assert ceil_to_minute(NOON) == floor_to_minute(NOON + 0.99 * MINUTE) == NOON


@SEEDED
@given(st.data(), zone_keys, st.integers(0, 200))
def test_the_last_minute_asked_for_is_over(data: st.DataObject, key: str, lag: int) -> None:
    """Even where the API includes its last minute, that minute is over by `lag` at the least."""
    now = data.draw(instants(key))
    end_date = data.draw(st.none() | instants(key))
    zone = ZoneInfo(key)
    upper = upper_bound(now, lag * MINUTE, end_date, zone)
    assert Window(upper - DAY, upper).asked_end + MINUTE <= now - lag * MINUTE
    assert repeated_start(upper, key) is None
    if end_date is not None:
        assert upper <= end_date
    else:
        latest = now - lag * MINUTE - 2 * MINUTE
        assert upper > (repeated_start(latest + MINUTE, key) or latest) - MINUTE


@pytest.mark.parametrize(
    ("end_date", "upper"),
    [
        (None, NOON - 2 * MINUTE),
        (NOON - HOUR, NOON - HOUR),
        (NOON - HOUR - MINUTE / 2, NOON - HOUR - MINUTE / 2),
        (NOON + HOUR, NOON - 2 * MINUTE),
    ],
    ids=["none", "earlier", "with seconds", "in the future"],
)
def test_a_run_ends_at_the_end_date_or_the_lag(end_date: datetime | None, upper: datetime) -> None:
    """A run reads up to the last closed minute, or to `end_date` where that is earlier."""
    now = NOON + timedelta(seconds=59)
    assert upper_bound(now, MINUTE, end_date, UTC) == upper


def test_a_run_during_a_repeated_hour_ends_before_it() -> None:
    """The hour waits until it is over, and so does an `end_date` inside it."""
    assert upper_bound(AUTUMN, MINUTE, None, CENTRAL) == AUTUMN - HOUR
    assert upper_bound(NOON, MINUTE, AUTUMN + MINUTE, CENTRAL) == AUTUMN - HOUR
    assert upper_bound(NOON, MINUTE, AUTUMN + HOUR, CENTRAL) == AUTUMN + HOUR


def test_calls_settle_after_lag_and_lookback_and_never_before_ten_minutes() -> None:
    """Only where late edits have shown up can a window no longer gain calls."""
    now = NOON + timedelta(seconds=30)
    assert SETTLED_AFTER == 10 * MINUTE
    assert settled_bound(now, MINUTE, MINUTE) == NOON - 10 * MINUTE
    assert settled_bound(now, 5 * MINUTE, 20 * MINUTE) == NOON - 25 * MINUTE


def test_a_window_is_settled_once_its_asked_end_is() -> None:
    """The border minute counts too, since the API may include it."""
    window = Window(NOON - HOUR, NOON - MINUTE / 2)
    assert is_settled(window, NOON, UTC)
    assert not is_settled(window, NOON - MINUTE, UTC)


def test_a_window_before_a_repeated_hour_settles_after_its_second_pass() -> None:
    """An asked end of 01:00 may mean the second one, so the window can gain calls until then."""
    window = Window(AUTUMN - 3 * HOUR, AUTUMN - HOUR)
    assert not is_settled(window, AUTUMN - MINUTE, CENTRAL)
    assert is_settled(window, AUTUMN, CENTRAL)
    assert is_settled(window, AUTUMN - HOUR, UTC)


def test_a_window_does_not_reach_over_the_settled_bound() -> None:
    """Settled and newer minutes are proven in different ways, so they are read apart."""
    span = Range(NOON - DAY, NOON, NOON - HOUR, UTC)
    heavy = Stride(2 * DAY, MINUTE)
    assert windows_of(span, [heavy]) == [
        Window(span.start, span.settled),
        Window(span.settled, span.upper),
    ]


def test_a_light_window_reaches_over_the_settled_bound() -> None:
    """What surely fits a page needs no second request; neither does a range that is all settled."""
    span = Range(NOON - DAY, NOON, NOON - HOUR, UTC)
    assert windows_of(span, [Stride(DAY, DAY)]) == [Window(span.start, span.upper)]
    settled = Range(NOON - DAY, NOON, NOON + HOUR, UTC)
    assert windows_of(settled, [Stride(2 * DAY, MINUTE)]) == [Window(span.start, span.upper)]


def test_a_last_window_of_just_the_right_length_is_not_cut() -> None:
    """An `end_date` with seconds ends the window that reaches it; none of seconds is left over."""
    span = Range(NOON, NOON + 90 * MINUTE + MINUTE / 2, NOON, UTC)
    assert windows_of(span, strides(90.5)) == [Window(span.start, span.upper)]
    assert [window.length / MINUTE for window in windows_of(span, strides(90))] == [90, 0.5]


def test_empty_years_cost_a_handful_of_windows() -> None:
    """Twenty-six years without a call, all that there are, are read in four windows."""
    span = Range(datetime(2000, 1, 1, tzinfo=UTC), NOON, NOON - HOUR, UTC)

    def empty_windows() -> Iterator[Window]:
        window = span.window(span.start, Stride(FIRST_LENGTH, FIRST_LENGTH))
        while window is not None:
            yield window
            window = span.window(window.end, stride_after(window, 0, 10_000, 1000))

    windows = list(empty_windows())
    assert span.start == ALL_HISTORY
    assert len(windows) == 4
    assert windows[1].length == EMPTY_GROWTH * windows[0].length
    assert windows[-1].end == span.upper


@pytest.mark.parametrize(
    ("total", "length", "page_length"),
    [
        (1, GROWTH * DAY, GROWTH * DAY),
        (1_000, GROWTH * DAY, 0.7 * DAY),
        (12_000, 1.25 * DAY, 0.7 * DAY / 12),
        (30_000, 0.5 * DAY, 0.7 * DAY / 30),
        (10**12, MINUTE, timedelta(microseconds=60)),
    ],
    ids=["light", "a page", "under the aim", "over the aim", "absurd"],
)
def test_the_next_window_follows_the_density(
    total: int, length: timedelta, page_length: timedelta
) -> None:
    """It aims at fifteen full pages, and is at most twice as long and at least a minute."""
    stride = stride_after(Window(NOON, NOON + DAY), total, AIM_PAGES * 1000, 1000)
    assert stride.length == length
    assert abs(stride.page_length - page_length) <= timedelta(milliseconds=1)


def test_a_range_without_room_has_no_window() -> None:
    """A run whose end is not after its start reads nothing."""
    assert Range(NOON, NOON, NOON, UTC).window(NOON, *strides(1)) is None
    assert Range(NOON, NOON - HOUR, NOON, UTC).window(NOON, *strides(1)) is None


def test_an_absurd_total_makes_no_absurd_stride() -> None:
    """A total beyond any float, as only a broken server says, still has a next window."""
    assert stride_after(Window(NOON, NOON + DAY), 10**400, 10_000, 1000).length == MINUTE
