"""Whether the answers seen hold all calls of a window. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_callcap.api.responses import Page
    from tap_callcap.records.shaper import Version
    from tap_callcap.windows import Window


@dataclass(frozen=True, slots=True)
class Whole:
    """Said after the last call of `window`, once it is proven whole."""

    window: Window


class Proof:
    """Whether the answers seen hold all that a settled window holds."""

    def __init__(self) -> None:
        self.total = -1  # calls, by the last answer
        self._last_pages: dict[int, int] = {}  # by the size of pages
        self._ids: set[str] = set()

    def add(self, page: Page, page_size: int, versions: Iterable[Version]) -> None:
        """Take one more answer: where its totals differ from earlier ones', begin anew."""
        last_page = self._last_pages.get(page_size, page.last_page)
        if (self.total, last_page) != (page.total_records, page.last_page):
            self.total = page.total_records
            self._last_pages = {}
            self._ids = set()
        self._last_pages[page_size] = page.last_page
        self._ids.update([call_id for call_id, _ in versions])

    @property
    def is_whole(self) -> bool:
        """Whether, while the set stood still, all of it was seen."""
        return len(self._ids) == self.total
