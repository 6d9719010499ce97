"""What is measured: samples in the order of the rounds, and what they say."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Sample:
    """One contender's seconds in one case, a value a round."""

    section: str  #: "windows", "decode", "end to end", "round trips", ...
    contender: str
    level: int | None
    entries: int
    wall: list[float]
    cpu: list[float]

    def per_entry(self, kind: str) -> list[float]:
        """Nanoseconds an entry, a value a round."""
        return [seconds / self.entries * 1e9 for seconds in getattr(self, kind)]


@dataclass
class Figure:
    """A number measured once or a few times, with its unit."""

    name: str
    unit: str
    values: list[float]
    of: str = ""  #: of how many sessions, where the number depends on it

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass
class Results:
    """Everything of one run."""

    samples: list[Sample] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)

    def find(self, section: str, contender: str, level: int | None, entries: int) -> Sample | None:
        """The sample of a case."""
        wanted = (section, contender, level, entries)
        for sample in self.samples:
            if (sample.section, sample.contender, sample.level, sample.entries) == wanted:
                return sample
        return None

    def main_case(self, section: str, level: int | None) -> int:
        """The number of entries that stands for a section: 100,000, or what is next to it."""
        counts = {s.entries for s in self.samples if (s.section, s.level) == (section, level)}
        return min(counts, key=lambda count: abs(math.log(count / 100_000)), default=0)

    def figure(self, name: str) -> Figure | None:
        return next((figure for figure in self.figures if figure.name == name), None)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def from_json(data: dict[str, Any]) -> Results:
    """What ``Results.as_json`` gave."""
    rest = {name: data[name] for name in ("versions", "missing", "notes", "machine")}
    return Results(
        [Sample(**sample) for sample in data["samples"]],
        [Figure(**figure) for figure in data["figures"]],
        **rest,
    )


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def ratios(left: Iterable[float], right: Iterable[float]) -> list[float]:
    """Left over right, round by round where both have as many."""
    left, right = list(left), list(right)
    if len(left) == len(right):
        return [a / b for a, b in zip(left, right, strict=True)]
    middle = statistics.median(right)
    return [a / middle for a in left]


def spread(values: list[float]) -> str:
    """Minimum and maximum, in three digits."""
    return f"{three_digits(min(values))} to {three_digits(max(values))}"


def three_digits(value: float) -> str:
    """Enough of a number to compare it: 0.0123, 1.23, 12.3, 1,230."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"
