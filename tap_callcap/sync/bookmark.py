"""Where the bookmark sits: in the state of a stream, as the end of the last complete window. Pure.

The state also holds what earlier runs asked for (`Fingerprint`), because a bookmark speaks only of
calls that were asked for.
"""

from __future__ import annotations

from datetime import MAXYEAR
from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import FatalAPIError

from tap_callcap.instants import UTC, UnreadableError, format_instant, parse_instant
from tap_callcap.sync.fingerprint import Fingerprint
from tap_callcap.windows import ALL_HISTORY

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from datetime import datetime


class Bookmark:
    """The bookmark of a stream, kept in its part of the state.

    Args:
        state: The stream's part of the state; `move` changes it.
        replication_key: The property that the bookmark speaks of.
    """

    def __init__(self, state: MutableMapping[str, Any], replication_key: str) -> None:
        self._state = state
        self._replication_key = replication_key

    @property
    def text(self) -> str | None:
        """The bookmark as the state has it, none before the first checkpoint."""
        text: str | None = self._state.get("replication_key_value")
        return text

    @property
    def instant(self) -> datetime | None:
        """The end of the last complete window of an earlier run, in aware UTC.

        Raises:
            FatalAPIError: If the state holds something else than an instant, or of another key.
        """
        if self._state.get("replication_key") not in (None, self._replication_key):  # noqa: PLR6201 - a list, say, has no hash
            msg = (
                f"The state's bookmark of calls is not one of {self._replication_key}: it belongs "
                "to another tap; run once without state"
            )
            raise FatalAPIError(msg)
        return None if self.text is None else _instant_in_state(self.text)

    @property
    def is_instant(self) -> bool:
        """Whether `instant` can be read, so that the text may be shown."""
        try:
            _ = self.instant
        except FatalAPIError:
            return False
        return True

    @property
    def read_until(self) -> datetime | None:
        """Up to where calls were read for sure: the bookmark, unless a wrong clock moved it."""
        certain = self._state.get("certain_until")
        if certain is None or self.instant is None:
            return self.instant
        return min(self.instant, _instant_in_state(certain))

    @property
    def fingerprint(self) -> Fingerprint | None:
        """What the run that moved the bookmark last asked for, none if it left nothing."""
        return Fingerprint.from_state(self._state.get("asked"))

    def is_before(self, until: datetime) -> bool:
        """Whether moving to `until` is a step forward."""
        return self.instant is None or until > self.instant

    def move(self, until: datetime, fingerprint: Fingerprint) -> None:
        """Move the bookmark to `until`; callers never move it back."""
        self._state["replication_key"] = self._replication_key
        self._state["replication_key_value"] = format_instant(until)
        self._state["asked"] = fingerprint.to_state()
        self._state.pop("certain_until", None)

    def doubt(self, certain: datetime) -> None:
        """Keep that calls were read up to `certain` only, if the bookmark is later."""
        if not self.is_before(certain) and certain != self.instant:
            self._state["certain_until"] = format_instant(certain)


def _instant_in_state(value: object) -> datetime:
    """The instant that the state has.

    Raises:
        FatalAPIError: If it is something else.
    """
    try:
        instant = parse_instant(str(value), UTC)
    except UnreadableError:
        instant = None
    if instant is None or instant.year == MAXYEAR:  # the days after it must be dates, too
        msg = "The state's bookmark of calls is not a date and time: correct the state"
        raise FatalAPIError(msg)
    return max(instant, ALL_HISTORY)
