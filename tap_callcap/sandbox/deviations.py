"""The switches for servers that contradict the API's documentation."""

# The annotations are evaluated at run time: they check values, and parse values given as text.
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal

from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]
Instant = Annotated[datetime, Meta(tz=True)]
Names = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviations:
    """How the API contradicts its documentation; by default it does not."""

    filter_timezone: Annotated[
        str | None,
        Meta(
            description="The zone in which the limits of last_modified are read, whatever zone is "
            "requested and echoed."
        ),
    ] = None
    stored_timezone: Annotated[
        str | None,
        Meta(
            description="The zone whose wall time the database stores as last_modified, without "
            "an offset. An hour that its clock change repeats is then shown twice in any zone."
        ),
    ] = None
    stored_hour: Annotated[
        Literal["first", "second"],
        Meta(
            description="Which instant a stored wall time means if `stored_timezone` has it twice."
        ),
    ] = "first"
    stored_filter: Annotated[
        Literal["instants", "wall_times"],
        Meta(
            description="Whether a search compares instants, or the wall times of "
            "`stored_timezone`."
        ),
    ] = "instants"
    date_ahead: Annotated[
        timedelta, Meta(description="How far the `Date` header is ahead of the database's clock.")
    ] = timedelta(0)
    date_ahead_every: Annotated[
        Count | None,
        Meta(
            description="One in this many answers has a `Date` that is ahead; by default all have."
        ),
    ] = None
    failure: Annotated[
        Literal["500", "504", "403", "error_body", "unreadable", "hang"],
        Meta(
            description="How a request fails if another switch makes it fail: with this status, "
            "with a 200 whose `status` is `error`, with a 200 whose JSON is cut off, or without "
            "any answer."
        ),
    ] = "500"
    wide_search_fails_after: Annotated[
        timedelta | None,
        Meta(
            description="A search over a longer range of last_modified (or of dates, if it has "
            "none) fails."
        ),
    ] = None
    broken_minutes: Annotated[
        frozenset[Instant],
        Meta(description="A search whose range of last_modified touches one of these fails."),
    ] = frozenset()
    broken_calls: Annotated[
        Names, Meta(description="A request whose answer would show one of these calls fails.")
    ] = frozenset()
    broken_accounts: Annotated[
        frozenset[int], Meta(description="A request for one of these accounts fails.")
    ] = frozenset()
    missing_accounts: Annotated[
        frozenset[int],
        Meta(
            description="A request for one of these accounts is answered with a 404, although "
            "its parent lists it."
        ),
    ] = frozenset()
    bad_key: Annotated[
        Literal["401", "403", "200"],
        Meta(description="The status of the answer to a wrong key; the body says `unauthorized`."),
    ] = "401"
    rate_limit_code: Annotated[
        Literal["429", "420", "403", "503"],
        Meta(description="The status of the answer to too many requests."),
    ] = "429"
    hidden_calls: Annotated[
        Names, Meta(description="Calls that a search counts and never shows.")
    ] = frozenset()
    hidden_rows: Annotated[
        Literal["gap", "closed_up"],
        Meta(
            description="Whether the page of a hidden call is one row shorter, or the next rows "
            "move up."
        ),
    ] = "gap"
    uncounted_calls: Annotated[
        Names, Meta(description="Calls that a search shows and does not count.")
    ] = frozenset()
    repeated_calls: Annotated[Names, Meta(description="Calls that a search shows twice.")] = (
        frozenset()
    )
    repeats_counted: Annotated[
        bool, Meta(description="Whether the total counts a repeated call twice.")
    ] = True
    calls_without_id: Annotated[
        Names, Meta(description="Calls that are shown without their call_id, as `absent` says.")
    ] = frozenset()
    calls_without_last_modified: Annotated[
        Names, Meta(description="Calls that are shown without last_modified, as `absent` says.")
    ] = frozenset()
    row_lost_every: Annotated[
        Count | None,
        Meta(description="One in this many pages leaves out a random row, which is counted."),
    ] = None
    count_age: Annotated[
        timedelta,
        Meta(
            description="How much older than the rows the total is. A negative value, with "
            "`visible_after`, makes it newer than the rows."
        ),
    ] = timedelta(0)
    total_cap: Annotated[
        Count | None,
        Meta(
            description="`total_records` and `last_page` count at most this many calls, while "
            "the pages beyond have the others."
        ),
    ] = None
    total_of: Annotated[
        Literal["search", "page"],
        Meta(description="Whether `total_records` counts the calls of the search or of the page."),
    ] = "search"
    last_page: Annotated[
        Literal["up", "down"],
        Meta(description="Whether `last_page` is rounded up, or down (but never below 1)."),
    ] = "up"
    counts: Annotated[
        Literal["plain", "float", "text", "grouped"],
        Meta(
            description='How the numbers of `pagination` are written: 1234, 1234.0, "1234" or '
            '"1,234".'
        ),
    ] = "plain"
    trailing_slash: Annotated[
        Literal["required", "added", "removed"],
        Meta(
            description="Whether a path without its trailing slash is a 404 or is redirected to "
            "the path with it, or a path with it is redirected to the path without."
        ),
    ] = "required"
    redirect_code: Annotated[
        Literal["301", "302", "307", "308"], Meta(description="The status of such a redirect.")
    ] = "301"
    redirect_query: Annotated[
        Literal["kept", "dropped"],
        Meta(description="Whether the `Location` of such a redirect has the query."),
    ] = "kept"
