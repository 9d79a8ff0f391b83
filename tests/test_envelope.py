"""What an answer of Callcap says, by every reading of its documents, and what is not believed."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError

from tap_callcap.envelope import (
    Answer,
    ForeignZoneError,
    NothingFound,
    Page,
    check_zone,
    decode_json,
    is_same_zone,
    read_page,
    scrub_message,
)

if TYPE_CHECKING:
    from tap_callcap.values import JSON

SEEDED = settings(derandomize=True, database=None, deadline=None, max_examples=200)
CLOCK = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
CALLS = [{"call_id": "1"}, {"call_id": "2"}]
ABSENT = object()


def answer(call: object = ABSENT, **pagination: object) -> Answer:
    """A 200 with page 1 of 1 of two calls, but for what is given; `ABSENT` leaves a field out."""
    counts = {
        "page": 1,
        "last_page": 1,
        "records_returned": 2,
        "show": 1000,
        "total_records": 2,
        **pagination,
    }
    body = {
        "status": "success",
        "pagination": {name: count for name, count in counts.items() if count is not ABSENT},
        "call": call,
    }
    return Answer(200, {name: part for name, part in body.items() if part is not ABSENT}, CLOCK)


def test_a_page_of_many_is_read() -> None:
    """A page says where it is in its search, and what the server's clock was."""
    page = read_page(answer(CALLS, page=2, last_page=3, total_records=6), 2)
    assert page == Page(2, 3, 6, CALLS, CLOCK)
    assert isinstance(page, Page)
    assert not page.is_snapshot


@pytest.mark.parametrize(
    ("page", "is_snapshot"),
    [
        (Page(1, 1, 2, CALLS, CLOCK), True),
        (Page(1, 0, 0, [], CLOCK), True),
        (Page(1, 2, 2, CALLS, CLOCK), False),
        (Page(1, 1, 3, CALLS, CLOCK), False),
    ],
    ids=["all on one page", "empty", "more pages", "more calls"],
)
def test_one_answer_with_all_calls_is_a_snapshot(page: Page, is_snapshot: bool) -> None:  # noqa: FBT001 - expected
    """Only an answer of one page, with as many calls as it speaks of, is whole by itself."""
    assert page.is_snapshot is is_snapshot


def test_counts_may_come_as_texts() -> None:
    """A server that writes numbers as strings is understood."""
    texts = answer(CALLS, page="2", last_page=" 2 ", records_returned="2", total_records="4")
    assert read_page(texts, 2) == Page(2, 2, 4, CALLS, CLOCK)


def test_a_single_call_may_come_as_an_object() -> None:
    """A server may write a list of one as the one."""
    one = answer(CALLS[0], records_returned=1, total_records=1)
    assert read_page(one, 1) == Page(1, 1, 1, CALLS[:1], CLOCK)


@pytest.mark.parametrize("call", [ABSENT, None, [], {}, ""], ids=["absent", "null", *"[", "{", '"'])
@pytest.mark.parametrize("last_page", [0, 1, "0"], ids=repr)
@pytest.mark.parametrize("page", [0, 1, ABSENT], ids=["0", "1", "absent"])
def test_an_empty_search_is_an_empty_page(call: object, last_page: object, page: object) -> None:
    """However an API writes that there are no calls, an empty page comes out."""
    empty = answer(call, page=page, last_page=last_page, records_returned=0, total_records=0)
    assert read_page(empty, 1) == Page(1, int(str(last_page)), 0, [], CLOCK)


def test_the_last_page_may_be_empty() -> None:
    """Its calls may have left the search since its total was counted."""
    last = answer([], page=2, last_page=2, records_returned=0, total_records=2)
    assert read_page(last, 2) == Page(2, 2, 2, [], CLOCK)


