"""Single calls by their ids, past all windows: for repairs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError

from tap_callcap.api.errors import BadRequestError, ForeignZoneError
from tap_callcap.sync.prefetch import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from zoneinfo import ZoneInfo

    from tap_callcap.api.client import Client
    from tap_callcap.records.shaper import Call, Record, Shaper
    from tap_callcap.settings import Settings

logger = logging.getLogger("tap-callcap")


class CallsById:
    """Reads the calls that the setting `call_ids` names.

    Args:
        client: Asks the API.
        settings: The run's settings.
        detail: Which sections of a call the API shall send, as its `detail` parameter has it.
        shaper_in: Makes what shapes calls whose times are in a zone.
        defer_failure: Is told at the end which calls there are not.
    """

    def __init__(
        self,
        client: Client,
        settings: Settings,
        *,
        detail: str,
        shaper_in: Callable[[ZoneInfo], Shaper],
        defer_failure: Callable[[str], None],
    ) -> None:
        self._client = client
        self._settings = settings
        self._detail = detail
        self._shaper_in = shaper_in
        self._defer_failure = defer_failure
        self._calls = 0
        self._zone = settings.zone

    def run(self) -> Iterator[list[Record]]:
        """The records, one by one, in the order of their ids.

        Raises:
            FatalAPIError: If an answer is an error or cannot be read.
        """
        missing = []
        shaper: Shaper | None = None
        for call_id, call in self._answers():
            if call is None:
                missing.append(call_id)
            else:
                self._calls += 1
                shaper = shaper or self._shaper_in(self._zone)  # settled by the first call
                yield [shaper(call)]
        if missing:
            self._defer_failure(
                f"Callcap has no call {', '.join(missing)} for this key: check call_ids"
            )

    @property
    def summary(self) -> str:
        """What the run has done so far, for people."""
        client = self._client
        return f"{self._calls:,} calls, {client.requests:,} requests, {client.retries:,} retries"

    def _answers(self) -> Iterator[tuple[str, Call | None]]:
        """The ids and their calls: side by side, once the first call has settled the zone."""
        call_ids = iter(self._settings.call_ids)
        for call_id in call_ids:
            call = self._first(call_id)
            yield call_id, call
            if call is not None:
                break
        yield from Workers(self._settings.concurrency).each(self._call, call_ids)

    def _first(self, call_id: str) -> Call | None:
        """The call, in the first zone that the API takes."""
        refusals: list[FatalAPIError] = []
        for zone in self._settings.zones:
            self._zone = zone
            try:
                return self._call(call_id)
            except (BadRequestError, ForeignZoneError) as error:
                logger.info("Callcap does not take timezone %s", self._zone.key)
                refusals.append(error)
        msg = f"{refusals[0]}. No timezone was accepted: set timezone to one Callcap knows"
        raise FatalAPIError(msg)

    def _call(self, call_id: str) -> Call | None:
        return self._client.call(call_id, self._zone, self._detail)
