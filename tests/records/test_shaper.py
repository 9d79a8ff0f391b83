"""One call of the API becomes one record of the schema, and nothing is lost."""

from __future__ import annotations

import json
from copy import deepcopy
from decimal import Decimal
from itertools import product
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from support.vendor_example import VENDOR_CALL
from tap_callcap.instants import UnreadableError
from tap_callcap.records.schema import load_schema
from tap_callcap.records.shaper import Shaper, version_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_callcap.records.shaper import Call, Record

CENTRAL = ZoneInfo("US/Central")
SCHEMA = load_schema("calls")
EXAMPLE = json.loads(json.dumps(VENDOR_CALL), parse_float=Decimal)
LEAST = {"call_id": "1", "last_modified": "2021-11-01 19:10:46"}


@pytest.fixture
def told() -> list[str]:
    """What the log is told."""
    return []


@pytest.fixture
def shape(told: list[str]) -> Callable[[Call], Record]:
    """Shapes a call by the schema that the tap ships."""
    return Shaper(SCHEMA, CENTRAL, told.append)


def vendor_call() -> Call:
    """The vendor's example under the API's own names."""
    call: Call = deepcopy(EXAMPLE)
    campaign = call["accounts"]["campaign"]
    campaign["line-memo"] = campaign.pop("line_memo")
    return call


def test_the_vendors_example_is_read_whole(
    shape: Callable[[Call], Record], told: list[str]
) -> None:
    """Every documented field has its place: nothing is left over, nothing is told."""
    record = shape(vendor_call())
    assert record["_extra"] is None
    assert told == []
    assert record["start_datetime"] == "2020-09-01T14:07:15Z"
    assert record["last_modified"] == "2021-11-02T00:10:46Z"
    assert record["callsaver"]["date"] == "2020-06-12T21:46:33Z"
    assert record["demographics"] == {
        "person": "{}",
        "demographics": "{}",
        "property": "{}",
        "addresses": "[]",
        "emails": "[]",
        "vehicles": "[]",
    }
    times = {"start_datetime", "end_datetime", "last_modified", "callsaver"}
    same = set(EXAMPLE) - times - {"demographics", "scorecards"}
    assert {name: record[name] for name in same} == {name: EXAMPLE[name] for name in same}


def test_an_answer_is_text_whatever_its_kind(shape: Callable[[Call], Record]) -> None:
    """A scorecard's `entry` is a boolean, a text or a number: one column takes them all."""
    entries = [True, False, "Widgets", 7, Decimal("8.0000"), ""]
    call = {**LEAST, "scorecards": [{"results": [{"answers": [{"entry": e} for e in entries]}]}]}
    answers = shape(call)["scorecards"][0]["results"][0]["answers"]
    assert [a["entry"] for a in answers] == ["true", "false", "Widgets", "7", "8.0000", ""]


def test_line_memo_is_read_under_its_hyphen(shape: Callable[[Call], Record]) -> None:
    """The API's `line-memo` is `line_memo` in the record; the latter from the API is unknown."""
    campaign = {"line-memo": "Memo", "line_memo": "Other"}
    record = shape({**LEAST, "accounts": {"campaign": campaign}})
    assert record["accounts"]["campaign"]["line_memo"] == "Memo"
    assert json.loads(record["_extra"]) == {"accounts.campaign.line_memo": "Other"}


def test_every_property_is_in_every_record(shape: Callable[[Call], Record]) -> None:
    """What a call lacks is null, an absent object empty, which all targets take."""
    record = shape(dict(LEAST))
    modified = {"last_modified": "2021-11-02T00:10:46Z"}
    nothing: Record = {
        name: {} if "object" in part["type"] else None
        for name, part in SCHEMA["properties"].items()
    }
    assert record == {**nothing, "call_id": "1", **modified}
    assert shape({**dict.fromkeys(EXAMPLE), **LEAST}) == record


def test_an_object_that_is_there_has_all_its_properties(shape: Callable[[Call], Record]) -> None:
    """Only an absent object is empty, also within others and in arrays."""
    record = shape({**LEAST, "caller": {}, "accounts": {"campaign": None}, "summaries": [{}, ""]})
    assert record["caller"] == dict.fromkeys(SCHEMA["properties"]["caller"]["properties"])
    assert record["accounts"]["campaign"] == {}
    assert record["summaries"] == [{"type": None, "text": None}, {}]


def test_no_two_records_share_an_absent_object(shape: Callable[[Call], Record]) -> None:
    """Code that changes a record changes no other."""
    shape(dict(LEAST))["caller"]["zip"] = "67202"
    shape({**LEAST, "caller": ""})["caller"]["zip"] = "67202"
    assert shape(dict(LEAST))["caller"] == shape({**LEAST, "caller": ""})["caller"] == {}


