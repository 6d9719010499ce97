"""What the documents say, compared with what is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from cli_process import run_here

ROOT = Path(__file__).parents[1]
ARCHITECTURE = ROOT / "docs" / "architecture.md"

pytestmark = pytest.mark.skipif(not ARCHITECTURE.exists(), reason="needs the source tree")


def test_the_table_of_files_has_every_file() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    named: set[str] = set()
    for row in re.findall(r"^\| (`.+?) \|", text, re.MULTILINE):
        folder = ""
        for name in re.findall(r"`([^`]+)`", row):  # `netsession/cli/sink.py`, `replace.py`
            folder = name.rpartition("/")[0] if "/" in name else folder
            whole = name if "/" in name else f"{folder}/{name}"
            stem, bracket, ends = whole.partition("[")  # `src/errors.[ch]`, `records.py[i]`
            named |= {stem + end for end in ends.rstrip("]")} | ({stem} if bracket else {whole})
    folders = tuple(name for name in named if name.endswith("/") and name.count("/") > 1)
    files = {
        file.relative_to(ROOT).as_posix()
        for pattern in ("src/*.[ch]", "netsession/**/*.py", "netsession/**/*.pyi")
        for file in ROOT.glob(pattern)
    }
    assert not {file for file in files - named if not file.startswith(folders)}
    listed = {name for name in named if name.startswith(("src/", "netsession/"))}
    assert not {name for name in listed if name[-1] not in "./" and not (ROOT / name).exists()}


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
    spec = importlib.util.spec_from_file_location("doc_links", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_link_within_the_repository_leads_somewhere() -> None:
    links = _links()
    assert sum(1 for page in links.pages() for _ in links.links(page)) > 40
    assert not {page.name: wrong for page in links.pages() if (wrong := links.wrong(page))}


@pytest.mark.parametrize(
    ("link", "is_right"),
    [
        ("architecture.md", True),
        ("architecture.md#where-things-live", True),
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
