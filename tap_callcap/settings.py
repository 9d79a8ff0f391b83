"""The settings as JSON Schema, and what no schema can say about them.

Every problem is one line that names the setting and never shows its value: it may be the key.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, timedelta
from difflib import get_close_matches
from importlib.metadata import version
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from singer_sdk import typing as th
from singer_sdk.plugin_base import JSONSchemaValidator

from tap_callcap.hashing import Hashing, problem_with
from tap_callcap.schema import load_schema
from tap_callcap.values import UnreadableError, parse_instant
from tap_callcap.windows import UTC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from jsonschema import ValidationError

    from tap_callcap.schema import JSONSchema

ENVIRONMENT_PREFIX = "TAP_CALLCAP_"
TEN_YEARS = 10 * 366 * 24 * 60  # minutes; beyond it arithmetic on dates ends, not the API
UTC_ZONE = ZoneInfo("UTC")

SETTINGS: JSONSchema = th.PropertiesList(
    th.Property(
        "api_key",
        th.StringType(min_length=1),
        required=True,
        secret=True,
        title="API key",
        description="Key of the login whose calls are read, from My Profile in the Callcap app.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description="Earliest last_modified to read, inclusive. All history when not set.",
        examples=["2024-01-01T00:00:00Z"],
    ),
    th.Property(
        "end_date",
        th.DateTimeType,
        title="End date",
        description=(
            "Latest last_modified to read, exclusive. A bookmark never goes back because of it."
        ),
        examples=["2025-01-01T00:00:00Z"],
    ),
    th.Property(
        "api_url",
        th.StringType,
        default="https://api.callcap.com/v2",
        title="API address",
        description="Base address of the API. Plain http is taken only for this machine.",
        examples=["https://api.callcap.com/v2", "http://127.0.0.1:8010/v2"],
    ),
    th.Property(
        "timezone",
        th.StringType,
        default="UTC",
        title="Timezone",
        description=(
            "IANA name of the zone that the API is asked in and that day filters mean. Records "
            "are in UTC anyway."
        ),
        examples=["UTC", "US/Central"],
    ),
    th.Property(
        "lookback_minutes",
        th.IntegerType(minimum=0, maximum=TEN_YEARS),
        default=10,
        title="Lookback",
        description="Minutes before the bookmark that each run reads again, for late edits.",
    ),
    th.Property(
        "lag_minutes",
        th.IntegerType(minimum=0, maximum=TEN_YEARS),
        default=1,
        title="Lag",
        description="Newest minutes that are left for the next run, since edits show up late.",
    ),
    th.Property(
        "page_size",
        th.IntegerType(minimum=1, maximum=1000),
        default=1000,
        title="Page size",
        description="Calls in a page.",
    ),
    th.Property(
        "concurrency",
        th.IntegerType(minimum=1, maximum=16),
        default=4,
        title="Concurrency",
        description="Requests in flight at once.",
    ),
    th.Property(
        "requests_per_second",
        th.NumberType(exclusive_minimum=0, maximum=1_000_000),
        title="Requests per second",
        description="Ceiling over all requests. None when not set.",
        examples=[2, 0.5],
    ),
    th.Property(
        "request_timeout_seconds",
        th.NumberType(exclusive_minimum=0, maximum=86_400),
        default=120,
        title="Request timeout",
        description="Seconds that one whole exchange may take, its body included.",
    ),
    th.Property(
        "retry_minutes",
        th.NumberType(minimum=0, maximum=TEN_YEARS),
        default=10,
        title="Retry time",
        description="Minutes for which one request is tried again before the run fails.",
    ),
    th.Property(
        "user_agent",
        th.StringType,
        title="User agent",
        description="User-Agent header of the requests. tap-callcap/<version> when not set.",
        examples=["acme-warehouse (data@acme.example)"],
    ),
    th.Property(
        "hash_fields",
        th.ArrayType(th.StringType),
        title="Hashed fields",
        description=(
            "Paths of text fields of calls that come out as tokens: equal values as equal tokens, "
            "which only hash_key can make. See SECURITY.md."
        ),
        examples=[["caller.caller_id", "caller.name", "summaries[].text"]],
    ),
    th.Property(
        "hash_key",
        th.StringType(min_length=1),
        secret=True,
        title="Hash key",
        description="Key of the tokens: long, random, and the same for ever.",
        examples=["what openssl rand -hex 32 prints"],
    ),
    additional_properties=False,
).to_dict()


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one run, typed; instants in aware UTC."""

    api_key: str
    start_date: datetime | None
    end_date: datetime | None
    api_url: str
    zone: ZoneInfo
    lookback: timedelta
    lag: timedelta
    page_size: int
    concurrency: int
    requests_per_second: float | None
    request_timeout: timedelta
    retry_budget: timedelta
    user_agent: str
    hashing: Hashing

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """The settings in a config without problems."""
        given = {name: part.get("default") for name, part in SETTINGS["properties"].items()}
        given |= {name: value for name, value in config.items() if value is not None}
        per_second = given["requests_per_second"]
        return cls(
            api_key=given["api_key"],
            start_date=_instant(given["start_date"]),
            end_date=_instant(given["end_date"]),
            api_url=given["api_url"],
            zone=ZoneInfo(given["timezone"]),
            lookback=timedelta(minutes=given["lookback_minutes"]),
            lag=timedelta(minutes=given["lag_minutes"]),
            page_size=int(given["page_size"]),  # 100.0 is an integer to JSON Schema
            concurrency=int(given["concurrency"]),
            requests_per_second=None if per_second is None else float(per_second),
            request_timeout=timedelta(seconds=float(given["request_timeout_seconds"])),
            retry_budget=timedelta(minutes=float(given["retry_minutes"])),
            user_agent=given["user_agent"] or f"tap-callcap/{version('tap-callcap')}",
            hashing=Hashing(frozenset(given["hash_fields"] or ()), given["hash_key"] or ""),
        )


