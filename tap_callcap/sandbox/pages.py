"""The pages of a search: its rows and its counts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeAlias

from tap_callcap.sandbox.answers import Answer, failed, found, not_found
from tap_callcap.sandbox.filters import BadParameterError
from tap_callcap.sandbox.render import rendered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from tap_callcap.sandbox.call import Call
    from tap_callcap.sandbox.search import Search
    from tap_callcap.sandbox.switches import Switches

Rows: TypeAlias = "Sequence[Call | None]"
"""The calls of all pages in order; None takes the place of a call that is not shown."""

_FORMATS: Final[Mapping[str, Callable[[int], int | float | str]]] = {
    "plain": int,
    "float": float,
    "text": str,
    "grouped": "{:,}".format,
}


def rows_of(calls: Sequence[Call], switches: Switches) -> Rows:
    """Return the rows that the pages of a search are cut from."""
    hidden, repeated = switches.hidden_calls, switches.repeated_calls
    if not hidden and not repeated:
        return calls
    rows: list[Call | None] = []
    for call in calls:
        row = None if call["call_id"] in hidden else call
        if row is not None or switches.hidden_rows == "gap":
            rows += [row] * (2 if call["call_id"] in repeated else 1)
    return rows


def count_of(calls: Sequence[Call], switches: Switches) -> int:
    """Return how many calls a search counts."""
    ids = [call["call_id"] for call in calls] if switches.uncounted_calls else []
    count = len(calls) - sum(call_id in switches.uncounted_calls for call_id in ids)
    if switches.repeats_counted and switches.repeated_calls:
        count += sum(call["call_id"] in switches.repeated_calls for call in calls)
    return count


def page_of(
    search: Search, rows: Rows, count: int, switches: Switches, lost_row: Random | None
) -> Answer:
    """Return the answer with the page of `rows` that `search` asks for.

    With `lost_row` one row of the page, chosen by it, is left out.
    """
    is_empty = not rows and not count
    if is_empty and switches.empty_search in {"404", "204"}:
        return not_found() if switches.empty_search == "404" else Answer(204)
    total = min(count, switches.total_cap or count)
    rounded = math.ceil if switches.last_page == "up" else math.floor
    least = 0 if is_empty and switches.empty_search == "last_page_0" else 1
    last_page = max(rounded(total / search.show), least)
    page = search.page
    if page > max(last_page, math.ceil(len(rows) / search.show), 1):
        if switches.page_beyond_last == "404":
            return not_found()
        if switches.page_beyond_last == "400":
            msg = "page must be less than or equal to last_page"
            raise BadParameterError(msg)
        if switches.page_beyond_last == "last":
            page = max(last_page, 1)
    first = (page - 1) * search.show
    calls = [call for call in rows[first : first + search.show] if call is not None]
    if calls and lost_row:
        del calls[lost_row.randrange(len(calls))]
    if any(call["call_id"] in switches.broken_calls for call in calls):
        return failed(switches)
    content: Call = {
        "pagination": pagination(
            page,
            last_page,
            len(calls),
            search.show,
            total if switches.total_of == "search" else len(calls),
            switches,
        ),
        "status": "success",
        **echo(search.zone_echoed, switches),
    }
    if not (is_empty and switches.empty_search == "missing"):
        is_null = is_empty and switches.empty_search == "null"
        shown = [rendered(call, search.detail, search.zone, switches) for call in calls]
        content["call"] = None if is_null else shown
    return found(content, switches)


def one_call(call: Call, shown: Call, zone_echoed: str, switches: Switches) -> Answer:
    """Return the answer with the single `call`, rendered as `shown`."""
    if call["call_id"] in switches.broken_calls:
        return failed(switches)
    content: Call = {"status": "success", **echo(zone_echoed, switches)}
    if switches.single_call == "top_level":
        content.update(shown)
    elif switches.single_call == "object":
        content["call"] = shown
    else:
        content = {"pagination": pagination(1, 1, 1, 50, 1, switches), **content, "call": [shown]}
    return found(content, switches)


def echo(zone: str, switches: Switches) -> Call:
    """Return the part of an answer that names its zone."""
    return {"search": {"timezone": zone}} if switches.zone_echo else {}


def pagination(  # noqa: PLR0913, PLR0917 - the five numbers of an answer
    page: int, last_page: int, records: int, show: int, total: int, switches: Switches
) -> Call:
    """Return the part of an answer that counts."""
    numbers = {
        "page": page,
        "last_page": last_page,
        "records_returned": records,
        "show": show,
        "total_records": total,
    }
    return {name: _FORMATS[switches.counts](number) for name, number in numbers.items()}
