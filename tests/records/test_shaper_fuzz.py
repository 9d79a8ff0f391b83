"""Whatever JSON stands wherever in a call, a record of the schema comes out, and nothing is lost.

What is lost is found by walking the call beside its record, path by path, with the rules written
anew: no code of the tap says here what belongs where.
"""

from __future__ import annotations

import json
import re
from copy import deepcopy
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from support import seeded
from support.odd_values import (
    ENCODER,
    LEAST,
    calls,
    names,
    values,
)
from tap_callcap.records.json import decode_json
from tap_callcap.records.schema import load_schema
from tap_callcap.records.shaper import Shaper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_callcap.records.json import JSON
    from tap_callcap.records.schema import JSONSchema
    from tap_callcap.records.shaper import Call, Record

SEEDED = settings(seeded.SEEDED, max_examples=100)
CENTRAL = ZoneInfo("US/Central")
SCHEMA = load_schema("calls")
FORMATS = FormatChecker(formats=())
PATTERN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)


@FORMATS.checks("date-time", raises=ValueError)
def is_utc_date_time(value: object) -> bool:
    """Whether a text is an RFC 3339 date-time in UTC, ending in `Z`."""
    if not isinstance(value, str):
        return True
    datetime.fromisoformat(value.partition(".")[0].removesuffix("Z"))
    return PATTERN.fullmatch(value) is not None


VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FORMATS)


def is_nothing(value: JSON) -> bool:
    """Whether a value is one of the API's ways of saying nothing."""
    text = value.strip() if isinstance(value, str) else value
    return (
        text is None
        or text in ("", [], {})
        or re.match(r"0000-00-00[ 0:]*$", str(text)) is not None
    )


def says_the_same(source: JSON, shaped: JSON) -> bool:
    """Whether a plain value of a record says what the API's value said."""
    if shaped is None or isinstance(source, (dict, list)):
        return False
    text = str(source).strip()
    if isinstance(shaped, bool):
        return text.lower() in (("true", "yes", "1") if shaped else ("false", "no", "0"))
    if isinstance(shaped, (int, Decimal)):
        return Decimal(text) == shaped
    if shaped in {source, str(source), str(source).lower()}:
        return True
    return says_the_same_instant(text, shaped)


def says_the_same_instant(text: str, shaped: str) -> bool:
    """Whether a local time of US/Central is the instant that a record has."""
    if not PATTERN.fullmatch(shaped):
        return False
    if text.endswith("Z"):
        return text.removesuffix("Z") == shaped.removesuffix("Z")
    wall = datetime.fromisoformat(text).replace(tzinfo=CENTRAL)
    instant = datetime.fromisoformat(shaped.removesuffix("Z")).replace(tzinfo=timezone.utc)
    return wall == instant.astimezone(CENTRAL) or wall.astimezone(timezone.utc) == instant


def is_kept(path: str, value: JSON, extra: dict[str, JSON]) -> bool:
    """Whether `_extra` has the value under its path."""
    return any(key.rstrip("'") == path.rstrip("'") and extra[key] == value for key in extra)


def lost(
    source: JSON, shaped: JSON, schema: JSONSchema, extra: dict[str, JSON], path: str = ""
) -> Iterator[str]:
    """The paths of what a call says, and neither its record nor its `_extra` does."""
    if is_nothing(source) or is_kept(path, source, extra):
        return
    if isinstance(source, dict) and "properties" in schema:
        yield from lost_of_object(source, shaped, schema, extra, path)
    elif isinstance(source, list) and "items" in schema:
        items = iter(shaped)
        for index, item in enumerate(source):
            if item is not None:
                yield from lost(item, next(items), schema["items"], extra, f"{path}[{index}]")
    elif schema.get("contentMediaType") == "application/json":
        if json.loads(shaped, parse_float=Decimal) != source:
            yield path
    elif not schema or not says_the_same(source, shaped):
        yield path


