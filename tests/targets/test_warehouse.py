"""The queries of docs/warehouse.md answer what Python computes from the sandbox's calls."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from tap_callcap.sandbox import CallBook, Callcap, Sandbox, made_up_calls
from tap_callcap.sandbox.call import at
from targets.databases import DuckDB, PostgreSQL
from targets.environments import CHECKOUT
from targets.files import JSONLines
from targets.loaders import LOADERS
from targets.pipes import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tap_callcap.sandbox import Call
    from targets.loader import Loader
    from targets.truth import Row

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

DOCUMENT = (CHECKOUT / "docs" / "warehouse.md").read_text("utf-8")
NOW = datetime(2026, 5, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
CHICAGO = ZoneInfo("America/Chicago")
KINDS = ("text", "json", "date-time", "integer", "number", "boolean", "object", "array")

Answer = set[tuple[Any, ...]]
"""The rows of an answer, numbers rounded; their order is not compared."""


def queries_below(heading: str) -> list[str]:
    """Return the queries between a heading, or a line such as `DuckDB:`, and the next one."""
    (section,) = re.findall(
        rf"^(?:#+ )?{re.escape(heading)}:?\n(.*?)(?=^#|^\w+:\n|\Z)",
        DOCUMENT,
        re.DOTALL | re.MULTILINE,
    )
    return re.findall(r"```sql\n(.*?)```", section, re.DOTALL)


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    """Two thousand calls of two months, and one without contents."""
    calls = made_up_calls(2000, seed=8, start=NOW - timedelta(days=60), end=NOW - HOUR)
    calls.append(dict.fromkeys(calls[0]) | {"call_id": "1", "last_modified": NOW - timedelta(1)})
    return calls


@pytest.fixture(scope="module")
def sandbox(calls: list[Call]) -> Iterator[Sandbox]:
    """Callcap with them."""
    with Sandbox(Callcap(CallBook(calls), clock=lambda: NOW)) as served:
        yield served


@pytest.fixture(scope="session")
def warehouse(served: tuple[type[Loader], Any], tmp_path_factory: pytest.TempPathFactory) -> Loader:
    """An empty destination that all tests of a target share."""
    kind, server = served
    return kind(tmp_path_factory.mktemp("warehouse"), server)


@pytest.fixture
def ask(warehouse: Loader, sandbox: Sandbox) -> Callable[[str], list[Row]]:
    """Ask the warehouse, which is loaded once, in the words of the document."""
    if not (warehouse.folder / "state.json").exists():
        load(warehouse, sandbox.url, tap={}, target={})
    return lambda query: warehouse.query(query.replace("callcap.calls", warehouse.table))


def rounded(rows: Iterable[Iterable[Any]]) -> Answer:
    """Return rows that can be compared."""
    return {
        tuple(round(float(it), 6) if isinstance(it, (int, float)) else it for it in row)
        for row in rows
    }


def test_nested_parts_are_reached(
    warehouse: Loader, ask: Callable[[str], list[Row]], calls: list[Call]
) -> None:
    """Objects and arrays of arrays are reached as the document says, in each database's words."""
    if f"\n{warehouse.title}:\n" not in DOCUMENT:
        pytest.skip("it has no nested parts")
    seconds: Counter[str | None] = Counter()
    for call in calls:
        seconds[at(call, "accounts", "campaign", "name")] += call["duration"] or 0
    entries = [
        (call["call_id"], result["question"], _as_text(answer["entry"]))
        for call in calls
        for card in call["scorecards"] or []
        for result in card["results"]
        for answer in result["answers"]
    ]
    of_objects, of_arrays = queries_below(warehouse.title)

    assert rounded(
        (name, total or 0) for name, total in map(dict.values, ask(of_objects))
    ) == rounded(seconds.items())
    assert sorted(tuple(row.values()) for row in ask(of_arrays)) == sorted(entries)
    assert len(entries) > 100


def _as_text(entry: Any) -> str:
    return str(entry).lower() if isinstance(entry, bool) else str(entry)


def test_the_newest_of_added_rows_is_found(tmp_path: Path) -> None:
    """The view has each call once, as it was last, over a file that only grew."""
    loader = JSONLines(tmp_path, None)
    book = CallBook(made_up_calls(50, seed=8, start=NOW - timedelta(days=9), end=NOW))
    with Sandbox(Callcap(book, clock=lambda: NOW)) as sandbox:
        for _ in range(3):
            load(loader, sandbox.url, tap={"lookback_minutes": 10**6}, target={})
            sandbox.callcap.advance(timedelta(hours=1), edits=20)
            sandbox.callcap.advance(timedelta(minutes=10))
        load(loader, sandbox.url, tap={}, target={})
    (view,) = queries_below("Append-only targets")
    script = f"""
import duckdb, json
duckdb.execute("create view calls as from 'calls.jsonl'")
duckdb.execute({view!r})
found = duckdb.execute("select call_id, last_modified::varchar from latest_calls").fetchall()
print(json.dumps(found))
"""  # noqa: S608 - the document's own
    found = json.loads(DuckDB.environment().run(script))  # in this folder

    assert sorted(map(tuple, found)) == sorted(
        (call["call_id"], f"{call['last_modified']:%Y-%m-%d %H:%M:%S}") for call in book
    )
    assert len(loader.rows()) > 2 * len(book)


@pytest.mark.parametrize(
    "loader", [it for it in LOADERS if it.column_types], ids=lambda it: str(it.name)
)
def test_types_are_those_that_the_targets_make(loader: type[Loader]) -> None:
    """The table of types says what test_every_field_is_equal finds."""
    table = DOCUMENT[DOCUMENT.index("| in the schema") :]
    rows = re.findall(r"^\| (?!---)(.*) \|$", table, re.MULTILINE)
    head, *lines = (row.split(" | ") for row in rows if "---" not in row)
    place = head.index(loader.title.partition(" ")[0])
    written = [line[place].removesuffix("[]").removesuffix(", repeated") for line in lines]

    kinds = [loader.column_types["string"], *(loader.column_types[kind] for kind in KINDS[1:])]
    if loader is PostgreSQL:
        kinds[-1] = "jsonb"  # information_schema calls any array ARRAY
    assert written == kinds
