"""Settings in the environment are read; a variable that has no effect is named."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from support.whole_schema import KEY, WHOLE_SCHEMA
from tap_callcap.environment import read_environment, unused_variables
from tap_callcap.validation import config_errors

MELTANO: dict[str, str | None] = {"MELTANO_EXTRACTOR_NAME": "tap-callcap"}


def lines(environment: dict[str, str | None], *, is_read: bool = True, **config: Any) -> list[str]:
    """What is said of an environment."""
    return list(unused_variables(environment, WHOLE_SCHEMA, config, is_read=is_read))


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("TAP_CALLCAP_STARTDATE", "did you mean TAP_CALLCAP_START_DATE?"),
        ("TAP_CALLCAP_start_date", "did you mean TAP_CALLCAP_START_DATE?"),
        ("tap_callcap_api_key", "did you mean TAP_CALLCAP_API_KEY?"),
        ("Tap_Callcap_Page_Size", "did you mean TAP_CALLCAP_PAGE_SIZE?"),
        ("TAP_CALLCAP_API-KEY", "did you mean TAP_CALLCAP_API_KEY?"),
        ("TAP_CALLCAP_LOG_LEVEL", "did you mean TAP_CALLCAP_LOGLEVEL?"),
        ("tap_callcap_loglevel", "did you mean TAP_CALLCAP_LOGLEVEL?"),
        ("TAP_CALLCAP_STREAM_MAP", "did you mean TAP_CALLCAP_STREAM_MAPS?"),
        ("TAP_CALLCAP_QQQ", "--about lists all settings"),
        ("TAP_CALLCAP_", "--about lists all settings"),
        *(
            (f"TAP_CALLCAP_{name}", """write TAP_CALLCAP_FILTERS='{"division_id": …}'""")
            for name in ("FILTERS_DIVISION_ID", "FILTERS__DIVISION_ID", "DIVISION_ID")
        ),
        ("TAP_CALLCAP_FILTERS_DIVISION", "write it as JSON in TAP_CALLCAP_FILTERS"),
        ("TAP_CALLCAP_CALL_IDS_0", "write it as JSON in TAP_CALLCAP_CALL_IDS"),
        ("TAP_CALLCAP_BATCH_CONFIG_BATCH_SIZE", "write it as JSON in TAP_CALLCAP_BATCH_CONFIG"),
    ],
)
@pytest.mark.parametrize("around", [{}, MELTANO], ids=["alone", "Meltano"])
def test_a_variable_that_is_no_setting_is_named(
    variable: str, hint: str, around: dict[str, str | None]
) -> None:
    """With what to write in its place, and without its value."""
    told = [f"The variable {variable} is not a setting: {hint}"]
    assert lines({variable: "c4n4ry", **around}) == told
    assert lines({variable: "c4n4ry", **around}, is_read=False) == told


def test_a_name_is_one_line() -> None:
    """Whatever it holds."""
    (line,) = lines({"TAP_CALLCAP_A\nB": "x"})
    assert line.startswith("The variable TAP_CALLCAP_A\\nB is not a setting")


@pytest.mark.parametrize(
    "environment",
    [
        {"TAP_CALLCAP_LOGLEVEL": "DEBUG"},
        {"TAP_CALLCAP_START_DATE": "2024-01-01", "TAP_CALLCAP_FILTERS": "{"},
        {"TAP_CALLCAP_STARTDATE": "", "TAP_CALLCAP_ENDDATE": None},
        {"TAP_CALLCAP__SELECT": "[]", "TAP_CALLCAP__CATALOG": "x", "TAP_CALLCAP__FILTERS": "x"},
        {"TAP_CALLCAP": "x", "STARTDATE": "x", "TARGET_CALLCAP_X": "x", "MY_TAP_CALLCAP_X": "x"},
    ],
    ids=["log level", "settings", "empty", "Meltano's extras", "others"],
)
def test_other_variables_are_not_named(environment: dict[str, str | None]) -> None:
    """Those that have an effect, that are not set, or that belong to somebody else."""
    assert lines(environment) == []


@pytest.mark.parametrize(
    "name",
    ["EU_API_KEY", "EU_FILTERS_DIVISION_ID", "EU__SELECT", "EU_STREAM_MAPS_CALLS___ALIAS__"],
)
def test_plugins_that_inherit_have_variables_of_their_own(name: str) -> None:
    """Meltano exports all settings again under their names, and reads them from one .env."""
    variable = f"TAP_CALLCAP_{name}"
    assert lines({variable: "x", **MELTANO}) == []
    assert len(lines({variable: "x"})) == 1


def test_settings_that_are_not_read_are_named_in_one_line() -> None:
    """Without `--config=ENV` they have no effect, unless the config file says the same."""
    environment: dict[str, str | None] = {
        "TAP_CALLCAP_START_DATE": "c4n4ry",
        "TAP_CALLCAP_API_KEY": "key",
        "TAP_CALLCAP_PAGE_SIZE": "",
    }
    line = "Without --config=ENV these variables are not used: "
    assert lines(environment, is_read=False) == [
        f"{line}TAP_CALLCAP_API_KEY, TAP_CALLCAP_START_DATE"
    ]
    assert lines(environment, is_read=False, api_key="key") == [f"{line}TAP_CALLCAP_START_DATE"]
    assert lines(environment, is_read=True) == []
    assert lines(environment | MELTANO, is_read=False) == [
        line.replace("--config=ENV", "settings in meltano.yml")
        + "TAP_CALLCAP_API_KEY, TAP_CALLCAP_START_DATE"
    ]


@pytest.mark.parametrize(
    ("config", "environment"),
    [
        ({"api_key": "1e3"}, {"API_KEY": "1e3"}),
        ({"page_size": 50}, {"PAGE_SIZE": "50"}),
        ({"retry_minutes": Decimal("0.1")}, {"RETRY_MINUTES": "0.1"}),
        ({"flattening_enabled": True}, {"FLATTENING_ENABLED": "True"}),
        ({"flattening_enabled": True}, {"FLATTENING_ENABLED": "true"}),
        ({"flattening_enabled": False}, {"FLATTENING_ENABLED": "0"}),
        (
            {"filters": {"division_id": 5, "search_action": ["ans"]}},
            {
                "FILTERS": '{"division_id": 5, "search_action": ["ans"]}',
                "FILTERS_DIVISION_ID": "5",
                "FILTERS_SEARCH_ACTION": '["ans"]',
            },
        ),
        (
            {"stream_maps": {"calls": {"__alias__": "c", "zz-y": "null", "x": None}}},
            {"STREAM_MAPS_CALLS___ALIAS__": "c", "STREAM_MAPS_CALLS_ZZ_Y": "null"},
        ),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_meltano_exports_is_not_named(
    config: dict[str, Any], environment: dict[str, str]
) -> None:
    """It writes all settings to the config file, and exports them, and their parts, as well."""
    exported: dict[str, str | None] = {
        f"TAP_CALLCAP_{name}": text for name, text in environment.items()
    }
    assert lines(exported | MELTANO, is_read=False, **config) == []
    other = {name: f"{text}1" for name, text in exported.items()}
    assert len(lines({**other, **MELTANO}, is_read=False, **config)) >= 1


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("api_key", "0123", "0123"),
        ("start_date", "2024-01-01", "2024-01-01"),
        ("page_size", "50", 50),
        ("page_size", "fifty", "fifty"),
        ("page_size", "true", True),
        ("retry_minutes", "0.5", 0.5),
        ("retry_minutes", "1" * 5000, "1" * 5000),
        ("flattening_enabled", "True", True),
        ("flattening_enabled", "1", True),
        ("flattening_enabled", "false", False),
        ("flattening_enabled", "0", False),
        ("flattening_enabled", "yes", "yes"),
        ("stream_maps", '{"calls": {}}', {"calls": {}}),
        ("stream_maps", "{calls", "{calls"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_variable_is_read_as_the_type_of_its_setting(name: str, text: str, value: object) -> None:
    """The environment has only texts; what is no such type stays one, and is told of."""
    environment = {f"TAP_CALLCAP_{name.upper()}": text}
    config = read_environment(environment, WHOLE_SCHEMA)
    assert config == {name: value}
    assert type(config[name]) is type(value)
    assert len(config_errors(KEY | {"flattening_max_depth": 5} | config, WHOLE_SCHEMA)) == (
        text in {"fifty", "true", "yes", "{calls", "1" * 5000}
    )


def test_other_variables_are_ignored() -> None:
    """Empty variables are not set, and names that are no setting have no effect."""
    environment = {"TAP_CALLCAP_PAGE_SIZE": "", "TAP_CALLCAP_PAGESIZE": "5", "PAGE_SIZE": "5"}
    assert read_environment(environment, WHOLE_SCHEMA) == {}
    assert read_environment({"TAP_CALLCAP_ANY": "text"}, {"properties": {"any": {}}}) == {
        "any": "text"
    }
