"""The Callcap API as an object that answers requests, without a network."""

from __future__ import annotations

import itertools
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace
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
from tap_callcap.sandbox.answers import (
    Answer,
    Asked,
    NoAnswerError,
    failed,
    found,
    not_found,
    slash_redirect,
    too_many_requests,
    unauthorized,
)
from tap_callcap.sandbox.filters import BadParameterError
from tap_callcap.sandbox.pages import count_of, one_call, page_of, rows_of
from tap_callcap.sandbox.render import rendered
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
from tap_callcap.sandbox.zones import LONGEST_CLOCK_CHANGE, UTC, as_stored, zone_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_callcap.sandbox.book import CallBook
    from tap_callcap.sandbox.call import Call

BASE_PATH: Final = "/v2"
_CACHED_SEARCHES = 16
_ONE_CALL_PARAMETERS = frozenset({"search_timezone", "detail"})


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
        self._answers, self._pages = itertools.count(), itertools.count()
        self._granted: deque[datetime] = deque()
        self._cached: OrderedDict[tuple[int, Switches, Selection], list[Call]] = OrderedDict()

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
        """Answer `GET path?params`, where `path` begins with /v2.

        Raises NoAnswerError if the request is never answered.
        """
        asked = Asked(path, dict(params or {}), self.now())
        try:
            answer = self._answer(asked, authorization)
        except NoAnswerError:
            with self._lock:
                self.requests.append(asked)
            raise
        if self.switches.latency:
            self._sleep(self.switches.latency)
        answered_at = self.now()
        if self.switches.date_header:
            date = format_datetime((answered_at + self._date_ahead()).astimezone(UTC), usegmt=True)
            answer = replace(answer, headers={"Date": date, **answer.headers})
        with self._lock:
            self.requests.append(replace(asked, status=answer.status, answered_at=answered_at))
        return answer

    def _date_ahead(self) -> timedelta:
        every = self.switches.date_ahead_every
        is_ahead = every is None or self._is_turn(self._answers, every)
        return self.switches.date_ahead if is_ahead else timedelta(0)

    def _answer(self, asked: Asked, authorization: str | None) -> Answer:
        self.live_on()
        with self._lock:
            instead = self.before_answer(asked) if self.before_answer else None
            refused = (
                instead
                or self._refusal(authorization)
                or slash_redirect(asked.path, asked.params, self.switches)
            )
        if refused is not None:
            return refused
        try:
            return self._routed(asked, self.now())
        except BadParameterError as error:
            return Answer.of({"status": "error", "message": str(error)}, 400)

    def _refusal(self, authorization: str | None) -> Answer | None:
        if authorization != f"Bearer {self._api_key}":
            return unauthorized(self.switches)
        limit, now = self.switches.requests_per_minute, self.now()
        while self._granted and self._granted[0] + self.switches.rate_window <= now:
            self._granted.popleft()
        if limit is None or len(self._granted) < limit:
            self._granted.append(now)
            return None
        free_at = self._granted[-limit] + self.switches.rate_window
        seconds = math.ceil((free_at - now).total_seconds())
        return too_many_requests(seconds, now, self.switches)

    def _routed(self, asked: Asked, now: datetime) -> Answer:
        params, path = asked.params, asked.path
        if self.switches.trailing_slash == "removed":
            path = f"{path}/"
        match unquote(path).removeprefix(BASE_PATH).split("/"):
            case ["", "get", "calls", ""]:
                return self._calls(params, now)
            case ["", "get", "calls", call_id, ""]:
                return self._one_call(call_id, params, now)
            case ["", "get", "accounts", ""]:
                check_known(params, ACCOUNT_PARAMETERS, self.switches)
                return self._accounts(params)
            case ["", "get", "callsurance", "csrs", ""]:
                check_known(params, CSR_PARAMETERS, self.switches)
                return found(csrs_answer(self.book, params), self.switches)
            case ["", "get", "callsurance", "csrs", csr_id, ""]:
                csrs = csrs_answer(self.book, {}, csr_id)
                return found(csrs, self.switches) if csrs["csr"] else not_found()
        return not_found()

    def _accounts(self, params: Mapping[str, str]) -> Answer:
        account_id = params.get("account_id", "")
        if account_id in map(str, self.switches.broken_accounts):
            return failed(self.switches)
        accounts = accounts_answer(self.book, params)
        if accounts is None or account_id in map(str, self.switches.missing_accounts):
            return not_found()
        return found(accounts, self.switches)

    def _one_call(self, call_id: str, params: Mapping[str, str], now: datetime) -> Answer:
        check_known(params, _ONE_CALL_PARAMETERS, self.switches)
        zone, echoed = zone_of(params, self.switches)
        call = self._visible(call_id, self._visible_at(now))
        if call is None:
            return not_found()
        shown = rendered(call, shown_fields(params, self.switches), zone, self.switches)
        return one_call(call, shown, echoed, self.switches)

    def _calls(self, params: Mapping[str, str], now: datetime) -> Answer:
        switches = self.switches
        search = parsed(params, now, switches)
        if search.fails:
            return failed(switches)
        calls = self._selected(search, self._visible_at(now))[: switches.max_total]
        counted = calls
        if switches.count_age:
            then = self._visible_at(now, switches.count_age)
            counted = self._selected(search, then)[: switches.max_total]
        loses_row = switches.row_lost_every and self._is_turn(self._pages, switches.row_lost_every)
        return page_of(
            search,
            rows_of(calls, switches),
            count_of(counted, switches),
            switches,
            self._rng if loses_row else None,
        )

    def _is_turn(self, counter: Iterator[int], every: int) -> bool:
        """Count an answer; return whether it is the one of `every`, which depends on the seed."""
        return next(counter) % every == self._seed % every

    def _visible_at(self, now: datetime, age: timedelta = timedelta(0)) -> datetime | None:
        """Return the time whose versions are visible at `now`; None for the newest versions."""
        delay = self.switches.visible_after + age
        return now - delay if delay else None

    def _selected(self, search: Search, visible_at: datetime | None) -> list[Call]:
        """Return the calls of a search in their order; recent results are cached."""
        selection, ties = search.selection, self.switches.ties
        with self._lock, self.book.lock:
            key = (self.book.version, self.switches, selection)
            can_be_cached = visible_at is None and ties == "stable"
            if can_be_cached and key in self._cached:
                self._cached.move_to_end(key)
                return self._cached[key]
            calls = self._matching(selection, visible_at)
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

    def _matching(self, selection: Selection, visible_at: datetime | None) -> list[Call]:
        if selection.call_id is not None:
            call = self._visible(selection.call_id, visible_at)
            return [] if call is None else [call]
        modified = selection.modified
        if self.switches.stored_timezone:
            modified = modified.widened(LONGEST_CLOCK_CHANGE)
        near = self.book.near(selection.started, modified, shown=visible_at)
        return [call for call in map(self._stored, near) if call in selection]

    def _visible(self, call_id: str, visible_at: datetime | None) -> Call | None:
        call = self.book.shown(call_id, at=visible_at)
        return call and self._stored(call)

    def _stored(self, call: Call) -> Call:
        """Return a call as the database has it, which may store only the wall time of an edit."""
        name = self.switches.stored_timezone
        if name is None:
            return call
        is_second = self.switches.stored_hour == "second"
        modified = as_stored(call["last_modified"], zone_named(name), fold=int(is_second))
        return call if modified == call["last_modified"] else {**call, "last_modified": modified}


def _call_id(call: Call) -> str:
    call_id: str = call["call_id"]
    return call_id
