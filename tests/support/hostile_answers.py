"""Answers that no API should give, by an account that is otherwise sound.

Of each it is known what must come of it: the calls as they should be, or an error.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import zlib
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.fault_server import Seen
    from tap_callcap.sandbox import Answer

Record: TypeAlias = dict[str, Any]
Change: TypeAlias = "Callable[[Seen, Answer], Answer]"


@dataclass(frozen=True)
class Hostile:
    """How answers are changed; and the error that ends the run, or how the records are then."""

    change: Change
    error: str = ""
    record: Callable[[Record], Record] = lambda record: record


def _of_searches(change: Change) -> Change:
    return lambda seen, found: change(seen, found) if "/get/calls/" in seen.path else found


def body(change: Callable[[bytes], bytes]) -> Change:
    """Other bytes in the body of each search."""
    return _of_searches(lambda _, found: replace(found, body=change(found.body)))


def page(change: Callable[[dict[str, Any]], object]) -> Change:
    """Another page, changed in place as JSON."""

    def changed(text: bytes) -> bytes:
        value = json.loads(text)
        change(value)
        return json.dumps(value).encode()

    return body(changed)


def encoded(charset: str) -> Change:
    """Another charset, as the headers say."""

    def changed(_: Seen, found: Answer) -> Answer:
        headers = {**found.headers, "Content-Type": f"application/json; charset={charset}"}
        plain = json.dumps(json.loads(found.body), separators=(",", ":"))
        text = plain.replace('"notes":"', '"notes":"é')
        return replace(found, body=text.encode(charset), headers=headers)

    return _of_searches(changed)


def field(name: bytes, value: bytes) -> Change:
    """Another value of a field that every call has, as JSON."""
    pattern = re.compile(rb'"%b":(null|true|false|-?[0-9.]+|"(\\.|[^"\\])*")' % name)
    return body(lambda text: pattern.sub(lambda _: b'"%b":%b' % (name, value), text))


def odd(value: bytes, decoded: Any) -> Hostile:
    """A field that nobody knows, in every call; its value comes out as it is."""
    change = body(lambda text: text.replace(b'"call_id":', b'"odd":%b,"call_id":' % value))
    return Hostile(change, record=lambda record: {**record, "_extra": {"odd": decoded}})


def totals(**counts: Any) -> Change:
    """Other counts in the pagination of pages that have calls."""
    return page(lambda value: value["pagination"].update(counts) if value["call"] else None)


def nested(depth: int) -> bytes:
    """An object in an object in an object."""
    return b'{"a":' * depth + b"1" + b"}" * depth


def bomb(pack: Callable[[], bytes]) -> Change:
    """A small body of a gigabyte, as gzip."""
    packed = cache(pack)

    def changed(_: Seen, found: Answer) -> Answer:
        return replace(found, body=packed(), headers={**found.headers, "Content-Encoding": "gzip"})

    return _of_searches(changed)


def _one_member() -> bytes:
    """A gigabyte of blanks as one member of gzip."""
    packer = zlib.compressobj(1, wbits=16 + zlib.MAX_WBITS)
    blanks = b" " * 2**20
    return b"".join([packer.compress(blanks) for _ in range(1024)]) + packer.flush()


def first_page_again() -> Change:
    """The calls of a search's first page on all of its pages, which say that they are others."""
    first: dict[str, Any] = {}

    def changed(seen: Seen, found: Answer) -> Answer:
        value = json.loads(found.body)
        window = seen.query["search_last_modified_start"] + seen.query["search_last_modified_end"]
        if seen.query["page"] == "1":
            first[window] = value["call"]
        value["call"] = first[window]
        value["pagination"]["records_returned"] = len(first[window])
        return replace(found, body=json.dumps(value).encode())

    return _of_searches(changed)


def with_notes(text: str) -> Callable[[Record], Record]:
    """Notes that begin otherwise, where there are any."""
    return lambda record: {**record, "notes": record["notes"] and text + record["notes"]}


NOT_JSON = "the answer is no JSON object"
TOO_LARGE = "the answer is larger than 64 MiB: lower page_size"
CANNOT_BE_READ = "Could not read all calls modified from 2025-12-03 16:37 to 2025-12-03 16:38 UTC: "

