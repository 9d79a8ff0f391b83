"""The API's own search parameters, as filters: their table, their JSON Schema, their checks. Pure.

Every filter is a parameter of the vendor's page by its own name. Values are compared as the text
that stands in the query; where the API takes a list, so do they: as an array, as text that commas
part, or as a single value.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeAlias

from tap_callcap.instants import FIRST_DAY, MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from zoneinfo import ZoneInfo

    from tap_callcap.records.schema import JSONSchema

FilterValue: TypeAlias = "str | float | bool | list[str | float]"
"""A filter as the config has it."""

DAY = timedelta(days=1)
NO_MAXIMUM = 600  # seconds; to the API a search_duration_max from here on is none


@dataclass(frozen=True, slots=True)
class Kind:
    """What a filter takes: in words, the types of one value in JSON, and its text as a pattern."""

    words: str
    types: tuple[str, ...]
    pattern: str
    is_list: bool = False

    @property
    def schema(self) -> JSONSchema:
        """What JSON Schema can say of it."""
        if not self.is_list:
            return {"type": [*self.types, "null"]}
        return {"type": ["array", *self.types, "null"], "items": {"type": list(self.types)}}


def _one_of(*words: str) -> Kind:
    return Kind(f"one of {', '.join(words)}", ("string",), "|".join(words))


def _some_of(*words: str) -> Kind:
    return Kind(f"one or more of {', '.join(words)}", ("string",), "|".join(words), is_list=True)


def _numbers(first: int, last: int) -> Kind:
    words = f"one or more of the numbers {first} to {last}"
    return Kind(words, ("integer", "string"), f"[{first}-{last}]", is_list=True)


ID = Kind("a number", ("integer", "string"), r"[0-9]{1,18}")
IDS = Kind("a list of numbers, or numbers that commas part", ID.types, ID.pattern, is_list=True)
SECONDS = Kind("a whole number of seconds", ("integer", "string"), r"[0-9]{1,9}")
DAYS = Kind("a day, such as 2024-01-31", ("string",), r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
FLAG = Kind("true or false", ("boolean", "integer", "string"), r"[01]|true|false")
TEXT = Kind("a text on one line", ("string", "integer"), r"[^\x00-\x1f\x7f]+")
PHONE = Kind("a telephone number or a part of one", TEXT.types, r"[ ()+./-]*[0-9][0-9 ()+./-]*")
RANGE = _one_of(
    "custom",
    *("today", "yesterday", "week", "last7days", "monthtodate", "lastmonth"),
    *("last30days", "last3months", "last6months", "yeartodate"),
    *("last1minutes", "last5minutes", "last10minutes", "last30minutes", "last60minutes"),
)


@dataclass(frozen=True, slots=True)
class Filter:
    """A search parameter."""

    title: str
    description: str
    kind: Kind


FILTERS: dict[str, Filter] = {
    "corporate_id": Filter("Corporate", "Id of the corporate account that calls belong to.", ID),
    "division_id": Filter("Divisions", "Ids of the divisions that calls belong to.", IDS),
    "location_id": Filter("Locations", "Ids of the locations that calls belong to.", IDS),
    "campaign_id": Filter("Campaigns", "Ids of the campaigns that calls came by.", IDS),
    "search_range": Filter(
        "Range of days",
        "Days on which calls began, counted from the day of the run. Only with FULL_TABLE, and "
        "without search_startdate and search_enddate.",
        RANGE,
    ),
    "search_startdate": Filter("First day", "First day on which calls began, in timezone.", DAYS),
    "search_enddate": Filter(
        "Last day", "Last day on which calls began, in timezone; later than search_startdate.", DAYS
    ),
    "search_daysofweek": Filter(
        "Days of the week",
        "Days of the week on which calls began, in timezone: 1 is Sunday, 7 is Saturday.",
        _numbers(1, 7),
    ),
    "search_duration_min": Filter("Shortest", "Seconds that calls lasted at least.", SECONDS),
    "search_duration_max": Filter(
        "Longest",
        f"Seconds that calls lasted at most; more than search_duration_min. {NO_MAXIMUM} and more "
        "are no maximum.",
        SECONDS,
    ),
    "search_action": Filter(
        "Actions",
        "How calls ended: ans were answered, missed met a busy line or nobody, blocked came from a "
        "blocked number, inprogress have not ended.",
        _some_of("ans", "missed", "blocked", "inprogress"),
    ),
    "search_feature": Filter(
        "Features",
        "What calls had to do with: outbound were made from here, callsaver were worked to win a "
        "lost caller back, webmatch were matched with a visit of a website, callconnect began by a "
        "click, callsurance were rated by an analyst.",
        _some_of("outbound", "callsaver", "webmatch", "callconnect", "callsurance"),
    ),
    "conversation_type": Filter(
        "Conversations",
        "Whether phone calls, text conversations or all come.",
        _one_of("all", "call", "text"),
    ),
    "search_medium": Filter("Media", "Ids of the media of campaigns.", IDS),
    "search_major": Filter(
        "Ratings",
        "How Callsurance rated calls: 1 positive, 2 negative, 3 neutral, 4 filtered, 0 not rated.",
        _numbers(0, 4),
    ),
    "search_csr": Filter("Call takers", "Ids of the call takers (CSRs).", IDS),
    "search_callsaver_status": Filter(
        "Callsaver outcomes", "What Callsaver came to: 1 saved, 2 not saved.", _numbers(1, 2)
    ),
    "search_evaluation_change_status": Filter(
        "Change requests",
        "What became of the request to change a call's rating.",
        _one_of("approved", "denied", "pending"),
    ),
    "search_revenue_entered": Filter(
        "Revenue entered", "Whether calls have a revenue (true, 1) or none yet (false, 0).", FLAG
    ),
    "search_term": Filter(
        "Term",
        "Text in a campaign's name, in telephone numbers, notes and more; Callcap may change where "
        "it looks.",
        TEXT,
    ),
    "search_caller_id": Filter("Caller's number", "Number of the caller, or a part of it.", PHONE),
    "search_destination": Filter(
        "Destination", "Number that calls were put through to, or a part of it.", PHONE
    ),
    "search_reference_id": Filter("Reference", "Reference that imported calls came with.", TEXT),
    "search_direction": Filter(
        "Direction",
        "Whether calls came in, went out, or stayed within the company.",
        _one_of("all", "inbound", "outbound", "internal"),
    ),
    "search_location_external_id": Filter(
        "Location's own id", "Id that the company itself gave to a location.", TEXT
    ),
    "search_division_external_id": Filter(
        "Division's own id", "Id that the company itself gave to a division.", TEXT
    ),
}

NOT_FILTERS = {
    "search_last_modified_start": "set start_date instead",
    "search_last_modified_end": "set end_date instead",
    "search_timezone": "set timezone instead",
    "call_id": "set call_ids instead",
    "order": "records come in the order of its windows",
    "page": "every page is read",
    "show": "set page_size instead",
    "detail": "select properties in the catalog instead",
}
"""The search parameters that the tap itself needs, and what to do instead of setting them."""

DAY_FILTERS = frozenset({"search_startdate", "search_enddate", "search_daysofweek", "search_range"})
"""Those whose meaning hangs on the zone in which the API is asked."""


def filters_schema() -> JSONSchema:
    """The setting `filters` as JSON Schema, closed to other names."""
    return {
        "type": ["object"],
        "properties": {
            name: {**each.kind.schema, "title": each.title, "description": each.description}
            for name, each in FILTERS.items()
        },
        "additionalProperties": False,
    }


def demand(name: str) -> str:
    """What a filter must be, in words."""
    return f"must be {FILTERS[name].kind.words}"


def unknown(name: str) -> str:
    """What is wrong with a filter that there is not."""
    if name in NOT_FILTERS:
        return f"is the tap's own: {NOT_FILTERS[name]}"
    near = get_close_matches(name, FILTERS, n=1)
    hint = f"did you mean {near[0]}?" if near else "--about lists those that there are"
    return f"is unknown: {hint}"


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a run, by their names as texts of the query."""

    texts: Mapping[str, str]

    @classmethod
    def from_config(cls, given: Mapping[str, FilterValue | None] | None) -> Filters:
        """The filters of a config without problems; null is not set."""
        texts = {
            name: ",".join(dict.fromkeys(_parts(name, value)))
            for name, value in (given or {}).items()
            if value is not None
        }
        if texts.get("search_range") == "custom":  # the word for none
            del texts["search_range"]
        return cls(texts)

    @property
    def is_relative(self) -> bool:
        """Whether the days are counted from the day of the run."""
        return "search_range" in self.texts

    @property
    def speak_of_days(self) -> bool:
        """Whether they would mean other calls in another zone."""
        return not DAY_FILTERS.isdisjoint(self.texts)

    def query(self, last_day: date) -> dict[str, str]:
        """Their part of a query, up to `last_day` where they have no last day of their own.

        The days are always sent, because the API means yesterday and today by none.
        """
        if self.is_relative:
            return dict(self.texts)
        start = self.texts.get("search_startdate", FIRST_DAY.isoformat())
        end = max(last_day, date.fromisoformat(start) + DAY)
        return {"search_startdate": start, "search_enddate": end.isoformat(), **self.texts}

    def fingerprint(self, zone: ZoneInfo) -> dict[str, str]:
        """What tells these filters from others, without what they say: it may be about people."""
        meant = {
            name: [*sorted(text.split(",")), *([zone.key] if name in DAY_FILTERS else [])]
            for name, text in self.texts.items()
        }
        return {
            name: hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
            for name, parts in sorted(meant.items())
        }

    def warnings(self) -> Iterator[str]:
        """What the API makes of them that a user may not expect."""
        if int(self.texts.get("search_duration_max", "0")) >= NO_MAXIMUM:
            yield f"filters.search_duration_max of {NO_MAXIMUM} and more is no maximum to Callcap"


