"""What the marts of the dbt package must hold, computed from the sandbox's calls."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tap_callcap.sandbox.call import at
from targets.dbt_package import HOUR, TIMEZONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tap_callcap.sandbox import Call
    from targets.truth import Row

OUTCOMES = {
    "Answer": "answered",
    "Hangup": "missed",
    "Busy": "missed",
    "Blocked": "blocked",
    "In Progress": "in progress",
    "Text": None,
}
DAILY = ("local_day", "campaign_id", "location_id", "csr_id")
"""By what callcap__daily is grouped."""


def comparable(row: Row) -> Row:
    """Return a row in the one form in which truth and marts are compared."""
    return {name: _comparable(value) for name, value in row.items()}


def _comparable(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value or None if isinstance(value, str) else value
    if hasattr(value, "isoformat"):
        aware = getattr(value, "tzinfo", None)
        return (value.replace(tzinfo=None) if aware else value).isoformat()
    return round(float(value), 6)


def by(rows: list[Row], *names: str) -> dict[Any, Row]:
    """Return rows by their keys, in the form that is compared."""
    found = {}
    for row in map(comparable, rows):
        key = tuple(row[name] for name in names)
        assert key not in found
        found[key if len(names) > 1 else key[0]] = row
    return found


def expected(rows: dict[Any, Row]) -> dict[Any, Row]:
    """Return what Python computed, in the form that is compared."""
    return {key: comparable(row) for key, row in rows.items()}


def call_rows(calls: Sequence[Call]) -> dict[str, Row]:
    """Return the rows of callcap__calls by call_id."""
    zone = ZoneInfo(TIMEZONE)
    rows = {}
    for call in calls:
        local = call["start_datetime"] and call["start_datetime"].astimezone(zone)
        direction = at(call, "accounts", "campaign", "direction")
        outcome = OUTCOMES.get(call["action"], "other")
        is_judged = direction == "inbound" and outcome in {"answered", "missed"}
        csr_id = at(call, "callsurance", "csr", "id") or None
        minor = at(call, "callsurance", "minor", "label") or None
        campaign = at(call, "accounts", "campaign") or {}
        final = campaign.get("cost_per_piece_final")
        row = {
            "call_id": call["call_id"],
            "last_modified": call["last_modified"],
            "start_datetime": call["start_datetime"],
            "end_datetime": call["end_datetime"],
            "local_day": local and local.date(),
            "local_hour": local and local.hour,
            "local_weekday": local and local.isoweekday(),
            "kind": "text" if call["action"] == "Text" else "call",
            "action": call["action"],
            "outcome": outcome,
            "is_answered": outcome == "answered" if is_judged else None,
            "is_returned": None,
            "duration": call["duration"],
            "rings": call["rings"],
            "csr_id": csr_id,
            "csr_name": at(call, "callsurance", "csr", "name") if csr_id else None,
            "caller_id": at(call, "caller", "caller_id") or None,
            "earlier_calls": None,
            "callsurance_major_label": at(call, "callsurance", "major", "label"),
            "callsurance_minor_label": minor,
            "is_booked": None if minor is None else minor == "Appointment Booked",
            "sentiment": at(call, "sentiment", "sentiment"),
            "sentiment_satisfied": at(call, "sentiment", "satisfied"),
            "sentiment_frustrated": at(call, "sentiment", "frustrated"),
            "revenue": call["revenue"],
            "cost": None,
        }
        for level in ("corporate", "division", "location", "campaign"):
            row[f"{level}_id"] = at(call, "accounts", level, "id")
            row[f"{level}_name"] = at(call, "accounts", level, "name")
        row["campaign_medium"] = campaign.get("medium")
        row["campaign_direction"] = direction
        if is_judged:
            row["cost"] = campaign.get("cost_per_piece_est") if final is None else final
        rows[call["call_id"]] = {
            name: (it or None) if isinstance(it, str) else it for name, it in row.items()
        }
    for calls_of_one in _by_caller(rows.values()).values():
        _compare_with_others(calls_of_one)
    return rows


def _by_caller(rows: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["caller_id"] and row["start_datetime"]:
            groups[row["caller_id"]].append(row)
    for group in groups.values():
        group.sort(key=itemgetter("start_datetime", "call_id"))
    return groups


def _compare_with_others(rows: list[Row]) -> None:
    """Fill in what depends on the other calls of a caller, which are in order."""
    for place, row in enumerate(rows):
        row["earlier_calls"] = sum(
            other["kind"] == "call" and other["campaign_direction"] == "inbound"
            for other in rows[:place]
        )
        if row["is_answered"] is False:
            row["is_returned"] = any(
                other["kind"] == "call"
                and other["campaign_direction"] == "outbound"
                and timedelta(0) < other["start_datetime"] - row["start_datetime"] <= HOUR
                for other in rows
            )


def daily_rows(rows: Iterable[Row]) -> dict[tuple[Any, ...], Row]:
    """Return the rows of callcap__daily by what they are grouped by."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in DAILY)].append(row)
    return {
        tuple(_comparable(part) for part in key): dict(zip(DAILY, key, strict=True))
        | {
            name: next((row[name] for row in group if row[name] is not None), None)
            for name in (
                *("campaign_name", "campaign_medium", "campaign_direction"),
                *("location_name", "csr_name"),
            )
        }
        | sums(group)
        | {
            "returned": sum(row["is_returned"] is True for row in group),
            "blocked": sum(row["outcome"] == "blocked" for row in group),
            "in_progress": sum(row["outcome"] == "in progress" for row in group),
            "duration": _total(row["duration"] for row in group if row["kind"] == "call"),
            "cost": _total(row["cost"] for row in group),
        }
        for key, group in groups.items()
    }


def sums(group: Sequence[Row]) -> Row:
    """Return the numbers of calls of each kind, and their revenue."""
    return {
        "calls": sum(row["kind"] == "call" for row in group),
        "texts": sum(row["kind"] == "text" for row in group),
        "answered": sum(row["is_answered"] is True for row in group),
        "missed": sum(row["is_answered"] is False for row in group),
        "booked": sum(row["is_booked"] is True for row in group),
        "revenue": _total(row["revenue"] for row in group),
    }


def _total(values: Iterable[Any]) -> Any:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def caller_rows(rows: Iterable[Row]) -> dict[str, Row]:
    """Return the rows of callcap__callers by caller_id."""
    inbound = [row for row in rows if row["campaign_direction"] == "inbound"]
    found = {}
    for caller, group in _by_caller(inbound).items():
        first, last = group[0], group[-1]
        calls = [row for row in group if row["kind"] == "call"]
        found[caller] = {
            "caller_id": caller,
            "first_contact_at": first["start_datetime"],
            "last_contact_at": last["start_datetime"],
            "first_kind": first["kind"],
            "first_campaign_name": first["campaign_name"],
            "first_campaign_medium": first["campaign_medium"],
            "first_location_name": first["location_name"],
            "last_outcome": calls[-1]["outcome"] if calls else None,
            **sums(group),
        }
    return found
