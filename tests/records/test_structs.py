"""The fast and the careful decoder make the same record of every call."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import seeded
from support.odd_values import ENCODER, LEAST, breadcrumbs_of, calls, names, values
from tap_callcap.instants import UnreadableError
from tap_callcap.records.schema import load_schema
from tap_callcap.records.shaper import Shaper, version_of
from tap_callcap.records.shapes import object_of
from tap_callcap.records.structs import struct_decoder
from tap_callcap.sandbox import VENDOR_EXAMPLE, CallBook, Callcap, Switches, made_up_calls

if TYPE_CHECKING:
    from tap_callcap.records.schema import JSONSchema
    from tap_callcap.records.shaper import Call
    from tap_callcap.records.shapes import Breadcrumb

SEEDED = settings(seeded.SEEDED, max_examples=50)
SCHEMA = load_schema("calls")
UTC = ZoneInfo("UTC")
ZONES = [UTC, ZoneInfo("US/Arizona"), ZoneInfo("Europe/London")]
NOW = datetime(2026, 3, 3, tzinfo=timezone.utc)


BREADCRUMBS = list(breadcrumbs_of(SCHEMA))


def written(record: Any) -> Any:
    """A record as a target reads it, its numbers to the digit."""
    return json.loads(ENCODER.encode(record), parse_float=Decimal)


def check(
    *calls: Call, zone: ZoneInfo = UTC, deselected: frozenset[Breadcrumb] = frozenset()
) -> None:
    """Shape calls in both ways, and in the one that makes dicts of both."""
    told: dict[str, list[str]] = {"fast": [], "dict": [], "careful": []}
    records = {}
    raws = [msgspec.Raw(ENCODER.encode(call)) for call in calls]
    for way, lines in told.items():
        shape = Shaper(
            SCHEMA,
            zone,
            lines.append,
            is_selected=lambda breadcrumb: breadcrumb not in deselected,
            as_dict=way == "dict",
        )
        rows = [shape.decode(row)[1] for row in (calls if way == "careful" else raws)]
        records[way] = list(shape.records(rows))
    assert all(isinstance(record, dict) for record in records["dict"])
    assert written(records["fast"]) == written(records["dict"]) == written(records["careful"])
    assert told["fast"] == told["dict"] == told["careful"]


@SEEDED
@given(calls(), st.sampled_from(ZONES), st.frozensets(st.sampled_from(BREADCRUMBS), max_size=4))
def test_any_call_makes_the_same_record(
    call: Call, zone: ZoneInfo, deselected: frozenset[Breadcrumb]
) -> None:
    """Whatever stands where in a call, and whatever is selected: the same record and log."""
    check(call, zone=zone, deselected=deselected)


@SEEDED
@given(st.dictionaries(st.sampled_from(sorted(SCHEMA["properties"])) | names, values, max_size=9))
def test_any_object_makes_the_same_record(call: Call) -> None:
    """A call of anything at all comes out the same as well."""
    check(call | LEAST)


@pytest.mark.parametrize("name", ["_extra", "accounts.campaign.line_memo"])
def test_a_name_that_only_records_have_is_unknown_in_a_call(name: str) -> None:
    """Where the API itself sends it, null or not, it is kept as any unknown field."""
    for value in (None, 1, "x"):
        call: Call = value
        for part in reversed(name.split(".")):
            call = {part: call}
        check(call | LEAST)


TIMES = st.one_of(
    st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(str),  # noqa: DTZ001 - as the API
    st.from_regex(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?", fullmatch=True),
    st.sampled_from(["0000-00-00 00:00:00", "2020-W01-1 10:00:00", "2020-01-01 10:00+01", "", " "]),
)


@SEEDED
@given(TIMES, st.sampled_from(ZONES))
def test_any_time_makes_the_same_record(time: str, zone: ZoneInfo) -> None:
    """A time comes out the same however it is written."""
    check({**LEAST, "start_datetime": time, "callsaver": {"date": time}}, zone=zone)


@pytest.mark.parametrize("value", [["x"] * 19, {str(key): key for key in range(19)}])
def test_what_is_only_as_long_as_a_time_is_none(value: Any) -> None:
    """Whatever stands for a time, of as many parts as a time has characters: the same record."""
    check({**LEAST, "start_datetime": value})


def answered(switches: Switches) -> list[Call]:
    """Calls as the sandbox sends them, the vendor's example among them."""
    made_up = made_up_calls(200, seed=5, start=NOW - timedelta(days=50), end=NOW)
    callcap = Callcap(
        CallBook(chain(made_up, [VENDOR_EXAMPLE])), switches=switches, clock=lambda: NOW
    )
    params = {
        "search_startdate": "2000-01-01",
        "search_enddate": "2027-01-01",
        "show": "1000",
        "search_timezone": "UTC",
        "detail": "all,notes,demographics,scorecards,import,summaries,sentiment",
    }
    body = callcap.answer("/v2/get/calls/", params, "Bearer sandbox").body
    found: list[Call] = json.loads(body, parse_float=Decimal)["call"]
    assert len(found) == 201
    return found


