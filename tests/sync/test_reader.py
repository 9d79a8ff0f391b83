"""What counts as proof, and what a reader keeps in memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

import pytest
from singer_sdk.exceptions import FatalAPIError

from support.running import done_at_once
from tap_callcap.api.errors import BadRequestError
from tap_callcap.api.responses import NothingFound, Page
from tap_callcap.instants import UTC, UnreadableError, format_instant
from tap_callcap.sync import minutes as minutes_module
from tap_callcap.sync.pages import Pages
from tap_callcap.sync.prefetch import SearchAnswer, Workers
from tap_callcap.sync.proof import Agreement, Proof, Whole
from tap_callcap.sync.reader import Reader
from tap_callcap.windows import Range, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_callcap.records.shaper import Version
    from tap_callcap.sync.prefetch import PageRequest

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
AUTUMN = datetime(2026, 11, 1, 7, 0, tzinfo=UTC)  # US/Central: 02:00 becomes 01:00 again


def versions_of(*ids: str) -> list[Version]:
    """Versions of calls that were modified at noon."""
    return [(call_id, "2026-01-01T12:00:00Z") for call_id in ids]


def page_of(*ids: str, total: int, number: int = 1, last_page: int = 3) -> Page:
    """A page with these calls of so many."""
    return Page(number, last_page, total, [{"call_id": each} for each in ids], NOON)


@pytest.mark.parametrize(
    ("pages", "is_whole"),
    [
        pytest.param([("a", "b"), ("c", "d"), ("e",)], True, id="all"),
        pytest.param([("a", "b"), ("c", "d"), ("d",)], False, id="one-twice"),
        pytest.param([("a", "b"), ("c", "d"), ("e", "f")], False, id="more-than-counted"),
    ],
)
def test_as_many_ids_as_are_counted_are_proof(pages: list[tuple[str, ...]], is_whole: bool) -> None:
    """Fewer may hide a call, and more contradict the count: neither proves anything."""
    proof = Proof()
    for number, ids in enumerate(pages, start=1):
        proof.add(page_of(*ids, total=5, number=number), 2, versions_of(*ids))
    assert proof.is_whole == is_whole


def test_another_last_page_begins_a_new_proof() -> None:
    """What was seen before the set of calls changed proves nothing about it now."""
    proof = Proof()
    proof.add(page_of("a", "b", total=4), 2, versions_of("a", "b"))
    for each in "cd":
        proof.add(page_of(each, total=4, last_page=4), 2, versions_of(each))
        assert not proof.is_whole


def test_a_set_that_shrinks_still_proves_itself() -> None:
    """What an answer shows that counts fewer calls was also there before it."""
    proof = Proof()
    proof.add(page_of("a", "b", total=5), 2, versions_of("a", "b"))
    proof.add(page_of("c", "d", total=4), 2, versions_of("c", "d"))
    assert not proof.is_whole, "a and b may be those that left, and two others be there"
    proof.add(page_of("a", total=3), 2, versions_of("a"))
    assert not proof.is_whole
    proof.add(page_of("b", total=3), 2, versions_of("b"))
    assert proof.is_whole, "all of the four were seen since there were four"


def test_a_page_that_shows_calls_beyond_the_count_spoils_the_proof() -> None:
    """One call that is not counted could make up for another that was missed."""
    proof = Proof()
    proof.add(page_of("a", "b", total=3, last_page=2), 2, versions_of("a", "b"))
    proof.add(page_of("b", "u", total=3, number=2, last_page=2), 2, versions_of("b", "u"))
    assert not proof.is_whole


def test_a_set_that_grows_begins_a_new_proof() -> None:
    """Within a pass answers may come in another order; after it, more calls have come in."""
    proof = Proof()
    for total, call_id in ((3, "a"), (4, "b"), (3, "c")):
        proof.add(page_of(call_id, total=total), 1, versions_of(call_id))
    proof.begin_pass()
    proof.add(page_of("d", total=4), 1, versions_of("d"))
    assert not proof.is_whole
    assert proof.ids == {"d"}


def test_pages_of_two_sizes_add_up() -> None:
    """Fewer and larger pages are no sign that the set has changed."""
    proof = Proof()
    proof.add(page_of("a", "b", total=4, last_page=2), 2, versions_of("a", "b"))
    proof.add(page_of("c", total=4, last_page=4), 1, versions_of("c"))
    proof.add(page_of("a", "d", total=4, last_page=2), 2, versions_of("a", "d"))
    assert proof.is_whole


def test_a_snapshot_is_proof_by_itself() -> None:
    """One answer that holds all rows that it counts needs no other, even if a row repeats."""
    proof = Proof()
    proof.add(page_of("a", "a", total=2, last_page=1), 2, versions_of("a", "a"))
    assert proof.is_whole


def passes(*shown: tuple[str, ...], total: int = 3) -> bool:
    """Whether passes that showed these ids agree."""
    agreement = Agreement()
    for ids in shown:
        agreement.add(versions_of(*ids), total)
    return agreement.is_reached


def test_ten_passes_in_a_row_must_agree() -> None:
    """Nine are not enough, nor ten with another one among them."""
    same = ("a", "b", "b")
    assert not passes(*[same] * 9)
    assert passes(*[same] * 10)
    assert passes(*[("b", "a", "b"), same] * 5), "the order does not matter"
    assert passes(*[same, ("a", "a", "b")] * 5), "how often a call is shown does not matter"
    assert not passes(*[same] * 9, ("a", "b", "c"), same)
    assert not passes(*[same] * 10, ("a", "b", "c"))
    assert passes(*[same] * 10, total=4), "calls that are counted need not be shown"


def test_ten_passes_must_count_the_same() -> None:
    """A pass after which the API counts other calls is not the same."""
    agreement = Agreement()
    for total in (4, *[3] * 9):
        agreement.add(versions_of("a", "b", "b"), total)
    assert not agreement.is_reached


class Id(str):  # noqa: FURB189 - a version holds a str
    """An id of which can be told whether it is still in memory."""

    __slots__ = ("__weakref__",)


def busy_minutes(window: Window, number: int, page_size: int) -> Page:
    """An API that counts two calls in each minute, and shows all only in single minutes."""
    minutes = window.length // MINUTE
    ids = [f"{window.start + minute * MINUTE} {n}" for minute in range(minutes) for n in (1, 2)]
    shown = ids[(number - 1) * page_size : number * page_size]
    if minutes > 1:
        shown = [ids[0]] * len(shown)
    calls = [{"call_id": each, "last_modified": each[:16]} for each in shown]
    return Page(number, -(-len(ids) // page_size), len(ids), calls, NOON)


@pytest.mark.parametrize("fetch", [busy_minutes])
def test_what_is_read_is_forgotten(fetch: Callable[[Window, int, int], Page]) -> None:
    """Memory does not grow with the windows: only versions of what is not proven are kept."""
    kept: list[weakref.ref[Id]] = []

    def decode(raw: object) -> tuple[Version, dict[str, object]]:
        assert isinstance(raw, dict)
        call_id = Id(raw["call_id"])
        kept.append(weakref.ref(call_id))
        at = datetime.fromisoformat(raw["last_modified"]).replace(tzinfo=UTC)
        return (call_id, format_instant(at)), {}

    span = Range(NOON, NOON + 64 * MINUTE, NOON + 600 * MINUTE, UTC)
    reader = Reader(Pages(fetched_from(fetch), 1, lambda: None), span, decode=decode, page_size=1)
    read = 0
    most = 0
    for event in reader.read(Window(NOON, span.upper)):
        if isinstance(event, Whole):
            most = max(most, sum(each() is not None for each in kept))
        else:
            read += len(event)
    assert read == 2 * 64
    assert len(kept) > read
    assert most <= 8


class NoSuchPageError(Exception):
    """What a search for a page after the last one finds."""


class Book:
    """A search over calls by id and moment, in the order of their ids; it can be told to refuse."""

    def __init__(self, calls: Mapping[str, datetime]) -> None:
        self.calls = dict(calls)
        self.asked: list[tuple[Window, int, int]] = []
        self.longest = timedelta.max
        self.deepest = 1000
        self.before_answer: Callable[[], object] = lambda: None

    def __call__(self, window: Window, number: int, page_size: int) -> Page:
        """A page of the calls modified in the minutes that are asked for."""
        self.asked.append((window, number, page_size))
        self.before_answer()
        if window.length > self.longest or number > self.deepest:
            msg = "400"
            raise BadRequestError(msg)
        found = sorted(
            call_id
            for call_id, at in self.calls.items()
            if window.asked_start <= at <= window.asked_end
        )
        rows = [
            {"call_id": call_id, "last_modified": self.calls[call_id]}
            for call_id in found[(number - 1) * page_size : number * page_size]
        ]
        last_page = max(1, -(-len(found) // page_size))
        if number > last_page:
            raise NoSuchPageError
        return Page(number, last_page, len(found), rows, NOON)

    @property
    def numbers(self) -> list[int]:
        """The numbers of the pages that were asked for."""
        return [number for _, number, _ in self.asked]

    @property
    def sizes(self) -> list[int]:
        """The sizes of the pages that were asked for."""
        return [size for _, _, size in self.asked]


def decode(raw: Any) -> tuple[Version, Any]:
    """The version of a row, and the row."""
    if raw["last_modified"] is None:
        msg = "no time"
        raise UnreadableError(msg)
    return (raw["call_id"], format_instant(raw["last_modified"])), raw["call_id"]


Search = Callable[[Window, int, int], SearchAnswer]


def fetched_from(search: Search) -> Callable[[PageRequest], SearchAnswer]:
    """A search as the reader calls it, whatever order and how many tries it asks for."""

    def fetch(asked: PageRequest) -> SearchAnswer:
        try:
            return search(asked.window, asked.number, asked.page_size)
        except NoSuchPageError:
            return NothingFound(200, "success", NOON)

    return fetch


def reader_of(  # noqa: PLR0913 - all that a reader is given
    book: Callable[[Window, int, int], SearchAnswer],
    *,
    page_size: int = 10,
    minutes: int = 60,
    settled: int = 600,
    concurrency: int = 1,
    check_alive: Callable[[], object] = lambda: None,
) -> Reader:
    """A reader of so many minutes from noon on, settled up to so many."""
    span = Range(NOON, NOON + minutes * MINUTE, NOON + settled * MINUTE, UTC)
    pages = Pages(fetched_from(book), concurrency, check_alive)
    return Reader(pages, span, decode=decode, page_size=page_size)


def minutes_of(windows: Iterable[Window]) -> list[tuple[int, int]]:
    """Windows as minutes from noon on."""
    return [((window.start - NOON) // MINUTE, (window.end - NOON) // MINUTE) for window in windows]


def read_all(
    reader: Reader, length: int = 60, first: Page | None = None
) -> tuple[list[str], list[tuple[int, int]]]:
    """The ids that come out, in order, and the windows that were read whole, in minutes."""
    ids: list[str] = []
    windows: list[Window] = []
    for event in reader.read(Window(NOON, NOON + length * MINUTE), first):
        if isinstance(event, Whole):
            windows.append(event.window)
        else:
            assert len(event) <= 32, "few calls at a time"
            ids += cast("list[str]", event)
    return ids, minutes_of(windows)


def calls_at(*seconds: float) -> dict[str, datetime]:
    """A call at each of these seconds after noon."""
    return {f"{n:05}": NOON + timedelta(seconds=at) for n, at in enumerate(seconds)}


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer each request at once."""
    monkeypatch.setattr(Workers, "submit", done_at_once)


