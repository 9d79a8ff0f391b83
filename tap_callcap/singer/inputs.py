"""The files given to the command: checked before any request. Pure.

An error is one line that names the place. It never shows a value: it may be the key.
"""

from __future__ import annotations

import json
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType
from singer_sdk.exceptions import ConfigurationError
from singer_sdk.helpers._util import load_json  # noqa: PLC2701 - the SDK reads the files with it
from singer_sdk.singerlib.catalog import (
    REPLICATION_FULL_TABLE,
    REPLICATION_INCREMENTAL,
    MetadataMapping,
    StreamMetadata,
)

from tap_callcap.singer.selection import selects_everything

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from singer_sdk.singerlib import Catalog

    from tap_callcap.singer.stream import CallcapStream

_T = TypeVar("_T")
OTHER_METADATA = frozenset({"valid-replication-keys", "view-key-properties"})
"""Metadata of other taps, whose names are much like those that are followed."""
MOST_LEVELS = 100  # of nesting; the SDK's recursive code takes some hundreds
Method = Literal["INCREMENTAL", "FULL_TABLE"]
Kind = Literal["array", "boolean", "integer", "null", "number", "object", "string"]


def _check_not_deselected(part: _Property | _CatalogEntry) -> None:
    """Refuse what was deselected as in old catalogs: it would be read."""
    if part.selected is False:
        msg = "It has `selected` outside metadata"
        raise ValueError(msg)


class _Property(Struct):
    """The schema of a property: what must be right in it, so that the tap and the SDK can use it.

    So are all the types here; what they leave out may be anything.
    """

    type: Kind | list[Kind]
    properties: dict[str, _Property] | UnsetType = UNSET
    items: _Property | UnsetType = UNSET
    format: str | None = None
    selected: bool | None = None

    def __post_init__(self) -> None:
        _check_not_deselected(self)
        kinds = {self.type} if isinstance(self.type, str) else set(self.type)
        if not kinds - {"null"}:
            msg = "It has no type besides `null`"
            raise ValueError(msg)
        for kind, part in (("object", "properties"), ("array", "items")):
            if kind in kinds and getattr(self, part) is UNSET:
                msg = f"Object missing required field `{part}`"
                raise ValueError(msg)
        if "object" in kinds and not self.properties:
            msg = "It has no properties"
            raise ValueError(msg)


class _RecordSchema(_Property):
    properties: dict[str, _Property]


class _Metadata(Struct, rename="kebab"):
    inclusion: Literal["automatic", "available", "unsupported"] | None = None
    selected: bool | None = None
    selected_by_default: bool | None = None
    table_key_properties: list[str] | None = None
    replication_key: str | None = None
    replication_method: Method | None = None
    forced_replication_method: Method | None = None


class _MetadataEntry(Struct):
    breadcrumb: list[str]
    metadata: _Metadata


class _CatalogEntry(Struct):
    tap_stream_id: str
    schema: _RecordSchema
    stream: str | None = None
    key_properties: list[str] | None = None
    replication_key: str | None = None
    replication_method: Method | None = None
    metadata: list[_MetadataEntry] = []
    selected: bool | None = None

    def __post_init__(self) -> None:
        roots = [part.metadata for part in self.metadata if not part.breadcrumb]
        if not any(root.selected is False for root in roots):  # Meltano writes it in both
            _check_not_deselected(self)


class _Catalog(Struct):
    streams: list[_CatalogEntry]


class _StreamState(Struct):
    partitions: list[dict[str, Any]] = []
    progress_markers: dict[str, Any] = {}


class _State(Struct):
    bookmarks: dict[str, _StreamState] | UnsetType = UNSET


def read_json_object(read: Callable[[], str], name: str) -> tuple[str, dict[str, Any]]:
    """The text that `read` returns, and the JSON object in it; `name` is for errors.

    Raises:
        ConfigurationError: If the text is not a JSON object.
    """
    text = ""
    try:
        text = read()
        value: Any = load_json(text)
        json.dumps(value, default=str, ensure_ascii=False).encode()  # a lone surrogate fails
    except RecursionError:
        value = text  # its levels cannot be counted
    except (ValueError, ArithmeticError):
        msg = f"The {name} is not JSON" + ("" if text.strip() else ": it is empty or not text")
        raise ConfigurationError(msg) from None
    if value is text or not _is_shallow(value):
        msg = f"The {name} is nested more than {MOST_LEVELS} levels deep"
        raise ConfigurationError(msg)
    if not isinstance(value, dict):
        msg = f"The {name} must be a JSON object"
        raise ConfigurationError(msg)
    return text, value


