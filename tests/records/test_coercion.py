"""Coercion of the API's JSON values to the types of the schema."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import seeded
from tap_callcap.instants import UnreadableError, format_instant, parse_instant
from tap_callcap.records import coercion
from tap_callcap.records.coercion import LARGEST_INTEGER, ZeroDateError, coercion_of
from tap_callcap.records.json import json_text, scrub

if TYPE_CHECKING:
    from tap_callcap.records.schema import JSONSchema

SEEDED = settings(seeded.SEEDED, max_examples=200)
CENTRAL = ZoneInfo("US/Central")
UTC = ZoneInfo("UTC")
SCHEMAS: dict[str, JSONSchema] = {
    "string": {"type": ["string", "null"]},
    "integer": {"type": ["null", "integer"]},
    "number": {"type": "number"},
    "boolean": {"type": ["boolean", "null"]},
    "date-time": {"type": ["string", "null"], "format": "date-time"},
    "JSON text": {"type": ["string", "null"], "contentMediaType": "application/json"},
}


def read(kind: str, value: Any) -> Any:
    """What a value is read as where the schema says `kind`."""
    return coercion_of(SCHEMAS[kind], CENTRAL)(value)


def is_same(one: object, other: object) -> bool:
    """Whether two values are equal and of one type: 1 is not True and not 1.0."""
    return type(one) is type(other) and str(one) == str(other)


@pytest.mark.parametrize("kind", [kind for kind in SCHEMAS if kind != "JSON text"])
@pytest.mark.parametrize("nothing", ["", [], {}], ids=["empty text", "empty list", "empty object"])
def test_nothing_in_the_wrong_place_is_null(kind: str, nothing: object) -> None:
    """The server writes empty texts, lists and objects where it means null."""
    expected = nothing if isinstance(nothing, str) and kind == "string" else None
    assert read(kind, nothing) == expected


@pytest.mark.parametrize("kind", ["integer", "number", "boolean", "date-time"])
def test_blanks_are_null_where_no_text_is_meant(kind: str) -> None:
    """A text of nothing but blanks says nothing, unless texts are meant."""
    assert read(kind, " \t ") is None
    assert read("string", " \t ") == " \t "


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", "00742 ", "00742 "),
        ("string", 67202, "67202"),
        ("string", True, "true"),
        ("string", False, "false"),
        ("string", Decimal("8.0000"), "8.0000"),
        ("string", 10**30, "1" + "0" * 30),
        ("integer", 570, 570),
        ("integer", "570", 570),
        ("integer", " +570 ", 570),
        ("integer", "-570", -570),
        ("integer", Decimal("570.00"), 570),
        ("integer", "570.", 570),
        ("integer", "5.7e2", 570),
        ("integer", LARGEST_INTEGER, 2**63 - 1),
        ("integer", str(-LARGEST_INTEGER - 1), -(2**63)),
        ("number", 0, 0),
        ("number", 8.5, Decimal("8.5")),
        ("number", Decimal("8.0000"), Decimal("8.0000")),
        ("number", " 8.0000 ", Decimal("8.0000")),
        ("number", "-.5", Decimal("-0.5")),
        ("number", "1E5", Decimal("1E5")),
        ("number", -LARGEST_INTEGER, -LARGEST_INTEGER),
        ("number", LARGEST_INTEGER, LARGEST_INTEGER),
        ("number", LARGEST_INTEGER + 1, Decimal(2**63)),
        ("number", "1.7976931348623157E+308", Decimal("1.7976931348623157E+308")),
        ("number", Decimal("1.7976931348623157E+308"), Decimal("1.7976931348623157E+308")),
        ("number", "-1.7976931348623157E+308", Decimal("-1.7976931348623157E+308")),
        ("number", Decimal("1E-1000000"), Decimal("1E-1000000")),
        ("boolean", True, True),
        ("boolean", False, False),
        ("boolean", "true", True),
        ("boolean", " YES ", True),
        ("boolean", "1", True),
        ("boolean", 1, True),
        ("boolean", "False", False),
        ("boolean", "no", False),
        ("boolean", "0", False),
        ("boolean", 0, False),
        ("date-time", "2021-11-01 19:10:46", "2021-11-02T00:10:46Z"),
        ("date-time", " 2021-12-01 19:10:46 ", "2021-12-02T01:10:46Z"),
        ("date-time", "2021-12-01T19:10", "2021-12-02T01:10:00Z"),
        ("date-time", "2021-12-01", "2021-12-01T06:00:00Z"),
        ("date-time", "2021-12-01 19:10:46.5", "2021-12-02T01:10:46.500000Z"),
        ("date-time", "2021-12-01 19:10:46.1234567890", "2021-12-02T01:10:46.123456Z"),
        ("date-time", "2021-12-01T19:10:46Z", "2021-12-01T19:10:46Z"),
        ("date-time", "2021-12-01 19:10:46 +05:30", "2021-12-01T13:40:46Z"),
        ("date-time", "2021-12-01 19:10:46-0330", "2021-12-01T22:40:46Z"),
        ("date-time", "0999-12-01 00:00:00Z", "0999-12-01T00:00:00Z"),
        ("date-time", "2021-12-01 24:00:00", "2021-12-02T06:00:00Z"),
        ("date-time", "2021-12-31T24:00", "2022-01-01T06:00:00Z"),
        ("date-time", "2021-12-01T24:00:00.000Z", "2021-12-02T00:00:00Z"),
        ("JSON text", "", None),
        ("JSON text", {}, "{}"),
        ("JSON text", [], "[]"),
        ("JSON text", 0, "0"),
        ("JSON text", False, "false"),
        ("JSON text", "free", '"free"'),
        ("JSON text", {"b": Decimal("8.0000"), "a": [None]}, '{"a":[null],"b":8.0000}'),
    ],
    ids=repr,
)
def test_a_value_is_read_as_its_type(kind: str, value: object, expected: object) -> None:
    """Numbers and booleans may come as texts, texts as anything plain, and digits stay."""
    assert is_same(read(kind, value), expected)


@pytest.mark.parametrize("kind", ["integer", "number"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("-Infinity")], ids=repr)
def test_what_json_cannot_say_is_null(kind: str, value: object) -> None:
    """NaN and infinity are no numbers of JSON, and no target would take them."""
    assert read(kind, value) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", ["canary"]),
        ("string", {"canary": 1}),
        ("integer", True),
        ("integer", "canary"),
        ("integer", "0x10"),
        ("integer", "1_000"),
        ("integer", "٣"),
        ("integer", "1,000"),
        ("integer", "12.5"),
        ("integer", Decimal("12.5")),
        ("integer", 2**63),
        ("integer", -(2**63) - 1),
        ("integer", Decimal("1E1000000")),
        ("integer", Decimal("1E-1000000")),
        ("integer", [1]),
        ("number", False),
        ("number", "NaN"),
        ("number", "Infinity"),
        ("number", "."),
        ("number", "1e99999"),
        ("number", Decimal("1.8E+308")),
        ("number", "1e309"),
        ("number", "-1e309"),
        ("number", 10**400),
        ("number", Decimal("1E1000000")),
        ("number", Decimal("-1E1000000")),
        ("number", {"canary": 1}),
        ("boolean", "canary"),
        ("boolean", 2),
        ("boolean", Decimal("1.0")),
        ("boolean", [True]),
        ("date-time", "canary"),
        ("date-time", "2021-13-01 00:00:00"),
        ("date-time", "2021-02-29 00:00:00"),
        ("date-time", "2021-12-01 24:00:01"),
        ("date-time", "2021-12-01 24:01"),
        ("date-time", "2021-12-01 24:00:00.5"),
        ("date-time", "9999-12-31 24:00:00"),
        ("date-time", "2021-12-01 19:10:46 +99:00"),
        ("date-time", "0001-01-01 00:00:00+10:00"),
        ("date-time", "9999-12-31 23:59:59"),
        ("date-time", "0000-00-00 12:30:00"),
        ("date-time", "12/01/2021"),
        ("date-time", "٢٠٢١-12-01"),
        ("date-time", 20211201),
        ("date-time", True),
        ("date-time", ["2021-12-01"]),
    ],
    ids=repr,
)
def test_what_fits_no_reading_is_refused_without_being_shown(kind: str, value: object) -> None:
    """A value of another kind is refused; the reason, which reaches the log, is silent on it."""
    with pytest.raises(UnreadableError) as caught:
        read(kind, value)
    assert str(caught.value) in {
        "not a text",
        "not an integer",
        "not an integer of 64 bits",
        "not a number",
        "a number too large for a double",
        "neither true nor false",
        "not a date and time",
        "no date and time of the calendar",
    }


class Python314(datetime):
    """A datetime whose `fromisoformat` accepts 24:00, as that of Python 3.14 does."""

    @classmethod
    def fromisoformat(cls, text: str) -> Python314:
        """The instant, on the next day where the hour is 24."""
        midnight = text.replace(" 24:", " 00:")
        return super().fromisoformat(midnight) + timedelta(days=midnight != text)


def test_midnight_may_end_a_day_in_every_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """24:00:00 is the next day's 00:00:00, whether Python's own parser accepts it or not."""
    to_instant = coercion_of(SCHEMAS["date-time"], UTC)
    assert to_instant("2026-01-01 24:00:00") == "2026-01-02T00:00:00Z"
    monkeypatch.setattr(coercion, "datetime", Python314)
    assert to_instant("2026-01-01 24:00:00") == "2026-01-02T00:00:00Z"
    assert to_instant("2026-01-01 23:59:59") == "2026-01-01T23:59:59Z"


@pytest.mark.parametrize(
    "text",
    ["0000-00-00", "0000-00-00 00:00:00", " 0000-00-00T00:00:00.000Z "],
    ids=["day", "time", "RFC 3339"],
)
def test_a_zero_date_is_told_apart(text: str) -> None:
    """0000-00-00 is a database's word for no date: neither a date nor garbage."""
    with pytest.raises(ZeroDateError):
        read("date-time", text)


