"""What the documents say, compared with what is there."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from cli_process import run_here

ROOT = Path(__file__).parents[1]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
INTERNALS = ROOT / "docs" / "internals.md"

pytestmark = pytest.mark.skipif(not ARCHITECTURE.exists(), reason="needs the source tree")


def test_the_table_of_files_has_every_file() -> None:
    text = INTERNALS.read_text(encoding="utf-8")
    named: set[str] = set()
    for row in re.findall(r"^\| (`.+?) \|", text, re.MULTILINE):
        folder = ""
        for name in re.findall(r"`([^`]+)`", row):  # `netsession/cli/sink.py`, `replace.py`
            folder = name.rpartition("/")[0] if "/" in name else folder
            whole = name if "/" in name else f"{folder}/{name}"
            stem, bracket, ends = whole.partition("[")  # `src/errors.[ch]`, `records.py[i]`
            named |= {stem + end for end in ends.rstrip("]")} | ({stem} if bracket else {whole})
    files = {
        file.relative_to(ROOT).as_posix()
        for pattern in ("src/*.[ch]", "netsession/**/*.py", "netsession/**/*.pyi")
        for file in ROOT.glob(pattern)
    }
    assert not files - named
    listed = {name for name in named if name.startswith(("src/", "netsession/"))}
    assert not {name for name in listed if name[-1] not in "./" and not (ROOT / name).exists()}


# -- the picture of what imports what --------------------------------------------------------------


def _layers() -> list[set[str]]:
    """The lines of the picture, from above: names of modules, of folders with their slash."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    (picture,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    return [
        {name for line in layer.splitlines() for name in line[18:].split()}
        for layer in re.split(r"^ +\|\n", picture, flags=re.MULTILINE)
    ]


def _place(module: str, layers: list[set[str]]) -> int:
    """Which line has a module of the package."""
    name = module.removeprefix("netsession").lstrip(".") or "__init__"
    folder = f"{name.partition('.')[0]}/"
    places = [number for number, layer in enumerate(layers) if layer & {name, folder}]
    assert len(places) == 1, f"{module} is in the picture {len(places)} times"
    return places[0]


def _modules() -> dict[str, Path]:
    """Those written in Python, by their name."""
    found = {}
    for file in (ROOT / "netsession").rglob("*.py"):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def _imports(module: str, file: Path, known: set[str]) -> set[str]:
    """What of the package a module imports, at once or later, but for type checkers."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    left: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while left:
        node = left.pop()
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            names = [f"{base}.{alias.name}" for alias in node.names]
            found |= {name if name in known else base for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            left += ast.iter_child_nodes(node)
    return (found & known) - {module}


def test_every_module_imports_what_is_below_it_in_the_picture() -> None:
    layers, modules = _layers(), _modules()
    known = {*modules, "netsession._netsession", "netsession._simulator"}
    every = {module: _imports(module, file, known) for module, file in modules.items()}
    upward = [
        f"{module} imports {other}"
        for module, others in every.items()
        for other in others
        if _place(other, layers) < _place(module, layers)
    ]
    assert not upward
    # That it is true of a line drawn elsewhere, too, would make the picture say nothing.
    assert sum(map(len, every.values())) > 150
    assert _imports("netsession.server", modules["netsession.server"], known) > {
        *("netsession._where", "netsession.srvsvc", "netsession.errors", "netsession._netsession")
    }


def test_every_name_of_the_picture_is_there() -> None:
    for name in set().union(*_layers()):
        path = ROOT / "netsession" / name.rstrip("/")
        there = (path.is_dir(), path.with_suffix(".py").exists(), path.with_suffix(".pyi").exists())
        assert any(there) or (ROOT / "src" / f"{name}.c").exists(), name


def test_what_is_c_without_python() -> None:
    """In the picture and in the table: neither it nor what it includes has Python.h."""
    plain = _layers()[-1]
    for name in sorted(plain):
        included: set[str] = set()
        left = {f"{name}.c"}
        while left:
            file = ROOT / "src" / left.pop()
            text = file.read_text(encoding="utf-8")
            assert "<Python.h>" not in text, f"{name} includes Python.h by {file.name}"
            included.add(file.name)
            left |= set(re.findall(r'#include "([^"]+)"', text)) - included
    rows = re.findall(r"^\| (`src/.+?) \|.*no Python", INTERNALS.read_text("utf-8"), re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"src/(\w+)\.\[?c", row)}
    assert told - {"upcase_table", "arrow_c_data"} <= plain


@pytest.mark.parametrize("command", ["list", "show", "watch", "delete"])
def test_every_option_is_documented_and_there(command: str) -> None:
    pytest.importorskip("rich")
    told = set(re.findall(r"(?<![\w-])--[a-z-]+", run_here(command, "--help").text))
    document = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert not {option for option in told - {"--help"} if f"`{option}" not in document}
    every = {
        option
        for each in ("list", "show", "watch", "delete")
        for option in re.findall(r"(?<![\w-])--[a-z-]+", run_here(each, "--help").text)
    }
    assert not set(re.findall(r"`(?:-\w[^`]*`, `)?(--[a-z-]+)", document)) - every - {"--version"}


def _links() -> Any:
    """The tool that looks at links, as a module."""
    path = ROOT / "tools" / "docs" / "links.py"
    if not path.exists():
        pytest.skip("tools/ is no part of what an installed netsession is tested with")
    sys.path.append(str(path.parent))
    return importlib.import_module("links")


def test_every_link_within_the_repository_leads_somewhere() -> None:
    links = _links()
    assert sum(1 for page in links.pages() for _ in links.links(page)) > 40
    assert not {page.name: wrong for page in links.pages() if (wrong := links.wrong(page))}


@pytest.mark.parametrize(
    ("link", "is_right"),
    [
        ("architecture.md", True),
        ("internals.md#where-things-live", True),
        ("architecture.md#nowhere", False),
        ("nowhere.md", False),
        ("../README.md", True),
        ("../../README.md", False),
        ("https://github.com/netsession/netsession/blob/main/docs/cli.md#exit-codes", True),
        ("https://github.com/netsession/netsession/blob/main/docs/cli.md#nowhere", False),
        ("https://raw.githubusercontent.com/netsession/netsession/main/nowhere.svg", False),
        ("https://elsewhere.example/", True),
    ],
)
def test_which_links_are_right(link: str, is_right: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    links = _links()
    monkeypatch.setattr(links, "links", lambda page: [link])
    assert links.wrong(ARCHITECTURE) == ([] if is_right else [link])
