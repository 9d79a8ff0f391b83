"""The filters of a search: their JSON Schema, their checks, and their part of a query. Pure.

Each filter is a search parameter of the API, under its own name. Its value becomes the text that
the query holds. Where the API takes a list, a filter takes an array, a text with commas, or a
single value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeAlias

from tap_callcap.api.filter_table import (
    DAY,
    DAY_FILTERS,
    FILTERS,
    FIRST_DAY,
    FLAG,
    LAST_DAY,
    NO_MAXIMUM,
    NOT_FILTERS,
)
from tap_callcap.instants import MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from zoneinfo import ZoneInfo

    from tap_callcap.records.schema import JSONSchema

FilterValue: TypeAlias = "str | float | bool | list[str | float]"
"""The value of a filter in the config."""


def filters_schema() -> JSONSchema:
    """The setting `filters` as JSON Schema, closed to other names."""
    return {
        "type": ["object"],
        "properties": {
            name: {**each.kind.schema, "title": each.title, "description": each.description}
            for name, each in FILTERS.items()
        },
        "additionalProperties": False,
    }


def demand(name: str) -> str:
    """What a filter must be, in words."""
    return f"must be {FILTERS[name].kind.words}"


def unknown(name: str) -> str:
    """The error for a name that is no filter."""
    if name in NOT_FILTERS:
        return f"is set by the tap: {NOT_FILTERS[name]}"
    near = get_close_matches(name, FILTERS, n=1)
    hint = f"did you mean {near[0]}?" if near else "--about lists all filters"
    return f"is unknown: {hint}"


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a run: names and texts as the query has them."""

    texts: Mapping[str, str]

    @classmethod
    def from_config(cls, given: Mapping[str, FilterValue | None] | None) -> Filters:
        """The filters of a valid config; null means not set."""
        texts = {
            name: ",".join(dict.fromkeys(_parts(name, value)))
            for name, value in (given or {}).items()
            if value is not None
        }
        if texts.get("search_range") == "custom":  # means no range
            del texts["search_range"]
        return cls(texts)

    @property
    def is_relative(self) -> bool:
        """Whether the days are counted from the day of the run."""
        return "search_range" in self.texts

    @property
    def speak_of_days(self) -> bool:
        """Whether they would match other calls in another zone."""
        return not DAY_FILTERS.isdisjoint(self.texts)

    @property
    def query(self) -> dict[str, str]:
        """Their part of a query; without a range it always has a first and a last day."""
        if self.is_relative:
            return dict(self.texts)
        first, last = FIRST_DAY.isoformat(), LAST_DAY.isoformat()
        return {"search_startdate": first, "search_enddate": last, **self.texts}

    def meanings(self, zone: ZoneInfo) -> dict[str, str]:
        """Texts that are equal where filters match the same calls; they may be personal data."""
        return {
            name: repr([*sorted(text.split(",")), *([zone.key] if name in DAY_FILTERS else [])])
            for name, text in sorted(self.texts.items())
        }

    def warnings(self) -> Iterator[str]:
        """What the API does with them that a user may not expect."""
        if int(self.texts.get("search_duration_max", "0")) >= NO_MAXIMUM:
            yield f"Callcap ignores filters.search_duration_max from {NO_MAXIMUM} on: remove it"


NO_FILTERS = Filters({})


def filter_problems(
    given: Mapping[str, FilterValue | None], lag: timedelta
) -> Iterator[tuple[str, str]]:
    """Names of filters, and what is wrong with them beyond their schema.

    Args:
        given: The filters, valid against their schema.
        lag: How much of the newest time a run leaves out.
    """
    is_valid = True
    for name, value in given.items():
        if value is not None and not _fits(name, value):
            is_valid = False
            yield name, demand(name)
    if is_valid:
        yield from _contradictions(Filters.from_config(given), lag)


def _contradictions(filters: Filters, lag: timedelta) -> Iterator[tuple[str, str]]:
    texts = filters.texts
    start, end = texts.get("search_startdate", FIRST_DAY.isoformat()), texts.get("search_enddate")
    if end is not None and start >= end:
        yield "search_enddate", f"must be after search_startdate, which is {FIRST_DAY} if not set"
    least, most = texts.get("search_duration_min", "0"), texts.get("search_duration_max")
    if most is not None and int(least) >= int(most):
        yield "search_duration_max", "must be more than search_duration_min, which is 0 if not set"
    if not filters.is_relative:
        return
    if days := {"search_startdate", "search_enddate"}.intersection(texts):
        yield "search_range", f"cannot be combined with {' and '.join(sorted(days))}: remove one"
    minutes = re.fullmatch(r"last([0-9]+)minutes", texts["search_range"])
    if minutes and int(minutes[1]) * MINUTE <= lag + MINUTE:
        yield "search_range", "finds nothing: its minutes must be more than lag_minutes plus 1"


def _fits(name: str, value: FilterValue) -> bool:
    kind = FILTERS[name].kind
    parts = _parts(name, value)
    return bool(parts) and all(
        re.fullmatch(kind.pattern, part) and (kind is not DAY or _is_day(part)) for part in parts
    )


def _is_day(text: str) -> bool:
    try:
        return FIRST_DAY <= date.fromisoformat(text) < LAST_DAY
    except ValueError:
        return False


def _parts(name: str, value: FilterValue) -> list[str]:
    """The values of a filter as texts: one, unless it takes a list."""
    kind = FILTERS[name].kind
    values = value if isinstance(value, list) else [value]
    texts = [_text(each) for each in values]
    if kind is FLAG:
        return [{"true": "1", "false": "0"}.get(text, text) for text in texts]
    return [part.strip() for text in texts for part in text.split(",")] if kind.is_list else texts


def _text(value: str | float) -> str:
    """A single value as text; JSON Schema takes 5.0 for an integer."""
    if isinstance(value, str):
        return value.strip()
    return str(value).lower() if isinstance(value, bool) else str(int(value))
