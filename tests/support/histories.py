"""Seeded histories of an account: runs of a tap over calls that change between any two requests.

A history is a book of calls, a server with switches, and several runs of a reader, each killed at a
random line or request or not at all, each starting from the last STATE that its target saw. What
the target has read at the end of a last quiet run is compared with the book.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from random import Random
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
from singer_sdk.exceptions import FatalAPIError
from singer_sdk.singerlib.encoding import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message

from support.direct_client import DirectClient
from tap_callcap.sandbox import Answer as HttpAnswer
from tap_callcap.sandbox import CallBook, Callcap, Switches, made_up_calls
from tap_callcap.sandbox.zones import as_stored
from tap_callcap.tap import TapCallcap

if TYPE_CHECKING:
    from tap_callcap.sandbox import Asked

ENCODER = msgspec.json.Encoder(enc_hook=str, decimal_format="number")
UTC = timezone.utc
GAP = re.compile(r'add "([^"]+)" to the setting accepted_gaps')
ZONE = re.compile(r"set timezone to (\S+), in which both agree")
SETTLED = timedelta(hours=5)  # after this, also around a clock change, nothing waits any more
QUIET_RUNS = 60  # at the most, at the end of a history: each does what the last one advised
BEGINNING = datetime(2026, 3, 3, 15, 0, tzinfo=UTC)
Lines = list[dict[str, Any]]
Reader = Callable[["History", Mapping[str, Any], GenericSingerWriter[Any, Any]], None]


def _page(**pagination: int) -> HttpAnswer:
    counts = {"page": 1, "last_page": 1, "records_returned": 0, "total_records": 0, **pagination}
    empty = {"status": "success", "search": {"timezone": "UTC"}, "call": [], "pagination": counts}
    return HttpAnswer.of(empty)


OUTAGE = HttpAnswer.of({"status": "error"}, 503)
FAULTS = (
    OUTAGE,
    HttpAnswer.of({"status": "not found"}, 404),  # as if nothing were found
    _page(last_page=3, total_records=20),
    _page(page=7, last_page=9, records_returned=1, total_records=9),
    _page(records_returned=5, total_records=5),
)
"""Answers that a run must not believe."""


class KilledError(BaseException):
    """The process is gone: nothing may handle it."""


class KillableWriter(GenericSingerWriter[str, Message]):
    """What a target reads, line by line, until the tap is killed at line `last`."""

    def __init__(self, last: int | None = None) -> None:
        super().__init__()
        self.lines: Lines = []
        self._last = last

    def serialize_message(self, message: Message) -> str:
        """Unused: messages are kept as they would be decoded."""
        raise NotImplementedError

    def write_message(self, message: Message) -> None:
        """Take one line."""
        if self._last is not None and len(self.lines) >= self._last:
            raise KilledError
        self.lines.append(msgspec.json.decode(ENCODER.encode(message.to_dict())))

    def flush(self) -> None:
        """Lines are never kept back."""


@dataclass
class History:
    """One account's life, made of `seed`."""

    seed: int
    switches: Switches = field(default_factory=Switches)
    config: dict[str, Any] = field(default_factory=dict)
    calls: int = 60
    edits_per_request: float = 1.5
    now: datetime = BEGINNING
    kills: bool = True
    faults: float = 0.0

    def __post_init__(self) -> None:
        """Make the calls, and let life go on with each request."""
        self.rng = Random(self.seed)
        book = CallBook(
            made_up_calls(
                self.calls,
                seed=self.seed,
                start=self.now - timedelta(days=self.rng.choice([1, 30, 900])),
                end=self.now,
            )
        )
        self.callcap = Callcap(book, switches=self.switches, clock=lambda: self.now, seed=self.seed)
        self.callcap.before_answer = self._live
        self.book = book
        self.requests_left: int | None = None
        self._turn = threading.RLock()  # a killed run's thread may still be asking
        self._outage = 0
        self._was_fault = False
        self.is_quiet = False
        self.written: Lines = []
        self.failures: list[str] = []
        self.unshown: set[str] = set()  # ids of calls that the server cannot show
        self.state: dict[str, Any] = {}

    @property
    def bookmark(self) -> str | None:
        """The bookmark in the last STATE."""
        calls: dict[str, Any] = self.state.get("bookmarks", {}).get("calls", {})
        return calls.get("replication_key_value")

    def pass_by(self, span: timedelta, *, changes: float) -> None:
        """Let `span` pass with about so many changes, each at its own second."""
        with self._turn:
            moments = sorted(self.rng.random() * span for _ in range(self._about(changes)))
            for before, moment in zip([timedelta(0), *moments], moments, strict=False):
                self.now += moment - before
                self._change()
            self.now += span - (moments[-1] if moments else timedelta(0))

    def run(self, reader: Reader, *, kill: bool = False) -> bool:
        """One run; returns whether it ended well. What its target read is in `written`."""
        last_line = self.rng.randrange(1, 2 * self.calls) if kill else None
        self.requests_left = self.rng.randrange(1, 12) if kill and self.rng.random() < 0.5 else None
        writer = KillableWriter(last_line)
        try:
            reader(self, self.state, writer)
        except KilledError:
            return False
        except FatalAPIError as error:
            self.failures.append(str(error))
            self.follow(str(error))
            return False
        finally:
            self.requests_left = None
            self.written += writer.lines
            states = [line["value"] for line in writer.lines if line["type"] == "STATE"]
            self.state = states[-1] if states else self.state
        return True

    def follow(self, failure: str) -> None:
        """Do what a failed run advises: accept the gap, or set the timezone, that it names."""
        if gap := GAP.search(failure):
            gaps = self.config.get("accepted_gaps", [])
            self.config |= {"accepted_gaps": [*gaps, gap.group(1)]}
        if zone := ZONE.search(failure):
            self.config |= {"timezone": zone.group(1)}
        elif "Set timezone to the zone that Callcap filters in" in failure or (
            "set timezone to the one in which Callcap shows" in failure
            and self.failures.count(failure) > 1
        ):
            self.config |= {"timezone": self.switches.filter_timezone or "Etc/UTC"}

    def shown_at(self, call: Mapping[str, Any]) -> datetime:
        """The `last_modified` that a record of a call has, by the server and the settings."""
        shown: datetime = call["last_modified"]
        if name := self.switches.stored_timezone:
            is_second = self.switches.stored_hour == "second"
            shown = as_stored(shown, ZoneInfo(name), fold=int(is_second))
        return as_stored(shown, ZoneInfo(self.config.get("timezone", "UTC")), fold=0)

    def is_accepted(self, call: Mapping[str, Any]) -> bool:
        """Whether a call may be lost, by the accepted gaps."""
        at = f"{self.shown_at(call):%Y-%m-%dT%H:%MZ}"
        gaps = (gap.split("/") for gap in self.config.get("accepted_gaps", []))
        return any(start <= at < end for start, end in gaps)

    def lost(self) -> list[str]:
        """Ids of calls whose newest version no run has written, although it could."""
        written = {
            (line["record"]["call_id"], line["record"]["last_modified"])
            for line in self.written
            if line["type"] == "RECORD"
        }
        newest = {
            (call["call_id"], self.shown_at(call).strftime("%Y-%m-%dT%H:%M:%SZ"))
            for call in self.book
            if call["call_id"] not in self.unshown and not self.is_accepted(call)
        }
        return sorted(call_id for call_id, _ in newest - written)

    def stale(self) -> list[str]:
        """Ids of calls of which an older version was written after the newest."""
        last = {
            line["record"]["call_id"]: line["record"]["last_modified"]
            for line in self.written
            if line["type"] == "RECORD"
        }
        return sorted(
            call["call_id"]
            for call in self.book
            if call["call_id"] not in self.unshown and not self.is_accepted(call)
            if last[call["call_id"]] != self.shown_at(call).strftime("%Y-%m-%dT%H:%M:%SZ")
        )

    def _live(self, asked: Asked) -> HttpAnswer | None:
        with self._turn:
            if self.requests_left is not None:
                self.requests_left -= 1
                if self.requests_left < 0:
                    raise KilledError
            if self.is_quiet:
                self.now += timedelta(seconds=0.2)
            else:
                span = timedelta(seconds=self.rng.choice([0.1, 1, 5, 40]))
                self.pass_by(span, changes=self.edits_per_request)
            return self._fault(asked)

    def _fault(self, asked: Asked) -> HttpAnswer | None:
        """A broken answer, now and then: one, or an outage that no try outlasts."""
        if self.is_quiet:
            return None
        if self._outage:
            self._outage -= 1
            return OUTAGE
        may_break = not self._was_fault and asked.path == "/v2/get/calls/"
        self._was_fault = may_break and self.rng.random() < self.faults
        if not self._was_fault:
            return None
        if self.rng.random() < 0.2:
            self._outage = 4
        return self.rng.choice(FAULTS)

    def _about(self, changes: float) -> int:
        return int(changes) + (self.rng.random() < changes % 1)

    def _change(self) -> None:
        at = self.now.replace(microsecond=0)
        kind = self.rng.random()
        ids = sorted(self.book.ids)
        if kind < 0.15 or not ids:
            arrivals = self.book.arrivals
            for call in made_up_calls(
                1,
                seed=self.seed + arrivals,
                start=at,
                end=at + timedelta(seconds=1),
                first_serial=arrivals + 1,
            ):
                self.book.add(call)
        elif kind < 0.2:
            self.book.delete(self.rng.choice(ids))
        else:
            for call_id in self.rng.sample(ids, min(len(ids), self.rng.choice([1, 1, 2, 9]))):
                at = max(at, self.book[call_id]["last_modified"])  # new ones may be of this second
                self.book.edit(call_id, at=at, notes=f"edited at {at}")


