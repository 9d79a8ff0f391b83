"""The floor: reads the pages and writes the messages, and does nothing else.

Written without a framework: it decodes pages into structs made from the schema, encodes the
messages of a page at once, and writes STATE after each page. It has no proof, retry, selection,
stream maps or unknown fields, and fails on any unexpected value.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from http.client import HTTPConnection
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import msgspec

from asked import SCHEMA, config_path, params, read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LEFT_OUT = {"demographics", "_extra"}  # not selected by default; added by the tap
PLAIN: dict[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool}
API_NAMES = {"line_memo": "line-memo"}  # read by this name, written by the other


def type_of(schema: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - a type
    """Return the type of a value as `schema` has it, or null; structs for objects."""
    kinds = schema["type"]
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "array":
        return list[type_of(schema["items"], name)] | None  # type: ignore[misc] # made at run time
    if kind != "object":
        return (bool | int | float | str if name == "entry" else PLAIN[kind]) | None
    fields = [
        (field, type_of(part, field), msgspec.field(default=None, name=API_NAMES.get(field)))
        for field, part in schema["properties"].items()
        if field not in LEFT_OUT
    ]
    return msgspec.defstruct(name, fields, gc=False) | None


class Pagination(msgspec.Struct):
    """Where a page stands."""

    last_page: int


class RecordMessage(msgspec.Struct, tag="RECORD", tag_field="type", gc=False):
    """A record as Singer wants it."""

    stream: str
    record: Any
    time_extracted: str


class Api:
    """The pages, with a connection for each thread."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._url = urlsplit(config["api_url"])
        self._headers = {"Authorization": f"Bearer {config['api_key']}"}
        self._params = params(config["start_date"])
        self._local = threading.local()

    def page(self, number: int) -> bytes:
        """Fetch a page."""
        if not hasattr(self._local, "connection"):
            self._local.connection = HTTPConnection(self._url.netloc)
        query = urlencode({**self._params, "page": number})
        path = f"{self._url.path}/get/calls/?{query}"
        self._local.connection.request("GET", path, headers=self._headers)
        answer: bytes = self._local.connection.getresponse().read()
        return answer


def pages(api: Api, threads: int) -> Iterator[list[Any]]:
    """The calls of each page in turn, with as many requests in flight as there are threads."""
    calls: Any = {"type": ["array"], "items": read_json(SCHEMA)}
    fields = [("pagination", Pagination), ("call", type_of(calls, "call"))]
    page = msgspec.defstruct("Page", fields)
    decode: Any = msgspec.json.Decoder(page).decode
    first = decode(api.page(1))
    numbers = iter(range(2, first.pagination.last_page + 1))
    if threads == 1:
        yield first.call
        yield from (decode(api.page(number)).call for number in numbers)
        return
    with ThreadPoolExecutor(threads) as pool:
        ahead = deque(pool.submit(api.page, number) for number in islice(numbers, threads))
        yield first.call
        while ahead:
            body = ahead.popleft().result()
            ahead.extend(pool.submit(api.page, number) for number in islice(numbers, 1))
            yield decode(body).call


def utc(text: str | None) -> str | None:
    """Return RFC 3339 for a time as the API writes it, asked in UTC."""
    return f"{text[:10]}T{text[11:]}Z" if text else None


def main() -> None:
    """Write every call to standard output."""
    config = read_json(config_path())
    gc.disable()  # there are no cycles
    out = sys.stdout.buffer
    schema = read_json(SCHEMA)
    encoder = msgspec.json.Encoder()
    message: dict[str, Any] = {"type": "SCHEMA", "stream": "calls", "schema": schema}
    out.write(encoder.encode({**message, "key_properties": ["call_id"]}) + b"\n")
    for calls in pages(Api(config), config.get("threads", 1)):
        extracted = datetime.now(timezone.utc).isoformat()
        for call in calls:
            call.start_datetime = utc(call.start_datetime)
            call.last_modified = utc(call.last_modified)
            call.end_datetime = utc(call.end_datetime)
            if call.callsaver:
                call.callsaver.date = utc(call.callsaver.date)
        out.write(encoder.encode_lines([RecordMessage("calls", c, extracted) for c in calls]))
        state = {"bookmarks": {"calls": {"replication_key_value": calls[-1].last_modified}}}
        out.write(encoder.encode({"type": "STATE", "value": state}) + b"\n")
        out.flush()


if __name__ == "__main__":
    main()
