"""The search parameters of the API: those that are filters, and those that the tap sets itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_callcap.records.schema import JSONSchema

# The days on which calls began are always sent: by default the API means one day in the past to
# today, and so leaves out older calls that were edited. Imported calls may have any date, and
# those without one the zero date of a database: 1900-01-01, or 1969-12-31 in the United States.
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2099, 12, 31)
NO_MAXIMUM = 600  # seconds; the API ignores a search_duration_max from here on


@dataclass(frozen=True, slots=True)
class Kind:
    """The values that a filter takes.

    `words` describe them, `types` are those of one value in JSON, `pattern` matches its text.
    """

    words: str
    types: tuple[str, ...]
    pattern: str
    is_list: bool = False

    @property
    def schema(self) -> JSONSchema:
        """These values as JSON Schema, as far as that is possible."""
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
IDS = Kind("a list of numbers, or numbers separated by commas", ID.types, ID.pattern, is_list=True)
SECONDS = Kind("a whole number of seconds", ("integer", "string"), r"[0-9]{1,9}")
DAY = Kind(
    f"a day from {FIRST_DAY} to {LAST_DAY - timedelta(days=1)}, such as 2024-01-31",
    ("string",),
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
)
FLAG = Kind("true or false", ("boolean", "integer", "string"), r"[01]|true|false")
TEXT = Kind("text on one line", ("string", "integer"), r"[^\x00-\x1f\x7f]+")
PHONE = Kind("a telephone number, or part of one", TEXT.types, r"[ ()+./-]*[0-9][0-9 ()+./-]*")
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
    "corporate_id": Filter("Corporate account", "Only calls of this corporate account (id).", ID),
    "division_id": Filter("Divisions", "Only calls of these divisions (ids).", IDS),
    "location_id": Filter("Locations", "Only calls of these locations (ids).", IDS),
    "campaign_id": Filter("Campaigns", "Only calls of these campaigns (ids).", IDS),
    "search_range": Filter(
        "Range of days",
        "Only calls that began in this period, counted from the day of the run. Needs FULL_TABLE; "
        "cannot be combined with search_startdate or search_enddate.",
        RANGE,
    ),
    "search_startdate": Filter(
        "First day", "Only calls that began on or after this day, in timezone.", DAY
    ),
    "search_enddate": Filter(
        "Last day",
        "Only calls that began on or before this day, in timezone. It must be after "
        "search_startdate.",
        DAY,
    ),
    "search_daysofweek": Filter(
        "Days of the week",
        "Only calls that began on these days of the week, in timezone: 1 is Sunday, 7 is Saturday.",
        _numbers(1, 7),
    ),
    "search_duration_min": Filter(
        "Minimum duration", "Only calls that lasted at least this many seconds.", SECONDS
    ),
    "search_duration_max": Filter(
        "Maximum duration",
        "Only calls that lasted at most this many seconds. It must be more than "
        f"search_duration_min; Callcap ignores {NO_MAXIMUM} and more.",
        SECONDS,
    ),
    "search_action": Filter(
        "Actions",
        "Only calls that ended this way: ans (answered), missed (busy or no answer), blocked (from "
        "a blocked number), inprogress (not ended yet).",
        _some_of("ans", "missed", "blocked", "inprogress"),
    ),
    "search_feature": Filter(
        "Features",
        "Only calls with one of these features: outbound (made by the company), callsaver "
        "(followed up to win back a lost caller), webmatch (matched with a website visit), "
        "callconnect (started by a click), callsurance (rated by an analyst).",
        _some_of("outbound", "callsaver", "webmatch", "callconnect", "callsurance"),
    ),
    "conversation_type": Filter(
        "Conversations",
        "Only phone calls (call), only text conversations (text), or both (all).",
        _one_of("all", "call", "text"),
    ),
    "search_medium": Filter("Media", "Only calls of campaigns in these media (ids).", IDS),
    "search_major": Filter(
        "Ratings",
        "Only calls with these Callsurance ratings: 1 positive, 2 negative, 3 neutral, 4 filtered, "
        "0 not rated.",
        _numbers(0, 4),
    ),
    "search_csr": Filter("Call takers", "Only calls of these call takers (ids of CSRs).", IDS),
    "search_callsaver_status": Filter(
        "Callsaver outcomes",
        "Only calls with these Callsaver outcomes: 1 saved, 2 not saved.",
        _numbers(1, 2),
    ),
    "search_evaluation_change_status": Filter(
        "Change requests",
        "Only calls with a request to change their rating that has this status.",
        _one_of("approved", "denied", "pending"),
    ),
    "search_revenue_entered": Filter(
        "Revenue entered",
        "Only calls with a revenue (true or 1), or only those without (false or 0).",
        FLAG,
    ),
    "search_term": Filter(
        "Search term",
        "Only calls with this text in the name of the campaign, telephone numbers, notes or other "
        "fields; Callcap decides which.",
        TEXT,
    ),
    "search_caller_id": Filter(
        "Caller's number", "Only calls from this number, or from numbers that contain it.", PHONE
    ),
    "search_destination": Filter(
        "Destination number",
        "Only calls put through to this number, or to numbers that contain it.",
        PHONE,
    ),
    "search_reference_id": Filter(
        "Reference", "Only imported calls with this reference of their source.", TEXT
    ),
    "search_direction": Filter(
        "Direction",
        "Only calls that came in (inbound), went out (outbound) or stayed within the company "
        "(internal), or all.",
        _one_of("all", "inbound", "outbound", "internal"),
    ),
    "search_location_external_id": Filter(
        "External location id", "Only calls of the location with this id in your own system.", TEXT
    ),
    "search_division_external_id": Filter(
        "External division id", "Only calls of the division with this id in your own system.", TEXT
    ),
}

NOT_FILTERS = {
    "search_last_modified_start": "use start_date instead",
    "search_last_modified_end": "use end_date instead",
    "search_timezone": "use timezone instead",
    "call_id": "use call_ids instead",
    "order": "the order of records is fixed",
    "page": "every page is read",
    "show": "use page_size instead",
    "detail": "select properties in the catalog instead",
}
"""The search parameters that the tap sets itself, and what to do instead."""

DAY_FILTERS = frozenset({"search_startdate", "search_enddate", "search_daysofweek", "search_range"})
"""The filters whose meaning depends on the zone of the request."""