@pytest.mark.parametrize("nothing", [None, "", []], ids=["null", "text", "list"])
def test_an_empty_value_in_place_of_an_object_or_array_says_nothing(
    shape: Callable[[Call], Record], told: list[str], nothing: object
) -> None:
    """The server writes an empty text or list for an empty object, and the other way round."""
    record = shape({**LEAST, "caller": nothing, "scorecards": nothing})
    assert record["caller"] == {}
    assert record["scorecards"] == (None if nothing is None else [])
    assert record["_extra"] is None
    assert told == []


@pytest.mark.parametrize("value", ["canary", 0, 7, False, True, Decimal(0), ["x"]], ids=repr)
def test_a_value_in_place_of_an_object_is_kept_in_extra(
    shape: Callable[[Call], Record], told: list[str], value: object
) -> None:
    """Even false and 0, which say something, are not lost where an object should be."""
    record = shape({**LEAST, "caller": value})
    assert record["caller"] == {}
    assert json.loads(record["_extra"]) == {"caller": value}
    assert told == ["Field caller: not an object; kept in _extra"]


@pytest.mark.parametrize("value", ["canary", 0, False, {"x": 1}], ids=repr)
def test_a_value_in_place_of_an_array_is_kept_in_extra(
    shape: Callable[[Call], Record], told: list[str], value: object
) -> None:
    """An array that is none comes out empty, and what was there is not lost."""
    record = shape({**LEAST, "summaries": value})
    assert record["summaries"] == []
    assert json.loads(record["_extra"]) == {"summaries": value}
    assert told == ["Field summaries: not an array; kept in _extra"]


def test_nulls_in_an_array_are_left_out(shape: Callable[[Call], Record]) -> None:
    """BigQuery takes no null inside an array."""
    record = shape({**LEAST, "summaries": [None, {"text": "Brief."}, None]})
    assert record["summaries"] == [{"type": None, "text": "Brief."}]


def test_arrays_of_plain_values_hold_no_nulls(told: list[str]) -> None:
    """What an item is read as counts too: an empty text among numbers is no number."""
    integers = {"type": ["array", "null"], "items": {"type": ["integer"]}}
    properties = {
        "counts": integers,
        "days": {"type": "array", "items": {"type": "string", "format": "date-time"}},
        "rows": {"type": "array", "items": integers},
        "_extra": {"type": "string"},
    }
    call = {
        "counts": [1, None, "", "2", "x"],
        "days": ["0000-00-00", "2021-12-01"],
        "rows": [["1", ""], [], None, "y"],
    }
    assert Shaper({"properties": properties}, CENTRAL, told.append)(call) == {
        "counts": [1, 2],
        "days": ["2021-12-01T06:00:00Z"],
        "rows": [[1], [], []],
        "_extra": '{"counts[4]":"x","rows[3]":"y"}',
    }
    assert told == [
        "Field counts: not an integer; kept in _extra",
        "Field days: the date 0000-00-00 is read as null",
        "Field rows: not an array; kept in _extra",
    ]


def test_a_zero_date_is_null_with_one_warning(
    shape: Callable[[Call], Record], told: list[str]
) -> None:
    """A database's word for no date says nothing that should be kept."""
    for _ in range(3):
        record = shape({**LEAST, "end_datetime": "0000-00-00 00:00:00"})
        assert record["end_datetime"] is None
        assert record["_extra"] is None
    assert told == ["Field end_datetime: the date 0000-00-00 is read as null"]


def test_an_unreadable_value_is_kept_in_extra(
    shape: Callable[[Call], Record], told: list[str]
) -> None:
    """A value that fits no reading of its type stops nothing and is not lost."""
    record = shape({**LEAST, "duration": "12:30", "revenue": Decimal("1E400"), "rings": 2**70})
    assert [record[name] for name in ("duration", "revenue", "rings")] == [None, None, None]
    assert record["_extra"] == f'{{"duration":"12:30","revenue":1E+400,"rings":{2**70}}}'
    assert told == [
        "Field duration: not an integer; kept in _extra",
        "Field rings: not an integer of 64 bits; kept in _extra",
        "Field revenue: a number too large for a double; kept in _extra",
    ]


def test_what_has_no_place_is_lost_without_extra(told: list[str]) -> None:
    """Whoever deselects `_extra` hears what that costs."""
    shape = Shaper(SCHEMA, CENTRAL, told.append, is_selected=lambda each: each[-1] != "_extra")
    record: dict[str, Any] = shape({**LEAST, "duration": "12:30", "tier": "gold"})
    assert "_extra" not in record
    lost = "lost, because _extra is not selected"
    assert told == [f"Field duration: not an integer; {lost}", f"Field tier: unknown; {lost}"]