def _is_shallow(value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether `value` has at most `MOST_LEVELS` levels."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MOST_LEVELS):
        parts = [each.values() if isinstance(each, dict) else each for each in level]
        level = [part for inner in parts for part in inner if isinstance(part, (dict, list))]
        if not level:
            return True
    return False


def check_state(value: Mapping[str, Any], streams: Sequence[str]) -> None:
    """Check that `value` is a state of this tap, whose streams are `streams`.

    Raises:
        ConfigurationError: If it is not.
    """
    state = _convert(value, _State, "state", "use the value of this tap's last STATE message")
    if value and state.bookmarks is UNSET:
        msg = "The state has no bookmarks: use the value of this tap's last STATE message"
        raise ConfigurationError(msg)
    if state.bookmarks and not set(state.bookmarks) & set(streams):
        msg = (
            f"The state has bookmarks of {', '.join(map(repr, sorted(state.bookmarks)[:3]))}, but "
            f"none of {' or '.join(streams)}: it belongs to another tap"
        )
        raise ConfigurationError(msg)


def check_catalog(value: Mapping[str, Any], streams: Sequence[str]) -> None:
    """Check that `value` is a catalog of this tap, whose streams are `streams`.

    Raises:
        ConfigurationError: If it is not.
    """
    entries = _convert(value, _Catalog, "catalog", "make a new one with --discover").streams
    seen = set()
    for entry, given in zip(entries, value["streams"], strict=True):
        name = entry.tap_stream_id
        if name in seen:  # the last would win
            msg = f"The catalog has the stream {name!r} twice: remove one"
            raise ConfigurationError(msg)
        seen.add(name)
        _check_metadata_names(name, given.get("metadata", ()))
        if name not in streams:
            near = get_close_matches(name, streams, n=1)
            hint = f"did you mean {near[0]}?" if near else f"this tap has {', '.join(streams)}"
            msg = f"The catalog has an unknown stream {name!r}: {hint}"
            raise ConfigurationError(msg)
        if entry.stream not in {None, "", name}:  # the SDK would not find it by another name
            msg = f"The catalog gives the stream {name} another name: use stream_maps for that"
            raise ConfigurationError(msg)


def _check_metadata_names(stream: str, entries: Iterable[Mapping[str, Any]]) -> None:
    """Check that no name in metadata is a misspelt one: what it was to deselect would be read.

    Raises:
        ConfigurationError: If one is.
    """
    known = {field.encode_name for field in msgspec.structs.fields(_Metadata)}
    for entry in entries:
        for name in entry["metadata"].keys() - known - OTHER_METADATA:
            if near := get_close_matches(name.lower(), known, n=1, cutoff=0.8):
                msg = (
                    f"The catalog's metadata of {stream} at {entry['breadcrumb']} has {name!r}: "
                    f"did you mean {near[0]}?"
                )
                raise ConfigurationError(msg)


def apply_selection(streams: Iterable[CallcapStream], catalog: Catalog) -> None:
    """Select what `catalog` selects, and say what of it is not followed."""
    is_everything = "calls" in catalog and selects_everything(
        entry.metadata for entry in catalog.streams
    )
    for stream in streams:
        given = catalog[stream.name].metadata if stream.name in catalog else MetadataMapping()
        root = given.get((), StreamMetadata())
        if stream.name not in catalog or (is_everything and not stream.selected_by_default):
            root = replace(root, selected=False)
            if stream.name in catalog:
                stream.logger.warning(
                    "Stream %s is not read, because the catalog selects everything, as the "
                    "wildcard *.* does. To read it, deselect something that you do not need, such "
                    "as calls.demographics. To stop this warning, deselect the stream",
                    stream.name,
                )
        elif not given:
            root = replace(root, selected=stream.selected_by_default)
        stream.apply_selection(MetadataMapping({**given, (): root}))


def with_replication_methods(catalog: Mapping[str, Any]) -> dict[str, Any]:
    """`catalog` with the replication methods of its metadata where the SDK looks for them.

    Metadata goes first, as in the Singer specification. The SDK looks into the stream's entry
    first, which is never without a method, and does not know `replication-method` in metadata.
    """
    streams = []
    for entry in catalog.get("streams", ()):
        parts = [part["metadata"] for part in entry.get("metadata", ()) if not part["breadcrumb"]]
        names = ("forced-replication-method", "replication-method")
        methods = [part[name] for name in names for part in parts if part.get(name)]
        streams.append({**entry, "replication_method": methods[0]} if methods else entry)
    return {**catalog, "streams": streams}


def check_selected(streams: Iterable[CallcapStream]) -> None:
    """Check that a stream is selected, and that those that are have what reading them needs.

    Raises:
        ConfigurationError: If not.
    """
    selected = [stream for stream in streams if stream.selected]
    if not selected:
        msg = "The catalog selects no stream: set `selected` in the metadata of a stream"
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
        elif (
            shipped.replication_key is None
            and stream.forced_replication_method == REPLICATION_INCREMENTAL
        ):
            msg = (
                f"The catalog asks for INCREMENTAL of {stream.name}, which can only be read in "
                "full: remove its replication method"
            )
            raise ConfigurationError(msg)
        else:
            continue
        msg = f"The catalog's stream {stream.name} has {wrong}: make a new one with --discover"
        raise ConfigurationError(msg)


def _convert(value: Mapping[str, Any], kind: type[_T], name: str, remedy: str) -> _T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at ")
        if problem.startswith("Invalid enum value"):  # which it would show
            problem = "Unknown value"
        msg = f"The {name} is wrong at {place.strip('`') or '$'} ({problem}): {remedy}"
        raise ConfigurationError(msg) from None
