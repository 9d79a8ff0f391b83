"""The SDK's standard tests, over the sandbox."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from support.running import STREAMS, catalog_of
from tap_callcap.sandbox import CallBook, Sandbox, made_up_calls
from tap_callcap.tap import TapCallcap

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime.now(timezone.utc)
CONFIG: dict[str, Any] = {"api_key": "sandbox"}

StandardTests = get_tap_test_class(
    TapCallcap,
    config=CONFIG,
    catalog=catalog_of(*STREAMS),
    suite_config=SuiteConfig(max_records_limit=200, ignore_no_records_for_streams=[]),
    parse_env_config=False,
)


@pytest.mark.usefixtures("_served")
class TestTapCallcap(StandardTests):  # type: ignore[misc, valid-type]
    """Every stream, every attribute."""


@pytest.fixture(scope="module")
def _served() -> Iterator[None]:
    """Serve an account; the tests' config is a dict that they share."""
    book = CallBook(made_up_calls(300, seed=3, start=NOW - timedelta(days=60), end=NOW))
    with Sandbox(book) as sandbox:
        CONFIG["api_url"] = sandbox.url
        yield


del StandardTests
