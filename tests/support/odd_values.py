"""Hypothesis strategies for any JSON anywhere in a call."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
from hypothesis import strategies as st

from support.vendor_example import VENDOR_CALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_callcap.records.json import JSON
    from tap_callcap.records.schema import JSONSchema
    from tap_callcap.records.shaper import Call
    from tap_callcap.records.shapes import Breadcrumb


ENCODER = msgspec.json.Encoder(decimal_format="number")


LEAST = {"call_id": "9", "last_modified": "2021-11-01 19:10:46"}


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)


oddities = st.sampled_from([
    *("", " ", "0", "1", "true", "No", "12.50", "1e400", "NaN", "NF", "a.b", "[0]", "\u2028"),
    *("2021-11-01 19:10:46", "2026-11-01 01:30", "2021-11-01T19:10:46Z", "555-555-0100"),
    *("0000-00-00", "0000-00-00 00:00:00", "0001-01-01", "2021-02-30", "9999-12-31 23:59:59"),
])


numbers = st.one_of(
    st.integers(),
    st.sampled_from((0, 1, 2**63 - 1, 2**63, -(2**63) - 1, 10**400)),
    st.from_regex(r"-?[0-9]{1,9}\.[0-9]{1,9}([eE][+-]?[0-9]{1,7})?", fullmatch=True).map(Decimal),
)


leaves = st.none() | st.booleans() | oddities | numbers | texts


names = oddities | texts | st.sampled_from(("id", "text", "results", "_extra", "caller.zip"))


values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def places_of(value: JSON) -> Iterator[tuple[JSON, JSON]]:
    """Every place in a value, as a container and the key or index in it, new ones too."""
    if isinstance(value, dict):
        for key in [*value, None]:
            yield value, key
            yield from places_of(value.get(key))
    elif isinstance(value, list):
        for index in [*range(len(value)), None]:
            yield value, index
            yield from places_of(None if index is None else value[index])


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """The vendor's example with anything in the place of some of its values."""
    call: Call = json.loads(json.dumps(VENDOR_CALL), parse_float=Decimal)
    campaign = call["accounts"]["campaign"]
    campaign["line-memo"] = campaign.pop("line_memo")
    for _ in range(draw(st.integers(1, 8))):
        container, key = draw(st.sampled_from(list(places_of(call))))
        value = draw(values)
        if key is not None:
            container[key] = value
        elif isinstance(container, list):
            container.append(value)
        else:
            container[draw(names)] = value
    return call | LEAST


def breadcrumbs_of(schema: JSONSchema, breadcrumb: Breadcrumb = ()) -> Iterator[Breadcrumb]:
    """Where the properties of a schema are, but for the two that every record has."""
    for name, part in schema.get("properties", {}).items():
        if breadcrumb or name not in LEAST:
            yield (*breadcrumb, "properties", name)
        yield from breadcrumbs_of(part, (*breadcrumb, "properties", name))
    if "items" in schema:
        yield from breadcrumbs_of(schema["items"], (*breadcrumb, "items"))
