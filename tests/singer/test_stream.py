"""The pipeline writes the same messages as the SDK's own."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout, suppress
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from singer_sdk import Stream
from singer_sdk.exceptions import AbortedSyncPausedException
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib.encoding import SimpleSingerWriter

from support.direct_client import DirectClient
from support.histories import BEGINNING
from support.odd_values import breadcrumbs_of
from support.running import discovered, lines_of, state_at
from support.seeded import SEEDED
from tap_callcap.records.schema import load_schema
from tap_callcap.sandbox import VENDOR_EXAMPLE, CallBook, Callcap, Switches, made_up_calls
from tap_callcap.sandbox.switch_texts import switch_values
from tap_callcap.streams import CallsStream
from tap_callcap.tap import TapCallcap

if TYPE_CHECKING:
    from pathlib import Path

    from tap_callcap.records.shapes import Breadcrumb

NOW = BEGINNING
BREADCRUMBS = list(breadcrumbs_of(load_schema("calls")))
MAPPED = {
    "calls": {
        "call_id": "call_id",
        "day": "last_modified[:10]",
        "__filter__": "last_modified[18] in '01234567'",
        "__else__": None,
    },
    "long": {"__source__": "calls", "__filter__": "last_modified[18] in '0123'"},
}
CONFIGS: list[dict[str, Any]] = [
    {},
    {"flattening_enabled": True, "flattening_max_depth": 1},
    {"flattening_enabled": True, "flattening_max_depth": 5, "flattening_separator": "_"},
    {"stream_maps": MAPPED, "stream_map_config": {}},
    {"stream_maps": {"calls": {"__alias__": "talks", "__key_properties__": ["call_id"]}}},
    {"stream_maps": MAPPED, "flattening_enabled": True, "flattening_max_depth": 2},
]


class SDKStream(CallsStream):
    """The stream, its records masked, conformed and mapped by the SDK's own code."""

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.RECURSIVE
    _is_passthrough = False
    _sync_records = Stream._sync_records  # noqa: SLF001 - the SDK's own

    def _increment_stream_state(self, *_: Any, **__: Any) -> None:
        """Nothing: state speaks of windows."""

    def _write_starting_replication_value(self, *_: Any, **__: Any) -> None:
        """Nothing: state speaks of windows."""


class SDKTap(TapCallcap):
    """The tap, its messages written by the SDK's own code."""

    message_writer_class = SimpleSingerWriter

    def discover_streams(self) -> list[CallsStream]:
        """The same streams, slow."""
        return [SDKStream(self)]


def callcap_with(switches: Switches, calls: int = 25) -> Callcap:
    """An account with some calls, the vendor's example among them."""
    start = NOW - timedelta(days=90)
    book = CallBook([*made_up_calls(calls, seed=8, start=start, end=NOW), VENDOR_EXAMPLE])
    return Callcap(book, switches=switches, clock=lambda: NOW)


def messages_of(tap_class: type[TapCallcap], callcap: Callcap, **options: Any) -> list[Any]:
    """What a run writes, numbers to the digit, without the moments of extraction."""
    config = {"api_key": "sandbox", "page_size": 9, **options.pop("config", {})}
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    client = DirectClient(callcap)
    with redirect_stdout(out):
        tap_class(config=config, client_factory=lambda _: client, **options).sync_all()
        out.flush()
    assert isinstance(out.buffer, io.BytesIO)
    lines = out.buffer.getvalue().decode().splitlines()
    messages = [json.loads(line, parse_float=str) for line in lines]
    for message in messages:
        assert (message.pop("time_extracted", None) is None) == (message["type"] != "RECORD")
    return messages


@settings(SEEDED, max_examples=20)
@given(
    config=st.sampled_from(CONFIGS),
    deselected=st.frozensets(st.sampled_from(BREADCRUMBS), max_size=5),
    switches=st.builds(
        Switches,
        dialect=st.sampled_from(switch_values("dialect")),
        absent=st.sampled_from(switch_values("absent")),
        unknown_fields=st.booleans(),
    ),
    has_state=st.booleans(),
)
def test_the_sdk_would_write_the_same(
    config: dict[str, Any],
    deselected: frozenset[Breadcrumb],
    switches: Switches,
    has_state: bool,
) -> None:
    """Whatever is selected, mapped, flattened or odd: the same messages in the same order."""
    catalog = discovered(demographics=True)
    for entry in catalog["streams"][0]["metadata"]:
        if tuple(entry["breadcrumb"]) in deselected:
            entry["metadata"]["selected"] = False
    options = {
        "config": config,
        "catalog": catalog,
        "state": state_at("2026-02-01T00:00:00Z") if has_state else {},
    }
    ours = messages_of(TapCallcap, callcap_with(switches), **options)
    assert ours == messages_of(SDKTap, callcap_with(switches), **options)
    assert {message["type"] for message in ours} == {"SCHEMA", "RECORD", "STATE"}


