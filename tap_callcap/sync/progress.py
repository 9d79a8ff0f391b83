"""How far a run is, in the log: as text, and as fields where logs are JSON."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from tap_callcap.instants import duration_in_words, format_instant

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tap_callcap.api.client import Client

PROGRESS_EVERY = 10.0  # seconds between two lines of progress

logger = logging.getLogger("tap-callcap")


class Progress:
    """What a run has done so far.

    `calls` were read, of `counted` by the API, if it is known; `upper` is where the run will end.

    Args:
        client: Counts its requests.
        target_wait_seconds: Says for how many seconds the target has kept the run waiting.
    """

    def __init__(self, client: Client, target_wait_seconds: Callable[[], float]) -> None:
        self._client = client
        self._target_wait_seconds = target_wait_seconds
        self._started = self._logged_at = time.monotonic()
        self.calls = 0
        self.counted: int | None = None
        self.upper: datetime | None = None

    @property
    def _calls_left(self) -> int | None:
        """How many calls are still to come; none if it is unknown, or more came than expected."""
        left = None if self.counted is None else self.counted - self.calls
        return None if left is None or left < 0 else left

    def _figures(self) -> dict[str, float | None]:
        """The figures, by the names of their fields."""
        seconds = time.monotonic() - self._started
        rate = self.calls / seconds if seconds else 0.0
        left = self._calls_left
        return {
            "calls": self.calls,
            "calls_counted": self.counted,
            "calls_per_second": round(rate, 1),
            "seconds": round(seconds, 1),
            "seconds_left": None if left is None or not rate else round(left / rate, 1),
            "requests": self._client.requests,
            "retries": self._client.retries,
            "target_wait_seconds": round(self._target_wait_seconds(), 1),
        }

    def log(self, read_until: datetime) -> None:
        """Say now and then how far the run is: up to `read_until`, all is read."""
        if time.monotonic() - self._logged_at < PROGRESS_EVERY:
            return
        self._logged_at = time.monotonic()
        figures = self._figures()
        of_all = f" of {self.counted:,}" if self._calls_left is not None else ""
        left = ""
        if (seconds := figures["seconds_left"]) is not None:
            left = f", about {duration_in_words(timedelta(seconds=round(seconds)))} left"
        logger.info(
            "Read %s%s calls, up to %s; %.0f calls a second%s; %s requests, %s retries, "
            "%.0f s waited for the target",
            f"{self.calls:,}",
            of_all,
            format_instant(read_until),
            figures["calls_per_second"],
            left,
            f"{self._client.requests:,}",
            f"{self._client.retries:,}",
            self._target_wait_seconds(),
            extra={**figures, "read_until": format_instant(read_until)},
        )

    def close(self, data_as_of: str | None, *, is_done: bool) -> None:
        """Say at the end what the run did, and what it left."""
        if is_done:
            left = "" if data_as_of is None else ". The next run continues from there"
        elif self.upper is None:
            left = ". It failed before the first window"
        else:
            count = f"about {self._calls_left:,} " if self._calls_left is not None else ""
            since = "" if data_as_of is None else f" from {data_as_of}"
            left = f". Not read: {count}calls modified{since} to {format_instant(self.upper)}"
        logger.info(
            "%s: %s%s calls, %s requests, %s retries, %.0f s waited for the target%s",
            "Done" if is_done else "Ended early",
            "" if data_as_of is None else f"data as of {data_as_of}; ",
            f"{self.calls:,}",
            f"{self._client.requests:,}",
            f"{self._client.retries:,}",
            self._target_wait_seconds(),
            left,
            extra={**self._figures(), "data_as_of": data_as_of, "is_done": is_done},
        )
