"""What the questions share: requests, each made once, and what is known of the API so far."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError

from tap_callcap.api.client import CALLS_PATH
from tap_callcap.api.errors import BadRequestError, GaveUpError, NoAccessError
from tap_callcap.api.filters import NO_FILTERS
from tap_callcap.api.search import IN_ALL, NOT_IN_ALL
from tap_callcap.doctor.answers import Answer, NotKnownError
from tap_callcap.instants import MINUTE, UTC, UnreadableError, is_same_zone, parse_instant, zone_of
from tap_callcap.windows import ALL_HISTORY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from zoneinfo import ZoneInfo

    from tap_callcap.api.client import Client
    from tap_callcap.settings import Settings

TRIES = 3  # of each request
LONGEST_RETRY = timedelta(seconds=30)  # of each request, if the settings allow that much
HOUR = timedelta(hours=1)
DAY = 24 * HOUR
MOST_FAILED = 8  # requests in a row
SETTLED = 2 * HOUR  # a call that was not modified for so long will hardly be so now
RANGES = (None, 360 * DAY, 28 * DAY, 6 * DAY, DAY / 2)  # to search over; None is all
EVERYTHING = ",".join(("all", *NOT_IN_ALL))
SECTIONS = (*IN_ALL, "callsaver", *NOT_IN_ALL)
ZONES = tuple(map(zone_of, ("UTC", "US/Arizona", "US/Central")))


@dataclass(frozen=True, slots=True)
class Known:
    """A call that was shown: its id, and when it was modified and began, in UTC."""

    call_id: str
    modified: datetime
    started: datetime


class Examination:
    """Requests to one API, and what their answers have in common.

    Args:
        client: Makes the requests.
        settings: The settings of the tap.
        now: The time by this machine's clock.
    """

    def __init__(self, client: Client, settings: Settings, now: Callable[[], datetime]) -> None:
        self.client = client
        self.settings = settings
        self.now = now()
        self.skews: list[timedelta | None] = []
        self._failed = 0  # requests in a row
        self._asked: dict[tuple[str, ...], Answer | Exception] = {}

    def ask(self, path: str, params: Mapping[str, str], *, again: str = "") -> Answer:
        """The answer to a request, which is made once unless `again` differs.

        Raises:
            FatalAPIError: If no try was answered.
            NotKnownError: If too many requests before it failed: the API is out of order.
        """
        key = (again, path, *(f"{name}={text}" for name, text in sorted(params.items())))
        if key not in self._asked:
            if self._failed >= MOST_FAILED:
                msg = f"not asked, since {MOST_FAILED} requests in a row failed"
                raise NotKnownError(msg)
            try:
                self._asked[key] = self._answer(path, params)
                self._failed = 0
            except FatalAPIError as error:
                self._asked[key] = error
                self._failed += 1
        answer = self._asked[key]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _answer(self, path: str, params: Mapping[str, str]) -> Answer:
        start = time.monotonic()
        try:
            response = self.client.answer(path, params, tries=TRIES)
        except BadRequestError:
            return Answer("400", {})
        except NoAccessError:
            return Answer("403 (or a 404 without a status)", {})
        self.skews.append(response.clock_skew)
        seconds = time.monotonic() - start
        return Answer(str(response.code), response.body or {}, response.clock_skew, seconds)

    def search(self, *, again: str = "", **changes: str | None) -> Answer:
        """The answer to a search over the range that works, in the zone that works.

        `changes` replaces parameters, or removes those that are None.
        """
        params: dict[str, str | None] = {**NO_FILTERS.query, "order": "oldest", "page": "1"}
        params |= {"detail": "accounts", "show": "50"}
        if "search_timezone" not in changes:
            changes["search_timezone"] = self.zone.key
        if "search_last_modified_start" not in changes:
            params |= minutes(*self.range, zone_of(changes["search_timezone"] or "UTC"))
        params |= changes
        given = {name: text for name, text in params.items() if text is not None}
        return self.ask(CALLS_PATH, given, again=again)

    @cached_property
    def widest(self) -> tuple[tuple[datetime, datetime], Answer, list[str]]:
        """The longest range that is answered, the answer in the login's zone, and what failed."""
        failed = []
        for length in RANGES:
            start = ALL_HISTORY if length is None else self.now - length
            span = (start, self.now + MINUTE)
            limits = minutes(*span, UTC)
            try:
                answer = self.search(search_timezone=None, show="1", **limits)
            except GaveUpError:
                failed.append(f"{in_days(span)} failed at each try")
                continue
            if answer.code != "400":
                return span, answer, failed
            failed.append(f"{in_days(span)} refused (400)")
        msg = f"no search was answered: {', '.join(failed)}"
        raise NotKnownError(msg)

    @property
    def range(self) -> tuple[datetime, datetime]:
        """The longest range that is answered."""
        return self.widest[0]

    def in_zone(self, zone: ZoneInfo) -> Answer:
        """The answer to a search in a zone."""
        return self.search(search_timezone=zone.key, show="1")

    def takes(self, zone: ZoneInfo) -> bool:
        """Whether a search in a zone is answered in that zone."""
        echo = self.in_zone(zone).echo
        return echo is not None and is_same_zone(echo, zone.key)

    @cached_property
    def zone(self) -> ZoneInfo:
        """The first zone that is answered in."""
        for zone in (*self.settings.zones, *ZONES):
            if self.takes(zone):
                return zone
        msg = "no zone was answered in"
        raise NotKnownError(msg)

    @property
    def login_zone(self) -> str | None:
        """The zone that is used if none is asked for."""
        return self.widest[1].echo

    @cached_property
    def sample(self) -> Answer:
        """A page of the newest calls with every section, or where that is refused, with `all`."""
        shown = {"order": "newest", "show": str(self.settings.page_size)}
        answer = self.search(detail=EVERYTHING, **shown)
        return self.search(detail="all", **shown) if answer.code == "400" else answer

    @cached_property
    def known(self) -> list[Known]:
        """The calls of the sample that were not modified lately."""
        known = []
        for row in self.sample.rows:
            try:
                modified, started = (
                    parse_instant(str(row.get(name)), self.zone)
                    for name in ("last_modified", "start_datetime")
                )
            except UnreadableError:
                continue
            if row.get("call_id") and modified < self.now - SETTLED:
                known.append(Known(str(row["call_id"]), modified, started))
        return known

    def reference(self, *, is_fit: Callable[[Known], bool], lacking: str) -> Known:
        """A known call that is fit for a question; `lacking` says what there is not."""
        for call in self.known:
            if is_fit(call):
                return call
        msg = f"the newest calls have none {lacking}"
        raise NotKnownError(msg)

    @cached_property
    def any_call(self) -> Known:
        """A known call that was modified within a minute, not at its beginning."""
        lacking = "that was modified more than two hours ago, after the first second of a minute"
        return self.reference(is_fit=lambda call: call.modified.second > 0, lacking=lacking)

    @cached_property
    def filter_zone(self) -> ZoneInfo:
        """The zone by which `last_modified` is filtered, whatever zone is asked for."""
        login = [zone_of(self.login_zone)] if self.login_zone else []
        for zone in dict.fromkeys((self.zone, *login, *ZONES)):
            if self.finds(self.any_call, zone=zone):
                return zone
        msg = "a known call was not found around its own last_modified"
        raise NotKnownError(msg)

    @property
    def limit_zone(self) -> ZoneInfo:
        """The zone for limits of `last_modified`, as far as is known."""
        try:
            return self.filter_zone
        except NotKnownError:
            return self.zone

    def finds(
        self,
        call: Known,
        before: timedelta = MINUTE,
        after: timedelta = MINUTE,
        *,
        zone: ZoneInfo | None = None,
        **changes: str,
    ) -> bool:
        """Whether a search finds `call` that is limited to the minutes around its last_modified.

        The limits are texts in `zone`, by default the one that filters.
        """
        start, end = call.modified - before, call.modified + after
        limits = minutes(start, end, zone or self.filter_zone)
        answer = self.search(show="1000", **{**limits, **changes})
        if answer.code == "400":
            msg = "the search was refused (400)"
            raise NotKnownError(msg)
        if call.call_id in answer.ids:
            return True
        if answer.total > len(answer.rows):
            msg = "that minute holds more calls than a page"
            raise NotKnownError(msg)
        return False


def minutes(start: datetime, end: datetime, zone: ZoneInfo) -> dict[str, str]:
    """The limits of `last_modified` as the API takes them."""
    return {
        "search_last_modified_start": f"{start.astimezone(zone):%Y-%m-%d %H:%M}",
        "search_last_modified_end": f"{end.astimezone(zone):%Y-%m-%d %H:%M}",
    }


def in_days(span: tuple[datetime, datetime]) -> str:
    """How long a range is, in words."""
    days = (span[1] - span[0]) / DAY
    return f"{days:,.0f} days" if days >= 1 else "half a day"
