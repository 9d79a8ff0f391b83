"""Runs of the tap for tests: in this process without HTTP, or the installed command."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import Future
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from jsonschema import FormatChecker

from support.direct_client import DirectClient
from support.histories import KillableWriter
from tap_callcap.records.schema import load_schema
from tap_callcap.tap import TapCallcap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tap_callcap.sandbox import Call, Callcap
    from tap_callcap.sync.prefetch import Workers

UTC = timezone.utc
COMMAND = Path(sys.executable).with_name("tap-callcap")
Message = dict[str, Any]
FORMATS = FormatChecker()


@FORMATS.checks("date-time")
def is_utc_instant(text: object) -> bool:
    """Whether `text` is an instant as this tap writes it: RFC 3339 in UTC, ending in Z."""
    if not isinstance(text, str):
        return True
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z", text)
    return match is not None and datetime.fromisoformat(match.group(1)) is not None


STREAMS = ("accounts", "calls", "csrs", "call_counts")


@dataclass(frozen=True)
class Run:
    """What a run wrote, and how it ended."""

    messages: list[Message]
    code: int = 0
    log: str = ""

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records, in order."""
        return [line["record"] for line in self.messages if line["type"] == "RECORD"]

    def records_of(self, stream: str) -> list[dict[str, Any]]:
        """The records of a stream, in order."""
        records = (line for line in self.messages if line["type"] == "RECORD")
        return [line["record"] for line in records if line["stream"] == stream]

    @property
    def ids(self) -> set[str]:
        """The ids of the calls."""
        return {record["call_id"] for record in self.records}

    @property
    def states(self) -> list[dict[str, Any]]:
        """The values of the STATE messages, in order."""
        return [line["value"] for line in self.messages if line["type"] == "STATE"]

    @property
    def state(self) -> dict[str, Any]:
        """The last STATE."""
        return self.states[-1]

    @property
    def schema(self) -> dict[str, Any]:
        """The schema in the SCHEMA message."""
        (schema,) = (line["schema"] for line in self.messages if line["type"] == "SCHEMA")
        return dict(schema)


def bookmark_of(state: Mapping[str, Any]) -> str:
    """The bookmark of calls in a STATE."""
    return str(state["bookmarks"]["calls"]["replication_key_value"])


def state_at(bookmark: str) -> dict[str, Any]:
    """A STATE whose bookmark of calls is `bookmark`."""
    calls = {"replication_key": "last_modified", "replication_key_value": bookmark}
    return {"bookmarks": {"calls": calls}}


def run_tap(  # noqa: PLR0913 - all that a run is given
    callcap: Callcap,
    *,
    state: Mapping[str, Any] | None = None,
    catalog: Mapping[str, Any] | None = None,
    tap_class: type[TapCallcap] = TapCallcap,
    client_class: type[DirectClient] = DirectClient,
    now: Callable[[], datetime] | None = None,
    **settings: Any,
) -> Run:
    """A run in this process, all of it but HTTP, whose machine's clock is `now` or right."""
    writer = KillableWriter()
    config = {"api_key": "sandbox", **settings}
    client = client_class(callcap, now)
    tap_class(
        client_factory=lambda _: client,
        config=config,
        state=deepcopy(dict(state or {})),
        catalog=deepcopy(dict(catalog)) if catalog else None,
        message_writer=writer,
    ).sync_all()
    return Run(writer.lines)


def done_at_once(_: Workers, job: Callable[[], Any]) -> Future[Any]:
    """What workers do with a job, without a thread that outlives the run."""
    future: Future[Any] = Future()
    try:
        future.set_result(job())
    except Exception as error:  # noqa: BLE001 - raised again where it is taken
        future.set_exception(error)
    return future


def run_command(  # noqa: PLR0913 - all that a command is given
    *arguments: str,
    folder: Path,
    config: Mapping[str, Any] | None = None,
    state: Mapping[str, Any] | None = None,
    catalog: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    command: Sequence[str | Path] = (COMMAND,),
) -> Run:
    """A run of the installed command in `folder`, whose standard output is read as messages."""
    options = list(arguments)
    for name, content in (("config", config), ("state", state), ("catalog", catalog)):
        if content is not None:
            file = folder / f"{name}.json"
            file.write_text(json.dumps(content), encoding="utf-8")
            options.append(f"--{name}={file}")
    ended = subprocess.run(
        [*command, *options],
        cwd=folder,
        env={**clean_environment(), **(environment or {})},
        capture_output=True,
        check=False,
        timeout=120,
    )
    lines = ended.stdout.decode().splitlines()
    is_messages = all(line.startswith('{"type":') for line in lines)
    messages = [json.loads(line, parse_float=Decimal) for line in lines] if is_messages else []
    output = "" if is_messages else ended.stdout.decode()
    return Run(messages, ended.returncode, output + ended.stderr.decode())


def about() -> dict[str, Any]:
    """What the installed command says of itself."""
    command = [str(COMMAND), "--about", "--format=json"]
    said: dict[str, Any] = json.loads(
        subprocess.run(command, check=True, capture_output=True).stdout
    )
    return said


def clean_environment() -> dict[str, str]:
    """The environment without settings of the tap."""
    return {name: text for name, text in os.environ.items() if not name.startswith("TAP_CALLCAP_")}


def has_command() -> bool:
    """Whether the tap is installed as a command beside this Python."""
    return shutil.which(COMMAND) is not None


def catalog_of(*names: str) -> dict[str, Any]:
    """The catalog as discovered, of the streams that are named, all of them selected."""
    catalog = deepcopy(TapCallcap(config={}, validate_config=False).catalog_dict)
    catalog["streams"] = [each for each in catalog["streams"] if each["stream"] in names]
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = True
    return catalog


def discovered(**selected: bool) -> dict[str, Any]:
    """The catalog of calls as discovered, with properties selected or not: `caller__zip=False`."""
    catalog = catalog_of("calls")
    metadata = catalog["streams"][0]["metadata"]
    for name, wish in selected.items():
        breadcrumb = [part for name in name.split("__") for part in ("properties", name)]
        entry = next(entry for entry in metadata if entry["breadcrumb"] == breadcrumb)
        entry["metadata"]["selected"] = wish
    return catalog


def expected_record(call: Call) -> dict[str, Any]:
    """The record that the tap owes for a call of the sandbox, read off its truth.

    `demographics` is left out: it is not selected by default.
    """
    properties = load_schema("calls")["properties"]
    return {
        name: _expected(call.get(name), part)
        for name, part in properties.items()
        if name not in {"demographics", "_extra"}
    } | {"_extra": None}


def _expected(value: Any, schema: Mapping[str, Any]) -> Any:
    if value is None:
        return {} if "properties" in schema else None
    if "properties" in schema:
        names = {
            name: "line-memo" if name == "line_memo" else name for name in schema["properties"]
        }
        return {
            name: _expected(value.get(names[name]), part)
            for name, part in schema["properties"].items()
        }
    if "items" in schema:
        return [_expected(item, schema["items"]) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if "string" in schema["type"] and not isinstance(value, str):
        return msgspec.json.Encoder(decimal_format="number").encode(value).decode()
    return value


def lines_of(message: dict[str, Any], *, number: type = float) -> list[dict[str, Any]]:
    """The records in the files of a BATCH message."""
    paths = [Path(urlsplit(url).path) for url in message["manifest"]]
    opened = gzip.decompress if message["encoding"].get("compression") == "gzip" else bytes
    texts = [opened(path.read_bytes()).decode() for path in paths]
    return [json.loads(line, parse_float=number) for text in texts for line in text.splitlines()]
