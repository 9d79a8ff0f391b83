"""Hashed fields are replaced by tokens, and their values appear nowhere else."""

from __future__ import annotations

import hashlib
import hmac
import json
from copy import deepcopy
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from singer_sdk.exceptions import ConfigurationError

from support import seeded
from support.histories import BEGINNING
from support.running import discovered, run_tap
from tap_callcap.records.hashing import TELEPHONE_NUMBERS, Hashing, normalized_number, problem_with
from tap_callcap.records.schema import load_schema
from tap_callcap.records.shaper import Shaper
from tap_callcap.sandbox import CallBook, Callcap, made_up_calls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_callcap.records.json import JSON
    from tap_callcap.records.shaper import Call

SEEDED = settings(seeded.SEEDED, max_examples=100)
KEY = "a long and random key"
SCHEMA = load_schema("calls")
UTC = ZoneInfo("UTC")
LEAST = {"call_id": "9", "last_modified": "2021-11-01 19:10:46"}
ENCODER = msgspec.json.Encoder(decimal_format="number")


def token(text: str, key: str = KEY) -> str:
    """The token of a text, as anybody can make it who has the key."""
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def shaped(call: Call, *paths: str, told: list[str] | None = None, **options: Any) -> Any:
    """A record, as JSON, of a call some of whose fields are hashed; read fast and with care."""
    lines: list[str] = [] if told is None else told
    options |= {"hashing": Hashing(frozenset(paths), KEY)}
    shape = Shaper(SCHEMA, UTC, lines.append, **options)
    with_care = json.loads(ENCODER.encode(shape(deepcopy(call | LEAST))))
    _, decoded = shape.decode(msgspec.Raw(ENCODER.encode(call | LEAST)))
    fast = json.loads(ENCODER.encode(shape(decoded)))
    assert fast == with_care
    return with_care


def test_a_token_is_an_hmac() -> None:
    """HMAC-SHA-256 by the key, in hexadecimal: what other systems can make as well."""
    record = shaped({"caller": {"name": "Jane Roe", "city": "Wichita"}}, "caller.name")
    assert record["caller"]["name"] == token("Jane Roe")
    assert record["caller"]["city"] == "Wichita"
    assert record["_extra"] is None


def test_tokens_reach_into_arrays() -> None:
    """Whatever a scorecard's answer was, its text is what is hashed."""
    answers = [{"entry": entry, "value": 1} for entry in ("Yes", True, 4, None, "", "é")]
    call = {"scorecards": [{"name": "A", "results": [{"question": "B", "answers": answers}]}]}
    record = shaped(call, "scorecards[].results[].answers[].entry", "scorecards[].name")
    (card,) = record["scorecards"]
    assert card["name"] == token("A")
    assert card["results"][0]["question"] == "B"
    entries = [answer["entry"] for answer in card["results"][0]["answers"]]
    plain = [answer["entry"] for answer in shaped(call)["scorecards"][0]["results"][0]["answers"]]
    assert plain == ["Yes", "true", "4", None, "", "é"]
    assert entries == [token("Yes"), token("true"), token("4"), None, "", token("é")]


@pytest.mark.parametrize("nothing", [None, "", " ", [], {}], ids=repr)
def test_nothing_stays_nothing(nothing: Any) -> None:
    """Null stays null and an empty text stays as it is, so that both can still be counted."""
    call = {"caller": {"name": nothing, "caller_id": nothing}}
    assert shaped(call, "caller.name", "caller.caller_id") == shaped(call)


@pytest.mark.parametrize("path", sorted(TELEPHONE_NUMBERS))
@pytest.mark.parametrize(
    "written",
    ["316-555-3333", "(316) 555-3333", "+1 316 555 3333", "13165553333", 3165553333, 13165553333],
    ids=repr,
)
def test_a_telephone_number_has_one_token(path: str, written: Any) -> None:
    """However a number is written, and in whichever field, its token is the same."""
    *parents, name = path.split(".")
    call: dict[str, Any] = {name: written}
    for parent in reversed(parents):
        call = {parent: call}
    record = shaped(call, path)
    for part in path.split("."):
        record = record[part]
    assert record == token("3165553333")


