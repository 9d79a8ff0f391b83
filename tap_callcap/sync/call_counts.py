"""How many calls Callcap counts day by day, asked independently of how calls are read."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from singer_sdk.exceptions import ConfigurationError

from tap_callcap.api.filter_table import FIRST_DAY, LAST_DAY
from tap_callcap.api.search import weekday_of
from tap_callcap.instants import format_instant
from tap_callcap.sync.prefetch import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from tap_callcap.api.client import Client
    from tap_callcap.records.shaper import Record
    from tap_callcap.settings import Settings

DAY = timedelta(days=1)


def call_count_rows(
    client: Client,
    settings: Settings,
    defer_failure: Callable[[str], None],  # noqa: ARG001 - the same for all streams
) -> Iterator[Record]:
    """One row for each of the last `count_days` days that are over and match the filters.

    Raises:
        ConfigurationError: If a filter counts its days from the day of the run.
        FatalAPIError: If a request fails.
    """
    if settings.filters.is_relative:
        msg = "call_counts cannot be combined with filters.search_range: remove one of them"
        raise ConfigurationError(msg)

    def count(day: date) -> tuple[int, datetime]:
        return client.count_of_day(day, settings.zone, settings.filters)

    # The clock of an answer says which days are over.
    _, now = count(FIRST_DAY + DAY)
    today = now.astimezone(settings.zone).date()
    texts = settings.filters.texts
    first = texts.get("search_startdate", FIRST_DAY.isoformat())
    last = texts.get("search_enddate", LAST_DAY.isoformat())
    weekdays = texts.get("search_daysofweek", "1,2,3,4,5,6,7").split(",")
    days = [today - DAY * back for back in range(settings.count_days, 0, -1)]
    wanted = [
        day for day in days if first <= day.isoformat() <= last and weekday_of(day) in weekdays
    ]
    for day, (calls, at) in Workers(settings.concurrency).each(count, wanted):
        yield {
            "day": day.isoformat(),
            "timezone": settings.zone.key,
            "calls": calls,
            "counted_at": format_instant(at.replace(microsecond=0)),
        }
