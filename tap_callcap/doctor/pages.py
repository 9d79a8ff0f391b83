"""Questions about order, pages, totals and speed."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tap_callcap.api.errors import GaveUpError
from tap_callcap.doctor.answers import Finding, NotKnownError
from tap_callcap.doctor.examination import EVERYTHING, HOUR, minutes
from tap_callcap.instants import UTC
from tap_callcap.sync.pages import EMPTY_SEARCH_WINDOW
from tap_callcap.windows import MOST_PAGES

if TYPE_CHECKING:
    from tap_callcap.doctor.answers import Answer
    from tap_callcap.doctor.examination import Examination
    from tap_callcap.records.json import JSON

MAXIMUM = 1000  # calls a page, as documented
SMALL = 100  # calls a page, to compare its time with that of a large one
TIED = 50  # calls whose order is compared
NOTABLE = 1.0  # seconds a page; what is faster needs no advice
DEEP = 2000  # the last page of one call that is asked for
COUNTS = ("page", "last_page", "records_returned", "show", "total_records")


def _largest(x: Examination) -> Answer:
    """The first of the largest pages."""
    return x.search(order="newest", show=str(MAXIMUM))


def order(x: Examination) -> Finding:
    """Whether calls are sorted as asked for."""
    wrong = []
    for name, answer in (("newest", _largest(x)), ("oldest", x.search())):
        starts = [str(row.get("start_datetime") or "") for row in answer.rows]
        starts = [start for start in starts if start]
        if len(starts) < 2:  # noqa: PLR2004
            msg = "fewer than two calls were found"
            raise NotKnownError(msg)
        if starts != sorted(starts, reverse=name == "newest"):
            wrong.append(f"`{name}`")
    seen = f"not for {' and '.join(wrong)}" if wrong else "yes, by `start_datetime`"
    return Finding(seen)


def ties(x: Examination) -> Finding:
    """Whether calls that sort alike keep their order."""
    half = TIED // 2
    first, second = (x.search(order="account", again=again) for again in ("", "again"))
    if len(first.ids) <= half:
        msg = "too few calls were found"
        raise NotKnownError(msg)
    if first.ids != second.ids:
        return Finding("no: the same request is answered in another order")
    rest = x.search(order="account", show=str(half), page="2").ids
    if rest != first.ids[half:]:
        return Finding("no: another page size means another order")
    return Finding("yes, as far as was seen")


def page_beyond(x: Examination) -> Finding:
    """What the answer is to a page after the last."""
    beyond = _largest(x).count("last_page") + 1
    answer = x.search(order="newest", show=str(MAXIMUM), page=str(beyond))
    if not answer.is_success:
        return Finding(f"answered {answer.code}")
    if not answer.rows:
        return Finding("an empty page")
    if answer.count("page") != beyond or set(answer.ids) <= set(_largest(x).ids):
        return Finding("the last page again")
    return Finding("more calls: `last_page` and totals are too small")


def page_size(x: Examination) -> Finding:
    """How many calls a page may have."""
    answer = _largest(x)
    limit, expected = answer.count("show"), min(MAXIMUM, answer.total)
    if limit < MAXIMUM:
        change = f"`page_size`: {limit}" if x.settings.page_size > limit else ""
        return Finding(f"{limit:,}, whatever is asked for", change)
    if len(answer.rows) < expected:
        return Finding("pages show fewer calls than they count")
    return Finding(f"{MAXIMUM:,}" if expected == MAXIMUM else f"{MAXIMUM:,}, it says")


def totals(x: Examination) -> Finding:
    """Whether `total_records` counts all calls of a search."""
    whole, one = _largest(x).total, x.search(order="newest", show="1").total
    slack = 10 + whole // 100  # calls come and go meanwhile, and the parts share a minute
    if abs(whole - one) > slack:
        return Finding("no: it depends on the page size")
    modified = sorted(call.modified for call in x.known)
    if not modified:
        msg = "no call was found"
        raise NotKnownError(msg)
    middle = modified[len(modified) // 2]
    start, end = x.range
    parts = sum(
        x.search(show="1", **minutes(*part, x.limit_zone)).total
        for part in ((start, middle), (middle, end))
    )
    if parts > whole + slack:
        return Finding(f"no: a search counts at most {whole:,} calls, its parts count more")
    if parts < whole - slack:
        return Finding("no: the parts of a search count fewer calls than the whole")
    return Finding("yes: the parts of a search count as many calls as the whole")


def numbers(x: Examination) -> Finding:
    """How the numbers of a page are written, and whether `last_page` fits the total."""
    answer = _largest(x)
    forms = list(dict.fromkeys(_form(answer.counts.get(name)) for name in COUNTS))
    seen = f"as {' or '.join(forms)}"
    for page in (answer, x.search()):
        pages = page.total / max(page.count("show"), 1)
        last_page = page.count("last_page")
        if last_page < math.ceil(pages):
            is_down = last_page == max(math.floor(pages), 1)
            return Finding(f"{seen}; `last_page` is {'rounded down' if is_down else 'too small'}")
    return Finding(f"{seen}; `last_page` fits the total")


def _form(value: JSON) -> str:
    if isinstance(value, str):
        return "text with commas" if "," in value else "text"
    if value is None:
        return "nothing"
    return "whole numbers" if isinstance(value, int) else "numbers with decimals"


def depth(x: Examination) -> Finding:
    """How deep pages go."""
    deepest = min(x.search(order="newest", show="1").count("last_page"), DEEP)
    if deepest <= MOST_PAGES:
        msg = f"fewer than {MOST_PAGES} calls were found"
        raise NotKnownError(msg)
    seen = []
    for page in (deepest, MOST_PAGES):
        try:
            answer = x.search(show="1", page=str(page))
        except GaveUpError:
            seen.append(f"page {page:,} failed at each try")
            continue
        if answer.rows:
            return Finding(", ".join([*seen, f"page {page:,} is answered"]))
        seen.append(f"page {page:,} is empty" if answer.is_success else f"page {page:,} refused")
    return Finding(", ".join(seen))


def empty_search(x: Examination) -> Finding:
    """What the answer is to a search that finds nothing."""
    start = EMPTY_SEARCH_WINDOW.start
    limits = minutes(start, start + HOUR, UTC)
    answer = x.search(**limits)
    if not answer.is_success:
        return Finding(f"answered {answer.code}")
    calls = answer.body.get("call")
    form = f"`call` is {'null' if calls is None else 'not empty' if calls else 'empty'}"
    if "call" not in answer.body:
        form = "`call` is missing"
    return Finding(f"200, {form}, `last_page` is {answer.count('last_page')}")


def seconds_by_size(x: Examination) -> Finding:
    """How long pages of several sizes take."""
    answers = [x.search(order="newest", detail=EVERYTHING, show=str(SMALL)), x.sample]
    seen = ", ".join(f"{len(each.rows):,} calls: {each.seconds:.2f} s" for each in answers)
    is_slow = x.sample.seconds > x.settings.request_timeout.total_seconds() / 4
    smaller = max(x.settings.page_size // 2, 1)
    return Finding(seen, f"`page_size`: {smaller} or less" if is_slow else "")


def seconds_in_flight(x: Examination) -> Finding:
    """How long pages take if several are asked for at once."""
    alone = x.search(order="newest", detail=EVERYTHING, show=str(SMALL))
    count = min(x.settings.concurrency, alone.count("last_page"))
    if count < 2:  # noqa: PLR2004
        msg = f"there are fewer than two pages of {SMALL} calls, or `concurrency` is 1"
        raise NotKnownError(msg)

    def ask(page: int) -> float:
        shown = {"detail": EVERYTHING, "show": str(SMALL), "page": str(page)}
        return x.search(again="in flight", order="newest", **shown).seconds

    with ThreadPoolExecutor(count) as pool:
        seconds = list(pool.map(ask, range(1, count + 1)))
    mean = sum(seconds) / count
    seen = f"{SMALL} calls: {alone.seconds:.2f} s alone, {mean:.2f} s with {count} in flight"
    is_serial = mean > max(alone.seconds * count, NOTABLE)
    return Finding(seen, "`concurrency`: less" if is_serial else "")


def retries(x: Examination) -> Finding:
    """How many requests had to be repeated."""
    client = x.client
    seen = f"{client.retries} of {client.requests} requests"
    if not client.retries:
        return Finding(seen)
    return Finding(
        f"{seen}; the log says why",
        "`requests_per_second`, or a lower `concurrency`, if Callcap limits requests",
    )
