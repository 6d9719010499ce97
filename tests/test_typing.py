"""What mypy and pyright say of programs that use the package: tests/typing/, which never runs.

right.py is right to both; in wrong.py each line that is wrong ends with what they must call it.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import pytest

_ROOT = Path(__file__).parents[1]
_CASES = Path(__file__).parent / "typing"
_WRONG = re.compile(r"# wrong: (\S+), (\S+)$")

Found = dict[int, set[str]]  # what a checker calls each line that it refuses


def _lacks(what: str) -> NoReturn:
    if os.environ.get("NETSESSION_REQUIRE_TYPES", "") not in ("", "0"):
        pytest.fail(f"NETSESSION_REQUIRE_TYPES is set, but this {what}", pytrace=False)
    pytest.skip(what)


def _run(*command: str, cwd: Path = _ROOT) -> str:
    # pyright asks this Python where packages are, ours among them.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "PATH": path}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr  # 1: it refuses something
    return done.stdout


def _mypy(name: str) -> Found:
    if find_spec("mypy") is None:
        _lacks("needs mypy: pip install --group lint")
    said = _run(
        *(sys.executable, "-m", "mypy", "--strict", "--no-pretty", "--no-error-summary"),
        *("--hide-error-context", str(_CASES / name)),
    )
    found: Found = {}
    for file, line, code in re.findall(r"^(.*?):(\d+): error: .*\[([\w-]+)\]$", said, re.M):
        assert Path(file).name == name, said
        found.setdefault(int(line), set()).add(code)
    return found


@cache
def _pyright(*arguments: str, cwd: Path = _ROOT) -> Any:
    # basedpyright is pyright with all of it in its wheel; pyright's own fetches it from npm.
    here = Path(sys.executable).parent
    program = shutil.which("basedpyright", path=here) or shutil.which("pyright")
    if program is None:
        _lacks("needs basedpyright or pyright: pip install --group lint")
    return json.loads(_run(program, "--outputjson", *arguments, cwd=cwd))


def _pyright_strict(name: str) -> Found:
    found: Found = {}
    for each in _pyright("-p", str(_CASES))["generalDiagnostics"]:
        if Path(each["file"]).name == name:
            line = each["range"]["start"]["line"] + 1
            found.setdefault(line, set()).add(each.get("rule", each["message"]))
    return found


_CHECKERS = [_mypy, _pyright_strict]


@pytest.mark.parametrize("checker", _CHECKERS)
def test_right_uses_are_accepted(checker: Callable[[str], Found]) -> None:
    assert checker("right.py") == {}


@pytest.mark.parametrize("place", range(2), ids=["mypy", "pyright"])
def test_wrong_uses_are_refused(place: int) -> None:
    lines = enumerate((_CASES / "wrong.py").read_text().splitlines(), start=1)
    expected = {line: wrong[place + 1] for line, text in lines if (wrong := _WRONG.search(text))}
    assert len(expected) > 30
    found = _CHECKERS[place]("wrong.py")
    assert found.keys() == expected.keys()
    for line, name in expected.items():
        assert name in found[line], line  # a fault may have others in its wake


def test_all_that_is_public_has_a_type(tmp_path: Path) -> None:
    """Not in our folder, where pyright would take what lies there for the installed package."""
    said = _pyright("--verifytypes", "netsession", "--ignoreexternal", cwd=tmp_path)
    lacking = [each["name"] for each in said["typeCompleteness"]["symbols"] if _lacks_type(each)]
    assert lacking == []
    assert said["typeCompleteness"]["completenessScore"] == 1


def _lacks_type(symbol: dict[str, Any]) -> bool:
    return bool(symbol["isExported"]) and not symbol["isTypeKnown"]


@pytest.mark.parametrize(
    ("file", "options", "function"),
    [
        ("server.py", "_Listing", "sessions"),
        ("server.py", "_Watched", "watch"),
        ("fleet.py", "_Scanned", "scan"),
    ],
)
def test_overloads_take_what_the_function_takes(file: str, options: str, function: str) -> None:
    """Overloads have a TypedDict for all but the level; the function is what is called."""
    source = _ROOT / "netsession" / file
    if not source.exists():
        pytest.skip("needs the source tree")
    nodes = list(ast.walk(ast.parse(source.read_text(encoding="utf-8"))))
    (made,) = [each for each in nodes if isinstance(each, ast.ClassDef) and each.name == options]
    taken = {
        each.target.id: ast.unparse(each.annotation)
        for each in made.body
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    }
    named = [each for each in nodes if isinstance(each, ast.FunctionDef) and each.name == function]
    (real,) = [each for each in named if not each.decorator_list]
    assert len(named) == 7  # five levels, and none
    there = {
        each.arg: ast.unparse(each.annotation)
        for each in real.args.kwonlyargs
        if each.annotation is not None and each.arg != "level"
    }
    assert taken == there
