"""BigQuery's tables, as far as target-bigquery needs them: no SQL engine, and kept in a file.

Rows are refused by Google's documented rules, and as `Faults` asks.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Row = dict[str, Any]

INT64 = range(-(2**63), 2**63)
STATEMENT = re.compile(
    r"(CREATE OR REPLACE TEMP TABLE `(?P<copy>\w+)` AS SELECT \* FROM (?P<read>\S+) QUALIFY "
    r"ROW_NUMBER\(\) OVER \(PARTITION BY `(?P<part>\w+)` ORDER BY "
    r"COALESCE\(_sdc_extracted_at, _sdc_received_at\) DESC\) = 1|SELECT 1 AS _no_op); "
    r"MERGE `(?P<target>\S+)` AS target USING `(?P<source>\S+)` AS source "
    r"ON target\.`(?P<key>\w+)` = source\.`(?P=key)` "
    r"WHEN MATCHED THEN UPDATE SET (?P<updates>.*?) "
    r"WHEN NOT MATCHED THEN INSERT \((?P<inserts>.*?)\) VALUES \((?P<values>.*?)\); "
    r"DROP TABLE IF EXISTS (?P<drop>\S+);"
)


class RefusedError(Exception):
    """What the service says of rows or a statement that it does not take."""


@dataclass
class Faults:
    """What goes wrong on purpose."""

    refused: tuple[str, ...] = ()
    """Calls whose rows are refused for good."""
    once: bool = False
    """Whether the first request with rows is refused, and no other."""
    held: bool = False
    """Whether the first request with rows is answered only after the last statement."""
    dead: bool = False
    """Whether each worker ends at once, of an error that it does not report."""
    ages: bool = False
    """Whether each STATE finds the target as if five minutes had passed."""


@dataclass
class Table:
    """A table: columns as the API describes them, and rows."""

    schema: list[Row]
    rows: list[Row] = field(default_factory=list)


class Service:
    """All tables of a project, kept in a folder from one run to the next."""

    def __init__(self, folder: Path, faults: Faults) -> None:
        """Take up what an earlier run left."""
        self.faults = faults
        self._folder = folder
        (folder / "sent").mkdir(parents=True, exist_ok=True)
        self._numbers = count(len(list((folder / "sent").iterdir())))
        self._lock = threading.RLock()
        self._kept = folder / "tables.json"
        self._first = True
        self._finished = threading.Event()
        self.tables: dict[str, Table] = {}
        if self._kept.exists():
            tables = json.loads(self._kept.read_text("utf-8"))
            self.tables = {name: Table(**table) for name, table in tables.items()}

    def create(self, name: str, schema: list[Row]) -> None:
        """Make an empty table."""
        with self._lock:
            self.tables[name] = Table(schema)
            self._keep()

    def receive(self, how: str, content: str) -> None:
        """Note a request with rows, and go wrong with the first one if that is asked for.

        Raises:
            RefusedError: If this one is to be refused.
        """
        with self._lock:
            (self._folder / "sent" / f"{next(self._numbers):04} {how}").write_text(content, "utf-8")
            first, self._first = self._first, False
        if first and self.faults.held:
            self._finished.wait(timeout=3)  # a target that waits for its rows gets them
        if first and self.faults.once:
            msg = "quota exceeded"
            raise RefusedError(msg)

    def add(self, name: str, rows: Iterable[Row], *, ignore_unknown: bool = False) -> None:
        """Append rows, all of them or none.

        Raises:
            RefusedError: If one of them does not fit.
        """
        with self._lock:
            if name not in self.tables:
                msg = f"{name} is not found"
                raise RefusedError(msg)
            table = self.tables[name]
            table.rows += [self._stored(row, table.schema, ignore_unknown) for row in rows]
            self._keep()

    def execute(self, statement: str) -> None:
        """Do what the target's one kind of statement says: MERGE, and drop what was merged.

        Raises:
            RefusedError: If it is none, or BigQuery would refuse it.
        """
        parts = STATEMENT.fullmatch(statement)
        if not parts:
            msg = f"unknown statement: {statement}"
            raise RefusedError(msg)
        with self._lock:
            read = (parts["read"] or parts["source"]).replace("`", "")
            source, target = self.tables[read].rows, self.tables[parts["target"]]
            columns = re.findall(r"`(\w+)`", parts["inserts"])
            assert re.findall(r"source\.`(\w+)`", parts["values"]) == columns
            assert re.findall(r"target\.`(\w+)` = source\.`\1`", parts["updates"]) == columns
            for column in columns:
                if column not in {each["name"] for each in target.schema}:
                    msg = f"{column} not found inside target"
                    raise RefusedError(msg)
            if parts["copy"]:
                assert parts["copy"] == parts["source"]
                assert parts["part"] == parts["key"]
                source = _newest(source, parts["part"])
            _merge(target, source, parts["key"], columns)
            del self.tables[parts["drop"].replace("`", "")]
            self._keep()
        self._finished.set()

    def finish(self) -> None:
        """Let go what was held back."""
        self._finished.set()

    def _stored(self, row: Row, schema: list[Row], ignore_unknown: bool) -> Row:
        if row.get("call_id") in self.faults.refused:
            msg = "invalid"
            raise RefusedError(msg)
        unknown = row.keys() - {each["name"] for each in schema}
        if unknown and not ignore_unknown:
            msg = f"no such field: {sorted(unknown)}"
            raise RefusedError(msg)
        return {each["name"]: self._value(row.get(each["name"]), each) for each in schema}

    def _value(self, value: Any, column: Row) -> Any:
        if column.get("mode") == "REPEATED":
            if value is None:
                return []  # Google's JSON readers take it so, and an array is never null
            if not isinstance(value, list) or None in value:
                msg = f"Only optional fields can be set to NULL. Field: {column['name']}"
                raise RefusedError(msg)
            return [self._value(item, {**column, "mode": "NULLABLE"}) for item in value]
        if value is None:
            return None
        kind = column["type"].upper()
        if kind == "RECORD" and isinstance(value, dict):
            return self._stored(value, column["fields"], ignore_unknown=False)
        fits = {
            "STRING": lambda: isinstance(value, str),
            "TIMESTAMP": lambda: datetime.fromisoformat(value),
            "INTEGER": lambda: type(value) is int and value in INT64,
            "FLOAT": lambda: type(value) in {int, float},
            "BOOLEAN": lambda: type(value) is bool,
        }
        if kind not in fits or not fits[kind]():
            msg = f"{column['name']} is no {kind}"
            raise RefusedError(msg)
        return value

    def _keep(self) -> None:
        tables = {name: vars(table) for name, table in self.tables.items()}
        new = self._kept.with_suffix(".new")
        new.write_text(json.dumps(tables), "utf-8")
        new.replace(self._kept)


def _newest(rows: list[Row], key: str) -> list[Row]:
    newest: dict[Any, Row] = {}
    for row in rows:
        kept = newest.setdefault(row[key], row)
        if _extracted(row) > _extracted(kept):
            newest[row[key]] = row
    return list(newest.values())


def _extracted(row: Row) -> datetime:
    return datetime.fromisoformat(row["_sdc_extracted_at"] or row["_sdc_received_at"])


def _merge(target: Table, source: list[Row], key: str, columns: list[str]) -> None:
    there = {row[key]: row for row in target.rows}
    matched = Counter(row[key] for row in source if row[key] in there)
    if matched and max(matched.values()) > 1:
        msg = "UPDATE/MERGE must match at most one source row for each target row"
        raise RefusedError(msg)
    for row in source:
        new = {column: row[column] for column in columns}
        if row[key] in there:
            there[row[key]].update(new)
        else:
            target.rows.append(new)
