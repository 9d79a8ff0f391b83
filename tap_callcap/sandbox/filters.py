"""The documented filters of a search, each as a predicate on a call."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from tap_callcap.sandbox.book import started
from tap_callcap.sandbox.call import Call, at
from tap_callcap.sandbox.world import CLICK_TO_CALL, MEDIUMS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

Predicate: TypeAlias = Callable[[Call], bool]
"""Whether a call passes a filter."""

NO_MAXIMUM = 600  # seconds; a search_duration_max of this or more sets no maximum


class BadParameterError(ValueError):
    """A request that the API answers with a 400."""


def filter_for(name: str, text: str, zone: ZoneInfo) -> Predicate:
    """Return the predicate for the parameter `name` with the value `text`.

    `zone` is the zone of the search. A value that is not documented raises BadParameterError.
    """
    if name == "search_daysofweek":
        days = _numbers(name, text, range(1, 8))
        return lambda call: day_of_week(call, zone) in days
    return FILTERS[name](name, text)


def day_of_week(call: Call, zone: ZoneInfo) -> int:
    """Return the day of the week on which a call began in `zone`: 1 is Sunday, 7 is Saturday."""
    return started(call).astimezone(zone).isoweekday() % 7 + 1


def words(name: str, text: str, choices: Iterable[str]) -> frozenset[str]:
    """Parse a comma-separated list whose words are all in `choices`."""
    read = frozenset(word.strip().lower() for word in text.split(",") if word.strip())
    unknown = read.difference(choices)
    if unknown:
        msg = f"{name} does not accept {', '.join(sorted(unknown))}"
        raise BadParameterError(msg)
    return read


def number(name: str, text: str, least: int = 0, most: int | None = None) -> int:
    """Parse a whole number from `least` to `most`."""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        msg = f"{name} must be numeric"
        raise BadParameterError(msg)
    value = int(text)
    if value < least or (most is not None and value > most):
        msg = f"{name} must be at least {least}" + ("" if most is None else f", at most {most}")
        raise BadParameterError(msg)
    return value


def digits(text: str | None) -> str:
    """Return a phone number without its formatting."""
    return re.sub(r"[^0-9]", "", text or "")


def _numbers(name: str, text: str, choices: range | None = None) -> frozenset[int]:
    read = frozenset(number(name, part.strip()) for part in text.split(","))
    if choices is not None and not read.issubset(choices):
        msg = f"{name} accepts the numbers {choices.start} to {choices.stop - 1}"
        raise BadParameterError(msg)
    return read


def _one_number(*path: str) -> Callable[[str, str], Predicate]:
    def read(name: str, text: str) -> Predicate:
        wanted = number(name, text)
        return lambda call: bool(at(call, *path) == wanted)

    return read


def _any_number(*path: str, choices: range | None = None) -> Callable[[str, str], Predicate]:
    def read(name: str, text: str) -> Predicate:
        wanted = _numbers(name, text, choices)
        return lambda call: at(call, *path) in wanted

    return read


def _same_text(*path: str) -> Callable[[str, str], Predicate]:
    def read(_: str, text: str) -> Predicate:
        return lambda call: bool(at(call, *path) == text)

    return read


def _phone(*path: str) -> Callable[[str, str], Predicate]:
    def read(name: str, text: str) -> Predicate:
        wanted = digits(text)
        if not wanted:
            msg = f"{name} must hold digits"
            raise BadParameterError(msg)
        return lambda call: wanted in digits(at(call, *path))

    return read


_ACTIONS: Final = {
    "ans": {"Answer"},
    "missed": {"Hangup", "Busy"},
    "blocked": {"Blocked"},
    "inprogress": {"In Progress"},
}


def _action(name: str, text: str) -> Predicate:
    wanted = {action for word in words(name, text, _ACTIONS) for action in _ACTIONS[word]}
    return lambda call: call["action"] in wanted


def is_worked(call: Call) -> bool:
    """Whether a Callsurance analyst has rated a call."""
    return at(call, "callsurance", "major", "id") in {1, 2, 3}


FEATURES: Final[dict[str, Predicate]] = {
    "outbound": lambda call: bool(at(call, "accounts", "campaign", "direction") == "outbound"),
    "callsaver": lambda call: call["callsaver"] is not None,
    "webmatch": lambda call: call["webmatch"] is not None,
    "callconnect": lambda call: bool(at(call, "accounts", "campaign", "medium") == CLICK_TO_CALL),
    "callsurance": is_worked,
}
"""The predicates by the words of `search_feature`. A record does not show Click-to-Call events;
here every call of a campaign with that medium counts as one."""


def _feature(name: str, text: str) -> Predicate:
    wanted = [FEATURES[word] for word in words(name, text, FEATURES)]
    return lambda call: any(has_feature(call) for has_feature in wanted)


def _conversation_type(name: str, text: str) -> Predicate:
    # No documented field tells a text from a call; here a text has the action `Text`.
    wanted = _one_of(name, text, ("all", "call", "text"))
    if wanted == "all":
        return _everything
    return lambda call: (call["action"] == "Text") == (wanted == "text")


def _medium(name: str, text: str) -> Predicate:
    wanted = {MEDIUMS.get(medium_id) for medium_id in _numbers(name, text)} - {None}
    return lambda call: at(call, "accounts", "campaign", "medium") in wanted


def _major(name: str, text: str) -> Predicate:
    wanted = _numbers(name, text, range(5))
    return lambda call: (at(call, "callsurance", "major", "id") or 0) in wanted


def _change_status(name: str, text: str) -> Predicate:
    wanted = _one_of(name, text, ("approved", "denied", "pending"))
    return lambda call: str(at(call, "callsurance", "change_request", "status")).lower() == wanted


def _revenue_entered(name: str, text: str) -> Predicate:
    wanted = bool(number(name, text, most=1))
    return lambda call: bool(call["revenue"]) == wanted


def _term(_: str, text: str) -> Predicate:
    wanted, wanted_digits = text.casefold(), digits(text)
    is_phone = bool(wanted_digits) and not re.search(r"[^0-9()+.\s-]", text)
    numbers = ("callcap_number", "dialed_number", "destination_number")

    def matches(call: Call) -> bool:
        campaign = at(call, "accounts", "campaign") or {}
        texts = (campaign.get("name"), call["notes"], at(call, "caller", "name"))
        if any(wanted in text.casefold() for text in texts if text):
            return True
        phones = (at(call, "caller", "caller_id"), *map(campaign.get, numbers))
        return is_phone and any(wanted_digits in digits(phone) for phone in phones)

    return matches


def _direction(name: str, text: str) -> Predicate:
    wanted = _one_of(name, text, ("all", "inbound", "outbound", "internal"))
    if wanted == "all":
        return _everything
    return lambda call: bool(at(call, "accounts", "campaign", "direction") == wanted)


def _duration_min(name: str, text: str) -> Predicate:
    least = number(name, text)
    return lambda call: (call["duration"] or 0) >= least


def _duration_max(name: str, text: str) -> Predicate:
    most = number(name, text)
    if most >= NO_MAXIMUM:
        return _everything
    return lambda call: (call["duration"] or 0) <= most


def _one_of(name: str, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        msg = f"{name} must be one of {', '.join(choices)}"
        raise BadParameterError(msg)
    return text


def _everything(_: Call) -> bool:
    return True


FILTERS: Final[dict[str, Callable[[str, str], Predicate]]] = {
    "corporate_id": _one_number("accounts", "corporate", "id"),
    "division_id": _any_number("accounts", "division", "id"),
    "location_id": _any_number("accounts", "location", "id"),
    "campaign_id": _any_number("accounts", "campaign", "id"),
    "search_duration_min": _duration_min,
    "search_duration_max": _duration_max,
    "search_action": _action,
    "search_feature": _feature,
    "conversation_type": _conversation_type,
    "search_medium": _medium,
    "search_major": _major,
    "search_csr": _any_number("callsurance", "csr", "id"),
    "search_callsaver_status": _any_number("callsaver", "outcome", "id", choices=range(1, 3)),
    "search_evaluation_change_status": _change_status,
    "search_revenue_entered": _revenue_entered,
    "search_term": _term,
    "search_caller_id": _phone("caller", "caller_id"),
    "search_destination": _phone("accounts", "campaign", "destination_number"),
    "search_reference_id": _same_text("import", "reference_id"),
    "search_direction": _direction,
    "search_location_external_id": _same_text("accounts", "location", "external_id"),
    "search_division_external_id": _same_text("accounts", "division", "external_id"),
}
"""The parser of each filter: (name, value as text) -> predicate."""

FILTER_NAMES: Final = frozenset({*FILTERS, "search_daysofweek"})
