"""The formats of batch files: JSON Lines, and columns with the types of the SCHEMA."""

from __future__ import annotations

import re
import zlib
from typing import IO, TYPE_CHECKING, Any, Protocol

from singer_sdk.exceptions import ConfigurationError

from tap_callcap.singer.writer import escape_line_ends

if TYPE_CHECKING:
    from tap_callcap.records.schema import JSONSchema

GZIP_LEVEL = 1  # higher ones take twice the time and more for files that are a third smaller
GZIP_FORMAT = 31  # of zlib: with the head and tail of a gzip file
ROW_GROUP = 2**26  # bytes in memory that become one row group of Parquet
SCALARS = {"boolean": "bool_", "integer": "int64", "number": "float64", "string": "string"}
"""The types of Arrow for those of JSON."""


class Encoding(Protocol):
    """Writes the content of one file."""

    def write(self, lines: bytearray) -> None:
        """Add records, each a line of JSON."""

    def close(self) -> None:
        """Complete the content; the file stays open."""


class Lines:
    """JSON Lines, compressed or not."""

    def __init__(self, file: IO[bytes], *, is_compressed: bool) -> None:
        self._file = file
        self._gzip = zlib.compressobj(GZIP_LEVEL, wbits=GZIP_FORMAT) if is_compressed else None

    def write(self, lines: bytearray) -> None:
        """Add records, each a line of JSON."""
        lines = escape_line_ends(lines)
        self._file.write(self._gzip.compress(lines) if self._gzip else lines)

    def close(self) -> None:
        """Complete the content; the file stays open."""
        if self._gzip:
            self._file.write(self._gzip.flush())


class Columns:
    """Arrow IPC or Parquet.

    Args:
        file: Where it goes.
        schema: Types of the columns, from `arrow_schema`.
        form: `arrow` or `parquet`.
        compression: That of Parquet, None for its usual one.
    """

    def __init__(self, file: IO[bytes], schema: Any, form: str, compression: str | None) -> None:  # noqa: ANN401 - it has no types
        from pyarrow import ipc, json, parquet  # noqa: PLC0415 - an extra

        self._json = json
        self._parse = json.ParseOptions(schema, unexpected_field_behavior="error")
        self._least = 0
        self._tables: list[Any] = []
        if form == "arrow":
            self._writer: Any = ipc.new_file(file, schema)
        else:
            self._least = ROW_GROUP
            codec = compression or "snappy"
            self._writer = parquet.ParquetWriter(file, schema, compression=codec)

    def write(self, lines: bytearray) -> None:
        """Add records, each a line of JSON.

        Raises:
            ConfigurationError: If they do not have the types of the schema.
        """
        from pyarrow import ArrowInvalid, BufferReader  # noqa: PLC0415 - an extra

        options = self._json.ReadOptions(block_size=len(lines))
        try:
            table = self._json.read_json(BufferReader(lines), options, self._parse)
        except ArrowInvalid as error:  # its text may quote a value
            column = re.search(r"Column\(/([\w/]+)\)", str(error))
            msg = (
                f"The values of {column[1] if column else 'a property'} do not have the type of "
                "its schema, as those of columns must: convert them in the stream map, as by "
                "float(…) or str(…), or set batch_config.encoding.format to jsonl"
            )
            raise ConfigurationError(msg) from None
        self._tables.append(table)
        if sum(each.nbytes for each in self._tables) >= self._least:
            self._drain()

    def _drain(self) -> None:
        from pyarrow import concat_tables  # noqa: PLC0415 - an extra

        table, self._tables = concat_tables(self._tables), []
        self._writer.write_table(table)

    def close(self) -> None:
        """Complete the content; the file stays open."""
        if self._tables:
            self._drain()
        self._writer.close()


def arrow_schema(name: str, schema: JSONSchema) -> Any:  # noqa: ANN401 - it has no types
    """The schema of Arrow for records of `name` with `schema`, whatever their values.

    Raises:
        ConfigurationError: If a property has no type that a column can have.
    """
    import pyarrow  # noqa: ICN001, PLC0415 - an extra

    return pyarrow.schema(list(_type_of(pyarrow, name, schema)))


def _type_of(pyarrow: Any, path: str, schema: JSONSchema) -> Any:  # noqa: ANN401 - it has no types
    given = schema.get("type", [])
    kinds = {given} if isinstance(given, str) else set(given) - {"null"}
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind == "object" and schema.get("properties"):
        parts = schema["properties"].items()
        fields = [(name, _type_of(pyarrow, f"{path}.{name}", part)) for name, part in parts]
        return pyarrow.struct(fields)
    if kind == "array" and schema.get("items"):
        return pyarrow.list_(_type_of(pyarrow, path, schema["items"]))
    if kind == "string" and schema.get("format") == "date-time":
        return pyarrow.timestamp("us", "UTC")
    if kind not in SCALARS:
        msg = f"{path} has no one type, as columns must: set batch_config.encoding.format to jsonl"
        raise ConfigurationError(msg)
    return getattr(pyarrow, SCALARS[kind])()