def read_with_tap(
    history: History,
    state: Mapping[str, Any],
    writer: GenericSingerWriter[Any, Any],
    catalog: dict[str, Any] | None = None,
) -> None:
    """A run of the tap, all of it but HTTP."""
    client = DirectClient(history.callcap)
    TapCallcap(
        client_factory=lambda _: client,
        config={"api_key": "sandbox", "concurrency": 1, **history.config},
        catalog=catalog,
        state=dict(state),
        message_writer=writer,
    ).sync_all()


def read_forward(
    history: History, state: Mapping[str, Any], writer: GenericSingerWriter[Any, Any]
) -> None:
    """A run of the textbook's reader: page after page, the largest timestamp is the bookmark."""
    from singer_sdk.singerlib import RecordMessage  # noqa: PLC0415
    from singer_sdk.singerlib.encoding.simple import StateMessage  # noqa: PLC0415

    bookmark = state.get("bookmark", "2000-01-01 00:00")
    newest, number, last_page = bookmark, 1, 1
    while number <= last_page:
        params = {
            "search_last_modified_start": bookmark[:16],
            "search_startdate": "2000-01-01",
            "search_enddate": "2030-01-01",
            "search_timezone": "UTC",
            "order": "oldest",
            "show": str(history.config.get("page_size", 50)),
            "page": str(number),
        }
        answer = history.callcap.answer("/v2/get/calls/", params, "Bearer sandbox")
        body = msgspec.json.decode(answer.body)
        for call in body["call"]:
            modified = call["last_modified"]
            newest = max(newest, modified)
            record = {"call_id": call["call_id"], "last_modified": modified.replace(" ", "T") + "Z"}
            writer.write_message(RecordMessage("calls", record))
        last_page = body["pagination"]["last_page"]
        number += 1
    writer.write_message(StateMessage({"bookmark": newest}))


