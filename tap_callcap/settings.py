"""The settings: as JSON Schema, out of the environment, and typed for a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from singer_sdk import typing as th

from tap_callcap.api.client import Client
from tap_callcap.api.filters import Filters, filters_schema
from tap_callcap.instants import UTC, parse_instant
from tap_callcap.records.hashing import Hashing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tap_callcap.records.schema import JSONSchema

ENVIRONMENT_PREFIX = "TAP_CALLCAP_"
TEN_YEARS = 10 * 366 * 24 * 60  # minutes; beyond it arithmetic on dates ends, not the API
SECOND_ZONE = ZoneInfo("US/Arizona")  # documented as accepted, and without clock changes

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
        "filters",
        th.CustomType(filters_schema()),
        title="Filters",
        description=(
            "Which calls to read: the API's own search parameters by their own names. "
            "docs/filters.md has them all."
        ),
        examples=[{"division_id": [1669, 1670], "search_action": ["ans", "missed"]}],
    ),
    th.Property(
        "call_ids",
        th.ArrayType(th.StringType),
        title="Call ids",
        description=(
            "Read just these calls, whatever the dates and filters say, and leave the bookmark "
            "where it is: for repairs."
        ),
        examples=[["987654_23_11_19_2012_17:07:29_12"]],
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
    filters: Filters
    call_ids: tuple[str, ...]
    user_agent: str
    hashing: Hashing

    @property
    def zones(self) -> tuple[ZoneInfo, ...]:
        """The zones to ask the API in: the first one that it takes."""
        if self.zone != UTC or self.filters.speak_of_days:
            return (self.zone,)
        return self.zone, SECOND_ZONE

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """The settings in a config without problems."""
        given = {name: part.get("default") for name, part in SETTINGS["properties"].items()}
        given |= {name: value for name, value in config.items() if value is not None}
        per_second = given["requests_per_second"]
        return cls(
            api_key=given["api_key"],
            start_date=instant_of(given["start_date"]),
            end_date=instant_of(given["end_date"]),
            api_url=given["api_url"],
            zone=ZoneInfo(given["timezone"]),
            lookback=timedelta(minutes=given["lookback_minutes"]),
            lag=timedelta(minutes=given["lag_minutes"]),
            page_size=int(given["page_size"]),  # 100.0 is an integer to JSON Schema
            concurrency=int(given["concurrency"]),
            requests_per_second=None if per_second is None else float(per_second),
            request_timeout=timedelta(seconds=float(given["request_timeout_seconds"])),
            retry_budget=timedelta(minutes=float(given["retry_minutes"])),
            filters=Filters.from_config(None if given["call_ids"] else given["filters"]),
            call_ids=tuple(dict.fromkeys(given["call_ids"] or ())),
            user_agent=given["user_agent"] or f"tap-callcap/{version('tap-callcap')}",
            hashing=Hashing(frozenset(given["hash_fields"] or ()), given["hash_key"] or ""),
        )


def client_of(settings: Settings) -> Client:
    """The client that a run with `settings` asks Callcap by."""
    return Client(
        api_url=settings.api_url,
        api_key=settings.api_key,
        user_agent=settings.user_agent,
        timeout=settings.request_timeout,
        retry_budget=settings.retry_budget,
        requests_per_second=settings.requests_per_second,
        connections=settings.concurrency,
    )


def instant_of(value: str | None) -> datetime | None:
    """An instant in aware UTC; without an offset it is meant in UTC."""
    return None if value is None else parse_instant(value, UTC).astimezone(UTC)


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