def test_nothing_to_read_asks_for_nothing() -> None:
    """A run that begins at its end makes no request."""
    book = Book(calls_at(0))
    assert list(reader_of(book).read(None)) == []
    assert book.asked == []


def test_windows_follow_each_other_to_the_end_of_the_range() -> None:
    """The next window begins where the last one ended, twice as long where calls are few."""
    book = Book(calls_at(5, 605, 3000))
    assert read_all(reader_of(book), 10) == (
        ["00000", "00001", "00002"],
        [(0, 10), (10, 30), (30, 60)],
    )
    assert book.numbers == [1, 1, 1]
    assert book.sizes == [10, 10, 10]


def test_a_page_that_is_known_is_not_asked_for() -> None:
    """The answer that settled zone and clock serves as the first page of the first window."""
    book = Book(calls_at(5, 605, 3000))
    first = book(Window(NOON, NOON + 30 * MINUTE), 1, 10)
    assert read_all(reader_of(book), 30, first) == (
        ["00000", "00001", "00002"],
        [(0, 30), (30, 60)],
    )
    assert minutes_of(window for window, _, _ in book.asked) == [(0, 30), (30, 60)]


def test_calls_of_the_neighbours_are_left_to_them() -> None:
    """The minutes around a window are asked for as well; what they hold comes once."""
    book = Book(calls_at(599.5, 600, 600.5, 1799, 1800))
    assert read_all(reader_of(book), 10) == (
        ["00000", "00001", "00002", "00003", "00004"],
        [(0, 10), (10, 30), (30, 60)],
    )