@pytest.mark.parametrize(
    ("last_page", "number"), [(2, 3), (1, 2), (0, 2)], ids=["one less", "one left", "none left"]
)
def test_a_page_beyond_the_last_is_nothing_found(last_page: int, number: int) -> None:
    """The search shrank since its last page was known: no contradiction, but no page."""
    gone = read_page(answer(CALLS, page=1, last_page=last_page), number)
    assert gone == NothingFound(200, "success", CLOCK)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Answer(204, None, CLOCK), NothingFound(204, "", CLOCK)),
        (Answer(404, {"status": "nothing"}, CLOCK), NothingFound(404, "nothing", CLOCK)),
        (Answer(404, {"status": 404}, CLOCK), NothingFound(404, "404", CLOCK)),
    ],
    ids=["204", "404", "404 with a number"],
)
def test_an_empty_search_may_be_another_code(found: Answer, expected: NothingFound) -> None:
    """An API may say by 204 or 404 that a search found nothing."""
    assert read_page(found, 1) == expected


CONTRADICTIONS = {
    "pagination absent": (
        Answer(200, {"status": "success"}, CLOCK),
        1,
        "the answer has no pagination",
    ),
    "pagination empty": (Answer(200, {"pagination": ""}, CLOCK), 1, "the answer has no pagination"),
    "call a text": (answer("canary"), 1, "`call` is not a list"),
    "call a number": (answer(5, total_records=0), 1, "`call` is not a list"),
    "an earlier page": (answer(CALLS, page=1, last_page=2), 2, "the answer is not page 2"),
    "a later page": (answer(CALLS, page=2), 1, "the answer is not page 1"),
    "fewer calls than said": (
        answer(CALLS[:1]),
        1,
        "page 1 does not hold as many calls as it says",
    ),
    "no calls though some said": (answer([]), 1, "page 1 does not hold as many calls as it says"),
    "total without calls": (answer([], records_returned=0), 1, "page 1 of 1 is empty"),
    "pages without calls": (
        answer([], records_returned=0, total_records=0, last_page=2),
        1,
        "page 1 of 2 is empty",
    ),
    "a hole in the middle": (
        answer([], records_returned=0, page=2, last_page=3),
        2,
        "page 2 of 3 is empty",
    ),
    "more calls than total": (
        answer(CALLS, total_records=1),
        1,
        "page 1 holds more calls than the whole search",
    ),
    "calls in an empty search": (
        answer(CALLS, total_records=0),
        1,
        "page 1 holds more calls than the whole search",
    ),
    "total absent": (
        answer(CALLS, total_records=ABSENT),
        1,
        "pagination.total_records is not a count",
    ),
    "total negative": (
        answer(CALLS, total_records=-1),
        1,
        "pagination.total_records is not a count",
    ),
    "total a boolean": (
        answer(CALLS, total_records=True),
        1,
        "pagination.total_records is not a count",
    ),
    "pages a word": (answer(CALLS, last_page="canary"), 1, "pagination.last_page is not a count"),
    "pages in other digits": (
        answer(CALLS, last_page="٣"),
        1,
        "pagination.last_page is not a count",
    ),
    "pages beyond belief": (
        answer(CALLS, last_page="9" * 19),
        1,
        "pagination.last_page is not a count",
    ),
    "page null": (answer(CALLS, page=None), 1, "pagination.page is not a count"),
    "page a fraction": (answer(CALLS, page=Decimal("1.5")), 1, "pagination.page is not a count"),
    "returned a list": (
        answer(CALLS, records_returned=[2]),
        1,
        "pagination.records_returned is not a count",
    ),
}


@pytest.mark.parametrize(
    ("contradiction", "number", "message"), CONTRADICTIONS.values(), ids=CONTRADICTIONS
)
def test_a_contradiction_is_asked_again(contradiction: Answer, number: int, message: str) -> None:
    """An answer that is at odds with itself is not believed, and not shown."""
    with pytest.raises(RetriableAPIError) as caught:
        read_page(contradiction, number)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("asked", "echo"),
    [
        ("UTC", "UTC"),
        ("UTC", "utc"),
        ("UTC", "Etc/UTC"),
        ("UTC", "Zulu"),
        ("UTC", "GMT"),
        ("UTC", "Etc/GMT-0"),
        ("US/Central", "America/Chicago"),
        ("US/Arizona", "America/Phoenix"),
    ],
)
def test_an_alias_of_the_asked_zone_is_that_zone(asked: str, echo: str) -> None:
    """An API may echo another name of the zone that it was asked in."""
    check_zone({"search": {"timezone": echo}}, ZoneInfo(asked))


