"""What was answered, and what that tells. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tap_callcap.instants import UnreadableError, zone_of
from tap_callcap.records.shaper import decoded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from tap_callcap.records.json import JSON
    from tap_callcap.records.shaper import Call


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen, and which setting to change, if any."""

    seen: str
    change: str = ""


class NotKnownError(Exception):
    """The answers do not tell; the message says why."""


@dataclass(frozen=True)
class Answer:
    """An answer that means success, nothing found, or a refusal (which has no body).

    `skew` is by how much the server's clock is ahead, if known; `seconds` is how long it took.
    """

    code: str
    body: Mapping[str, JSON]
    skew: timedelta | None = None
    seconds: float = 0.0

    @property
    def is_success(self) -> bool:
        """Whether the code is 200."""
        return self.code == "200"

    @cached_property
    def rows(self) -> list[dict[str, JSON]]:
        """The calls in it."""
        calls = self.body.get("call")
        rows = map(_row, calls) if isinstance(calls, list) else ()
        return [row for row in rows if row is not None]

    @property
    def ids(self) -> list[str]:
        """The ids of its calls."""
        return [str(row.get("call_id")) for row in self.rows]

    @property
    def counts(self) -> Mapping[str, JSON]:
        """Its pagination."""
        pagination = self.body.get("pagination")
        return pagination if isinstance(pagination, dict) else {}

    def count(self, name: str) -> int:
        """A number of its pagination, however it is written."""
        try:
            return int(float(str(self.counts.get(name)).replace(",", "")))
        except (ValueError, OverflowError):
            msg = f"`pagination.{name}` is not a number"
            raise NotKnownError(msg) from None

    @property
    def total(self) -> int:
        """How many calls the search found."""
        return self.count("total_records") if self.is_success else 0

    @property
    def echo(self) -> str | None:
        """The zone that it says it is in; None if it is no IANA zone."""
        search = self.body.get("search")
        name = search.get("timezone") if isinstance(search, dict) else None
        try:
            return zone_of(str(name)).key
        except UnreadableError:
            return None


def _row(call: Call) -> dict[str, JSON] | None:
    """A call of a page; None if it is no object."""
    try:
        row = decoded(call)
    except UnreadableError:
        return None
    return row if isinstance(row, dict) else None
