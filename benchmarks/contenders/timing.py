"""Timing, the same in every contender's process. Needs nothing but the standard library."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

#: name, and what is timed: the result is dropped outside of the time taken
Jobs = Mapping[str, Callable[[], object]]


def once(work: Callable[[], object], at_least: float = 0.0) -> tuple[float, float]:
    """Wall and CPU seconds of one call: the average of as many as fill ``at_least`` seconds.

    The garbage is collected before, so that nobody pays for another's; during the work the
    collector is on, as it is for users. Dropping a result is not in the time.
    """
    gc.collect()
    walls = cpus = 0.0
    calls = 0
    while walls < at_least or not calls:
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        walls += time.perf_counter() - wall
        cpus += time.process_time() - cpu
        calls += 1
        del result
    return walls / calls, cpus / calls


def in_turn(jobs: Jobs, rounds: int, at_least: float) -> dict[str, dict[str, list[float]]]:
    """Times all jobs once a round, each round beginning with another one; one warm-up before.

    Returns for each name ``{"wall": [...], "cpu": [...]}``, seconds in the order of the rounds, so
    that values of one round can be compared with each other.
    """
    names = list(jobs)
    times: dict[str, dict[str, list[float]]] = {
        name: {"wall": [0.0] * rounds, "cpu": [0.0] * rounds} for name in names
    }
    for work in jobs.values():
        work()
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            wall, cpu = once(jobs[name], at_least)
            times[name]["wall"][number] = wall
            times[name]["cpu"][number] = cpu
    return times


def kernel_share(work: Callable[[], object], at_least: float = 1.0) -> float:
    """How much of its CPU time the system spends for it (0 to 1): mostly on fresh memory."""
    start = os.times()
    deadline = time.perf_counter() + at_least
    while time.perf_counter() < deadline:
        work()
    end = os.times()
    system, user = end.system - start.system, end.user - start.user
    return system / (system + user)


def must_equal(name: str, got: Any, expected: Any) -> None:
    """Contenders must give the same before they are compared."""
    if got != expected:
        raise SystemExit(f"{name} gives something else: {got!r:.500} instead of {expected!r:.500}")
