"""What is measured: the readers, their options, and the series in which they are compared."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PEERS = Path(__file__).parent / "peers"
TAP = str(Path(sys.executable).with_name("tap-callcap"))
SYNC = ("--config=config.json",)


@dataclass(frozen=True)
class Reader:
    """A program that reads all calls: the tap, or a script in peers/."""

    name: str
    package: str
    """The distribution whose version RESULTS.md shows."""
    script: Path | None = None
    """The script to run; None for the tap, which is a command."""

    @property
    def has_environment(self) -> bool:
        """Whether the script declares requirements; else it uses this project's environment."""
        return self.script is not None and self._pin is not None

    @property
    def version(self) -> str:
        """The version of its package."""
        return self._pin[1] if self._pin else version(self.package)

    @property
    def _pin(self) -> re.Match[str] | None:
        text = self.script.read_text(encoding="utf-8") if self.script else ""
        return re.search(rf'"{re.escape(self.package)}(?:\[[\w,]+\])?==([\d.]+)"', text)


TAP_CALLCAP = Reader("tap-callcap", "tap-callcap")
FLOOR = Reader("floor", "msgspec", PEERS / "floor.py")
IDIOMATIC = Reader("idiomatic SDK tap", "singer-sdk", PEERS / "idiomatic.py")
SINGER_PYTHON = Reader("singer-python tap", "singer-python", PEERS / "singer_python.py")
MSDK = Reader("tap-rest-api-msdk", "tap-rest-api-msdk", PEERS / "rest_api_msdk.py")
AIRBYTE = Reader("airbyte-cdk manifest", "airbyte-cdk", PEERS / "airbyte.py")
DLT = Reader("dlt rest_api", "dlt", PEERS / "dlt_rest_api.py")
READERS = (TAP_CALLCAP, FLOOR, IDIOMATIC, SINGER_PYTHON, MSDK, AIRBYTE, DLT)


@dataclass(frozen=True)
class Case:
    """A reader with its options."""

    reader: Reader
    manner: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = SYNC
    owed: str = "all"
    """Which calls the run must deliver: `all`, only the `newest`, or `none`."""
    batches: str = ""
    """Format of BATCH files; RECORD messages if empty."""
    warehouse: str = ""
    """Where a loader writes to; the output is only read if empty."""

    @property
    def name(self) -> str:
        """The name in tables."""
        return f"{self.reader.name}, {self.manner}" if self.manner else self.reader.name


@dataclass(frozen=True)
class Series:
    """Cases that are compared: they run in turn over the same pages."""

    name: str
    title: str
    cases: tuple[Case, ...]
    calls: int = 100_000
    latency: float = 0.0
    """Seconds between a request and its answer."""
    megabytes_per_second: float | None = None
    """Maximum reading speed of the target; unlimited if None."""

    @property
    def is_whole_way(self) -> bool:
        """Whether its cases write files or load a warehouse."""
        return any(case.warehouse or case.batches for case in self.cases)


def tap(concurrency: int) -> Case:
    """The tap with so many requests in flight."""
    return Case(TAP_CALLCAP, f"{concurrency} in flight", {"concurrency": concurrency})


def floor(threads: int) -> Case:
    """The floor with so many requests in flight."""
    return Case(FLOOR, f"{threads} in flight", {"threads": threads})


STREAM_MAP = {
    "stream_maps": {
        "calls": {"notes": None, "caller_hash": "md5(caller['caller_id'])"},
    }
}
FLATTENING = {"flattening_enabled": True, "flattening_max_depth": 3}
INCREMENT = (*SYNC, "--state=state.json")

OTHERS = (
    Case(SINGER_PYTHON),
    Case(MSDK),
    Case(AIRBYTE),
    Case(DLT, "iterated"),
    Case(DLT, "into files", {"into_files": True}),
)

WAYS = {"RECORD": "", "BATCH": "jsonl", "BATCH, Parquet": "parquet", "BATCH, Arrow": "arrow"}


def way(name: str, warehouse: str = "", reader: Reader = TAP_CALLCAP) -> Case:
    """A Singer tap that writes in one of the `WAYS`, into a warehouse or to nowhere."""
    manner = f"{name} into {warehouse}" if warehouse else name
    # The types of some fields vary, which databases refuse.
    config = {"entries_as_text": True} if reader == IDIOMATIC and warehouse else {}
    return Case(reader, manner, config, batches=WAYS[name], warehouse=warehouse)


