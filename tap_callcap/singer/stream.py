"""The SDK's pipeline from records to messages, with what is slow or not enough in it replaced.

Records come shaped, so they are neither masked nor conformed again. State is the stream's own: the
SDK's would put timestamps of records where this tap has ends of windows. Batches hold what RECORD
messages would, and STATE waits for them.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from singer_sdk import Stream
from singer_sdk.batch import Batcher
from singer_sdk.helpers._batch import SDKBatchMessage  # noqa: PLC2701 - the SDK has no other
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform

from tap_callcap.instants import UTC
from tap_callcap.records.hashing import NO_HASHING, Hashing
from tap_callcap.records.schema import load_schema
from tap_callcap.records.shaper import Shaper
from tap_callcap.singer.flattening import Flattener
from tap_callcap.singer.writer import BlockWriter, LeanRecordMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from zoneinfo import ZoneInfo

    from singer_sdk.helpers._batch import BatchConfig
    from singer_sdk.helpers.types import Context
    from singer_sdk.mapper import StreamMap
    from singer_sdk.metrics import Counter
    from singer_sdk.singerlib import MetadataMapping
    from singer_sdk.tap_base import Tap

    from tap_callcap.api.client import Client
    from tap_callcap.records.shaper import Record
    from tap_callcap.settings import Settings


Transform: TypeAlias = "Callable[[Record], dict[str, Any] | None]"
"""Makes of a record what goes out, none where it does not."""


class CallcapStream(Stream):
    """What all streams have in common."""

    name: str
    primary_keys: Sequence[str]
    replication_key: str | None = None
    not_by_default: ClassVar[tuple[str, ...]] = ()
    """Properties that are not selected unless the user does."""

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: Tap) -> None:
        super().__init__(tap, schema=load_schema(self.name))
        self.failures: list[str] = []
        self._batches: _Batches | None = None

    @property
    def metadata(self) -> MetadataMapping:
        """The catalog's metadata, or the default with what is not selected by default."""
        is_new = self._metadata is None
        metadata = super().metadata
        if is_new and self._tap_input_catalog is None:
            for name in self.not_by_default:
                metadata["properties", name].selected_by_default = False
        return metadata

    def client(self, settings: Settings) -> Client:
        """The client that asks Callcap, made by the tap's `client_factory`."""
        tap: Any = self._tap
        client: Client = tap.client_factory(settings)
        return client

    @property
    def target_wait_seconds(self) -> float:
        """For how long the target has kept the run waiting."""
        return 0.0 if self._block_writer is None else self._block_writer.target_wait_seconds

    def shaper(self, zone: ZoneInfo, hashing: Hashing = NO_HASHING) -> Shaper:
        """What shapes what the API sends, in `zone`, as the catalog wants it."""
        return Shaper(
            self.effective_schema,
            zone,
            self.logger.warning,
            known=self.schema,
            is_selected=self.mask.__getitem__,
            hashing=hashing,
            as_dict=not self._is_passthrough,
        )

    @cached_property
    def outlets(self) -> list[StreamMap]:
        """The stream maps, their flattening replaced by one that is many times as fast."""
        for each in self.stream_maps:
            if each.flattening_options and each.flattening_enabled:
                columns = each.transformed_schema["properties"]
                flattener = Flattener(each.flattening_options, columns)
                each.flatten_record = flattener  # type: ignore[method-assign]
        return self.stream_maps

    @property
    def _is_passthrough(self) -> bool:
        """Whether nobody looks into the records: no map, flattening, batch or other writer."""
        return (
            self._batches is None
            and self._block_writer is not None
            and all(map(_changes_nothing, self.outlets))
        )

    @property
    def _block_writer(self) -> BlockWriter | None:
        """The message writer, unless whoever runs the tap has given it another."""
        writer = self._tap.message_writer
        return writer if isinstance(writer, BlockWriter) else None

    @cached_property
    def _transforms(self) -> list[tuple[str, Transform | None]]:
        """Names under which records go out, each with what is made of them before, if anything."""
        return [
            (each.stream_alias, None if _changes_nothing(each) else each.transform)
            for each in self.outlets
        ]

    @abstractmethod
    def get_chunks(self) -> Iterable[Sequence[Record]]:
        """The records, some at a time."""

    def get_records(self, context: Context | None) -> Iterable[Record]:  # noqa: ARG002 - the SDK's signature
        """The records, one by one."""
        return chain.from_iterable(self.get_chunks())

    def _sync_records(
        self,
        context: Context | None = None,  # noqa: ARG002 - the SDK's signature
        *,
        write_messages: bool = True,
    ) -> Generator[Record, Any, None]:
        """Write the records, chunk by chunk, and STATE at the end.

        What the SDK's own does for each record besides is for partitions, for child streams and
        for state made from records: none of that is here.
        """
        with self.get_record_counter() as counter, self.get_sync_timer() as timer:
            for meter in (counter, timer):
                meter.with_context({})  # no partition, as the SDK has it
            for records in self._limited(self.get_chunks()):
                if write_messages:
                    self._write_records(records)
                counter.increment(len(records))
                yield from records
        self._finalize_state(self.stream_state)
        if write_messages:
            self._write_state_message()

    def _limited(self, chunks: Iterable[Sequence[Record]]) -> Iterator[Sequence[Record]]:
        """The chunks, and where the SDK tries a stream, no more records than it wants."""
        if self.ABORT_AT_RECORD_COUNT is None:
            yield from chunks
        else:
            for index, record in enumerate(chain.from_iterable(chunks)):
                self._check_max_record_limit(index)
                yield [record]

    def _write_records(self, records: Iterable[Record]) -> None:
        """Write records that are shaped: the SDK's own would mask and conform each."""
        messages = [
            LeanRecordMessage(alias, mapped, self._stream_version, datetime.now(UTC))
            for record in records
            for alias, transform in self._transforms
            if (mapped := transform(record) if transform else record) is not None
        ]
        if self._block_writer is not None:
            self._block_writer.write_records(messages)
        else:
            for message in messages:
                self._tap.message_writer.write_message(message)

    def _sync_batches(self, batch_config: BatchConfig, context: Context | None = None) -> None:
        """Write the records to files: the SDK's own would leave out selection, maps, flattening."""
        with self.get_batch_counter() as counter:
            self._batches = _Batches(self, self._tap.write_message, batch_config, counter)
            for record in self._sync_records(context, write_messages=False):
                self._batches.add(record)
            self._write_state_message()

    def _write_state_message(self) -> None:
        if self._batches is not None:
            self._batches.write()
        super()._write_state_message()
        if self._block_writer is not None:
            self._block_writer.flush()

    def write_state(self) -> None:
        """Write STATE now, after every record that was handed out before."""
        self.state_manager.is_flushed = False
        self._write_state_message()

    def defer_failure(self, line: str) -> None:
        """Fail the run with `line`, once everything else has been read."""
        self.logger.warning("%s; the run goes on, and will fail", line)
        self.failures.append(line)

    def log(self, message: str, *args: Any, level: int = logging.INFO, **options: Any) -> None:
        """Log, but for the SDK's line that an error occurred: the error itself is one line."""
        if level < logging.ERROR:
            super().log(message, *args, level=level, **options)

    def get_replication_key_signpost(self, *_: Any, **__: Any) -> None:
        """No signpost: the bookmark is ours."""


