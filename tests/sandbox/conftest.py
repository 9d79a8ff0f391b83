"""Fixtures: a small Callcap with a fixed clock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.sandbox_requests import NOW, Open
from tap_callcap.sandbox import VENDOR_EXAMPLE, CallBook, Callcap, Switches, made_up_calls

if TYPE_CHECKING:
    from tap_callcap.sandbox import Call


@pytest.fixture(scope="session")
def calls() -> list[Call]:
    """Return 900 calls of the two years up to NOW, the vendor's example among them."""
    old = made_up_calls(700, seed=5, start=NOW - timedelta(days=730), end=NOW)
    new = made_up_calls(
        199,
        seed=6,
        start=NOW - timedelta(days=9),
        end=NOW,
        first_serial=701,
    )
    return [VENDOR_EXAMPLE, *old, *new]


@pytest.fixture
def open_callcap(calls: list[Call]) -> Open:
    """Return a function that makes a Callcap at NOW with some switches, over all or some calls."""

    def opened(some: list[Call] | None = None, *, seed: int = 0, **switches: object) -> Callcap:
        return Callcap(
            CallBook(calls if some is None else some),
            switches=Switches(**switches),  # type: ignore[arg-type]  # checked by the dataclass's users
            clock=lambda: NOW,
            sleep=lambda _: None,
            seed=seed,
        )

    return opened


@pytest.fixture
def callcap(open_callcap: Open) -> Callcap:
    """Return a Callcap at NOW with the default switches."""
    return open_callcap()
