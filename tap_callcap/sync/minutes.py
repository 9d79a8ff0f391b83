"""Lone minutes: a window that cannot be cut is read by every way there is.

Its pages are read again and again until they are proven; then other requests are tried. What stays
unread ends the run, unless the user has accepted that gap.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError

from tap_callcap.api.errors import GaveUpError
from tap_callcap.instants import MINUTE, UTC, ceil_to_minute, floor_to_minute, parse_instant
from tap_callcap.sync.pages import FAILURES, KeptChangingError, NotReadError
from tap_callcap.sync.prefetch import FEW_TRIES, PageRequest
from tap_callcap.sync.proof import AGREEING_PASSES, Agreement, Proof
from tap_callcap.windows import Window, is_settled

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from tap_callcap.api.responses import Page
    from tap_callcap.records.shaper import Call, Version
    from tap_callcap.sync.pages import Pages
    from tap_callcap.sync.prefetch import Plan
    from tap_callcap.sync.rows import RowReader
    from tap_callcap.windows import Range

MOST_PASSES = 30  # over a lone minute before it is given up, or
MOST_REQUESTS = 250  # in passes that differ; a few passes are made in any case
FEWEST_PASSES = 3
MOST_PAGES_OF_A_MINUTE = 10_000  # no account can have more; an API that says so is not believed
CEILING_STEP = 500  # calls; a total that is a multiple of it may be a ceiling instead of a count
SMALLER = 32  # times: the pages by which the rest of an accepted gap is read

logger = logging.getLogger("tap-callcap")


class UnsettledError(Exception):
    """Calls still enter the window, so that only one answer could prove it, and none did."""


def _ways(window: Window) -> Generator[tuple[Window, int | None], None, None]:
    """What to ask for in place of `window`, and with how many tries.

    A neighbour that cannot be read must not hide a minute; an outage must pass.
    """
    yield window, FEW_TRIES
    if window.length <= MINUTE:
        for narrower in window.narrower:
            yield narrower, FEW_TRIES
    yield window, None


@dataclass(slots=True)
class Showing:
    """What one pass over the pages of a minute showed; without `is_complete` a page was missing."""

    versions: set[Version] = field(default_factory=set)
    unreadable: str = ""
    last_page: int = 1
    is_complete: bool = True


class MinuteReader:
    """Reads lone minutes.

    Args:
        pages: The pages of windows.
        rows: Reads their rows.
        span: The range that is read.
        page_size: How many calls a page holds.
        accepted_gaps: What may stay unread.
    """

    def __init__(
        self,
        pages: Pages,
        rows: RowReader,
        span: Range,
        *,
        page_size: int,
        accepted_gaps: Sequence[Window],
    ) -> None:
        self._pages = pages
        self._rows = rows
        self._span = span
        self._page_size = page_size
        self._accepted_gaps = accepted_gaps
        self._shown_borders: set[bool] = set()

    def read(self, window: Window) -> Generator[list[Call], None, tuple[int, bool]]:
        """The calls of `window`; returns how many the API counts, and if all requests worked.

        Raises:
            UnsettledError: If it must be left to the next run.
            FatalAPIError: If it can be neither read nor proven.
        """
        is_accepted = any(
            gap.start <= window.start and window.end <= gap.end for gap in self._accepted_gaps
        )
        failure: Exception | None = None
        for asked, tries in _ways(window):
            if tries is None and (is_accepted or not isinstance(failure, GaveUpError)):
                break
            try:
                total = yield from self._read(asked, tries)
                yield from self._check_borders(asked)
            except KeptChangingError as error:
                failure = error
                break
            except FAILURES as error:
                failure = error if failure is None or asked == window else failure
            else:
                return total, failure is None
        if is_accepted:
            if not isinstance(failure, NotReadError):
                yield from self._read_rest(window)
            logger.warning("Could not read all %s, which accepted_gaps allows: %s", window, failure)
            return 0, False
        gap = "/".join(
            f"{border:%Y-%m-%dT%H:%MZ}"
            for border in (floor_to_minute(window.start), ceil_to_minute(window.end))
        )
        msg = (
            f"Could not read all {window}: {failure}. Later calls were not read. Run again; if it "
            f'fails again, add "{gap}" to the setting accepted_gaps to continue without this minute'
        )
        raise FatalAPIError(msg)

    def _read(self, window: Window, tries: int | None) -> Generator[list[Call], None, int]:
        """The calls of `window`, until nothing else will come; returns how many the API counts."""
        is_closed = is_settled(window, self._span.settled, self._span.zone)
        first, count = self._first(window, tries)
        if not is_closed and not first.is_snapshot:
            raise UnsettledError
        proof, agreement = Proof(), Agreement()
        is_ceiling, beyond = False, 0
        requests = 0  # of passes that differ from the one before
        page_size = (first.returned if count > 1 else 0) or self._page_size
        forward = range(1, count + 1)
        shown = yield from self._pass(window, forward, page_size, proof, first=first)
        for smaller in range(1, MOST_PASSES + 1):
            is_proven = proof.is_whole and not is_ceiling and not shown.unreadable
            if is_proven or (agreement.is_reached and shown.is_complete):
                more = yield from self._pages_beyond(window, count, page_size, proof)
                if not more:
                    break
                if not is_closed:
                    raise UnsettledError
                is_ceiling, beyond, agreement = True, count + more, Agreement()
            if requests + count > MOST_REQUESTS and smaller > FEWEST_PASSES:
                raise KeptChangingError
            if shown.unreadable:  # what was read beside it proves nothing
                proof = Proof()
            # Tied calls may be in another order on each page, so that one of them is on none,
            # however often the pages are asked for: so each pass asks for somewhat smaller ones.
            page_size = max(first.returned + 1 - smaller, math.ceil(first.returned / 2), 1)
            count = max(shown.last_page, math.ceil(proof.total / page_size), beyond)
            before = self._pages.asked
            numbers = range(count, 0, -1)
            self._pages.follow(self._plan(window, numbers), page_size, tries)
            shown = yield from self._pass(window, numbers, page_size, proof, to_end=is_ceiling)
            agreement = agreement if shown.is_complete else Agreement()
            agreement.add(shown.versions, proof.total)
            requests += self._pages.asked - before if agreement.passes == 1 else 0
        else:
            raise KeptChangingError
        if shown.unreadable:
            raise NotReadError(shown.unreadable)
        if not is_proven:
            logger.warning(
                "Callcap hides or repeats calls: %d passes over %s agree, and show %d of %d",
                AGREEING_PASSES,
                window,
                len({call_id for call_id, _ in shown.versions}),
                proof.total,
            )
        return proof.total

    def _first(self, window: Window, tries: int | None) -> tuple[Page, int]:
        """The first page of `window`, and how many there are."""
        if not self._pages.is_asked(window):
            self._pages.follow(iter(()), self._page_size, tries)
        first = self._pages.first(window)
        count = max(first.last_page, 1)
        if count > MOST_PAGES_OF_A_MINUTE:
            msg = f"Callcap says that it has {count:,} pages"
            raise NotReadError(msg)
        return first, count

    def _pass(  # noqa: PLR0913 - what to read, how, and what it proves
        self,
        window: Window,
        numbers: range,
        page_size: int,
        proof: Proof,
        *,
        first: Page | None = None,
        to_end: bool = True,
    ) -> Generator[list[Call], None, Showing]:
        """Read these pages, `to_end` or until they are proven; the `first` one may be known."""
        proof.begin_pass()
        shown, missing = Showing(), 0
        for number in numbers:
            page = first if first and number == 1 else self._pages.page_or_none(window, number)
            if page is None:
                missing = missing or number
                continue
            rows = yield from self._rows.read(window, page)
            shown.versions.update(rows.versions)
            shown.unreadable = shown.unreadable or rows.unreadable
            shown.last_page = rows.page.stated_last_page
            proof.add(rows.page, page_size, rows.versions)
            if proof.is_whole and not to_end:
                break
        shown.is_complete = not missing or missing > shown.last_page
        return shown

    def _plan(self, window: Window, numbers: range) -> Plan:
        """Ask for pages of one window."""
        for number in numbers:
            self._pages.ask(window, number)
            yield True

    def _pages_beyond(
        self, window: Window, count: int, page_size: int, proof: Proof
    ) -> Generator[list[Call], None, int]:
        """The calls on pages after the last one, as long as they are new; how many pages."""
        more = 0
        while count + more < MOST_PAGES_OF_A_MINUTE and (
            yield from self.has_more(window, count + more + 1, page_size, proof)
        ):
            more += 1
        return more

    def has_more(
        self, window: Window, number: int, page_size: int, proof: Proof
    ) -> Generator[list[Call], None, bool]:
        """Whether page `number`, after the last one, has calls: the total was a ceiling.

        Raises:
            NotReadError: If the API has other calls, and shows them only in another order.
        """
        total = proof.total
        is_round = total > 0 and not (total % CEILING_STEP and total % page_size)
        if proof.is_whole and not is_round:
            return False
        try:
            page = self._pages.optional(PageRequest(window, number, page_size))
        except GaveUpError:
            page = None
        reverse = PageRequest(window, 1, page_size, order="newest")
        newest = page or self._pages.optional(reverse)
        if newest is None:
            return False
        rows = yield from self._rows.new_calls(window, newest)
        new = {call_id for call_id, _ in rows.versions} - proof.ids
        if new and not page:
            msg = f"Callcap has more than the {total:,} calls that it counts, and does not show all"
            raise NotReadError(msg)
        if new:
            proof.add(newest, page_size, rows.versions)
        return bool(new)

    def _check_borders(self, asked: Window) -> Generator[list[Call], None, None]:
        """Check that the API shows all of the minutes with which a narrower request ends.

        A call that was seen shows that: one at a whole minute where the minute before it was left
        out, since the API may exclude just that moment, and any other where the one after it was.

        Raises:
            NotReadError: If that is not known.
        """
        if asked.minute_before and asked.minute_after:
            return
        sample = self._rows.samples.get(asked.minute_after)
        if sample and asked.minute_after not in self._shown_borders:
            start = floor_to_minute(parse_instant(sample, UTC))
            probe = replace(asked, start=start, end=start + MINUTE)
            page = self._pages.optional(PageRequest(probe, 1, self._page_size))
            rows = (yield from self._rows.new_calls(probe, page)) if page else None
            if rows and sample in {modified for _, modified in rows.versions}:
                self._shown_borders.add(asked.minute_after)
        if asked.minute_after not in self._shown_borders:
            msg = "The minutes before and after it can only be read with it"
            raise NotReadError(msg)

    def _read_rest(self, window: Window) -> Generator[list[Call], None, None]:
        """What can be read of an accepted gap by smaller pages, each asked for once."""
        page_size = self._page_size
        while page_size > 1:
            page_size = math.ceil(page_size / SMALLER)
            number, count, has_failed = 0, 2, False
            while number < min(count, MOST_REQUESTS):
                number += 1
                try:
                    page = self._pages.optional(PageRequest(window, number, page_size, tries=1))
                except GaveUpError:
                    has_failed = True
                    continue
                if page:
                    yield from self._rows.new_calls(window, page)
                    count = max(page.last_page, math.ceil(page.total_records / page_size))
            if not has_failed:
                return
