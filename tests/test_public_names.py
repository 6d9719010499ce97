"""Public names change on purpose: docs/releasing.md says how."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import public_names

KEPT = Path(__file__).parent / "data" / "public_names.txt"


def test_public_names_are_those_that_are_kept() -> None:
    kept = KEPT.read_text(encoding="utf-8").splitlines()
    there = list(public_names.lines())
    told = "changed on purpose? python tests/public_names.py > tests/data/public_names.txt"
    assert [f"+ {line}" for line in there if line not in kept] == [], told
    assert [f"- {line}" for line in kept if line not in there] == [], told


def test_what_a_name_takes_is_part_of_it() -> None:
    lines = list(public_names.lines())
    assert "netsession.SessionPage.filter(self, predicate, /)" in lines
    assert "netsession.Server is netsession.server.Server" in lines
    assert "netsession.win32net.NetSessionDel(server=..., client=..., username=...)" in lines


@pytest.mark.parametrize("name", public_names.modules())
def test_a_shell_completes_what_is_public(name: str) -> None:
    module = importlib.import_module(name)
    assert [public for public in module.__all__ if public not in dir(module)] == []