HOSTILE: dict[str, Hostile] = {
    "a byte order mark": Hostile(body(lambda text: b"\xef\xbb\xbf" + text)),
    "UTF-16, and said so": Hostile(encoded("utf-16"), record=with_notes("é")),
    "Latin-1, and said so": Hostile(encoded("latin-1"), record=with_notes("é")),
    "UTF-8 as text/html, with cut characters": Hostile(
        _of_searches(
            lambda _, found: replace(
                found,
                body=found.body.replace(b'"notes":"', '"notes":"éü'.encode() + b"\xc3"),
                headers={**found.headers, "Content-Type": "text/html"},
            )
        ),
        record=with_notes("éü\ufffd"),
    ),
    "an unknown charset": Hostile(
        _of_searches(
            lambda _, found: replace(
                found, headers={**found.headers, "Content-Type": "text/x; charset=canary"}
            )
        )
    ),
    "bytes that are no UTF-8": Hostile(
        body(lambda text: text.replace(b'"notes":"', b'"notes":"\xff')),
        record=with_notes("\ufffd"),
    ),
    "NUL in a text": Hostile(
        body(lambda text: text.replace(b'"notes":"', rb'"notes":"a\u0000b')),
        record=with_notes("ab"),
    ),
    "a raw line break in a text": Hostile(
        body(lambda text: text.replace(b'"notes":"', b'"notes":"a\nb')),
        record=with_notes("a\nb"),
    ),
    "a lone surrogate": Hostile(
        body(lambda text: text.replace(b'"notes":"', rb'"notes":"a\ud800b')),
        record=with_notes("ab"),
    ),
    "a megabyte of blanks behind": Hostile(body(lambda text: text + b" " * 2**20)),
    "a key twice": Hostile(body(lambda text: text.replace(b'"rings":', b'"rings":"x","rings":'))),
    "NaN": Hostile(field(b"revenue", b"NaN"), record=lambda record: {**record, "revenue": None}),
    "Infinity": Hostile(
        field(b"revenue", b"-Infinity"), record=lambda record: {**record, "revenue": None}
    ),
    "an integer of 400 digits": odd(b"9" * 400, int("9" * 400)),
    "an integer of 5,000 digits": odd(b"9" * 5000, "9" * 5000),
    "a fraction of 5,000 digits": odd(b"0." + b"9" * 5000, "0." + "9" * 5000),
    "400 digits where 64 bits belong": Hostile(
        field(b"rings", b"9" * 400),
        record=lambda record: {**record, "rings": None, "_extra": {"rings": int("9" * 400)}},
    ),
    "a hundred objects in each other": odd(nested(100), json.loads(nested(100))),
    "a thousand objects in each other": (
        odd(nested(1000), json.loads(nested(1000)))
        if sys.version_info >= (3, 12)
        else Hostile(odd(nested(1000), None).change, NOT_JSON)
    ),
    "a hundred thousand lists in each other": Hostile(odd(b"[" * 10**5, None).change, NOT_JSON),
    "notes of a million characters": Hostile(
        field(b"notes", b'"%b"' % (b"x" * 10**6)),
        record=lambda record: {**record, "notes": "x" * 10**6},
    ),
    "counts as texts": Hostile(
        page(
            lambda value: value["pagination"].update({
                name: str(count) for name, count in value["pagination"].items()
            })
        )
    ),
    "a negative total": Hostile(totals(total_records=-1), "total_records is not a count"),
    "a total in words": Hostile(totals(total_records="many"), "total_records is not a count"),
    # The search is cut until each part holds the one call that it counts.
    "a total that is too small": Hostile(totals(total_records=1)),
    "five million pages": Hostile(
        totals(last_page=5_000_000, total_records=10_000_000), "Could not read all"
    ),
    "the first page in place of any": Hostile(first_page_again()),
    "a call without an id": Hostile(
        page(lambda value: [call.pop("call_id") for call in value["call"]]),
        CANNOT_BE_READ + "a call has no readable call_id",
    ),
    "a call without last_modified": Hostile(
        page(lambda value: [call.pop("last_modified") for call in value["call"]]),
        CANNOT_BE_READ + "a call has no readable last_modified",
    ),
    "a null for a call": Hostile(
        page(lambda value: value.update(call=[None for _ in value["call"]])),
        CANNOT_BE_READ + "an entry of `call` is not an object",
    ),
    "a page of 100 MB": Hostile(
        body(lambda text: text.replace(b'"notes":"', b'"notes":"%b' % (b"x" * 100 * 2**20))),
        TOO_LARGE,
    ),
    "a gigabyte in one member of gzip": Hostile(bomb(_one_member), TOO_LARGE),
    "a gigabyte in a thousand members of gzip": Hostile(
        bomb(lambda: gzip.compress(b" " * 2**20) * 1024), TOO_LARGE
    ),
}
