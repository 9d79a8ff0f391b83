"""Errors in a config, by the JSON Schema of the settings and by what no schema can express.

An error is one line that names the setting. It never shows a value: it may be the key.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from datetime import MAXYEAR, MINYEAR, timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from singer_sdk.plugin_base import JSONSchemaValidator

from tap_callcap.api.addresses import is_loopback
from tap_callcap.api.filter_table import FILTERS
from tap_callcap.api.filters import demand, filter_problems, unknown
from tap_callcap.environment import ENVIRONMENT_PREFIX
from tap_callcap.instants import UTC, UnreadableError, parse_instant, zone_of
from tap_callcap.records.hashing import problem_with
from tap_callcap.records.schema import load_schema
from tap_callcap.settings import gap_of, instant_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jsonschema import ValidationError

    from tap_callcap.records.schema import JSONSchema

NEEDED = {
    "hash_fields": ("hash_key",),
    "flattening_enabled": (
        "flattening_max_depth",
        "flattening_max_key_length",
        "flattening_separator",
    ),
}
"""Settings, and those that do nothing without them."""
_QUOTED = re.compile(r"'.*'|\".*\"", re.DOTALL)


def config_errors(config: dict[str, Any], schema: JSONSchema) -> list[str]:
    """The errors in `config`, one line each; defaults of `schema` are filled into it.

    Args:
        config: The tap's configuration.
        schema: `SETTINGS` with the SDK's own settings added.
    """
    lines = {
        name: f"Setting {name} must not be in quotation marks, which docker --env-file keeps"
        for name, value in config.items()
        if name in schema["properties"] and isinstance(value, str) and _QUOTED.fullmatch(value)
    }
    for error in JSONSchemaValidator(_without_texts(schema)).iter_errors(config):
        for name, line in _schema_errors(error, schema):
            lines.setdefault(name, line)
    right = {name: value for name, value in config.items() if name not in lines}
    if isinstance(filters := right.get("filters"), dict):
        right["filters"] = {
            name: value for name, value in filters.items() if f"filters.{name}" not in lines
        }
    for name, line in _value_errors(right):
        lines.setdefault(name, f"Setting {name} {line}")
    return list(lines.values())


def _without_texts(part: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """`part` of a schema without texts among alternatives, as the SDK's own schema has them."""
    if isinstance(part, list):
        return [_without_texts(each) for each in part]
    if not isinstance(part, dict):
        return part
    sound = {name: _without_texts(each) for name, each in part.items()}
    if isinstance(alternatives := sound.get("anyOf"), list):
        sound["anyOf"] = [each for each in alternatives if isinstance(each, dict)]
    return sound


def _schema_errors(error: ValidationError, schema: JSONSchema) -> Iterator[tuple[str, str]]:
    """The name of each setting that `error` is about, and its line."""
    given: Any = error.instance
    match list(error.path):
        case ["filters"] if error.validator == "additionalProperties":
            for name in sorted(set(given) - set(FILTERS)):
                yield f"filters.{name}", f"Setting filters.{repr(name)[1:-1]} {unknown(name)}"
        case ["filters", str(name), *_]:
            yield f"filters.{name}", f"Setting filters.{name} {demand(name)}"
        case [str(name), *_]:
            error = _innermost(error)
            place = ".".join(map(str, error.absolute_path))
            # A name in it may have a line break.
            yield name, f"Setting {repr(place)[1:-1]} {_requirement(error)}"
        case _ if error.validator == "required":
            for name in schema["required"]:
                if name not in given:
                    variable = ENVIRONMENT_PREFIX + name.upper()
                    yield name, f"Setting {name} is missing: set it in the config, or as {variable}"
        case _:
            known = schema["properties"]
            for name in sorted(set(given) - set(known)):
                near = get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else "--about lists all settings"
                yield name, f"Setting {name!r} is unknown: {hint}"


def _innermost(error: ValidationError) -> ValidationError:
    """Of an error in all alternatives, that of the alternative that fits best."""
    while error.context:
        inner = max(error.context, key=lambda each: len(each.absolute_path))
        if len(inner.absolute_path) == len(error.absolute_path):
            break
        error = inner
    return error


def _requirement(error: ValidationError) -> str:
    """What the schema requires of a value, in words."""
    wanted: Any = error.validator_value
    if error.validator in {"anyOf", "oneOf"}:
        return f"must be {' or '.join(dict.fromkeys(map(_alternative, wanted)))}"
    if error.validator == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        line = f"must be of type {' or '.join(kind for kind in kinds if kind != 'null')}"
        if "string" in kinds and isinstance(error.instance, (int, float, Decimal)):
            return f"{line}: put the value in quotes"
        if isinstance(error.instance, str) and not {"array", "object"}.isdisjoint(kinds):
            schema: Any = error.schema
            (example,) = schema.get("examples") or [{} if "object" in kinds else []]
            return f"{line}, as JSON: such as {json.dumps(example)}"
        return line
    return {
        "minimum": f"must be at least {wanted}",
        "exclusiveMinimum": f"must be more than {wanted}",
        "maximum": f"must be at most {wanted}",
        "minLength": "must not be empty",
        "enum": f"must be one of {wanted}",
    }.get(str(error.validator), "has a wrong value: see --about")


