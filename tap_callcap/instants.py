"""Instants, durations and zones: parsed, formatted, compared. Pure.

The times of records are parsed and formatted as text, because there are millions of them; all
other forms, zones and durations are left to pendulum. What comes out is the standard library's.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import pendulum

if TYPE_CHECKING:
    from datetime import tzinfo
    from zoneinfo import ZoneInfo

UTC: ZoneInfo = pendulum.UTC
MINUTE = timedelta(minutes=1)
FIRST_DAY = date(2000, 1, 1)  # before any call
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d+)?)?))?\s?(Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


class UnreadableError(ValueError):
    """A value fits no reading of its type. The message never holds the value."""


def parse_instant(text: str, zone: ZoneInfo) -> datetime:
    """The instant that `text` means, in aware UTC.

    `yyyy-mm-dd` with or without a time and an offset; without an offset it is a wall clock time
    of `zone`, in a repeated hour its first pass.

    Raises:
        UnreadableError: If it is no such text, or no date of the calendar.
    """
    marks = text[4::3]  # each third character of `yyyy-mm-dd hh:mm:ss`: the others are digits
    try:
        if marks == "--T::Z" and len(text) == len("yyyy-mm-ddThh:mm:ssZ"):
            return datetime.fromisoformat(text[:-1] + "+00:00")
        if marks == "-- ::" and len(text) == len("yyyy-mm-dd hh:mm:ss"):
            return _in_utc(datetime.fromisoformat(text), zone)
    except (ValueError, OverflowError):
        pass  # pendulum says why
    match = _INSTANT.fullmatch(text.strip())
    if match is None:
        msg = "not a date and time"
        raise UnreadableError(msg)
    day, time, offset = match.groups()
    is_day_end = re.fullmatch(r"24:00(:00(\.0+)?)?", time or "")
    try:
        parsed = cast(
            "pendulum.DateTime",
            pendulum.parse(f"{day}T{'00:00' if is_day_end else time or '00:00'}{offset or ''}"),
        )
        wall = datetime.combine(parsed.date(), parsed.time())
        if is_day_end:
            wall += timedelta(days=1)
        return _in_utc(wall, parsed.tzinfo if offset else zone)
    except (ValueError, OverflowError) as error:
        msg = "no date and time of the calendar"
        raise UnreadableError(msg) from error


def _in_utc(wall: datetime, zone: tzinfo | None) -> datetime:
    """The instant at which the clocks of `zone` show `wall`, in a repeated hour the first pass."""
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def format_instant(instant: datetime) -> str:
    """RFC 3339 text of an aware UTC `instant`, ending in `Z`."""
    return instant.isoformat().removesuffix("+00:00") + "Z"


def duration_in_words(duration: timedelta) -> str:
    """A duration to the second, such as `3 days 2 hours`."""
    if duration < timedelta(seconds=1):
        return "0 seconds"
    return pendulum.duration(days=duration.days, seconds=duration.seconds).in_words(locale="en")


def zone_of(name: str) -> ZoneInfo:
    """The zone with that IANA name.

    Raises:
        UnreadableError: If this machine and tzdata know none.
    """
    try:
        return pendulum.timezone(name)
    except (ValueError, OSError):
        msg = "not an IANA timezone"
        raise UnreadableError(msg) from None


def floor_to_minute(instant: datetime) -> datetime:
    """The whole minute at or before `instant`."""
    return instant.replace(second=0, microsecond=0)


def ceil_to_minute(instant: datetime) -> datetime:
    """The whole minute at or after `instant`."""
    floor = floor_to_minute(instant)
    return floor if floor == instant else floor + MINUTE


@lru_cache
def is_same_zone(one: str, other: str) -> bool:
    """Whether two IANA names have had the same wall clock since the first day asked for."""
    if one.casefold() == other.casefold():
        return True
    try:
        zones = zone_of(one), zone_of(other)
    except UnreadableError:
        return False
    start = datetime.combine(FIRST_DAY, datetime.min.time(), UTC)
    days = (start + timedelta(hours=12 * half) for half in range(2 * 366 * 40))
    walls = ([day.astimezone(zone).utcoffset() for zone in zones] for day in days)
    return all(first == second for first, second in walls)