def test_a_refused_window_is_halved_and_none_is_longer_after_it() -> None:
    """What the API said of the longest window holds for the rest of the run."""
    book = Book(calls_at(1, 3000))
    book.longest = 20 * MINUTE
    ids, windows = read_all(reader_of(book), 40)
    assert ids == ["00000", "00001"]
    assert windows == [(0, 20), (20, 40), (40, 60)]
    assert minutes_of(window for window, _, _ in book.asked) == [(0, 40), *windows]


@pytest.mark.parametrize(
    "why", ["refused", "round total", "not proven", "many pages", "newer", "partly newer"]
)
def test_no_window_is_cut_inside_a_repeated_hour(why: str) -> None:
    """Its times have two meanings, so it is read at once, whatever there is to cut a window for."""
    hours = timedelta(hours=2)
    count = 500 if why == "round total" else 31 if why == "many pages" else 20
    book = Book({f"{n:05}": AUTUMN - hours + 2 * hours * n / count for n in range(count)})
    settled = {"newer": -hours, "partly newer": timedelta()}.get(why, 10 * hours)
    page_size = {"many pages": 1, "newer": 15, "partly newer": 15}.get(why, 10)
    span = Range(AUTUMN - hours, AUTUMN + hours, AUTUMN + settled, ZoneInfo("US/Central"))
    if why == "refused":
        book.longest = 1.6 * hours
    search = repeating(book, until=5) if why == "not proven" else book
    pages = Pages(fetched_from(search), 1, lambda: None)
    reader = Reader(pages, span, decode=decode, page_size=page_size)
    events = reader.read(Window(span.start, span.upper))
    windows = [event.window for event in events if isinstance(event, Whole)]
    assert windows[-1].end == span.upper
    assert len(windows) > 1
    for window in windows + [window for window, _, _ in book.asked]:
        assert not AUTUMN - hours / 2 < window.end < AUTUMN + hours / 2