def _alternative(schema: JSONSchema) -> str:
    """One of the alternatives of a value, in words."""
    if "const" in schema:
        return str(schema["const"])
    kinds = schema.get("type", "anything else")
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def _value_errors(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names of settings, and errors in them that no JSON Schema can express."""
    checks: dict[str, Callable[[Any], str | None]] = {
        "api_key": _key_error,
        "start_date": _instant_error,
        "end_date": _instant_error,
        "api_url": _url_error,
        "timezone": _zone_error,
        "accepted_gaps": _gaps_error,
        "call_ids": _call_ids_error,
        "requests_per_second": _number_error,
        "request_timeout_seconds": _number_error,
        "retry_minutes": _number_error,
        "flattening_max_depth": _depth_error,
        "flattening_max_key_length": _length_error,
        "user_agent": _header_error,
        "hash_fields": _fields_error,
    }
    wrong = set()
    for name, check in checks.items():
        value = config.get(name)
        if value is not None and (line := check(value)):
            wrong.add(name)
            yield name, line
    lag = timedelta(minutes=config.get("lag_minutes") or 0)
    for name, line in filter_problems(config.get("filters") or {}, lag):
        yield f"filters.{name}", line
    if wrong.isdisjoint({"start_date", "end_date"}):
        start, end = instant_of(config.get("start_date")), instant_of(config.get("end_date"))
        if start is not None and end is not None and start >= end:
            yield "start_date", "must be before end_date"
    if config.get("hash_fields") and not config.get("hash_key"):
        yield "hash_key", "is missing: hash_fields needs it"
    if config.get("flattening_enabled") and config.get("flattening_max_depth") is None:
        yield "flattening_max_depth", "is missing: flattening_enabled needs it"


def settings_without_effect(config: Mapping[str, Any]) -> Iterator[str]:
    """A line for each setting that does nothing without another one."""
    for needed, names in NEEDED.items():
        for name in names if not config.get(needed) else ():
            if config.get(name) is not None:
                yield f"Setting {name} has no effect without {needed}"


def _key_error(key: str) -> str | None:
    if key.strip() != key:
        return "must not begin or end with white space or a line break"
    if re.match(r"(authorization|bearer)\b", key, re.IGNORECASE):
        return "must be the key alone, without Bearer before it: the tap adds that"
    if re.fullmatch(r"[\x21-\x7e]+", key):
        return None
    return "must have only ASCII characters, without spaces and line breaks"


def _gaps_error(gaps: list[str]) -> str | None:
    try:
        for gap in gaps:
            gap_of(gap)
    except UnreadableError:
        return "must be from/to in whole minutes, such as 2026-10-14T18:47Z/2026-10-14T18:48Z"
    return None


def _call_ids_error(call_ids: list[str]) -> str | None:
    # A slash, or a dot alone, would change the address of the request.
    is_id = re.compile(r"[^/.\s][^/\s]*").fullmatch
    if call_ids and all(is_id(call_id) and call_id.isprintable() for call_id in call_ids):
        return None
    return "must be ids of calls, such as 987654_23_11_19_2012_17:07:29_12"


def _header_error(value: str) -> str | None:
    if re.fullmatch(r"(?! )[\x20-\x7e]*", value):
        return None
    return "must be one line of ASCII characters that does not begin with a space"


def _fields_error(paths: list[str]) -> str | None:
    schema = load_schema("calls")
    return next(filter(None, (problem_with(path, schema) for path in paths)), None)


def _number_error(value: float) -> str | None:
    return "must be a number" if math.isnan(value) else None  # which Python's JSON decoder accepts


def _depth_error(value: float) -> str | None:
    return "must be at least 0" if value < 0 else None


def _length_error(value: float) -> str | None:
    return "must be at least 1" if value < 1 else None


def _instant_error(value: str) -> str | None:
    with contextlib.suppress(UnreadableError):
        instant = parse_instant(value, UTC)
        if MINYEAR < instant.year < MAXYEAR:  # so that a minute before and after exist
            return None
    return "must be a date and time, such as 2024-01-01T00:00:00Z"


def _zone_error(name: str) -> str | None:
    try:
        zone_of(name)
    except UnreadableError:
        known = {each.casefold(): each for each in available_timezones()}
        near = get_close_matches(name.casefold(), known, n=1, cutoff=0.75)
        hint = f": did you mean {known[near[0]]}?" if near else ", such as UTC or US/Central"
        return f"must be an IANA timezone{hint}"
    return None


def _url_error(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "must be a valid URL, such as https://api.callcap.com/v2"
    is_address = parts.scheme in {"https", "http"} and host and re.fullmatch(r"[\x21-\x7e]+", url)
    end = re.search(r"/get(/(calls|accounts|callsurance)\b.*)?/?$", parts.path)
    problems = (
        (not is_address, "must be a valid URL, such as https://api.callcap.com/v2"),
        ("@" in parts.netloc, "must not contain credentials: set api_key instead"),
        ("?" in url or "#" in url, "must not have a query or a fragment"),
        (end, "must end before /get, as in https://api.callcap.com/v2: the tap adds the rest"),
        (
            parts.scheme == "http" and not is_loopback(host or ""),
            "must begin with https: plain http would send the key unencrypted",
        ),
    )
    return next((problem for is_wrong, problem in problems if is_wrong), None)
