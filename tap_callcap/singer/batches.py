"""Records written to batch files, announced by BATCH messages.

The SDK's own batches leave out selection, stream maps and flattening, gzip whatever was asked for,
and leave files that others can read.
"""

from __future__ import annotations

import os
import shutil
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

import fsspec
from singer_sdk.helpers._batch import SDKBatchMessage  # noqa: PLC2701 - there is no public name

from tap_callcap.singer.encodings import Columns, Lines, arrow_schema
from tap_callcap.singer.storage import local_folder
from tap_callcap.singer.writer import BLOCK, ENCODER, BlockWriter, naming
from tap_callcap.sync.prefetch import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future

    from singer_sdk.helpers._batch import BatchConfig
    from singer_sdk.metrics import Counter
    from singer_sdk.singerlib.encoding import GenericSingerWriter

    from tap_callcap.records.schema import JSONSchema
    from tap_callcap.records.shaper import Record
    from tap_callcap.singer.encodings import Encoding

    Transform = Callable[[Record], dict[str, Any] | None]

AHEAD = 2  # blocks that wait to be compressed or turned into columns
PLACE = "batch_config.storage.root"  # what an error names
COLUMNS_BLOCK = 4 * BLOCK  # bytes of JSON that become columns at once


class Batches:
    """Writes the records of a stream to files, those of each stream map apart.

    Another thread compresses them, or turns them into columns. A file has no name until it is
    complete and about to be announced, so that nothing stays of it where the process is killed.

    Args:
        name: What the names of files begin with.
        outputs: For each stream map: the name of the stream that it writes, its schema, and its
            transformation, None where records stay as they are.
        config: The SDK's: encoding, storage, size.
        writer: Writes the BATCH messages.
        counter: Counts them.
    """

    def __init__(
        self,
        name: str,
        outputs: Iterable[tuple[str, JSONSchema, Transform | None]],
        config: BatchConfig,
        writer: GenericSingerWriter[Any, Any],
        counter: Counter,
    ) -> None:
        self._writer = writer
        self._counter = counter
        self._config = config
        self._storage = Storage(config)
        self._name = f"{config.storage.prefix or ''}{name}-{uuid4()}"
        self._number = 0
        self._worker = Workers(1)
        self._jobs: deque[Future[None]] = deque()
        self._complete: deque[tuple[str, _File, Future[None]]] = deque()
        self._outputs = [
            _Output(stream, _Format(config, stream, schema), transform)
            for stream, schema, transform in outputs
        ]

    @naming(PLACE)
    def add(self, records: Sequence[Record]) -> None:
        """Write `records`; a file is complete when it has `batch_size` of them."""
        for output in self._outputs:
            mapped = records
            if output.transform is not None:
                results = map(output.transform, records)
                mapped = [record for record in results if record is not None]
            while mapped:
                if output.file is None:
                    output.file = self._new_file(output.form)
                room = self._config.batch_size - output.file.count
                output.file.add(mapped[:room], self._submit)
                mapped = mapped[room:]
                if output.file.count >= self._config.batch_size:
                    self._finish(output)
        while self._complete and self._complete[0][2].done():
            self._announce()

    @naming(PLACE)
    def flush(self) -> None:
        """Announce all records that were written, however few."""
        for output in self._outputs:
            self._finish(output)
        while self._complete:
            self._announce()

    def close(self) -> None:
        """Drop what was not announced."""
        for job in self._jobs:  # a thread within a library must not see the interpreter end
            with suppress(BaseException):
                job.result()
        for file in [each.file for each in self._outputs] + [each[1] for each in self._complete]:
            if file is not None:
                file.drop()

    def _new_file(self, form: _Format) -> _File:
        self._number += 1
        name = f"{self._name}-{self._number}{form.suffix}"
        return _File(name, self._storage.unnamed(name), form)

    def _submit(self, job: Callable[[], None]) -> Future[None]:
        """Have a job done after those before it, few of which may wait."""
        while len(self._jobs) > AHEAD:
            self._jobs.popleft().result()
        self._jobs.append(self._worker.submit(job))
        return self._jobs[-1]

    def _finish(self, output: _Output) -> None:
        if output.file is not None:
            job = self._submit(output.file.finish)
            self._complete.append((output.stream, output.file, job))
            output.file = None

    def _announce(self) -> None:
        """Name the oldest complete file and announce it; one that was not announced is removed."""
        stream, file, job = self._complete[0]
        job.result()
        before = self._written
        try:
            url = self._storage.put(file.name, file.content)
            self._writer.write_message(SDKBatchMessage(stream, self._config.encoding, [url]))
        except BaseException:
            if self._written == before:
                self._storage.remove(file.name)
            raise
        self._complete.popleft()
        file.content.close()
        self._counter.increment()

    @property
    def _written(self) -> int:
        """How many messages have been written for sure."""
        return self._writer.written if isinstance(self._writer, BlockWriter) else 0


