"""What is wrong with a config, by the schema of the settings and beyond it.

Every problem is one line that names the setting and never shows its value: it may be the key.
"""

from __future__ import annotations

import contextlib
import math
import re
from datetime import MAXYEAR, MINYEAR, timedelta
from difflib import get_close_matches
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from singer_sdk.plugin_base import JSONSchemaValidator

from tap_callcap.api.filters import FILTERS, demand, filter_problems, unknown
from tap_callcap.instants import UTC, UnreadableError, parse_instant
from tap_callcap.records.hashing import problem_with
from tap_callcap.records.schema import load_schema
from tap_callcap.settings import ENVIRONMENT_PREFIX, instant_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jsonschema import ValidationError

    from tap_callcap.records.schema import JSONSchema


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
    given: Any = error.instance
    match list(error.path):
        case ["filters"] if error.validator == "additionalProperties":
            for name in sorted(set(given) - set(FILTERS)):
                yield f"filters.{name}", f"Setting filters.{repr(name)[1:-1]} {unknown(name)}"
        case ["filters", str(name), *_]:
            yield f"filters.{name}", f"Setting filters.{name} {demand(name)}"
        case [str(name), *_]:
            yield name, f"Setting {name} {_demand(error)}"
        case _ if error.validator == "required":
            for name in schema["required"]:
                if name not in given:
                    variable = ENVIRONMENT_PREFIX + name.upper()
                    yield name, f"Setting {name} is missing: set it in the config, or as {variable}"
        case _:
            known = schema["properties"]
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
        "call_ids": _call_ids_problem,
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
    lag = timedelta(minutes=config.get("lag_minutes") or 0)
    for name, problem in filter_problems(config.get("filters") or {}, lag):
        yield f"filters.{name}", problem
    if not found:
        start, end = instant_of(config.get("start_date")), instant_of(config.get("end_date"))
        if start is not None and end is not None and start >= end:
            yield "start_date", "must be before end_date"
        if config.get("hash_fields") and not config.get("hash_key"):
            yield "hash_key", "is missing: without it hash_fields cannot be hashed"


def _key_problem(key: str) -> str | None:
    if re.fullmatch(r"[\x21-\x7e]+", key):
        return None
    return "must be one word of plain characters: it has a space, a line break or others"


def _call_ids_problem(call_ids: list[str]) -> str | None:
    # A slash would lead to another address, as would a dot alone.
    if call_ids and all(re.fullmatch(r"[^/.\s][^/\s]*", call_id) for call_id in call_ids):
        return None
    return "must be ids of calls, such as 987654_23_11_19_2012_17:07:29_12"


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
        instant = parse_instant(value, UTC)
        if MINYEAR < instant.year < MAXYEAR:  # the minutes around it are dates too
            return None
    return "must be a date and time, such as 2024-01-01T00:00:00Z"


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
