"""Answers of Callcap, in every form that the documentation allows, and answers that are refused."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError

from tap_callcap.api.answers import scrub_message
from tap_callcap.api.errors import ForeignZoneError
from tap_callcap.api.responses import (
    NothingFound,
    Page,
    Response,
    check_zone,
    read_page,
)
from tap_callcap.instants import is_same_zone

if TYPE_CHECKING:
    from tap_callcap.records.json import JSON

CLOCK = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
CALLS = [{"call_id": "1"}, {"call_id": "2"}]
ABSENT = object()
PAGE_SIZE = 2


def answer(call: object = ABSENT, **pagination: object) -> Response:
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
    return Response(200, {name: part for name, part in body.items() if part is not ABSENT}, CLOCK)


def test_a_page_of_many_is_read() -> None:
    """A page says where it is in its search, and what the server's clock was."""
    page = read_page(answer(CALLS, page=2, last_page=3, total_records=6), 2, PAGE_SIZE)
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
def test_one_answer_with_all_calls_is_a_snapshot(page: Page, is_snapshot: bool) -> None:
    """Only an answer of one page, with as many calls as it speaks of, is whole by itself."""
    assert page.is_snapshot is is_snapshot


COUNTS = {
    "plain": (2, 2, 4),
    "text": ("2", " 2 ", "4"),
    "float": (2.0, 2.0, 4.0),
    "decimal": (Decimal("2.0"), Decimal(2), Decimal("4.00")),
    "decimal text": ("2.0", "2.", "4.00"),
}


@pytest.mark.parametrize(("page", "last_page", "total"), COUNTS.values(), ids=COUNTS)
def test_counts_are_read_however_they_are_written(
    page: object, last_page: object, total: object
) -> None:
    """A server that writes numbers as strings or with decimals is understood."""
    odd = answer(CALLS, page=page, last_page=last_page, records_returned=page, total_records=total)
    assert read_page(odd, 2, PAGE_SIZE) == Page(2, 2, 4, CALLS, CLOCK)


@pytest.mark.parametrize(
    ("text", "total"), [("1,234", 1234), ("12,345,678", 12345678), (" 1,234.0", 1234)]
)
def test_counts_may_be_grouped(text: str, total: int) -> None:
    """A comma parts thousands."""
    page = read_page(answer(CALLS, last_page="617", total_records=text), 1, PAGE_SIZE)
    assert isinstance(page, Page)
    assert page.total_records == total


@pytest.mark.parametrize(
    ("total", "stated", "last_page"),
    [
        (5, 2, 3),  # rounded down
        (3, 1, 2),
        (7, 0, 4),
        (4, 2, 2),
        (5, 3, 3),
        (4, 3, 3),  # one page too many
        (1001, 1, 501),  # as if pages were of 1,000 calls
    ],
    ids=str,
)
def test_the_first_page_tells_how_many_to_ask_for(total: int, stated: int, last_page: int) -> None:
    """Whatever the server makes of it, no page is left out that the total speaks of."""
    page = read_page(answer(CALLS, last_page=stated, total_records=total), 1, PAGE_SIZE)
    assert isinstance(page, Page)
    assert (page.last_page, page.stated_last_page) == (last_page, stated)
    assert not page.is_snapshot


def test_pages_smaller_than_asked_for_are_counted_as_they_come() -> None:
    """A server may send fewer calls a page than it was asked for."""
    page = read_page(answer(CALLS, show=1000, last_page=1, total_records=5), 1, 1000)
    assert isinstance(page, Page)
    assert page.last_page == 3


@pytest.mark.parametrize(("stated", "total"), [(1, 4), (1, 3), (0, 2)], ids=str)
def test_a_page_beyond_the_last_may_have_calls(stated: int, total: int) -> None:
    """Where last_page or the total is too small, such a page is as good as others."""
    page = read_page(answer(CALLS, page=2, last_page=stated, total_records=total), 2, PAGE_SIZE)
    assert page == Page(2, 2, total, CALLS, CLOCK, stated_last_page=stated)


def test_a_single_call_may_come_as_an_object() -> None:
    """A server may write a list of one as the one."""
    one = answer(CALLS[0], records_returned=1, total_records=1)
    assert read_page(one, 1, PAGE_SIZE) == Page(1, 1, 1, CALLS[:1], CLOCK)


@pytest.mark.parametrize("call", [ABSENT, None, [], {}, ""], ids=["absent", "null", *"[", "{", '"'])
@pytest.mark.parametrize("last_page", [0, 1, "0"], ids=repr)
@pytest.mark.parametrize("page", [0, 1, ABSENT], ids=["0", "1", "absent"])
def test_an_empty_search_is_an_empty_page(call: object, last_page: object, page: object) -> None:
    """However an API writes that there are no calls, an empty page comes out."""
    empty = answer(call, page=page, last_page=last_page, records_returned=0, total_records=0)
    assert read_page(empty, 1, PAGE_SIZE) == Page(1, int(str(last_page)), 0, [], CLOCK)


def test_the_last_page_may_be_empty() -> None:
    """Its calls may have left the search since its total was counted."""
    last = answer([], page=2, last_page=2, records_returned=0, total_records=2)
    assert read_page(last, 2, PAGE_SIZE) == Page(2, 2, 2, [], CLOCK)


