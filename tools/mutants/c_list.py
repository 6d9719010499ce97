"""The list of mutations of the C files, tests/mutants/*.toml, read and checked.

A mutation is a text of a file that is replaced by another one, and a promise that this breaks.  It
is found by its text and not by a line's number, so that it outlives changes around it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "mutants"


class MutantError(Exception):
    """An entry of the list is not true any more; the text says which and why."""


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    list_name: str
    breaks: str  #: what no longer holds, which is also its name
    file: str  #: in src/
    before: str
    after: str
    tests: tuple[str, ...]  #: files of tests/ that are run before all others
    equivalent: str = ""  #: why no test can notice; such a one is compiled, but not tested
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.list_name}: {self.breaks}"

    @property
    def path(self) -> Path:
        return ROOT / "src" / self.file

    def mutated(self) -> str:
        """The file's text with the change."""
        text = self.path.read_text()
        count = text.count(self.before)
        if count != 1:
            where = "does not occur" if count == 0 else f"occurs {count} times"
            raise MutantError(f"{self.name}: its text {where} in src/{self.file}")
        if self.before == self.after:
            raise MutantError(f"{self.name}: it changes nothing")
        return text.replace(self.before, self.after)


_KEYS = {"breaks", "file", "before", "after", "tests", "equivalent", "environment"}


def _mutant(list_name: str, shared: dict[str, Any], entry: dict[str, Any]) -> Mutant:
    unknown = set(entry) - _KEYS
    if unknown:
        raise MutantError(f"{list_name}: unknown keys {sorted(unknown)} in {entry}")
    try:
        return Mutant(
            list_name=list_name,
            breaks=entry["breaks"],
            file=entry.get("file", shared["file"]),
            before=entry["before"],
            after=entry["after"],
            tests=(*entry.get("tests", ()), *shared["tests"]),
            equivalent=entry.get("equivalent", ""),
            environment=entry.get("environment", {}),
        )
    except KeyError as missing:
        raise MutantError(f"{list_name}: {missing} is missing in {entry}") from missing


def mutants() -> Iterator[Mutant]:
    """All of them, as they are listed."""
    seen: set[str] = set()
    for path in sorted(FOLDER.glob("*.toml")):
        table = tomllib.loads(path.read_text())
        for entry in table["mutant"]:
            mutant = _mutant(path.stem, table, entry)
            if mutant.name in seen:
                raise MutantError(f"{mutant.name}: there are two of that name")
            seen.add(mutant.name)
            yield mutant