def problems(config: dict[str, Any], schema: JSONSchema) -> list[str]:
    """What is wrong with `config`, a line each; the schema's defaults are filled in.

    Args:
        config: The tap's configuration.
        schema: `SETTINGS`, with the SDK's own settings added.
    """
    lines: dict[str, str] = {}
    for error in JSONSchemaValidator(schema).iter_errors(config):
        for name, line in _lines(error, schema):
            lines.setdefault(name, line)
    return list(lines.values()) or [
        f"Setting {name} {problem}" for name, problem in _beyond_schema(config)
    ]


def _lines(error: ValidationError, schema: JSONSchema) -> Iterator[tuple[str, str]]:
    """Names of settings, and the lines for what the schema sees."""
    known = schema["properties"]
    given: Any = error.instance
    if error.path:
        name = str(error.path[0])
        yield name, f"Setting {name} {_demand(error)}"
    elif error.validator == "required":
        for name in schema["required"]:
            if name not in given:
                variable = ENVIRONMENT_PREFIX + name.upper()
                yield name, f"Setting {name} is missing: set it in the config, or as {variable}"
    else:
        for name in sorted(set(given) - set(known)):
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "--about lists those that there are"
            yield name, f"Setting {name!r} is unknown: {hint}"


def _demand(error: ValidationError) -> str:
    """What the schema asks of a value, in words."""
    if len(error.path) > 1:
        inner = ".".join(str(part) for part in list(error.path)[1:])
        return f"is not valid at {inner}: see --about"
    wanted: Any = error.validator_value
    if error.validator == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        return f"must be of type {' or '.join(kind for kind in kinds if kind != 'null')}"
    return {
        "minimum": f"must be at least {wanted}",
        "exclusiveMinimum": f"must be more than {wanted}",
        "maximum": f"must be at most {wanted}",
        "minLength": "must not be empty",
    }.get(str(error.validator), "is not valid: see --about")


def _beyond_schema(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names of settings, and what is wrong with them that no schema can say."""
    checks: dict[str, Callable[[Any], str | None]] = {
        "api_key": _key_problem,
        "start_date": _instant_problem,
        "end_date": _instant_problem,
        "api_url": _url_problem,
        "timezone": _zone_problem,
        "requests_per_second": _number_problem,
        "request_timeout_seconds": _number_problem,
        "retry_minutes": _number_problem,
        "user_agent": _header_problem,
        "hash_fields": _fields_problem,
    }
    found = False
    for name, check in checks.items():
        value = config.get(name)
        if value is not None and (problem := check(value)):
            found = True
            yield name, problem
    if not found:
        start, end = _instant(config.get("start_date")), _instant(config.get("end_date"))
        if start is not None and end is not None and start >= end:
            yield "start_date", "must be before end_date"
        if config.get("hash_fields") and not config.get("hash_key"):
            yield "hash_key", "is missing: without it hash_fields cannot be hashed"


def _key_problem(key: str) -> str | None:
    if re.fullmatch(r"[\x21-\x7e]+", key):
        return None
    return "must be one word of plain characters: it has a space, a line break or others"


def _header_problem(value: str) -> str | None:
    if re.fullmatch(r"(?! )[\x20-\x7e]*", value):
        return None
    return "must be plain text on one line that does not begin with a space"


def _fields_problem(paths: list[str]) -> str | None:
    schema = load_schema("calls")
    return next(filter(None, (problem_with(path, schema) for path in paths)), None)


def _number_problem(value: float) -> str | None:
    return "must be a number" if math.isnan(value) else None  # JSON has none, Python's reader does


def _instant_problem(value: str) -> str | None:
    with contextlib.suppress(UnreadableError):
        instant = parse_instant(value, UTC_ZONE)
        if MINYEAR < instant.year < MAXYEAR:  # the minutes around it are dates too
            return None
    return "must be a date and time, such as 2024-01-01T00:00:00Z"


def _instant(value: str | None) -> datetime | None:
    """An instant in aware UTC; without an offset it is meant in UTC."""
    return None if value is None else parse_instant(value, UTC_ZONE).astimezone(UTC)


def _zone_problem(name: str) -> str | None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return "must be an IANA timezone, such as UTC or US/Central"
    return None


def _url_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not an address"
    if parts.scheme not in {"https", "http"} or not host or not re.fullmatch(r"[\x21-\x7e]+", url):
        return "must be an address, such as https://api.callcap.com/v2"
    if "@" in parts.netloc:
        return "must not hold credentials: the key goes into api_key"
    if "?" in url or "#" in url:
        return "must not have a query or a fragment"
    if parts.scheme == "http" and not _is_loopback(host):
        return "must be https: plain http would show the key to the network"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_environment(environment: Mapping[str, str], schema: JSONSchema) -> dict[str, Any]:
    """The settings in `environment`, as the types that `schema` gives them.

    What is no such type stays text, for `problems` to name; an empty variable is not set.
    """
    config: dict[str, Any] = {}
    for name, part in schema["properties"].items():
        text = environment.get(ENVIRONMENT_PREFIX + name.upper(), "")
        if text:
            config[name] = _typed(text, part.get("type", []))
    return config


def _typed(text: str, kinds: str | list[str]) -> Any:  # noqa: ANN401 - any type of JSON
    if "string" in kinds:
        return text
    if "boolean" in kinds:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    try:
        return json.loads(text)
    except ValueError:
        return text
