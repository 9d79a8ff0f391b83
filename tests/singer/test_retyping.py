"""A catalog may give properties other types: values keep their meaning, or the run says why not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import ConfigurationError

from support.histories import BEGINNING
from support.running import discovered, run_tap
from tap_callcap.sandbox import VENDOR_EXAMPLE, CallBook, Callcap, Switches

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT = {"type": ["string", "null"]}


def retyped(types: Mapping[str, Any]) -> dict[str, Any]:
    """The discovered catalog, with other schemas for the properties at some paths."""
    catalog = discovered()
    for path, schema in types.items():
        *parents, name = path.split(".")
        part = catalog["streams"][0]["schema"]
        for parent in parents:
            part = part["properties"][parent]
        part["properties"][name] = schema
    return catalog


def callcap(**switches: Any) -> Callcap:
    """An account with the vendor's example."""
    return Callcap(
        CallBook([VENDOR_EXAMPLE]), switches=Switches(**switches), clock=lambda: BEGINNING
    )


@pytest.mark.parametrize("form", [None, "date-time", "date", "time", "other"])
@pytest.mark.parametrize("zone", ["UTC", "US/Central"])
def test_an_instant_is_the_same_in_any_text(
    form: str | None, zone: str, caplog: pytest.LogCaptureFixture
) -> None:
    """UTC with a Z, whatever zone was asked in; a format that it has not is said and corrected."""
    names = ("start_datetime", "end_datetime", "last_modified")
    schema = {**TEXT, **({"format": form} if form else {})}
    plain = run_tap(callcap()).records
    caplog.clear()
    run = run_tap(callcap(), catalog=retyped(dict.fromkeys(names, schema)), timezone=zone)
    assert [record[name] for record in run.records for name in names] == [
        record[name] for record in plain for name in names
    ]
    assert all(record[name].endswith("Z") for record in run.records for name in names)
    told = [line for line in caplog.messages if "comes as a date-time" in line]
    assert len(told) == (3 if form not in {None, "date-time"} else 0)
    expected = "date-time" if form else None
    assert {run.schema["properties"][name].get("format") for name in names} == {expected}


def test_other_values_can_be_text() -> None:
    """Numbers with their digits, objects and arrays as JSON."""
    names = ("revenue", "duration", "caller", "summaries", "accounts.campaign")
    plain = run_tap(callcap()).records[0]
    run = run_tap(callcap(), catalog=retyped(dict.fromkeys(names, TEXT)))
    (record,) = run.records
    assert record["revenue"] == str(VENDOR_EXAMPLE["revenue"])
    assert record["duration"] == str(plain["duration"])
    assert json.loads(record["caller"]) == plain["caller"]
    assert json.loads(record["summaries"]) == plain["summaries"]
    assert (
        json.loads(record["accounts"]["campaign"])["name"]
        == (plain["accounts"]["campaign"]["name"])
    )
    assert record["_extra"] is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("start_datetime", "integer"),
        ("last_modified", "number"),
        ("start_datetime", "boolean"),
        ("start_datetime", "object"),
        ("notes", "object"),
        ("notes", "array"),
        ("caller", "array"),
        ("caller", "integer"),
        ("summaries", "object"),
        ("caller.zip", "object"),
        ("_extra", "integer"),
        ("_extra", "object"),
    ],
)
def test_an_impossible_type_is_one_line(path: str, kind: str) -> None:
    """Before any request, with the property and what it can be."""
    schema = {"type": [kind, "null"], "properties": {"x": TEXT}, "items": TEXT}
    account = callcap()
    line = f"The catalog gives calls.{path} the type {kind}, which it cannot have"
    with pytest.raises(ConfigurationError, match=line):
        run_tap(account, catalog=retyped({path: schema}))
    assert account.requests == []


@pytest.mark.parametrize("deselected", [["name"], ["name", "zip"], None], ids=str)
def test_a_text_holds_nothing_that_is_deselected(
    deselected: list[str] | None, caplog: pytest.LogCaptureFixture
) -> None:
    """An object as text has all its fields: with some of them deselected it is left out."""
    catalog = retyped({"caller": TEXT})
    for entry in catalog["streams"][0]["metadata"]:
        if entry["breadcrumb"][:2] == ["properties", "caller"]:
            *_, name = entry["breadcrumb"]
            if deselected is None:  # as Meltano selects calls.caller
                entry["metadata"]["selected"] = name == "caller"
            elif name in deselected:
                entry["metadata"]["selected"] = False
    run = run_tap(callcap(), catalog=catalog)
    assert ("caller" in run.schema["properties"]) == (deselected is None)
    told = [line for line in caplog.messages if line.startswith("calls.caller is left out: as te")]
    assert len(told) == (0 if deselected is None else 1)


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": ["integer", "null"]}, "integer"),
        ({"type": "string", "format": "date-time"}, "date-time"),
    ],
    ids=["integer", "date-time"],
)
def test_a_key_keeps_its_values(schema: dict[str, Any], kind: str) -> None:
    """Else calls would come out without a key, and a target keep one of them all."""
    account = callcap()
    line = f"The catalog gives calls.call_id the type {kind}, which it cannot have: string"
    with pytest.raises(ConfigurationError, match=line):
        run_tap(account, catalog=retyped({"call_id": schema}))
    assert account.requests == []


def test_a_value_may_be_null_whatever_the_catalog_says() -> None:
    """A target that checks records would refuse the nulls; a key has none."""
    schemas = {
        "notes": {"type": "string"},
        "dtmf": {"type": ["integer"]},
        "call_id": {"type": "string"},
    }
    schemas["caller"] = {"type": "object", "properties": {"zip": {"type": "string"}}}
    properties = run_tap(callcap(), catalog=retyped(schemas)).schema["properties"]
    assert {name: properties[name]["type"] for name in schemas} == {
        "notes": ["string", "null"],
        "dtmf": ["integer", "null"],
        "call_id": "string",
        "caller": ["object", "null"],
    }
    assert properties["caller"]["properties"]["zip"]["type"] == ["string", "null"]
