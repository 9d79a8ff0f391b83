"""A wrong setting is one line that names it and never shows its value; a right one is typed."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from importlib.metadata import version
from typing import Any

import pendulum
import pytest

from support.whole_schema import KEY, WHOLE_SCHEMA
from tap_callcap.api.filters import Filters
from tap_callcap.instants import MINUTE
from tap_callcap.records.hashing import Hashing
from tap_callcap.settings import SETTINGS, Settings
from tap_callcap.validation import config_errors, settings_without_effect
from tap_callcap.windows import Window

UTC = timezone.utc
DATE = "must be a date and time, such as 2024-01-01T00:00:00Z"
ADDRESS = "must be a valid URL, such as https://api.callcap.com/v2"
GAP = "must be from/to in whole minutes, such as 2026-10-14T18:47Z/2026-10-14T18:48Z"
NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)


def errors_of(**config: object) -> list[str]:
    """What is wrong with a config that has a key."""
    return config_errors(KEY | config, WHOLE_SCHEMA)


def settings_of(**config: object) -> Settings:
    """The settings of a config without errors that has a key."""
    assert errors_of(**config) == []
    return Settings.from_config(KEY | config)


def test_a_key_is_all_that_is_needed() -> None:
    """All other settings have defaults, as they are documented."""
    assert asdict(settings_of()) == {
        "api_key": KEY["api_key"],
        "start_date": None,
        "end_date": None,
        "api_url": "https://api.callcap.com/v2",
        "zone": pendulum.timezone("UTC"),
        "lookback": timedelta(minutes=60),
        "lag": timedelta(minutes=1),
        "page_size": 1000,
        "concurrency": 4,
        "requests_per_second": None,
        "request_timeout": timedelta(minutes=2),
        "retry_budget": timedelta(minutes=10),
        "accepted_gaps": (),
        "filters": {"texts": {}},
        "call_ids": (),
        "count_days": 30,
        "user_agent": f"tap-callcap/{version('tap-callcap')}",
        "hashing": {"paths": frozenset(), "key": ""},
    }


def test_settings_are_typed() -> None:
    """What is set reaches the run, as instants, zones and durations."""
    typed = settings_of(
        start_date="2024-01-01T01:00:00+01:00",
        end_date="2024-02-01",
        api_url="http://127.0.0.1:8010/v2/",
        timezone="US/Central",
        lookback_minutes=0,
        lag_minutes=30,
        page_size=50.0,
        concurrency=2.0,
        requests_per_second=2,
        request_timeout_seconds=0.5,
        retry_minutes=0,
        accepted_gaps=["2024-01-01T00:05Z/2024-01-01T00:07Z"],
        filters={"division_id": [1669, 1670]},
        call_ids=None,
        user_agent="acme (data@acme.example)",
        hash_fields=["caller.name", "summaries[].text", "caller.name"],
        hash_key="key",
    )
    assert typed.start_date == NEW_YEAR
    assert typed.end_date == NEW_YEAR + timedelta(days=31)
    assert typed.start_date.utcoffset() == typed.end_date.utcoffset() == timedelta()
    assert typed.api_url == "http://127.0.0.1:8010/v2/"
    assert typed.zone == pendulum.timezone("US/Central")
    assert (typed.lookback, typed.lag) == (timedelta(), 30 * MINUTE)
    assert (repr(typed.page_size), repr(typed.concurrency)) == ("50", "2")
    assert repr(typed.requests_per_second) == "2.0"
    assert (typed.request_timeout, typed.retry_budget) == (timedelta(seconds=0.5), timedelta())
    assert typed.accepted_gaps == (Window(NEW_YEAR + 5 * MINUTE, NEW_YEAR + 7 * MINUTE),)
    assert typed.filters == Filters({"division_id": "1669,1670"})
    assert typed.user_agent == "acme (data@acme.example)"
    assert typed.hashing == Hashing(frozenset({"caller.name", "summaries[].text"}), "key")


def test_accepted_gaps_are_stretches_of_minutes() -> None:
    """In the form in which a failed run names them."""
    typed = settings_of(accepted_gaps=["2026-10-14T18:47Z/2026-10-14T18:48Z"])
    assert [str(gap) for gap in typed.accepted_gaps] == [
        "calls modified from 2026-10-14 18:47 to 2026-10-14 18:48 UTC"
    ]


def test_call_ids_are_read_once_whatever_the_filters_say() -> None:
    """Ids that are given twice count once, and no filter counts beside them."""
    typed = settings_of(call_ids=["2_b", "1_a", "2_b"], filters={"search_action": "missed"})
    assert typed.call_ids == ("2_b", "1_a")
    assert typed.filters == Filters({})


@pytest.mark.parametrize(
    ("settings", "zones"),
    [
        ({}, ["UTC", "US/Arizona"]),
        ({"filters": {"search_action": "ans"}}, ["UTC", "US/Arizona"]),
        ({"filters": {"search_range": "custom"}}, ["UTC", "US/Arizona"]),
        ({"filters": {"search_range": "yesterday"}}, ["UTC"]),
        ({"filters": {"search_startdate": "2024-01-01"}}, ["UTC"]),
        ({"filters": {"search_enddate": "2024-01-01"}}, ["UTC"]),
        ({"filters": {"search_daysofweek": 1}}, ["UTC"]),
        ({"timezone": "US/Central"}, ["US/Central"]),
    ],
    ids=repr,
)
def test_a_second_zone_is_asked_only_where_it_means_the_same(
    settings: dict[str, Any], zones: list[str]
) -> None:
    """Where UTC is refused, Arizona serves, unless a filter speaks of days, which would shift."""
    assert [zone.key for zone in settings_of(**settings).zones] == zones


def test_null_is_not_set() -> None:
    """A setting of null, as templates leave it, is its default."""
    nulls = dict.fromkeys(set(SETTINGS["properties"]) - set(KEY))
    assert settings_of(**nulls) == settings_of()
    assert settings_of(user_agent="") == settings_of()


GAP_PROBLEM = "must be from/to in whole minutes, such as 2026-10-14T18:47Z/2026-10-14T18:48Z"
WRONG: list[tuple[str, object, str]] = [
    ("api_key", "", "must not be empty"),
    ("api_key", None, "must be of type string"),
    ("api_key", 4711, "must be of type string: put the value in quotes"),
    ("api_key", Decimal("47.5"), "must be of type string: put the value in quotes"),
    *(
        (
            "api_key",
            key,
            "must have only ASCII characters, without spaces and line breaks",
        )
        for key in ("canary x", "can\0ary", "canäry", "can\u2028ary")
    ),
    *(
        ("api_key", key, "must not begin or end with white space or a line break")
        for key in ("canary\n", " canary", "canary\u2028", "\tcanary", " ")
    ),
    *(
        ("api_key", key, "must be the key alone, without Bearer before it: the tap adds that")
        for key in ("Bearer canary", "bearer\tcanary", "Authorization: Bearer canary")
    ),
    *(
        (
            name,
            f"{mark}{text}{mark}",
            "must not be in quotation marks, which docker --env-file keeps",
        )
        for mark in ("'", '"')
        for name, text in (
            ("api_key", "canary"),
            ("start_date", "2024-01-01"),
            ("page_size", "50"),
            ("filters", '{"division_id": 1}'),
            ("flattening_enabled", "true"),
            ("hash_key", ""),
        )
    ),
    *(
        (name, text, DATE)
        for name in ("start_date", "end_date")
        for text in ("canary", "", "2024-02-30", "2024", "0001-01-01", "9999-12-31T00:00:00Z")
    ),
    ("start_date", 20240101, "must be of type string: put the value in quotes"),
    ("api_url", "https://canary[", ADDRESS),
    ("api_url", "https://canary:99999/", ADDRESS),
    *(
        ("api_url", url, ADDRESS)
        for url in (
            "",
            "canary",
            "ftp://canary",
            "https:///v2",
            "//canary/v2",
            "https://can ary/v2",
        )
    ),
    ("api_url", "https://canary\n.example/v2", ADDRESS),
    ("api_url", " https://canary/v2", ADDRESS),
    ("api_url", "https://canäry/v2", ADDRESS),
    ("api_url", "https://canary:x1@h/v2", "must not contain credentials: set api_key instead"),
    ("api_url", "https://canary@h/v2", "must not contain credentials: set api_key instead"),
    ("api_url", "https://h/v2?canary", "must not have a query or a fragment"),
    ("api_url", "https://h/v2#canary", "must not have a query or a fragment"),
    ("api_url", "https://h/canary?", "must not have a query or a fragment"),
    *(
        (
            "api_url",
            f"https://canary/{path}",
            "must end before /get, as in https://api.callcap.com/v2: the tap adds the rest",
        )
        for path in (
            "v2/get/calls",
            "v2/get/calls/",
            "v2/get",
            "get/",
            "get/accounts/",
            "get/calls/1",
        )
    ),
    *(
        ("api_url", url, "must begin with https: plain http would send the key unencrypted")
        for url in (
            "http://canary/v2",
            "http://10.0.0.1",
            "http://127.0.0.1.canary",
            "HTTP://[::2]",
        )
    ),
    *(
        ("timezone", zone, "must be an IANA timezone, such as UTC or US/Central")
        for zone in ("Mars/Canary", "", "US", "/etc/passwd", "../UTC", "can\0ary", "x" * 5000)
    ),
    *(
        ("timezone", name, f"must be an IANA timezone: did you mean {near}?")
        for name, near in (
            ("US/Centrl", "US/Central"),
            ("us/eastern", "US/Eastern"),
            ("America/New York", "America/New_York"),
            ("Etc/UCT ", "Etc/UCT"),
        )
    ),
    ("timezone", 5, "must be of type string: put the value in quotes"),
    ("lookback_minutes", -1, "must be at least 0"),
    ("lookback_minutes", -0.5, "must be of type integer"),
    ("lookback_minutes", 10**400, "must be at most 5270400"),
    ("lag_minutes", "canary", "must be of type integer"),
    ("lag_minutes", math.nan, "must be of type integer"),
    ("lag_minutes", True, "must be of type integer"),
    ("page_size", 0, "must be at least 1"),
    ("page_size", 1001, "must be at most 1000"),
    ("page_size", 0.5, "must be of type integer"),
    ("concurrency", 17, "must be at most 16"),
    ("concurrency", [], "must be of type integer"),
    ("requests_per_second", 0, "must be more than 0"),
    ("requests_per_second", 10**400, "must be at most 1000000"),
    ("requests_per_second", math.inf, "must be at most 1000000"),
    ("requests_per_second", math.nan, "must be a number"),
    ("requests_per_second", "canary", "must be of type number"),
    ("request_timeout_seconds", 0, "must be more than 0"),
    ("request_timeout_seconds", 86_401, "must be at most 86400"),
    ("request_timeout_seconds", math.nan, "must be a number"),
    ("retry_minutes", -0.1, "must be at least 0"),
    ("retry_minutes", 10**400, "must be at most 5270400"),
    ("retry_minutes", math.nan, "must be a number"),
    *(
        (
            "accepted_gaps",
            gaps,
            GAP,
        )
        for gaps in (
            ["canary"],
            ["2026-10-14T18:47Z"],
            ["2026-10-14T18:47Z/2026-10-14T18:47Z"],
            ["2026-10-14T18:48Z/2026-10-14T18:47Z"],
            ["2026-10-14T18:47:01Z/2026-10-14T18:48Z"],
            ["2026-10-14T18:47Z/2026-10-14T18:48:01Z"],
            ["2026-10-14T18:47Z/2026-10-14T18:48Z", ""],
        )
    ),
    (
        "accepted_gaps",
        "canary",
        "must be of type array, as JSON: such as "
        + json.dumps(SETTINGS["properties"]["accepted_gaps"]["examples"][0]),
    ),
    ("count_days", 0, "must be at least 1"),
    (
        "filters",
        "{canary",
        "must be of type object, as JSON: such as "
        + json.dumps(SETTINGS["properties"]["filters"]["examples"][0]),
    ),
    ("filters", ["canary"], "must be of type object"),
    (
        "call_ids",
        "canary,canary",
        'must be of type array, as JSON: such as ["987654_23_11_19_2012_17:07:29_12"]',
    ),
    *(
        ("accepted_gaps", [gap], GAP_PROBLEM)
        for gap in (
            "",
            "canary",
            "2026-10-14T18:47Z",
            "2026-10-14T18:47Z/",
            "2026-10-14T18:47Z/2026-10-14T18:47Z",
            "2026-10-14T18:48Z/2026-10-14T18:47Z",
            "2026-10-14T18:47:01Z/2026-10-14T18:49Z",
            "2026-10-14T18:47Z/2026-10-14T18:48:00.5Z",
        )
    ),
    *(
        ("call_ids", call_ids, "must be ids of calls, such as 987654_23_11_19_2012_17:07:29_12")
        for call_ids in (
            [],
            [""],
            ["can/ary"],
            [".."],
            ["1_1", "can ary"],
            ["canary\n"],
            ["can\0ary"],
        )
    ),
    (
        "user_agent",
        "can\nary",
        "must be one line of ASCII characters that does not begin with a space",
    ),
    (
        "user_agent",
        " canary",
        "must be one line of ASCII characters that does not begin with a space",
    ),
    (
        "user_agent",
        "canäry",
        "must be one line of ASCII characters that does not begin with a space",
    ),
    (
        "hash_fields",
        "canary",
        "must be of type array, as JSON: such as "
        + json.dumps(SETTINGS["properties"]["hash_fields"]["examples"][0]),
    ),
    (
        "hash_fields",
        ["notes", "caller.nam"],
        "names 'caller.nam', which is not a field: did you mean caller.name?",
    ),
    ("hash_fields", ["call_id"], "names 'call_id', which is a key and cannot be hashed"),
    ("hash_fields", ["duration"], "names 'duration', which is not a text field"),
    ("hash_key", "", "must not be empty"),
    ("hash_key", 5, "must be of type string: put the value in quotes"),
    ("flattening_enabled", "canary", "must be of type boolean"),
    ("flattening_max_depth", -1, "must be at least 0"),
    ("flattening_max_key_length", 0, "must be at least 1"),
    ("stream_maps", "canary", "must be of type object, as JSON: such as {}"),
    ("batch_config", [], "must be of type object"),
]


TO_MAP = "must be __NULL__ or null or string"
INNER = [
    ({"call_ids": ["1_1", 5]}, "call_ids.1 must be of type string: put the value in quotes"),
    ({"hash_fields": ["notes", []]}, "hash_fields.1 must be of type string"),
    ({"stream_maps": {"calls\n": 5}}, "stream_maps.calls\\n must be __NULL__ or null or object"),
    ({"stream_maps": {"calls": {"canary": 5}}}, f"stream_maps.calls.canary {TO_MAP}"),
    (
        {"stream_maps": {"calls": {"__alias__": []}}},
        "stream_maps.calls.__alias__ must be of type string",
    ),
    (
        {"stream_maps": {"calls": {"__else__": "x"}}},
        "stream_maps.calls.__else__ must be __NULL__ or null",
    ),
    ({"stream_maps": {"__else__": "x"}}, "stream_maps.__else__ must be __NULL__ or null"),
    ({"faker_config": {"locale": [["x"]]}}, "faker_config.locale.0 must be of type string"),
    (
        {"batch_config": {"encoding": {"format": "x"}}},
        "batch_config.encoding.format must be one of ['jsonl', 'parquet', 'arrow']",
    ),
    (
        {"batch_config": {"storage": {"root": 5}}},
        "batch_config.storage.root must be of type string: put the value in quotes",
    ),
]


@pytest.mark.parametrize(("config", "line"), INNER, ids=[line for _, line in INNER])
def test_a_wrong_value_inside_a_setting_is_named_by_its_path(
    config: dict[str, Any], line: str
) -> None:
    """An item of a list, or a part of an object."""
    assert errors_of(**config) == [f"Setting {line}"]


def test_a_value_that_is_none_of_those_allowed_is_named_with_them() -> None:
    """The SDK's settings have such lists, which differ between its versions."""
    schema = {"properties": {"a": {"properties": {"b": {"enum": ["x", "y"]}}}}}
    assert config_errors({"a": {"b": "canary"}}, schema) == [
        "Setting a.b must be one of ['x', 'y']"
    ]


