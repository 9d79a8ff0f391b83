"""Records written to batch files, announced by BATCH messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk.batch import Batcher
from singer_sdk.helpers._batch import SDKBatchMessage  # noqa: PLC2701 - there is no public name

if TYPE_CHECKING:
    from collections.abc import Callable

    from singer_sdk.helpers._batch import BatchConfig
    from singer_sdk.mapper import StreamMap
    from singer_sdk.metrics import Counter

    from tap_callcap.records.shaper import Record
    from tap_callcap.singer.stream import CallcapStream


class Batches:
    """Collects the records of a stream, those of each stream map apart, and writes them to files.

    The SDK's own batches leave out selection, stream maps and flattening.
    """

    def __init__(
        self,
        stream: CallcapStream,
        config: BatchConfig,
        write_message: Callable[[SDKBatchMessage], None],
        counter: Counter,
    ) -> None:
        self._write_message = write_message
        self._counter = counter
        self._config = config
        self._batcher = Batcher(stream.tap_name, stream.name, config)
        self._collected: list[tuple[StreamMap, list[dict[str, Any]]]] = [
            (stream_map, []) for stream_map in stream.fast_stream_maps
        ]

    def add(self, record: Record) -> None:
        """Collect `record`; write a file when `batch_size` records are collected."""
        for stream_map, records in self._collected:
            mapped = stream_map.transform(record)
            if mapped is not None:
                records.append(mapped)
            if len(records) >= self._config.batch_size:
                self._write(stream_map.stream_alias, records)

    def flush(self) -> None:
        """Write all collected records, however few."""
        for stream_map, records in self._collected:
            if records:
                self._write(stream_map.stream_alias, records)

    def _write(self, stream_name: str, records: list[dict[str, Any]]) -> None:
        for manifest in self._batcher.get_batches(iter(records)):
            self._counter.increment()
            self._write_message(SDKBatchMessage(stream_name, self._config.encoding, manifest))
        records.clear()