def random_history(seed: int, **overrides: Any) -> History:
    """A history whose server, settings and calls are made of `seed`."""
    rng = Random(f"history {seed}")
    lag = rng.choice([0, 0, 1, 1, 3])
    page_size = rng.choice([1, 2, 3, 5, 10, 20, 50])
    # A minute too deep for the API's own limits cannot be read by anyone.
    limit = rng.choice(["none", "none", "show_cap", "max_page" if page_size >= 50 else "none"])
    switches = Switches(
        start_minute=rng.choice(["inclusive", "exclusive"]),
        end_minute=rng.choice(["includes", "excludes", "on_the_dot"]),
        empty_search=rng.choice(["list", "null", "missing", "last_page_0", "404", "204"]),
        utc=rng.choice(["accepted", "accepted", "refused", "ignored", "alias"]),
        ties=rng.choice(["stable", "shuffled"]),
        page_beyond_last=rng.choice(["empty", "last", "400", "404"]),
        visible_after=timedelta(minutes=lag * rng.random()),
        show_cap=7 if limit == "show_cap" else None,
        max_page=5 if limit == "max_page" else None,
    )
    config = {
        "start_date": "2020-01-01T00:00:00Z",
        "page_size": page_size,
        "lag_minutes": lag,
        "lookback_minutes": rng.choice([0, 1, 5, 10, 30]),
    }
    return History(
        seed=seed,
        switches=overrides.pop("switches", switches),
        config=config | overrides.pop("config", {}),
        calls=overrides.pop("calls", rng.choice([3, 20, 60, 120])),
        edits_per_request=rng.choice([0, 0.2, 1, 3]),
        faults=overrides.pop("faults", rng.choice([0, 0, 0.02, 0.1])),
        **overrides,
    )


def live_through(history: History, reader: Reader, *, runs: int = 4) -> Iterator[bool]:
    """Run several times while life goes on, then once all is quiet and settled; yields outcomes."""
    for _ in range(runs):
        yield history.run(reader, kill=history.kills and history.rng.random() < 0.6)
        gap = timedelta(minutes=history.rng.choice([0.1, 1, 4, 15, 300]))
        history.pass_by(gap, changes=history.rng.choice([0, 1, 10]))
    history.is_quiet = True
    history.now += SETTLED
    for _ in range(QUIET_RUNS):
        ended_well = history.run(reader)
        if ended_well or not history.failures:
            break
    yield ended_well
