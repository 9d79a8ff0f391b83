"""The made-up calls are reproducible, and distributed as in a real office."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec
import pytest

from support.sandbox_requests import NOW
from tap_callcap.sandbox import VENDOR_EXAMPLE, Call, made_up_calls

START = NOW - timedelta(days=3 * 365)
SECTIONS = (
    "import",
    "sentiment",
    "notes",
    "demographics",
    "callsurance",
    "callsaver",
    "webmatch",
    "summaries",
    "scorecards",
    "end_datetime",
)


@lru_cache(maxsize=1)
def many() -> tuple[Call, ...]:
    """Return 8,000 calls of three years."""
    return tuple(made_up_calls(8000, seed=1, start=START, end=NOW))


def test_the_same_seed_makes_the_same_calls() -> None:
    """Calls depend on the arguments only, and another seed makes other calls."""
    one, two, other = (made_up_calls(50, seed=s, start=START, end=NOW) for s in (3, 3, 4))
    assert one == two
    assert not {c["call_id"] for c in one} & {c["call_id"] for c in other}


def test_ids_are_unique() -> None:
    """Ids are unique, and have the vendor's format."""
    assert len({call["call_id"] for call in many()}) == 8000
    assert all(call["call_id"].count(":") == 2 for call in many())


def test_times_are_in_range_and_in_order() -> None:
    """A call begins in the range, is modified after that, and all times are whole UTC seconds."""
    for call in many():
        assert START <= call["start_datetime"] <= call["last_modified"] < NOW
        moments = [call["start_datetime"], call["last_modified"], call["end_datetime"]]
        for moment in filter(None, moments):
            assert moment.tzinfo is timezone.utc
            assert not moment.microsecond
        if call["end_datetime"]:
            assert call["start_datetime"] <= call["end_datetime"] <= call["last_modified"]
        assert (call["end_datetime"] is None) == (call["action"] == "In Progress")


def test_a_call_that_would_end_later_is_in_progress() -> None:
    """No call ends after the range; a call in progress then has no end."""
    calls = made_up_calls(300, start=NOW - timedelta(minutes=10), end=NOW)
    assert all(call["end_datetime"] < NOW for call in calls if call["end_datetime"])
    assert 20 < sum(call["action"] == "In Progress" for call in calls) < 280


def test_every_call_has_every_field() -> None:
    """Calls have the vendor's fields, and their sections have the shape of the vendor's."""
    for call in many():
        assert call.keys() == VENDOR_EXAMPLE.keys()
        for name, section in call.items():
            if isinstance(section, dict):
                assert section.keys() == VENDOR_EXAMPLE[name].keys(), name
    for level, account in VENDOR_EXAMPLE["accounts"].items():
        assert many()[0]["accounts"][level].keys() == account.keys()


@pytest.mark.parametrize("name", SECTIONS)
def test_some_calls_have_it_and_some_do_not(name: str) -> None:
    """Optional sections are present on some calls only."""
    there = sum(call[name] is not None for call in many())
    assert 50 < there < 7990


def test_days_are_busy_and_nights_are_not() -> None:
    """Most calls come in business hours of a weekday, few on a weekend or at night."""
    local = [c["start_datetime"].astimezone(ZoneInfo("US/Central")) for c in many()]
    office = sum(moment.weekday() < 5 and 7 <= moment.hour < 19 for moment in local)
    night = sum(moment.hour < 6 for moment in local)
    assert office > 0.8 * len(local)
    assert 0 < night < 0.05 * len(local)


def test_edits_come_late_and_some_very_late() -> None:
    """Most edits come within days, a few after many months."""
    delays = [call["last_modified"] - call["start_datetime"] for call in many()]
    assert sum(delay < timedelta(days=7) for delay in delays) > 0.7 * len(delays)
    assert sum(delay > timedelta(days=180) for delay in delays) > 50


def test_people_call_again_and_have_names_of_all_kinds() -> None:
    """Some callers call more than once; some names are not ASCII; some are unknown."""
    callers = Counter(id(call["caller"]) for call in many())
    names = {call["caller"]["name"] for call in many()}
    assert max(callers.values()) > 3
    assert any(name and not name.isascii() for name in names)
    assert None in names
    assert len(names) > 2000


def test_the_size_of_calls() -> None:
    """A call is about 3.5 KB of JSON, as the vendor's example; a few have notes of 100 KB."""
    encode = msgspec.json.Encoder(decimal_format="number").encode
    sizes = [len(encode(call)) for call in many()]
    assert 3000 < sum(sizes) / len(sizes) < 4000
    assert any(len(call["notes"] or "") > 90_000 for call in many())


def test_numbers_are_whole_or_decimal() -> None:
    """No number is a float, so that each keeps its digits."""

    def kinds(value: object) -> set[type]:
        if isinstance(value, dict):
            return set().union(*map(kinds, value.values()))
        if isinstance(value, list):
            return set().union(*map(kinds, value))
        return {type(value)}

    seen: set[type] = set().union(*map(kinds, many()))
    assert seen == {str, int, bool, Decimal, datetime, type(None)}


def test_the_vendors_example_is_there_when_it_fits() -> None:
    """The example is the first call of a range that includes it, and counts as one."""
    start = datetime(2020, 1, 1, tzinfo=timezone.utc)
    assert made_up_calls(3, start=start, end=NOW)[0] is VENDOR_EXAMPLE
    assert len(made_up_calls(3, start=start, end=NOW)) == 3
    assert VENDOR_EXAMPLE not in made_up_calls(3, start=start, end=NOW, first_serial=4)
    assert VENDOR_EXAMPLE not in many()


def test_imported_calls() -> None:
    """The last calls can begin in 1970 or in ten years, and are modified in the range."""
    plain, odd = (made_up_calls(9, seed=3, start=START, end=NOW, imports=n) for n in (0, 4))
    assert odd[:5] == plain[:5]
    assert [call["start_datetime"].year for call in odd[5:]] == [2036, 1970, 2036, 1970]
    for call, before in zip(odd, plain, strict=True):
        changed = {"start_datetime", "end_datetime"}
        assert all(call[name] == value for name, value in before.items() if name not in changed)
        assert (call["end_datetime"] is None) == (before["end_datetime"] is None)
        if call["end_datetime"]:
            lasted = call["end_datetime"] - call["start_datetime"]
            assert lasted == before["end_datetime"] - before["start_datetime"]


def test_odd_ranges() -> None:
    """Zero calls and a range of one second are possible, an empty range is an error."""
    assert made_up_calls(0, start=START, end=NOW) == []
    (call,) = made_up_calls(1, start=NOW, end=NOW + timedelta(seconds=1))
    assert call["start_datetime"] == call["last_modified"] == NOW
    with pytest.raises(ValueError, match="not before"):
        made_up_calls(1, start=NOW, end=NOW)