class _Format:
    """What the files of a stream are like."""

    def __init__(self, config: BatchConfig, stream: str, schema: JSONSchema) -> None:
        self._form = config.encoding.format
        self._compression = config.encoding.compression
        if self._form == "jsonl":
            self.suffix = ".json.gz" if self._compression == "gzip" else ".json"
            self.block = BLOCK
        else:
            self.suffix = f".{self._form}"
            self.block = COLUMNS_BLOCK
            self._columns = arrow_schema(stream, schema)

    def into(self, file: IO[bytes]) -> Encoding:
        """Write to `file`."""
        if self._form == "jsonl":
            return Lines(file, is_compressed=self._compression == "gzip")
        return Columns(file, self._columns, self._form, self._compression)


class _File:
    """A file that is being written."""

    def __init__(self, name: str, content: IO[bytes], form: _Format) -> None:
        self.name = name
        self.content = content
        self.count = 0
        self._block = form.block
        self._encoding = form.into(content)
        self._lines = bytearray()
        self._is_complete = False

    def add(self, records: Sequence[Record], submit: Callable[[Callable[[], None]], Any]) -> None:
        """Add records; `submit` has a thread write them."""
        self.count += len(records)
        self._lines += ENCODER.encode_lines(records)
        if len(self._lines) >= self._block:
            lines, self._lines = self._lines, bytearray()
            submit(partial(self._encoding.write, lines))

    def finish(self) -> None:
        """Complete the content."""
        if self._lines:
            self._encoding.write(self._lines)
        self._encoding.close()
        self._is_complete = True

    def drop(self) -> None:
        """Close the file, and before it what would write to it when it is forgotten."""
        if not self._is_complete:  # else it may have been announced
            with suppress(Exception):
                self._encoding.close()
        self.content.close()


@dataclass(slots=True)
class _Output:
    """A stream that is written, and its file, None where no record came since the last one."""

    stream: str
    form: _Format
    transform: Transform | None
    file: _File | None = None


class Storage:
    """The folder or bucket of the files."""

    def __init__(self, config: BatchConfig) -> None:
        root = config.storage.root
        self._folder = local_folder(root)
        if self._folder is None:
            self._system, self._base = fsspec.url_to_fs(root, **config.storage.params)

    def unnamed(self, name: str) -> IO[bytes]:
        """An open file that has no name yet, in the folder where it will have `name`."""
        if self._folder is None:
            return TemporaryFile()
        path = (self._folder / name).absolute()
        for folder in reversed(path.parents):
            folder.mkdir(mode=0o700, exist_ok=True)
        try:  # one that can be given a name, as Python's own cannot
            return os.fdopen(os.open(path.parent, os.O_TMPFILE | os.O_RDWR, 0o600), "w+b")
        except (AttributeError, OSError):  # not on Linux, or not on this file system
            return TemporaryFile(dir=path.parent)

    def put(self, name: str, content: IO[bytes]) -> str:
        """Give an unnamed file its name, for its owner only; returns its URL."""
        content.seek(0)  # and write what is buffered
        if self._folder is None:
            with self._system.open(f"{self._base}/{name}", "wb") as file:
                shutil.copyfileobj(content, file)
            url: str = self._system.unstrip_protocol(f"{self._base}/{name}")
            return url
        path = (self._folder / name).absolute()
        try:
            _link(content.fileno(), path)
        except OSError:  # likewise
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                shutil.copyfileobj(content, file)
        return path.as_uri()

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""
        if self._folder is not None:
            Path(self._folder / name).unlink(missing_ok=True)
        else:
            with suppress(FileNotFoundError):
                self._system.rm_file(f"{self._base}/{name}")


def _link(file: int, path: Path) -> None:
    """Give an open file without a name the name `path`."""
    folder = os.open("/proc/self/fd", os.O_RDONLY)
    try:  # without `src_dir_fd`, Python would link the symbolic link itself
        os.link(str(file), path, src_dir_fd=folder)
    finally:
        os.close(folder)
