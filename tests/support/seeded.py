"""How properties are tried: the same examples in every run, and as slow as the machine is busy."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

SEEDED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