@pytest.mark.parametrize(
    ("number", "form"),
    [
        ("316-555-3333", "3165553333"),
        ("1-316-555-3333", "3165553333"),
        ("+44 20 7946 0958", "442079460958"),
        ("1234567", "1234567"),
        ("23165553333", "23165553333"),
        ("316-555-3333 x12", "316555333312"),
        ("Anonymous ", "Anonymous"),
        ("٣١٦", "٣١٦"),
    ],
)
def test_a_telephone_number_has_normalized_number(number: str, form: str) -> None:
    """Digits, without the country code of North America; a word stays one."""
    assert normalized_number(number) == form


def test_other_fields_are_hashed_as_they_are() -> None:
    """Only fields of telephone numbers have another form."""
    assert shaped({"notes": "1-316-555-3333"}, "notes")["notes"] == token("1-316-555-3333")


def test_the_key_makes_the_token() -> None:
    """With another key all tokens are others."""
    shape = Shaper(SCHEMA, UTC, print, hashing=Hashing(frozenset({"notes"}), "another"))
    assert shape({**LEAST, "notes": "x"})["notes"] == token("x", "another") != token("x")


@pytest.mark.parametrize(
    "odd", [{"n": "c4n4ry"}, ["c4n4ry"], [[{"a": "c4n4ry"}]]], ids=["object", "array", "deep"]
)
def test_a_hashed_field_of_another_type_is_hashed_too(odd: Any) -> None:
    """What fits no text would go to `_extra`; hashed, its JSON makes the token."""
    record = shaped({"caller": {"name": odd}}, "caller.name")
    assert record["caller"]["name"] == token(json.dumps(odd, separators=(",", ":")))
    assert record["_extra"] is None
    assert "c4n4ry" in shaped({"caller": {"name": odd}})["_extra"]


MISPLACED: dict[str, tuple[dict[str, Any], str]] = {
    "text for an object": ({"caller": "c4n4ry"}, "caller.name"),
    "array for an object": ({"caller": [{"name": "c4n4ry"}]}, "caller.caller_id"),
    "number for an object": ({"caller": 4444}, "caller.name"),
    "text for an array": ({"summaries": "c4n4ry"}, "summaries[].text"),
    "text for an item": ({"summaries": ["c4n4ry"]}, "summaries[].text"),
    "object for an array": (
        {"scorecards": [{"results": {"c4n4ry": 1}}]},
        "scorecards[].results[].answers[].entry",
    ),
    "further in": ({"callsurance": {"change_request": "c4n4ry"}}, "callsurance.csr.name"),
}


@pytest.mark.parametrize(("call", "path"), MISPLACED.values(), ids=MISPLACED)
def test_what_may_hold_a_hashed_field_is_left_out(call: dict[str, Any], path: str) -> None:
    """A value in the place of an object or array of hashed fields cannot be told apart."""
    told: list[str] = []
    record = shaped(call, path, told=told)
    is_elsewhere = "change_request" in str(call)
    assert (record["_extra"] is None) is not is_elsewhere
    kept = shaped(call)["_extra"]
    assert "c4n4ry" in kept or "4444" in kept
    assert is_elsewhere or told[0].endswith(
        "left out, since parts of it are hashed or not selected"
    )


@pytest.mark.parametrize(
    ("call", "left_out"),
    [
        ({"caller": "c4n4ry"}, ("caller", "name")),
        ({"caller": ["c4n4ry"]}, ("caller", "zip")),
        ({"accounts": {"campaign": "c4n4ry"}}, ("accounts", "campaign", "name")),
    ],
)
def test_what_may_hold_a_deselected_field_is_left_out(
    call: dict[str, Any], left_out: tuple[str, ...]
) -> None:
    """Deselecting a field drops it, also where the object around it is none."""
    crumb = tuple(part for name in left_out for part in ("properties", name))
    record = shaped(call, is_selected=lambda breadcrumb: breadcrumb != crumb)
    assert record["_extra"] is None
    assert "c4n4ry" in shaped(call)["_extra"]


