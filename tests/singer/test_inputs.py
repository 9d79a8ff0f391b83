"""A config, state or catalog that cannot be taken is one line that says where it is wrong."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import partial
from io import StringIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from singer_sdk.exceptions import ConfigurationError

from support import seeded
from support.running import catalog_of, discovered, state_at
from tap_callcap.singer.inputs import check_catalog, check_state, read_json_object
from tap_callcap.tap import TapCallcap

SEEDED = settings(seeded.SEEDED, max_examples=80)
CATALOG: dict[str, Any] = json.loads(json.dumps(discovered()))
DEEP = '{"a":' * 100_000


def line_of(check: Any, *arguments: Any) -> str:
    """The line with which a check fails."""
    with pytest.raises(ConfigurationError) as caught:
        check(*arguments)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def tap_of(**given: Any) -> TapCallcap:
    """A tap, as the command makes it of a state and a catalog."""
    for name, check in (("state", check_state), ("catalog", check_catalog)):
        if name in given:
            check(given[name], ["calls"])
    return TapCallcap(config={"api_key": "key"}, **given)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "The state is not JSON: it is empty or not text"),
        (" \n", "The state is not JSON: it is empty or not text"),
        ("{", "The state is not JSON"),
        ('{"api_key": "c4n4ry', "The state is not JSON"),
        ("{'a': 1}", "The state is not JSON"),
        (DEEP, "The state is nested more than 100 levels deep"),
        ("[]", "The state must be a JSON object"),
        ("null", "The state must be a JSON object"),
        ("7", "The state must be a JSON object"),
        ('"c4n4ry"', "The state must be a JSON object"),
        (r'{"a": "\ud800"}', "The state is not JSON"),
        ('{"a": 1e999999999999999999999}', "The state is not JSON"),
    ],
    ids=lambda text: str(text)[:12],
)
def test_a_file_must_be_a_json_object(text: str, line: str) -> None:
    """Anything else is told by its name, without what is in it."""
    assert line_of(read_json_object, lambda: text, "state") == line


@pytest.mark.parametrize("text", ["[{}]", '{{"a": {}}}'], ids=["list", "object"])
@pytest.mark.parametrize("levels", [100, 400, 5000])
def test_a_file_that_is_nested_too_deeply_is_named(levels: int, text: str) -> None:
    """The SDK's code for catalogs and schemas is recursive, and would fail without a word."""
    deep = text.format("[" * levels + "]" * levels)
    line = line_of(read_json_object, lambda: deep, "catalog")
    assert line == "The catalog is nested more than 100 levels deep"


def test_a_file_must_be_text() -> None:
    """Bytes that are no text are no JSON either."""
    read = partial(b"\xff\xfe{}".decode, "utf-8")
    assert line_of(read_json_object, read, "state").endswith("it is empty or not text")


def test_a_json_object_is_read() -> None:
    """Its text is handed on, with a byte order mark as editors of Windows leave it."""
    for text in ('{"a": 1}', '\ufeff{"a": 1}'):
        assert read_json_object(StringIO(text).read, "state") == (text, {"a": 1})


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"bookmarks": {}},
        state_at("2026-01-01T00:00:00Z"),
        {"currently_syncing": None, "bookmarks": {"calls": {}, "more": {}}},
    ],
    ids=["empty", "no bookmark", "a bookmark", "another too"],
)
def test_a_state_of_this_tap_is_taken(state: dict[str, Any]) -> None:
    """Whatever this tap can have written, in this version or another."""
    tap_of(state=deepcopy(state))


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (
            {"calls": "2026-01-01"},
            "The state has no bookmarks: use the value of this tap's last STATE",
        ),
        (
            {"bookmarks": {"b": {}, "a": {}}},
            "The state has bookmarks of 'a', 'b', but none of calls: it belongs to another tap",
        ),
        ({"bookmarks": []}, "The state is wrong at $.bookmarks (Expected `object`, got `array`)"),
        ({"bookmarks": None}, "wrong at $.bookmarks (Expected `object`, got `null`): use the"),
        ({"bookmarks": {"calls": "2026-01-01"}}, "wrong at $.bookmarks[...] (Expected `object`"),
        ({"bookmarks": {"calls": {"partitions": 5}}}, "wrong at $.bookmarks[...].partitions ("),
        ({"bookmarks": {"calls": {"progress_markers": None}}}, "[...].progress_markers ("),
    ],
    ids=["none", "another tap's", "list", "null", "text", "partitions", "markers"],
)
def test_another_state_is_refused(state: dict[str, Any], line: str) -> None:
    """A run that took no notice of it would read all history again, or lose its bookmark."""
    assert line in line_of(lambda: tap_of(state=state))


def changed(**changes: Any) -> dict[str, Any]:
    """The discovered catalog, with other values in the entry of its stream."""
    catalog: dict[str, Any] = deepcopy(CATALOG)
    catalog["streams"][0] |= changes
    return catalog


