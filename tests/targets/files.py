"""Targets that write files."""

from __future__ import annotations

import csv
import json
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from targets.loader import PRINT_ROWS, Loader
from targets.servers import running
from targets.truth import Row, kind_of, schema_of

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


class JSONLines(Loader):
    """A file that grows."""

    name = "target-jsonl"
    title = "JSON Lines"
    appends = True
    cannot: ClassVar = {"batch": "It knows no BATCH messages, and fails."}
    metadata: ClassVar = {}
    has_metadata = False

    @property
    def config(self) -> dict[str, Any]:
        """The target's config."""
        return {"destination_path": str(self.folder), "do_timestamp_file": False}

    def rows(self) -> list[Row]:
        """Return the lines of the file, with null for columns that a line lacks."""
        lines = (self.folder / "calls.jsonl").read_text("utf-8").split("\n")
        rows = [json.loads(line, parse_float=Decimal) for line in lines if line]
        columns = dict.fromkeys(name for row in rows for name in row)
        return [columns | row for row in rows]


class CSV(Loader):
    """A file for each run."""

    name = "target-csv"
    title = "CSV"
    nothing = ("",)
    equality = (
        "Flattened by the target, `flattening_max_depth` 3: else it writes nested parts as Python "
        "has them, not as JSON. Null and an empty text look the same."
    )
    depth = 3
    appends = True

    @property
    def config(self) -> dict[str, Any]:
        """The target's config."""
        return {
            "output_path": str(self.folder),
            "file_naming_scheme": "{stream_name}-{timestamp}.csv",
            "timestamp_format": "%Y-%m-%dT%H%M%S.%f",
            "flattening_enabled": True,  # else nested parts are written as Python has them
            "flattening_max_depth": self.depth,
        }

    def rows(self) -> list[Row]:
        """Return the lines of all files."""
        csv.field_size_limit(2**31 - 1)
        rows: list[Row] = []
        for file in sorted(self.folder.glob("calls-*.csv")):
            with file.open(encoding="utf-8", newline="") as lines:
                rows += [
                    {column: _typed(text, column) for column, text in line.items()}
                    for line in csv.DictReader(lines)
                ]
        return rows


def _typed(text: str, column: str) -> Any:
    """Return what a field of a CSV file means."""
    kind = "string" if column.startswith("_sdc_") else kind_of(schema_of(column))
    if not text:
        return None
    if kind == "boolean":
        return {"True": True, "False": False}[text]
    return {"integer": int, "number": Decimal}.get(kind, str)(text)


class Parquet(Loader):
    """Files in an S3 that moto plays."""

    name = "target-s3"
    title = "Parquet on S3"
    stand_in = "The real target; [moto](https://docs.getmoto.org) 5.2.5 plays S3."
    equality = (
        "Flattened by the target, `flattening_max_depth` 3: it fails on numbers in nested parts."
    )
    extras = ("moto[server]==5.2.5",)
    depth = 3
    appends = True
    cannot: ClassVar = {"batch": "It fails on BATCH messages."}
    metadata: ClassVar = {}
    has_metadata = False
    column_types: ClassVar = {
        "string": "string",
        "json": "string",
        "date-time": "timestamp[ms, tz=utc]",
        "integer": "int64",
        "number": "double",
        "boolean": "bool",
        "object": "string",
        "array": "string",
    }
    _serve = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://%s:%s" % server.get_host_and_port(), flush=True)
sys.stdin.read()
"""
    _open = """
import pyarrow.fs, pyarrow.parquet
def files(address, bucket):
    s3 = pyarrow.fs.S3FileSystem(
        access_key="sandbox", secret_key="sandbox", region="us-east-1", endpoint_override=address
    )
    if s3.get_file_info(bucket).type == pyarrow.fs.FileType.NotFound:
        return []
    found = s3.get_file_info(pyarrow.fs.FileSelector(bucket, recursive=True))
    names = sorted((file.mtime, file.path) for file in found if file.is_file)
    return [pyarrow.parquet.read_table(name, filesystem=s3) for _, name in names]
"""
    _fetch = f"""{_open}
def fetch(address, bucket):
    return [row for table in files(address, bucket) for row in table.to_pylist()]
{PRINT_ROWS}"""
    _fetch_types = f"""{_open}
def fetch(address, bucket):
    return [{{field.name: str(field.type)}} for field in files(address, bucket)[0].schema]
{PRINT_ROWS}"""
    _make_bucket = """
import sys, boto3
client = boto3.client(
    "s3", endpoint_url=sys.argv[1], region_name="us-east-1",
    aws_access_key_id="sandbox", aws_secret_access_key="sandbox",
)
client.create_bucket(Bucket=sys.argv[2])
"""

    def __init__(self, folder: Path, server: Any) -> None:
        """Make a bucket of one's own."""
        super().__init__(folder, server)
        self.bucket = f"callcap-{uuid4().hex}"
        self.environment().run(self._make_bucket, server, self.bucket)

    @classmethod
    @contextmanager
    def serving(cls) -> Generator[Any, None, None]:
        """Run an S3."""
        with running([str(cls.environment().python), "-c", cls._serve]) as address:
            yield address

    @property
    def config(self) -> dict[str, Any]:
        """The target's config."""
        return {
            "format": {"format_type": "parquet"},
            "cloud_provider": {
                "cloud_provider_type": "aws",
                "aws": {
                    "aws_access_key_id": "sandbox",
                    "aws_secret_access_key": "sandbox",
                    "aws_region": "us-east-1",
                    "aws_bucket": self.bucket,
                    "aws_endpoint_override": self.server,
                },
            },
            "prefix": "callcap",
            "flattening_enabled": True,  # else it fails on numbers in nested parts
            "flattening_max_depth": self.depth,
        }

    def rows(self) -> list[Row]:
        """Return the rows of all files, the oldest file's first."""
        rows: list[Row] = json.loads(self.run_script(self._fetch, self.server, self.bucket))
        return rows

    def columns(self) -> dict[str, str]:
        """Return the columns with their types, of nested ones the outermost."""
        found = json.loads(self.run_script(self._fetch_types, self.server, self.bucket))
        return {name: kind.partition("<")[0] for column in found for name, kind in column.items()}
