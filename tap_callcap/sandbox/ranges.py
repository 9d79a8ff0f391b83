"""The time ranges of a search: dates, `search_range`, and last_modified."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from tap_callcap.sandbox.filters import BadParameterError
from tap_callcap.sandbox.zones import Span, span_of_walls, zone_named

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from tap_callcap.sandbox.switches import Switches

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)

LAST_MINUTES = {f"last{count}minutes": count for count in (1, 5, 10, 30, 60)}
_MONTHS_BACK = {"last3months": 3, "last6months": 6}
_DAYS_BACK = {"last7days": 7, "last30days": 30}

RANGE_NAMES = frozenset(
    {
        "search_range",
        "search_startdate",
        "search_enddate",
        "search_last_modified_start",
        "search_last_modified_end",
    },
)


def start_span(
    params: Mapping[str, str],
    zone: ZoneInfo,
    now: datetime,
    switches: Switches,
) -> Span:
    """Return the span in which the calls of a search began.

    Without a range and dates that is yesterday and today (the documented defaults).
    """
    name = params.get("search_range", "custom")
    if name in LAST_MINUTES:
        # To the end of the current second, so that a call that begins now is included.
        return Span(now - LAST_MINUTES[name] * _MINUTE, now + _SECOND)
    today = now.astimezone(zone).date()
    if name == "custom":
        first = _date(params, "search_startdate", today - _DAY)
        last = _date(params, "search_enddate", today)
        if first > last or (first == last and switches.same_dates == "400"):
            msg = "search_startdate must be less than search_enddate"
            raise BadParameterError(msg)
        if switches.end_date == "excludes":
            last -= _DAY
    else:
        first, last = shortcut_days(name, today)
    walls = _midnight(first), _midnight(last + _DAY)
    return span_of_walls(*walls, zone, switches.repeated_hour)


def shortcut_days(name: str, today: date) -> tuple[date, date]:
    """Return the first and the last day of a `search_range` that is made of days.

    Whether `last7days` includes today is not documented; here today is the last of the seven.
    """
    month = today.replace(day=1)
    if name in _DAYS_BACK:
        return today - (_DAYS_BACK[name] - 1) * _DAY, today
    if name in _MONTHS_BACK:
        return _months_before(today, _MONTHS_BACK[name]), today
    days = {
        "today": (today, today),
        "yesterday": (today - _DAY, today - _DAY),
        "week": (today - today.isoweekday() % 7 * _DAY, today),
        "monthtodate": (month, today),
        "lastmonth": (_months_before(month, 1), month - _DAY),
        "yeartodate": (today.replace(month=1, day=1), today),
    }
    if name not in days:
        msg = f"search_range does not accept {name}"
        raise BadParameterError(msg)
    return days[name]


def modified_span(params: Mapping[str, str], zone: ZoneInfo, switches: Switches) -> Span:
    """Return the span in which the calls of a search were last modified."""
    if switches.filter_timezone:
        zone = zone_named(switches.filter_timezone)
    first, end = (_minute(params, f"search_last_modified_{side}") for side in ("start", "end"))
    return span_of_walls(
        None
        if first is None
        else first[0] + _MINUTE * (switches.start_minute == "exclusive" and first[1]),
        None if end is None else _after(*end, switches),
        zone,
        switches.repeated_hour,
    )


def days_asked_for(started: Span, modified: Span, now: datetime) -> float:
    """Return the days between the limits of last_modified, or else between the dates."""
    span = started if modified.first is None and modified.end is None else modified
    if span.first is None:
        return float("inf")
    return ((span.end or now) - span.first) / _DAY


def _after(minute: datetime, has_time: bool, switches: Switches) -> datetime:  # noqa: FBT001 - a pair
    """Return the first wall time after the end that was given."""
    if not has_time:
        return minute + _DAY  # "if no time is added, the time will default to 23:59:59"
    extra = {"includes": _MINUTE, "excludes": timedelta(0), "on_the_dot": _SECOND}
    return minute + extra[switches.end_minute]


def _minute(params: Mapping[str, str], name: str) -> tuple[datetime, bool] | None:
    """Parse `yyyy-mm-dd` or `yyyy-mm-dd HH:nn`: the wall time, and whether a time was given."""
    text = params.get(name)
    if text is None:
        return None
    match = re.fullmatch(r"([0-9-]+)(?: ([0-9]{2}):([0-9]{2}))?", text)
    if match is None:
        msg = f"{name} must be a date and time in the format yyyy-mm-dd HH:nn"
        raise BadParameterError(msg)
    day, hour, minute = match.groups()
    midnight = _midnight(_read_date(name, day))
    try:
        return midnight.replace(hour=int(hour or 0), minute=int(minute or 0)), hour is not None
    except ValueError:
        msg = f"{name} is not a valid time: {text}"
        raise BadParameterError(msg) from None


def _date(params: Mapping[str, str], name: str, default: date) -> date:
    text = params.get(name)
    return default if text is None else _read_date(name, text)


def _read_date(name: str, text: str) -> date:
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            read = date.fromisoformat(text)
            if date.min + 2 * _DAY < read < date.max - 2 * _DAY:
                return read
    except ValueError:
        pass
    msg = f"{name} must be a date in the format yyyy-mm-dd"
    raise BadParameterError(msg)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())


def _months_before(day: date, count: int) -> date:
    """Return the same day `count` months before, or the last day of that month."""
    months = day.year * 12 + day.month - 1 - count
    first = date(months // 12, months % 12 + 1, 1)
    next_first = (first + 31 * _DAY).replace(day=1)
    return min(first + (day.day - 1) * _DAY, next_first - _DAY)
