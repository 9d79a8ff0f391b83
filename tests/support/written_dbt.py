"""Generates the descriptions of columns in the dbt package from the schemas.

To update them, run `uv run tests/support/written_dbt.py`.
"""

from __future__ import annotations

import json
import re
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from tap_callcap.records.schema import load_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tap_callcap.records.schema import JSONSchema

PACKAGE = Path(__file__).parents[2] / "dbt"
STAGING = PACKAGE / "models" / "staging"
WRITTEN = (STAGING / "stg_callcap.yml", PACKAGE / "models" / "marts" / "callcap.yml")
CHANGE_REQUEST = ("callsurance", "change_request")

Parts = tuple[str, ...]


def leaves(schema: JSONSchema, path: Parts = ()) -> Iterator[tuple[Parts, JSONSchema]]:
    """Yield each property that is neither an object nor an array, with its path."""
    for name, part in schema["properties"].items():
        if "properties" in part:
            yield from leaves(part, (*path, name))
        elif "items" not in part:
            yield (*path, name), part


def column_name(path: Parts) -> str:
    """Return the staging column of a property of calls.

    `accounts` is left out, and a name is not repeated: `caller.caller_id` is `caller_id`.
    """
    first, *others = path[1:] if path[0] == "accounts" else path
    name = first
    for part in others:
        name = part if part.startswith(name) else f"{name}_{part}"
    return name


def kind_of(schema: JSONSchema) -> str:
    """Return the type of a property, as the macro `field` names it."""
    kinds = schema["type"]
    (kind,) = {kinds} if isinstance(kinds, str) else set(kinds) - {"null"}
    return "timestamp" if "format" in schema else str(kind)


Columns = dict[str, tuple[Parts, "JSONSchema"]]
"""The columns of a staging model by name: the property of each, and its schema."""


def _columns() -> dict[str, Columns]:
    calls = load_schema("calls")

    def named(
        schema: JSONSchema,
        name: Callable[[Parts], str] = itemgetter(-1),
        wanted: Callable[[Parts], bool] = lambda _: True,
    ) -> Columns:
        return {name(path): (path, part) for path, part in leaves(schema) if wanted(path)}

    def of_request(path: Parts) -> bool:
        return path[:2] == CHANGE_REQUEST

    def items(*path: str) -> JSONSchema:
        schema: JSONSchema = calls
        for name in path:
            schema = schema["properties"][name]["items"]
        return schema

    call_id: Columns = {"call_id": (("call_id",), calls["properties"]["call_id"])}
    csrs = load_schema("csrs")
    csr_id: Columns = {"csr_id": (("csr_id",), csrs["properties"]["csr_id"])}
    return {
        "stg_callcap__calls": named(calls, column_name, lambda path: not of_request(path)),
        "stg_callcap__change_requests": call_id
        | named(calls, lambda path: "_".join(path[2:]), of_request),
        "stg_callcap__summaries": call_id
        | named(items("summaries"), lambda path: f"summary_{path[-1]}"),
        "stg_callcap__scorecard_answers": call_id
        | named(items("scorecards"), lambda path: f"scorecard_{path[-1]}")
        | named(items("scorecards", "results"))
        | named(items("scorecards", "results", "answers")),
        "stg_callcap__accounts": named(load_schema("accounts")),
        "stg_callcap__csrs": named(csrs),
        "stg_callcap__csr_access": csr_id | named(csrs["properties"]["access"]["items"]),
        "stg_callcap__call_counts": named(load_schema("call_counts")),
    }


COLUMNS: Mapping[str, Columns] = _columns()
"""The columns that staging models take from the schemas; the models have a few more."""

PASSED_ON = {  # what marts take over from stg_callcap__calls under the same name
    "callcap__calls": r".*",
    "callcap__daily": r"(campaign|location)_.*",
    "callcap__callers": r"caller_id",
}


def description_of(model: str, column: str) -> str | None:
    """Return the description that a column has in the schemas; None if it is not from there."""
    known = COLUMNS.get(model, {})
    if re.fullmatch(PASSED_ON.get(model, "(?!)"), column):
        known = COLUMNS["stg_callcap__calls"]
    return str(known[column][1]["description"]) if column in known else None


def brought_up_to_date(text: str) -> str:
    """Return a file of descriptions with those that the schemas have."""
    lines = []
    model = column = ""
    for line in text.splitlines():
        if found := re.fullmatch(r"  - name: (\w+)", line):
            model, column = found[1], ""
        elif found := re.fullmatch(r"      - name: (\w+)", line):
            column = found[1]
        described = line.startswith("        description: ") and description_of(model, column)
        lines.append(f"        description: {json.dumps(described)}" if described else line)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for file in WRITTEN:
        file.write_text(brought_up_to_date(file.read_text("utf-8")), encoding="utf-8")
