r"""The fenced blocks of the documents, and what is said of each right before it.

HTML comments directly before a fence say how it is executed; several may stand one below the other:

    <!-- not run: why -->   it is not executed
    <!-- continues -->      (python) goes on where the python block before ended, with its names
    <!-- setup              (python) runs before it and is not shown: what the reader has already
    names = ["fs01"]
    -->
    <!-- output -->         (text) is what the block before printed; ``...`` stands for anything
    <!-- exit 1 -->         (console, sh) the last command ends with this status
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+)(?P<language>[\w+-]*)[^\n`]*$", re.MULTILINE)
_COMMENTS = re.compile(r"(?:<!--(?:(?!-->).)*-->\s*)+\Z", re.DOTALL)
_COMMENT = re.compile(r"<!--\s*((?:(?!-->).)*?)\s*-->", re.DOTALL)
_KNOWN = re.compile(r"(?:not run: \S|setup\n|continues$|output$|exit \d+$)")


class Block(NamedTuple):
    """A fenced block: where it stands, its language, its text, and what is said of it."""

    page: str
    line: int  # of its first line of text
    language: str
    text: str
    marks: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"

    def mark(self, name: str) -> str | None:
        """What follows the name in a comment, None where there is no such comment."""
        for mark in self.marks:
            if mark.startswith(name):
                return mark[len(name) :].removeprefix(":").strip(" ")
        return None

    @property
    def is_tests(self) -> bool:
        return self.language == "python" and re.search(r"^def test_", self.text, re.M) is not None


def pages() -> list[Path]:
    """All documents that have examples."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
    return [page for page in found if page.exists()]


def blocks(page: Path) -> list[Block]:
    """The page's blocks, in their order."""
    name = page.relative_to(ROOT).as_posix() if page.is_relative_to(ROOT) else page.name
    return list(_blocks(page.read_text(encoding="utf-8"), name))


def _blocks(text: str, page: str) -> Iterator[Block]:
    end = 0
    while (fence := _FENCE.search(text, end)) is not None:
        close = re.compile(rf"^ *{fence['ticks']}`* *$", re.MULTILINE).search(text, fence.end())
        assert close is not None, f"{page}: a block that never ends"
        said = _COMMENTS.search(text[end : fence.start()])
        yield Block(
            page,
            text.count("\n", 0, fence.end()) + 2,
            fence["language"],
            textwrap.dedent(text[fence.end() + 1 : close.start()]),
            tuple(_marks(said[0], page)) if said else (),
        )
        end = close.end()


def _marks(comments: str, page: str) -> Iterator[str]:
    """Those that are about blocks."""
    for each in _COMMENT.findall(comments):
        if not _KNOWN.match(each):
            assert not each.startswith(("not run", "setup", "continue", "output", "exit")), (
                f"{page}: <!-- {each} --> says nothing about a block; see tests/doc_blocks.py"
            )
            continue
        yield each


def chains(found: list[Block]) -> list[list[Block]]:
    """What is executed together: a block, those that continue it, and what they print."""
    together: list[list[Block]] = []
    for block in found:
        if block.mark("continues") is not None or block.mark("output") is not None:
            assert together, f"{block.name}: nothing comes before it"
            together[-1].append(block)
        else:
            together.append([block])
    return together


def looks_like(told: str, expected: str) -> bool:
    """Whether output is what a document shows: ``...`` alone is any lines, else any text."""
    pattern = ""
    for line in expected.rstrip().splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pieces = (re.escape(piece) for piece in line.rstrip().split("..."))
            pattern += ".*".join(pieces) + "\n"
    lines = "".join(line.rstrip() + "\n" for line in told.rstrip().splitlines())
    return re.fullmatch(pattern, lines) is not None
