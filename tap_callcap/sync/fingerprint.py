"""What a run asked for, kept in the state beside the bookmark. Pure.

A bookmark says that all before it was read, as it was asked for then. When more is asked for later,
the calls before the bookmark lack it until they are read again, and the run must say so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from tap_callcap.api.search import sections_of

if TYPE_CHECKING:
    from collections.abc import Mapping

State: TypeAlias = dict[str, Any]

RE_READ = "to have them, run once without state (Meltano: --full-refresh)"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What was asked for.

    `start_date` is RFC 3339 text, none for all history; `detail` is the API's parameter; `accounts`
    are the ids of those that the key saw; `filters` are names of filters, each with a word that
    tells its value from others.
    """

    start_date: str | None
    detail: str
    accounts: tuple[str, ...]
    filters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_state(cls, part: object) -> Fingerprint | None:
        """The fingerprint that an earlier run left, none where it left none."""
        match part:
            case {
                "start_date": str() | None as start_date,
                "detail": str(detail),
                "accounts": [*ids],
                **more,
            }:
                filters = more.get("filters")  # an older release had none
                filters = filters if isinstance(filters, dict) else {}
                return cls(start_date, detail, tuple(map(str, ids)), filters)
        return None

    def to_state(self) -> State:
        """What goes into the state."""
        return {**asdict(self), "accounts": list(self.accounts)}

    def missing(self, before: Fingerprint | None, bookmark: str) -> list[str]:
        """What calls from before `bookmark`, read as `before` says, lack of this: a line each."""
        lines = []
        start = self.start_date or ""
        if start < bookmark and start != ("" if before is None else before.start_date or ""):
            lines.append(
                f"start_date has no effect: the state says that calls modified before {bookmark} "
                f"were read; {RE_READ}"
            )
        if before is None:
            return lines
        if bookmark < start != before.start_date:
            lines.append(
                f"start_date {start} is later than the bookmark: calls modified from {bookmark} "
                "until then are not read; to have them, set start_date back before this run's "
                "state is used again"
            )
        if sections := sections_of(self.detail) - sections_of(before.detail):
            lines.append(
                f"Calls modified before {bookmark} were read without "
                f"{', '.join(sorted(sections))}; {RE_READ}"
            )
        if accounts := set(self.accounts) - set(before.accounts):
            lines.append(
                f"The key sees {len(accounts)} more account(s) than before, of which calls "
                f"modified before {bookmark} were not read; {RE_READ}"
            )
        return lines + self._filtered(before.filters, bookmark)

    def _filtered(self, before: Mapping[str, str], bookmark: str) -> list[str]:
        """What comes of other filters than `before`, a line each."""
        now = self.filters
        added = sorted(now.keys() - before.keys())
        changed = sorted(name for name in before if now.get(name) != before[name])
        lines = []
        if changed:
            lines.append(
                f"Calls modified before {bookmark} were read by other filters "
                f"({', '.join(changed)}): those that match only now are missing; {RE_READ}"
            )
        if added:
            lines.append(
                f"Calls modified before {bookmark} were read without the filters "
                f"{', '.join(added)}: those that do not match stay, and will not be updated"
            )
        return lines
