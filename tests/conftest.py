"""Fixtures and options for all tests."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A mutant is found by any failing example: the smallest one takes many times longer.
settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate))


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores: the tests wait for other processes much of the time."""
    has_affinity = hasattr(os, "sched_getaffinity")
    return 1 + (len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, so that no worker is left with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run of all the targets' tests write down what it found."""
    parser.addoption("--write-matrix", action="store_true", help="bring docs/targets.md up to date")


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the settings of the developer's shell, and of a .env beside it, out of the tests."""
    for name in os.environ:
        if name.startswith("TAP_CALLCAP_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _no_garbage_collection() -> Iterator[None]:
    """Keep what test tools have the collector call from running at a recursion limit."""
    gc.disable()
    yield
    gc.enable()
