"""Whether the answers seen hold all calls of a window. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from operator import eq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from tap_callcap.api.responses import Page
    from tap_callcap.records.shaper import Version
    from tap_callcap.windows import Window

AGREEING_PASSES = 10  # whole passes in a row, after which an API is believed to hide calls


@dataclass(frozen=True, slots=True)
class Whole:
    """An event of the reader: every call of `window` has been handed out, which is proven."""

    window: Window


class Proof:
    """Whether the answers seen hold all calls of a settled window.

    One answer that holds all that its search found (a snapshot) is proof. Else, from a settled
    window calls can only leave, so an answer that counts fewer calls is a later one, and all its
    calls were also there before. When as many different ids were seen in answers that count up to
    so many calls, none of these is missing.
    """

    def __init__(self) -> None:
        self.total = -1  # calls, by the last answer
        self._largest = -1  # total that another pass has left possible, none if negative
        self._last_pages: dict[tuple[int, int], int] = {}  # by the size of pages, and the total
        self._smallest_totals: dict[str, int] = {}  # by id, of the answers that show it
        self._has_snapshot = False
        self._is_miscounted = False  # a page shows calls that the total does not count

    @property
    def ids(self) -> AbstractSet[str]:
        """The ids that were seen since the totals last contradicted that calls only leave."""
        return self._smallest_totals.keys()

    def begin_pass(self) -> None:
        """From now on, answers are later than those so far."""
        self._largest = min((total for _, total in self._last_pages), default=-1)

    def add(self, page: Page, page_size: int, versions: Iterable[Version]) -> None:
        """Add one more answer: where its totals contradict earlier ones, begin anew."""
        self.total = total = page.total_records
        last_page = self._last_pages.get((page_size, total), page.stated_last_page)
        if last_page != page.stated_last_page or 0 <= self._largest < total:
            self._largest = -1
            self._last_pages = {}
            self._smallest_totals = {}
        self._last_pages[page_size, total] = page.stated_last_page
        for call_id, _ in versions:
            self._smallest_totals[call_id] = min(total, self._smallest_totals.get(call_id, total))
        self._has_snapshot |= page.is_snapshot
        self._is_miscounted |= (page.number - 1) * page_size + page.returned > total

    @property
    def is_whole(self) -> bool:
        """Whether no call is missing."""
        if self._has_snapshot or self._is_miscounted:
            return self._has_snapshot
        counts = Counter(self._smallest_totals.values())
        totals = sorted({total for _, total in self._last_pages})
        ids = accumulate(counts[total] for total in totals)
        return any(map(eq, ids, totals))


class Agreement:
    """Whether so many whole passes over a minute showed the same that nothing else will come."""

    def __init__(self) -> None:
        self._last: tuple[AbstractSet[Version], int] = frozenset(), -1
        self.passes = 0  # that agree with the last one, itself included

    def add(self, versions: Iterable[Version], total: int) -> None:
        """Add a pass that showed `versions`, where the API counts `total` calls."""
        this = frozenset(versions), total
        self.passes = self.passes + 1 if this == self._last else 1
        self._last = this

    @property
    def is_reached(self) -> bool:
        """Whether enough passes agree."""
        return self.passes >= AGREEING_PASSES
