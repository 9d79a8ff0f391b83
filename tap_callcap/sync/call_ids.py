"""Single calls by their ids, whatever the dates and filters say: for repairs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tap_callcap.sync.opening import in_first_accepted_zone
from tap_callcap.sync.prefetch import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from zoneinfo import ZoneInfo

    from tap_callcap.api.client import Client
    from tap_callcap.records.shaper import Call, Record, Shaper
    from tap_callcap.settings import Settings


def calls_by_id(
    client: Client,
    settings: Settings,
    *,
    detail: str,
    shaper_in: Callable[[ZoneInfo], Shaper],
    defer_failure: Callable[[str], None],
) -> Iterator[list[Record]]:
    """The records of the calls that the setting `call_ids` names, one by one, in its order.

    Args:
        client: Asks the API.
        settings: The run's settings.
        detail: Which sections of a call the API shall send, as its `detail` parameter has it.
        shaper_in: Makes what shapes calls whose times are in a zone.
        defer_failure: Is told at the end which calls Callcap does not have.

    Raises:
        FatalAPIError: If an answer is an error or cannot be read.
    """
    missing = []
    shaper: Shaper | None = None
    for call_id, zone, call in _answers(client, settings, detail):
        if call is None:
            missing.append(call_id)
        else:
            shaper = shaper or shaper_in(zone)
            yield [shaper(call)]
    if missing:
        defer_failure(f"Callcap has no call {', '.join(missing)} for this key: check call_ids")


def _answers(
    client: Client, settings: Settings, detail: str
) -> Iterator[tuple[str, ZoneInfo, Call | None]]:
    """The ids, zones and calls: side by side, once the first call has settled the zone."""
    call_ids = iter(settings.call_ids)
    for call_id in call_ids:
        ask = partial(client.call, call_id, detail=detail)
        zone, call = in_first_accepted_zone(settings, ask)
        yield call_id, zone, call
        if call is not None:
            ask_in_zone = partial(client.call, zone=zone, detail=detail)
            for each, found in Workers(settings.concurrency).each(ask_in_zone, call_ids):
                yield each, zone, found
