"""Serves prepared pages like Callcap, so that the server adds almost nothing to the measurements.

`python server.py FOLDER LATENCY` prints its address, serves until SIGTERM, and then prints how many
pages it served and the CPU time it needed.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from pages import BEGINNING, NOW, UTC, Pages

ACCOUNTS = {
    "status": "success",
    "info": "All accessible Corporate accounts",
    "children": [{"account_type": "corporate", "account_name": "Callcap", "account_id": 1}],
}
HEAD = (
    "HTTP/1.1 200 OK\r\n"
    f"Date: {format_datetime(NOW, usegmt=True)}\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: {length}\r\n\r\n"
)


class PageServer(ThreadingTCPServer):
    """Answers searches by `last_modified`, each after `latency` seconds."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, pages: Pages, latency: float) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.pages = pages
        self.latency = latency
        self.sizes: list[int] = []
        """How many calls each page had that was served."""

    @property
    def url(self) -> str:
        """Base address of the API."""
        return f"http://127.0.0.1:{self.server_address[1]}/v2"


class _Connection(StreamRequestHandler):
    """Answers requests one after the other, as long as the client keeps the connection."""

    server: PageServer
    disable_nagle_algorithm: ClassVar[bool] = True

    def handle(self) -> None:
        while line := self.rfile.readline():
            while self.rfile.readline() > b"\r\n":
                pass
            time.sleep(self.server.latency)
            target = urlsplit(line.split()[1].decode())
            if target.path.endswith("/accounts/"):
                self._send(json.dumps(ACCOUNTS).encode())
            else:
                params = {name: values[-1] for name, values in parse_qs(target.query).items()}
                self._send_page(params)

    def _send_page(self, params: dict[str, str]) -> None:
        """Send the page that `params` ask for; both of their minutes count."""
        pages = self.server.pages
        found = pages.found(
            _minute(params.get("search_last_modified_start"), BEGINNING),
            _minute(params.get("search_last_modified_end"), NOW) + timedelta(seconds=59),
        )
        show, number = int(params.get("show", "50")), int(params.get("page", "1"))
        page = found[show * (number - 1) : show * number]
        envelope = {
            "pagination": {
                "page": number,
                "last_page": max(1, -(-len(found) // show)),
                "records_returned": len(page),
                "show": show,
                "total_records": len(found),
            },
            "status": "success",
            "search": {"timezone": "UTC"},
            "call": [],
        }
        self.server.sizes.append(len(page))
        self._send(json.dumps(envelope).encode()[:-2], pages.json(page), b"]}")

    def _send(self, *parts: bytes | memoryview) -> None:
        length = sum(map(len, parts))
        self.connection.sendall(HEAD.format(length=length).encode() + parts[0])
        for part in parts[1:]:
            self.connection.sendall(part)


def _minute(text: str | None, otherwise: datetime) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC) if text else otherwise


def main() -> None:
    """Serve until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # in the threads, too
    with PageServer(Pages(Path(sys.argv[1])), float(sys.argv[2])) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.url, flush=True)
        began = time.process_time()
        signal.sigwait([signal.SIGTERM])
        cpu = time.process_time() - began
        print(json.dumps({"pages": len(server.sizes), "cpu": cpu}), flush=True)
        server.shutdown()


if __name__ == "__main__":
    main()
