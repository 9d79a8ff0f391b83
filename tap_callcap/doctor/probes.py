"""The questions, as a table: text, whether the tap relies on the answer, and probe."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError

from tap_callcap.api.errors import GaveUpError
from tap_callcap.doctor import content, pages, times
from tap_callcap.doctor.answers import Finding, NotKnownError
from tap_callcap.doctor.report import Row
from tap_callcap.redaction import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_callcap.doctor.examination import Examination

logger = logging.getLogger("tap-callcap")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, whether the tap relies on the answer, and how it is found."""

    name: str
    text: str
    relies: str
    probe: Callable[[Examination], Finding]


_PROVED = "no: windows are proven by the ids seen"
_BOTH = "no: each window asks for a minute more at both ends"

QUESTIONS = (  # in the order in which they are asked
    Question("accounts", "Does the key list accounts?", "yes: `accounts`", content.accounts),
    Question(
        "range",
        "How long may the range of a search be?",
        "no: windows are cut where they fail",
        times.longest_range,
    ),
    Question(
        "zones",
        "Which time zones are accepted?",
        "yes: `timezone`, or US/Arizona if UTC is not accepted",
        times.zones,
    ),
    Question(
        "login_zone",
        "Which zone is used if none is named?",
        "no: it always names one",
        times.login_zone,
    ),
    Question(
        "newest_edit", "How old is the newest edit?", "no: it only shows delays", times.newest_edit
    ),
    Question(
        "zone_of_filter",
        "In which zone are the limits of `last_modified`?",
        "yes: in the zone asked for; else a run fails",
        times.zone_of_filter,
    ),
    Question(
        "zone_shown",
        "In which zone is `last_modified` shown?",
        "yes: in the zone asked for",
        times.zone_shown,
    ),
    Question(
        "repeated_hour",
        "Do times distinguish the two passes of the repeated autumn hour?",
        "no: around it runs look back three hours",
        times.repeated_hour,
    ),
    Question(
        "start_minute", "Is the first minute of a search included?", _BOTH, times.start_minute
    ),
    Question("end_minute", "Is the last minute of a search included?", _BOTH, times.end_minute),
    Question(
        "default_dates",
        "Does a search without dates find all calls?",
        "no: dates are always sent",
        times.default_dates,
    ),
    Question(
        "days",
        "Are the first and the last day of a search included?",
        "only filters by days",
        times.days,
    ),
    Question(
        "same_day",
        "May `search_enddate` be equal to `search_startdate`?",
        "no: it never asks so",
        times.same_day,
    ),
    Question(
        "weekdays",
        "In which zone is `search_daysofweek`?",
        "only `call_counts`, and filters by days",
        times.weekdays,
    ),
    Question("order", "Are calls sorted as asked for?", _PROVED, pages.order),
    Question("ties", "Do calls that sort alike keep their order?", _PROVED, pages.ties),
    Question(
        "page_beyond",
        "What is the answer to a page after the last?",
        "no: any answer is understood",
        pages.page_beyond,
    ),
    Question("page_size", "How many calls may a page have?", "yes: `page_size`", pages.page_size),
    Question(
        "totals",
        "Does `total_records` count all calls of a search?",
        "yes: windows are proven by it",
        pages.totals,
    ),
    Question(
        "numbers", "How are the numbers of a page written?", "no: all are read", pages.numbers
    ),
    Question("depth", "How deep do pages go?", "no: windows are cut to few pages", pages.depth),
    Question(
        "empty_search",
        "What is the answer to a search that finds nothing?",
        "no: any answer is understood",
        pages.empty_search,
    ),
    Question(
        "single_call", "Where is a single call?", "no: any place is understood", content.single_call
    ),
    Question(
        "no_call",
        "What is the answer for a call that does not exist?",
        "yes: a 404 with a `status`",
        content.no_call,
    ),
    Question(
        "sections", "Which sections do calls have?", "no: absent ones are empty", content.sections
    ),
    Question(
        "sections_of_all",
        "Which sections has `detail=all`?",
        "yes: as documented",
        content.sections_of_all,
    ),
    Question(
        "rows",
        "Has each call `call_id` and `last_modified`, and comes once?",
        "yes: else the minute cannot be read",
        content.rows,
    ),
    Question(
        "fields",
        "Which fields of calls does the schema not have?",
        "no: they go to `_extra`",
        content.fields,
    ),
    Question("csrs", "Does the key list call takers?", "yes: `csrs`", content.csrs),
    Question("minors", "Does the key list minors?", "no: no stream reads them", content.minors),
    Question(
        "seconds_by_size",
        "How long does a page take?",
        "yes: `request_timeout_seconds`",
        pages.seconds_by_size,
    ),
    Question(
        "seconds_in_flight",
        "How long does a page take with others in flight?",
        "no: only speed",
        pages.seconds_in_flight,
    ),
    Question(
        "late_edits",
        "How late do edits show up?",
        "yes: within `lookback_minutes`",
        times.late_edits,
    ),
    Question(
        "clock", "What does the `Date` of answers say?", "no: the earlier clock counts", times.clock
    ),
    Question(
        "retries", "How many requests were repeated?", "no: requests are retried", pages.retries
    ),
)


def rows_of(x: Examination) -> list[Row]:
    """The answers to all questions; one that cannot be asked does not end the others.

    Raises:
        FatalAPIError: If the first request shows that there is nothing to ask: the key is wrong,
            or no server answers.
    """
    return [_row(question, x) for question in QUESTIONS]


def _row(question: Question, x: Examination) -> Row:
    is_known = False
    try:
        finding = question.probe(x)
        is_known = True
    except NotKnownError as error:
        finding = Finding(str(error))
    except GaveUpError as error:
        logger.warning("%s", error)
        finding = Finding("the request failed at each try; the log says how")
    except FatalAPIError as error:
        if question is QUESTIONS[0]:
            raise
        logger.warning("%s", error)
        finding = Finding("the request failed; the log says how")
    except Exception as error:  # noqa: BLE001 - an answer may have any form
        logger.warning("%s", one_line(error))
        finding = Finding("the answer was not understood; the log says where")
    return Row(
        question.name, question.text, is_known, finding.seen, question.relies, finding.change
    )
