"""Prints how many rows the files below a folder have, and how many different calls."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Row(msgspec.Struct):
    call_id: str


def ids_in(path: Path) -> Iterator[str]:
    """The id of each row of a file."""
    if path.suffix in {".arrow", ".parquet"}:
        from pyarrow import ipc, parquet  # noqa: PLC0415 - slow to import

        arrow = path.suffix == ".arrow"
        table = ipc.open_file(path).read_all() if arrow else parquet.read_table(path)
        yield from table["call_id"].to_pylist()
    else:
        decode = msgspec.json.Decoder(_Row).decode
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            yield from (decode(line).call_id for line in lines)


if __name__ == "__main__":
    files = [path for path in Path(sys.argv[1]).rglob("*") if path.is_file()]
    ids = [call_id for path in files for call_id in ids_in(path)]
    print(json.dumps([len(ids), len(set(ids))]))
