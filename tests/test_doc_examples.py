"""Every fenced block of the documents is executed, or says why it is not (doc_blocks.py).

What they ask is simulated (doc_stage.py): that they run is shown, not what a real server answers.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import cli_process
import forked_command
from doc_blocks import DOCS, ROOT, Block, blocks, chains, looks_like, pages
from doc_stage import MISSING

pytestmark = pytest.mark.skipif(
    not DOCS.exists() or sys.platform == "win32", reason="needs the source tree, and sh"
)

_CHAINS = [chain for page in pages() for chain in chains(blocks(page))] if DOCS.exists() else []
_TESTS = [block for chain in _CHAINS for block in chain if block.is_tests]
_LEAST_TESTS = 13  # those that there were when this was written
_STAGED = "import sys; sys.path.insert(0, {here!r}); import doc_stage; doc_stage.main()"


def _of(*languages: str) -> pytest.MarkDecorator:
    """Those chains that begin so, and are executed."""
    wanted = [
        chain
        for chain in _CHAINS
        if chain[0].language in languages
        and chain[0].mark("not run") is None
        and not chain[0].is_tests
    ]
    return pytest.mark.parametrize("chain", wanted, ids=[chain[0].name for chain in wanted])


def _staged(kind: str, what: object) -> cli_process.Result:
    """A task of the stage, in a process of its own."""
    code = _STAGED.format(here=str(Path(__file__).parent))
    variables = cli_process.environment(COLUMNS="100")
    task = json.dumps([kind, what])
    if forked_command.possible(variables, code):
        return cli_process.Result(*forked_command.run([task], variables, code, ""))
    status, out, err = cli_process.run_alone(["-c", code, task], variables, "")
    return cli_process.Result(status, out, err.decode())


def test_every_block_is_executed_or_says_why_not() -> None:
    executed = {"python", "console", "sh", "json", "jsonl", "toml", "diff"}
    silent = [
        block.name
        for chain in _CHAINS
        for block in chain
        if block.language not in executed
        and block.mark("not run") is None
        and block.mark("output") is None
    ]
    assert not silent
    assert len(_CHAINS) > 30


@_of("python")
def test_python(chain: list[Block], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pieces = []
    for block in chain:
        if block.language == "python":
            setup = block.mark("setup")
            if setup:
                pieces.append((f"setup of {block.name}", 1, setup))
            pieces.append((block.page, block.line, block.text))
    done = _staged("python", pieces)
    assert done.code == 0, done.err
    if done.text.rpartition("\n")[0].rpartition("\n")[2].startswith(MISSING):
        pytest.skip(f"{chain[0].name} {done.text.splitlines()[-1]}")
    for block in chain:
        if block.mark("output") is not None:
            assert looks_like(done.text, block.text), f"{block.name}\n{done.text}"


@_of("console")
def test_commands(chain: list[Block], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _skip_what_is_missing(chain[0])
    monkeypatch.chdir(tmp_path)
    (block,) = chain
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not parts[0].strip(), f"{block.name}: a command begins with '$ '"
    shown = [_command_and_output(part) for part in parts[1:]]
    told = _staged("console", [command for command, _ in shown])
    assert told.code == 0, told.err
    results = json.loads(told.out)
    status = int(block.mark("exit") or 0)
    for (command, expected), (code, text) in zip(shown, results, strict=True):
        is_last = command is shown[-1][0]
        assert code == (status if is_last else 0), f"{block.name}: {command}\n{text}"
        if expected.strip():
            assert looks_like(text, expected), f"{block.name}: {command}\n{text}"


def _skip_what_is_missing(block: Block) -> None:
    """Not every Python has what the command itself asks for."""
    pytest.importorskip("rich")
    if "parquet" in block.text:
        pytest.importorskip("pyarrow")


def _command_and_output(part: str) -> tuple[str, str]:
    """A command goes on after a backslash at the end of a line."""
    command, _, output = part.partition("\n")
    while command.endswith("\\"):
        more, _, output = output.partition("\n")
        command = command[:-1] + more.removeprefix("> ")
    return command, output


@_of("sh")
def test_scripts(chain: list[Block], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _skip_what_is_missing(chain[0])
    monkeypatch.chdir(tmp_path)
    block = chain[0]
    told = _staged("sh", block.text)
    assert told.code == 0, told.err
    ((code, text),) = json.loads(told.out)
    assert code == int(block.mark("exit") or 0), f"{block.name}\n{text}"
    for output in chain[1:]:
        assert looks_like(text, output.text), f"{output.name}\n{text}"


def test_data_can_be_read() -> None:
    for block in (chain[0] for chain in _CHAINS if chain[0].mark("not run") is None):
        try:
            if block.language == "toml":
                tomllib.loads(block.text)
            elif block.language == "json":
                json.loads(block.text)
            elif block.language == "jsonl":
                assert [json.loads(line) for line in block.text.splitlines()]
        except ValueError as error:
            raise AssertionError(f"{block.name}: {error}") from error


def test_diffs_fit() -> None:
    diffs = [chain[0] for chain in _CHAINS if chain[0].language == "diff"]
    for block in (each for each in diffs if each.mark("not run") is None):
        if shutil.which("git") is None:
            pytest.skip("needs git")
        done = subprocess.run(
            ["git", "apply", "--check", "-"],
            input=block.text.encode(),
            capture_output=True,
            cwd=ROOT,
            check=False,
        )
        assert done.returncode == 0, f"{block.name}\n{done.stderr.decode()}"


def test_tests_pass(tmp_path: Path) -> None:
    """Blocks that are tests: all in one run, a file each."""
    for number, block in enumerate(_TESTS):
        assert block.mark("not run") is None, block.name
        name = re.sub(r"\W", "_", f"{block.page}_{block.line}_{number}")
        (tmp_path / f"test_{name}.py").write_text(block.text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    runs = sum(len(re.findall(r"^def test_", block.text, re.MULTILINE)) for block in _TESTS)
    passed = re.search(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert passed is not None, done.stdout
    assert int(passed[1]) >= runs >= _LEAST_TESTS


# -- the rules themselves -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "expected", "fits"),
    [
        ("a\nb\n", "a\nb", True),
        ("a  \nb\n\n", "a\nb\n", True),
        ("a\nb\n", "a\n", False),
        ("a\nx\ny\nb\n", "a\n...\nb\n", True),
        ("a\nb\n", "a\n...\nb\n", True),
        ("a 17 b\n", "a ... b\n", True),
        ("a 17\nb\n", "a ... b\n", False),
        ("a\n", "b\n", False),
    ],
)
def test_what_output_looks_like(told: str, expected: str, fits: bool) -> None:
    assert looks_like(told, expected) is fits


def test_what_is_said_of_a_block(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\na = 1\n```\n\n<!-- continues -->\n<!-- setup\nb = 2\n-->\n```python\na + b\n"
        "```\n<!-- output -->\n```\n3\n```\n1. x\n\n   <!-- not run: why -->\n   ```sh\n   rm\n"
        "   ```\n"
    )
    one, two, three, four = blocks(page)
    assert (one.marks, one.line, one.text) == ((), 2, "a = 1\n")
    assert (two.mark("continues"), two.mark("setup")) == ("", "\nb = 2")
    assert (three.language, three.mark("output")) == ("", "")
    assert (four.text, four.mark("not run")) == ("rm\n", "why")
    assert [len(chain) for chain in chains([one, two, three, four])] == [3, 1]


def test_a_mark_that_is_misspelled_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- not run -->\n```sh\nrm\n```\n")
    with pytest.raises(AssertionError, match="says nothing about a block"):
        blocks(page)
