"""What a search asks for: its query, and the `detail` parameter. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tap_callcap.api.filters import NO_FILTERS, Filters

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from zoneinfo import ZoneInfo

    from tap_callcap.windows import Window

DAY = timedelta(days=1)
IN_ALL = ("accounts", "caller", "callsurance", "webmatch")
"""The sections of a call that `all` includes."""

NOT_IN_ALL = ("demographics", "import", "notes", "scorecards", "sentiment", "summaries")
"""The sections that must be named besides `all`."""


@dataclass(frozen=True, slots=True)
class Search:
    """What every search of a run asks for, besides its window and page."""

    zone: ZoneInfo
    page_size: int
    detail: str
    filters: Filters = NO_FILTERS
    order: str = "oldest"

    def params(self, window: Window, number: int) -> dict[str, str]:
        """The query of one page, by the API's own names."""
        start = window.asked_start.astimezone(self.zone)
        end = window.asked_end.astimezone(self.zone)
        return {
            "search_last_modified_start": f"{start:%Y-%m-%d %H:%M}",
            "search_last_modified_end": f"{end:%Y-%m-%d %H:%M}",
            "search_timezone": self.zone.key,
            "order": self.order,
            "detail": self.detail,
            "show": str(self.page_size),
            "page": str(number),
            **self.filters.query,
        }


def day_params(day: date, zone: ZoneInfo, filters: Filters) -> dict[str, str]:
    """The query that counts the calls that began on `day` in `zone`.

    The documents do not say whether the last day of a range belongs to it, and want it to differ
    from the first. So the days around are in the range, and the day of the week picks this one.
    """
    return {
        **filters.query,
        "search_startdate": (day - DAY).isoformat(),
        "search_enddate": (day + DAY).isoformat(),
        "search_daysofweek": weekday_of(day),
        "search_timezone": zone.key,
        "detail": "",
        "show": "1",
        "page": "1",
    }


def weekday_of(day: date) -> str:
    """The number of a day of the week in the API: 1 is Sunday, 7 is Saturday."""
    return str(day.isoweekday() % 7 + 1)


def detail_of(selected: Iterable[str]) -> str:
    """The `detail` parameter that asks for the selected top-level properties of a call."""
    wanted = set(selected)
    in_all = [section for section in IN_ALL if section in wanted]
    others = [section for section in NOT_IN_ALL if section in wanted]
    return ",".join((["all"] if len(in_all) == len(IN_ALL) else in_all) + others)


def sections_of(detail: str) -> set[str]:
    """The sections that a `detail` parameter asks for."""
    named = set(detail.split(",")) - {""}
    return named - {"all"} | set(IN_ALL) if "all" in named else named
