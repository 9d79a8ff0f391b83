"""The answers about accounts and call takers, built from the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tap_callcap.sandbox.call import Call, at
from tap_callcap.sandbox.filters import BadParameterError, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LEVELS: Final = ("corporate", "division", "location")
ACCOUNT_PARAMETERS: Final = frozenset(
    {"account_type", "account_id", "location_external_id", "division_external_id"},
)
CSR_PARAMETERS: Final = frozenset({"corporate_id", "division_id", "location_id", "search_term"})
MAX_LOCATIONS = 3  # a call taker with more has access to the corporate account instead


def accounts_answer(calls: Iterable[Call], params: Mapping[str, str]) -> Call | None:
    """Return the body of `/get/accounts/`, or None if there is no such account.

    Without parameters: the corporate accounts. With account_type and account_id, or an external
    id: that account and its children.
    """
    accounts = _accounts(calls)
    requested = _requested_account(accounts, params)
    if requested is None:
        return {
            "status": "success",
            "info": "All accessible corporate accounts",
            "children": _children(accounts, "corporate", None),
        }
    level, number_ = requested
    if requested not in accounts:
        return None
    account, parent = accounts[requested]
    below = LEVELS[LEVELS.index(level) + 1 :][:1]
    return {
        "status": "success",
        "info": {
            "account_type": level,
            "account_name": account["name"],
            "account_id": number_,
            "parent": parent and _short(accounts, parent),
        },
        "children": _children(accounts, below[0], requested) if below else [],
    }


def csrs_answer(
    calls: Iterable[Call], params: Mapping[str, str], csr_id: str | None = None
) -> Call:
    """Return the body of `/get/callsurance/csrs/`, for all call takers or the one with `csr_id`."""
    wanted = {level: params[f"{level}_id"] for level in LEVELS if params.get(f"{level}_id")}
    wanted_ids = {level: number(f"{level}_id", text) for level, text in wanted.items()}
    term = params.get("search_term", "").casefold()
    found = [
        {"csr_id": number_, "csr_name": name, "access": access}
        for number_, (name, places) in sorted(_csrs(calls).items())
        if csr_id in {None, str(number_)}
        and term in name.casefold()
        and ((access := _access(places)) == "global" or _reaches(places, wanted_ids))
    ]
    return {"status": "success", "csr": found}


_Key = tuple[str, int]  # (account_type, account_id)
_Place = tuple[int | None, ...]  # ids of corporate, division and location


def _accounts(calls: Iterable[Call]) -> dict[_Key, tuple[Call, _Key | None]]:
    """Return each account with the key of its parent."""
    accounts: dict[_Key, tuple[Call, _Key | None]] = {}
    for call in calls:
        parent = None
        for level in LEVELS:
            number_ = at(call, "accounts", level, "id")
            if number_ is None:
                break
            key = (level, number_)
            accounts.setdefault(key, (at(call, "accounts", level), parent))
            parent = key
    return accounts


def _requested_account(
    accounts: dict[_Key, tuple[Call, _Key | None]],
    params: Mapping[str, str],
) -> _Key | None:
    level, text = params.get("account_type"), params.get("account_id")
    if bool(level) != bool(text):
        msg = "account_type and account_id must be given together"
        raise BadParameterError(msg)
    if level and text:
        if level not in LEVELS:
            msg = f"account_type must be one of {', '.join(LEVELS)}"
            raise BadParameterError(msg)
        return level, number("account_id", text)
    for level in ("location", "division"):
        wanted = params.get(f"{level}_external_id")
        if wanted:
            ids = (
                key
                for key, (account, _) in sorted(accounts.items())
                if key[0] == level and account["external_id"] == wanted
            )
            return next(ids, (level, -1))
    return None


def _children(
    accounts: dict[_Key, tuple[Call, _Key | None]],
    level: str,
    parent: _Key | None,
) -> list[Call]:
    return [
        _short(accounts, key)
        for key in sorted(accounts)
        if key[0] == level and accounts[key][1] == parent
    ]


def _short(accounts: dict[_Key, tuple[Call, _Key | None]], key: _Key) -> Call:
    level, number_ = key
    return {
        "account_type": level,
        "account_name": accounts[key][0]["name"],
        "account_id": number_,
    }


def _csrs(calls: Iterable[Call]) -> dict[int, tuple[str, set[_Place]]]:
    """Return the name and places of each call taker; the id 0 is not a call taker."""
    csrs: dict[int, tuple[str, set[_Place]]] = {}
    for call in calls:
        number_ = at(call, "callsurance", "csr", "id")
        if number_:
            place = tuple(at(call, "accounts", level, "id") for level in LEVELS)
            name = at(call, "callsurance", "csr", "name") or ""
            csrs.setdefault(number_, (name, set()))[1].add(place)
    return csrs


def _access(places: set[_Place]) -> str | list[Call]:
    corporates, locations = ({place[level] for place in places} for level in (0, 2))
    if len(corporates) > 1:
        return "global"
    level, ids = (
        ("location", locations) if len(locations) <= MAX_LOCATIONS else ("corporate", corporates)
    )
    return [{"account_type": level, "account_id": id_} for id_ in sorted(filter(None, ids))]


def _reaches(places: set[_Place], wanted: Mapping[str, int]) -> bool:
    return any(
        all(place[LEVELS.index(level)] == id_ for level, id_ in wanted.items()) for place in places
    )
