"""Switches as text, for the command line."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tap_callcap.sandbox import BadSwitchError, Switches
from tap_callcap.sandbox.switch_texts import parse_switches, switch_list


def test_switches_from_text() -> None:
    """Every type of switch can be given as text."""
    assert parse_switches(
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
            "broken_accounts=1669,7",
            "broken_minutes=2026-10-14T18:47:00Z",
            "date_ahead=-PT5M",
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
        broken_accounts=frozenset({1669, 7}),
        broken_minutes=frozenset({datetime(2026, 10, 14, 18, 47, tzinfo=timezone.utc)}),
        date_ahead=timedelta(minutes=-5),
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
        ("broken_accounts=Midwest", "it takes whole numbers, separated by commas"),
        ("broken_minutes=noon", "it takes instants such as 2026-10-14T18:47:00Z"),
        ("filter_timezone=Wichita", "'Wichita' is not a timezone"),
        ("show_cap=0", "Expected `int` >= 1"),
        ("latency=-1", "Expected `float` >= 0"),
        ("login_timezone=Wichita", "'Wichita' is not a timezone"),
    ],
)
def test_a_wrong_switch_is_named(pair: str, message: str) -> None:
    """A wrong name or value is refused in one line that names the valid ones."""
    with pytest.raises(BadSwitchError) as caught:
        parse_switches([pair])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "switches",
    [{"utc": "maybe"}, {"show_cap": 0}, {"latency": -1}, {"login_timezone": "Wichita"}],
)
def test_values_are_checked_without_text_too(switches: dict[str, Any]) -> None:
    """A wrong value is refused however the switches are made."""
    with pytest.raises(BadSwitchError, match=f"The switch {next(iter(switches))} cannot be"):
        Switches(**switches)


def test_the_list_of_switches() -> None:
    """Each switch is listed with its default first, and with a description."""
    listed = {name: accepted for name, accepted, _ in switch_list()}
    assert list(listed) == [field.name for field in dataclasses.fields(Switches)]
    assert listed["utc"].startswith("accepted | ")
    assert listed["zone_echo"] == "true | false"
    assert listed["unknown_fields"] == "false | true"
    assert listed["visible_after"] == "0 (seconds, or a duration such as PT5M)"
    assert listed["refused_timezones"] == "none (names, separated by commas)"
    assert listed["max_page"] == "none (a whole number)"
    assert listed["login_timezone"] == "US/Central (a name)"
    assert all(description.endswith(".") for _, _, description in switch_list())
