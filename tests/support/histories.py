"""Seeded histories of an account: runs of a tap over calls that change between any two requests.

A history is a book of calls, a server with switches, and several runs of a reader, each killed at a
random line or request or not at all, each starting from the last STATE that its target saw. What
the target has read at the end of a last quiet run is compared with the book.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError
from singer_sdk.singerlib.encoding import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message

from tap_callcap.api.answers import decode_object, header_instant
from tap_callcap.api.client import Client
from tap_callcap.api.errors import BadRequestError, GaveUpError, NoAccessError
from tap_callcap.api.responses import (
    NothingFound,
    Page,
    Response,
    account_ids,
    check_zone,
    read_call,
    read_page,
    read_rows,
)
from tap_callcap.api.retry import RetryPolicy
from tap_callcap.api.search import day_params
from tap_callcap.sandbox import Answer as HttpAnswer
from tap_callcap.sandbox import CallBook, Callcap, Switches, made_up_calls
from tap_callcap.tap import TapCallcap

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from tap_callcap.api.client import Account
    from tap_callcap.api.filters import Filters
    from tap_callcap.api.search import Search
    from tap_callcap.records.json import JSON
    from tap_callcap.records.shaper import Call
    from tap_callcap.sandbox import Asked
    from tap_callcap.windows import Window

ENCODER = msgspec.json.Encoder(enc_hook=str, decimal_format="number")
UTC = timezone.utc
GAP = re.compile(r'add "([^"]+)" to the setting accepted_gaps')
QUIET_RUNS = (
    12  # at the most, at the end of a history: each accepts the gap that the last one named
)
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


class DirectClient(Client):
    """The tap's client without HTTP: the same queries, the same reading of answers.

    `now` is this machine's clock; by default it is right.
    """

    def __init__(  # without what only HTTP needs
        self, callcap: Callcap, now: Callable[[], datetime] | None = None
    ) -> None:
        self._callcap = callcap
        self._now = now or callcap.now
        self._retry_policy = RetryPolicy(timedelta(0), None)  # counts requests, and no retries

    def calls(
        self,
        search: Search,
        window: Window,
        number: int,
        *,
        tries: int | None = None,
    ) -> Page | NothingFound:
        """Ask for a page; an answer that is broken or contradicts itself is asked for again."""
        for _ in range(tries or 8):
            answer = self._answer("/v2/get/calls/", search.params(window, number))
            if answer.code >= 500 or (answer.body or {}).get("status") == "error":
                continue
            with contextlib.suppress(RetriableAPIError):
                if answer.code == 200:
                    check_zone(answer.body, search.zone)
                return read_page(answer, number, search.page_size)
        msg = "the answers contradict themselves"
        raise GaveUpError(msg)

    def accounts(self, *, once: bool = False) -> tuple[str, ...]:  # noqa: ARG002 - it never tries again
        """Ids of the accounts that the key sees."""
        answer = self._answer("/v2/get/accounts/", {})
        if answer.code != 200:
            msg = "Callcap answered no accounts"
            raise FatalAPIError(msg)
        return account_ids(answer.body)

    def call(self, call_id: str, zone: ZoneInfo, detail: str) -> Call | None:
        """Ask for one call."""
        params = {"search_timezone": zone.key, "detail": detail}
        return read_call(self._answer(f"/v2/get/calls/{call_id}/", params), call_id, zone)

    def count_of_day(self, day: date, zone: ZoneInfo, filters: Filters) -> tuple[int, datetime]:
        """Ask how many calls began on a day."""
        answer = self._answer("/v2/get/calls/", day_params(day, zone, filters))
        page = read_page(answer, 1, 1)
        return (page.total_records if isinstance(page, Page) else 0), page.clock

    def accounts_below(self, account: Account | None) -> list[JSON] | None:
        """Ask for accounts."""
        names = ("account_type", "account_id")
        params = dict(zip(names, account, strict=True)) if account else {}
        return read_rows(self._answer("/v2/get/accounts/", params), "children")

    def csrs(self) -> list[JSON]:
        """Ask for call takers."""
        return read_rows(self._answer("/v2/get/callsurance/csrs/", {}), "csr") or []

    def _answer(self, path: str, params: Mapping[str, str]) -> Response:
        self._retry_policy.requests += 1
        answer = self._callcap.answer(path, params, "Bearer sandbox")
        if answer.status == 400:
            msg = "Callcap answered 400"
            raise BadRequestError(msg)
        if answer.status == 403:
            msg = "Callcap answered 403"
            raise NoAccessError(msg)
        body = decode_object(answer.body, None) or ({"status": "error"} if answer.body else None)
        server, local = header_instant(answer.headers, "Date"), self._now()
        if server is None:
            return Response(answer.status, body, local)
        return Response(answer.status, body, min(server, local), server - local)


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
            self.accept(str(error))
            return False
        finally:
            self.requests_left = None
            self.written += writer.lines
            states = [line["value"] for line in writer.lines if line["type"] == "STATE"]
            self.state = states[-1] if states else self.state
        return True

    def accept(self, failure: str) -> None:
        """Do what a failed run advises: accept the gap that it names."""
        if gap := GAP.search(failure):
            gaps = self.config.get("accepted_gaps", [])
            self.config |= {"accepted_gaps": [*gaps, gap.group(1)]}

    def is_accepted(self, call: Mapping[str, Any]) -> bool:
        """Whether a call may be lost, by the accepted gaps."""
        at = f"{call['last_modified']:%Y-%m-%dT%H:%MZ}"
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
            (call["call_id"], call["last_modified"].strftime("%Y-%m-%dT%H:%M:%SZ"))
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
            if last[call["call_id"]] != call["last_modified"].strftime("%Y-%m-%dT%H:%M:%SZ")
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
    history: History, state: Mapping[str, Any], writer: GenericSingerWriter[Any, Any]
) -> None:
    """A run of the tap, all of it but HTTP."""
    client = DirectClient(history.callcap)
    TapCallcap(
        client_factory=lambda _: client,
        config={"api_key": "sandbox", "concurrency": 1, **history.config},
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


def _odd_switches(history: History, kind: str) -> dict[str, Any]:
    """The switches of one way to contradict the documentation."""
    rng, ids = history.rng, sorted(history.book.ids)
    some = frozenset(rng.sample(ids, min(len(ids), rng.choice([1, 1, 3]))))
    minute = history.book[rng.choice(ids)]["last_modified"].replace(second=0, microsecond=0)
    if kind in {"hidden_calls", "broken_calls", "calls_without_id", "calls_without_last_modified"}:
        history.unshown |= some
    values: dict[str, Any] = {
        "broken_minutes": frozenset({minute}),
        "count_age": timedelta(seconds=rng.choice([20, 90])),
        "counts": rng.choice(["float", "text", "grouped"]),
        "date_ahead": timedelta(minutes=rng.choice([15, 300])),
        "failure": rng.choice(["500", "504", "403", "error_body", "unreadable"]),
        "hidden_rows": "closed_up",
        "last_page": "down",
        "repeats_counted": False,
        "row_lost_every": rng.choice([2, 5, 20]),
        "total_cap": rng.choice([20, 50, 100]),
        "total_of": "page",
        "wide_search_fails_after": timedelta(days=rng.choice([0.01, 1, 20])),
    }
    return {kind: values.get(kind, some)}


ODD = (
    "broken_calls",
    "broken_minutes",
    "calls_without_id",
    "calls_without_last_modified",
    "count_age",
    "counts",
    "date_ahead",
    "failure",
    "hidden_calls",
    "hidden_rows",
    "last_page",
    "repeated_calls",
    "repeats_counted",
    "row_lost_every",
    "total_cap",
    "total_of",
    "uncounted_calls",
    "wide_search_fails_after",
)
"""The switches for servers that contradict the documentation, as far as a run can cope."""


def odd_history(seed: int, *kinds: str, **overrides: Any) -> History:
    """A history whose server also has odd switches: these kinds, or one to three of them."""
    history = random_history(seed, **overrides)
    rng = Random(f"odd {seed}")
    switches = history.switches
    for kind in kinds or rng.sample(ODD, rng.choice([1, 1, 2, 3])):
        switches = replace(switches, **_odd_switches(history, kind))
    history.callcap.switches = history.switches = switches
    return history


def live_through(history: History, reader: Reader, *, runs: int = 4) -> Iterator[bool]:
    """Run several times while life goes on, then once all is quiet and settled; yields outcomes."""
    for _ in range(runs):
        yield history.run(reader, kill=history.kills and history.rng.random() < 0.6)
        gap = timedelta(minutes=history.rng.choice([0.1, 1, 4, 15, 300]))
        history.pass_by(gap, changes=history.rng.choice([0, 1, 10]))
    history.is_quiet = True
    history.now += timedelta(hours=2)
    for _ in range(QUIET_RUNS):
        ended_well = history.run(reader)
        if ended_well or not history.failures:
            break
    yield ended_well
