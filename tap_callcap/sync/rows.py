"""The rows of pages: each version of a call is handed out once, and none that was not asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError

from tap_callcap.instants import UnreadableError, format_instant
from tap_callcap.sync.pages import KeptChangingError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from zoneinfo import ZoneInfo

    from tap_callcap.api.responses import Page
    from tap_callcap.records.shaper import Call, Version
    from tap_callcap.sync.pages import Pages
    from tap_callcap.windows import Window

CHUNK = 32  # calls that are decoded at a time
MOST_ANSWERS = 3  # with calls that were not asked for, until the API is not believed


@dataclass(slots=True)
class Rows:
    """What a page showed.

    `versions` are those of all its calls; `unreadable` says what is wrong with one that has none;
    `stray` is the `last_modified` of one that contradicts the request.
    """

    page: Page
    versions: list[Version] = field(default_factory=list)
    unreadable: str = ""
    stray: str = ""


class RowReader:
    """Reads the rows of pages.

    Args:
        pages: The pages of windows.
        decode: Tells the version of a call as the API sends it, and decodes it.
        zone: The zone that was asked in.
    """

    def __init__(
        self, pages: Pages, decode: Callable[[Call], tuple[Version, Call]], zone: ZoneInfo
    ) -> None:
        self._pages = pages
        self._decode = decode
        self._zone = zone
        self._seen: set[Version] = set()  # in windows that were read and are not proven yet
        self._first: Page | None = None  # which the search for `_asked` brought
        self._asked: Window | None = None
        self.samples: dict[bool, str] = {}
        """A `last_modified` that was shown, by whether it is a whole minute."""

    def forget_before(self, end: str) -> None:
        """Forget what was modified before `end`, which is read."""
        self._seen = {version for version in self._seen if version[1] >= end}

    def take(self, page: Page, asked: Window) -> None:
        """Know that `page` was asked for by a search for `asked`, whichever window it serves."""
        self._first, self._asked = page, asked

    def read(self, window: Window, page: Page) -> Generator[list[Call], None, Rows]:
        """The calls of `window` on `page` that were not seen before.

        A page with calls that were not asked for is asked for again, since edits move them.

        Raises:
            FatalAPIError: If it still has such calls.
            KeptChangingError: If it is gone by then.
        """
        for _ in range(MOST_ANSWERS):
            rows = yield from self.new_calls(window, page)
            if not rows.stray:
                return rows
            again = self._pages.page_or_none(window, page.number)
            if again is None:
                raise KeptChangingError
            page = again
        msg = (
            "Callcap filters by other times than it shows, so calls may be missing: it was asked "
            f"for calls modified from {window.asked_start:%Y-%m-%d %H:%M} to "
            f"{window.asked_end:%Y-%m-%d %H:%M} UTC, in timezone {self._zone.key}, and showed one "
            f"modified at {rows.stray[:16].replace('T', ' ')} UTC. Set timezone to the zone that "
            "Callcap filters in, or ask Callcap's support"
        )
        raise FatalAPIError(msg)

    def new_calls(self, window: Window, page: Page) -> Generator[list[Call], None, Rows]:
        """As `read`, without asking again.

        Few calls are decoded at a time: what a processor's cache holds is written much faster.
        """
        start, end = window.borders
        asked = self._asked if self._asked and page is self._first else window
        low, high = asked.asked_borders(self._zone)
        began = format_instant(page.clock.replace(microsecond=0))[:-1]
        calls, page.calls = page.calls, []
        rows = Rows(page)
        for index in range(0, len(calls), CHUNK):
            new = []
            for raw in calls[index : index + CHUNK]:
                try:
                    version, call = self._decode(raw)
                except UnreadableError as error:
                    rows.unreadable = f"{error}"
                    continue
                rows.versions.append(version)
                modified = version[1]
                is_kept = start <= modified < end
                if not is_kept and not low <= modified < high:
                    # A search for the hour in which such a call is shown may not find it.
                    is_kept = asked.is_an_hour_off(modified, self._zone)
                    if not is_kept and modified < began:
                        rows.stray = modified
                if is_kept and version not in self._seen:
                    self._seen.add(version)
                    new.append(call)
            yield new
        self.samples.update({text[17:19] == "00": text for _, text in rows.versions})
        return rows
