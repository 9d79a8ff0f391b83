"""Records are flattened as the SDK flattens them, whatever they hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from singer_sdk.exceptions import ConfigurationError
from singer_sdk.helpers._flattening import (  # noqa: PLC2701 - what ours stands for
    FlatteningOptions,
    flatten_record,
)

from support import seeded
from support.running import run_tap
from tap_callcap.sandbox import CallBook, Callcap
from tap_callcap.singer.flattening import Flattener

NAMES = st.sampled_from(["id", "type", "callTaker", "line_memo", "x" * 30, "a__b", "a", "b"])
VALUES = st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False) | st.text()
OBJECTS = st.recursive(
    st.dictionaries(NAMES, VALUES | st.lists(VALUES | st.dictionaries(NAMES, VALUES))),
    lambda below: st.dictionaries(NAMES, VALUES | below),
)


@settings(seeded.SEEDED, max_examples=100)
@given(
    records=st.lists(OBJECTS, min_size=1, max_size=4),
    depth=st.integers(1, 4),
    separator=st.sampled_from(["__", "."]),
    longest=st.sampled_from([8, 40, 255]),
    columns=st.sets(NAMES | st.just("a__b__id"), min_size=1),
)
def test_the_sdk_would_flatten_the_same(
    records: list[dict[str, Any]], depth: int, separator: str, longest: int, columns: set[str]
) -> None:
    """The same keys in the same order with the same values, record after record."""
    options = FlatteningOptions(
        enabled=True, max_level=depth, separator=separator, max_key_length=longest
    )
    flatten = Flattener(options, columns)
    for record in records:
        expected = flatten_record(
            record,
            {"properties": {name: {} for name in columns}},
            depth,
            separator,
            max_key_length=longest,
        )
        assert list(flatten(record).items()) == list(expected.items())


def test_an_object_is_text_where_flattening_ends() -> None:
    """Deeper than `flattening_max_depth`, and where the schema has a column for the whole."""
    flatten = Flattener(FlatteningOptions(enabled=True, max_level=1), {"whole"})
    record = {"whole": {"a": 1}, "parts": {"a": {"b": 1}, "c": [1]}}
    assert flatten(record) == {
        "whole": '{"a":1}',
        "parts__a": '{"b":1}',
        "parts__c": "[1]",
    }


def test_properties_that_become_one_are_an_error() -> None:
    """It says how to tell them apart."""
    config: dict[str, Any] = {
        "flattening_enabled": True,
        "flattening_max_depth": 3,
        "flattening_max_key_length": 8,
    }
    with pytest.raises(ConfigurationError, match="increase flattening_max_key_length"):
        run_tap(Callcap(CallBook([])), **config)