@pytest.mark.parametrize("absent", ["null", "missing"])
def test_calls_as_documented_are_ordinary(absent: Any) -> None:
    """What the documents show takes the fast way: it is not left to the careful one."""
    decoder = struct_decoder(object_of(SCHEMA, SCHEMA, UTC), has_extra=True)
    found = answered(Switches(absent=absent))
    for call in found:
        decoder.decode(ENCODER.encode(call))
    check(*found)


@pytest.mark.parametrize(
    "name", ["import", "line break", "x: pass", "__post_init__", "field_0", "é"]
)
def test_a_property_may_have_any_name(name: str) -> None:
    """A catalog's own property comes out under its name, whatever that is in Python."""
    text = {"type": ["string", "null"]}
    schema = {**SCHEMA, "properties": {**SCHEMA["properties"], name: text, "caller": text}}
    raw = msgspec.Raw(ENCODER.encode(LEAST | {name: "x", "caller": "y"}))
    told: list[str] = []
    shape = Shaper(schema, UTC, told.append)
    record = written(shape(shape.decode(raw)[1]))
    assert (record[name], record["caller"], told) == ("x", "y", [])


@pytest.mark.parametrize("as_dict", [False, True])
def test_objects_may_be_nested_deep(*, as_dict: bool) -> None:
    """Values are coerced, and absent objects are empty, all the way down."""
    depth = 150
    made: dict[str, JSONSchema] = {"time": {"type": ["string", "null"], "format": "date-time"}}
    calls: list[Call] = [{"time": "2021-11-01 19:10:46"}, None]
    expected: list[Call] = [{"time": "2021-11-01T19:10:46Z"}, {}]
    for _ in range(depth):
        made = {"in": {"type": ["object", "null"], "properties": made}}
        calls = [{"in": call} for call in calls]
        expected = [{"in": record} for record in expected]
    schema = {**SCHEMA, "properties": {**SCHEMA["properties"], **made}}
    for call, record in zip([*calls, {}], [*expected, {"in": {}}], strict=True):
        shape = Shaper(schema, UTC, print, as_dict=as_dict)
        _, decoded = shape.decode(msgspec.Raw(ENCODER.encode(LEAST | call)))
        assert isinstance(decoded, msgspec.Struct)
        assert written(shape(decoded))["in"] == record["in"]


@pytest.mark.parametrize("name", [None, *LEAST])
def test_a_version_is_told_whatever_is_selected(name: str | None) -> None:
    """A call is decoded the fast way where what that makes of it still tells its version."""
    raw = msgspec.Raw(ENCODER.encode(LEAST))
    shaper = Shaper(SCHEMA, UTC, print, is_selected=lambda crumb: crumb != ("properties", name))
    version, decoded = shaper.decode(raw)
    assert isinstance(decoded, dict if name else msgspec.Struct)
    assert version == version_of(LEAST, UTC)
    assert written(shaper(decoded)) == written(shaper(LEAST))


@pytest.mark.parametrize("name", LEAST)
@pytest.mark.parametrize("value", [None, "", " \u00a0", [], {}, True])
def test_a_call_without_a_version_is_no_ordinary_one(name: str, value: Any) -> None:
    """What no version can be made of, though it may stand in a record, is not taken."""
    raw = msgspec.Raw(ENCODER.encode(LEAST | {name: value}))
    with pytest.raises(UnreadableError, match=f"a call has no readable {name}|not a date and time"):
        Shaper(SCHEMA, UTC, print).decode(raw)