def test_a_refused_minute_ends_the_run() -> None:
    """A window that cannot be cut is not given up in silence."""
    book = Book({})
    book.longest = timedelta(0)
    with pytest.raises(FatalAPIError, match="400"):
        read_all(reader_of(book), 60)
    assert minutes_of(window for window, _, _ in book.asked)[-1] == (0, 1)


@pytest.mark.parametrize(
    ("calls", "windows"),
    [
        (499, [(0, 6)]),
        (500, [(0, 3), (3, 6)]),
        (501, [(0, 6)]),
        (1000, [(0, 3), (3, 6)]),
    ],
    ids=str,
)
def test_a_round_total_is_not_believed_of_what_can_be_cut(
    calls: int, windows: list[tuple[int, int]]
) -> None:
    """An API that counts no further than it shows does not hide calls of a long window."""
    book = Book(calls_at(*(360 * n / calls for n in range(calls))))
    assert read_all(reader_of(book, page_size=2000, minutes=6), 6)[1] == windows


def test_a_window_that_is_partly_settled_is_cut_where_that_ends() -> None:
    """The settled part is read page by page, which the other one is not."""
    book = Book(calls_at(*range(30, 1800, 120)))
    reader = reader_of(book, minutes=30, settled=10)
    assert read_all(reader, 30) == (sorted(book.calls), [(0, 10), (10, 30)])
    asked = minutes_of(window for window, _, _ in book.asked)
    assert list(dict.fromkeys(asked)) == [(0, 30), (0, 10), (10, 30)]


def test_a_newer_window_of_less_than_a_page_is_read_at_once() -> None:
    """One answer that holds all of its window needs no other, settled or not."""
    book = Book(calls_at(*range(9)))
    assert read_all(reader_of(book, minutes=5, settled=0), 5)[1] == [(0, 5)]
    assert len(book.asked) == 1


def test_a_newer_window_of_exactly_a_page_is_read_after_a_look_beyond() -> None:
    """The page after it shows whether that was all, and the newest call whether there is more."""
    book = Book(calls_at(*range(10)))
    assert read_all(reader_of(book, minutes=5, settled=0), 5)[1] == [(0, 5)]
    assert book.numbers == [1, 2, 1]


