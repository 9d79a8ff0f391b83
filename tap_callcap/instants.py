"""Instants: parsed, formatted, and compared between zones. Pure."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

UTC = ZoneInfo("UTC")
MINUTE = timedelta(minutes=1)
FIRST_DAY = date(2000, 1, 1)  # before any call
# Length, and each third character, of a time in a record: the others are digits.
_RECORD_LENGTH, _RECORD_MARKS = 20, "--T::Z"

_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6})\d*)?)?)?"
    r"\s?(Z|[+-]\d\d:?\d\d)?",
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
    if len(text) == _RECORD_LENGTH and text[4::3] == _RECORD_MARKS:
        try:  # many times faster than what follows
            return datetime.fromisoformat(text[:19] + "+00:00")
        except ValueError:
            pass
    match = _INSTANT.fullmatch(text.strip())
    if match is None:
        msg = "not a date and time"
        raise UnreadableError(msg)
    try:
        *parts, fraction, offset = match.groups("0")
        wall = datetime(*map(int, parts), int(fraction.ljust(6, "0")))  # type: ignore[arg-type, call-arg]  # noqa: DTZ001 - six integers; its zone follows
        if offset == "0":
            return wall.replace(tzinfo=zone).astimezone(UTC)
        return wall.replace(tzinfo=_offset_zone(offset)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        msg = "no date and time of the calendar"
        raise UnreadableError(msg) from error


def format_instant(instant: datetime) -> str:
    """RFC 3339 text of an aware UTC `instant`, ending in `Z`."""
    return instant.isoformat().removesuffix("+00:00") + "Z"


def _offset_zone(offset: str) -> tzinfo:
    """The zone of `Z`, `+hh:mm` or `+hhmm`."""
    if offset == "Z":
        return UTC
    minutes = int(offset[1:3]) * 60 + int(offset[-2:])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))


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
        zones = ZoneInfo(one), ZoneInfo(other)
    except (KeyError, ValueError, OSError):
        return False
    start = datetime.combine(FIRST_DAY, datetime.min.time(), UTC)
    days = (start + timedelta(hours=12 * half) for half in range(2 * 366 * 40))
    walls = ([day.astimezone(zone).utcoffset() for zone in zones] for day in days)
    return all(first == second for first, second in walls)