@pytest.mark.parametrize(
    ("last_page", "number"), [(2, 3), (1, 2), (0, 2)], ids=["one less", "one left", "none left"]
)
def test_a_page_beyond_the_last_is_nothing_found(last_page: int, number: int) -> None:
    """The search shrank since its last page was known: no contradiction, but no page."""
    gone = read_page(answer(CALLS, page=1, last_page=last_page), number, PAGE_SIZE)
    assert gone == NothingFound(200, "success", CLOCK)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Response(204, None, CLOCK), NothingFound(204, "", CLOCK)),
        (Response(404, {"status": "nothing"}, CLOCK), NothingFound(404, "nothing", CLOCK)),
        (Response(404, {"status": 404}, CLOCK), NothingFound(404, "404", CLOCK)),
    ],
    ids=["204", "404", "404 with a number"],
)
def test_an_empty_search_may_be_another_code(found: Response, expected: NothingFound) -> None:
    """An API may say by 204 or 404 that a search found nothing."""
    assert read_page(found, 1, PAGE_SIZE) == expected


CONTRADICTIONS = {
    "pagination absent": (
        Response(200, {"status": "success"}, CLOCK),
        1,
        "the answer has no pagination",
    ),
    "pagination empty": (
        Response(200, {"pagination": ""}, CLOCK),
        1,
        "the answer has no pagination",
    ),
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
    "pages without calls": (
        answer([], records_returned=0, total_records=0, last_page=2),
        1,
        "the search holds too few calls for 2 pages",
    ),
    "one page of calls in two pages": (
        answer(CALLS, last_page=2),
        1,
        "the search holds too few calls for 2 pages",
    ),
    "full pages before the last without calls": (
        answer(CALLS, page=2, last_page=4, total_records=5),
        2,
        "the search holds too few calls for 4 pages",
    ),
    "no calls before the last page": (
        answer(CALLS, page=3, last_page=3, total_records=3),
        3,
        "the search holds too few calls for 3 pages",
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
    "total beyond any account": (
        answer(CALLS, total_records=10**18),
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
    "total grouped wrongly": (
        answer(CALLS, total_records="12,34"),
        1,
        "pagination.total_records is not a count",
    ),
    "total of Europe": (
        answer(CALLS, total_records="1.234"),
        1,
        "pagination.total_records is not a count",
    ),
    "total in powers of ten": (
        answer(CALLS, total_records=Decimal("1E+99")),
        1,
        "pagination.total_records is not a count",
    ),
    "page a fraction": (answer(CALLS, page=Decimal("1.5")), 1, "pagination.page is not a count"),
    "returned a list": (
        answer(CALLS, records_returned=[2]),
        1,
        "pagination.records_returned is not a count",
    ),
}


def test_repeated_calls_are_no_contradiction() -> None:
    """A join may repeat rows that the total does not count, so that pages hold more than asked."""
    page = read_page(
        answer([*CALLS, *CALLS], records_returned=4, last_page=2, total_records=4), 1, 2
    )
    assert isinstance(page, Page)
    assert page.last_page == 2


@pytest.mark.parametrize(
    ("contradiction", "number", "message"), CONTRADICTIONS.values(), ids=CONTRADICTIONS
)
def test_a_contradiction_is_asked_again(contradiction: Response, number: int, message: str) -> None:
    """An answer that is at odds with itself is not believed, and not shown."""
    with pytest.raises(RetriableAPIError) as caught:
        read_page(contradiction, number, PAGE_SIZE)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("odd", "number"),
    [
        (answer([], records_returned=0), 1),
        (answer([], records_returned=0, page=2, last_page=3), 2),
        (answer(CALLS, total_records=1), 1),
        (answer(CALLS, total_records=0), 1),
    ],
    ids=["total without calls", "a hole in the middle", "more than counted", "none counted"],
)
def test_a_page_that_shows_others_than_it_counts_is_no_proof(odd: Response, number: int) -> None:
    """Some servers always do so: whether they are believed is for the reader to say."""
    page = read_page(odd, number, PAGE_SIZE)
    assert isinstance(page, Page)
    assert not page.is_snapshot


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
    ("vendor", "said"),
    [
        ({}, ""),
        ({"status": "error"}, " (error)"),
        (
            {"status": "unauthorized", "message": "Your key is invalid"},
            " (unauthorized … key is invalid)",
        ),
        ({"message": "no\n call\tof 555-0100 for a@b.example %20x"}, " (no call of … for … …)"),
        ({"message": None, "status": 500}, " (…)"),
        ({"message": "a" * 300}, f" ({'a' * 200})"),
        ({"call": "canary"}, ""),
        ({"status": "OK", "message": "Call of Jane DOE-Roe lost"}, " (… … of … … lost)"),
        ({"message": "No: (see the 'notes'), Özal ünal x.y/z"}, " (… (see the 'notes'), … … …)"),
    ],
    ids=["empty", "status", "both", "personal", "code", "long", "body", "names", "marks"],
)
def test_the_vendors_words_are_shown_without_what_may_be_personal(
    vendor: dict[str, JSON], said: str
) -> None:
    """The vendor's message helps a person, but numbers, addresses and names stay out of it."""
    assert scrub_message(vendor, "key of nobody") == said
