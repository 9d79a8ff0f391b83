"""What a catalog selects is what is requested, and what SCHEMA and records have."""

from __future__ import annotations

import logging
from copy import deepcopy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import ConfigurationError

from support.histories import BEGINNING
from support.running import STREAMS, Run, catalog_of, discovered, run_tap, state_at
from support.selecting import selected_by_meltano
from tap_callcap.records.schema import load_schema
from tap_callcap.sandbox import VENDOR_EXAMPLE, CallBook, Callcap, made_up_calls

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NOW = BEGINNING
SCHEMA = load_schema("calls")
KEYS = {"call_id", "last_modified"}
Catalog = dict[str, Any]


def callcap() -> Callcap:
    """An account with some calls, the vendor's example among them."""
    calls = made_up_calls(9, seed=8, start=NOW - timedelta(days=9), end=NOW)
    return Callcap(CallBook([*calls, VENDOR_EXAMPLE]), clock=lambda: NOW)


class Reading:
    """A run with a catalog: what it asked for, and what came out."""

    def __init__(self, catalog: Catalog, **settings: Any) -> None:
        account = callcap()
        self.run: Run = run_tap(account, catalog=catalog, **settings)
        searches = [asked for asked in account.requests if asked.path == "/v2/get/calls/"]
        self.details = {part for each in searches for part in each.params["detail"].split(",")}
        self.paths = {asked.path for asked in account.requests}
        schemas = [line for line in self.run.messages if line["type"] == "SCHEMA"]
        self.schemas = {line["stream"]: line["schema"]["properties"] for line in schemas}
        self.records = self.run.records_of("calls")

    @property
    def call(self) -> dict[str, Any]:
        """The vendor's example, of which nothing is empty."""
        (call,) = (each for each in self.records if each["call_id"] == VENDOR_EXAMPLE["call_id"])
        return call


def edited(
    changes: Mapping[str, Mapping[str, Any]], *, streams: Iterable[str] = ("calls",)
) -> Catalog:
    """A catalog written by hand: by path, such as `caller.zip`, what its metadata says."""
    catalog = catalog_of(*streams)
    for stream in catalog["streams"]:
        stream["metadata"] = [
            entry
            for path, metadata in {"": {"selected": True}, **changes}.items()
            for entry in [{"breadcrumb": crumb(path), "metadata": dict(metadata)}]
        ]
    return catalog


def crumb(path: str) -> list[str]:
    """The breadcrumb of a path, where `[]` stands for the items of an array."""
    parts = path.split(".") if path else []
    return [
        each for part in parts for each in (["items"] if part == "[]" else ["properties", part])
    ]


def names_of(schema: Mapping[str, Any]) -> set[str]:
    """The names of an object's properties, also of the objects in an array."""
    return set((schema.get("items") or schema)["properties"])


def assert_no_empty_object(properties: Mapping[str, Any]) -> None:
    """No object in a SCHEMA is without properties."""
    for part in properties.values():
        inner = part.get("items", part)
        if "object" in inner["type"]:
            assert inner["properties"]
            assert_no_empty_object(inner["properties"])


@pytest.mark.parametrize(
    "name", [name for name, part in SCHEMA["properties"].items() if "object" in part["type"]]
)
def test_an_object_that_meltano_selects_comes_whole(name: str) -> None:
    """`calls.caller` deselects every field of the caller, and means all of them."""
    reading = Reading(selected_by_meltano(f"calls.{name}"))
    assert reading.schemas["calls"].keys() == {*KEYS, name}
    assert reading.schemas["calls"][name] == SCHEMA["properties"][name]
    whole = Reading(discovered(demographics=True)).call
    assert reading.call[name] == whole[name]
    if name != "callsaver":  # which is part of every answer
        assert reading.details == {name}


def test_an_object_in_an_object_comes_whole() -> None:
    """Also one two levels down, without what is beside it."""
    reading = Reading(selected_by_meltano("calls.callsurance.change_request.customer"))
    callsurance = reading.schemas["calls"]["callsurance"]["properties"]
    request = callsurance["change_request"]["properties"]
    assert (set(callsurance), set(request)) == ({"change_request"}, {"customer"})
    assert set(request["customer"]["properties"]) == {"name", "email"}
    assert reading.call["callsurance"]["change_request"]["customer"]["name"]
    assert reading.details == {"callsurance"}


def test_an_array_comes_with_its_items() -> None:
    """Arrays of objects have no metadata for the fields of these."""
    reading = Reading(selected_by_meltano("calls.summaries", "calls.scorecards"))
    for name in ("summaries", "scorecards"):
        assert reading.schemas["calls"][name] == SCHEMA["properties"][name]
        assert reading.call[name]
    assert reading.details == {"summaries", "scorecards"}


