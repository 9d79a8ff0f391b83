"""The SDK's pipeline from records to messages, with its slow parts replaced.

Records arrive shaped, so they are neither masked nor conformed again. State is the stream's own: a
bookmark is the end of a window, the SDK's would be the timestamp of a record.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from contextlib import closing
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from singer_sdk import Stream
from singer_sdk.exceptions import ConfigurationError
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform

from tap_callcap.instants import UTC
from tap_callcap.records.hashing import NO_HASHING, Hashing
from tap_callcap.records.schema import load_schema
from tap_callcap.records.shaper import Shaper
from tap_callcap.singer.batches import Batches
from tap_callcap.singer.flattening import Flattener
from tap_callcap.singer.maps import prepare
from tap_callcap.singer.retyping import with_possible_types
from tap_callcap.singer.selection import Selection, selected_part
from tap_callcap.singer.writer import BlockWriter, FastRecordMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from zoneinfo import ZoneInfo

    from singer_sdk.helpers._batch import BatchConfig
    from singer_sdk.helpers.types import Context
    from singer_sdk.mapper import StreamMap
    from singer_sdk.singerlib import MetadataMapping
    from singer_sdk.tap_base import Tap

    from tap_callcap.api.client import Client
    from tap_callcap.records.shaper import Record
    from tap_callcap.settings import Settings


Transform: TypeAlias = "Callable[[Record], dict[str, Any] | None]"
"""Maps a record to the one that is written, or to None where it is filtered out."""


class CallcapStream(Stream):
    """The base of all streams."""

    name: str
    primary_keys: Sequence[str]
    replication_key: str | None = None
    by_name: ClassVar[tuple[str, ...]] = ()
    """Properties that are selected only by their names."""

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: Tap) -> None:
        super().__init__(tap, schema=load_schema(self.name))
        self.failures: list[str] = []
        self._batches: Batches | None = None

    @property
    def metadata(self) -> MetadataMapping:
        """The catalog's metadata as `apply_selection` understands it, or the default one."""
        is_new = self._metadata is None
        metadata = super().metadata
        if is_new and self._tap_input_catalog is None:
            for name in self.by_name:
                metadata["properties", name].selected_by_default = False
        return metadata

    def apply_selection(self, given: MetadataMapping) -> None:
        """Select what the catalog's metadata, `given`, selects."""
        shipped = type(self)  # the catalog may have other keys
        types: list[str] = []
        if self._input_schema is not None:
            self._input_schema = with_possible_types(
                self._input_schema, self.schema, self.name, types
            )
        selection = Selection(
            self.name,
            given,
            self.effective_schema,
            self.schema,
            always={*shipped.primary_keys, *filter(None, [shipped.replication_key])},
            by_name=self.by_name,
        )
        self._metadata = selection.metadata
        self._mask = self._metadata.resolve_selection()
        if self.selected:
            for level, lines in (
                (logging.WARNING, types + selection.warnings),
                (logging.INFO, selection.notes),
            ):
                for line in lines:
                    self.logger.log(level, line)

    @property
    def stream_maps(self) -> list[StreamMap]:
        """The stream maps, for what is selected of the schema.

        The SDK makes them of each stream in the catalog, also of one without a selected key.
        """
        if not self._stream_maps:
            schema = selected_part(self.effective_schema, self.mask)
            try:
                self._tap.mapper.register_raw_stream_schema(self.name, schema, self.primary_keys)
            except ValueError as error:
                _, _, column = str(error).partition("Duplicate column name produced in schema: ")
                msg = (
                    f"Flattening {self.name} makes several properties {column}: increase "
                    "flattening_max_key_length, or change flattening_separator"
                )
                raise ConfigurationError(msg) from None
        return super().stream_maps

    def client(self, settings: Settings) -> Client:
        """A client for Callcap, made by the tap's `client_factory`."""
        tap: Any = self._tap
        client: Client = tap.client_factory(settings)
        return client

    @property
    def target_wait_seconds(self) -> float:
        """How long the run has waited for the target to read."""
        return 0.0 if self._block_writer is None else self._block_writer.target_wait_seconds

    def shaper(self, zone: ZoneInfo, hashing: Hashing = NO_HASHING) -> Shaper:
        """A shaper of the API's objects, whose times are in `zone`, for the catalog's schema."""
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
    def fast_stream_maps(self) -> list[StreamMap]:
        """The stream maps, with a faster flattening, and prepared for what records hold."""
        for stream_map in self.stream_maps:
            prepare(stream_map)
            if stream_map.flattening_options and stream_map.flattening_enabled:
                columns = stream_map.transformed_schema["properties"]
                flattener = Flattener(stream_map.flattening_options, columns)
                stream_map.flatten_record = flattener  # type: ignore[method-assign]
        return self.stream_maps

    @property
    def _is_passthrough(self) -> bool:
        """Whether records are written as shaped: no map, no flattening, no other writer."""
        is_ours = self._batches is not None or self._block_writer is not None
        return is_ours and all(map(_is_identity, self.fast_stream_maps))

    @property
    def _block_writer(self) -> BlockWriter | None:
        """The message writer, unless the tap was given another than a `BlockWriter`."""
        writer = self._tap.message_writer
        return writer if isinstance(writer, BlockWriter) else None

    @cached_property
    def _transforms(self) -> list[tuple[str, Transform | None]]:
        """For each stream map: the name of the stream that it writes, and its transformation."""
        return [
            (stream_map.stream_alias, None if _is_identity(stream_map) else stream_map.transform)
            for stream_map in self.fast_stream_maps
        ]

    @abstractmethod
    def get_chunks(self) -> Iterable[Sequence[Record]]:
        """The records, in small chunks."""

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

        The SDK's own does more for each record, for partitions, child streams and state that is
        made from records; this tap has none of them.
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
        """The chunks; no more records than the SDK's limit, which is set where it only tests."""
        if self.ABORT_AT_RECORD_COUNT is None:
            yield from chunks
        else:
            for index, record in enumerate(chain.from_iterable(chunks)):
                self._check_max_record_limit(index)
                yield [record]

    def _write_records(self, records: Sequence[Record]) -> None:
        """Write shaped records as RECORD messages, or to the files of BATCH messages."""
        if self._batches is not None:
            self._batches.add(records)
            return
        messages = [
            FastRecordMessage(alias, mapped, self._stream_version, datetime.now(UTC))
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
        """Write the records to files, each batch announced before the STATE that covers it."""
        with self.get_batch_counter() as counter:
            schemas = [stream_map.transformed_schema for stream_map in self.fast_stream_maps]
            self._batches = Batches(
                f"{self.tap_name}--{self.name}",
                (
                    (name, schema, transform)
                    for schema, (name, transform) in zip(schemas, self._transforms, strict=True)
                ),
                batch_config,
                self._tap.message_writer,
                counter,
            )
            with closing(self._batches):
                for _ in self._sync_records(context):
                    pass

    def _write_state_message(self) -> None:
        if self._batches is not None:
            self._batches.flush()
        super()._write_state_message()
        if self._block_writer is not None:
            self._block_writer.flush()

    def write_state(self) -> None:
        """Write STATE now, after every record that was yielded before."""
        self.state_manager.is_flushed = False
        self._write_state_message()

    def defer_failure(self, line: str) -> None:
        """Log `line`, and fail the run with it once everything else is read."""
        self.logger.warning("%s; the run continues, and fails at its end", line)
        self.failures.append(line)

    def log(self, message: str, *args: Any, level: int = logging.INFO, **options: Any) -> None:
        """Log, without the SDK's line that an error occurred: the command logs the error itself."""
        if level < logging.ERROR:
            super().log(message, *args, level=level, **options)

    def get_replication_key_signpost(self, *_: Any, **__: Any) -> None:
        """No signpost: the bookmark is not the SDK's."""


def _is_identity(stream_map: StreamMap) -> bool:
    return isinstance(stream_map, SameRecordTransform) and not stream_map.flattening_enabled
