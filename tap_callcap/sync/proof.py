"""Whether the answers seen hold all calls of a window. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_callcap.api.responses import Page
    from tap_callcap.records.shaper import Version
    from tap_callcap.windows import Window

AGREEING_PASSES = 10  # whole passes in a row, after which an API is believed to repeat calls


@dataclass(frozen=True, slots=True)
class Whole:
    """An event of the reader: every call of `window` has been handed out, which is proven."""

    window: Window


class Proof:
    """Whether the answers seen hold all calls of a settled window.

    One answer that holds all that its search found (a snapshot) is proof. Else, from a settled
    window calls can only leave, so while answers report the same totals, none left; when as many
    different ids were seen in that time as there are calls, none is missing.
    """

    def __init__(self) -> None:
        self.total = -1  # calls, by the last answer
        self._last_pages: dict[int, int] = {}  # by the size of pages
        self._ids: set[str] = set()
        self._has_snapshot = False

    def add(self, page: Page, page_size: int, versions: Iterable[Version]) -> None:
        """Add one more answer: where its totals differ from earlier ones', begin anew."""
        last_page = self._last_pages.get(page_size, page.stated_last_page)
        if (self.total, last_page) != (page.total_records, page.stated_last_page):
            self.total = page.total_records
            self._last_pages = {}
            self._ids = set()
        self._last_pages[page_size] = page.stated_last_page
        self._ids.update([call_id for call_id, _ in versions])
        self._has_snapshot |= page.is_snapshot

    @property
    def is_whole(self) -> bool:
        """Whether no call is missing."""
        return self._has_snapshot or len(self._ids) == self.total


class Agreement:
    """Whether so many whole passes over a minute showed the same that nothing else will come."""

    def __init__(self) -> None:
        self._last: tuple[list[Version], int] = [], -1
        self._passes = 0

    def add(self, versions: Iterable[Version], total: int) -> None:
        """Add a pass that showed `versions`, where the API counts `total` calls."""
        this = sorted(versions), total
        self._passes = self._passes + 1 if this == self._last else 1
        self._last = this

    @property
    def is_reached(self) -> bool:
        """Whether enough passes agree, and each showed as many rows as the API counts."""
        versions, total = self._last
        return self._passes >= AGREEING_PASSES and len(versions) == total
