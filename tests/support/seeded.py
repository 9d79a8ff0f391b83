"""Hypothesis settings: the same examples in every run, and no time limit."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

SEEDED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
