"""Any JSON as a config: lines that name settings, or settings that can be used."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from support import seeded
from support.whole_schema import KEY, WHOLE_SCHEMA
from tap_callcap.api.filter_table import FILTERS
from tap_callcap.instants import MINUTE
from tap_callcap.settings import Settings
from tap_callcap.validation import config_errors

SEEDED = settings(seeded.SEEDED, max_examples=300)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from((10**400, "2024-01-01", "9999-12-31 23:59:59-23:59", "0001-01-01", "UTC"))
    | st.from_regex(r"https?://[a-z0-9.:@\[\]-]{1,12}/?", fullmatch=True),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
likely = {
    "api_key": st.text("ab \n", max_size=3),
    "start_date": st.datetimes().map(str),
    "end_date": st.datetimes().map(datetime.isoformat),
    "filters": st.dictionaries(st.sampled_from([*FILTERS, "page", "x"]), values, max_size=3),
    "call_ids": st.lists(st.text(max_size=3), max_size=2),
    "timezone": st.sampled_from(("UTC", "US/Central", "US", "right/UTC", "localtime", "")),
    **{name: st.integers() | st.floats() for name in ("lag_minutes", "page_size", "retry_minutes")},
    **{name: st.floats(0, 100) for name in ("requests_per_second", "request_timeout_seconds")},
}
configs = st.one_of(
    st.dictionaries(
        st.sampled_from(sorted(WHOLE_SCHEMA["properties"])) | st.text(max_size=4), values
    ),
    st.fixed_dictionaries({}, optional=likely).map(KEY.__or__),
)


@SEEDED
@given(configs)
@example(KEY | {"requests_per_second": 10**400})
@example(KEY | {"start_date": "0001-01-01", "end_date": "9999-12-31"})
def test_any_config_has_problems_or_makes_settings(config: dict[str, Any]) -> None:
    """Whatever a config holds, it is told of in lines, or it is settings that can be used."""
    given_names = set(config)
    found = config_errors(config, WHOLE_SCHEMA)
    for line in found:
        assert line.startswith("Setting ")
        assert len(line.splitlines()) == 1
    named = [line.split()[1] for line in found]
    assert len(named) == len(set(named)) or not given_names <= set(WHOLE_SCHEMA["properties"])
    if not found:
        made = Settings.from_config(config)
        for instant in (made.start_date, made.end_date):
            if instant is not None:
                around = [instant - MINUTE, instant + MINUTE]
                assert [near.astimezone(made.zone) for near in around] == around
        assert made.requests_per_second is None or made.requests_per_second > 0
        assert json.dumps([made.page_size, made.concurrency]).count(".") == 0
