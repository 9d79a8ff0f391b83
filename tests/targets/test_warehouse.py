"""The queries of docs/warehouse.md answer what Python computes from the sandbox's calls."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
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
    """Two thousand calls of two months, with a return of each third missed one."""
    calls = made_up_calls(2000, seed=8, start=NOW - timedelta(days=60), end=NOW - HOUR)
    outbound = [it for it in calls if direction_of(it) == "outbound" and it["start_datetime"]]
    missed = [it for it in calls if is_missed(it)]
    minutes = (-5, 10, 60, 61)
    for number, call in enumerate(missed[: 3 * len(minutes) * 5 : 3]):
        after = timedelta(minutes=minutes[number % len(minutes)])
        outbound[number]["caller"] = call["caller"]
        outbound[number]["start_datetime"] = call["start_datetime"] + after
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


def direction_of(call: Call) -> str | None:
    """Return which way a call went."""
    direction: str | None = at(call, "accounts", "campaign", "direction")
    return direction


def is_missed(call: Call) -> bool:
    """Say whether a caller reached nobody."""
    return call["action"] in {"Hangup", "Busy"} and direction_of(call) == "inbound"


# What Python makes of the calls, by the headings of the document.


def answer_rates(calls: list[Call]) -> Answer:
    """Return campaign, hour, calls answered or missed, and the share of answered ones."""
    groups: dict[tuple[Any, int], list[bool]] = defaultdict(list)
    for call in calls:
        if call["action"] in {"Answer", "Hangup", "Busy"} and direction_of(call) == "inbound":
            hour = call["start_datetime"].astimezone(CHICAGO).hour
            name = at(call, "accounts", "campaign", "name")
            groups[name, hour].append(call["action"] == "Answer")
    return rounded((*key, len(them), sum(them) / len(them)) for key, them in groups.items())


def costs(calls: list[Call]) -> Answer:
    """Return campaign and cost of an answered call."""
    total: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    for call in calls:
        if direction_of(call) == "inbound":
            campaign = call["accounts"]["campaign"]
            final = campaign["cost_per_piece_final"]
            total[campaign["name"]] += campaign["cost_per_piece_est"] if final is None else final
            answered[campaign["name"]] += call["action"] == "Answer"
    return rounded(
        (name, float(cost) / answered[name] if answered[name] else None)
        for name, cost in total.items()
    )


def bookings(calls: list[Call]) -> Answer:
    """Return call taker, rated calls and appointments."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for call in calls:
        if at(call, "callsurance", "csr", "id"):
            booked = at(call, "callsurance", "minor", "label") == "Appointment Booked"
            groups[call["callsurance"]["csr"]["name"]].append(booked)
    return rounded((name, len(them), sum(them)) for name, them in groups.items())


def returns(calls: list[Call]) -> Answer:
    """Return location, missed calls and those that were returned."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for call in filter(is_missed, calls):
        groups[call["accounts"]["location"]["name"]].append(
            any(
                direction_of(other) == "outbound"
                and at(other, "caller", "caller_id") == call["caller"]["caller_id"]
                and timedelta(0) < other["start_datetime"] - call["start_datetime"] <= HOUR
                for other in calls
            )
        )
    return rounded((name, len(them), sum(them)) for name, them in groups.items())


def switches(calls: list[Call]) -> Answer:
    """Return location, judged calls, positive, negative and frustrated ones."""
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for call in calls:
        if at(call, "sentiment", "sentiment") is not None:
            them = groups[call["accounts"]["location"]["name"]]
            them["all"] += 1
            them[call["sentiment"]["sentiment"]] += 1
            them["frustrated"] += call["sentiment"]["frustrated"]
    return rounded(
        (name, them["all"], them["Positive"], them["Negative"], them["frustrated"])
        for name, them in groups.items()
    )


def revenues(calls: list[Call]) -> Answer:
    """Return medium, calls, revenue and revenue a call."""
    groups: dict[str | None, list[Any]] = defaultdict(list)
    for call in calls:
        groups[at(call, "accounts", "campaign", "medium")].append(call["revenue"])
    return rounded(
        (medium, len(them), total, None if total is None else float(total) / len(them))
        for medium, them in groups.items()
        for total in [None if them == [None] else float(sum(them))]
    )


QUESTIONS: dict[str, Callable[[list[Call]], Answer]] = {
    "What share of calls is answered, by campaign and hour?": answer_rates,
    "What does an answered call cost, by campaign?": costs,
    "Who books the most appointments?": bookings,
    "Which missed calls are returned within the hour?": returns,
    "How do callers feel, by location?": switches,
    "What does each medium bring in?": revenues,
}


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: QUESTIONS[question].__name__)
def test_questions_are_answered(
    question: str, warehouse: Loader, ask: Callable[[str], list[Row]], calls: list[Call]
) -> None:
    """Each query gives what Python computes, in DuckDB and in PostgreSQL."""
    if not isinstance(warehouse, (DuckDB, PostgreSQL)):
        pytest.skip("the six are in the words of DuckDB and PostgreSQL")
    (query,) = queries_below(question)
    expected = QUESTIONS[question](calls)

    found = rounded(row.values() for row in ask(query))

    assert found == expected
    assert len(expected) > 5


def test_every_question_is_tested() -> None:
    """The document asks no other questions."""
    assert re.findall(r"^### (.*)$", DOCUMENT, re.MULTILINE) == list(QUESTIONS)


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
    rows = re.findall(r"^\| (?!---)(.*) \|$", DOCUMENT, re.MULTILINE)
    head, *lines = (row.split(" | ") for row in rows if "---" not in row)
    place = head.index(loader.title.partition(" ")[0])
    written = [line[place].removesuffix("[]").removesuffix(", repeated") for line in lines]

    kinds = [loader.column_types["string"], *(loader.column_types[kind] for kind in KINDS[1:])]
    if loader is PostgreSQL:
        kinds[-1] = "jsonb"  # information_schema calls any array ARRAY
    assert written == kinds
