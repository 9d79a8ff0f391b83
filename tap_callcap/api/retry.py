"""When a request may start, and when it is retried."""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import backoff
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError

from tap_callcap.api.answers import header_instant
from tap_callcap.api.errors import RATE_LIMITED, BrokenError, GaveUpError, OutageError
from tap_callcap.instants import UTC

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from datetime import timedelta

T = TypeVar("T")

LONGEST_BACKOFF = 60.0  # seconds between two tries, unless the server asks for more
LONGEST_INTERVAL = 10.0  # seconds between two requests, however often the server says 429
UNAVAILABLE = 503  # which is meant for every thread, as a rate limit is

logger = logging.getLogger("tap-callcap")


class RateLimiter:
    """When the next request may start, over all threads; at most `per_second`, if any."""

    def __init__(self, per_second: float | None) -> None:
        self._least = 1 / per_second if per_second else 0.0
        self._interval = self._least
        self._next = 0.0
        self._slowed = 0.0
        self._lock = threading.Lock()

    def wait(self) -> float:
        """Wait until this thread's request may start; returns the monotonic time of its start."""
        while True:
            with self._lock:
                now = time.monotonic()
                if now >= self._next:
                    self._next = now + self._interval
                    return now
                pause = self._next - now
            time.sleep(pause)  # meanwhile another thread may start first, or be slowed down

    def slow_down(self, seconds: float, started: float) -> None:
        """Let no request start for `seconds`, and space those after it further apart.

        `started` is when the request started that the server refused.
        """
        with self._lock:
            now = time.monotonic()
            self._next = max(self._next, now + seconds)
            if started >= self._slowed:  # once for all that were in flight together
                self._slowed = now
                self._interval = min(
                    max(self._interval * 2, 0.1), max(LONGEST_INTERVAL, self._least)
                )

    def speed_up(self) -> None:
        """Reduce the interval after a success, down to the least."""
        with self._lock:
            self._interval = max(self._least, self._interval * 0.9)


class RetryPolicy:
    """Runs requests under the rate limit, and retries what fails within a time budget.

    `budget` is how long after its first start a request may be retried.
    """

    def __init__(self, budget: timedelta, requests_per_second: float | None) -> None:
        self._budget = budget.total_seconds()
        self._rate_limiter = RateLimiter(requests_per_second)
        self._lock = threading.Lock()
        self.requests = 0
        self.retries = 0  # those of the requests that repeat another one

    def run(
        self,
        request: Callable[[], T],
        where: str,
        *,
        once: bool = False,
        tries: int | None = None,
    ) -> T:
        """Return what `request` returns, retrying it after each `RetriableAPIError`.

        Args:
            request: Makes one request; from any number of threads.
            where: Which request this is, for messages.
            once: Do not retry.
            tries: Give up after so many; an `OutageError` does not count as one.

        Raises:
            GaveUpError: If the last of them failed, or the budget is spent.
            FatalAPIError: If the budget is spent and the last failure was an `OutageError`.
        """
        starts: list[float] = []

        def attempt() -> T:
            starts.append(self._rate_limiter.wait())
            with self._lock:
                self.requests += 1
                self.retries += len(starts) > 1
            return request()

        budget = 0.0 if once else self._budget
        waits = partial(self._waits, where, starts, budget, tries or math.inf)
        retrying = backoff.on_exception(waits, RetriableAPIError, jitter=None, logger=None)
        result = retrying(attempt)()
        self._rate_limiter.speed_up()
        return result

    def _waits(
        self, where: str, starts: list[float], budget: float, tries: float
    ) -> Generator[float, RetriableAPIError, None]:
        """Seconds to sleep before each retry, given the failure before it.

        It raises where it could return: then the error says how long was tried.
        """
        failure = yield 0.0  # the first `send` starts the generator
        while True:
            failure.__traceback__ = None  # its frames would keep the answer in memory
            tried, is_outage = len(starts), isinstance(failure, OutageError)
            tries -= not is_outage
            longest = min(2.0 ** min(tried - 1, 10), LONGEST_BACKOFF)
            wait = longest / 2 + backoff.full_jitter(longest / 2)  # so that clients spread
            pause = max(wait, retry_after(getattr(failure.response, "headers", {})))
            elapsed = time.monotonic() - starts[0]
            slows_all = failure.response is not None and (
                is_outage or failure.response.status_code == UNAVAILABLE
            )
            if tries <= 0 or elapsed + pause > budget:
                msg = f"{where} failed: {failure}. Gave up at try {tried} after {elapsed:.0f} s"
                if tries > 0:
                    msg += f": retry_minutes allows {budget:.0f} s"
                    msg += f", and Callcap asks to wait {pause:.0f} s" if pause > wait else ""
                msg += _advice(failure)
                raise (FatalAPIError if is_outage else GaveUpError)(msg)
            logger.warning("%s failed: %s. Try %d in %.1f s", where, failure, tried + 1, pause)
            if slows_all:
                self._rate_limiter.slow_down(pause, starts[-1])
            failure = yield 0.0 if slows_all else pause  # the rate limiter waits


def _advice(failure: RetriableAPIError) -> str:
    """What to do about a failure that stays."""
    code = getattr(failure.response, "status_code", None)
    if code in RATE_LIMITED | {403}:
        return "; lower concurrency or set requests_per_second"
    if code is None and isinstance(failure, (OutageError, BrokenError)):
        return "; check the network, api_url and HTTPS_PROXY"
    return ""


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks to wait, by a number or by a date on its own clock."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d*)?", value, re.ASCII):
        return float(value)
    until = header_instant(headers, "Retry-After")
    now = header_instant(headers, "Date") or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds()) if until else 0.0
