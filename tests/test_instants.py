"""Instants are parsed strictly, and durations are told in words."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tap_callcap.instants import UTC, UnreadableError, duration_in_words, parse_instant, zone_of

CENTRAL = zone_of("US/Central")


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2024-01-31", "2024-01-31T06:00:00+00:00"),
        ("2024-01-31T10:05", "2024-01-31T16:05:00+00:00"),
        ("2024-01-31 10:05", "2024-01-31T16:05:00+00:00"),
        ("2024-01-31T10:05:06", "2024-01-31T16:05:06+00:00"),
        ("2024-01-31 10:05:06.5", "2024-01-31T16:05:06.500000+00:00"),
        ("2024-01-31T10:05:06.123456789Z", "2024-01-31T10:05:06.123456+00:00"),
        (" 2024-01-31T10:05:06Z ", "2024-01-31T10:05:06+00:00"),
        ("2024-01-31T10:05:06 -0630", "2024-01-31T16:35:06+00:00"),
        ("2024-01-31 10:05:06+01:00", "2024-01-31T09:05:06+00:00"),
        ("2024-01-31Z", "2024-01-31T00:00:00+00:00"),
        ("2024-01-31 -06:00", "2024-01-31T06:00:00+00:00"),
    ],
)
def test_a_date_with_or_without_time_and_offset_is_an_instant(text: str, iso: str) -> None:
    """Without an offset it is a time of the zone, US/Central here."""
    assert parse_instant(text, CENTRAL).isoformat() == iso


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "tomorrow", "10:05", "2021", "2024-01", "2024-W05", "2024-W05-3", "2024-031"),
        *("20240131", "2024-1-3", "2024/01/31", "31-01-2024", "P1D", "PT1H", "1706695506"),
        *("2024-01-31/2024-02-01", "2024-01-31T10", "2024-01-31T10:05:06,5", "2024-01-31T1005"),
        *("2024-02-30", "2024-01-31T10:61", "2024-01-31T10:05:60Z", "2024-01-31 10:05:06 +25:00"),
        *("2024-01-31 25:00:00", "0000-01-01", "0001-01-01T00:00:00+10:00", "9999-12-31 23:59:59"),
    ],
)
def test_nothing_else_is_an_instant(text: str) -> None:
    """What a lenient parser would guess at is refused."""
    with pytest.raises(UnreadableError):
        parse_instant(text, CENTRAL)


@pytest.mark.parametrize(
    "text",
    ["2026-11-01 01:30:00", "2026-11-01T01:30:00", "2026-11-01 01:30", "2026-11-01 01:30:00.0"],
)
def test_a_time_of_a_repeated_hour_is_its_first_pass(text: str) -> None:
    """In whatever form it is written, 01:30 of the autumn change is the one of summer time."""
    assert parse_instant(text, CENTRAL) == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)


def test_instants_are_plain() -> None:
    """Arithmetic on what was parsed is the standard library's, to the microsecond."""
    for text in ("2024-01-31T10:05:06Z", "2024-01-31 10:05:06", "2024-01-31"):
        assert type(parse_instant(text, UTC)) is datetime


@pytest.mark.parametrize("name", ["", "Nowhere", "US", "../UTC", "US/central\x00", "x" * 300])
def test_a_zone_that_is_unknown_is_refused(name: str) -> None:
    """Whatever is no zone gives the same error, also where it is a folder or no file name."""
    with pytest.raises(UnreadableError):
        zone_of(name)


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(0), "0 seconds"),
        (timedelta(seconds=0.9), "0 seconds"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(minutes=5), "5 minutes"),
        (timedelta(days=3, hours=2), "3 days 2 hours"),
        (timedelta(days=400), "57 weeks 1 day"),
    ],
    ids=str,
)
def test_a_duration_is_told_in_words(duration: timedelta, words: str) -> None:
    """As a person would say it."""
    assert duration_in_words(duration) == words
