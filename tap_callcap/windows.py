"""Windows of last-modified time: pure arithmetic, every instant aware UTC, the clock an argument.

The API filters by whole minutes of a zone's wall clock and says neither whether its first and last
minute count, nor which pass of a repeated hour it means. So a window asks for a minute more than it
keeps, and no border stands where the wall clock is ambiguous.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise, starmap
from typing import TYPE_CHECKING

from tap_callcap.instants import (
    MINUTE,
    UTC,
    ceil_to_minute,
    floor_to_minute,
    format_instant,
    parse_instant,
    zone_of,
)

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

ALL_HISTORY = datetime(2000, 1, 1, tzinfo=UTC)  # where a run without start_date begins

FIRST_LENGTH = timedelta(days=30)  # of a run's first window, before any density is known
AIM_PAGES = 15  # full pages in a window: few enough to re-read after a kill, many enough to fill
MOST_PAGES = 2 * AIM_PAGES  # a window with more is cut instead of read,
MOST_PARTS = 4  # into so many at the most: where calls are dense, they are seldom so throughout
GROWTH = 2  # how much longer the next window may be after a light one
EMPTY_GROWTH = 8  # after an empty one: twenty-six empty years cost four requests
UNSETTLED_PAGE_FILL = (
    0.7  # of a page that a part of a cut newer window should fill: calls still come and go
)
AUTUMN_LOOKBACK = timedelta(hours=3)  # over the hour that is shown twice, and some more
AFTER_CHANGE = timedelta(hours=4)  # until the hour shown twice and the lookback are over
SETTLED_AFTER = timedelta(minutes=10)  # at the least, from when on calls can only leave a window
HOUR = timedelta(hours=1)
US_ZONES = [
    zone_of(f"US/{name}") for name in ("Eastern", "Central", "Mountain", "Pacific", "Alaska")
]


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open stretch `[start, end)` of last-modified time.

    A search for it also asks for the minute before it and the one after, unless one is left out
    because it cannot be read.
    """

    start: datetime
    end: datetime
    minute_before: bool = True
    minute_after: bool = True

    @property
    def length(self) -> timedelta:
        """How long the window is."""
        return self.end - self.start

    @property
    def asked_start(self) -> datetime:
        """The minute to ask from: one before the window, in case the API excludes its first."""
        return floor_to_minute(self.start) - self.minute_before * MINUTE

    @property
    def asked_end(self) -> datetime:
        """The minute to ask to, in case the API excludes its last; callers drop what is beyond."""
        return ceil_to_minute(self.end) - (not self.minute_after) * MINUTE

    @property
    def narrower(self) -> tuple[Window, ...]:
        """The same window, asked for without the minute after it, or without the one before."""
        return replace(self, minute_after=False), replace(self, minute_before=False)

    def asked_borders(self, zone: ZoneInfo) -> tuple[str, str]:
        """Between which texts, as `borders` has them, a search for it in `zone` shows calls."""
        start, end = border_before(self.asked_start, zone), _border_after(self.asked_end, zone)
        return format_instant(start)[:-1], format_instant(end)[:-1]

    def is_an_hour_off(self, modified: str, zone: ZoneInfo) -> bool:
        """Whether a call is shown an hour off what was asked for, by the autumn clock change.

        Servers that store the wall time of a US zone show an hour of that night twice.
        """
        shown = parse_instant(modified, UTC)
        start, end = self.asked_start - HOUR, self.asked_end + MINUTE + HOUR
        return start <= shown < end and any(_is_repeated(shown, each) for each in (zone, *US_ZONES))

    def __str__(self) -> str:
        """What it stands for, for logs and errors."""
        return f"calls modified from {self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC"

    @property
    def borders(self) -> tuple[str, str]:
        """Start and end as texts, which sort among the `last_modified` of records as instants."""
        return format_instant(self.start)[:-1], format_instant(self.end)[:-1]


def lower_bound(
    bookmark: datetime | None, lookback: timedelta, start_date: datetime | None, zone: ZoneInfo
) -> datetime:
    """Where a run begins: `lookback` before the bookmark, but not before `start_date`."""
    start = start_date or ALL_HISTORY
    return border_before(start if bookmark is None else max(start, bookmark - lookback), zone)


def is_near_autumn_change(instant: datetime) -> bool:
    """Whether the clocks of a US zone go back within the day after `instant`, or did just now.

    A server that stores the wall time of such a zone shows an hour of that day twice.
    """
    before, after = instant - AFTER_CHANGE, instant + timedelta(days=1)
    return any(
        before.astimezone(zone).utcoffset() > after.astimezone(zone).utcoffset()  # type: ignore[operator]  # aware
        for zone in US_ZONES
    )


