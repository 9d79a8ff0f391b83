"""When a request may start, and when it is tried again."""

from __future__ import annotations

import threading
import time

LONGEST_BACKOFF = 60.0  # seconds between two tries, unless the server asks for more


LONGEST_INTERVAL = 10.0  # seconds between two requests, however often the server says 429


class RateLimiter:
    """When the next request may start, over all threads; at most `per_second`, if any."""

    def __init__(self, per_second: float | None) -> None:
        self._least = 1 / per_second if per_second else 0.0
        self._interval = self._least
        self._next = 0.0
        self._slowed = 0.0
        self._lock = threading.Lock()

    def wait(self) -> float:
        """Return when this thread's request may start, with the monotonic time of that."""
        while True:
            with self._lock:
                now = time.monotonic()
                if now >= self._next:
                    self._next = now + self._interval
                    return now
                pause = self._next - now
            time.sleep(pause)  # meanwhile another thread may start first, or be slowed down

    def slow_down(self, seconds: float, asked: float) -> None:
        """Let no request start for `seconds`, and space those after it further apart."""
        with self._lock:
            now = time.monotonic()
            self._next = max(self._next, now + seconds)
            if asked >= self._slowed:  # once for those that were refused while in flight together
                self._slowed = now
                self._interval = min(
                    max(self._interval * 2, 0.1), max(LONGEST_INTERVAL, self._least)
                )

    def speed_up(self) -> None:
        """Come back towards the ceiling: a request succeeded."""
        with self._lock:
            self._interval = max(self._least, self._interval * 0.9)
