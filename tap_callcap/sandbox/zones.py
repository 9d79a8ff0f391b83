"""Conversion between wall times of a zone and instants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

UTC = timezone.utc
LONGEST_CLOCK_CHANGE = timedelta(days=1)
UTC_NAMES = frozenset(
    {
        "UTC",
        "UCT",
        "Universal",
        "Zulu",
        "Etc/UTC",
        "Etc/UCT",
        "Etc/Universal",
        "Etc/Zulu",
    },
)
"""The names of UTC in the IANA database."""

RepeatedHour = Literal["both", "first", "second"]
"""How a limit within a repeated hour is read: as wall time, or as its first or second instant."""


@lru_cache(maxsize=64)
def zone_named(name: str) -> ZoneInfo:
    """Return the IANA zone with this name; ValueError if there is none."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        msg = f"{name!r} is not a timezone"
        raise ValueError(msg) from error


def local_text(moment: datetime, zone: ZoneInfo) -> str:
    """Return the wall time as the API writes it: `yyyy-mm-dd HH:MM:SS`, without an offset."""
    return moment.astimezone(zone).isoformat(" ")[:19]


@dataclass(frozen=True, slots=True)
class Span:
    """The instants from `first` to before `end`; None leaves that side open.

    If a limit is within a clock change, an instant must also have a wall time in `zone` that lies
    between the two `walls` (the second excluded).
    """

    first: datetime | None = None
    end: datetime | None = None
    walls: tuple[datetime | None, datetime | None] | None = None
    zone: ZoneInfo | None = None

    def widened(self, by: timedelta) -> Span:
        """Return a longer span, by the same on both sides."""
        return Span(self.first and self.first - by, self.end and self.end + by)

    def __contains__(self, moment: datetime) -> bool:
        """Whether `moment` is in the span."""
        if not is_between(moment, self.first, self.end):
            return False
        return self.walls is None or is_between(
            moment.astimezone(self.zone).replace(tzinfo=None),
            *self.walls,
        )


def is_between(moment: datetime, first: datetime | None, end: datetime | None) -> bool:
    """Whether `first <= moment < end`, where None is no limit."""
    return (first is None or first <= moment) and (end is None or moment < end)


def span_of_walls(
    first: datetime | None,
    end: datetime | None,
    zone: ZoneInfo,
    repeated_hour: RepeatedHour = "both",
) -> Span:
    """Return the span between two wall times (naive; `end` excluded) of `zone`."""
    firsts, ends = _instants(first, zone), _instants(end, zone)
    if repeated_hour != "both":
        which = 0 if repeated_hour == "first" else 1
        return Span(firsts[which], ends[which])
    is_ambiguous = firsts[0] != firsts[1] or ends[0] != ends[1]
    return Span(
        min(firsts, key=_order),
        max(ends, key=_order),
        (first, end) if is_ambiguous else None,
        zone if is_ambiguous else None,
    )


def span_in_wall_times(span: Span, zone: ZoneInfo) -> Span:
    """Return the span between the wall times that the limits of `span` have in `zone`."""
    first, end = (
        moment and moment.astimezone(zone).replace(tzinfo=None) for moment in (span.first, span.end)
    )
    return replace(span.widened(LONGEST_CLOCK_CHANGE), walls=(first, end), zone=zone)


def as_stored(moment: datetime, zone: ZoneInfo, *, fold: int) -> datetime:
    """Return the instant that the wall time of `moment` in `zone` means, without an offset."""
    return moment.astimezone(zone).replace(fold=fold).astimezone(UTC)


def _instants(wall: datetime | None, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """Return the two instants that `wall` can mean; they differ only within a clock change."""
    if wall is None:
        return None, None
    return (
        wall.replace(tzinfo=zone, fold=0).astimezone(UTC),
        wall.replace(tzinfo=zone, fold=1).astimezone(UTC),
    )


def _order(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0
