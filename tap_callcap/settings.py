"""The settings: as JSON Schema, from the environment, and typed for a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from tap_callcap.api.client import Client
from tap_callcap.api.filters import Filters, filters_schema
from tap_callcap.instants import UTC, UnreadableError, floor_to_minute, parse_instant, zone_of
from tap_callcap.records.hashing import Hashing
from tap_callcap.windows import Window

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from tap_callcap.records.schema import JSONSchema

TEN_YEARS = 10 * 366 * 24 * 60  # minutes; a limit for date arithmetic, not of the API
FALLBACK_ZONE = zone_of("US/Arizona")  # accepted as the API's page says; no clock changes

SETTINGS: JSONSchema = th.PropertiesList(
    th.Property(
        "api_key",
        th.StringType(min_length=1),
        required=True,
        secret=True,
        title="API key",
        description=(
            "API key of the Callcap login whose calls are read. It is shown under My Profile in "
            "the Callcap app."
        ),
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description=(
            "Read calls modified at or after this time. A time without an offset is in UTC. When "
            "not set, all history is read."
        ),
        examples=["2024-01-01T00:00:00Z"],
    ),
    th.Property(
        "end_date",
        th.DateTimeType,
        title="End date",
        description=(
            "Read calls modified before this time. A time without an offset is in UTC. Set it to "
            "read one period, as a backfill in parts does. It never moves the bookmark back."
        ),
        examples=["2025-01-01T00:00:00Z"],
    ),
    th.Property(
        "api_url",
        th.StringType,
        default="https://api.callcap.com/v2",
        title="API address",
        description=(
            "Base URL of the API. Change it only to use a proxy of your own or the sandbox. Plain "
            "http is allowed only for this machine."
        ),
        examples=["https://api.callcap.com/v2", "http://127.0.0.1:8010/v2"],
    ),
    th.Property(
        "timezone",
        th.StringType,
        default="UTC",
        title="Timezone",
        description=(
            "IANA name of the time zone of requests, and so of days in filters and in call_counts. "
            "Change it if you filter by days, or if Callcap does not accept UTC. Records are "
            "always in UTC."
        ),
        examples=["UTC", "US/Central"],
    ),
    th.Property(
        "lookback_minutes",
        th.IntegerType(minimum=0, maximum=TEN_YEARS),
        default=60,
        title="Lookback",
        description=(
            "Number of minutes before the bookmark that each run reads again. Increase it if "
            "Callcap shows edits later than that."
        ),
    ),
    th.Property(
        "lag_minutes",
        th.IntegerType(minimum=0, maximum=TEN_YEARS),
        default=1,
        title="Lag",
        description=(
            "Skip the last N minutes, because Callcap may show changes late; the next run reads "
            "them."
        ),
    ),
    th.Property(
        "page_size",
        th.IntegerType(minimum=1, maximum=1000),
        default=1000,
        title="Page size",
        description="Calls per page. Decrease it if pages time out.",
    ),
    th.Property(
        "concurrency",
        th.IntegerType(minimum=1, maximum=16),
        default=4,
        title="Concurrency",
        description=(
            "Maximum number of requests in flight. Decrease it if Callcap limits your requests."
        ),
    ),
    th.Property(
        "requests_per_second",
        th.NumberType(exclusive_minimum=0, maximum=1_000_000),
        title="Requests per second",
        description=(
            "Maximum number of requests per second, over all threads. Set it if Callcap limits "
            "your requests. When not set, there is no maximum."
        ),
        examples=[2, 0.5],
    ),
    th.Property(
        "request_timeout_seconds",
        th.NumberType(exclusive_minimum=0, maximum=86_400),
        default=120,
        title="Request timeout",
        description=(
            "Timeout of one request in seconds, from connecting to the last byte of the answer. "
            "Increase it if large pages time out."
        ),
    ),
    th.Property(
        "retry_minutes",
        th.NumberType(minimum=0, maximum=TEN_YEARS),
        default=10,
        title="Retry time",
        description=(
            "Retry a failing request for this many minutes before the run fails. Increase it to "
            "survive longer outages."
        ),
    ),
    th.Property(
        "accepted_gaps",
        th.ArrayType(th.StringType),
        title="Accepted gaps",
        description=(
            "Minutes that may stay unread, each as from/to. If Callcap cannot show a minute, the "
            "run fails and names it in this form. If it is listed here, the next runs read what "
            "they can of it, warn, and continue."
        ),
        examples=[["2026-10-14T18:47Z/2026-10-14T18:48Z"]],
    ),
    th.Property(
        "filters",
        th.CustomType(filters_schema()),
        title="Filters",
        description=(
            "Read only calls that match these search parameters of the API, by the API's names. "
            "See docs/filters.md."
        ),
        examples=[{"division_id": [1669, 1670], "search_action": ["ans", "missed"]}],
    ),
    th.Property(
        "call_ids",
        th.ArrayType(th.StringType),
        title="Call ids",
        description=(
            "Read only the calls with these ids, regardless of dates and filters, and do not move "
            "the bookmark. Use it to repair single calls."
        ),
        examples=[["987654_23_11_19_2012_17:07:29_12"]],
    ),
    th.Property(
        "count_days",
        th.IntegerType(minimum=1, maximum=36_600),
        default=30,
        title="Days counted",
        description=(
            "Number of days in the stream call_counts, up to yesterday in timezone. Each day is "
            "one request."
        ),
    ),
    th.Property(
        "user_agent",
        th.StringType,
        title="User agent",
        description=(
            "User-Agent header of the requests. When not set, it is tap-callcap/<version>."
        ),
        examples=["acme-warehouse (data@acme.example)"],
    ),
    th.Property(
        "hash_fields",
        th.ArrayType(th.StringType),
        title="Hashed fields",
        description=(
            "Paths of text fields of calls to replace by tokens (HMAC-SHA-256 with hash_key). "
            "Equal values get equal tokens. See SECURITY.md."
        ),
        examples=[["caller.caller_id", "caller.name", "summaries[].text"]],
    ),
    th.Property(
        "hash_key",
        th.StringType(min_length=1),
        secret=True,
        title="Hash key",
        description=(
            "Secret key for hash_fields. Use a long random text, and keep it: with another key all "
            "tokens change."
        ),
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
    accepted_gaps: tuple[Window, ...]
    filters: Filters
    call_ids: tuple[str, ...]
    count_days: int
    user_agent: str
    hashing: Hashing

    @property
    def zones(self) -> tuple[ZoneInfo, ...]:
        """The time zones for requests; the first one that the API accepts is used."""
        if self.zone != UTC or self.filters.speak_of_days:
            return (self.zone,)
        return self.zone, FALLBACK_ZONE

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """The settings in a config without errors, see `validation`."""
        given = {name: part.get("default") for name, part in SETTINGS["properties"].items()}
        given |= {name: value for name, value in config.items() if value is not None}
        per_second = given["requests_per_second"]
        return cls(
            api_key=given["api_key"],
            start_date=instant_of(given["start_date"]),
            end_date=instant_of(given["end_date"]),
            api_url=given["api_url"],
            zone=zone_of(given["timezone"]),
            lookback=timedelta(minutes=given["lookback_minutes"]),
            lag=timedelta(minutes=given["lag_minutes"]),
            page_size=int(given["page_size"]),  # 100.0 is an integer to JSON Schema
            concurrency=int(given["concurrency"]),
            requests_per_second=None if per_second is None else float(per_second),
            request_timeout=timedelta(seconds=float(given["request_timeout_seconds"])),
            retry_budget=timedelta(minutes=float(given["retry_minutes"])),
            accepted_gaps=tuple(map(gap_of, given["accepted_gaps"] or ())),
            filters=Filters.from_config(None if given["call_ids"] else given["filters"]),
            count_days=int(given["count_days"]),
            call_ids=tuple(dict.fromkeys(given["call_ids"] or ())),
            user_agent=given["user_agent"] or f"tap-callcap/{version('tap-callcap')}",
            hashing=Hashing(frozenset(given["hash_fields"] or ()), given["hash_key"] or ""),
        )


def client_of(settings: Settings) -> Client:
    """A client for a run with `settings`."""
    return Client(
        api_url=settings.api_url,
        api_key=settings.api_key,
        user_agent=settings.user_agent,
        timeout=settings.request_timeout,
        retry_budget=settings.retry_budget,
        requests_per_second=settings.requests_per_second,
        connections=settings.concurrency,
    )


def gap_of(text: str) -> Window:
    """The minutes that an accepted gap names.

    Raises:
        UnreadableError: If it is not two whole minutes, the first one earlier.
    """
    start, _, end = text.partition("/")
    gap = Window(parse_instant(start, UTC), parse_instant(end, UTC))
    if gap.start < gap.end and all(at == floor_to_minute(at) for at in (gap.start, gap.end)):
        return gap
    msg = "not a stretch of whole minutes"
    raise UnreadableError(msg)


def instant_of(value: str | None) -> datetime | None:
    """`value` as an aware UTC instant; a time without an offset is in UTC."""
    return None if value is None else parse_instant(value, UTC)