@pytest.mark.parametrize(
    ("asked", "echo"),
    [
        ("UTC", "US/Central"),
        ("UTC", "Europe/London"),
        ("US/Arizona", "US/Mountain"),
        ("US/Arizona", "Etc/GMT+6"),
        ("US/Central", "America/Winnipeg/../Chicago"),
        ("US/Central", "America/Mexico_City"),
        ("UTC", "Mars/Canary"),
        ("UTC", "US"),
        ("UTC", "/etc/passwd"),
        ("UTC", "\0"),
    ],
)
def test_another_zone_is_an_error(asked: str, echo: str) -> None:
    """Times of another zone would all be wrong; the zone that came is not shown."""
    with pytest.raises(ForeignZoneError, match="check timezone") as caught:
        check_zone({"search": {"timezone": echo}}, ZoneInfo(asked))
    assert asked in str(caught.value)
    assert echo not in str(caught.value)


def test_zones_that_once_differed_are_not_the_same() -> None:
    """Only what was the same wall clock in all the time that is asked for is the same zone."""
    assert not is_same_zone("America/Asuncion", "Etc/GMT+3")
    assert not is_same_zone("Europe/London", "Europe/Lisbon/x")
    assert is_same_zone("Europe/Jersey", "Europe/London")


@pytest.mark.parametrize(
    "body",
    [{}, {"search": None}, {"search": []}, {"search": {}}]
    + [{"search": {"timezone": zone}} for zone in ("", None, 0, ["UTC"])],
    ids=repr,
)
def test_an_answer_without_a_zone_is_an_error(body: dict[str, JSON]) -> None:
    """Times that carry no offset cannot be read when their zone is not said."""
    with pytest.raises(FatalAPIError, match="does not say its timezone") as caught:
        check_zone(body, ZoneInfo("UTC"))
    assert not isinstance(caught.value, ForeignZoneError)


@pytest.mark.parametrize(
    ("body", "charset", "value"),
    [
        (b'{"a": [1, "\xc3\xa9", true, null]}', None, {"a": [1, "é", True, None]}),
        (b"\xef\xbb\xbf{}", None, {}),
        (b"\xef\xbb\xbf{}", "utf-8", {}),
        ("{}".encode("utf-16"), "utf-16", {}),
        (b'"\xe9"', "latin-1", "é"),
        (b'"\xe9"', "utf-8", "\ufffd"),
        (rb'"a\ud800b"', None, "ab"),
        (rb'{"\ud83d\ude00\udc00": 1}', None, {"😀": 1}),
        (b'"\xed\xa0\x80"', None, "\ufffd\ufffd\ufffd"),
        (rb'{"a\u0000": ["b\u0000"]}', None, {"a": ["b"]}),
        (b"[NaN, Infinity, -Infinity, 1.50]", None, [None, None, None, Decimal("1.50")]),
        (b'{"a": 1, "a": 2}', None, {"a": 2}),
        (b"[NaN, 1e99999999999999999999]", None, [None, "1e99999999999999999999"]),
        (b"1e99999999999999999999", None, "1e99999999999999999999"),
        (b"1" * 400, None, int("1" * 400)),
        (b"0." + b"1" * 5000, None, Decimal("0." + "1" * 5000)),
        (b"[" * 100 + b"]" * 100, None, json.loads("[" * 100 + "]" * 100)),
    ],
    ids=[
        "strict JSON",
        "byte order mark",
        "byte order mark and charset",
        "UTF-16",
        "Latin-1",
        "Latin-1 as UTF-8",
        "half a pair",
        "half a pair in a key",
        "half a pair in raw bytes",
        "NUL",
        "NaN",
        "a key twice",
        "a vast exponent beside NaN",
        "a vast exponent",
        "an integer of 400 digits",
        "a decimal of 5,000 digits",
        "a hundred lists",
    ],
)
def test_loose_json_is_read(body: bytes, charset: str | None, value: object) -> None:
    """What strict JSON refuses is read where it has a meaning, and what databases refuse goes."""
    assert decode_json(body, charset) == value