def test_unknown_fields_are_kept_in_extra_wherever_they_are(
    shape: Callable[[Call], Record], told: list[str]
) -> None:
    """At the top, in an object and in an array: keyed by path, sorted, numbers as written."""
    call = {
        **LEAST,
        "zeta": None,
        "caller": {"age": {"b": Decimal("8.0000"), "a": [1]}},
        "scorecards": [{"weight": 1}, {"results": [{"answers": [{"color": "red"}]}], "weight": 2}],
        "_extra": "mine",
    }
    assert shape(call)["_extra"] == (
        '{"_extra":"mine","caller.age":{"a":[1],"b":8.0000},'
        '"scorecards[0].weight":1,"scorecards[1].results[0].answers[0].color":"red",'
        '"scorecards[1].weight":2,"zeta":null}'
    )
    fields = ["_extra", "caller.?", "scorecards.?", "scorecards.results.answers.?", "zeta"]
    assert sorted(told) == [f"Field {field}: unknown; kept in _extra" for field in fields]


def test_leftovers_of_one_call_do_not_show_up_in_the_next(
    shape: Callable[[Call], Record], told: list[str]
) -> None:
    """Each record has its own `_extra`; a field is told of once, in however many calls it is."""
    assert shape({**LEAST, "tier": "gold"})["_extra"] == '{"tier":"gold"}'
    assert shape({**LEAST, "tier": "tin"})["_extra"] == '{"tier":"tin"}'
    assert shape(dict(LEAST))["_extra"] is None
    assert told == ["Field tier: unknown; kept in _extra"]


def test_a_name_that_looks_like_a_path_displaces_nothing(shape: Callable[[Call], Record]) -> None:
    """Two fields that would have the same key in `_extra` are both kept."""
    caller = {"age": 1}
    record = shape({
        **LEAST,
        "caller": caller,
        "caller.age": 2,
        "summaries": [5],
        "summaries[0]": 6,
    })
    assert json.loads(record["_extra"]) == {
        "caller.age": 1,
        "caller.age'": 2,
        "summaries[0]": 5,
        "summaries[0]'": 6,
    }


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("555-555-0100", "?"),
        ("+1 555", "?"),
        ("canary@example.com", "?"),
        ("tier2", "?"),
        ("", "?"),
        ("Канарейка", "?"),
        ("a" * 64, "?"),
        ("x\n", "?"),
        ("Canary", "?"),
        ("can-ary", "?"),
        ("a.b", "?"),
        ("tier_of_old", "tier_of_old"),
        ("a" * 63, "a" * 63),
    ],
)
def test_a_field_name_that_may_be_about_people_stays_out_of_the_log(
    shape: Callable[[Call], Record], told: list[str], name: str, field: str
) -> None:
    """The API may use a telephone number as a key: the log shows only names like its own."""
    record = shape({**LEAST, name: "canary"})
    assert json.loads(record["_extra"]) == {name: "canary"}
    assert told == [f"Field {field}: unknown; kept in _extra"]


@pytest.mark.parametrize("name", ["age", "john_smith", "555-555-0100", "a.b", "list[5550100]"])
def test_inside_an_object_no_unknown_name_is_shown(
    shape: Callable[[Call], Record], told: list[str], name: str
) -> None:
    """Its keys may be data, whatever they look like; the path of the object is shown."""
    record = shape({**LEAST, "caller": {name: "canary"}, "scorecards": [{"results": [{name: 1}]}]})
    assert json.loads(record["_extra"]) == {
        f"caller.{name}": "canary",
        f"scorecards[0].results[0].{name}": 1,
    }
    assert told == [
        "Field caller.?: unknown; kept in _extra",
        "Field scorecards.results.?: unknown; kept in _extra",
    ]


def test_many_names_are_told_of_once(shape: Callable[[Call], Record], told: list[str]) -> None:
    """A key for each telephone number or person makes one line in the log, not thousands."""
    for number in range(100):
        shape({**LEAST, "caller": {f"555-{number}": 1}, f"555-{number}": 1})
    assert sorted(told) == [f"Field {name}: unknown; kept in _extra" for name in ("?", "caller.?")]
    told.clear()
    names = ["".join(pair) for pair in product("abcdefgh", repeat=2)]
    for name in names * 2:
        assert json.loads(shape({**LEAST, name: 1})["_extra"]) == {name: 1}
    assert told == [
        *(f"Field {name}: unknown; kept in _extra" for name in names[:20]),
        "Field ?: unknown; kept in _extra; only the first 20 names are shown",
    ]


DESELECTED = [
    ("properties", "caller"),
    ("properties", "caller", "properties", "zip"),
    ("properties", "accounts", "properties", "campaign", "properties", "line_memo"),
    ("properties", "summaries", "items", "properties", "text"),
    ("properties", "duration"),
]


