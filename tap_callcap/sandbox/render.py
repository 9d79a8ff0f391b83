"""Render calls as the JSON of an answer."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tap_callcap.sandbox.call import VENDOR_EXAMPLE, Call
from tap_callcap.sandbox.search import DETAILS
from tap_callcap.sandbox.zones import local_text

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from tap_callcap.sandbox.switches import Switches

_encoder = msgspec.json.Encoder(decimal_format="number")
encode = _encoder.encode
"""Return JSON; a Decimal keeps its digits, an aware UTC datetime becomes RFC 3339 with Z."""

_DETAILED: Final = frozenset({
    "callsaver",
    *(name for fields in DETAILS.values() for name in fields),
})
_SECTIONS: Final = {
    name: type(value)() for name, value in VENDOR_EXAMPLE.items() if isinstance(value, dict | list)
}


def rendered(call: Call, fields: frozenset[str], zone: ZoneInfo, switches: Switches) -> Call:
    """Return a call as the API shows it: the basic fields and `fields`, with times in `zone`."""
    shown = {name: value for name, value in call.items() if name in fields or name not in _DETAILED}
    call_id = call["call_id"]
    if call_id in switches.calls_without_id:
        shown["call_id"] = None
    if call_id in switches.calls_without_last_modified:
        shown["last_modified"] = None
    for name in ("start_datetime", "last_modified", "end_datetime"):
        if shown[name] is not None:
            shown[name] = local_text(shown[name], zone)
    callsaver = shown.get("callsaver")
    if callsaver and callsaver["date"] is not None:
        shown["callsaver"] = {**callsaver, "date": local_text(callsaver["date"], zone)}
    if switches.unknown_fields:
        shown = with_unknown_fields(shown)
    if switches.absent == "missing":
        shown = _without_nulls(shown)
    elif switches.absent == "empty":
        shown = {
            name: _empty(_SECTIONS.get(name, "") if value is None else value)
            for name, value in shown.items()
        }
    return shown


def with_unknown_fields(shown: Call) -> Call:
    """Add undocumented fields: at the top level, in objects, and in objects in lists."""
    more = {
        **shown,
        "queue_seconds": 7,
        "ai_topics": ["price", {"topic": "Öffnungszeiten"}],
    }
    for section, extra in (
        ("caller", "line_type"),
        ("accounts", "region"),
        ("webmatch", "gclid"),
    ):
        if isinstance(more.get(section), dict):
            more[section] = {**more[section], extra: "unheard-of"}
    if more.get("summaries"):
        more["summaries"] = [{**summary, "language": "en"} for summary in more["summaries"]]
    return more


def in_dialect(answer: Call, switches: Switches) -> Call:
    """Return an answer with the values that the server's JSON dialect has."""
    if switches.dialect == "json":
        return answer
    translated: Call = _coldfusion(answer)
    return translated


def _coldfusion(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {name: _coldfusion(inner) for name, inner in value.items()} if value else []
    if isinstance(value, list):
        return [_coldfusion(inner) for inner in value]
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float | Decimal) else value


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value


def _empty(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {name: _empty(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_empty(inner) for inner in value]
    return "" if value is None else value
