"""The expected rows of a warehouse, and how its rows are read."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from support.running import expected_record
from tap_callcap.records.schema import load_schema
from tap_callcap.sandbox.call import CALL_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_callcap.records.schema import JSONSchema
    from tap_callcap.sandbox import Call
    from targets.loader import Loader

SCHEMA: JSONSchema = load_schema("calls")
Row = dict[str, Any]


def kind_of(schema: JSONSchema) -> str:
    """Return the one type of a property, null apart; `date-time` or `json` where it is one."""
    kinds = schema["type"]
    (kind,) = {kinds} if isinstance(kinds, str) else set(kinds) - {"null"}
    return "json" if "contentMediaType" in schema else str(schema.get("format", kind))


def flattened(schema: JSONSchema, depth: int, prefix: str = "") -> dict[str, JSONSchema]:
    """Return the columns that flattening to `depth` makes, each with its schema."""
    columns: dict[str, JSONSchema] = {}
    for name, part in schema["properties"].items():
        if depth and kind_of(part) == "object":
            columns |= flattened(part, depth - 1, f"{prefix}{name}__")
        else:
            columns[prefix + name] = part
    return columns


def schema_of(column: str) -> JSONSchema:
    """Return the schema of a column, flattened or not."""
    schema = SCHEMA
    for name in column.split("__"):
        schema = schema["properties"][name]
    return schema


def expected_rows(
    calls: Iterable[Call], depth: int = 0, *, nothing: tuple[object, ...] = ()
) -> dict[str, Row]:
    """Return each call's row by its id, as `plain` gives it.

    Args:
        calls: The sandbox's calls.
        depth: How far objects are flattened into columns.
        nothing: Values that the target cannot tell from null in a column of its own.
    """
    columns = flattened(SCHEMA, depth)
    rows = {}
    for call in calls:
        record = _without_nul(_record(call))
        row = {name: plain(_at(record, name), part) for name, part in columns.items()}
        rows[row["call_id"]] = without(nothing, row)
    return rows


def expected_by_default(
    calls: Iterable[Call], depth: int = 0, *, nothing: tuple[object, ...] = ()
) -> dict[str, Row]:
    """Return the rows where no catalog selects more: without `demographics`."""
    rows = expected_rows(calls, depth, nothing=nothing)
    return {
        call_id: {name: it for name, it in row.items() if not name.startswith("demographics")}
        for call_id, row in rows.items()
    }


def without(nothing: tuple[object, ...], row: Row) -> Row:
    """Return a row in which values that the target cannot tell from null are null."""
    return {name: None if value in nothing else value for name, value in row.items()}


def rows_of(loader: Loader) -> dict[str, Row]:
    """Return the destination's rows by the id of their calls; the newest, where it appends."""
    rows: dict[str, Row] = {}
    for row in loader.rows():
        call = without(
            loader.nothing,
            {
                name: plain(value, schema_of(name))
                for name, value in row.items()
                if not name.startswith("_sdc_")
            },
        )
        before = rows.setdefault(call["call_id"], call)
        if before is not call:
            assert loader.appends, "a call has two rows"
            if before["last_modified"] <= call["last_modified"]:
                rows[call["call_id"]] = call
    return rows


def differences(found: Mapping[str, Row], expected: Mapping[str, Row]) -> list[str]:
    """Return where the rows differ, a line each, so that a failing test can be read."""
    lines = [f"{call_id}: no row" for call_id in sorted(expected.keys() - found)]
    lines += [f"{call_id}: no such call" for call_id in sorted(found.keys() - expected)]
    for call_id in sorted(expected.keys() & found):
        row, wanted = found[call_id], expected[call_id]
        lines += [
            f"{call_id}: {name} is {row.get(name, '(absent)')!r:.200}, "
            f"and should be {wanted.get(name, '(absent)')!r:.200}"
            for name in sorted(wanted.keys() | row)
            if (name in row) != (name in wanted) or row[name] != wanted[name]
        ]
    return lines


def plain(value: Any, schema: JSONSchema) -> Any:
    """Return a value in the one form in which truth and targets are compared.

    JSON is parsed, times are aware, numbers are floats, an absent object has all its fields.

    Raises:
        TypeError: If the value has not the type that its schema asks for.
    """
    kind = kind_of(schema)
    if kind in {"object", "array", "json"} and isinstance(value, str):
        value = json.loads(value, parse_float=Decimal)
    if kind == "object":
        value = value or {}
        unknown = value.keys() - schema["properties"]
        if unknown:
            msg = f"fields that no schema has: {sorted(unknown)}"
            raise TypeError(msg)
        return {name: plain(value.get(name), part) for name, part in schema["properties"].items()}
    if value is None or kind == "json":
        return value
    if kind == "array":
        return [plain(item, schema["items"]) for item in value]
    return _COERCIONS[kind](value)


def _number(value: Any) -> float:
    _expect(value, int, float, Decimal)
    return float(value)


def _integer(value: Any) -> int:
    _expect(value, int)
    return int(value)


def _instant(value: Any) -> datetime:
    text = str(value).replace("Z", "+00:00")
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _string(value: Any) -> str:
    _expect(value, str)
    return str(value)


def _boolean(value: Any) -> bool:
    _expect(value, bool)
    return bool(value)


_COERCIONS = {
    "number": _number,
    "integer": _integer,
    "date-time": _instant,
    "string": _string,
    "boolean": _boolean,
}


def _expect(value: Any, *types: type) -> None:
    if type(value) not in types:
        msg = f"a {type(value).__name__} where one of {types} should be"
        raise TypeError(msg)


def _record(call: Call) -> Row:
    """Return the record that the tap owes for a call, with all that is not selected by default."""
    demographics = call["demographics"] or {}
    unknown = {name: value for name, value in call.items() if name not in CALL_FIELDS}
    return expected_record(call) | {
        "demographics": {name: _json(part) for name, part in demographics.items()},
        "_extra": _json(unknown) if unknown else None,
    }


def _json(value: Any) -> str:
    return json.dumps(value, default=float)


def _at(record: Mapping[str, Any], column: str) -> Any:
    value: Any = record
    for name in column.split("__"):
        value = (value or {}).get(name)
    return value


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "").replace("\\u0000", "")
    if isinstance(value, dict):
        return {name: _without_nul(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_nul(part) for part in value]
    return value