@pytest.mark.parametrize(
    ("wall", "expected"),
    [
        ("2026-03-08 01:59:59", "2026-03-08T07:59:59Z"),
        ("2026-03-08 03:00:00", "2026-03-08T08:00:00Z"),
        ("2026-11-01 00:59:59", "2026-11-01T05:59:59Z"),
        ("2026-11-01 01:00:00", "2026-11-01T06:00:00Z"),
        ("2026-11-01 01:59:59", "2026-11-01T06:59:59Z"),
        ("2026-11-01 02:00:00", "2026-11-01T08:00:00Z"),
    ],
)
def test_local_times_become_utc_over_clock_changes(wall: str, expected: str) -> None:
    """A wall-clock time is of the asked zone, and of a repeated hour its first pass."""
    assert read("date-time", wall) == expected


@SEEDED
@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - its zone is drawn too
    st.sampled_from(("US/Central", "Europe/London", "Australia/Lord_Howe", "America/St_Johns")),
)
def test_any_local_time_reads_as_the_instant_it_is(wall: datetime, key: str) -> None:
    """Whatever the zone, reading its wall clock gives back the instant, to the microsecond."""
    instant = wall.replace(tzinfo=timezone.utc)
    local = instant.astimezone(ZoneInfo(key))
    read_back = parse_instant(str(local.replace(tzinfo=None)), ZoneInfo(key))
    assert read_back == instant or local.fold == 1
    assert format_instant(read_back).endswith("Z")
    assert parse_instant(format_instant(instant), ZoneInfo(key)) == instant


