"""The six queries of docs/warehouse.md answer what Python computes from the sandbox's calls."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from targets.environments import CHECKOUT
from targets.marts_truth import call_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tap_callcap.sandbox import Call
    from targets.dbt_package import Package
    from targets.truth import Row

DOCUMENT = (CHECKOUT / "docs" / "warehouse.md").read_text("utf-8")
(SECTION,) = re.findall(r"^## Six questions\n(.*?)^## ", DOCUMENT, re.DOTALL | re.MULTILINE)
QUERIES = dict(re.findall(r"^(\S[^?\n]*\?).*?```sql\n(.*?)```", SECTION, re.DOTALL | re.MULTILINE))

Answer = list[tuple[Any, ...]]
Rows = list["Row"]
OVER = {"answered", "missed", "other"}


def grouped(rows: Rows, *names: str) -> dict[tuple[Any, ...], Rows]:
    """Return rows by what they have under some names."""
    groups: dict[tuple[Any, ...], Rows] = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in names)].append(row)
    return groups


def count(rows: Rows, name: str, value: Any = True) -> int:  # noqa: FBT002 - what is counted
    """Return how many rows have a value."""
    return sum(row[name] is value or row[name] == value for row in rows)


def answer_rates(rows: Rows) -> Answer:
    """Return campaign, hour, calls answered or missed, and the share of answered ones."""
    judged = [row for row in rows if row["is_answered"] is not None]
    return [
        (*key, len(them), count(them, "is_answered") / len(them))
        for key, them in grouped(judged, "campaign_name", "local_hour").items()
    ]


def costs(rows: Rows) -> Answer:
    """Return campaign and cost of an answered call."""
    inbound = [row for row in rows if row["campaign_direction"] == "inbound"]
    return [
        (
            *key,
            sum(row["cost"] or 0 for row in them) / count(them, "is_answered")
            if count(them, "is_answered") and any(row["cost"] is not None for row in them)
            else None,
        )
        for key, them in grouped(inbound, "campaign_name").items()
    ]


def bookings(rows: Rows) -> Answer:
    """Return call taker, calls, texts and appointments."""
    known = [row for row in rows if row["csr_id"]]
    return [
        (
            key[1],
            sum(row["outcome"] not in {None, "blocked", "in progress"} for row in them),
            count(them, "kind", "text"),
            count(them, "is_booked"),
        )
        for key, them in grouped(known, "csr_id", "csr_name").items()
    ]


def returns(rows: Rows) -> Answer:
    """Return location, missed calls and those that were returned."""
    missed = [row for row in rows if row["is_answered"] is False]
    return [
        (*key, len(them), count(them, "is_returned"))
        for key, them in grouped(missed, "location_name").items()
    ]


def feelings(rows: Rows) -> Answer:
    """Return location, sentiment, calls and frustrated ones."""
    judged = [row for row in rows if row["sentiment"] and row["outcome"] in OVER]
    return [
        (*key, len(them), count(them, "sentiment_frustrated"))
        for key, them in grouped(judged, "location_name", "sentiment").items()
    ]


def revenues(rows: Rows) -> Answer:
    """Return medium, calls, revenue and revenue a call."""
    over = [row for row in rows if row["outcome"] in OVER]
    answer: Answer = []
    for (medium,), them in grouped(
        [{**row, "campaign_medium": row["campaign_medium"] or None} for row in over],
        "campaign_medium",
    ).items():
        known = [row["revenue"] for row in them if row["revenue"] is not None]
        total = sum(known) if known else None
        answer.append((medium, len(them), total, None if total is None else total / len(them)))
    return answer


QUESTIONS: dict[str, Callable[[Rows], Answer]] = {
    "What share of calls is answered, by campaign and hour?": answer_rates,
    "What does an answered call cost, by campaign?": costs,
    "Who books the most appointments?": bookings,
    "Which missed calls are returned within the hour?": returns,
    "How do callers feel, by location?": feelings,
    "What does each medium bring in?": revenues,
}


def comparable(answer: Iterable[Iterable[Any]]) -> list[str]:
    """Return an answer that can be compared; the order of its rows does not count."""
    return sorted(
        str([it if it is None or isinstance(it, str) else f"{float(it):.4f}" for it in row])
        for row in answer
    )


def test_every_question_is_tested() -> None:
    """The document asks no other questions."""
    assert list(QUERIES) == list(QUESTIONS)


@pytest.mark.e2e
@pytest.mark.targets
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: QUESTIONS[question].__name__)
def test_questions_are_answered(question: str, package: Package, loaded: list[Call]) -> None:
    """Each query gives what Python computes."""
    expected = QUESTIONS[question](list(call_rows(loaded).values()))

    found = package.query(QUERIES[question])

    assert comparable(row.values() for row in found) == comparable(expected)
    assert len(expected) > 5
