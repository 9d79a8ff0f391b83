"""An installed tap that is ended by a signal at a random moment, and the next run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from support.histories import BEGINNING
from support.running import COMMAND, bookmark_of, clean_environment, lines_of, run_tap
from tap_callcap.sandbox import CallBook, Callcap, Sandbox, Switches, made_up_calls

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UTC = timezone.utc
SIGNALS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
"""The signals, with the exit code that is promised for each."""

ENCODINGS: tuple[dict[str, str], ...] = (
    {"format": "jsonl", "compression": "gzip"},
    {"format": "arrow"},
    {"format": "jsonl"},
    {"format": "parquet"},
)


@dataclass(frozen=True)
class Kill:
    """What became of a process that was ended by a signal, and of the next run."""

    number: int
    way: str
    """RECORD or BATCH."""
    code: int
    lost: int
    repeated_before: int
    broken_lines: int
    torn: int
    """Files in manifests that are missing or cannot be read."""
    left: int
    """Files that are in no manifest."""
    is_traced: bool

    @property
    def is_bad(self) -> bool:
        """Whether it is not as promised."""
        wrong = self.lost, self.repeated_before, self.broken_lines, self.torn, self.left
        return any(wrong) or self.is_traced or self.code != SIGNALS[signal.Signals(self.number)]


def killed(number: int, seed: int, way: str) -> Kill:  # noqa: PLR0914 - a play in three acts
    """End the command, which writes by RECORD or BATCH, at a random moment, and read on."""
    rng = Random(f"{number} {seed}")
    start = BEGINNING - timedelta(days=60)
    book = CallBook(made_up_calls(300, seed=7, start=start, end=BEGINNING))
    callcap = Callcap(book, clock=lambda: BEGINNING, switches=Switches(latency=0.01))
    with Sandbox(callcap) as sandbox, tempfile.TemporaryDirectory() as place:
        files, temporary = Path(place, "files"), Path(place, "temporary")
        temporary.mkdir()
        config = {"api_key": "sandbox", "api_url": sandbox.url, "page_size": 5, "concurrency": 2}
        if way == "BATCH":
            encoding = ENCODINGS[seed % len(ENCODINGS)]
            storage = {"root": files.as_uri()}
            config["batch_config"] = {"encoding": encoding, "storage": storage, "batch_size": 7}
        Path(place, "config.json").write_text(json.dumps(config), encoding="utf-8")
        unbuffered = {"PYTHONUNBUFFERED": "1" if seed % 2 else "", "TMPDIR": str(temporary)}
        with subprocess.Popen(
            [COMMAND, "--config=config.json"],
            cwd=place,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment() | unbuffered,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            lines: list[bytes] = []
            target = threading.Thread(target=lines.extend, args=(process.stdout,))
            target.start()
            asked = rng.randrange(1, 55)  # of some sixty requests
            while len(callcap.requests) < asked and process.poll() is None:
                time.sleep(0.001)
            time.sleep(rng.random() * 0.02)
            process.send_signal(number)
            target.join()
            log = process.stderr.read()
            code = process.wait(timeout=30)
        messages = [message for line in lines if (message := _message_of(line)) is not None]
        written, torn = _written(messages)
        manifests = {url for m in messages if m["type"] == "BATCH" for url in m["manifest"]}
        left = {path.as_uri() for path in files.rglob("*") if path.is_file()} - manifests
        left |= {path.as_uri() for path in temporary.iterdir()}
    states = [message["value"] for message in messages if message["type"] == "STATE"]
    callcap.switches = Switches()
    rest = run_tap(callcap, state=states[-1] if states else {})
    behind = datetime(2000, 1, 1, tzinfo=UTC)
    if states:
        text = bookmark_of(states[-1])
        behind = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    too_early = [c for c in rest.ids if book[c]["last_modified"] < behind - timedelta(minutes=60)]
    lost = book.ids - written - rest.ids
    is_cut = bool(lines) and not lines[-1].endswith(b"\n")
    broken = len(lines) - len(messages) - (number == signal.SIGKILL and is_cut)
    is_traced = b"Traceback" in log
    counts = (len(lost), len(too_early), broken, torn, len(left))
    return Kill(number, way, code, *counts, is_traced)


def _message_of(line: bytes) -> dict[str, Any] | None:
    """The message in a line, none where the line is cut or is no JSON."""
    try:
        return dict(json.loads(line)) if line.endswith(b"\n") else None
    except ValueError:
        sys.stderr.write(f"This line is no JSON: {line!r}\n")  # it holds made-up calls only
        return None


def _written(messages: Iterable[Mapping[str, Any]]) -> tuple[set[str], int]:
    """The ids of the calls in messages and in the files that they name, and how many are torn."""
    ids, torn = set(), 0
    for message in messages:
        if message["type"] == "RECORD":
            ids.add(message["record"]["call_id"])
        elif message["type"] == "BATCH":
            try:
                ids |= {row["call_id"] for row in rows_of(message)}
            except (OSError, ValueError, EOFError) as error:
                sys.stderr.write(f"A file is torn: {error!r}\n")
                torn += 1
    return ids, torn


def rows_of(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows in the files of a BATCH message, whatever their format."""
    form = message["encoding"]["format"]
    if form == "jsonl":
        return lines_of(dict(message))
    from pyarrow import ipc, parquet  # noqa: PLC0415 - not on every Python

    rows: list[dict[str, Any]] = []
    for url in message["manifest"]:
        path = urlsplit(url).path
        table = parquet.read_table(path) if form == "parquet" else ipc.open_file(path).read_all()
        rows.extend(table.to_pylist())
    return rows