def test_an_unknown_name_is_not_known_to_be_hashed() -> None:
    """A field under another name, or in another case, is a new field: it comes out in `_extra`."""
    record = shaped({"caller": {"Name": "Jane"}}, "caller.name")
    assert json.loads(record["_extra"]) == {"caller.Name": "Jane"}


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("caller.caller_id", None),
        ("scorecards[].results[].answers[].entry", None),
        ("accounts.campaign.line_memo", None),
        ("demographics.person", None),
        ("caller.callerid", "not a field: did you mean caller.caller_id?"),
        ("summaries.text", "not a field: did you mean summaries[].text?"),
        ("caller", "not a field: did you mean"),
        ("", "not a field: see the paths in --discover"),
        ("_extra", "not a field"),
        ("call_id", "which is a key and cannot be hashed"),
        ("last_modified", "which is a key and cannot be hashed"),
        ("start_datetime", "which is not a text field"),
        ("duration", "which is not a text field"),
        ("sentiment.satisfied", "which is not a text field"),
    ],
)
def test_only_text_fields_can_be_hashed(path: str, problem: str | None) -> None:
    """Never the keys, by which targets know a call; never what is not text in the target."""
    found = problem_with(path, SCHEMA)
    assert found is None if problem is None else problem in str(found)


def test_a_field_that_the_catalog_retypes_cannot_be_hashed() -> None:
    """A token where the catalog promises a number would be refused by the target."""
    retyped = deepcopy(SCHEMA)
    retyped["properties"]["dtmf"]["type"] = ["integer", "null"]
    with pytest.raises(
        ConfigurationError, match="hash_fields names dtmf, which is not a text field"
    ):
        Shaper(retyped, UTC, print, hashing=Hashing(frozenset({"dtmf"}), KEY))


def texts_in(value: JSON) -> Iterator[str]:
    """Every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for part in value.values() for text in texts_in(part))
    elif isinstance(value, list):
        yield from (text for part in value for text in texts_in(part))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just("c4n4ry"),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["name", "text", "caller_id"]), inner, max_size=3)
    ),
)


@SEEDED
@given(anything, anything, anything)
def test_nothing_under_a_hashed_name_comes_out(caller: Any, name: Any, summaries: Any) -> None:
    """Whatever stands where hashed fields belong: no text of it is in the record."""
    paths = ("caller.name", "caller.caller_id", "summaries[].text", "summaries[].type")
    where = {"name": name, "caller_id": name}
    for call in ({"caller": caller}, {"caller": where}, {"summaries": summaries}):
        known = {"caller_id", "name"} if "caller" in call else {"text", "type"}
        record = shaped(without_unknown(call, known), *paths)
        assert not [text for text in texts_in(record) if "c4n4ry" in text]


def without_unknown(call: dict[str, Any], known: set[str]) -> dict[str, Any]:
    """A call whose objects have only known names at the places that records know."""
    (key, value), *_ = call.items()
    if isinstance(value, dict):
        return {key: {name: part for name, part in value.items() if name in known}}
    if isinstance(value, list) and key == "summaries":
        items = (
            {name: part for name, part in item.items() if name in known}
            if isinstance(item, dict)
            else item
            for item in value
        )
        return {key: list(items)}
    return call


def test_a_run_hashes_and_maps_see_tokens() -> None:
    """Settings reach the records, of BATCH and stream maps as well; deselected stays deselected."""
    book = CallBook(made_up_calls(20, seed=5, start=BEGINNING - timedelta(days=3), end=BEGINNING))
    callcap = Callcap(book, clock=lambda: BEGINNING + timedelta(days=9))
    run = run_tap(
        callcap,
        hash_fields=["caller.caller_id", "caller.name", "notes"],
        hash_key=KEY,
        catalog=discovered(caller__name=False),
        stream_maps={"calls": {"who": "caller['caller_id']"}},
    )
    numbers = {call["call_id"]: (call["caller"] or {}).get("caller_id") for call in book}
    assert len(run.records) == 20
    for record in run.records:
        number = numbers[record["call_id"]]
        assert record["who"] == (token(normalized_number(number)) if number else number)
        assert "name" not in record["caller"]
    assert any(record["who"] for record in run.records)