NO_FILTERS = Filters({})


def filter_problems(
    given: Mapping[str, FilterValue | None], lag: timedelta
) -> Iterator[tuple[str, str]]:
    """Names of filters, and what is wrong with them that no schema can say.

    Args:
        given: The filters, of the types that their schema wants.
        lag: How much of the newest time a run leaves out.
    """
    is_whole = True
    for name, value in given.items():
        if value is not None and not _fits(name, value):
            is_whole = False
            yield name, demand(name)
    if is_whole:
        yield from _contradictions(Filters.from_config(given), lag)


def _contradictions(filters: Filters, lag: timedelta) -> Iterator[tuple[str, str]]:
    texts = filters.texts
    start, end = texts.get("search_startdate", FIRST_DAY.isoformat()), texts.get("search_enddate")
    if end is not None and start >= end:
        yield "search_enddate", f"must be after search_startdate, {FIRST_DAY} when that is not set"
    least, most = texts.get("search_duration_min", "0"), texts.get("search_duration_max")
    if most is not None and int(least) >= int(most):
        yield "search_duration_max", "must be more than search_duration_min, 0 when that is not set"
    if not filters.is_relative:
        return
    if days := {"search_startdate", "search_enddate"}.intersection(texts):
        yield "search_range", f"leaves no room for {' and '.join(sorted(days))}: remove one of them"
    minutes = re.fullmatch(r"last([0-9]+)minutes", texts["search_range"])
    if minutes and int(minutes[1]) * MINUTE <= lag + MINUTE:
        yield "search_range", "finds nothing: lag_minutes and one minute more are left out"


def _fits(name: str, value: FilterValue) -> bool:
    kind = FILTERS[name].kind
    parts = _parts(name, value)
    return bool(parts) and all(
        re.fullmatch(kind.pattern, part) and (kind is not DAYS or _is_day(part)) for part in parts
    )


def _is_day(text: str) -> bool:
    try:
        return MINYEAR < date.fromisoformat(text).year < MAXYEAR
    except ValueError:
        return False


def _parts(name: str, value: FilterValue) -> list[str]:
    """The values of a filter as texts; one, unless it takes a list."""
    kind = FILTERS[name].kind
    values = value if isinstance(value, list) else [value]
    texts = [_text(each) for each in values]
    if kind is FLAG:
        return [{"true": "1", "false": "0"}.get(text, text) for text in texts]
    return [part.strip() for text in texts for part in text.split(",")] if kind.is_list else texts


def _text(value: str | float) -> str:
    """A single value as text: 5.0 is an integer to JSON Schema, true is a word."""
    if isinstance(value, str):
        return value.strip()
    return str(value).lower() if isinstance(value, bool) else str(int(value))
