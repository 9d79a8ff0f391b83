"""The Callcap API as an object that answers requests, without a network."""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from random import Random
from threading import RLock
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from tap_callcap.sandbox.accounts import (
    ACCOUNT_PARAMETERS,
    CSR_PARAMETERS,
    accounts_answer,
    csrs_answer,
)
from tap_callcap.sandbox.filters import BadParameterError
from tap_callcap.sandbox.render import encode, in_dialect, rendered
from tap_callcap.sandbox.search import (
    Search,
    Selection,
    check_known,
    ordered,
    parsed,
    shown_fields,
    zone_of,
)
from tap_callcap.sandbox.switches import Switches
from tap_callcap.sandbox.zones import UTC

if TYPE_CHECKING:
    from tap_callcap.sandbox.book import CallBook
    from tap_callcap.sandbox.call import Call

BASE_PATH: Final = "/v2"
NOT_FOUND = "The requested resource did not exist or did not have anything to say"
_CACHED_SEARCHES = 16
_ONE_CALL_PARAMETERS = frozenset({"search_timezone", "detail"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request and its outcome; `status` and `answered_at` are None until it is answered."""

    path: str
    params: Mapping[str, str]
    asked_at: datetime
    status: int | None = None
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, content: Call, status: int = 200, **headers: str) -> Answer:
        """Return a JSON answer; `_` in the name of a header is sent as `-`."""
        return cls(
            status,
            encode(content),
            {
                "Content-Type": "application/json; charset=utf-8",
                **{name.replace("_", "-"): text for name, text in headers.items()},
            },
        )


Hook = Callable[[Asked], "Answer | None"]


def real_time() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


class Callcap:
    """The API over a book of calls. Several threads may call it at once."""

    def __init__(  # noqa: PLR0913 - all but the book have defaults
        self,
        book: CallBook,
        *,
        switches: Switches | None = None,
        api_key: str = "sandbox",
        clock: Callable[[], datetime] = real_time,
        sleep: Callable[[float], None] = time.sleep,
        seed: int = 0,
        live: float = 0,
    ) -> None:
        """Create the API.

        `clock` returns aware UTC datetimes. `sleep` is called with the latency in seconds. `live`
        is the number of calls that are added, and the number that are edited, each minute.
        """
        self.book = book
        self.switches = switches or Switches()
        """Can be replaced between requests."""
        self.requests: list[Asked] = []
        """All requests so far, in the order in which they were answered."""
        self.before_answer: Hook | None = None
        """Called before each request reads the book; may change the book. If it returns an
        Answer, that is sent instead of the API's own."""
        self._api_key = api_key
        self._clock = clock
        self._sleep = sleep
        self._seed = seed
        self._live = live
        self._ahead = timedelta(0)
        self._lived_until = clock()
        self._lock = RLock()
        self._rng = Random(seed)  # noqa: S311 - the order of ties
        self._granted: deque[datetime] = deque()
        self._cached: OrderedDict[tuple[int, Selection], list[Call]] = OrderedDict()

    def now(self) -> datetime:
        """Return the server's time."""
        return self._clock() + self._ahead

    def advance(self, delta: timedelta, *, new_calls: int = 0, edits: int = 0) -> None:
        """Move the clock on by `delta`, and add and edit calls at random instants of that time."""
        with self._lock:
            since = self.now()
            self._ahead += delta
            self._lived_until += delta
            self.book.pass_time(
                since,
                self.now(),
                new_calls=new_calls,
                edits=edits,
                seed=self._seed,
            )

    def live_on(self) -> None:
        """Add the calls and edits since the last request, if `live` is set."""
        with self._lock:
            now = self.now()
            count = int((now - self._lived_until) / timedelta(minutes=1) * self._live)
            if count:
                since, self._lived_until = self._lived_until, now
                self.book.pass_time(since, now, new_calls=count, edits=count, seed=self._seed)

    def answer(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        authorization: str | None = None,
    ) -> Answer:
        """Answer `GET path?params`, where `path` begins with /v2."""
        asked = Asked(path, dict(params or {}), self.now())
        answer = self._answer(asked, authorization)
        if self.switches.latency:
            self._sleep(self.switches.latency)
        answered_at = self.now()
        if self.switches.date_header:
            date = format_datetime(answered_at.astimezone(UTC), usegmt=True)
            answer = replace(answer, headers={"Date": date, **answer.headers})
        with self._lock:
            self.requests.append(replace(asked, status=answer.status, answered_at=answered_at))
        return answer

    def _answer(self, asked: Asked, authorization: str | None) -> Answer:
        self.live_on()
        with self._lock:
            instead = self.before_answer(asked) if self.before_answer else None
            refused = instead or self._refusal(authorization)
        if refused is not None:
            return refused
        try:
            return self._routed(asked, self.now())
        except BadParameterError as error:
            return Answer.of({"status": "error", "message": str(error)}, 400)

    def _refusal(self, authorization: str | None) -> Answer | None:
        if authorization != f"Bearer {self._api_key}":
            return Answer.of(
                {"status": "unauthorized", "message": "Your key is invalid"},
                401,
                WWW_Authenticate='Bearer realm="https://api.callcap.com/v2/"',
            )
        limit, now = self.switches.requests_per_minute, self.now()
        while self._granted and self._granted[0] + self.switches.rate_window <= now:
            self._granted.popleft()
        if limit is None or len(self._granted) < limit:
            self._granted.append(now)
            return None
        free_at = self._granted[-limit] + self.switches.rate_window
        seconds = math.ceil((free_at - now).total_seconds())
        retry_after = {
            "none": {},
            "seconds": {"Retry_After": str(seconds)},
            "date": {
                "Retry_After": format_datetime(
                    (now + timedelta(seconds=seconds)).astimezone(UTC),
                    usegmt=True,
                ),
            },
        }[self.switches.retry_after]
        return Answer.of({"status": "error", "message": "Too many requests"}, 429, **retry_after)

    def _routed(self, asked: Asked, now: datetime) -> Answer:
        params = asked.params
        match unquote(asked.path).removeprefix(BASE_PATH).split("/"):
            case ["", "get", "calls", ""]:
                return self._calls(params, now)
            case ["", "get", "calls", call_id, ""]:
                return self._one_call(call_id, params, now)
            case ["", "get", "accounts", ""]:
                check_known(params, ACCOUNT_PARAMETERS, self.switches)
                accounts = accounts_answer(self.book, params)
                return self._found(accounts) if accounts else not_found()
            case ["", "get", "callsurance", "csrs", ""]:
                check_known(params, CSR_PARAMETERS, self.switches)
                return self._found(csrs_answer(self.book, params))
            case ["", "get", "callsurance", "csrs", csr_id, ""]:
                csrs = csrs_answer(self.book, {}, csr_id)
                return self._found(csrs) if csrs["csr"] else not_found()
        return not_found()

    def _found(self, content: Call) -> Answer:
        return Answer.of(in_dialect(content, self.switches))

    def _shown(self, now: datetime) -> datetime | None:
        """Return the time whose versions are visible at `now`; None for the newest versions."""
        return now - self.switches.visible_after if self.switches.visible_after else None

    def _one_call(self, call_id: str, params: Mapping[str, str], now: datetime) -> Answer:
        check_known(params, _ONE_CALL_PARAMETERS, self.switches)
        zone, echoed = zone_of(params, self.switches)
        call = self.book.shown(call_id, at=self._shown(now))
        if call is None:
            return not_found()
        shown = rendered(call, shown_fields(params, self.switches), zone, self.switches)
        content: Call = {"status": "success", **self._echo(echoed)}
        if self.switches.single_call == "top_level":
            content.update(shown)
        elif self.switches.single_call == "object":
            content["call"] = shown
        else:
            content = {
                "pagination": _pagination(1, 1, 1, 50, 1),
                **content,
                "call": [shown],
            }
        return self._found(content)

    def _calls(self, params: Mapping[str, str], now: datetime) -> Answer:
        switches = self.switches
        search = parsed(params, now, switches)
        calls = self._selected(search, now)[: switches.max_total]
        total = len(calls)
        if not total and switches.empty_search == "404":
            return not_found()
        if not total and switches.empty_search == "204":
            return Answer(204)
        last_page = math.ceil(total / search.show)
        page = search.page
        if page > max(last_page, 1):
            if switches.page_beyond_last == "404":
                return not_found()
            if switches.page_beyond_last == "400":
                msg = "page must be less than or equal to last_page"
                raise BadParameterError(msg)
            if switches.page_beyond_last == "last":
                page = max(last_page, 1)
        first = (page - 1) * search.show
        shown = [
            rendered(call, search.detail, search.zone, switches)
            for call in calls[first : first + search.show]
        ]
        least = 0 if switches.empty_search == "last_page_0" else 1
        content: Call = {
            "pagination": _pagination(
                page,
                max(last_page, least),
                len(shown),
                search.show,
                total,
            ),
            "status": "success",
            **self._echo(search.zone_echoed),
        }
        if total or switches.empty_search != "missing":
            content["call"] = None if not total and switches.empty_search == "null" else shown
        return self._found(content)

    def _echo(self, zone: str) -> Call:
        return {"search": {"timezone": zone}} if self.switches.zone_echo else {}

    def _selected(self, search: Search, now: datetime) -> list[Call]:
        """Return the calls of a search in their order; recent results are cached."""
        selection, shown, ties = search.selection, self._shown(now), self.switches.ties
        with self._lock, self.book.lock:
            key = (self.book.version, selection)
            can_be_cached = shown is None and ties == "stable"
            if can_be_cached and key in self._cached:
                self._cached.move_to_end(key)
                return self._cached[key]
            calls = self._meant(selection, shown)
            calls.sort(key=_call_id)
            if ties == "shuffled":
                self._rng.shuffle(calls)
            elif ties == "by_page":
                Random(f"{search.page} {search.show}").shuffle(calls)  # noqa: S311 - the same again
            calls = ordered(calls, selection.order)
            if can_be_cached:
                self._cached[key] = calls
                if len(self._cached) > _CACHED_SEARCHES:
                    self._cached.popitem(last=False)
            return calls

    def _meant(self, selection: Selection, shown: datetime | None) -> list[Call]:
        if selection.call_id is None:
            near = self.book.near(selection.started, selection.modified, shown=shown)
            return [call for call in near if call in selection]
        call = self.book.shown(selection.call_id, at=shown)
        return [] if call is None else [call]


def not_found() -> Answer:
    """Return the answer for a path or object that does not exist.

    The documentation gives its message, but not its status code.
    """
    return Answer.of({"status": "not found", "message": NOT_FOUND}, 404)


def _pagination(page: int, last_page: int, records: int, show: int, total: int) -> Call:
    return {
        "page": page,
        "last_page": last_page,
        "records_returned": records,
        "show": show,
        "total_records": total,
    }


def _call_id(call: Call) -> str:
    call_id: str = call["call_id"]
    return call_id