def test_another_writer_writes_the_same() -> None:
    """Whoever runs the tap in Python may give it any writer of the SDK's."""

    class OtherTap(TapCallcap):
        message_writer_class = SimpleSingerWriter

    assert messages_of(OtherTap, callcap_with(Switches())) == messages_of(
        TapCallcap, callcap_with(Switches())
    )


@pytest.mark.parametrize("method", ["INCREMENTAL", "FULL_TABLE"])
@pytest.mark.parametrize("calls", [0, 25])
@pytest.mark.parametrize("state", [{}, state_at("2026-03-01T00:00:00Z")], ids=["new", "later"])
def test_the_sdk_would_write_the_same_state(
    method: str, calls: int, state: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nothing was modified since, and where the stream has no bookmark."""
    monkeypatch.setattr(TapCallcap, "sync_all", only_calls)
    catalog = discovered()
    catalog["streams"][0]["replication_method"] = method
    options = {"catalog": catalog, "state": state}
    ours = messages_of(TapCallcap, callcap_with(Switches(), calls), **options)
    assert ours == messages_of(SDKTap, callcap_with(Switches(), calls), **options)
    assert "STATE" in {message["type"] for message in ours}


@pytest.mark.parametrize("limit", [1, 9, 10, 26, 27])
def test_a_trial_writes_as_many_records_as_the_sdk_would(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's limit for trials holds to the record, at the edges of pages too."""
    monkeypatch.setattr(CallsStream, "ABORT_AT_RECORD_COUNT", limit)
    monkeypatch.setattr(TapCallcap, "sync_all", only_calls)
    # Before the first checkpoint the SDK writes a STATE that says nothing.
    nothing = {"type": "STATE", "value": {"bookmarks": {"calls": {}}}}
    ours, theirs = (
        [each for each in messages_of(tap, callcap_with(Switches())) if each != nothing]
        for tap in (TapCallcap, SDKTap)
    )
    assert ours == theirs
    assert [message["type"] for message in ours].count("RECORD") == min(limit, 26)


def only_calls(tap: TapCallcap) -> None:
    """Sync the stream by itself, up to the SDK's limit."""
    with suppress(AbortedSyncPausedException):
        tap.streams["calls"].sync()


def test_the_sdk_would_measure_the_same(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads the SDK's metrics from the log finds the same counts under the same tags."""
    points: dict[type[TapCallcap], list[Any]] = {}
    for tap_class in (TapCallcap, SDKTap):
        caplog.clear()
        with caplog.at_level("INFO", logger="singer_sdk.metrics"):
            messages_of(tap_class, callcap_with(Switches()))
        lines = [line for line in caplog.messages if line.startswith("METRIC: ")]
        points[tap_class] = [json.loads(line.removeprefix("METRIC: ")) for line in lines]
    for point in chain.from_iterable(points.values()):
        if point["type"] == "timer":
            del point["value"]
    assert points[TapCallcap] == points[SDKTap]
    counts = [point["value"] for point in points[TapCallcap] if point["type"] == "counter"]
    assert counts == [26]


@pytest.mark.parametrize("config", CONFIGS, ids=range(len(CONFIGS)))
def test_batches_hold_what_records_would(config: dict[str, Any], tmp_path: Path) -> None:
    """The files have the records that RECORD messages would have, stream by stream."""
    switches = Switches(unknown_fields=True)
    catalog = discovered(caller__name=False, notes=False)
    plain = messages_of(TapCallcap, callcap_with(switches), config=config, catalog=catalog)
    batch_config = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": tmp_path.as_uri()},
        "batch_size": 5,
    }
    batched = messages_of(
        TapCallcap,
        callcap_with(switches),
        config={**config, "batch_config": batch_config},
        catalog=catalog,
    )
    found: dict[str, list[Any]] = {}
    for message in batched:
        if message["type"] == "BATCH":
            found.setdefault(message["stream"], []).extend(lines_of(message, number=str))
    expected: dict[str, list[Any]] = {}
    for message in plain:
        if message["type"] == "RECORD":
            expected.setdefault(message["stream"], []).append(message["record"])
    assert found == expected
    assert all(len(lines_of(message)) <= 5 for message in batched if message["type"] == "BATCH")
    assert {message["type"] for message in batched} == {"SCHEMA", "BATCH", "STATE"}
    states = [message["value"] for message in batched if message["type"] == "STATE"]
    assert states == [message["value"] for message in plain if message["type"] == "STATE"]


def test_records_can_be_read_without_being_written() -> None:
    """As the SDK's own tools read a stream."""
    out = io.StringIO()
    with redirect_stdout(out):
        client = DirectClient(callcap_with(Switches()))
        tap = TapCallcap(config={"api_key": "sandbox"}, client_factory=lambda _: client)
        stream = tap.streams["calls"]
        records = list(stream._sync_records(write_messages=False))  # noqa: SLF001 - the SDK's
    assert records
    assert "RECORD" not in out.getvalue()