def lost_of_object(
    source: dict[str, JSON],
    shaped: Record,
    schema: JSONSchema,
    extra: dict[str, JSON],
    path: str,
) -> Iterator[str]:
    """The paths of what an object says, a null under an unknown name included."""
    for key, value in source.items():
        inner = f"{path}.{key}".removeprefix(".")
        name = "line_memo" if key == "line-memo" else key
        known = {} if key in {"line_memo", "_extra"} else schema["properties"].get(name, {})
        if value is None and not known and not is_kept(inner, value, extra):
            yield inner
        yield from lost(value, shaped.get(name), known, extra, inner)


def check(call: Call) -> None:
    """Shape a call, and check all that is promised of its record."""
    told: list[str] = []
    before = deepcopy(call)
    shape = Shaper(SCHEMA, CENTRAL, told.append)
    record: Record = shape(call)
    assert call == before
    message = json.loads(ENCODER.encode(record), parse_float=Decimal)
    VALIDATOR.validate(message)
    has_all_properties(message, SCHEMA)
    extra = json.loads(message["_extra"] or "{}", parse_float=Decimal)
    assert list(lost(call, message, SCHEMA, extra)) == []
    assert bool(told) >= bool(extra)
    assert all(re.fullmatch(r"Field [a-z_?.-]+: [a-z0-9_;, -]+", line) for line in told)
    assert len(told) == len(set(told))
    assert shape(call) == record


def has_all_properties(value: JSON, schema: JSONSchema) -> None:
    """Check that no object lacks a property or has another, and no array holds a null."""
    if isinstance(value, dict) and value:  # else it is absent
        assert value.keys() == schema["properties"].keys()
        for name, part in value.items():
            has_all_properties(part, schema["properties"][name])
    elif isinstance(value, list):
        assert None not in value
        for item in value:
            has_all_properties(item, schema["items"])


@SEEDED
@given(calls())
def test_anything_in_any_place_of_a_call_makes_a_whole_record(call: Call) -> None:
    """Any JSON value in any place: a valid record, all properties, nothing lost, nothing raised."""
    check(call)


@SEEDED
@given(st.dictionaries(st.sampled_from(sorted(SCHEMA["properties"])) | names, values, max_size=9))
@example({"caller": False, "caller.zip": 1, "summaries": [0, {"text": {}}, []], "_extra": ""})
def test_any_object_makes_a_whole_record(call: Call) -> None:
    """A call of anything at all, known names or not, is a record just as well."""
    check(call | LEAST)


@SEEDED
@given(calls())
def test_a_decoded_call_makes_a_whole_record(call: Call) -> None:
    """The same holds for what comes out of the decoder, with what databases refuse in it."""
    wild = json.dumps({**call, "\udfff\0": ["\ud800", float("nan")]}, default=float)
    check(decode_json(wild.encode(), None))


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ("2026-11-24T10:05:00Z", True),
        ("2026-11-24T10:05:00.5Z", True),
        ("2026-11-24T10:05:00", False),
        ("2026-11-24T10:05:00+00:00", False),
        ("2026-11-24 10:05:00Z", False),
        ("2026-02-30T10:05:00Z", False),
    ],
)
def test_the_check_of_formats_can_fail(text: str, is_valid: bool) -> None:
    """What these tests check records with tells UTC date-times from others."""
    record: dict[str, Any] = {**LEAST, "last_modified": text}
    assert VALIDATOR.is_valid(record) is is_valid


def test_the_search_for_what_is_lost_can_find_something() -> None:
    """What these tests look for losses with sees one in each kind of place."""
    call = {
        **LEAST,
        "duration": 5,
        "caller": {"zip": "x", "age": None},
        "summaries": [{"text": "y"}],
    }
    record = Shaper(SCHEMA, CENTRAL, lambda _: None)(call)
    assert list(lost(call, record, SCHEMA, {"caller.age": None})) == []
    record |= {"duration": 6, "caller": {}, "summaries": [{"text": None}]}
    found = list(lost(call, record, SCHEMA, {}))
    assert found == ["duration", "caller.zip", "caller.age", "summaries[0].text"]
