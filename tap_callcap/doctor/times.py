"""Questions about zones, days, ends and clocks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tap_callcap.doctor.answers import Finding, NotKnownError
from tap_callcap.doctor.examination import DAY, HOUR, ZONES, in_days, minutes
from tap_callcap.instants import (
    MINUTE,
    UTC,
    UnreadableError,
    duration_in_words,
    is_same_zone,
    parse_instant,
    zone_of,
)

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from tap_callcap.doctor.answers import Answer
    from tap_callcap.doctor.examination import Examination, Known

FEW = 5  # calls; fewer in a repeated hour tell nothing
ARIZONA, CENTRAL = ZONES[1:]
LARGEST_SPREAD = timedelta(seconds=10)  # of the clocks of several answers


def longest_range(x: Examination) -> Finding:
    """How long the range of a search may be."""
    span, _, failed = x.widest
    return Finding(", ".join([*failed, f"{in_days(span)} answered"]))


def zones(x: Examination) -> Finding:
    """Which zones are taken, and echoed."""
    asked = x.settings.zone
    tried = list(dict.fromkeys((asked, *ZONES)))
    taken = [zone for zone in tried if x.takes(zone)]
    seen = "; ".join(f"{zone.key} {_taken(x.in_zone(zone), zone)}" for zone in tried)
    if asked in taken or not taken:
        return Finding(seen)
    if set(taken) & set(x.settings.zones):
        return Finding(f"{seen}; the tap asks in {ARIZONA.key} instead")
    return Finding(seen, f"`timezone`: {taken[0].key}")


def _taken(answer: Answer, zone: ZoneInfo) -> str:
    if not answer.is_success:
        return f"answered {answer.code}"
    if answer.echo is None:
        return "answered without its zone"
    if not is_same_zone(answer.echo, zone.key):
        return f"answered in {answer.echo}"
    return "accepted" if answer.echo == zone.key else f"accepted as {answer.echo}"


def login_zone(x: Examination) -> Finding:
    """Which zone is used if a request names none."""
    return Finding(x.login_zone or "the answer does not say its zone")


def default_dates(x: Examination) -> Finding:
    """Whether a search without dates finds all calls."""
    some = x.search(
        search_timezone=None, search_startdate=None, search_enddate=None, show="1"
    ).total
    every = x.widest[1].total
    if not every:
        msg = "no call was found"
        raise NotKnownError(msg)
    return Finding("all calls are found" if some >= every else "only some of the calls are found")


def _other(x: Examination) -> ZoneInfo:
    """A zone to compare with the one in which the questions are asked."""
    for zone in ZONES:
        if not is_same_zone(zone.key, x.zone.key) and x.takes(zone):
            return zone
    msg = "only one zone is accepted"
    raise NotKnownError(msg)


def zone_of_filter(x: Examination) -> Finding:
    """Whether the limits of `last_modified` are in the zone that is asked for."""
    zone, other = x.filter_zone, _other(x)
    if zone == x.zone and x.finds(x.any_call, zone=other, search_timezone=other.key):
        return Finding(f"in the zone asked for (tried {zone.key} and {other.key})")
    return Finding(f"in {zone.key}, whatever zone is asked for", f"`timezone`: {zone.key}")


def zone_shown(x: Examination) -> Finding:
    """Whether `last_modified` is shown in the zone that is asked for."""
    call, other = x.any_call, _other(x)
    start, end = call.modified - MINUTE, call.modified + MINUTE
    texts = [
        str(row.get("last_modified"))
        for zone in (other, x.filter_zone)  # the limits may be in either
        for row in x.search(
            search_timezone=other.key, show="1000", **minutes(start, end, zone)
        ).rows
        if str(row.get("call_id")) == call.call_id
    ]
    if not texts:
        msg = f"a known call was not found in {other.key}"
        raise NotKnownError(msg)
    if parse_instant(texts[0], other) == call.modified:
        return Finding(f"in the zone asked for (tried {x.zone.key} and {other.key})")
    if parse_instant(texts[0], x.zone) == call.modified:
        return Finding("in the same zone, whatever zone is asked for")
    return Finding("at times that differ by another step than the zones do")


def repeated_hour(x: Examination) -> Finding:
    """Whether the hour that US clocks repeat in autumn is told apart."""
    zone = next(filter(x.takes, ZONES[:2]), None)
    if zone is None:
        msg = "no zone without clock changes is accepted"
        raise NotKnownError(msg)
    first = _last_autumn_change(x.now)
    limits = minutes(first, first + 2 * HOUR - MINUTE, zone)
    answer = x.search(search_timezone=zone.key, show="1000", **limits)
    modified = [parse_instant(str(row.get("last_modified")), zone) for row in answer.rows]
    passes = [
        sum(first + n * HOUR <= each < first + (n + 1) * HOUR for each in modified) for n in (0, 1)
    ]
    if all(passes):
        return Finding("yes: calls were modified in both passes of the last one")
    if sum(passes) < FEW:
        msg = f"fewer than {FEW} calls were modified in the last one"
        raise NotKnownError(msg)
    return Finding("no: all calls are shown in the same pass, as if wall times were stored")


def _last_autumn_change(now: datetime) -> datetime:
    """When the hour before the last autumn change of US/Central began for the first time."""
    changes = []
    for year in (now.year - 1, now.year):
        first = datetime(year, 11, 1, 1, tzinfo=CENTRAL)
        sunday = first + (7 - first.isoweekday()) * DAY
        changes.append(sunday.astimezone(UTC))
    return max(change for change in changes if change < now - DAY)


def start_minute(x: Examination) -> Finding:
    """Whether the first minute is part of a search."""
    is_in = x.finds(x.any_call, timedelta(0), 5 * MINUTE)
    return Finding("included" if is_in else "not included")


def end_minute(x: Examination) -> Finding:
    """Whether the last minute is part of a search."""
    if x.finds(x.any_call, 5 * MINUTE, timedelta(0)):
        return Finding("included to its last second")
    try:
        sharp = x.reference(is_fit=lambda call: not call.modified.second, lacking="")
    except NotKnownError:
        return Finding("not included, at least after its first second")
    is_in = x.finds(sharp, 5 * MINUTE, timedelta(0))
    return Finding("only its first second is included" if is_in else "not included")


def days(x: Examination) -> Finding:
    """Whether the first and the last day are part of a search."""
    call = x.any_call
    day = call.started.astimezone(x.zone).date()
    first, last = (
        x.finds(call, search_startdate=str(start), search_enddate=str(start + DAY))
        for start in (day, day - DAY)
    )
    words = {True: "included", False: "not included"}
    return Finding(f"the first day is {words[first]}, the last day is {words[last]}")


def same_day(x: Examination) -> Finding:
    """Whether the first day may be the last."""
    day = str((x.now - DAY).date())
    answer = x.search(search_startdate=day, search_enddate=day, show="1")
    return Finding("refused (400)" if answer.code == "400" else "accepted")


def weekdays(x: Examination) -> Finding:
    """Whether days of the week are in the zone that is asked for."""
    names = filter(None, (x.login_zone, CENTRAL.key, UTC.key))
    other = zone_of(next(name for name in names if not is_same_zone(name, x.zone.key)))

    def differs(call: Known) -> bool:
        return _weekday(call, x.zone) != _weekday(call, other)

    lacking = f"that began on another day in {other.key} than in {x.zone.key}"
    call = x.reference(is_fit=differs, lacking=lacking)
    for zone, words, change in (
        (x.zone, "in the zone asked for", ""),
        (other, f"in {other.key}, whatever zone is asked for", f"`timezone`: {other.key}"),
    ):
        if x.finds(call, search_daysofweek=_weekday(call, zone)):
            return Finding(words, change)
    return Finding(f"neither in {x.zone.key} nor in {other.key}")


def _weekday(call: Known, zone: ZoneInfo) -> str:
    """The day of the week on which a call began, as the API has it: 1 is Sunday."""
    return str(call.started.astimezone(zone).isoweekday() % 7 + 1)


def recent(x: Examination, length: timedelta, again: str = "") -> dict[tuple[str, str], datetime]:
    """When the calls of the last time, up to the first request, were modified."""
    limits = minutes(x.now - length, x.now, x.limit_zone)
    answer = x.search(order="newest", show="1000", again=again, **limits)
    if answer.total > len(answer.rows):
        msg = f"more than a page of calls was modified within {duration_in_words(length)}"
        raise NotKnownError(msg)
    modified = {}
    for row in answer.rows:
        text = str(row.get("last_modified"))
        try:
            modified[str(row.get("call_id")), text] = parse_instant(text, x.zone)
        except UnreadableError:
            continue
    return modified


def newest_edit(x: Examination) -> Finding:
    """How old the newest edit is."""
    for length in (HOUR, 7 * DAY):
        if modified := recent(x, length).values():
            age = x.now - max(modified)
            if age < -MINUTE:
                return Finding(f"{_words(-age)} in the future", "none: check this machine's clock")
            return Finding(f"{_words(age)} old" if age >= MINUTE else "less than a minute old")
    msg = "no call was modified within a week"
    raise NotKnownError(msg)


def late_edits(x: Examination) -> Finding:
    """How long after its `last_modified` an edit showed up that was not there at first."""
    before, after = recent(x, HOUR), recent(x, HOUR, again="at the end")
    closed = x.now - max(x.settings.lag, MINUTE)
    late = [x.now - after[version] for version in after.keys() - before if after[version] < closed]
    if not late:
        return Finding("none was seen while these questions were asked")
    longest = _words(max(late))
    if max(late) <= x.settings.lookback:
        return Finding(f"up to more than {longest} late")
    return Finding(f"up to more than {longest} late", f"`lookback_minutes`: well above {longest}")


def clock(x: Examination) -> Finding:
    """How far the server's clock is from this machine's."""
    skews = [skew for skew in x.skews if skew is not None]
    if not skews:
        return Finding("the answers have no `Date`")
    least, most = min(skews), max(skews)
    skew = most if abs(most) > abs(least) else least
    side = "ahead of" if skew > timedelta(0) else "behind"
    seen = f"{_words(abs(skew))} {side}" if abs(skew) >= LARGEST_SPREAD else "the same as"
    seen += " this machine's clock"
    if most - least > LARGEST_SPREAD:
        seen = f"it differs from answer to answer, up to {seen}"
    far = abs(skew) > x.settings.lookback
    return Finding(seen, "none: check this machine's clock" if far else "")


def _words(duration: timedelta) -> str:
    """A duration to the minute, or below one to the second."""
    second = timedelta(seconds=1)
    unit = MINUTE if duration > MINUTE - second else second
    return duration_in_words(round(duration / unit) * unit)