def with_property(name: str, schema: Any) -> dict[str, Any]:
    """The discovered catalog, with another schema for a property; none leaves it out."""
    catalog: dict[str, Any] = deepcopy(CATALOG)
    properties = catalog["streams"][0]["schema"]["properties"]
    properties[name] = schema
    if schema is None:
        del properties[name]
    return catalog


ENTRY = CATALOG["streams"][0]
WRONG_AT = "The catalog is wrong at"
ANEW = "make a new one with --discover"
METADATA = [{"breadcrumb": [], "metadata": {"selected": False}}]
TYPELESS: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "null"}]}
ENTRY_AT = "$.streams[0]"
SCHEMA_AT = f"{ENTRY_AT}.schema"
PROPERTY_AT = f"{SCHEMA_AT}.properties[...]"
CATALOGS: dict[str, tuple[Any, str]] = {
    "empty": ({}, f"{WRONG_AT} $ (Object missing required field `streams`): {ANEW}"),
    "streams null": ({"streams": None}, f"{WRONG_AT} $.streams (Expected `array`, got `null`): "),
    "stream a text": ({"streams": ["calls"]}, f"{WRONG_AT} {ENTRY_AT} (Expected `object`, got"),
    "stream without schema": (
        {"streams": [{"tap_stream_id": "calls"}]},
        f"{WRONG_AT} {ENTRY_AT} (Object missing required field `schema`): {ANEW}",
    ),
    "schema a list": (changed(schema=[]), f"{SCHEMA_AT} (Expected `object`, got `array`)"),
    "schema without properties": (
        changed(schema={"type": "object"}),
        f"{SCHEMA_AT} (Object missing required field `properties`)",
    ),
    "deselected in its entry": (
        changed(selected=False),
        f"{WRONG_AT} {ENTRY_AT} (It has `selected` outside metadata): {ANEW}",
    ),
    "deselected in its schema": (
        changed(schema=ENTRY["schema"] | {"selected": False}),
        f"{SCHEMA_AT} (It has `selected` outside metadata)",
    ),
    "property deselected in its schema": (
        with_property("dtmf", {"type": "string", "selected": False}),
        f"{PROPERTY_AT} (It has `selected` outside metadata)",
    ),
    "metadata misspelt": (
        changed(metadata=[{"breadcrumb": ["properties", "dtmf"], "metadata": {"Selcted": 1}}]),
        "metadata of calls at ['properties', 'dtmf'] has 'Selcted': did you mean selected?",
    ),
    "metadata with underscores": (
        changed(metadata=[{"breadcrumb": [], "metadata": {"selected_by_default": False}}]),
        "has 'selected_by_default': did you mean selected-by-default?",
    ),
    "keys a text": (changed(key_properties="c4n4ry"), f"{ENTRY_AT}.key_properties (Expected `arr"),
    "method unknown": (changed(replication_method="c4n4ry"), "replication_method (Unknown value)"),
    "metadata null": (changed(metadata=[None]), f"{ENTRY_AT}.metadata[0] (Expected `object`, got"),
    "property a text": (with_property("dtmf", "c4n4ry"), f"{PROPERTY_AT} (Expected `object`, got"),
    "property without type": (
        with_property("dtmf", TYPELESS),
        f"{PROPERTY_AT} (Object missing required field `type`)",
    ),
    "only null": (
        with_property("dtmf", {"type": ["null"]}),
        f"{PROPERTY_AT} (It has no type besides `null`)",
    ),
    "object without properties": (
        with_property("dtmf", {"type": ["null", "object"]}),
        f"{PROPERTY_AT} (Object missing required field `properties`)",
    ),
    "object of nothing": (
        with_property("dtmf", {"type": ["null", "object"], "properties": {}}),
        f"{PROPERTY_AT} (It has no properties)",
    ),
    "array without items": (
        with_property("dtmf", {"type": "array"}),
        f"{PROPERTY_AT} (Object missing required field `items`)",
    ),
    "type unknown": (with_property("dtmf", {"type": "c4n4ry"}), f"{PROPERTY_AT}.type (Unknown va"),
    "no type": (with_property("dtmf", {"type": []}), f"{PROPERTY_AT} (It has no type besides `n"),
    "format no text": (
        with_property("dtmf", {"type": "string", "format": ["c4n4ry"]}),
        f"{PROPERTY_AT}.format (Expected `str | null`, got `array`)",
    ),
    "stream unknown": (
        changed(tap_stream_id="call"),
        "The catalog has an unknown stream 'call': did you mean calls?",
    ),
    "stream unheard of": (
        changed(tap_stream_id="contacts"),
        "an unknown stream 'contacts': this tap has calls",
    ),
    "stream twice": (
        {"streams": CATALOG["streams"] * 2},
        "The catalog has the stream 'calls' twice: remove one",
    ),
    "stream named otherwise": (
        changed(stream="talks"),
        "The catalog gives the stream calls another name: use stream_maps for that",
    ),
    "name of a stream a list": (changed(stream=[{}]), f"{WRONG_AT} {ENTRY_AT}.stream (Expect"),
    "name of a stream a number": (changed(stream=1), f"{WRONG_AT} {ENTRY_AT}.stream (Expected `"),
    "no stream": ({"streams": []}, "The catalog selects no stream: "),
    "all deselected": (changed(metadata=METADATA), "The catalog selects no stream: "),
    "no call_id": (with_property("call_id", None), f"calls has no property call_id: {ANEW}"),
    "no last_modified": (with_property("last_modified", None), "has no property last_modified"),
    "no keys": (
        changed(key_properties=[], metadata=[]),
        f"calls has no call_id among the key_properties: {ANEW}",
    ),
    "other keys": (changed(key_properties=["dtmf"]), "no call_id among the key_properties"),
    "no replication key": (
        changed(replication_key=None, metadata=[]),
        f"The catalog's stream calls has no replication_key last_modified: {ANEW}",
    ),
    "another replication key": (changed(replication_key="dtmf"), "no replication_key last"),
    "nested too deep": (
        {"streams": json.loads("[" * 900 + "]" * 900)},
        f"{WRONG_AT} {ENTRY_AT} (E",
    ),
}