def test_a_newer_minute_of_more_than_a_page_ends_the_reading() -> None:
    """It is left to the next run, and so is all that follows it."""
    book = Book(calls_at(*range(11), 400))
    assert read_all(reader_of(book, minutes=10, settled=0), 1) == ([], [])
    assert book.numbers == [1]


def test_a_newer_minute_of_a_round_total_ends_the_reading_too() -> None:
    """What cannot be cut is not read page by page while calls still come, however round it is."""
    book = Book(calls_at(*(n % 50 for n in range(500))))
    assert read_all(reader_of(book, page_size=100, minutes=10, settled=0), 1) == ([], [])
    assert book.numbers == [1]


def test_a_window_before_a_repeated_hour_is_newer_until_its_second_pass() -> None:
    """Its end may mean the second 01:00, so calls may still come: no page 2 is asked for."""
    border = AUTUMN - timedelta(hours=1)
    book = Book({f"{n:05}": border - n * MINUTE for n in range(20)})
    span = Range(border - 20 * MINUTE, border, AUTUMN - 30 * MINUTE, ZoneInfo("US/Central"))
    reader = Reader(Pages(fetched_from(book), 1, lambda: None), span, decode=decode, page_size=10)
    assert any(isinstance(event, Whole) for event in reader.read(Window(span.start, span.upper)))
    assert set(book.numbers) == {1}


def test_a_newer_window_is_cut_by_its_total() -> None:
    """Into as many parts as seven tenths of a page go into what it holds."""
    book = Book(calls_at(*range(0, 1200, 60), 1190))  # 21 calls: three times seven
    read_all(reader_of(book, minutes=20, settled=0), 20)
    assert minutes_of([book.asked[1][0]]) == [(0, 6)]
    book = Book(calls_at(*range(0, 1200, 60), 1190, 1191))
    read_all(reader_of(book, minutes=20, settled=0), 20)
    assert minutes_of([book.asked[1][0]]) == [(0, 5)]


def test_a_newer_window_of_little_more_than_a_page_is_cut_in_two() -> None:
    """Also where pages hold a single call, of which seven tenths are none."""
    book = Book(calls_at(*range(0, 1100, 100)))
    read_all(reader_of(book, minutes=20, settled=0), 20)
    assert minutes_of([book.asked[1][0]]) == [(0, 10)]
    book = Book(calls_at(*range(0, 1200, 300)))
    read_all(reader_of(book, page_size=1, minutes=20, settled=0), 20)
    assert minutes_of([book.asked[1][0]]) == [(0, 5)]


@pytest.mark.parametrize(("calls", "part"), [(300, 10), (301, 3), (599, 2), (900, 2)], ids=str)
def test_a_window_of_too_many_pages_is_cut(calls: int, part: int) -> None:
    """Thirty pages are read; more are cut into parts of fifteen or so, four of them at most."""
    book = Book(calls_at(*(n % 540 for n in range(calls))))
    ids, windows = read_all(reader_of(book, minutes=10), 10)
    assert sorted(ids) == sorted(book.calls)
    assert windows[0] == (0, part)


def test_the_parts_of_a_window_are_what_is_asked_for_next() -> None:
    """They, and not what the density would suggest, also where that is ahead of need."""
    book = Book(calls_at(*(n % 540 for n in range(301))))
    _, windows = read_all(reader_of(book, minutes=10), 10)
    assert windows == [(0, 3), (3, 6), (6, 10)]
    assert set(minutes_of(window for window, _, _ in book.asked)) == {(0, 10), *windows}


def test_pages_come_from_the_first_to_the_last() -> None:
    """A settled window is read page by page, each of them once, in few requests."""
    book = Book(calls_at(*range(35)))
    ids, windows = read_all(reader_of(book, minutes=10), 10)
    assert ids == sorted(book.calls)
    assert windows == [(0, 10)]
    assert sorted(book.numbers) == [1, 2, 3, 4]


def test_an_api_that_refuses_deep_pages_is_asked_for_fewer() -> None:
    """A window whose third page is refused is cut, and later ones are short enough at once."""
    book = Book(calls_at(*range(0, 1200, 30)))
    book.deepest = 2
    ids, windows = read_all(reader_of(book, minutes=20), 20)
    assert sorted(ids) == sorted(book.calls)
    assert len([number for number in book.numbers if number > 2]) <= 2
    assert windows[0] == (0, 3)