@pytest.mark.parametrize(
    ("name", "value", "problem"), WRONG, ids=[f"{n} {i}" for i, (n, *_) in enumerate(WRONG)]
)
def test_a_wrong_setting_is_one_line_that_names_it(name: str, value: object, problem: str) -> None:
    """The line says what is wanted; it has no word of the value, which may be the key."""
    assert errors_of(**{"hash_key": "key", name: value}) == [f"Setting {name} {problem}"]
    assert "canary" not in problem


def test_every_setting_can_be_wrong() -> None:
    """The list of wrong values misses no setting of the tap."""
    assert {name for name, _, _ in WRONG} >= set(SETTINGS["properties"])


def test_a_missing_key_is_one_line_that_says_where_it_goes() -> None:
    """Nothing works without a key, which may come by config or environment."""
    assert config_errors({}, WHOLE_SCHEMA) == [
        "Setting api_key is missing: set it in the config, or as TAP_CALLCAP_API_KEY"
    ]
    two = {"properties": {"a": {}, "b": {}, "c": {}}, "required": ["a", "b", "c"]}
    assert [line.split()[1] for line in config_errors({"b": 1}, two)] == ["a", "c"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("apikey", "did you mean api_key?"),
        ("start-date", "did you mean start_date?"),
        ("pagesize", "did you mean page_size?"),
        ("stream_map", "did you mean stream_maps?"),
        ("qqqqq", "--about lists all settings"),
        ("", "--about lists all settings"),
    ],
)
def test_an_unknown_setting_is_one_line_with_the_nearest_name(name: str, hint: str) -> None:
    """A misspelt setting would otherwise be ignored."""
    assert errors_of(**{name: "canary"}) == [f"Setting {name!r} is unknown: {hint}"]


