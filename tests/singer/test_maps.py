"""Stream maps do what they say, or the run says before any request why they cannot."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from singer_sdk.exceptions import ConfigurationError

from support.histories import BEGINNING
from support.running import Run, catalog_of, discovered, run_tap
from tap_callcap.records.schema import load_schema
from tap_callcap.sandbox import CallBook, Callcap, made_up_calls

NOW = BEGINNING


def callcap() -> Callcap:
    """An account with some calls, the revenue of one with cents, of another without any."""
    calls = made_up_calls(6, seed=8, start=NOW - timedelta(days=9), end=NOW)
    for call, revenue in zip(calls, (Decimal("120.35"), None, 80), strict=False):
        call["revenue"] = revenue
    return Callcap(CallBook(calls), clock=lambda: NOW)


def mapped(maps: dict[str, Any], **options: Any) -> Run:
    """A run with stream maps."""
    return run_tap(callcap(), stream_maps=maps, **options)


@pytest.mark.parametrize(
    ("maps", "line"),
    [
        ({"call": {}}, "stream_maps.call names no stream: did you mean calls?"),
        ({"call": None}, "stream_maps.call names no stream: did you mean calls?"),
        ({"c?ll": {}}, "stream_maps.c?ll names no stream"),
        ({"x": {"__source__": "csr"}}, "stream_maps.x.__source__ names no stream: did you mean cs"),
        (
            {"calls": {"callr": None}},
            "stream_maps.calls.callr removes a property that does not exist: did you mean caller?",
        ),
        ({"calls": {"callr": "__NULL__"}}, "calls.callr removes a property that does not exist"),
        ({"*": {"callr": None}}, "stream_maps.*.callr removes a property that does not exist"),
        (
            {"calls": {"caller__name": None}},
            "does not exist: stream maps see records before they are flattened",
        ),
        ({"calls": {"who": "md5(callr['name'])"}}, "calls.who uses callr, which does not exist: d"),
        ({"calls": {"callr": "md5(self)"}}, "stream_maps.calls.callr uses self, which does not ex"),
        (
            {"calls": {"who": "caller__name"}},
            "uses caller__name, which does not exist: stream maps see records before they are fl",
        ),
        ({"calls": {"who": "sha1(notes)"}}, "stream_maps.calls.who uses sha1, which does not ex"),
        ({"calls": {"__filter__": "durration > 5"}}, "calls.__filter__ uses durration, which do"),
        ({"calls": {"who": "config['salt']"}}, "calls.who uses config['salt'], which does not exi"),
        ({"calls": {"__alias__": ""}}, "stream_maps.calls.__alias__ must not be empty"),
        (
            {"talks": {"__source__": "calls", "__alias__": "x"}},
            "stream_maps.talks.__alias__ has no effect beside __source__: rename talks",
        ),
        ({"calls": {"__fliter__": "duration"}}, "is no option of stream maps: did you mean __filt"),
        ({"calls": {"who": "notes"}}, "uses notes, which is not selected"),
        ({"calls": {"who": "call_id", "x": "1 +"}}, "Setting stream_maps.calls.x is no expression"),
        ({"calls": {"x": ""}}, "stream_maps.calls.x is no expression: write a property, a calc"),
        ({"calls": {"x": "a b"}}, "stream_maps.calls.x is no expression"),
        ({"calls": {"x": "call_id; notes"}}, "stream_maps.calls.x is no expression"),
        ({"calls": {"__filter__": "revenue >"}}, "stream_maps.calls.__filter__ is no expression"),
    ],
    ids=lambda case: json.dumps(case) if isinstance(case, dict) else "",
)
def test_a_name_that_fits_nothing_is_one_line(maps: dict[str, Any], line: str) -> None:
    """What the map was to remove or hash would go out: so nothing does."""
    account = callcap()
    with pytest.raises(ConfigurationError) as caught:
        run_tap(account, stream_maps=maps, catalog=discovered(notes=False))
    assert line in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert account.requests == []


@pytest.mark.parametrize(
    "maps",
    [
        {"calls": {"notes": None}},  # which is not selected
        {"calls": {"__filter__": None, "caller": None}},
        {"calls": {"who": "fake.name()", "day": "str(datetime.date.today())"}},
        {"calls": {"ids": "[each['id'] for each in [{'id': call_id}]]"}},
        {
            "calls": {
                "call_id": "self",
                "s": "__stream_name__ + config.get('a', 'b') + _['call_id']",
            }
        },
        {"talks": {"__source__": "calls", "call_id": "call_id", "__else__": None}},
        {"__else__": None, "calls": {"__alias__": "talks"}},
        {"call*": {"who": "caller.get('name')"}, "csrs": None},
        {"calls": {"caller": None, "city": "caller['city']"}},
        {"calls": None},
    ],
    ids=json.dumps,
)
def test_names_that_fit_are_taken(maps: dict[str, Any]) -> None:
    """Properties, functions, and what the SDK adds; new properties too."""
    run = mapped(maps, catalog=discovered(notes=False), stream_map_config={"a": "c"})
    assert {line["type"] for line in run.messages} >= {"STATE"}


@pytest.mark.parametrize(
    ("maps", "name"),
    [
        ({"calls": {"__alias__": "csrs"}}, "csrs"),
        ({"*": {"__alias__": "talks"}}, "talks"),
        ({"csrs": {"__source__": "calls"}}, "csrs"),
        ({"talks": {"__source__": "*"}}, "talks"),
    ],
    ids=json.dumps,
)
def test_two_streams_under_one_name_are_refused(maps: dict[str, Any], name: str) -> None:
    """A target would load the calls by the key and into the table of another stream."""
    account = callcap()
    line = f"stream_maps writes two streams as {name}: give each a name of its own"
    with pytest.raises(ConfigurationError, match=line):
        run_tap(account, stream_maps=maps, catalog=catalog_of("calls", "csrs"))
    assert account.requests == []


def test_the_name_of_a_removed_stream_is_free() -> None:
    """Nothing else is written under it."""
    maps = {"calls": {"__alias__": "csrs"}, "csrs": None}
    assert mapped(maps, catalog=catalog_of("calls", "csrs")).records_of("csrs")


def test_a_map_of_every_stream_works_where_some_are_not_selected() -> None:
    """Streams that are not read need no keys."""
    run = mapped({"*": {"load": "'today'"}, "accounts": {"account_name": None}})
    assert {record["load"] for record in run.records} == {"today"}
    assert len(run.records) == 6


def test_a_map_of_every_stream_works_for_each() -> None:
    """Each stream that is selected gets the property."""
    run = mapped({"*": {"load": "'today'"}}, catalog=catalog_of("accounts", "calls"))
    for name in ("accounts", "calls"):
        assert {record["load"] for record in run.records_of(name)} == {"today"}


def test_a_map_of_a_stream_that_is_not_selected_works() -> None:
    """One map for several pipelines, of which this one does not read accounts."""
    assert len(mapped({"accounts": {"account_name": "md5(account_name)"}}).records) == 6


def test_numbers_calculate_with_cents() -> None:
    """A decimal number keeps its digits, and goes with the numbers in an expression."""
    maps = {
        "gross": "(revenue or 0) * 1.1",
        "net": "0.5 + (revenue or 0)",
        "whole": "int(float(revenue or 0) * 2)",
        "text": "json.dumps(_)",
        "parts": "json.loads(json.dumps([revenue]))",
    }
    run = mapped({"calls": maps})
    found = {json.loads(record["text"])["revenue"]: record for record in run.records}
    assert found[120.35]["gross"] == pytest.approx(132.385)
    assert str(found[120.35]["gross"]) in {"132.385", "132.38500"}
    assert found[120.35]["net"] == pytest.approx(120.85)
    assert found[120.35]["whole"] == 240
    assert found[None]["gross"] == 0
    assert found[120.35]["parts"] == [120.35]


@pytest.mark.parametrize(
    ("maps", "place"),
    [
        ({"calls": {"gross": "revenue * 1.1"}}, "The expression for gross of calls"),
        ({"calls": {"__filter__": "revenue > 1"}}, "The expression for __filter__ of calls"),
        ({"talks": {"__source__": "calls", "n": "revenue + 1"}}, "The expression for n of talks"),
        ({"calls": {"x": "call_id.nothing"}}, "The expression for x of calls"),
    ],
)
def test_an_expression_that_fails_is_named(maps: dict[str, Any], place: str) -> None:
    """With stream and property, without a value, and with what to write."""
    with pytest.raises(ConfigurationError, match=place) as caught:
        mapped(maps)
    assert "in stream_maps failed with" in str(caught.value)
    assert "write (revenue or 0)" in str(caught.value)


@pytest.mark.parametrize(
    "part",
    [
        {"call_id": "call_id if revenue else None"},
        {"ani": "revenue and str(revenue)", "__key_properties__": ["ani"]},
    ],
    ids=["key", "another key"],
)
def test_a_key_that_a_map_makes_null_fails_the_run(part: dict[str, Any]) -> None:
    """A target could not tell such records from each other."""
    with pytest.raises(ConfigurationError, match="of calls is null for a record: correct stream"):
        mapped({"calls": part})


def test_every_property_can_be_removed() -> None:
    """But for the key."""
    names = set(load_schema("calls")["properties"]) - {"call_id", "demographics"}
    run = mapped({"calls": dict.fromkeys(names)})
    assert {tuple(record) for record in run.records} == {("call_id",)}
