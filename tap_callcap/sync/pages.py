"""The pages of windows: answers without a page are checked, and limits are learned."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from tap_callcap.api.errors import BadRequestError, GaveUpError, NoAccessError
from tap_callcap.api.responses import NothingFound, Page
from tap_callcap.instants import MINUTE, UTC
from tap_callcap.sync.prefetch import PageRequest, Prefetcher
from tap_callcap.windows import MOST_PAGES, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_callcap.sync.prefetch import Fetch

_LONG_AGO = datetime(1990, 6, 1, tzinfo=UTC)
EMPTY_SEARCH_WINDOW = Window(_LONG_AGO, _LONG_AGO + MINUTE)  # no wider than a search must be


class NotReadError(Exception):
    """A window was not read whole, which parts of it, or another request, may be."""


FAILURES = (BadRequestError, NoAccessError, GaveUpError, NotReadError)
"""After which another request may work, unless no request does."""


class KeptChangingError(NotReadError):
    """Its answers differ too much to be added up."""

    def __init__(self) -> None:
        super().__init__("Callcap's pages kept changing")


class Pages(Prefetcher):
    """The pages of windows, fetched ahead of need.

    Args:
        fetch: Fetches one page of a window.
        concurrency: How many pages may be fetched at once.
        check_alive: Raises unless the API answers a request that must succeed.
    """

    def __init__(self, fetch: Fetch, concurrency: int, check_alive: Callable[[], object]) -> None:
        super().__init__(fetch, concurrency)
        self._check_alive = check_alive
        self.depth_limit = MOST_PAGES  # last page that the API has not refused, as far as is known

    def first(self, window: Window) -> Page:
        """Page 1; an answer without a page counts as an empty one, if it can be believed.

        Raises:
            BadRequestError: If the API refuses the window.
            GaveUpError: If the request keeps failing.
            NotReadError: If the answer cannot be believed.
        """
        answer = self.take(window, 1)
        return answer if isinstance(answer, Page) else self._confirm_empty(window, answer)

    def page_or_none(self, window: Window, number: int) -> Page | None:
        """A page, None where the API has no such page (any more); it raises what `first` raises."""
        if number == 1:
            return self.first(window)
        try:
            answer = self.take(window, number)
        except BadRequestError:
            # A limit on the depth of pages, unless the window has fewer pages by now.
            if self.first(window).last_page >= number:
                self.depth_limit = min(self.depth_limit, number - 1)
            return None
        return answer if isinstance(answer, Page) else None

    def optional(self, request: PageRequest) -> Page | None:
        """A page that need not be there, None where the API has none with calls.

        Raises:
            GaveUpError: If the request keeps failing.
        """
        self.asked += 1
        try:
            answer = self._fetch(request)
        except BadRequestError:
            return None
        return answer if isinstance(answer, Page) and answer.returned else None

    def _confirm_empty(self, window: Window, nothing: NothingFound) -> Page:
        """An empty page, if the API says by `nothing` that a search found nothing.

        It must say so twice, say the same of a search that must be empty, and be alive.
        """
        again = self.take(window, 1)
        if isinstance(again, Page):
            return again
        control = self.take(EMPTY_SEARCH_WINDOW, 1)
        said = (nothing.code, nothing.status)
        if said != (again.code, again.status) or (
            not isinstance(control, NothingFound) or said != (control.code, control.status)
        ):
            msg = f"Callcap answered {nothing.code}, but otherwise when there are no calls"
            raise NotReadError(msg)
        self._check_alive()
        return Page(1, 1, 0, [], again.clock)
