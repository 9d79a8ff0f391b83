"""Whether Callcap keeps to the zone that it is asked in: its filter, and the times it shows.

An answer that echoes the zone may still be filtered, or show its times, in another one. So one call
that is known is asked for around its own minute in two zones: it must be found in both, and its
wall time must differ as the zones do.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError

from tap_callcap.api.errors import BadRequestError, ForeignZoneError, GaveUpError
from tap_callcap.api.filters import NO_FILTERS
from tap_callcap.api.responses import Page
from tap_callcap.instants import (
    MINUTE,
    UTC,
    UnreadableError,
    floor_to_minute,
    is_same_zone,
    parse_instant,
    zone_of,
)
from tap_callcap.records.shaper import decoded, version_of
from tap_callcap.windows import Window, is_near_autumn_change

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from tap_callcap.api.client import Client
    from tap_callcap.api.search import Search
    from tap_callcap.records.shaper import Call
    from tap_callcap.sync.prefetch import SearchAnswer

TRIES = 2  # of a request for the proof, without which a run works as well
MOST_UNKNOWN = 3  # calls that are tried in vain
MOST_CALLS = 20  # that are looked at for one that can be used
PROVING_ZONES = ("UTC", "US/Arizona", "US/Hawaii")  # without clock changes
ZONES = (*PROVING_ZONES, "US/Eastern", "US/Central", "US/Mountain", "US/Pacific")

logger = logging.getLogger("tap-callcap")


@dataclass(frozen=True, slots=True)
class KnownCall:
    """A call by its id, and when it was last modified, as far as its zone is right."""

    call_id: str
    modified: datetime


class ZoneProof:
    """Proves the zone of a run by the first call that the run meets and that can prove it.

    Args:
        client: Asks the API.
        search: The run's search, in its zone.
        settled: Calls modified before this are not expected to be edited now.
        is_zone_set: Whether the user has chosen the zone.
    """

    def __init__(
        self, client: Client, search: Search, settled: datetime, *, is_zone_set: bool
    ) -> None:
        self._client = client
        self._search = (
            search if not search.filters.speak_of_days else replace(search, filters=NO_FILTERS)
        )
        self._settled = settled
        self._is_zone_set = is_zone_set
        self._call: KnownCall | None = None  # that can prove it
        self._ask_again: Callable[[], SearchAnswer] | None = None  # for its page
        self._has_new = self._has_other = False  # calls that cannot, since they are new or not
        self._unknown = 0  # calls of which no answer says whether they are found
        self._is_done = False

    @property
    def waits_for_a_later_run(self) -> bool:
        """Whether the calls met are all so new that only a later run can prove it."""
        return self._call is None and self._has_new and not (self._has_other or self._is_done)

    def look_at(self, answer: SearchAnswer, window: Window, number: int, page_size: int) -> None:
        """See whether page `number` of `window` has a call that can prove it."""
        if self._call is None and not self._is_done and isinstance(answer, Page):
            search = replace(self._search, page_size=page_size)
            self._ask_again = partial(self._client.calls, search, window, number, tries=TRIES)
            self._call = self._known_call(answer)

    def run(self) -> bool:
        """Prove it if a call that can was met; returns whether it is proven, or cannot be.

        Raises:
            FatalAPIError: If Callcap does not keep to the zone, with what to do.
        """
        zone, failed = self._search.zone, None
        while (call := self._call) is not None and self._ask_again is not None:
            is_found = self._is_found(call, zone)
            is_moved = is_found and self._is_moved(call)
            if is_moved or is_moved is None:
                self._unknown += is_found is None
                self._has_other = True
                self._is_done = is_found is True or self._unknown == MOST_UNKNOWN
                said = "Callcap keeps" if is_moved else "It cannot be proven that Callcap keeps"
                logger.debug("%s to timezone %s", said, zone.key)
                self._call = None  # only now may `look_at`, in other threads, choose another
            elif call == failed:
                self._refuse(call, is_found=is_found)
                self._is_done, self._call = True, None
            else:  # unless it was edited meanwhile
                failed, self._call = call, self._known_call(self._ask_again())
        return self._is_done

    def _known_call(self, answer: SearchAnswer) -> KnownCall | None:
        """A call in `answer` that nobody edits now, at a time that is no wall time twice."""
        for raw in answer.calls[:MOST_CALLS] if isinstance(answer, Page) else ():
            call = _known(raw, self._search.zone)
            is_new = call is not None and call.modified >= self._settled
            if call and not is_new and not is_near_autumn_change(call.modified):
                return call
            self._has_new |= is_new
            self._has_other |= not is_new
        return None

    def _is_found(self, call: KnownCall, zone: ZoneInfo) -> bool | None:
        """Whether a search in `zone` for the minute of `call` shows it; none if that is unknown."""
        start = floor_to_minute(call.modified)
        search = replace(self._search, zone=zone)
        try:
            answer = self._client.calls(search, Window(start, start + MINUTE), 1, tries=TRIES)
        except (BadRequestError, ForeignZoneError, GaveUpError):
            return None
        if not isinstance(answer, Page):
            return False
        shown = [_known(raw, zone) for raw in answer.calls]
        if call in shown:
            return True
        return None if answer.total_records > len(shown) or None in shown else False

    def _is_moved(self, call: KnownCall) -> bool | None:
        """Whether another zone shows `call` as well; none if that is unknown."""
        used = self._search.zone
        is_fallback = used != UTC and not self._is_zone_set  # since UTC was not accepted
        for name in PROVING_ZONES[is_fallback:]:
            if not is_same_zone(name, used.key):
                is_found = self._is_found(call, zone_of(name))
                if is_found is not None:
                    return is_found
        return None

    def _refuse(self, call: KnownCall, *, is_found: bool | None) -> None:
        asked = self._search.zone.key
        if is_found:
            line = (
                f"Callcap does not keep to search_timezone: a call that it shows in {asked} is not "
                "found at the same instant in another timezone"
            )
            if self._is_zone_set:
                logger.warning("%s. This run relies on the setting timezone", line)
                return
            msg = (
                f"{line}, so that its times cannot be read. Run again; if it fails again, set "
                "timezone to the one in which Callcap shows the calls of this login (Etc/UTC if "
                "that is UTC)"
            )
            raise FatalAPIError(msg)
        mended = next((name for name in ZONES if self._is_mended_by(zone_of(name), call)), None)
        advice = f"set timezone to {mended}, in which both agree"
        if mended is None:
            advice = "set timezone to one in which both agree; report this to Callcap"
        msg = (
            f"Callcap does not keep to search_timezone: a call that it shows in {asked} is not "
            "found by a search for its own minute, so that calls would be missed. Its filter by "
            f"last_modified and its times are of different timezones: {advice}"
        )
        raise FatalAPIError(msg)

    def _is_mended_by(self, zone: ZoneInfo, call: KnownCall) -> bool:
        """Whether `call` is found in `zone`, by its instant or by the wall time that was shown."""
        if is_same_zone(zone.key, self._search.zone.key):
            return False
        shown = call.modified.astimezone(self._search.zone).replace(tzinfo=zone).astimezone(UTC)
        instants = (call.modified, shown)
        return any(self._is_found(replace(call, modified=each), zone) for each in instants)


def _known(raw: Call, zone: ZoneInfo) -> KnownCall | None:
    """The call that `raw` shows in `zone`, none if it cannot be read."""
    try:
        call_id, text = version_of(decoded(raw), zone)
    except UnreadableError:
        return None
    return KnownCall(call_id, parse_instant(text, UTC))