def dlt_into(warehouse: str, **settings: object) -> Case:
    """The dlt pipeline, which loads by itself."""
    manner = f"into {warehouse}" + ", as it comes" * (not settings)
    return Case(DLT, manner, {"into": warehouse, **settings}, warehouse=warehouse)


FLAT = {"max_table_nesting": 0}  # nested parts as JSON, as the targets have them

SERIES = {
    series.name: series
    for series in (
        Series(
            "peers",
            "All, no latency",
            (Case(IDIOMATIC), *OTHERS, Case(FLOOR), tap(4)),
        ),
        Series(
            "peers-300ms",
            "The tap and the others, 300 ms a page",
            (*OTHERS, tap(4)),
            latency=0.3,
        ),
        Series(
            "300ms",
            "The tap, the floor and the idiomatic SDK tap, 300 ms a page",
            (Case(IDIOMATIC), floor(4), tap(4), floor(8), tap(8)),
            latency=0.3,
        ),
        Series(
            "50ms",
            "The tap and the floor, 50 ms a page",
            (floor(4), tap(4), floor(8), tap(8)),
            latency=0.05,
        ),
        Series(
            "million",
            "A million calls, no latency",
            (Case(FLOOR), tap(4)),
            calls=1_000_000,
        ),
        Series(
            "million-50ms",
            "A million calls, 50 ms a page",
            (floor(4), tap(4), floor(8), tap(8)),
            calls=1_000_000,
            latency=0.05,
        ),
        Series(
            "maps",
            "With a stream map, with flattening",
            tuple(
                Case(reader, manner, config)
                for manner, config in (("stream map", STREAM_MAP), ("flattening", FLATTENING))
                for reader in (IDIOMATIC, TAP_CALLCAP)
            ),
        ),
        Series(
            "slow-target",
            "A target that reads 20 MB a second",
            (Case(IDIOMATIC), Case(FLOOR), tap(4)),
            megabytes_per_second=20,
        ),
        Series(
            "start-up",
            "Start-up",
            tuple(
                Case(reader, manner, arguments=arguments, owed=owed)
                for manner, arguments, owed in (
                    ("--version", ("--version",), "none"),
                    ("--discover", (*SYNC, "--discover"), "none"),
                    ("a quiet increment", INCREMENT, "newest"),
                )
                for reader in (IDIOMATIC, TAP_CALLCAP)
            ),
        ),
        Series(
            "no-start-date",
            "Without `start_date`",
            (tap(4), Case(TAP_CALLCAP, "no start_date", {"start_date": None})),
        ),
        Series(
            "million-no-start-date",
            "A million calls without `start_date`",
            (Case(TAP_CALLCAP, "no start_date", {"start_date": None}),),
            calls=1_000_000,
        ),
        Series(
            "batches",
            "Into files of BATCH messages",
            (
                *(way(name) for name in WAYS),
                way("RECORD", reader=IDIOMATIC),
                way("BATCH", reader=IDIOMATIC),
            ),
        ),
        Series(
            "to-warehouse",
            "Into the warehouse",
            (
                way("RECORD", "DuckDB"),
                way("RECORD", "DuckDB", IDIOMATIC),
                dlt_into("DuckDB", **FLAT),
                dlt_into("DuckDB"),
                way("RECORD", "PostgreSQL"),
                way("BATCH", "PostgreSQL"),
                way("RECORD", "PostgreSQL", IDIOMATIC),
                way("BATCH", "PostgreSQL", IDIOMATIC),
                dlt_into("PostgreSQL", **FLAT),
                way("RECORD", "Snowflake's stage"),
                way("BATCH", "Snowflake's stage"),
                way("BATCH, Arrow", "Snowflake's stage"),
                way("RECORD", "Snowflake's stage", IDIOMATIC),
                way("BATCH", "Snowflake's stage", IDIOMATIC),
                way("RECORD", "JSON Lines"),
                way("RECORD", "JSON Lines", IDIOMATIC),
                dlt_into("JSON Lines", **FLAT),
            ),
            calls=20_000,
        ),
    )
}