@pytest.mark.parametrize(("catalog", "line"), CATALOGS.values(), ids=CATALOGS)
def test_a_wrong_catalog_is_refused(catalog: dict[str, Any], line: str) -> None:
    """One that would read nothing, lose keys, or end in the middle of a run."""
    told = line_of(lambda: tap_of(catalog=catalog))
    assert line in told
    assert "c4n4ry" not in told


def test_a_stream_may_be_deselected_in_its_entry_too() -> None:
    """As Meltano does beside the metadata."""
    deselected = [{"breadcrumb": [], "metadata": {"selected": False}}]
    check_catalog(changed(selected=False, metadata=deselected), ["calls"])


@pytest.mark.parametrize(
    "catalog",
    [
        CATALOG,
        changed(key_properties=["call_id", "last_modified"]),
        changed(replication_method="FULL_TABLE", replication_key=None, metadata=[]),
        changed(stream=None),
        changed(selected=True),
        changed(
            metadata=[{"breadcrumb": [], "metadata": {"selected": True, "view-key-properties": []}}]
        ),
        with_property("dtmf", None),
        with_property("dtmf", {"type": ["integer", "null"]}),
    ],
    ids=[
        "as discovered",
        "a wider key",
        "full table",
        "unnamed",
        "selected",
        "metadata",
        "narrowed",
        "retyped",
    ],
)
def test_a_catalog_may_be_narrowed_and_retyped(catalog: dict[str, Any]) -> None:
    """What a person or Meltano may do with a catalog is their choice."""
    assert tap_of(catalog=deepcopy(catalog)).streams["calls"].selected


def test_a_stream_that_the_catalog_lacks_is_not_read() -> None:
    """Whoever takes a stream out of a catalog does not want it."""
    catalog: dict[str, Any] = json.loads(json.dumps(catalog_of("accounts")))
    tap = TapCallcap(config={"api_key": "key"}, catalog=catalog)
    assert {name for name, stream in tap.streams.items() if stream.selected} == {"accounts"}


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("calls")
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["streams", "schema", "properties", "type", "metadata", "bookmarks"])
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
)


names = st.sampled_from(["catalog", "state"])


def places_of(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a value, as a container and the key or index in it."""
    if not isinstance(value, (dict, list)):
        return []
    keys = value if isinstance(value, dict) else range(len(value))
    return [(value, key) for key in keys] + [
        place for key in keys for place in places_of(value[key])
    ]


@SEEDED
@given(st.data())
def test_any_catalog_and_state_are_taken_or_refused(data: st.DataObject) -> None:
    """Any JSON in any place of a catalog or a state: a tap, or one line."""
    given = {"catalog": deepcopy(CATALOG), "state": state_at("2026-01-01T00:00:00Z")}
    container, key = data.draw(st.sampled_from(places_of(given[data.draw(names)])))
    container[key] = data.draw(anything)
    try:
        tap_of(**given)
    except ConfigurationError as error:
        lines = str(error).splitlines()
    else:
        lines = ["taken"]
    assert len(lines) == 1


@SEEDED
@given(names, st.dictionaries(st.sampled_from(["streams", "bookmarks"]) | st.text(), anything))
def test_any_object_is_taken_or_refused(name: str, value: dict[str, Any]) -> None:
    """Any JSON object at all as a catalog or a state: a tap, or one line."""
    try:
        tap_of(**{name: value})
    except ConfigurationError as error:
        lines = str(error).splitlines()
    else:
        lines = ["taken"]
    assert len(lines) == 1