def test_a_refusal_of_the_last_page_is_remembered_too() -> None:
    """Later windows have no more pages than the API has shown to allow."""
    book = Book(calls_at(*range(20, 3600, 40)))
    book.deepest = 2
    ids, _ = read_all(reader_of(book), 20)
    assert sorted(ids) == sorted(book.calls)
    beyond = 1  # which is asked for in any case, where the last page is full
    assert [number for number in book.numbers if number > 2] == [3] * (1 + beyond)


def repeating(book: Book, until: int = 0) -> Callable[[Window, int, int], Page]:
    """The search of `book`, which shows a call again in place of another on pages above a size."""

    def search(window: Window, number: int, page_size: int) -> Page:
        page = book(window, number, page_size)
        if page_size > until:
            again = {"call_id": "00000", "last_modified": NOON}
            page.calls = [again if row["call_id"] == "00010" else row for row in page.calls]
        return page

    return search


def test_a_lone_minute_is_read_backwards_by_smaller_and_smaller_pages() -> None:
    """Each pass asks for pages that are a call smaller, down to half, until one proves all."""
    book = Book(calls_at(*range(35)))
    ids, windows = read_all(reader_of(repeating(book, until=5), minutes=1), 1)
    assert sorted(ids) == sorted(book.calls)
    assert len(ids) == len(set(ids))
    assert windows == [(0, 1)]
    passes = [(size, number) for _, number, size in book.asked[4:-2]]
    expected = [(10, n) for n in (4, 3, 2, 1)]
    expected += [(9, n) for n in (4, 3, 2, 1)] + [(8, n) for n in (5, 4, 3, 2, 1)]
    expected += [(7, n) for n in (5, 4, 3, 2, 1)] + [(6, n) for n in (6, 5, 4, 3, 2, 1)]
    expected += [(5, n) for n in (7, 6, 5, 4, 3, 2, 1)]  # the last two ahead of need
    assert passes == expected


def test_passes_with_pages_of_two_sizes_prove_a_minute_together() -> None:
    """One of them shows the call that the other one does not."""
    book = Book(calls_at(*range(35)))

    def search(window: Window, number: int, page_size: int) -> Page:
        """Show a call again in place of others, each of which shows on pages of one size."""
        page = book(window, number, page_size)
        again = {"call_id": "00000", "last_modified": NOON}
        hidden = {"00010": 9, "00020": 8}
        page.calls = [
            again if hidden.get(row["call_id"], page_size) != page_size else row
            for row in page.calls
        ]
        return page

    ids, windows = read_all(reader_of(search, minutes=1), 1)
    assert sorted(ids) == sorted(book.calls)
    assert windows == [(0, 1)]
    assert sorted(set(book.sizes)) == [8, 9, 10]


def test_a_minute_of_which_a_call_never_shows_is_believed_after_ten_passes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whole passes that agree are the most that can be had, and the log says so."""
    book = Book(calls_at(*range(35)))
    ids, windows = read_all(reader_of(repeating(book), minutes=1), 1)
    assert sorted(ids) == sorted(set(book.calls) - {"00010"})
    assert windows == [(0, 1)]
    assert sorted(set(book.sizes)) == [5, 6, 7, 8, 9, 10]
    assert book.numbers[4:].count(1) == 10 + 1  # 35 calls fill pages of five
    assert "10 passes" in caplog.text
    assert "2026-01-01 12:00" in caplog.text


def test_a_minute_that_never_stands_still_ends_the_run() -> None:
    """After thirty passes that differ the minute is named, and nothing after it is read."""
    book = Book(calls_at(*range(35)))

    def search(window: Window, number: int, page_size: int) -> Page:
        """Show now one call and now another in place of the one that never shows."""
        page = book(window, number, page_size)
        again = {"call_id": f"0000{book.numbers.count(1) % 2}", "last_modified": NOON}
        page.calls = [again if row["call_id"] == "00010" else row for row in page.calls]
        return page

    with pytest.raises(FatalAPIError, match="2026-01-01 12:00 to 2026-01-01 12:01"):
        read_all(reader_of(search, minutes=2), 1)
    assert book.numbers[4:].count(1) == 30


def test_a_minute_of_more_pages_than_can_be_is_not_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Up to the most pages that a minute can have it is; one more, and the run ends at once."""
    monkeypatch.setattr(minutes_module, "MOST_PAGES_OF_A_MINUTE", 4)
    book = Book(calls_at(*range(40)))
    assert read_all(reader_of(repeating(book, until=5), minutes=1), 1)[1] == [(0, 1)]
    book = Book(calls_at(*range(41)))
    with pytest.raises(FatalAPIError, match="2026-01-01 12:00 to 2026-01-01 12:01"):
        read_all(reader_of(repeating(book, until=5), minutes=1), 1)
    assert set(book.numbers) == {1}