@pytest.mark.parametrize("crumb", DESELECTED, ids=itemgetter(-1))
def test_a_deselected_property_is_dropped(told: list[str], crumb: tuple[str, ...]) -> None:
    """What the user does not want comes out nowhere, not in `_extra` either."""
    asked: list[tuple[str, ...]] = []

    def is_selected(breadcrumb: tuple[str, ...]) -> bool:
        asked.append(breadcrumb)
        return breadcrumb != crumb

    shape = Shaper(SCHEMA, CENTRAL, told.append, known=SCHEMA, is_selected=is_selected)
    record = shape({
        **LEAST,
        "duration": "canary" if crumb[-1] == "duration" else 1,
        "caller": {"zip": "canary"},
        "accounts": {"campaign": {"line-memo": "canary"}},
        "summaries": [{"text": "canary"}],
    })
    whole = Shaper(SCHEMA, CENTRAL, told.append)(dict(LEAST))
    assert crumb in asked
    assert record["_extra"] is None
    assert told == []
    assert json.dumps(record).count("canary") == (3 if crumb[-1] == "duration" else 2)
    assert set(whole) - set(record) == ({crumb[-1]} if len(crumb) == 2 else set())


def test_extra_can_be_deselected(told: list[str]) -> None:
    """A record has no `_extra` where the catalog does not select it."""
    schema = {"properties": {"a": {"type": "string"}, "_extra": {"type": "string"}}}
    shape = Shaper(schema, CENTRAL, told.append, is_selected=lambda c: c[-1] != "_extra")
    assert shape({"a": "x", "b": 1}) == {"a": "x"}


def test_what_the_users_catalog_lacks_is_dropped(told: list[str]) -> None:
    """A property that the user took out of the schema is no unknown field."""
    narrowed = deepcopy(SCHEMA)
    properties = narrowed["properties"]
    del properties["duration"], properties["sentiment"]
    del properties["summaries"]["items"]["properties"]["text"]
    del properties["accounts"]["properties"]["campaign"]["properties"]["line_memo"]
    shape = Shaper(narrowed, CENTRAL, told.append, known=SCHEMA)
    record = shape({**vendor_call(), "tier": 1})
    assert set(SCHEMA["properties"]) - set(record) == {"duration", "sentiment"}
    assert "line_memo" not in record["accounts"]["campaign"]
    assert record["summaries"] == [{"type": s["type"]} for s in EXAMPLE["summaries"]]
    assert json.loads(record["_extra"]) == {"tier": 1}
    del properties["_extra"]
    shape = Shaper(narrowed, CENTRAL, told.append, known=SCHEMA)
    assert "_extra" not in shape({**vendor_call(), "tier": 1})


def test_the_users_catalog_may_give_a_property_another_type(told: list[str]) -> None:
    """A column that must stay a text stays one, may the shipped schema say integer or object."""
    retyped = deepcopy(SCHEMA)
    retyped["properties"]["duration"] = {"type": "string"}
    retyped["properties"]["caller"] = {"type": "string", "contentMediaType": "application/json"}
    record = Shaper(retyped, CENTRAL, told.append, known=SCHEMA)(vendor_call())
    assert record["duration"] == "570"
    assert json.loads(record["caller"]) == EXAMPLE["caller"]


def test_a_call_is_not_changed(shape: Callable[[Call], Record]) -> None:
    """Shaping reads a call and leaves it as it was."""
    call = vendor_call()
    shape(call)
    assert call == vendor_call()


@pytest.mark.parametrize(
    ("call_id", "version_id"), [("9_1", "9_1"), (" 9 ", " 9 "), (91, "91")], ids=repr
)
def test_a_version_is_a_key_and_an_instant(
    shape: Callable[[Call], Record], call_id: object, version_id: str
) -> None:
    """A call's version is its key as the record has it, and its last change in UTC."""
    call = {"call_id": call_id, "last_modified": "2021-11-01 19:10:46"}
    assert version_of(call, CENTRAL) == (version_id, "2021-11-02T00:10:46Z")
    assert shape(call)["call_id"] == version_id


NO_KEYS: tuple[object, ...] = ("", "  ", None, True, 1.5, Decimal(1), ["1"], {})
NO_INSTANTS: tuple[object, ...] = ("", None, 0, "canary", "0000-00-00", ["x"])


@pytest.mark.parametrize(
    "call",
    [
        *({**LEAST, "call_id": odd} for odd in NO_KEYS),
        *({**LEAST, "last_modified": odd} for odd in NO_INSTANTS),
        {"call_id": "1"},
        {"last_modified": "2021-11-01"},
        "canary",
        None,
        [],
    ],
    ids=repr,
)
def test_a_call_without_key_or_change_is_an_error(call: object) -> None:
    """Without them a call cannot be placed, and what it holds is not shown."""
    with pytest.raises(UnreadableError) as caught:
        version_of(call, CENTRAL)
    assert "canary" not in str(caught.value)