def test_all_errors_are_reported_at_once() -> None:
    """A person corrects a config in one go: a line each."""
    wrong = {"lag_minutes": "canary", "b": "canary", "a": "canary", "page_size": 0}
    assert set(config_errors(wrong, WHOLE_SCHEMA)) == {
        "Setting lag_minutes must be of type integer",
        "Setting page_size must be at least 1",
        "Setting api_key is missing: set it in the config, or as TAP_CALLCAP_API_KEY",
        "Setting 'a' is unknown: --about lists all settings",
        "Setting 'b' is unknown: --about lists all settings",
    }
    assert errors_of(timezone="canary", api_url="canary", start_date="canary") == [
        f"Setting start_date {DATE}",
        f"Setting api_url {ADDRESS}",
        "Setting timezone must be an IANA timezone, such as UTC or US/Central",
    ]


def test_errors_of_every_kind_are_reported_at_once() -> None:
    """Those that a JSON Schema finds do not keep back those that it does not."""
    wrong = {"page_size": 0, "timezone": "canary", "start_date": "2024-02-01", "b": 1}
    filters = {"divison_id": 1, "search_action": 5, "search_startdate": "canary"}
    lines = errors_of(**wrong, end_date="2024-01-01", filters=filters, hash_fields=["notes"])
    assert {line.split()[1] for line in lines} == {
        *("page_size", "timezone", "start_date", "'b'", "hash_key"),
        *("filters.divison_id", "filters.search_action", "filters.search_startdate"),
    }
    assert len(lines) == 8
    assert [line.split()[1] for line in errors_of(lag_minutes="x", end_date="x")] == [
        *("lag_minutes", "end_date"),
    ]


