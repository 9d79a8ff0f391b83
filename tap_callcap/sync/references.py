"""What calls refer to: accounts, walked from the top down, and call takers. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError

from tap_callcap.sync.prefetch import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_callcap.api.client import Account, Client
    from tap_callcap.records.json import JSON
    from tap_callcap.records.shaper import Record
    from tap_callcap.settings import Settings

PARENTS = ("corporate", "division")  # the types of accounts that have others below them


def walk(
    children: Callable[[Account | None], list[JSON] | FatalAPIError | None],
    workers: Workers,
    defer_failure: Callable[[str], None],
) -> Iterator[Record]:
    """Every account once, level by level, with the ids of those above it.

    Args:
        children: Asks for the accounts one level below another, below none for the topmost. It
            returns the error if they cannot be read, and none if the API has nothing there.
        workers: Ask about several accounts at once.
        defer_failure: Is told which accounts cannot be read; the others still come.
    """
    seen: set[Account] = set()
    level: dict[Account | None, dict[str, str]] = {None: {}}  # each with its id and those above
    while level:
        below: dict[Account | None, dict[str, str]] = {}
        absent: list[Account | None] = []
        for parent, rows in workers.each(children, level):
            if isinstance(rows, FatalAPIError):
                defer_failure(f"The accounts below {_name(parent)} could not be read: {rows}")
            elif rows is None:
                absent.append(parent)
            else:
                for account, row in _new_accounts(rows, parent, seen, defer_failure):
                    yield {**level[parent], **row}
                    if account[0] in PARENTS:
                        below[account] = {**level[parent], f"{account[0]}_id": account[1]}
        # Where all are answered so, it is how the API says that there are none.
        for parent in absent if len(absent) < len(level) else ():
            defer_failure(
                f"Callcap lists {_name(parent)}, but has nothing below it, not even an empty list: "
                "check what the login of api_key may see"
            )
        level = below


def _new_accounts(
    rows: list[JSON],
    parent: Account | None,
    seen: set[Account],
    defer_failure: Callable[[str], None],
) -> Iterator[tuple[Account, dict[str, JSON]]]:
    """The accounts in `rows` that were not seen before, each with its row."""
    for row in rows:
        account = _account(row)
        if account is None:
            defer_failure(
                f"Callcap lists an account below {_name(parent)} without a readable account_type "
                "and account_id"
            )
        elif account not in seen:
            seen.add(account)
            yield account, row


def account_rows(
    client: Client, settings: Settings, defer_failure: Callable[[str], None]
) -> Iterator[Record]:
    """Every account that the key sees, those above first.

    Raises:
        FatalAPIError: If the topmost accounts cannot be read.
    """

    def children(account: Account | None) -> list[JSON] | FatalAPIError | None:
        try:
            return client.accounts_below(account)
        except FatalAPIError as error:
            if account is None:
                raise
            return error.with_traceback(None)

    return walk(children, Workers(settings.concurrency), defer_failure)


def csr_rows(
    client: Client,
    settings: Settings,  # noqa: ARG001 - the same for all streams
    defer_failure: Callable[[str], None],
) -> Iterator[Record]:
    """Every call taker, in one request; one without a readable id fails the run at its end."""
    for csr in client.csrs():
        try:
            yield csr_row(csr)
        except FatalAPIError as error:
            defer_failure(str(error))


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


def _account(row: JSON) -> Account | None:
    """Type and id of an account, none if they cannot be read."""
    if isinstance(row, dict):
        kind, id_ = row.get("account_type"), _id(row.get("account_id"))
        if isinstance(kind, str) and kind.strip() and id_:
            return kind, id_
    return None


def _name(account: Account | None) -> str:
    """An account as the log names it."""
    return " ".join(account) if account else "the login"


def _id(value: JSON) -> str:
    """An id as text, empty where it is none."""
    text = str(value).strip() if type(value) in {int, str} else ""
    return text if re.fullmatch(r"[0-9]{1,18}", text) else ""
