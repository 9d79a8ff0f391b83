"""Writes whole lines to a pipe, so that a run can end between two lines while nobody reads."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
import time
from collections import deque
from mmap import PAGESIZE

if sys.platform == "linux":  # pragma: no branch
    import fcntl
    import termios

CAPACITY = 2**20  # bytes: so long a line is still written whole, and a reader need not wait
WAIT = 0.05  # seconds until a caller may look whether it must end


class LinePipe:
    """The writing end of a pipe that never takes a part of a line, if the pipe can hold it whole.

    A pipe holds pages. A write takes new ones for what does not fit into the last, so the pages in
    use are at most those of each write that is not yet read.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        with contextlib.suppress(OSError):  # where the system allows no more, it stays as it is
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, CAPACITY)
        self._pages = fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ) // PAGESIZE
        self._written = self._unread()
        # Each write as its end in the stream of bytes, and its length; what others wrote first.
        self._writes = deque([(self._written, self._pages * PAGESIZE)])
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    @staticmethod
    def of(stream: object) -> LinePipe | None:
        """The pipe that a stream writes to, none if it is none, or not on Linux."""
        try:
            descriptor = stream.fileno()  # type: ignore[attr-defined]
        except (AttributeError, OSError):
            return None
        is_pipe = sys.platform == "linux" and stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        return LinePipe(descriptor) if is_pipe else None

    def write(self, lines: memoryview | bytes) -> int:
        """Write as many whole lines as the pipe can hold now; wait a moment where it holds none.

        Returns:
            How many bytes were written.
        """
        room = self._free_pages()
        end = bytes(lines[: room * PAGESIZE]).rfind(b"\n") + 1
        if not end and room == self._pages:
            end = bytes(lines).find(b"\n") + 1 or len(lines)  # it never holds this line whole
        if not end:
            [(_, events)] = self._poll.poll(WAIT * 1000) or [(0, 0)]
            if not events & (select.POLLERR | select.POLLHUP):
                if events:
                    time.sleep(WAIT / 100)  # there is room, but too little
                return 0
            end = len(lines)  # nobody will read: the system says so
        done = 0
        while done < end:
            done += os.write(self._descriptor, lines[done:end])
        self._written += end
        self._writes.append((self._written, end))
        return end

    def _free_pages(self) -> int:
        """How many pages the pipe surely has."""
        read = self._written - self._unread()
        used = 0
        while self._writes and self._writes[0][0] <= read:
            self._writes.popleft()
        for end, length in self._writes:
            pages = -(-length // PAGESIZE)
            used += min(pages, -(-(end - read) // PAGESIZE) + 1)
        return max(0, self._pages - used)

    def _unread(self) -> int:
        answer = fcntl.ioctl(self._descriptor, termios.FIONREAD, bytes(4))
        return int.from_bytes(answer, sys.byteorder)
