"""Random answers, configs, states and catalogs: any JSON in any place, and any bytes.

An input is made of a seed, and so can be made again: `one("answers", 4711)`. It may be taken or
refused in one line; whatever else happens is a find.
"""

from __future__ import annotations

import json
import logging
import re
import signal
import time
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from io import StringIO
from random import Random
from typing import TYPE_CHECKING, Any, NoReturn
from unittest.mock import patch

from jsonschema import Draft202012Validator
from singer_sdk.exceptions import ConfigurationError, FatalAPIError

from support.canaries import HASH_KEY, KEY, NAME, NUMBER, RECORDING, plant
from support.fast_time import fast_time
from support.histories import BEGINNING, KillableWriter
from support.running import FORMATS, STREAMS, catalog_of, done_at_once, state_at
from tap_callcap.api import client
from tap_callcap.redaction import RedactionFilter
from tap_callcap.sandbox import CallBook, Callcap, made_up_calls
from tap_callcap.settings import SETTINGS
from tap_callcap.singer.inputs import check_catalog, check_state, read_json_object
from tap_callcap.sync.prefetch import Workers
from tap_callcap.tap import TapCallcap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from typing_extensions import Self

    from tap_callcap.sandbox import Answer

JSON = Any
LONGEST = 20  # seconds for an input that takes some hundredths of one
KINDS = ("answers", "inputs", "config")
CANARIES = {  # what must not be in the log; what a person wrote into a file may be named
    "answers": (KEY, HASH_KEY, NUMBER, NAME, RECORDING),
    "inputs": (KEY, HASH_KEY),
    "config": (KEY, HASH_KEY),
}
START = BEGINNING - timedelta(days=20)
CATALOG = json.loads(json.dumps(catalog_of(*STREAMS)))
STATE = state_at((BEGINNING - timedelta(days=5)).strftime("%Y-%m-%dT%H:%M:%SZ"))

# What JSON's encoder would not write, in place of these texts.
LITERALS = {
    '"@nan"': "NaN",
    '"@infinity"': "-Infinity",
    '"@4400"': "9" * 4400,
    '"@exponent"': "1e999999999999999999999",
    '"@digits"': "0." + "12345678" * 100,
    '"@deep"': '{"a":' * 300 + "[]" + "}" * 300,
    '"@deeper"': "[" * 990 + "]" * 990,
    '"@surrogate"': r'"\ud800x"',
    '"@nul"': r'"\u0000x"',
}
PLAIN: tuple[JSON, ...] = (
    *(None, True, False, 0, 1, -1, 2**63, -(2**63), 10**400, 1e308, 0.1, "", " ", "0", "1", "-5"),
    *("true", "null", "NF", "x" * 3000, "é\u2028\x85", "2026-03-01 10:00:00", "2026-03-01"),
    *("0000-00-00 00:00:00", "9999-12-31 23:59:59", "0001-01-01", "2026-02-30", "10:00"),
    *("success", "UTC", "US/Arizona", NUMBER, NAME, RECORDING, [], {}, [[]], [{}], [None]),
    *(literal.strip('"') for literal in LITERALS),
)


class HangError(BaseException):
    """An input took too long; nothing may handle it."""


@dataclass
class Tally:
    """What became of many inputs; `finds` are kind, seed and what happened."""

    outcomes: Counter[str] = field(default_factory=Counter)
    records: int = 0
    finds: list[tuple[str, int, str]] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        """How many inputs were tried."""
        return self.outcomes.total()

    def __add__(self, other: Tally) -> Tally:
        """Both together."""
        outcomes = self.outcomes + other.outcomes
        return Tally(outcomes, self.records + other.records, self.finds + other.finds)


