"""A real `meltano run` that is stopped goes on where it was; tests/stops.py stops many more."""

from __future__ import annotations

import sys

import pytest

from stops import STOPS, pipeline, stopped
from targets.postgresql import NoPostgreSQLError

pytestmark = [
    pytest.mark.targets,
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="it finds processes in /proc"),
]


def test_a_stopped_run_goes_on_where_it_was() -> None:
    """SIGTERM, Ctrl-C, SIGKILL to Meltano and to everything: parts stay, and nothing is missing."""
    try:
        with pipeline(2_000, page_size=10) as ready:
            stops = list(stopped(ready, len(STOPS), longest=30))
            assert ready.missing() == 0
    except NoPostgreSQLError as error:
        pytest.skip(str(error))
    assert {stop.kind for stop in stops} == {*STOPS}
    assert all(stop.seconds < 60 for stop in stops), stops
    assert any(stop.rows > stop.again for stop in stops), "no bookmark was kept"
