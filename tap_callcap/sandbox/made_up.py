"""Realistic made-up calls, reproducible by seed."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Final

from tap_callcap.sandbox.call import VENDOR_EXAMPLE
from tap_callcap.sandbox.extras import (
    callsaver_of,
    callsurance_of,
    demographics_of,
    notes_of,
    scorecards_of,
    sentiment_of,
    summaries_of,
    webmatch_of,
)
from tap_callcap.sandbox.world import (
    LOCALE_WEIGHTS,
    Line,
    World,
    phone_number,
    the_world,
)
from tap_callcap.sandbox.zones import UTC

if TYPE_CHECKING:
    from tap_callcap.sandbox.call import Call

_DAY = 86_400  # seconds
_WEEK = 7 * _DAY
_TEN_YEARS = timedelta(days=3653)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SUNDAY_IN_KANSAS = 3 * _DAY + 6 * 3600  # 1970-01-04 00:00 UTC-6, in seconds since the epoch

ACTIONS: Final = ("Answer", "Hangup", "Busy", "Blocked", "In Progress", "Text")
"""The values of `action`. The documentation shows only `Answer`; the others are guesses."""
_ACTION_WEIGHTS = (77, 11, 3, 3, 0.5, 5.5)

# (minimum, maximum) seconds from the end of a call to its last edit
_EDIT_DELAYS = ((0, 60), (60, 3600), (3600, _DAY), (_DAY, _WEEK), (_WEEK, 60 * _DAY))
_LATE_EDIT = (60 * _DAY, 550 * _DAY)  # the vendor's example was edited after 14 months
_DELAYS = (*_EDIT_DELAYS, _LATE_EDIT)
_DELAY_WEIGHTS = (20, 25, 25, 17, 9, 4)


def made_up_calls(  # noqa: PLR0913 - all but the count by keyword
    count: int,
    *,
    seed: int = 0,
    start: datetime,
    end: datetime,
    first_serial: int = 1,
    imports: int = 0,
) -> list[Call]:
    """Return `count` calls that began, and were last modified, from `start` to before `end`.

    The same arguments give the same calls. The first is the vendor's example if its times are in
    the range. Ids are unique within a batch; a second batch for the same book needs a
    `first_serial` greater than all serial numbers of the first. The last `imports` calls began
    outside the range, as imported calls may: in 1970, or ten years after `end`.
    """
    begin, horizon = _seconds(start), _seconds(end)
    if begin >= horizon:
        msg = f"The range is empty: {start} is not before {end}"
        raise ValueError(msg)
    calls = []
    if count and first_serial == 1 and _fits(VENDOR_EXAMPLE, start, end):
        calls.append(VENDOR_EXAMPLE)
    rng = Random(f"{seed} {begin} {horizon}")  # noqa: S311 - made-up calls
    world = the_world()
    callers = [_caller(rng, world) for _ in range(count // 2 + 1)]
    calls.extend(
        _call(
            rng,
            world,
            rng.choice(callers),
            _busy_moment(rng, begin, horizon),
            horizon,
            serial,
        )
        for serial in range(first_serial, first_serial + count - len(calls))
    )
    dates = (_EPOCH, end.replace(microsecond=0) + _TEN_YEARS)
    for place in range(len(calls) - imports, len(calls)):
        calls[place] = _moved(calls[place], dates[place % 2])
    return calls


def made_up_changes(call: Call, rng: Random, at: datetime) -> dict[str, object]:
    """Return the top-level fields that an edit of `call` at `at` changes, with their new values."""
    if call["action"] == "In Progress":
        start = call["start_datetime"] or at
        return {
            "action": "Answer",
            "end_datetime": max(at, start),
            "duration": int((at - start).total_seconds()),
        }
    kind = rng.choice(("revenue", "notes", "callsurance", "callsaver"))
    if kind == "revenue":
        return {"revenue": _revenue(rng)}
    if kind == "callsurance":
        csr = rng.choice(rng.choice(the_world().lines).csrs)
        return {"callsurance": callsurance_of(rng, csr)}
    if kind == "callsaver":
        return {"callsaver": callsaver_of(rng, at)}
    return {"notes": f"{call['notes'] or ''}{notes_of(rng, the_world(), at)}"}


def _moved(call: Call, start: datetime) -> Call:
    """Return a call as if it had begun at `start`."""
    duration = call["duration"]
    end = None if duration is None else start + timedelta(seconds=duration)
    return {**call, "start_datetime": start, "end_datetime": end}


def _call(  # noqa: PLR0913, PLR0917 - each call needs all six
    rng: Random,
    world: World,
    caller: Call,
    start: int,
    horizon: int,
    serial: int,
) -> Call:
    line = rng.choice(world.lines)
    action = rng.choices(ACTIONS, _ACTION_WEIGHTS)[0]
    talk = _talk_seconds(rng, action)
    if start + talk >= horizon:
        action = "In Progress"
    is_over = action != "In Progress"
    modified = _last_edit(rng, start, start + talk if is_over else start, horizon)
    began = _moment(start)
    call_id = (
        f"{line.accounts['campaign']['id']}_{serial}_{began:%m_%d_%Y_%H:%M:%S}_{rng.randrange(40)}"
    )
    call: Call = {
        "call_id": call_id,
        "recording": None,
        "action": action,
        "start_datetime": began,
        "last_modified": _moment(modified),
        "end_datetime": _moment(start + talk) if is_over else None,
        "dtmf": rng.choice((None, None, "", "1", "2#", "123#", "007*")),
        "import": {"reference_id": f"crm-{rng.getrandbits(40):x}"} if chance(rng, 0.1) else None,
        "sentiment": None,
        "duration": talk if is_over else None,
        "rings": rng.randint(1, 8) if action != "Text" else None,
        "revenue": _revenue(rng) if chance(rng, 0.06) else 0,
        "notes": None,
        "caller": caller,
        "demographics": None,
        "callsurance": None,
        "callsaver": None,
        "webmatch": None,
        "summaries": None,
        "scorecards": None,
        "accounts": line.accounts,
    }
    if line.direction == "inbound" and chance(rng, 0.35):
        call["webmatch"] = webmatch_of(rng)
    if line.has_demographics and chance(rng, 0.25):
        call["demographics"] = demographics_of(rng, caller)
    if action == "Answer":
        _add_conversation(rng, world, line, call)
    elif chance(rng, 0.1):
        call["notes"] = notes_of(rng, world, call["last_modified"])
    return call


def _add_conversation(rng: Random, world: World, line: Line, call: Call) -> None:
    """Add the fields that only an answered call has, such as its rating and summaries."""
    call["recording"] = f"https://app.callcap.example/recording/{call['call_id']}.mp3"
    if line.has_callsurance and chance(rng, 0.7):
        call["callsurance"] = callsurance_of(rng, rng.choice(line.csrs))
        call["notes"] = notes_of(rng, world, call["last_modified"])
        if call["callsurance"]["major"]["label"] == "Negative" and chance(rng, 0.4):
            call["callsaver"] = callsaver_of(rng, call["last_modified"])
    if line.has_sentiment and chance(rng, 0.6):
        call["sentiment"] = sentiment_of(rng, world)
    if chance(rng, 0.9):
        call["summaries"] = summaries_of(rng, world)
    if chance(rng, 0.15):
        call["scorecards"] = scorecards_of(rng)


def chance(rng: Random, share: float) -> bool:
    """Return True with the probability `share`."""
    return rng.random() < share


def _talk_seconds(rng: Random, action: str) -> int:
    if action in {"Hangup", "Busy", "Blocked"}:
        return rng.randrange(40)
    return min(int(rng.lognormvariate(4.9, 0.9)), 3 * 3600)


def _busy_moment(rng: Random, begin: int, horizon: int) -> int:
    """Return an instant in the range, usually in business hours."""
    for _ in range(20):
        moment = begin + int(rng.random() * (horizon - begin))
        if rng.random() < _busyness((moment - _SUNDAY_IN_KANSAS) % _WEEK // 3600):
            break
    return moment


def _busyness(hour_of_week: int) -> float:
    """Return how busy an hour of the week is, from 0 to 1; the week begins on Sunday at 0:00."""
    day, hour = divmod(hour_of_week, 24)
    if hour not in range(7, 21):
        return 0.02
    by_day = 0.15 if day in {0, 6} else 1.0
    return by_day * (1.0 if hour in range(8, 17) else 0.3)


def _last_edit(rng: Random, start: int, ready: int, horizon: int) -> int:
    least, most = rng.choices(_DELAYS, _DELAY_WEIGHTS)[0]
    modified = ready + least + int(rng.random() * (most - least))
    if modified >= horizon:  # that edit has not happened yet
        earliest = ready if ready < horizon else start
        modified = earliest + int(rng.random() * (horizon - earliest))
    return modified


def _caller(rng: Random, world: World) -> Call:
    """Return a caller: usually a private person, sometimes unknown."""
    is_business = chance(rng, 0.15)
    if is_business:
        name = rng.choice(world.companies)
    else:
        locale = rng.choices(range(len(LOCALE_WEIGHTS)), LOCALE_WEIGHTS)[0]
        name = f"{rng.choice(world.first_names[locale])} {rng.choice(world.last_names[locale])}"
    caller: Call = {
        **rng.choice(world.towns),
        "class": "Business" if is_business else rng.choice(("Residential", "Mobile")),
        "name": name,
        "address": rng.choice(world.streets) if chance(rng, 0.7) else "NF",
        "caller_id": phone_number(rng),
    }
    if chance(rng, 0.05):
        caller.update(dict.fromkeys(caller, None), caller_id=caller["caller_id"])
    return caller


def _revenue(rng: Random) -> int | Decimal:
    if chance(rng, 0.5):
        return rng.randrange(50, 5000)
    return Decimal(rng.randrange(5_000, 900_000)) / 100


def _fits(call: Call, start: datetime, end: datetime) -> bool:
    return bool(start <= call["start_datetime"] and call["last_modified"] < end)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _moment(seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)