def test_single_fields_come_alone() -> None:
    """`calls.caller.zip` selects no other field."""
    reading = Reading(selected_by_meltano("calls.caller.zip", "calls.duration"))
    assert reading.schemas["calls"].keys() == {*KEYS, "caller", "duration"}
    assert all(set(each["caller"]) <= {"zip"} for each in reading.records)
    assert reading.call["caller"]["zip"]
    assert reading.details == {"caller"}


@pytest.mark.parametrize(
    "select",
    [
        ["calls.*", "!calls.caller", "!calls.demographics"],
        ["calls.*", "!calls.caller.*", "!calls.demographics"],
        ["calls", "!calls.caller", "!calls.caller.*", "!calls.demographics"],
    ],
    ids=["the object", "its fields", "both"],
)
def test_what_is_taken_out_of_a_wildcard_stays_out(select: list[str]) -> None:
    """Whether the object is excluded or each of its fields: personal data do not come."""
    reading = Reading(selected_by_meltano(*select))
    assert set(SCHEMA["properties"]) - set(reading.schemas["calls"]) == {"caller", "demographics"}
    assert not any("caller" in record for record in reading.records)
    assert reading.details == {
        *("accounts", "callsurance", "webmatch", "import"),
        *("notes", "scorecards", "sentiment", "summaries"),
    }


def test_many_exclusions_make_no_names_of_a_wildcard() -> None:
    """What is left of a wildcard is no wish for demographics, nor for objects without fields."""
    taken_out = ("accounts", "caller", "callsurance", "callsaver", "webmatch", "import")
    select = ["calls.*", *(f"!calls.{name}.*" for name in taken_out)]
    reading = Reading(selected_by_meltano(*select))
    assert not reading.schemas["calls"].keys() & {*taken_out, "demographics"}
    assert not reading.details & {*taken_out, "all", "demographics"}


@pytest.mark.parametrize(
    ("changes", "caller"),
    [
        ({"caller": {"selected": True}}, "all"),
        ({"caller": {"selected": True}, "caller.zip": {"selected": False}}, "all but zip"),
        ({"caller.zip": {"selected": True}}, "all"),
        ({"caller": {"selected-by-default": False}, "caller.zip": {"selected": True}}, "zip"),
        ({"caller": {"selected": False}, "caller.zip": {"selected": True}}, "none"),
        ({"caller": {"selected-by-default": False}}, "none"),
        ({"caller": {"selected": True, "selected-by-default": False}}, "all"),
        ({"caller": {"selected": False, "inclusion": "automatic"}}, "all"),
        ({"caller": {"selected": True, "inclusion": "unsupported"}}, "none"),
        ({"caller.zip": {"selected": True, "inclusion": "unsupported"}}, "all but zip"),
        ({"caller": {"inclusion": "unsupported"}, "caller.zip": {"selected": True}}, "none"),
    ],
)
def test_metadata_written_by_hand(changes: dict[str, Any], caller: str) -> None:
    """Metadata as the Singer specification has it; what it leaves out is as the parent is."""
    everything = names_of(SCHEMA["properties"]["caller"])
    wanted = {"all": everything, "all but zip": everything - {"zip"}, "zip": {"zip"}}
    reading = Reading(edited(changes))
    if caller == "none":
        assert "caller" not in reading.schemas["calls"]
        assert "caller" not in reading.call
    else:
        assert names_of(reading.schemas["calls"]["caller"]) == wanted[caller]
        assert set(reading.call["caller"]) == wanted[caller]


def test_many_names_make_no_wildcard() -> None:
    """Whoever lists most properties by name, and a field of one, gets the others whole."""
    scalars = [name for name, part in SCHEMA["properties"].items() if "object" not in part["type"]]
    names = [*scalars, "caller.zip", "accounts", "demographics"]
    reading = Reading(selected_by_meltano(*(f"calls.{name}" for name in names)))
    properties = reading.schemas["calls"]
    assert names_of(properties["caller"]) == {"zip"}
    assert properties["accounts"] == SCHEMA["properties"]["accounts"]
    assert "demographics" in reading.details


def test_an_object_whose_fields_are_deselected_is_left_out() -> None:
    """It is in no SCHEMA, record or request, rather than empty."""
    fields = names_of(SCHEMA["properties"]["caller"])
    reading = Reading(edited({f"caller.{name}": {"selected": False} for name in fields}))
    assert "caller" not in reading.schemas["calls"]
    assert "caller" not in reading.call
    assert not reading.details & {"caller", "all"}


