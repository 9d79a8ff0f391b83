"""What calls refer to: accounts, walked from the top down, and call takers. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_callcap.api.client import Account, Client
    from tap_callcap.records.json import JSON
    from tap_callcap.records.shaper import Record
    from tap_callcap.sync.prefetch import Workers

PARENTS = ("corporate", "division")  # the types of accounts that have others below them


def walk(children: Callable[[Account | None], list[JSON]], workers: Workers) -> Iterator[Record]:
    """Every account once, level by level, with the ids of those above it.

    Args:
        children: Asks for the accounts one level below another, below none for the topmost.
        workers: Ask about several accounts at once.

    Raises:
        FatalAPIError: If an account has no readable type and id.
    """
    seen: set[Account] = set()
    level: dict[Account | None, dict[str, str]] = {None: {}}  # each with its id and those above
    while level:
        below: dict[Account | None, dict[str, str]] = {}
        for parent, rows in workers.each(children, level):
            for row in rows:
                account = _account(row)
                if account in seen:
                    continue
                seen.add(account)
                yield {**level[parent], **row}
                if account[0] in PARENTS:
                    below[account] = {**level[parent], f"{account[0]}_id": account[1]}
        level = below


def account_rows(client: Client, workers: Workers) -> Iterator[Record]:
    """Every account that the key sees, those above first."""
    return walk(client.accounts_below, workers)


def csr_rows(client: Client, workers: Workers) -> Iterator[Record]:  # noqa: ARG001 - the same for all
    """Every call taker, in one request."""
    return map(csr_row, client.csrs())


def csr_row(csr: JSON) -> Record:
    """A call taker, whose `access` the API writes as the word global or as a list.

    Raises:
        FatalAPIError: If the call taker has no readable id.
    """
    if not isinstance(csr, dict) or not _id(csr.get("csr_id")):
        msg = "Callcap lists a call taker without a readable csr_id"
        raise FatalAPIError(msg)
    access = csr.get("access")
    if isinstance(access, str) and access.strip().casefold() == "global":
        return {**csr, "access": [], "access_is_global": True}
    if isinstance(access, (dict, list)):
        places = access if isinstance(access, list) else [access]
        return {**csr, "access": places, "access_is_global": False}
    return csr


def _account(row: JSON) -> Account:
    """Type and id of an account."""
    if isinstance(row, dict):
        kind, id_ = row.get("account_type"), _id(row.get("account_id"))
        if isinstance(kind, str) and kind.strip() and id_:
            return kind, id_
    msg = "Callcap lists an account without a readable account_type and account_id"
    raise FatalAPIError(msg)


def _id(value: JSON) -> str:
    """An id as text, empty where it is none."""
    text = str(value).strip() if type(value) in {int, str} else ""
    return text if re.fullmatch(r"[0-9]{1,18}", text) else ""