def test_a_page_that_is_gone_begins_a_pass_anew() -> None:
    """Where calls left a minute while it is read, its last page is asked for no longer."""
    book = Book(calls_at(*range(35)))

    def leave() -> None:
        if len(book.asked) == 4:
            for call_id in sorted(book.calls)[12:]:
                del book.calls[call_id]

    book.before_answer = leave
    ids, windows = read_all(reader_of(book, minutes=1), 1)
    assert set(ids) >= set(book.calls)
    assert windows == [(0, 1)]
    assert len(book.asked) <= 12


@pytest.mark.parametrize(("limit", "passes"), [(20, 4), (0, 3)])
def test_requests_for_a_minute_that_changes_have_a_limit(
    limit: int, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as allowed, but a few passes in any case; then the run ends."""
    monkeypatch.setattr(minutes_module, "MOST_REQUESTS", limit)
    book = Book(calls_at(*range(35)))

    def search(window: Window, number: int, page_size: int) -> Page:
        """Show another call each time in place of the one that never shows."""
        page = book(window, number, page_size)
        again = {"call_id": f"0000{len(book.asked) % 9}", "last_modified": NOON}
        page.calls = [again if row["call_id"] == "00010" else row for row in page.calls]
        return page

    with pytest.raises(FatalAPIError, match=r"12:00 to .* kept changing"):
        read_all(reader_of(search, minutes=1), 1)
    assert book.numbers[4:].count(1) == passes


def test_a_row_that_cannot_be_read_ends_the_run() -> None:
    """The line names the minute and says why and what to do, and nothing of the row."""
    book = Book(calls_at(0, 1))

    def spoil(window: Window, number: int, page_size: int) -> Page:
        page = book(window, number, page_size)
        for row in page.calls:
            row["last_modified"] = None if row["call_id"] == "00001" else row["last_modified"]
        return page

    with pytest.raises(FatalAPIError) as caught:
        read_all(reader_of(spoil, minutes=1), 1)
    assert "12:00 to 2026-01-01 12:01 UTC: no time" in str(caught.value)
    assert '"2026-01-01T12:00Z/2026-01-01T12:01Z" to the setting accepted_gaps' in str(caught.value)


# Answers without a page.


def nothing(code: int = 404, status: str = "not found") -> NothingFound:
    """An answer without a page."""
    return NothingFound(code, status, NOON)


EMPTY = Page(1, 1, 0, [], NOON)


@pytest.mark.parametrize(
    ("answers", "is_believed"),
    [
        ([EMPTY], True),
        ([nothing(), EMPTY], True),
        ([nothing(), nothing(), nothing()], True),
        ([nothing(), nothing(204, "not found"), nothing()], False),
        ([nothing(), nothing(404, "gone"), nothing()], False),
        ([nothing(), nothing(), nothing(204, "not found")], False),
        ([nothing(), nothing(), nothing(404, "gone")], False),
        ([nothing(), nothing(), EMPTY], False),
    ],
    ids=["a-page", "once", "all", "code", "status", "control-code", "control-status", "control"],
)
def test_an_empty_window_is_believed_when_all_answers_say_so(
    answers: list[Page | NothingFound], is_believed: bool
) -> None:
    """The same answer twice, and to a search that must be empty; then the API must be alive."""
    asked: list[tuple[Window, int]] = []
    alive: list[None] = []

    def search(window: Window, number: int, page_size: int) -> Page | NothingFound:
        del page_size
        asked.append((window, number))
        return answers[(len(asked) - 1) % len(answers)]

    reader = reader_of(search, minutes=1, check_alive=lambda: alive.append(None))
    if is_believed:
        assert read_all(reader, 1) == ([], [(0, 1)])
        assert len(alive) == (len(answers) == 3)
    else:
        with pytest.raises(FatalAPIError, match=r"2026-01-01 12:00 to .* answered 404"):
            read_all(reader, 1)
        assert not alive
        del asked[len(answers) :]
    assert len(asked) == len(answers)
    assert {number for _, number in asked} == {1}
    assert minutes_of(window for window, _ in asked[:2]) == [(0, 1)] * min(2, len(answers))
    assert all(window.end < NOON - timedelta(days=9000) for window, _ in asked[2:])


# What is asked for ahead of need.


def asked_until(event_count: int, book: Book, reader: Reader, length: int = 10) -> str:
    """What was asked for when so many events have come: where windows begin, and page numbers."""
    events = reader.read(Window(NOON, NOON + length * MINUTE))
    for _ in range(event_count):
        next(events)
    starts = minutes_of(window for window, _, _ in book.asked)
    return " ".join(f"{start}:{n}" for (start, _), n in zip(starts, book.numbers, strict=True))


@pytest.mark.parametrize(
    ("concurrency", "event_count", "asked"),
    [
        (1, 1, "0:1 10:1 0:2"),
        (1, 4, "0:1 10:1 0:2 0:3 0:4 30:1"),
        (2, 1, "0:1 10:1 0:2 0:3 0:4"),
        (2, 3, "0:1 10:1 0:2 0:3 0:4 30:1 10:2"),
        (4, 1, "0:1 10:1 0:2 0:3 0:4 30:1 10:2 10:3 10:4"),
        (4, 7, "0:1 10:1 0:2 0:3 0:4 30:1 10:2 10:3 10:4 10:5 10:6 10:7 30:2 30:3"),
    ],
)
def test_pages_are_asked_for_ahead_of_need(concurrency: int, event_count: int, asked: str) -> None:
    """The first page of the next window, then the other pages of this one, twice `concurrency`."""
    book = Book(calls_at(*range(0, 3600, 20)))
    assert asked_until(event_count, book, reader_of(book, concurrency=concurrency)) == asked


def test_parts_that_wait_are_asked_for_ahead_of_need() -> None:
    """After a window was cut, its next part is what comes next."""
    book = Book(calls_at(*range(0, 3600, 20)))
    book.longest = 10 * MINUTE
    asked = asked_until(7, book, reader_of(book, concurrency=2), 20)
    assert asked == "0:1 0:1 10:1 0:2 0:3 0:4 20:1 10:2 10:3 10:4 30:1"


def test_nothing_is_asked_for_behind_what_will_be_cut() -> None:
    """A newer window of many pages is not read as it is, so its pages are not asked for."""
    book = Book(calls_at(*range(0, 3600, 60)))
    asked = asked_until(4, book, reader_of(book, concurrency=4, settled=20), 20)
    assert asked == "0:1 20:1 0:2 0:3"


def test_a_refusal_ahead_of_need_does_not_touch_the_window_in_hand() -> None:
    """It counts once that window is read."""
    book = Book(calls_at(*range(0, 3600, 20)))
    book.longest = 10 * MINUTE
    asked = asked_until(7, book, reader_of(book, concurrency=2))
    assert asked == "0:1 10:1 0:2 0:3 0:4 10:1 20:1 10:2 10:3 10:4 30:1"


class Late(Future[Any]):
    """An answer that comes when somebody waits for it."""

    def __init__(self, job: Callable[[], Any]) -> None:
        super().__init__()
        self._job = job

    def result(self, timeout: float | None = None) -> Any:
        """Run the job, and return what it returns."""
        if not self.done():
            self.set_result(self._job())
        return super().result(timeout)


def test_nothing_is_asked_for_before_it_is_known_what_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which window follows depends on the first page of this one, which must have come."""
    submitted: list[Late] = []

    def submit(_: Workers, job: Callable[[], Any]) -> Late:
        submitted.append(Late(job))
        return submitted[-1]

    monkeypatch.setattr(Workers, "submit", submit)
    book = Book(calls_at(*range(0, 3600, 20)))
    events = reader_of(book, concurrency=4).read(Window(NOON, NOON + 10 * MINUTE))
    counts = [len(submitted) for _ in events]
    assert counts[:6] == [5, 5, 5, 5, 5, 12]
