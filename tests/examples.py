"""How Hypothesis is asked: the same examples each time, on every machine."""

from __future__ import annotations

from hypothesis import HealthCheck, settings


def the_same(number: int) -> settings:
    """So many examples."""
    return settings(
        derandomize=True,
        deadline=None,
        database=None,
        max_examples=number,
        suppress_health_check=[HealthCheck.too_slow],
    )