@SEEDED
@given(
    st.datetimes(timezones=st.just(timezone.utc)), st.integers(-1439, 1439), st.sampled_from(":-")
)
def test_any_offset_is_obeyed(instant: datetime, minutes: int, colon: str) -> None:
    """A time with an offset needs no zone: both are read to the same instant."""
    offset = timezone(timedelta(minutes=minutes))
    try:
        text = instant.astimezone(offset).isoformat()
    except OverflowError:
        return
    text = text if colon == ":" else text[:-3] + text[-2:]
    assert parse_instant(text, CENTRAL) == instant


@SEEDED
@given(
    st.from_regex(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
)
def test_a_number_keeps_its_literal(literal: str) -> None:
    """Digits come out as the API wrote them, as a number or as a text: 8.0000 is not 8."""
    number = json.loads(literal, parse_float=Decimal)
    assert str(read("number", number)) == str(number)
    assert read("string", number) == str(number)
    assert read("number", literal) == number
    assert json.loads(json_text(number), parse_float=Decimal) == number


@pytest.mark.parametrize("number", [2**64, -(10**400), Decimal("1.10"), Decimal("1E+999999")])
def test_json_text_holds_numbers_of_any_size(number: object) -> None:
    """What is kept as JSON text keeps numbers that no column could hold."""
    assert json.loads(json_text([number]), parse_float=Decimal) == [number]


def test_characters_that_databases_refuse_are_taken_out() -> None:
    """NUL and lone surrogates go, in keys too and at any depth; all else stays."""
    wild = {"a\x00": ["\ud800b\udfff", {"c": "é\u2028😀"}, 1, None, True, Decimal(2)]}
    assert scrub(wild) == {"a": ["b", {"c": "é\u2028😀"}, 1, None, True, Decimal(2)]}


def test_an_instant_in_utc_ends_in_z() -> None:
    """Every date-time out is RFC 3339 with `Z`."""
    instant = datetime(2026, 11, 24, 10, 5, tzinfo=timezone.utc)
    assert format_instant(instant) == "2026-11-24T10:05:00Z"
    assert parse_instant("2026-11-24T10:05:00Z", UTC) == instant
    assert parse_instant("2026-11-24T10:05:00Z", UTC).utcoffset() == timedelta()


@pytest.mark.parametrize("text", ["2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z"])
def test_no_date_of_the_calendar_is_no_instant(text: str) -> None:
    """A time that looks like one of a record is still no time if no calendar has it."""
    with pytest.raises(UnreadableError, match="calendar"):
        parse_instant(text, UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-03 10:05:00", "2026-03-03T10:05:00Z"),
        ("2026-03-03T10:05:00", "2026-03-03T10:05:00Z"),
        ("2026-03-03", "2026-03-03T00:00:00Z"),
        ("2026-03-03 10:05", "2026-03-03T10:05:00Z"),
        ("2026-03-03 10:05:00+01:00", "2026-03-03T09:05:00Z"),
        (" 2026-03-03 10:05 ", "2026-03-03T10:05:00Z"),
    ],
)
def test_times_in_utc_are_read_as_in_any_zone(text: str, expected: str) -> None:
    """Only the API's own form takes the short way; the others mean what they mean elsewhere."""
    assert coercion_of(SCHEMAS["date-time"], UTC)(text) == expected


@pytest.mark.parametrize(
    "value",
    ["20260303T100500.000", "2026-03-03 10+01:00", "2026-02-30 10:05:00", 20260303, True],
    ids=repr,
)
def test_what_is_no_time_elsewhere_is_none_in_utc(value: Any) -> None:
    """Also where Python's own parser accepts it, and where it looks like a time of the API."""
    for zone in (UTC, CENTRAL):
        with pytest.raises(UnreadableError):
            coercion_of(SCHEMAS["date-time"], zone)(value)