class Log(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(record.getMessage())


class Session:
    """Stands for the HTTP below the client: a Callcap's answers, some of them changed."""

    def __init__(self, callcap: Callcap, change: Callable[[Answer], Answer]) -> None:
        self._callcap = callcap
        self._change = change
        self.headers: dict[str, str] = {}

    def get(self, url: str, *, params: Mapping[str, str], **_: object) -> Response:
        """An answer."""
        path = re.sub(r"^https?://[^/]+", "", url)
        return Response(self._change(self._callcap.answer(path, params, f"Bearer {KEY}")))


class Response:
    """What the client uses of a response of requests."""

    def __init__(self, found: Answer) -> None:
        self.status_code = found.status
        self.headers = found.headers
        self.encoding = "utf-8"
        self.raw = self
        self._body = found.body

    def read1(self, _: int, *, decode_content: bool) -> bytes:
        """All of the body, and then nothing."""
        assert not decode_content  # no answer here is encoded
        body, self._body = self._body, b""
        return body

    def __enter__(self) -> Self:
        """Be of use."""
        return self

    def __exit__(self, *_: object) -> None:
        """Be of no more use."""


def any_json(rng: Random, depth: int = 3) -> JSON:
    """A value: mostly one that is odd, sometimes a few of them."""
    kind = rng.random()
    if depth == 0 or kind < 0.7:
        return deepcopy(rng.choice(PLAIN))
    if kind < 0.85:
        return [any_json(rng, depth - 1) for _ in range(rng.randrange(3))]
    return {any_name(rng): any_json(rng, depth - 1) for _ in range(rng.randrange(3))}


def any_name(rng: Random) -> str:
    """The name of a field: one that is known, or not."""
    known = (
        "call_id",
        "caller",
        "name",
        "type",
        "properties",
        "items",
        "_extra",
        "streams",
        "page",
    )
    return rng.choice((*known, "", "a.b", "0", "é", NAME, NUMBER, "selected", "bookmarks"))


def places_of(value: JSON) -> Iterator[tuple[JSON, JSON]]:
    """Every place in a value, as a container and the key or index in it."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys if isinstance(value, (dict, list)) else ():
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from places_of(value[key])


def spoil(value: JSON, rng: Random) -> JSON:
    """`value`, changed in some places."""
    whole = [value]
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        container, key = rng.choice(list(places_of(whole)))
        action = rng.random()
        if action < 0.6:
            container[key] = any_json(rng)
        elif action < 0.75 and container is not whole:
            del container[key]
        elif action < 0.9 and isinstance(container, dict):
            container[any_name(rng)] = any_json(rng)
        elif isinstance(container, list) and container is not whole:
            container.insert(key, deepcopy(container[key]))
    return whole[0]


def as_bytes(value: JSON) -> bytes:
    """JSON text, with literals that JSON's encoder would not write."""
    text = json.dumps(value, separators=(",", ":"))
    for name, literal in LITERALS.items():
        text = text.replace(name, literal)
    return text.encode()


def spoiled_bytes(body: bytes, rng: Random) -> bytes:
    """Bytes of which some are missing, doubled or others."""
    changed = bytearray(body)
    for _ in range(rng.choice([1, 2, 10])):
        at = rng.randrange(len(changed) + 1)
        length = rng.choice([1, 1, 5, 500])
        action = rng.randrange(3)
        if action == 0:
            del changed[at : at + length]
        elif action == 1:
            changed[at:at] = changed[max(0, at - length) : at]
        else:
            changed[at : at + 1] = rng.randbytes(length % 7)
    return bytes(changed)


def changes(rng: Random) -> Callable[[Answer], Answer]:
    """What happens to each answer of a run."""
    often = rng.choice([0.2, 0.5, 1])

    def change(found: Answer) -> Answer:
        if not found.body or rng.random() > often:
            return found
        if rng.random() < 0.15:
            return replace(found, body=spoiled_bytes(found.body, rng))
        body = as_bytes(spoil(json.loads(found.body), rng))
        codes = (200, 404, 400, 401, 500)
        status = found.status if rng.random() < 0.9 else rng.choice(codes)
        return replace(found, status=status, body=body)

    return change


def account() -> Callcap:
    """A small account, full of canaries."""
    book = CallBook(made_up_calls(7, seed=3, start=START, end=BEGINNING))
    plant(book)
    return Callcap(book, clock=lambda: BEGINNING + timedelta(days=9), api_key=KEY)


def config_of(**settings: Any) -> dict[str, Any]:
    """The config that reads the small account."""
    given = {"api_key": KEY, "api_url": "http://127.0.0.1/v2", "start_date": START.isoformat()}
    return {**given, "page_size": 3, "concurrency": 1, "retry_minutes": 0.01, **settings}


def run_of(change: Callable[[Answer], Answer], **given: Any) -> list[dict[str, Any]]:
    """The messages of a run against answers that are changed."""
    writer = KillableWriter()
    session = Session(account(), change)
    with (
        patch.object(client, "open_session", lambda **_: session),
        fast_time(),
        patch.object(Workers, "submit", done_at_once),
    ):
        TapCallcap(message_writer=writer, **{"config": config_of(), **given}).sync_all()
    return writer.lines


def answers(rng: Random) -> list[dict[str, Any]]:
    """A run whose answers are spoiled."""
    settings: list[dict[str, Any]] = [
        {},
        {"hash_fields": ["caller.name", "summaries[].text"], "hash_key": HASH_KEY},
        {"flattening_enabled": True, "flattening_max_depth": 3},
        {"timezone": "US/Central"},
    ]
    return run_of(changes(rng), config=config_of(**rng.choice(settings)))


def inputs(rng: Random) -> list[dict[str, Any]]:
    """A run whose catalog or state is spoiled."""
    given: dict[str, Any] = {"catalog": deepcopy(CATALOG), "state": deepcopy(STATE)}
    for name in rng.choice([["catalog"], ["catalog"], ["state"], ["catalog", "state"]]):
        text = as_bytes(spoil(given[name], rng)).decode()
        given[name] = read_json_object(StringIO(text).read, name)[1]
    check_state(given["state"], STREAMS)
    check_catalog(given["catalog"], STREAMS)
    return run_of(lambda found: found, **given)


def config(rng: Random) -> list[dict[str, Any]]:
    """A run whose config is spoiled; its address and patience are not, should it be taken."""
    given: dict[str, Any] = config_of(hash_key=HASH_KEY, hash_fields=["notes"])
    for _ in range(rng.choice([1, 1, 3])):
        name = rng.choice((*SETTINGS["properties"], "stream_maps", "flattening_enabled", "x", KEY))
        given[name] = any_json(rng) if rng.random() < 0.8 else rng.choice(CANARIES["answers"])
    TapCallcap(config=deepcopy(given))
    safe = ("api_url", "retry_minutes", "start_date", "api_key")
    return run_of(lambda found: found, config=given | {name: config_of()[name] for name in safe})


def invalid(messages: list[dict[str, Any]]) -> int:
    """How many records do not fit the SCHEMA message before them."""
    validators = {
        line["stream"]: Draft202012Validator(or_null(line["schema"]), format_checker=FORMATS)
        for line in messages
        if line["type"] == "SCHEMA"
    }
    records = [line for line in messages if line["type"] == "RECORD"]
    return sum(not validators[line["stream"]].is_valid(line["record"]) for line in records)


def or_null(schema: JSON) -> JSON:
    """A schema that takes null or nothing anywhere: what demands more is its user's catalog."""
    if isinstance(schema, dict) and "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        properties = schema.get("properties", {})
        return {
            **schema,
            "type": [*kinds, "null"],
            "required": [],
            "properties": {name: or_null(part) for name, part in properties.items()},
            "items": or_null(schema.get("items", True)),
        }
    return schema


def _hang(*_: object) -> NoReturn:
    raise HangError


def one(kind: str, seed: int) -> Tally:
    """What becomes of one input."""
    rng = Random(f"{kind} {seed}")
    log = Log()
    if kind == "config":
        log.addFilter(
            RedactionFilter([KEY, HASH_KEY])
        )  # as in the command, which knows them by then
    logger = logging.getLogger()
    logger.addHandler(log)
    signal.signal(signal.SIGALRM, _hang)
    signal.alarm(LONGEST)
    tally = Tally()
    outcome, line = "taken", ""
    try:
        messages = globals()[kind](rng)
    except (ConfigurationError, FatalAPIError) as error:
        outcome, line = "refused", str(error)
        logger.error("%s", line)  # noqa: TRY400 - as the command does
    except HangError:
        outcome = "hang"
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        outcome, line = "traceback", f"{type(error).__name__}: {error}"
    else:
        tally.records = sum(message["type"] == "RECORD" for message in messages)
        outcome = "invalid record" if invalid(messages) else outcome
    finally:
        signal.alarm(0)
        logger.removeHandler(log)
    if any(canary in text for text in log.lines for canary in CANARIES[kind]):
        outcome = "canary" if outcome != "traceback" else outcome
    if outcome == "refused" and len(line.splitlines()) != 1:
        outcome = "several lines"
    tally.outcomes[outcome] += 1
    if outcome not in {"taken", "refused"}:
        tally.finds.append((kind, seed, f"{outcome} {line[:200]}"))
    return tally


def many(kind: str, seeds: Iterator[int], until: float) -> Tally:
    """What becomes of inputs, one after the other until the monotonic time `until`."""
    logging.getLogger().setLevel(logging.DEBUG)
    total = Tally()
    for seed in seeds:
        if time.monotonic() > until:
            break
        total += one(kind, seed)
    return total