@pytest.mark.parametrize("literal", ["8.0000", "0.10", "-0.0", "1E+5", "1234567890.123456789012"])
@pytest.mark.parametrize("body", ["[{}]", "[{}, NaN]", '["\\u0000", {}]'], ids=["1", "2", "3"])
def test_a_decimal_number_keeps_its_digits(literal: str, body: str) -> None:
    """8.0000 does not become 8.0 on the way, whichever decoder reads it."""
    value = decode_json(body.format(literal).replace(", {}", "").encode(), None)
    assert [str(number) for number in value if isinstance(number, Decimal)] == [literal]


REFUSED = {
    "nothing": b"",
    "cut": b"{",
    "quotes of Python": b"{'a': 1}",
    "HTML": b"<html>",
    "a raw NUL": b'"\x00"',
    "a raw line break": b'"a\nb"',
    "a comma too many": b"[1,]",
    "two values": b"{} {}",
    "no text": b"\xff",
    "an integer of 5,000 digits": b"1" * 5000,
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("charset", [None, "latin-1"])
def test_what_is_no_json_is_refused(body: bytes, charset: str | None) -> None:
    """A cut or foreign body is an error that the client knows."""
    with pytest.raises(ValueError, match=r"."):
        decode_json(body, charset)


@pytest.mark.parametrize("depth", [700, 990, 1000, 100_000])
@pytest.mark.parametrize(
    "parts",
    [(b"[", b"", b"]"), (b'{"a":', b"1", b"}"), (b"[", b"NaN", b"]"), (b"[", rb'"\u0000"', b"]")],
    ids=["lists", "objects", "lists with NaN", "lists with NUL"],
)
def test_deep_nesting_is_read_or_refused(parts: tuple[bytes, bytes, bytes], depth: int) -> None:
    """However deep a body is nested, the process lives, and what is refused is so as expected."""
    start, middle, end = parts
    with contextlib.suppress(RecursionError):
        assert decode_json(start * depth + middle + end * depth, None)
    with pytest.raises((ValueError, RecursionError)):
        decode_json(start * depth + middle, None)


def test_an_unknown_charset_is_refused_only_where_it_matters() -> None:
    """Plain JSON needs no charset; what is not plain cannot be read without one."""
    assert decode_json(b"{}", "canary") == {}
    with pytest.raises(LookupError):
        decode_json(b"\xef\xbb\xbf{}", "canary")


@SEEDED
@given(st.binary(max_size=60), st.sampled_from((None, "utf-8", "latin-1", "utf-16")))
@example(rb'{"a": "\ud800\u0000", "b": -1.5e-7}', None)
def test_any_bytes_are_json_or_refused(body: bytes, charset: str | None) -> None:
    """Whatever a server sends, nothing but a value or an expected error comes of it."""
    for text in (
        body,
        b'{"a":[' + body + b"]}",
        b'"' + body + b'"',
        b"[" + body[:9].hex().encode(),
    ):
        try:
            value = decode_json(text, charset)
        except (ValueError, RecursionError):
            continue
        json.dumps(value, default=str).encode("ascii")


@pytest.mark.parametrize(
    ("vendor", "said"),
    [
        ({}, ""),
        ({"status": "error"}, " (error)"),
        (
            {"status": "unauthorized", "message": "Your key is invalid"},
            " (unauthorized Your key is invalid)",
        ),
        ({"message": "no\n call\tof 555-0100 for a@b.example %20x"}, " (no call of … for … …)"),
        ({"message": None, "status": 500}, " (…)"),
        ({"message": "a" * 300}, f" ({'a' * 200})"),
        ({"call": "canary"}, ""),
    ],
    ids=["empty", "status", "both", "personal", "code", "long", "body"],
)
def test_the_vendors_words_are_shown_without_numbers_and_addresses(
    vendor: dict[str, JSON], said: str
) -> None:
    """The vendor's message helps a person, but telephone numbers and addresses stay out of it."""
    assert scrub_message(vendor) == said