def test_flattening_needs_a_depth() -> None:
    """The SDK's own line names no setting."""
    missing = "Setting flattening_max_depth is missing: flattening_enabled needs it"
    assert errors_of(flattening_enabled=True) == [missing]
    assert errors_of(flattening_enabled=True, flattening_max_depth=0) == []
    assert errors_of(flattening_enabled=False) == []
    assert errors_of(flattening_max_depth=5, flattening_max_key_length=1) == []


def test_alternatives_that_fit_are_no_error() -> None:
    """A schema of the SDK has a text among them, which no validator takes."""
    assert errors_of(stream_maps={"__else__": None, "calls": {"__else__": "__NULL__"}}) == []
    assert errors_of(faker_config={"locale": ["en_US"], "seed": 5}) == []


def test_fields_are_not_hashed_without_a_key() -> None:
    """Tokens that anybody can make hide nothing."""
    missing = "Setting hash_key is missing: hash_fields needs it"
    assert errors_of(hash_fields=["notes"]) == [missing]
    assert errors_of(hash_fields=["notes"], hash_key="key") == []
    assert errors_of(hash_fields=[]) == []
    assert errors_of(hash_key="key") == []


@pytest.mark.parametrize(
    ("config", "lines"),
    [
        ({"hash_key": "key"}, ["Setting hash_key has no effect without hash_fields"]),
        ({"hash_key": "key", "hash_fields": ["notes"]}, []),
        (
            {"flattening_max_depth": 2},
            ["Setting flattening_max_depth has no effect without flattening_enabled"],
        ),
        ({"flattening_enabled": True, "flattening_max_depth": 2}, []),
        ({"hash_key": None, "flattening_enabled": False}, []),
    ],
    ids=["hash_key", "hash_fields, too", "depth", "flattening, too", "nothing"],
)
def test_a_setting_without_effect_is_said(config: dict[str, Any], lines: list[str]) -> None:
    """Whoever sets a key believes that something is hashed."""
    assert list(settings_without_effect(config)) == lines


