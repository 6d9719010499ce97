"""The list of mutations of the C files stays true: each still applies, and says what it breaks.

That each fails a test is what ``make mutants-c`` shows, which compiles them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).resolve().parents[1] / "tools" / "mutants"
LISTS = Path(__file__).with_name("mutants")


@pytest.fixture(scope="module")
def mutants() -> Iterator[list[Any]]:
    if not TOOLS.is_dir():
        pytest.skip("tools/ is no part of what an installed netsession is tested with")
    sys.path.insert(0, str(TOOLS))
    try:
        import c_list

        yield list(c_list.mutants())
    finally:
        sys.path.remove(str(TOOLS))


def test_every_mutation_applies(mutants: list[Any]) -> None:
    """MutantError names those that do not, whose list is then to be corrected."""
    for mutant in mutants:
        assert mutant.mutated() != mutant.path.read_text()
    assert len(mutants) >= 80


def test_the_tests_that_are_named_exist(mutants: list[Any]) -> None:
    killed_by = json.loads((LISTS / "killed_by.json").read_text())
    assert set(killed_by) <= {mutant.name for mutant in mutants}
    named = {test for mutant in mutants for test in mutant.tests} | set(killed_by.values())
    for name in sorted(named):
        file, _, function = name.partition("::")
        text = Path(__file__).with_name(file).read_text()
        assert not function or f"def {function}(" in text, name
