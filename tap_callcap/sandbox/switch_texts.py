"""Switches as text: parse `name=value`, and list what each switch accepts."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin, get_type_hints

import msgspec

from tap_callcap.sandbox.switches import SWITCHES, BadSwitchError, Switches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TYPES: Final[Mapping[str, Any]] = get_type_hints(Switches)
_EXPECTED: Final[Mapping[object, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    timedelta: "seconds, or a duration such as PT5M",
    str: "a name",
    frozenset[str]: "names, separated by commas",
    frozenset[int]: "whole numbers, separated by commas",
    frozenset[datetime]: "instants such as 2026-10-14T18:47:00Z, separated by commas",
}


def parse_switches(pairs: Iterable[str]) -> Switches:
    """Return the switches that texts such as `utc=refused` set.

    A duration is in seconds (`300`) or ISO 8601 (`PT5M`); the items of a set are separated by
    commas. Raises BadSwitchError for a wrong name or value.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            msg = f"The switch {pair!r} has no value: write it as name=value"
            raise BadSwitchError(msg)
        if name not in SWITCHES:
            msg = f"There is no switch {name!r}: choose from {', '.join(SWITCHES)}"
            raise BadSwitchError(msg)
        given = text.split(",") if get_origin(_TYPES[name]) is frozenset else text
        try:
            values[name] = msgspec.convert(given, SWITCHES[name], strict=False)
        except msgspec.ValidationError as error:
            expected = _expected(_TYPES[name])
            msg = f"The switch {name} cannot be {text!r}: it takes {expected} ({error})"
            raise BadSwitchError(msg) from error
    return Switches(**values)


def switch_list() -> list[tuple[str, str, str]]:
    """Return for each switch its name, the values it accepts (default first), its description."""
    return [
        (
            field.name,
            _accepted(_TYPES[field.name], field.default),
            SWITCHES[field.name].__metadata__[-1].description,
        )
        for field in fields(Switches)
    ]


def switch_values(name: str) -> list[str]:
    """Return the values of a switch that accepts one of several texts."""
    return _choices(_TYPES[name])


def _choices(kind: Any) -> list[str]:  # noqa: ANN401 - an annotation has no type
    return [each for each in get_args(kind) if isinstance(each, str)]


def _expected(kind: Any) -> str:  # noqa: ANN401 - an annotation has no type
    known = [_EXPECTED[each] for each in (kind, *get_args(kind)) if each in _EXPECTED]
    return ", ".join(_choices(kind)) or known[0]


def _accepted(kind: Any, default: object) -> str:  # noqa: ANN401 - an annotation has no type
    values = _choices(kind) or (["true", "false"] if kind is bool else [])
    if values:
        first = str(default).lower()
        return " | ".join(sorted(values, key=lambda value: value != first))
    if isinstance(default, timedelta):
        default = f"{default.total_seconds():g}"
    return f"{'none' if default in {None, frozenset()} else default} ({_expected(kind)})"
