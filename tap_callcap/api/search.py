"""The API's `detail` parameter: which sections of a call it shall send. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_callcap.api.filters import NO_FILTERS, Filters

if TYPE_CHECKING:
    from datetime import date
    from zoneinfo import ZoneInfo

    from tap_callcap.windows import Window


from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# The sections that `all` stands for, and those that must be named besides it.
OF_ALL = ("accounts", "caller", "callsurance", "webmatch")
BESIDES = ("demographics", "import", "notes", "scorecards", "sentiment", "summaries")


def detail_of(selected: Iterable[str]) -> str:
    """The `detail` parameter that asks for the selected top-level properties of a call."""
    wanted = set(selected)
    of_all = [section for section in OF_ALL if section in wanted]
    besides = [section for section in BESIDES if section in wanted]
    return ",".join((["all"] if len(of_all) == len(OF_ALL) else of_all) + besides)


def sections_of(detail: str) -> set[str]:
    """The sections that a `detail` parameter asks for."""
    named = set(detail.split(",")) - {""}
    return named - {"all"} | set(OF_ALL) if "all" in named else named


DAYS_AHEAD = 2  # of search_enddate, always sent: the zone's day may be the server's tomorrow


@dataclass(frozen=True, slots=True)
class Search:
    """What every search of a run asks for, besides its window and page."""

    zone: ZoneInfo
    last_day: date
    page_size: int
    detail: str
    filters: Filters = NO_FILTERS

    def params(self, window: Window, number: int) -> dict[str, str]:
        """The query of one page, by the API's own names."""
        start = window.asked_start.astimezone(self.zone)
        end = window.asked_end.astimezone(self.zone)
        return {
            "search_last_modified_start": f"{start:%Y-%m-%d %H:%M}",
            "search_last_modified_end": f"{end:%Y-%m-%d %H:%M}",
            "search_timezone": self.zone.key,
            "order": "oldest",
            "detail": self.detail,
            "show": str(self.page_size),
            "page": str(number),
            **self.filters.query(self.last_day),
        }
