"""Whether Callcap keeps to the zone that it is asked in: its filter, and the times it shows.

An answer that echoes the zone may still be filtered, or show its times, in another one. So one call
that is known is asked for around its own minute in two zones: it must be found in both, and its
wall time must differ as the zones do.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError

from tap_callcap.api.errors import BadRequestError, ForeignZoneError, GaveUpError
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
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from tap_callcap.api.client import Client
    from tap_callcap.api.search import Search
    from tap_callcap.records.shaper import Call
    from tap_callcap.sync.prefetch import SearchAnswer

TRIES = 2  # of a request for the proof, without which a run works as well
FAILURES = 2  # in a row, of a call that was not edited meanwhile
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
    """Proves the zone of a run.

    Args:
        client: Asks the API.
        search: The run's search, in its zone, without filters that speak of days.
        settled: Calls modified before this are not expected to be edited now.
        is_zone_set: Whether the user has chosen the zone.
    """

    def __init__(
        self, client: Client, search: Search, settled: datetime, *, is_zone_set: bool
    ) -> None:
        self._client = client
        self._search = search
        self._settled = settled
        self._is_zone_set = is_zone_set

    def run(self, answer: SearchAnswer, ask_again: Callable[[], SearchAnswer]) -> bool:
        """Prove it by a call of `answer`, which `ask_again` asks for once more.

        Returns:
            Whether `answer` has a call that can prove it, as far as Callcap lets it.

        Raises:
            FatalAPIError: If Callcap does not keep to the zone, with what to do.
        """
        zone, failures, failed = self._search.zone, 0, None
        while True:
            call = self._known_call(answer)
            if call is None:
                return False
            failures = failures + 1 if call == failed else 1
            is_found = self._is_found(call, zone)
            is_moved = is_found and self._is_moved(call)
            if is_moved or is_moved is None:
                said = "Callcap keeps" if is_moved else "It cannot be proven that Callcap keeps"
                logger.debug("%s to timezone %s", said, zone.key)
                return True
            if failures == FAILURES:
                break
            failed = call
            answer = ask_again()
        self._refuse(call, is_found=is_found)
        return True

    def may_follow(self, answer: SearchAnswer) -> bool:
        """Whether a later run can prove what `answer`, the oldest calls, does not: all are new."""
        versions = [_known(raw, self._search.zone) for raw in _calls_of(answer)]
        return all(each is not None and each.modified >= self._settled for each in versions)

    def _known_call(self, answer: SearchAnswer) -> KnownCall | None:
        """A call in `answer` that nobody edits now, at a time that is no wall time twice."""
        for raw in _calls_of(answer):
            call = _known(raw, self._search.zone)
            if call and call.modified < self._settled and not is_near_autumn_change(call.modified):
                return call
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
        if any(_known(raw, zone) == call for raw in answer.calls):
            return True
        return None if answer.last_page > 1 else False

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
                f"{line}, so that its times cannot be read. Set timezone to the one in which "
                "Callcap shows the calls of this login (Etc/UTC if that is UTC)"
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


def _calls_of(answer: SearchAnswer) -> Sequence[Call]:
    return answer.calls[:MOST_CALLS] if isinstance(answer, Page) else ()


def _known(raw: Call, zone: ZoneInfo) -> KnownCall | None:
    """The call that `raw` shows in `zone`, none if it cannot be read."""
    try:
        call_id, text = version_of(decoded(raw), zone)
    except UnreadableError:
        return None
    return KnownCall(call_id, parse_instant(text, UTC))
