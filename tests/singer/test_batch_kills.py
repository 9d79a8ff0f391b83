"""Batches of an installed tap that is killed; `tests/endurance.py` has hundreds of moments."""

from __future__ import annotations

import signal

import pytest

from support.kills import killed

pytest.importorskip("pyarrow")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "seed"),
    [(signal.SIGKILL, 1), (signal.SIGKILL, 2), (signal.SIGTERM, 3), (signal.SIGINT, 4)],
)
def test_a_kill_leaves_announced_files_only(number: int, seed: int) -> None:
    """Each file in a manifest is whole, no other file stays, and no call is lost."""
    kill = killed(number, seed, "BATCH")
    assert not kill.is_bad, kill
