"""Switches written as text, for the command line."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from tap_callcap.sandbox import BadSwitchError, Switches


def test_moods_from_text() -> None:
    """Every kind of switch can be written as text."""
    assert Switches.parse(
        [
            "utc=refused",
            "max_range_days=30",
            "requests_per_minute=5",
            "visible_after=90",
            "rate_window=PT2M",
            "zone_echo=false",
            "latency=0.5",
            "refused_timezones=US/Arizona,UTC",
            "login_timezone=US/Pacific",
            "max_page=null",
        ],
    ) == Switches(
        utc="refused",
        max_range_days=30,
        requests_per_minute=5,
        visible_after=timedelta(seconds=90),
        rate_window=timedelta(minutes=2),
        zone_echo=False,
        latency=0.5,
        refused_timezones=frozenset({"US/Arizona", "UTC"}),
        login_timezone="US/Pacific",
    )


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("utc", "has no value: write it as name=value"),
        ("colour=blue", "There is no switch 'colour'"),
        ("utc=maybe", "it takes accepted, refused, ignored, alias"),
        ("max_page=many", "it takes a whole number"),
        ("latency=long", "it takes a number"),
        ("zone_echo=perhaps", "it takes true or false"),
        ("visible_after=soon", "it takes seconds, or a duration such as PT5M"),
        ("show_cap=0", "must be at least 1"),
        ("latency=-1", "must be at least 0"),
        ("login_timezone=Wichita", "'Wichita' is not a timezone"),
    ],
)
def test_a_wrong_mood_is_named(pair: str, message: str) -> None:
    """A switch that cannot be is refused in one line that says what can."""
    with pytest.raises(BadSwitchError) as caught:
        Switches.parse([pair])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_list_of_switches() -> None:
    """Each switch is listed with its default first."""
    listed = Switches.choices()
    assert list(listed) == [field.name for field in dataclasses.fields(Switches)]
    assert listed["utc"].startswith("accepted | ")
    assert listed["zone_echo"] == "true | false"
    assert listed["unknown_fields"] == "false | true"
    assert listed["visible_after"] == "0 (seconds)"
    assert listed["max_page"] == "none"
    assert listed["login_timezone"] == "US/Central"
