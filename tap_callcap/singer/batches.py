"""Records written to batch files, announced by BATCH messages.

The SDK's own batches leave out selection, stream maps and flattening, gzip whatever was asked for,
and leave files that others can read.
"""

from __future__ import annotations

import gzip
import os
import shutil
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

import fsspec
import msgspec
from singer_sdk.helpers._batch import SDKBatchMessage  # noqa: PLC2701 - there is no public name

from tap_callcap.singer.storage import local_folder
from tap_callcap.singer.writer import BLOCK, ENCODER, BlockWriter, escape_line_ends

if TYPE_CHECKING:
    from singer_sdk.helpers._batch import BatchConfig
    from singer_sdk.mapper import StreamMap
    from singer_sdk.metrics import Counter
    from singer_sdk.singerlib.encoding import GenericSingerWriter

    from tap_callcap.records.schema import JSONSchema
    from tap_callcap.records.shaper import Record
    from tap_callcap.singer.stream import CallcapStream


class Batches:
    """Collects the records of a stream, those of each stream map apart, and writes them to files.

    Args:
        stream: The stream.
        config: The SDK's: encoding, storage, size.
        writer: Writes the BATCH messages.
        counter: Counts them.
    """

    def __init__(
        self,
        stream: CallcapStream,
        config: BatchConfig,
        writer: GenericSingerWriter[Any, Any],
        counter: Counter,
    ) -> None:
        self._writer = writer
        self._counter = counter
        self._config = config
        self._storage = Storage(config)
        self._name = f"{config.storage.prefix or ''}{stream.tap_name}--{stream.name}-{uuid4()}"
        self._number = 0
        self._collected: list[tuple[StreamMap, _Lines | _Table]] = [
            (
                stream_map,
                _Lines(config)
                if config.encoding.format == "jsonl"
                else _Table(config, stream_map.transformed_schema),
            )
            for stream_map in stream.fast_stream_maps
        ]

    def add(self, record: Record) -> None:
        """Collect `record`; write a file when `batch_size` records are collected."""
        for stream_map, batch in self._collected:
            mapped = stream_map.transform(record)
            if mapped is not None:
                batch.add(mapped)
            if batch.count >= self._config.batch_size:
                self._write(stream_map.stream_alias, batch)

    def flush(self) -> None:
        """Write all collected records, however few."""
        for stream_map, batch in self._collected:
            if batch.count:
                self._write(stream_map.stream_alias, batch)

    def close(self) -> None:
        """Drop what is not written."""
        for _, batch in self._collected:
            batch.close()

    def _write(self, stream_name: str, batch: _Lines | _Table) -> None:
        """Write a file and announce it; one that was not announced does not stay."""
        self._number += 1
        name = f"{self._name}-{self._number}{batch.suffix}"
        before = self._written
        try:
            with batch.finished() as content:
                url = self._storage.put(name, content)
            self._writer.write_message(SDKBatchMessage(stream_name, self._config.encoding, [url]))
        except BaseException:
            if self._written == before:
                self._storage.remove(name)
            raise
        self._counter.increment()

    @property
    def _written(self) -> int:
        """How many messages have been written for sure."""
        return self._writer.written if isinstance(self._writer, BlockWriter) else 0


class Storage:
    """The folder or bucket of the files."""

    def __init__(self, config: BatchConfig) -> None:
        root = config.storage.root
        self._folder = local_folder(root)
        if self._folder is None:
            self._system, self._base = fsspec.url_to_fs(root, **config.storage.params)

    def put(self, name: str, content: IO[bytes]) -> str:
        """Store a file, which only its owner can read; returns its URL."""
        if self._folder is None:
            with self._system.open(f"{self._base}/{name}", "wb") as file:
                shutil.copyfileobj(content, file)
            url: str = self._system.unstrip_protocol(f"{self._base}/{name}")
            return url
        path = (self._folder / name).absolute()
        for folder in reversed(path.parents):
            folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            shutil.copyfileobj(content, file)
        return path.as_uri()

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""
        if self._folder is not None:
            Path(self._folder / name).unlink(missing_ok=True)
        elif self._system.exists(f"{self._base}/{name}"):
            self._system.rm_file(f"{self._base}/{name}")


class _Lines:
    """A batch as JSON Lines, collected in a file that has no name, so that nothing stays of it."""

    def __init__(self, config: BatchConfig) -> None:
        self._is_compressed = config.encoding.compression == "gzip"
        self.suffix = ".json.gz" if self._is_compressed else ".json"
        self.count = 0
        self._lines = bytearray()

    def add(self, record: Record) -> None:
        """Add a record."""
        if not self.count:
            self._open()
        ENCODER.encode_into(record, self._lines, len(self._lines))
        self._lines += b"\n"
        self.count += 1
        if len(self._lines) >= BLOCK:
            self._drain()

    def _open(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115 - closed by `finished` or `close`
        self._sink: IO[bytes] | gzip.GzipFile = self._file
        if self._is_compressed:
            self._sink = gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=1)

    def _drain(self) -> None:
        self._sink.write(escape_line_ends(self._lines))
        self._lines = bytearray()

    def finished(self) -> IO[bytes]:
        """The content of the file; the next record begins another one."""
        self._drain()
        if self._sink is not self._file:
            self._sink.close()
        self._file.seek(0)
        self.count = 0
        return self._file

    def close(self) -> None:
        """Drop what was collected."""
        if self.count:
            self._sink.close()
            self._file.close()


class _Table:
    """A batch as Parquet, with the types of the SCHEMA; times are text."""

    suffix = ".parquet"

    def __init__(self, config: BatchConfig, schema: JSONSchema) -> None:
        import pyarrow as pa  # noqa: PLC0415 - an extra

        self._compression = config.encoding.compression or "snappy"  # Parquet's own
        self._columns = pa.schema(list(_arrow_type(pa, schema)))
        self._records: list[Record] = []

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self._records)

    def add(self, record: Record) -> None:
        """Add a record."""
        self._records.append(msgspec.json.decode(ENCODER.encode(record)))

    def finished(self) -> IO[bytes]:
        """The content of the file; the next record begins another one."""
        from pyarrow import Table, parquet  # noqa: PLC0415 - an extra

        content = BytesIO()
        table = Table.from_pylist(self._records, schema=self._columns)
        parquet.write_table(table, content, compression=self._compression)
        content.seek(0)
        self._records = []
        return content

    def close(self) -> None:
        """Drop what was collected."""
        self._records = []


def _arrow_type(pyarrow: Any, schema: JSONSchema) -> Any:  # noqa: ANN401 - it has no types
    """The type of Arrow for a property: the same in every file, whatever the values."""
    kinds = {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])
    if "object" in kinds:
        parts = schema["properties"].items()
        return pyarrow.struct([(name, _arrow_type(pyarrow, part)) for name, part in parts])
    if "array" in kinds:
        return pyarrow.list_(_arrow_type(pyarrow, schema["items"]))
    types = {"boolean": "bool_", "integer": "int64", "number": "float64"}
    return getattr(pyarrow, next((types[kind] for kind in kinds if kind in types), "string"))()
