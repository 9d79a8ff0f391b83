"""The switches: one for each question that the API's documentation leaves open."""

# The annotations are evaluated at run time: they check values, and parse values given as text.
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from tap_callcap.sandbox.deviations import Count, Deviations
from tap_callcap.sandbox.zones import RepeatedHour, zone_named

Number = Annotated[float, Meta(ge=0)]


class BadSwitchError(ValueError):
    """A switch that does not exist, or a value that it does not accept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches(Deviations):
    """How the API behaves where its documentation says nothing, or contradicts it."""

    empty_search: Annotated[
        Literal["list", "null", "missing", "last_page_0", "404", "204"],
        Meta(
            description="The answer to a search that finds nothing: `call` as [], null or missing "
            "with `last_page` 1, [] with `last_page` 0, a 404 with a JSON body, or a 204."
        ),
    ] = "list"
    start_minute: Annotated[
        Literal["inclusive", "exclusive"],
        Meta(description="Whether `search_last_modified_start=… 10:04` includes 10:04."),
    ] = "inclusive"
    end_minute: Annotated[
        Literal["includes", "excludes", "on_the_dot"],
        Meta(
            description="Whether `search_last_modified_end=… 10:04` includes 10:04:30. "
            "`on_the_dot` includes only 10:04:00. An end without a time is the end of its day."
        ),
    ] = "includes"
    end_date: Annotated[
        Literal["includes", "excludes"],
        Meta(description="Whether the day of `search_enddate` is part of the search."),
    ] = "includes"
    same_dates: Annotated[
        Literal["400", "accepted"],
        Meta(
            description="The answer if `search_enddate` is equal to `search_startdate`, although "
            "it must be greater."
        ),
    ] = "400"
    repeated_hour: Annotated[
        RepeatedHour,
        Meta(
            description="How a limit in an hour that a clock change repeats is read: `both` "
            "compares wall times, `first` and `second` use that instant."
        ),
    ] = "both"
    utc: Annotated[
        Literal["accepted", "refused", "ignored", "alias"],
        Meta(
            description="The answer to `search_timezone=UTC`: in UTC, a 400, in `login_timezone` "
            "(which is echoed), or in UTC with `Etc/UTC` as the echo."
        ),
    ] = "accepted"
    refused_timezones: Annotated[
        frozenset[str], Meta(description="More zones that are answered with a 400.")
    ] = frozenset()
    login_timezone: Annotated[
        str, Meta(description="The zone of the login, used if a request names none.")
    ] = "US/Central"
    zone_echo: Annotated[
        bool, Meta(description="Whether answers name their zone in `search.timezone`.")
    ] = True
    ties: Annotated[
        Literal["stable", "shuffled", "by_page"],
        Meta(
            description="The order of calls with equal sort keys: by call_id, random in each "
            "answer, or random but fixed for each page and page size."
        ),
    ] = "stable"
    page_beyond_last: Annotated[
        Literal["empty", "last", "400", "404"],
        Meta(
            description="The answer to a page after the last: no calls, the last page, or an error."
        ),
    ] = "empty"
    requests_per_minute: Annotated[
        Count | None,
        Meta(description="More requests than this within `rate_window` are answered with a 429."),
    ] = None
    rate_window: Annotated[
        timedelta, Meta(description="The period that `requests_per_minute` counts over.")
    ] = timedelta(minutes=1)
    retry_after: Annotated[
        Literal["none", "seconds", "date"],
        Meta(description="The form of the `Retry-After` header of a 429."),
    ] = "none"
    max_range_days: Annotated[
        Number | None,
        Meta(
            description="A search over a longer range of last_modified (or of dates, if it has "
            "none) is answered with a 400."
        ),
    ] = None
    max_page: Annotated[
        Count | None, Meta(description="A page after this one is answered with a 400.")
    ] = None
    max_total: Annotated[
        Count | None,
        Meta(
            description="A search finds at most this many calls, the first of its order, and does "
            "not count the others."
        ),
    ] = None
    show_cap: Annotated[
        Count | None,
        Meta(
            description="The largest page size, whatever was requested; `pagination.show` has it."
        ),
    ] = None
    visible_after: Annotated[
        timedelta,
        Meta(
            description="How long after its last_modified a new call or an edit becomes visible; "
            "until then the API shows the version before."
        ),
    ] = timedelta(0)
    single_call: Annotated[
        Literal["list", "object", "top_level"],
        Meta(
            description="Where `/get/calls/<call_id>/` has the call: in a list under `call`, as an "
            "object under `call`, or at the top level."
        ),
    ] = "list"
    absent: Annotated[
        Literal["null", "missing", "empty"],
        Meta(
            description='How a field without a value is written: null, left out, or as "" (at the '
            "top level also {} or [], by its type)."
        ),
    ] = "null"
    dialect: Annotated[
        Literal["json", "coldfusion"],
        Meta(description='`coldfusion` writes null as "", numbers and booleans as text, {} as [].'),
    ] = "json"
    callsaver_detail: Annotated[
        Literal["always", "with_all"],
        Meta(
            description="Whether `callsaver`, which no documented `detail` names, is always shown "
            "or only with `all`."
        ),
    ] = "always"
    unknown_fields: Annotated[
        bool, Meta(description="Whether calls have undocumented fields, at every level.")
    ] = False
    unknown_parameters: Annotated[
        Literal["400", "ignored"],
        Meta(description="The answer to a request with an undocumented parameter."),
    ] = "400"
    date_header: Annotated[
        bool, Meta(description="Whether answers have the server's time in a `Date` header.")
    ] = True
    latency: Annotated[
        Number, Meta(description="Seconds between reading the calls and sending the answer.")
    ] = 0

    def __post_init__(self) -> None:
        """Check each value against its annotation."""
        for name, kind in SWITCHES.items():
            value = getattr(self, name)
            try:
                msgspec.convert(value, kind)
                if name.endswith("_timezone") and value is not None:
                    zone_named(value)
            except ValueError as error:  # msgspec.ValidationError is one
                msg = f"The switch {name} cannot be {value!r}: {error}"
                raise BadSwitchError(msg) from error


SWITCHES: dict[str, Any] = get_type_hints(Switches, include_extras=True)
"""The annotated type of each switch by its name."""
