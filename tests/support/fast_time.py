"""A simulated clock; run as a script, it runs the command `tap-callcap` with that clock."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

from tap_callcap.__main__ import main
from tap_callcap.api import retry

if TYPE_CHECKING:
    from collections.abc import Generator


class FastTime:
    """A clock that only sleeping moves, and that nobody waits for."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._now = 1000.0

    def monotonic(self) -> float:
        """The time; never the same twice."""
        self._now += 1e-6
        return self._now

    def sleep(self, seconds: float) -> None:
        """Be later."""
        if seconds:
            self.slept.append(seconds)
            self._now += seconds


@contextmanager
def fast_time() -> Generator[FastTime, None, None]:
    """Let nobody wait for the rate limiter and between tries; exchanges keep the real time."""
    clock = FastTime()
    with patch.object(retry, "time", clock), patch("backoff._sync.time", clock):
        yield clock


if __name__ == "__main__":
    with fast_time():
        main()
