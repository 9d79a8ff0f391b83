"""What the command is given in files, checked before anything is asked of Callcap. Pure.

Whatever is wrong is one line that says where. No line shows a value: it may be the key.
"""

from __future__ import annotations

import json
from difflib import get_close_matches
from itertools import chain
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from singer_sdk.exceptions import ConfigurationError
from singer_sdk.helpers._util import load_json  # noqa: PLC2701 - as the SDK reads it again
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tap_callcap.singer.stream import CallcapStream

DEEPEST = 60  # objects and arrays in each other; a catalog has about twenty

JSON_SCHEMA = "http://json-schema.org/draft-07/schema#"
TEXT = {"type": "string"}
TEXT_OR_NONE = {"type": ["string", "null"]}
TEXTS_OR_NONE = {"type": ["array", "null"], "items": TEXT}
KIND = {"enum": ["array", "boolean", "integer", "number", "object", "string"]}
KIND_OR_NULL = {"enum": ["null", *KIND["enum"]]}
KINDS = {"anyOf": [KIND, {"type": "array", "items": KIND_OR_NULL, "contains": KIND}]}


def _having(kind: str, part: str) -> dict[str, Any]:
    """The demand that a property of a kind has a part."""
    among = {"anyOf": [{"const": kind}, {"type": "array", "contains": {"const": kind}}]}
    return {"if": {"properties": {"type": among}}, "then": {"required": [part]}}


STATE = Draft202012Validator({
    "type": "object",
    "properties": {
        "bookmarks": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "partitions": {"type": "array", "items": {"type": "object"}},
                    "progress_markers": {"type": "object"},
                },
            },
        }
    },
})
CATALOG = Draft202012Validator({
    "type": "object",
    "required": ["streams"],
    "properties": {"streams": {"type": "array", "items": {"$ref": "#/$defs/stream"}}},
    "$defs": {
        "stream": {
            "type": "object",
            "required": ["tap_stream_id", "schema"],
            "properties": {
                "tap_stream_id": TEXT,
                "stream": TEXT_OR_NONE,
                "schema": {"allOf": [{"$ref": "#/$defs/record"}, {"$ref": JSON_SCHEMA}]},
                "key_properties": TEXTS_OR_NONE,
                "replication_key": TEXT_OR_NONE,
                "replication_method": {"enum": [None, "INCREMENTAL", "FULL_TABLE"]},
                "metadata": {"type": "array", "items": {"$ref": "#/$defs/metadata"}},
            },
        },
        "record": {"required": ["properties"], "$ref": "#/$defs/property"},
        "property": {
            "type": "object",
            "required": ["type"],
            "properties": {
                "type": KINDS,
                "properties": {
                    "type": "object",
                    "additionalProperties": {"$ref": "#/$defs/property"},
                },
                "items": {"$ref": "#/$defs/property"},
            },
            "allOf": [_having("object", "properties"), _having("array", "items")],
        },
        "metadata": {
            "type": "object",
            "required": ["breadcrumb", "metadata"],
            "properties": {
                "breadcrumb": {"type": "array", "items": TEXT},
                "metadata": {
                    "type": "object",
                    "properties": {
                        "table-key-properties": TEXTS_OR_NONE,
                        "replication-key": TEXT_OR_NONE,
                    },
                },
            },
        },
    },
})


def read_json_object(read: Callable[[], str], name: str) -> tuple[str, dict[str, Any]]:
    """What `read` returns, the text of a JSON object that was given as `name`; and the object.

    Raises:
        ConfigurationError: If it is something else.
    """
    text = ""
    try:
        text = read()
        value: Any = load_json(text)
        json.dumps(value, default=str, ensure_ascii=False).encode()  # no half of a surrogate pair
    except (ValueError, ArithmeticError, RecursionError):
        msg = f"The {name} is not JSON" + ("" if text.strip() else ": it is empty or no text")
        raise ConfigurationError(msg) from None
    if not isinstance(value, dict):
        msg = f"The {name} must be a JSON object"
        raise ConfigurationError(msg)
    if _depth(value) > DEEPEST:
        msg = f"The {name} is nested too deep"
        raise ConfigurationError(msg)
    return text, value


def _depth(value: object) -> int:
    """How many objects and arrays are in each other."""
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, (dict, list))]:
        depth += 1
        parts = (each.values() if isinstance(each, dict) else each for each in level)
        level = list(chain.from_iterable(parts))
    return depth


def check_state(state: Mapping[str, Any], streams: Sequence[str]) -> None:
    """Check that `state` is one of this tap, which has `streams`.

    Raises:
        ConfigurationError: If it is not.
    """
    _check(STATE, state, "state")
    bookmarks = state.get("bookmarks")
    if state and bookmarks is None:
        msg = "The state has no bookmarks: give what this tap's last STATE message had as its value"
        raise ConfigurationError(msg)
    if bookmarks and not set(bookmarks) & set(streams):
        msg = (
            f"The state has bookmarks of {', '.join(map(repr, sorted(bookmarks)[:3]))}, but not of "
            f"{' or '.join(streams)}: it is another tap's, and each needs its own"
        )
        raise ConfigurationError(msg)


def check_catalog(catalog: Mapping[str, Any], streams: Sequence[str]) -> None:
    """Check that `catalog` is one of this tap, which has `streams`.

    Raises:
        ConfigurationError: If it is not.
    """
    _check(CATALOG, catalog, "catalog")
    for entry in catalog["streams"]:
        name = entry["tap_stream_id"]
        if name not in streams:
            near = get_close_matches(name, streams, n=1)
            hint = f"did you mean {near[0]}?" if near else "--discover shows those that there are"
            msg = f"The catalog has a stream {name!r}, which there is not: {hint}"
            raise ConfigurationError(msg)
        if entry.get("stream") not in {None, "", name}:  # the SDK does not know it by that name
            msg = f"The catalog calls the stream {name} otherwise: rename it by stream_maps instead"
            raise ConfigurationError(msg)


def check_selected(streams: Iterable[CallcapStream]) -> None:
    """Check that, of `streams` as the catalog left them, some are selected and can be read.

    Raises:
        ConfigurationError: If not.
    """
    selected = [stream for stream in streams if stream.selected]
    if not selected:
        msg = "The catalog selects no stream: set `selected` in the metadata of those to read"
        raise ConfigurationError(msg)
    for stream in selected:
        shipped = type(stream)
        keys = [*shipped.primary_keys, *filter(None, [shipped.replication_key])]
        absent = [key for key in keys if key not in stream.effective_schema["properties"]]
        if absent:
            wrong = f"no property {' and '.join(absent)}"
        elif not set(shipped.primary_keys) <= set(stream.primary_keys):
            wrong = f"no {' and '.join(shipped.primary_keys)} among the key_properties"
        elif shipped.replication_key not in {None, stream.replication_key} and (
            stream.forced_replication_method != REPLICATION_FULL_TABLE
        ):
            wrong = f"no replication_key {shipped.replication_key}"
        else:
            continue
        msg = f"The catalog's stream {stream.name} has {wrong}: make it anew by --discover"
        raise ConfigurationError(msg)


def _check(shape: Draft202012Validator, value: Mapping[str, Any], name: str) -> None:
    error = next(shape.iter_errors(value), None)
    if error is not None:
        # A name in it may have a line break.
        place = ".".join(repr(str(part))[1:-1] for part in error.absolute_path) or "its top"
        msg = f"The {name} is not one that this tap can have written: it is wrong at {place}"
        raise ConfigurationError(msg)
