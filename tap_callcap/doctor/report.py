"""The answers to the questions, as a table to paste into an issue or as JSON. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_callcap.settings import Settings


@dataclass(frozen=True, slots=True)
class Row:
    """What was seen of one question; `change` is the setting to change, if any is."""

    name: str
    question: str
    is_known: bool
    seen: str
    relies: str
    change: str


def about(settings: Settings, requests: int) -> dict[str, Any]:
    """What the answers were found with."""
    return {
        "version": version("tap-callcap"),
        "requests": requests,
        "timezone": settings.zone.key,
        "page_size": settings.page_size,
        "concurrency": settings.concurrency,
        "lookback_minutes": int(settings.lookback.total_seconds() // 60),
        "lag_minutes": int(settings.lag.total_seconds() // 60),
    }


def as_json(rows: Sequence[Row], facts: dict[str, Any]) -> str:
    """The answers as one JSON object."""
    return json.dumps({**facts, "answers": [asdict(row) for row in rows]}, indent=2)


def as_table(rows: Sequence[Row], facts: dict[str, Any]) -> str:
    """The answers as a Markdown table."""
    said = ", ".join(f"{name} {value}" for name, value in facts.items())
    lines = [
        f"callcap-doctor: {said}",
        "",
        "| Question | Seen | Does the tap rely on it? | Setting to change |",
        "|---|---|---|---|",
    ]
    for row in rows:
        seen = row.seen if row.is_known else f"not known: {row.seen}"
        lines.append(f"| {row.question} | {seen} | {row.relies} | {row.change or 'none'} |")
    return "\n".join(lines)
