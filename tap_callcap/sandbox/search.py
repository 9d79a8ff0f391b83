"""Parse the parameters of a search, and select and order its calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from tap_callcap.sandbox.book import started
from tap_callcap.sandbox.call import Call, at
from tap_callcap.sandbox.filters import (
    FILTER_NAMES,
    NO_MAXIMUM,
    BadParameterError,
    Predicate,
    digits,
    filter_for,
    number,
    words,
)
from tap_callcap.sandbox.ranges import (
    RANGE_NAMES,
    days_asked_for,
    modified_span,
    start_span,
)
from tap_callcap.sandbox.zones import UTC_NAMES, Span, span_in_wall_times, zone_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from tap_callcap.sandbox.switches import Switches

DETAILS: Final = {
    "all": ("callsurance", "webmatch", "caller", "accounts", "sentiment"),
    "notes": ("notes",),
    "demographics": ("demographics",),
    "callsurance": ("callsurance",),
    "webmatch": ("webmatch",),
    "caller": ("caller",),
    "accounts": ("accounts",),
    "scorecards": ("scorecards",),
    "import": ("import",),
    "summaries": ("summaries",),
    "sentiment": ("sentiment",),
}
"""The fields that each word of `detail` adds to the basic ones."""

_DAY = timedelta(days=1)
MAX_SHOW = 1000  # calls a page

PARAMETERS: Final = frozenset(
    {
        *FILTER_NAMES,
        *RANGE_NAMES,
        "search_timezone",
        "call_id",
        "order",
        "page",
        "show",
        "detail",
    },
)


@dataclass(frozen=True, slots=True)
class Selection:
    """The calls that a search selects, and their order; equal selections select the same calls."""

    started: Span
    modified: Span
    filters: tuple[tuple[str, str], ...]
    order: str
    call_id: str | None
    zone: ZoneInfo
    predicates: tuple[Predicate, ...] = field(compare=False, repr=False)

    def __contains__(self, call: Call) -> bool:
        """Whether `call` passes all filters; `call_id` is not one of them."""
        return (
            call["last_modified"] in self.modified
            and started(call) in self.started
            and all(passes(call) for passes in self.predicates)
        )


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed request for calls."""

    selection: Selection
    page: int
    show: int
    detail: frozenset[str]
    zone: ZoneInfo
    zone_echoed: str
    fails: bool
    """Whether it is one of the searches that fail."""


def parsed(params: Mapping[str, str], now: datetime, switches: Switches) -> Search:
    """Parse the parameters of `/get/calls/`; an empty one counts as not given.

    Raises BadParameterError for a request that is answered with a 400.
    """
    given = {name: text for name, text in params.items() if text}
    check_known(given, PARAMETERS, switches)
    zone, echoed = zone_of(given, switches)
    page = number("page", given.get("page", "1"), 1, switches.max_page)
    show = number("show", given.get("show", "50"), 1, MAX_SHOW)
    order = given.get("order", "newest")
    if order not in ORDERS:
        msg = f"order must be one of {', '.join(ORDERS)}"
        raise BadParameterError(msg)
    _check_durations(given)
    started_in = start_span(given, zone, now, switches)
    modified_in = modified_span(given, zone, switches)
    days = 0 if "call_id" in given else days_asked_for(started_in, modified_in, now)
    if switches.max_range_days is not None and days > switches.max_range_days:
        msg = f"The date range must not be longer than {switches.max_range_days:g} days"
        raise BadParameterError(msg)
    if switches.stored_timezone and switches.stored_filter == "wall_times":
        modified_in = span_in_wall_times(modified_in, zone_named(switches.stored_timezone))
    filters = tuple(sorted((name, given[name]) for name in FILTER_NAMES.intersection(given)))
    return Search(
        Selection(
            started_in,
            modified_in,
            filters,
            order,
            given.get("call_id"),
            zone,
            tuple(filter_for(name, text, zone) for name, text in filters),
        ),
        page,
        min(show, switches.show_cap or MAX_SHOW),
        shown_fields(given, switches),
        zone,
        echoed,
        "call_id" not in given and _fails(days, modified_in, switches),
    )


def _fails(days: float, modified: Span, switches: Switches) -> bool:
    longest = switches.wide_search_fails_after
    if longest is not None and days > longest / _DAY:
        return True
    return any(minute in modified for minute in switches.broken_minutes)


def check_known(params: Mapping[str, str], known: frozenset[str], switches: Switches) -> None:
    """Refuse parameters that the endpoint does not document, unless the switch ignores them."""
    unknown = sorted(set(params) - known)
    if unknown and switches.unknown_parameters == "400":
        msg = f"Unknown parameter: {', '.join(unknown)}"
        raise BadParameterError(msg)


def zone_of(params: Mapping[str, str], switches: Switches) -> tuple[ZoneInfo, str]:
    """Return the zone of a request, and its name in the answer."""
    name = params.get("search_timezone", switches.login_timezone)
    is_utc = name in UTC_NAMES
    if name in switches.refused_timezones or (is_utc and switches.utc == "refused"):
        msg = f"search_timezone does not accept {name}"
        raise BadParameterError(msg)
    if is_utc and switches.utc == "ignored":
        name = switches.login_timezone
    try:
        zone = zone_named(name)
    except ValueError as error:
        msg = f"search_timezone: {error}"
        raise BadParameterError(msg) from error
    return zone, "Etc/UTC" if is_utc and switches.utc == "alias" else name


def shown_fields(params: Mapping[str, str], switches: Switches) -> frozenset[str]:
    """Return the fields that `detail` adds to the basic ones."""
    detail = words("detail", params.get("detail", "all"), DETAILS)
    fields = {name for word in detail for name in DETAILS[word]}
    if switches.callsaver_detail == "always" or "all" in detail:
        fields.add("callsaver")
    return frozenset(fields)


def ordered(calls: Iterable[Call], order: str) -> list[Call]:
    """Sort calls by `order`; calls with equal keys keep their order."""
    key, is_descending = ORDERS[order]
    return sorted(calls, key=key, reverse=is_descending)


def _account(call: Call) -> tuple[str, ...]:
    levels = ("corporate", "division", "location", "campaign")
    return tuple((at(call, "accounts", level, "name") or "").casefold() for level in levels)


def _caller_id(call: Call) -> int:
    return int(digits(at(call, "caller", "caller_id")) or 0)


def _caller_name(call: Call) -> str:
    name: str = at(call, "caller", "name") or ""
    return name.casefold()


def _callsurance(call: Call) -> tuple[int, int]:
    major, minor = (at(call, "callsurance", level, "id") or 0 for level in ("major", "minor"))
    return major, minor


ORDERS: Final[dict[str, tuple[Callable[[Call], Any], bool]]] = {
    "newest": (started, True),
    "oldest": (started, False),
    "account": (_account, False),
    "callerid": (_caller_id, False),
    "callername": (_caller_name, False),
    "callsurance": (_callsurance, False),
}
"""Each order's sort key, and whether it is descending."""


def _check_durations(params: Mapping[str, str]) -> None:
    least = number("search_duration_min", params.get("search_duration_min", "0"))
    most = number("search_duration_max", params.get("search_duration_max", str(NO_MAXIMUM)))
    if least >= most and most < NO_MAXIMUM:
        msg = "search_duration_min must be less than search_duration_max"
        raise BadParameterError(msg)