def _changes_nothing(stream_map: StreamMap) -> bool:
    return isinstance(stream_map, SameRecordTransform) and not stream_map.flattening_enabled


class _Batches:
    """Records on their way into files, those of each stream map apart."""

    def __init__(
        self,
        stream: CallcapStream,
        tell: Callable[[SDKBatchMessage], None],
        batch_config: BatchConfig,
        counter: Counter,
    ) -> None:
        self._tell = tell
        self._counter = counter
        self._config = batch_config
        self._batcher = Batcher(stream.tap_name, stream.name, batch_config)
        self._records: list[tuple[StreamMap, list[Record]]] = [
            (outlet, []) for outlet in stream.outlets
        ]

    def add(self, record: Record) -> None:
        """Keep a record until its file is full."""
        for outlet, records in self._records:
            mapped = outlet.transform(record)
            if mapped is not None:
                records.append(mapped)
            if len(records) >= self._config.batch_size:
                self._write(outlet.stream_alias, records)

    def write(self) -> None:
        """Write what is kept, and say so."""
        for outlet, records in self._records:
            if records:
                self._write(outlet.stream_alias, records)

    def _write(self, alias: str, records: list[Record]) -> None:
        for manifest in self._batcher.get_batches(iter(records)):
            self._counter.increment()
            self._tell(SDKBatchMessage(alias, self._config.encoding, manifest))
        records.clear()
