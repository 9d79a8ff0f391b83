"""Writes the tables of docs/doctor.md: what `callcap-doctor` sees of some sandboxes.

To update the file, run `uv run tests/support/written_doctor.py`.
"""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a script, Python adds only this folder

from support.examined import account_calls, callcap_of, examined
from support.tables import head, row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_callcap.doctor.report import Row

DOCUMENT = Path(__file__).parents[2] / "docs" / "doctor.md"
MARKED = re.compile(r"(?<=<!-- sandboxes: begin -->\n).*?(?=<!-- sandboxes: end -->)", re.DOTALL)
CALLS = 1300
MEASURED = ("seconds_by_size", "seconds_in_flight")

ODD: Mapping[str, dict[str, Any]] = {
    "A server that keeps wall times of US/Central": {
        "utc": "ignored",
        "filter_timezone": "US/Central",
        "stored_timezone": "US/Central",
    },
    "Small pages, and totals with a ceiling": {
        "show_cap": 100,
        "total_cap": 500,
        "max_page": 50,
        "counts": "grouped",
        "ties": "by_page",
    },
    "Wide searches fail, and finding nothing is an error": {
        "wide_search_fails_after": timedelta(days=40),
        "failure": "504",
        "empty_search": "404",
        "page_beyond_last": "404",
    },
    "A clock that is ahead": {"date_ahead": timedelta(minutes=90)},
    "Ends that are not included, and fields that are not documented": {
        "start_minute": "exclusive",
        "end_minute": "on_the_dot",
        "end_date": "excludes",
        "ties": "shuffled",
        "single_call": "top_level",
        "unknown_fields": True,
    },
}
"""The switches of five sandboxes."""


def tables() -> Iterator[str]:
    """What is seen of the default sandbox, and what differs in the others."""
    calls = account_calls(CALLS)
    default = examined(callcap_of(calls))
    yield "### The default sandbox\n"
    yield from _table(default)
    for title, switches in ODD.items():
        options = " ".join(f"`{name}={_text(value)}`" for name, value in switches.items())
        yield f"\n### {title}\n\nSwitches: {options}. The rows that differ from the default:\n"
        rows = examined(callcap_of(calls, **switches))
        yield from _table({
            name: each
            for name, each in rows.items()
            if name not in {*MEASURED, "retries"} and each != default[name]
        })


def _text(value: object) -> object:
    return (
        int(value.total_seconds())
        if isinstance(value, timedelta)
        else "true"
        if value is True
        else value
    )


def _table(rows: Mapping[str, Row]) -> Iterator[str]:
    yield from head("Question", "Seen", "Setting to change")
    for each in rows.values():
        seen = each.seen if each.is_known else f"not known: {each.seen}"
        yield row(each.question, seen, each.change or "none")


if __name__ == "__main__":
    section = "\n" + "\n".join(tables()) + "\n\n"
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(MARKED.sub(lambda _: section, text), encoding="utf-8")
