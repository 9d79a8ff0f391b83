"""Questions about what the key may see: addresses, sections and fields. Only names are shown."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tap_callcap.api.client import ACCOUNTS_PATH, CALLS_PATH, CSRS_PATH
from tap_callcap.doctor.answers import Finding, NotKnownError
from tap_callcap.doctor.examination import EVERYTHING, SECTIONS
from tap_callcap.doctor.names import outline, unknown_fields
from tap_callcap.records.schema import load_schema
from tap_callcap.redaction import redact_logs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_callcap.doctor.answers import Answer
    from tap_callcap.doctor.examination import Examination
    from tap_callcap.records.json import JSON

MINORS_PATH = "/get/callsurance/minors/"
NO_CALL = "1_1_01_01_2000_00:00:00_0"  # an id that no call has


def accounts(x: Examination) -> Finding:
    """Whether the key lists its accounts."""
    return _address(x.ask(ACCOUNTS_PATH, {}))


def csrs(x: Examination) -> Finding:
    """Whether the key lists call takers."""
    return _address(x.ask(CSRS_PATH, {}))


def minors(x: Examination) -> Finding:
    """Whether the key lists the minors, and what they look like."""
    return _address(x.ask(MINORS_PATH, {}))


def _address(answer: Answer) -> Finding:
    if not answer.is_success:
        return Finding(f"answered {answer.code}")
    return Finding(f"200, `{outline(dict(answer.body))}`")


def single_call(x: Examination) -> Finding:
    """Where the answer for a single call has it."""
    if not x.known:
        msg = "no call was found"
        raise NotKnownError(msg)
    call_id = x.known[0].call_id
    redact_logs((x.settings.api_key, call_id))  # the address of a request is logged if it fails
    answer = _one(x, call_id)
    if not answer.is_success:
        return Finding(f"answered {answer.code}")
    call = answer.body.get("call")
    if isinstance(call, list):
        place = "in a list under `call`"
    elif isinstance(call, dict):
        place = "as an object under `call`"
    else:
        place = "at the top level" if "call_id" in answer.body else "nowhere"
    return Finding(f"{place}, {'with' if answer.echo else 'without'} the zone")


def no_call(x: Examination) -> Finding:
    """What the answer is for a call that does not exist."""
    answer = _one(x, NO_CALL)
    return Finding(f"answered {answer.code}")


def _one(x: Examination, call_id: str) -> Answer:
    params = {"search_timezone": x.zone.key, "detail": "accounts"}
    return x.ask(f"{CALLS_PATH}{call_id}/", params)


def _rows(x: Examination) -> list[dict[str, JSON]]:
    if rows := x.sample.rows:
        return rows
    msg = "no call was found"
    raise NotKnownError(msg)


def sections(x: Examination) -> Finding:
    """Which sections calls have if all are asked for."""
    rows = _rows(x)
    filled = [name for name in SECTIONS if any(row.get(name) for row in rows)]
    shown = [name for name in SECTIONS if any(name in row for row in rows)]
    parts = {
        "with values": filled,
        "always empty": [name for name in shown if name not in filled],
        "never shown": [name for name in SECTIONS if name not in shown],
    }
    seen = [f"{words}: {_listed(names)}" for words, names in parts.items() if names]
    if x.search(order="newest", show=str(x.settings.page_size), detail=EVERYTHING).code == "400":
        seen.insert(0, "asking for all is refused (400), so asked for `all`")
    return Finding("; ".join(seen))


def sections_of_all(x: Examination) -> Finding:
    """Which sections `detail=all` has."""
    rows = x.search(order="newest", detail="all").rows
    if not rows:
        msg = "no call was found"
        raise NotKnownError(msg)
    return Finding(_listed(name for name in SECTIONS if any(name in row for row in rows)))


def rows(x: Examination) -> Finding:
    """Whether each call has what identifies it, and comes once."""
    wrong = []
    keys = ("call_id", "last_modified")
    if lacking := [name for name in keys if not all(row.get(name) for row in _rows(x))]:
        wrong.append(f"some lack {_listed(lacking)}")
    counted = Counter(str(row["call_id"]) for row in _rows(x) if row.get("call_id"))
    if any(count > 1 for count in counted.values()):
        wrong.append("some come twice on a page")
    return Finding(f"no: {' and '.join(wrong)}" if wrong else "yes")


def fields(x: Examination) -> Finding:
    """Which fields of calls the schema does not have."""
    names = unknown_fields(_rows(x), load_schema("calls"))
    return Finding(", ".join(f"`{name}`" for name in names) or "none")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