@pytest.mark.parametrize(
    ("start", "end", "is_wrong"),
    [
        ("2024-01-02", "2024-01-01", True),
        ("2024-01-01T00:00:00Z", "2024-01-01", True),
        ("2024-01-01T01:00:00+02:00", "2023-12-31T23:30:00Z", False),
        ("2024-01-01T00:30:00Z", "2024-01-01T01:00:00+01:00", True),
        ("2024-01-01", None, False),
        (None, "2024-01-01", False),
    ],
)
def test_start_date_is_before_end_date(start: str | None, end: str | None, is_wrong: bool) -> None:
    """A range without a minute in it is a slip; instants are compared, not texts."""
    expected = ["Setting start_date must be before end_date"] if is_wrong else []
    assert errors_of(start_date=start, end_date=end) == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://api.callcap.com/v2",
        "https://api.callcap.com",
        "HTTPS://api.callcap.com:8443/proxy/v2/",
        "https://[2001:db8::1]/v2",
        "http://127.0.0.1:8010/v2",
        "http://127.9.9.9",
        "http://[::1]:8010",
        "http://LOCALHOST:8010/v2",
    ],
)
def test_an_address_may_have_port_and_path_and_plain_http_on_this_machine(url: str) -> None:
    """Proxies and the sandbox are reached as well as Callcap."""
    assert settings_of(api_url=url).api_url == url