def lookback_at(instant: datetime, lookback: timedelta) -> timedelta:
    """The lookback of a run from `instant`, longer where a US zone shows an hour twice."""
    return max(lookback, AUTUMN_LOOKBACK) if is_near_autumn_change(instant) else lookback


def upper_bound(
    now: datetime, lag: timedelta, end_date: datetime | None, zone: ZoneInfo
) -> datetime:
    """Where a run ends that begins at `now` by the server's clock.

    The last minute that is asked for must be over as well, hence the extra minute.
    """
    closed = floor_to_minute(now - lag) - MINUTE
    return border_before(closed if end_date is None else min(end_date, closed), zone)


def settled_bound(now: datetime, lag: timedelta, lookback: timedelta) -> datetime:
    """Up to where, at `now`, late edits have shown up, so that calls can only leave a window."""
    return floor_to_minute(now - max(lag + lookback, SETTLED_AFTER))


def is_settled(window: Window, settled: datetime, zone: ZoneInfo) -> bool:
    """Whether calls can only leave `window`, whichever pass of a repeated hour its end means."""
    wall = window.asked_end.astimezone(zone)
    return wall.replace(fold=1).astimezone(UTC) <= settled


def border_before(instant: datetime, zone: ZoneInfo) -> datetime:
    """`instant`, or where it lies inside a repeated hour of `zone`, the start of that hour."""
    if not _is_repeated(instant, zone):
        return instant
    border = floor_to_minute(instant)
    while _is_repeated(border - MINUTE, zone):
        border -= MINUTE
    return border


def _border_after(instant: datetime, zone: ZoneInfo) -> datetime:
    """The first whole minute after `instant` that is not inside a repeated hour."""
    border = floor_to_minute(instant) + MINUTE
    while _is_repeated(border, zone) and _is_repeated(border - MINUTE, zone):
        border += MINUTE
    return border


def _is_repeated(instant: datetime, zone: ZoneInfo) -> bool:
    """Whether `zone`'s wall clock shows the time of `instant` twice."""
    wall = instant.astimezone(zone)
    first, second = (wall.replace(fold=fold).utcoffset() for fold in (0, 1))
    return first is not None and second is not None and first > second


def cut(window: Window, parts: int, zone: ZoneInfo) -> tuple[Window, ...]:
    """`window` in up to `parts` (at least two) windows of similar length.

    A window without room for a border, a lone minute or a repeated hour, comes back alone.
    """
    parts = max(min(parts, window.length // MINUTE), 2)
    borders = set()
    for part in range(1, parts):
        wished = floor_to_minute(window.start + window.length * part / parts)
        border = border_before(wished, zone)
        borders.add(border if border > window.start else _border_after(wished, zone))
    edges = [window.start, *sorted(border for border in borders if border < window.end), window.end]
    return tuple(starmap(Window, pairwise(edges)))


@dataclass(frozen=True, slots=True)
class Stride:
    """How long the next window should be.

    `length` is for a window that is read page by page, `page_length` for one that must fit a page.
    """

    length: timedelta
    page_length: timedelta


def stride_after(window: Window, total: int, aim: int, page_size: int) -> Stride:
    """The stride after `window`, which held `total` calls.

    Args:
        window: The window just read.
        total: How many calls it held.
        aim: How many calls a window should hold.
        page_size: How many calls a page holds.
    """
    if total == 0:
        return Stride(window.length * EMPTY_GROWTH, window.length * EMPTY_GROWTH)
    length = max(window.length * min(aim / total, GROWTH), MINUTE)
    return Stride(length, min(length, window.length * (page_size / total * UNSETTLED_PAGE_FILL)))


@dataclass(frozen=True, slots=True)
class Range:
    """What one run covers, `[start, upper)`; up to `settled` calls can only leave a window."""

    start: datetime
    upper: datetime
    settled: datetime
    zone: ZoneInfo

    def window(self, start: datetime, stride: Stride) -> Window | None:
        """The next window from `start`, on one side of `settled` unless light; none at the end."""
        if start >= self.upper:
            return None
        limit = self.upper
        if start < self.settled and self.upper - start > stride.page_length:
            limit = min(self.upper, self.settled)
        wished = limit if limit - start <= stride.length else floor_to_minute(start + stride.length)
        border = border_before(wished, self.zone)
        if border <= start:
            border = min(_border_after(start, self.zone), self.upper)
        return Window(start, border)
