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
