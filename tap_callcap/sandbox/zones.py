"""Local times and the instants they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

UTC = timezone.utc
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
"""The names under which the IANA database knows UTC."""

RepeatedHour = Literal["both", "first", "second"]
"""What a border within a repeated hour stands for: its wall time, its first or its second pass."""


@lru_cache(maxsize=64)
def zone_named(name: str) -> ZoneInfo:
    """Return the IANA zone, or raise ValueError for a name that is none."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        msg = f"{name!r} is not a timezone"
        raise ValueError(msg) from error


def local_text(moment: datetime, zone: ZoneInfo) -> str:
    """Return the wall time `yyyy-mm-dd HH:MM:SS` that the API writes, without an offset."""
    return moment.astimezone(zone).isoformat(" ")[:19]


@dataclass(frozen=True, slots=True)
class Span:
    """The instants from `first` on and before `end`; None leaves that side open.

    Where a border falls into a clock change, `walls` also says between which wall times an
    instant must be (the second is excluded) in `zone`.
    """

    first: datetime | None = None
    end: datetime | None = None
    walls: tuple[datetime | None, datetime | None] | None = None
    zone: ZoneInfo | None = None

    def __contains__(self, moment: datetime) -> bool:
        """Say whether `moment` belongs to the span."""
        if not is_between(moment, self.first, self.end):
            return False
        return self.walls is None or is_between(
            moment.astimezone(self.zone).replace(tzinfo=None),
            *self.walls,
        )


def is_between(moment: datetime, first: datetime | None, end: datetime | None) -> bool:
    """Say whether `first <= moment < end`, where None is no border."""
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
    doubtful = firsts[0] != firsts[1] or ends[0] != ends[1]
    return Span(
        min(firsts, key=_order),
        max(ends, key=_order),
        (first, end) if doubtful else None,
        zone if doubtful else None,
    )


def _instants(wall: datetime | None, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """Return the instants that `wall` can stand for: two different ones around a clock change."""
    if wall is None:
        return None, None
    return (
        wall.replace(tzinfo=zone, fold=0).astimezone(UTC),
        wall.replace(tzinfo=zone, fold=1).astimezone(UTC),
    )


def _order(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0
