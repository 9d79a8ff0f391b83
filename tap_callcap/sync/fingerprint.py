"""What a run asked for, kept in the state beside the bookmark. Pure.

A bookmark says that all before it was read, as it was asked for then. When more is asked for later,
the calls before the bookmark lack it until they are read again, and the run must say so.

The values of filters and the ids of accounts are in the state as digests only, with the API key as
the key: who has a state but not the key cannot find them by trying values.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from tap_callcap.api.search import sections_of

if TYPE_CHECKING:
    from collections.abc import Mapping

State: TypeAlias = dict[str, Any]

RE_READ = "to have them, run once without state (Meltano: --full-refresh)"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What an earlier run asked for, as the state has it.

    `start_date` is RFC 3339 text, none for all history; `detail` is the API's parameter; `filters`
    are names of filters, each with a digest of its value; `key` tells one API key from another.
    `accounts` are how many the key saw and a digest of their ids, none if it could not list them.
    Older releases left no `key`, the ids themselves, and digests without a key.
    """

    start_date: str | None
    detail: str
    filters: Mapping[str, str] = field(default_factory=dict)
    accounts: tuple[int, str] | None = None
    key: str | None = None
    account_ids: tuple[str, ...] = ()

    @classmethod
    def from_state(cls, part: object) -> Fingerprint | None:
        """The fingerprint that an earlier run left, none where it left none."""
        match part:
            case {"start_date": str() | None as start_date, "detail": str(detail), **more}:
                filters = more.get("filters")  # the oldest releases had none
                filters = filters if isinstance(filters, dict) else {}
                match more:
                    case {"key": str(key), "accounts": {"count": int(count), "digest": str(ids)}}:
                        return cls(start_date, detail, filters, (count, ids), key)
                    case {"key": str(key), "accounts": None}:
                        return cls(start_date, detail, filters, None, key)
                    case {"accounts": [*ids]}:
                        return cls(start_date, detail, filters, account_ids=tuple(map(str, ids)))
        return None

    def to_state(self) -> State:
        """What goes into the state."""
        accounts = self.accounts and dict(zip(("count", "digest"), self.accounts, strict=True))
        return {
            "start_date": self.start_date,
            "detail": self.detail,
            "key": self.key,
            "accounts": accounts,
            "filters": dict(self.filters),
        }


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run asks for.

    `start_date` and `detail` are as in `Fingerprint`; `accounts` are the ids of those that the key
    sees, none if it may not list them; `filters` are names of filters, each with what it means.
    """

    start_date: str | None
    detail: str
    accounts: tuple[str, ...] | None
    filters: Mapping[str, str]
    api_key: str

    def fingerprint(self, before: Fingerprint | None) -> Fingerprint:
        """What goes into the state; accounts that cannot be listed stay as they were `before`."""
        key = self._digest("tap-callcap")[:8]
        accounts = before.accounts if before is not None and before.key == key else None
        if self.accounts is not None:
            accounts = len(self.accounts), self._digest("\n".join(sorted(self.accounts)))
        filters = {name: self._digest(text) for name, text in self.filters.items()}
        return Fingerprint(self.start_date, self.detail, filters, accounts, key)

    def _digest(self, text: str) -> str:
        return hmac.new(self.api_key.encode(), text.encode(), hashlib.sha256).hexdigest()[:16]

    def missing(self, before: Fingerprint | None, bookmark: str) -> list[str]:
        """What calls from before `bookmark`, read as `before` says, lack of this: a line each."""
        lines = []
        start = self.start_date or ""
        if start < bookmark and start != ("" if before is None else before.start_date or ""):
            lines.append(
                f"start_date has no effect: the state says that calls modified before {bookmark} "
                f"were read; {RE_READ}"
            )
        if bookmark < start != (before and before.start_date):
            lines.append(
                f"start_date {start} is later than the bookmark: calls modified from {bookmark} "
                "until then are not read; to have them, set start_date back before this run's "
                "state is used again"
            )
        if before is None:
            return lines
        if sections := sections_of(self.detail) - sections_of(before.detail):
            lines.append(
                f"Calls modified before {bookmark} were read without "
                f"{', '.join(sorted(sections))}; {RE_READ}"
            )
        now = self.fingerprint(before)
        if before.key not in {None, now.key}:
            lines.append(
                "api_key is another than that of the state: whether it sees other accounts, and "
                "whether filters were changed, cannot be told. Calls modified before "
                f"{bookmark} are not read again; {RE_READ}"
            )
            return lines
        return [
            *lines,
            *self._granted(before, now, bookmark),
            *self._filtered(before, now, bookmark),
        ]

    def _granted(self, before: Fingerprint, now: Fingerprint, bookmark: str) -> list[str]:
        """What comes of other accounts than `before`, at most a line."""
        if before.key is None:  # an older release left ids
            more = len(set(self.accounts or ()) - set(before.account_ids))
        elif before.accounts is None or now.accounts in {None, before.accounts}:
            return []
        else:
            more = now.accounts[0] - before.accounts[0]
            if more <= 0:
                line = (
                    "The key sees other accounts than before: if one of them is new, its calls "
                    f"modified before {bookmark} were not read; {RE_READ}"
                )
                return [line]
        line = (
            f"The key sees {more} more account(s) than before, of which calls modified before "
            f"{bookmark} were not read; {RE_READ}"
        )
        return [line] if more else []

    def _filtered(self, before: Fingerprint, now: Fingerprint, bookmark: str) -> list[str]:
        """What comes of other filters than `before`, a line each."""
        filters = now.filters
        if before.key is None:  # an older release left digests without a key
            filters = {
                name: hashlib.sha256(text.encode()).hexdigest()[:12]
                for name, text in self.filters.items()
            }
        added = sorted(filters.keys() - before.filters.keys())
        changed = sorted(n for n, digest in before.filters.items() if filters.get(n) != digest)
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
