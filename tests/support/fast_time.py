"""A clock for which nobody waits; run as a script, the command `tap-callcap` by that clock."""

from __future__ import annotations

import time

from tap_callcap.__main__ import main
from tap_callcap.api import client


class FastTime:
    """A clock that runs as it should, except that nobody waits for it."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._ahead = 0.0

    def monotonic(self) -> float:
        """The time as it were, had everybody slept."""
        return time.monotonic() + self._ahead

    def sleep(self, seconds: float) -> None:
        """Be later."""
        self.slept.append(seconds)
        self._ahead += seconds


if __name__ == "__main__":
    setattr(client, "time", FastTime())  # noqa: B010 - all of time that the client uses
    main()
