"""Tries each filter on the sandbox: the query that was sent, and the calls that were written.

tests/support/written_settings.py writes it into docs/filters.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from support.histories import BEGINNING
from support.running import discovered, run_tap
from tap_callcap.api.filter_table import FILTERS, NOT_FILTERS
from tap_callcap.sandbox import VENDOR_EXAMPLE, CallBook, Callcap, made_up_calls

NOW = BEGINNING
EXAMPLES: dict[str, Any] = {
    "corporate_id": 1001,
    "division_id": [2863, 1669],
    "location_id": [304701, 304301],
    "campaign_id": [500027, 500064, 111111],
    "search_range": "last30days",
    "search_startdate": "2026-01-01",
    "search_enddate": "2025-12-31",
    "search_daysofweek": [1, 7],
    "search_duration_min": 300,
    "search_duration_max": 60,
    "search_action": ["missed", "blocked"],
    "search_feature": ["callsaver", "webmatch"],
    "conversation_type": "text",
    "search_medium": [1, 3],
    "search_major": [2, 4],
    "search_csr": [47703, 42404],
    "search_callsaver_status": [1],
    "search_evaluation_change_status": "approved",
    "search_revenue_entered": True,
    "search_term": "leaking sink",
    "search_caller_id": "(316) 555",
    "search_destination": "512-555",
    "search_reference_id": "zyx321_xyz",
    "search_direction": "outbound",
    "search_location_external_id": "abc987",
    "search_division_external_id": "abc123",
}
"""A value for each filter that some calls of the account match, and others do not."""


@dataclass(frozen=True)
class Trial:
    """What a run with filters asked for, what it brought, and what the sandbox means by them."""

    request: dict[str, str]
    found: frozenset[str]
    meant: frozenset[str]


@cache
def account() -> CallBook:
    """The vendor's example, and 399 calls that were last modified an hour ago or earlier."""
    start, end = NOW - timedelta(days=200), NOW - timedelta(hours=1)
    return CallBook([VENDOR_EXAMPLE, *made_up_calls(399, seed=7, start=start, end=end)])


def tried(**filters: Any) -> Trial:
    """Run the tap with `filters`, and ask the sandbox itself for what the request said."""
    callcap = Callcap(account(), clock=lambda: NOW)
    catalog = discovered()
    if "search_range" in filters:
        catalog["streams"][0]["replication_method"] = "FULL_TABLE"
    run = run_tap(callcap, filters=filters, catalog=catalog)
    searches = [asked.params for asked in callcap.requests if asked.path == "/v2/get/calls/"]
    request = {name: text for name, text in searches[-1].items() if name in FILTERS}
    # The zone is proven by a call that is looked for without filters.
    asked = {frozenset(FILTERS.keys() & params.keys()) for params in searches}
    assert asked <= {frozenset(request), frozenset({"search_startdate", "search_enddate"})}
    return Trial(request, frozenset(run.ids), ids_of(callcap, request))


def ids_of(callcap: Callcap, params: dict[str, str]) -> frozenset[str]:
    """The calls that one search of the sandbox finds, whenever they were modified."""
    params = {"search_timezone": "UTC", "show": "1000", **params}
    answer = callcap.answer("/v2/get/calls/", params, "Bearer sandbox")
    return frozenset(call["call_id"] for call in json.loads(answer.body)["call"])


def filters_table() -> str:
    """The filters, and the parameters that are none, as two tables in Markdown."""
    lines = [
        "| Filter | Which calls | Value | Example | In the request | Calls written |",
        "|---|---|---|---|---|---|",
    ]
    plain = tried().request
    for name, each in FILTERS.items():
        trial = tried(**{name: EXAMPLES[name]})
        words = " ".join(f"`{k}={v}`" for k, v in trial.request.items() if plain.get(k) != v)
        unsaid = ", ".join(f"no `{k}`" for k in plain if k not in trial.request)
        same = "as in the sandbox" if trial.found == trial.meant else "NOT as in the sandbox"
        cells = (
            f"`{name}`",
            each.description,
            each.kind.words,
            f"`{json.dumps(EXAMPLES[name])}`",
            f"{words}{unsaid and f', {unsaid}'}",
            f"{len(trial.found)} of {len(account())}, {same}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| Not a filter, because the tap sets it itself | Explanation |", "|---|---|"]
    lines += [f"| `{name}` | {remedy} |" for name, remedy in NOT_FILTERS.items()]
    return "\n".join(lines)
