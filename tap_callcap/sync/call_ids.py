"""Single calls by their ids, whatever the dates and filters say: for repairs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError

from tap_callcap.sync.opening import in_first_accepted_zone
from tap_callcap.sync.prefetch import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from zoneinfo import ZoneInfo

    from tap_callcap.api.client import Client
    from tap_callcap.records.shaper import Call, Record, Shaper
    from tap_callcap.settings import Settings


MOST_FAILURES = 2  # of the first calls: then it is not the call that cannot be read


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
        defer_failure: Is told at the end which calls Callcap does not have, or cannot send.

    Raises:
        FatalAPIError: If none of the first calls can be read.
    """
    missing, failed = [], []
    shaper: Shaper | None = None
    for call_id, zone, call in _answers(client, settings, detail):
        if call is None:
            missing.append(call_id)
        elif isinstance(call, FatalAPIError):
            failed.append(f"Call {call_id} could not be read: {call}")
        else:
            shaper = shaper or shaper_in(zone)
            yield [shaper(call)]
    for line in failed:
        defer_failure(line)
    if missing:
        defer_failure(f"Callcap has no call {', '.join(missing)} for this key: check call_ids")


def _answers(
    client: Client, settings: Settings, detail: str
) -> Iterator[tuple[str, ZoneInfo, Call | FatalAPIError | None]]:
    """The ids, zones and calls: side by side, once the first call has settled the zone."""
    call_ids = iter(settings.call_ids)
    failures: list[FatalAPIError] = []
    for call_id in call_ids:
        ask = partial(client.call, call_id, detail=detail)
        try:
            zone, call = in_first_accepted_zone(settings, ask)
        except FatalAPIError as error:
            failures.append(error.with_traceback(None))
            if len(failures) == MOST_FAILURES:
                raise
            yield call_id, settings.zone, failures[-1]
            continue
        yield call_id, zone, call
        if call is not None:
            each_call = partial(_call_or_error, client, zone, detail)
            for each, found in Workers(settings.concurrency).each(each_call, call_ids):
                yield each, zone, found


def _call_or_error(
    client: Client, zone: ZoneInfo, detail: str, call_id: str
) -> Call | FatalAPIError | None:
    try:
        return client.call(call_id, zone, detail)
    except FatalAPIError as error:
        return error.with_traceback(None)