def test_an_object_in_an_object_without_fields_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What was selected only through its parent is left out, with a line."""
    names = names_of(SCHEMA["properties"]["accounts"]["properties"]["corporate"])
    path = "accounts.corporate"
    with caplog.at_level(logging.INFO):
        reading = Reading(edited({f"{path}.{name}": {"selected": False} for name in names}))
    assert "corporate" not in names_of(reading.schemas["calls"]["accounts"])
    assert "corporate" not in reading.call["accounts"]
    assert "calls.accounts.corporate is selected and its fields are not: it is left out" in (
        caplog.messages
    )


def test_fields_of_objects_in_arrays_can_be_deselected() -> None:
    """From the SCHEMA as well as from the records."""
    reading = Reading(edited({"summaries.[].text": {"selected": False}}))
    assert names_of(reading.schemas["calls"]["summaries"]) == {"type"}
    assert all(set(each) == {"type"} for each in reading.call["summaries"])
    assert reading.call["summaries"]


@pytest.mark.parametrize("metadata", [{"selected": False}, {"inclusion": "unsupported"}], ids=str)
def test_keys_are_always_selected(metadata: dict[str, Any]) -> None:
    """Without them no target could load the calls, and no run could go on."""
    reading = Reading(edited(dict.fromkeys(KEYS, metadata)))
    assert reading.schemas["calls"].keys() >= KEYS


def test_a_child_of_a_deselected_object_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing that is selected is left out silently."""
    Reading(edited({"caller": {"selected": False}, "caller.zip": {"selected": True}}))
    assert (
        "calls.caller.zip is selected but not read, because calls.caller is deselected: select both"
    ) in caplog.messages


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("callr", ": did you mean ['properties', 'caller']?"),
        ("caller.zipp", ": did you mean ['properties', 'caller', 'properties', 'zip']?"),
        ("xyzzy", ""),
    ],
)
def test_metadata_for_nothing_is_said(
    path: str, hint: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A name that fits nothing may be personal data that were to stay out."""
    Reading(edited({path: {"selected": False}}))
    line = f"The catalog has metadata for a property that calls does not have, {crumb(path)}{hint}"
    assert line in caplog.messages


def test_metadata_of_what_the_schema_lacks_is_usual(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever takes a property out of the schema leaves its metadata, and it stays out."""
    catalog = discovered()
    del catalog["streams"][0]["schema"]["properties"]["caller"]
    reading = Reading(catalog)
    assert "caller" not in reading.schemas["calls"]
    assert "all" not in reading.details
    assert not [line for line in caplog.messages if "metadata" in line]


def test_required_properties_are_the_selected_ones() -> None:
    """A SCHEMA requires nothing that is in no record."""
    catalog = edited({"dtmf": {"selected": False}})
    catalog["streams"][0]["schema"]["required"] = ["call_id", "dtmf"]
    assert Reading(catalog).run.schema["required"] == ["call_id"]


BY_WILDCARD = "calls.demographics is selected only by a wildcard and is personal data"


@pytest.mark.parametrize(
    ("catalog", "is_said"),
    [
        (selected_by_meltano("*.*"), True),
        (selected_by_meltano("calls"), True),
        (selected_by_meltano("calls.*"), True),
        (selected_by_meltano("calls.*", "calls.demographics"), True),
        (selected_by_meltano("calls.*", "!calls.notes", "!calls.accounts"), True),
        (selected_by_meltano("calls.*", "!calls.demographics"), False),
        (selected_by_meltano("calls.*", "!calls.demographics.*"), True),
        (selected_by_meltano("calls.caller", "calls.call_id"), False),
        (discovered(), False),
        (edited({}), False),
        (edited({"demographics": {"selected-by-default": True}}), False),
        (edited({"demographics": {"inclusion": "available"}}), False),
        (edited({"demographics": {"selected": False}}), False),
        (
            edited({
                "demographics": {"selected": False},
                "demographics.person": {"selected": True},
            }),
            False,
        ),
    ],
)
def test_demographics_come_by_no_default(
    catalog: Catalog, caplog: pytest.LogCaptureFixture, *, is_said: bool
) -> None:
    """No wildcard and nothing that a catalog leaves out asks for people's households."""
    reading = Reading(catalog)
    assert "demographics" not in reading.details
    assert "demographics" not in reading.schemas["calls"]
    assert not any("demographics" in record for record in reading.records)
    assert any(line.startswith(BY_WILDCARD) for line in caplog.messages) == is_said


def test_a_catalog_without_metadata_selects_what_is_selected_by_default() -> None:
    """Calls without demographics, and no other stream."""
    catalog = catalog_of(*STREAMS)
    for stream in catalog["streams"]:
        stream["metadata"] = []
    reading = Reading(catalog)
    assert reading.schemas.keys() == {"calls"}
    assert set(SCHEMA["properties"]) - set(reading.schemas["calls"]) == {"demographics"}
    assert "demographics" not in reading.details


@pytest.mark.parametrize(
    ("catalog", "fields"),
    [
        (selected_by_meltano("calls.call_id", "calls.demographics"), None),
        (selected_by_meltano("calls.caller", "calls.demographics.*"), None),
        (selected_by_meltano("calls.demographics.emails"), {"emails"}),
        (selected_by_meltano(*(f"calls.{name}" for name in SCHEMA["properties"])), None),
        (discovered(demographics=True), None),
        (discovered(demographics__emails=True), {"emails"}),
        (edited({"demographics": {"selected": True}}), None),
        (edited({"demographics.emails": {"selected": True}}), {"emails"}),
        (edited({"demographics": {"inclusion": "automatic"}}), None),
    ],
)
def test_demographics_come_by_name(catalog: Catalog, fields: set[str] | None) -> None:
    """Selected by their name, or by the name of a field, they are asked for."""
    reading = Reading(catalog)
    assert "demographics" in reading.details
    expected = fields or names_of(SCHEMA["properties"]["demographics"])
    assert names_of(reading.schemas["calls"]["demographics"]) == expected
    assert set(reading.call["demographics"]) == expected


def test_demographics_come_beside_a_wildcard_as_automatic() -> None:
    """Meltano's `metadata` can say what its `select` cannot."""
    catalog = selected_by_meltano("calls.*")
    (entry,) = (
        each
        for stream in catalog["streams"]
        for each in stream["metadata"]
        if each["breadcrumb"] == ["properties", "demographics"]
    )
    entry["metadata"]["inclusion"] = "automatic"
    assert "demographics" in Reading(catalog).details


@pytest.mark.parametrize(
    ("select", "streams"),
    [
        (["*.*"], {"calls"}),
        (["calls.*"], {"calls"}),
        (["calls.*", "accounts.*"], {"calls", "accounts"}),
        (
            ["calls.*", "accounts.*", "csrs.*", "!calls.demographics"],
            {"accounts", "calls", "csrs"},
        ),
        (["accounts.*", "csrs"], {"accounts", "csrs"}),
        (["csrs.name"], {"csrs"}),
    ],
    ids=lambda value: " ".join(sorted(value)),
)
def test_other_streams_come_only_where_they_are_asked_for(
    select: list[str], streams: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Meltano's default, `*.*`, asks for nothing."""
    reading = Reading(selected_by_meltano(*select))
    assert reading.schemas.keys() == streams
    lines = [line for line in caplog.messages if "the catalog selects everything" in line]
    assert len(lines) == (len(STREAMS) - 1 if select == ["*.*"] else 0)
    if "csrs" not in streams:
        assert not [path for path in reading.paths if "csr" in path]


@pytest.mark.parametrize("key", ["replication-method", "forced-replication-method"])
@pytest.mark.parametrize("entry", ["INCREMENTAL", None])
def test_a_replication_method_in_metadata_is_followed(key: str, entry: str | None) -> None:
    """FULL_TABLE reads every call again, whatever the state says; the bookmark stays."""
    catalog = discovered()
    (stream,) = catalog["streams"]
    stream["replication_method"] = entry
    next(each for each in stream["metadata"] if not each["breadcrumb"])["metadata"][key] = (
        "FULL_TABLE"
    )
    given = deepcopy(catalog)
    reading = Reading(catalog, state=state_at("2026-03-02T00:00:00Z"))
    assert len(reading.records) == 10
    assert catalog == given


def test_the_forced_method_goes_first() -> None:
    """As in the Singer specification."""
    catalog = discovered()
    root = next(each for each in catalog["streams"][0]["metadata"] if not each["breadcrumb"])
    root["metadata"] |= {
        "replication-method": "FULL_TABLE",
        "forced-replication-method": "INCREMENTAL",
    }
    reading = Reading(catalog, state=state_at("2026-03-03T00:00:00Z"))
    assert len(reading.records) < 10


@pytest.mark.parametrize("name", ["accounts", "csrs"])
def test_what_can_only_be_read_in_full_is_not_read_otherwise(name: str) -> None:
    """INCREMENTAL for a stream without a replication key is one line, before any request."""
    catalog = catalog_of(name)
    root = next(each for each in catalog["streams"][0]["metadata"] if not each["breadcrumb"])
    root["metadata"]["replication-method"] = "INCREMENTAL"
    account = callcap()
    with pytest.raises(ConfigurationError, match=f"INCREMENTAL of {name}, which can only be read"):
        run_tap(account, catalog=catalog)
    assert account.requests == []
