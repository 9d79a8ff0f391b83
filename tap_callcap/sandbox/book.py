"""The calls of the sandbox, indexed by time."""

from __future__ import annotations

from bisect import bisect_left, insort
from datetime import datetime, timedelta
from random import Random
from threading import RLock
from typing import TYPE_CHECKING

from tap_callcap.sandbox.made_up import made_up_calls, made_up_changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_callcap.sandbox.call import Call
    from tap_callcap.sandbox.zones import Span

_Index = list[tuple[int, str]]  # (seconds since 1970, call_id), in order


class CallBook:
    """Calls by id; one thread may read them while another changes them.

    Earlier versions of edited calls are kept, because the API may show an edit late.
    """

    def __init__(self, calls: Iterable[Call] = ()) -> None:
        """Create a book of `calls`."""
        self.lock = RLock()
        """Hold it to read several times without a change between."""
        self.version = 0
        """Increases with every change."""
        self.arrivals = 0
        """Number of calls ever added, deleted ones included."""
        self._calls: dict[str, Call] = {}
        self._before: dict[str, list[Call]] = {}
        for call in calls:
            self._take(call)
        self._modified: _Index = sorted(map(_modified_key, self._calls.values()))
        self._started: _Index = sorted(map(_started_key, self._calls.values()))

    @property
    def ids(self) -> set[str]:
        """The ids of all calls."""
        with self.lock:
            return set(self._calls)

    def latest(self) -> dict[str, Call]:
        """Return the newest version of each call by its id."""
        with self.lock:
            return dict(self._calls)

    def __len__(self) -> int:
        """Return the number of calls."""
        return len(self._calls)

    def __iter__(self) -> Iterator[Call]:
        """Iterate over the newest versions of a snapshot of the calls."""
        return iter(self.latest().values())

    def __contains__(self, call_id: object) -> bool:
        """Whether there is a call with this id."""
        return call_id in self._calls

    def __getitem__(self, call_id: str) -> Call:
        """Return the newest version of a call; KeyError if there is none."""
        return self._calls[call_id]

    def add(self, call: Call) -> None:
        """Add a new call; ValueError if its id exists."""
        with self.lock:
            self._take(call)
            self._enter(call)

    def edit(self, call_id: str, *, at: datetime, **changes: object) -> Call:
        """Set top-level fields of a call, and last_modified to `at`; return the new version.

        `at` is aware, has whole seconds, and is not before the last edit (else ValueError).
        """
        with self.lock:
            old = self._calls[call_id]
            if at < old["last_modified"]:
                msg = f"{call_id} was modified at {old['last_modified']}, later than {at}"
                raise ValueError(msg)
            new = _checked({**old, **changes, "last_modified": at})
            self._drop(old)
            self._before.setdefault(call_id, []).append(old)
            self._calls[call_id] = new
            self._enter(new)
            return new

    def delete(self, call_id: str) -> None:
        """Remove a call and all its versions."""
        with self.lock:
            self._drop(self._calls.pop(call_id))
            self._before.pop(call_id, None)
            self.version += 1

    def near(self, started: Span, modified: Span, *, shown: datetime | None = None) -> list[Call]:
        """Return at least all calls that are in both spans.

        With `shown`, the versions that were the newest at that time.
        """
        with self.lock:
            by_modified = _part(self._modified, modified)
            by_start = _part(self._started, started)
            part = min(by_modified, by_start, key=lambda part: part[2] - part[1])
            calls = [self._calls[call_id] for _, call_id in part[0][part[1] : part[2]]]
            if shown is None:
                return calls
            unseen = self._modified[bisect_left(self._modified, (_stamp(shown) + 1, "")) :]
            older = (self._version_at(call_id, shown) for _, call_id in unseen)
            return [call for call in calls if call["last_modified"] <= shown] + [
                call for call in older if call is not None
            ]

    def shown(self, call_id: str, *, at: datetime | None = None) -> Call | None:
        """Return the newest version of a call, or the one that was the newest at a time."""
        with self.lock:
            call = self._calls.get(call_id)
            if call is None or at is None or call["last_modified"] <= at:
                return call
            return self._version_at(call_id, at)

    def pass_time(
        self,
        since: datetime,
        until: datetime,
        *,
        new_calls: int = 0,
        edits: int = 0,
        seed: int = 0,
    ) -> None:
        """Add and edit calls at random instants from `since` to before `until`."""
        with self.lock:
            rng = Random(f"{seed} {since} {self.arrivals}")  # noqa: S311 - made-up calls
            since = _whole_second(since)
            until = max(_whole_second(until), since + timedelta(seconds=1))
            known = list(self._calls)
            for call in made_up_calls(
                new_calls,
                seed=rng.getrandbits(32),
                start=since,
                end=until,
                first_serial=self.arrivals + 1,
            ):
                self.add(call)
            seconds = int((until - since).total_seconds())
            moments = sorted(rng.randrange(seconds) for _ in range(edits if known else 0))
            for moment in moments:
                call = self._calls[rng.choice(known)]
                at = max(since + timedelta(seconds=moment), call["last_modified"])
                self.edit(call["call_id"], at=at, **made_up_changes(call, rng, at))

    def _take(self, call: Call) -> None:
        call_id = _checked(call)["call_id"]
        if call_id in self._calls:
            msg = f"The call {call_id} exists already"
            raise ValueError(msg)
        self._calls[call_id] = call
        self.arrivals += 1

    def _enter(self, call: Call) -> None:
        insort(self._modified, _modified_key(call))
        insort(self._started, _started_key(call))
        self.version += 1

    def _drop(self, call: Call) -> None:
        for index, key in (
            (self._modified, _modified_key(call)),
            (self._started, _started_key(call)),
        ):
            del index[bisect_left(index, key)]

    def _version_at(self, call_id: str, moment: datetime) -> Call | None:
        versions = self._before.get(call_id, [])
        return next(
            (call for call in reversed(versions) if call["last_modified"] <= moment),
            None,
        )


def started(call: Call) -> datetime:
    """Return when a call began, or, if it has no start, when it was last modified."""
    start: datetime = call["start_datetime"] or call["last_modified"]
    return start


def _modified_key(call: Call) -> tuple[int, str]:
    return _stamp(call["last_modified"]), call["call_id"]


def _started_key(call: Call) -> tuple[int, str]:
    return _stamp(started(call)), call["call_id"]


def _stamp(moment: datetime) -> int:
    return int(moment.timestamp())


def _whole_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _checked(call: Call) -> Call:
    for name in ("start_datetime", "last_modified", "end_datetime"):
        moment = call[name]
        if isinstance(moment, datetime) and (moment.tzinfo is None or moment.microsecond):
            msg = f"{name} of {call['call_id']} must be aware and have whole seconds: {moment}"
            raise ValueError(msg)
    return call


def _part(index: _Index, span: Span) -> tuple[_Index, int, int]:
    """Return `index`, and the positions of its first entry in `span` and of the first after it."""
    first = 0 if span.first is None else bisect_left(index, (_stamp(span.first), ""))
    end = len(index) if span.end is None else bisect_left(index, (_stamp(span.end) + 1, ""))
    return index, first, max(first, end)
