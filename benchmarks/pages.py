"""Makes the calls once, as the API sends them, and cuts each page out of a file.

`python pages.py FOLDER CALLS` makes them. It runs in its own process because making calls needs
much memory, and Linux counts the memory of a process into the peak of the processes that it starts.
"""

from __future__ import annotations

import mmap
import sys
from array import array
from bisect import bisect_left
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

UTC = timezone.utc
BEGINNING = datetime(2021, 1, 1, tzinfo=UTC)
END = datetime(2026, 1, 1, tzinfo=UTC)
NOW = END + timedelta(hours=1)  # by the server's clock: all pages are settled
DISTINCT = 20_000  # calls that differ in more than id and last_modified


class Pages:
    """The calls of a folder, in the order of `last_modified`, as JSON in one file.

    Page `number` of the calls between two instants is a slice of that file: no byte is copied.
    """

    def __init__(self, folder: Path) -> None:
        """Open what `make` made."""
        self.times = array("q", (folder / "times").read_bytes())
        """When each call was last modified, in seconds since 1970."""
        self._ends = array("q", (folder / "ends").read_bytes())
        with (folder / "calls").open("rb") as file:
            self._calls = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def __len__(self) -> int:
        """Count the calls."""
        return len(self.times)

    def found(self, first: datetime, last: datetime) -> range:
        """Which calls were modified from `first` to `last`, the latter included."""
        return range(
            bisect_left(self.times, int(first.timestamp())),
            bisect_left(self.times, int(last.timestamp()) + 1),
        )

    def json(self, calls: range) -> memoryview:
        """Return the items of a JSON array."""
        if not calls:
            return memoryview(b"")
        return self._calls[self._ends[calls.start] : self._ends[calls.stop] - 1]


def make(folder: Path, count: int) -> None:
    """Make `count` calls."""
    folder.mkdir(parents=True, exist_ok=True)
    originals = list(_originals(min(count, DISTINCT)))
    moments = [moment for moment, *_ in originals] + [int(END.timestamp())]
    copies = -(-count // len(originals))
    times, ends, end = array("q"), array("q", [0]), 0
    with (folder / "calls").open("wb") as file:
        for since, until in pairwise(moments):
            for copy in range(min(copies, count - len(times))):
                serial = len(times)
                # In their order, again and again: copies beside each other would make odd pages.
                _, campaign, rest, between, tail = originals[serial % len(originals)]
                moment = since + (until - since) * copy // copies
                modified = datetime.fromtimestamp(moment, UTC)
                end += file.write(
                    b'{"call_id":"%s_%d_%s%s%s%s,'
                    % (
                        campaign,
                        serial,
                        rest,
                        between,
                        f"{modified:%Y-%m-%d %H:%M:%S}".encode(),
                        tail,
                    )
                )
                times.append(moment)
                ends.append(end)
    (folder / "times").write_bytes(times)
    (folder / "ends").write_bytes(ends)


def serial_of(call_id: str) -> int:
    """Return the position of a call among all."""
    return int(call_id.split("_", 2)[1])


def _originals(count: int) -> Iterator[tuple[int, bytes, bytes, bytes, bytes]]:
    """Made-up calls by `last_modified`, cut where their copies differ.

    Answered ones only: they have the size of the documents' example, and a page has four megabytes.
    The `demographics` are left out, as for an account that does not have them.
    """
    from tap_callcap.sandbox import Switches, made_up_calls  # noqa: PLC0415 - makes a world of names
    from tap_callcap.sandbox.render import encode, rendered  # noqa: PLC0415
    from tap_callcap.sandbox.search import DETAILS  # noqa: PLC0415

    fields = {name for names in DETAILS.values() for name in names} - {"demographics"}
    calls = made_up_calls(2 * count, seed=1, start=BEGINNING, end=END)
    answered = [call for call in calls if call["action"] == "Answer"][:count]
    for call in sorted(answered, key=itemgetter("last_modified")):
        text = encode(rendered(call, frozenset(fields), ZoneInfo("UTC"), Switches()))
        modified = f'"last_modified":"{call["last_modified"]:%Y-%m-%d %H:%M:%S}"'.encode()
        head, _, tail = text.partition(modified)
        campaign, _, rest = call["call_id"].encode().split(b"_", 2)
        between = head.removeprefix(b'{"call_id":"%s' % call["call_id"].encode())
        yield (
            int(call["last_modified"].timestamp()),
            campaign,
            rest,
            between + b'"last_modified":"',
            b'"' + tail,
        )


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
