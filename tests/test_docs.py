"""What the documents say, compared with what is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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


def test_the_readme_s_example_of_a_test_works() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(from netsession\.testing.*?)```", text, re.DOTALL)
    code = block.replace("assert ...", "print([r.user_name for r in server.sessions()])")
    told = subprocess.run(
        [sys.executable, "-c", code + "\ntest_report()"], capture_output=True, text=True, check=True
    )
    assert told.stdout == "['alice']\n"


def test_the_examples_of_testing_md_are_tests_that_pass(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for number, block in enumerate(blocks):
        assert "\ndef test_" in block, block
        (tmp_path / f"test_example_{number}.py").write_text(block, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    runs = sum(block.count("\ndef test_") for block in blocks)
    assert f"{runs} passed" in done.stdout, done.stdout
    assert runs >= 12
