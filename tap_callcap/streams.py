"""The streams, as a table: what each one is. How they are read is in `singer` and `sync`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_callcap.singer.full_table import FullTableStream
from tap_callcap.singer.incremental import IncrementalStream
from tap_callcap.sync.call_counts import call_count_rows
from tap_callcap.sync.references import account_rows, csr_rows

if TYPE_CHECKING:
    from tap_callcap.singer.stream import CallcapStream


class CallsStream(IncrementalStream):
    """Phone calls and text conversations."""

    name = "calls"
    primary_keys = ("call_id",)
    replication_key = "last_modified"
    by_name = ("demographics",)  # personal data, and only some accounts have it


class AccountsStream(FullTableStream):
    """Corporate accounts, their divisions, and the locations of these."""

    name = "accounts"
    primary_keys = ("account_type", "account_id")
    access = "the key of a login that may list its accounts"
    rows = staticmethod(account_rows)


class CsrsStream(FullTableStream):
    """Call takers (CSRs) that Callsurance knows."""

    name = "csrs"
    primary_keys = ("csr_id",)
    access = "the key of a login that may list the call takers of Callsurance"
    rows = staticmethod(csr_rows)


class CallCountsStream(FullTableStream):
    """How many calls Callcap counts, day by day."""

    name = "call_counts"
    primary_keys = ("day", "timezone")
    access = "the key of a login that may search calls"
    rows = staticmethod(call_count_rows)


STREAMS: tuple[type[CallcapStream], ...] = (
    AccountsStream,
    CallsStream,
    CsrsStream,
    CallCountsStream,
)
"""Every stream of the tap, in the order in which they are read."""
