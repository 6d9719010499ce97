"""How much of the C and of the Python the tests of this machine run: one report.

    python tools/coverage/run.py [--report] [PYTEST ARGUMENT ...]

The extension is built without optimising and with gcc's counters, in a copy of the sources; core
tests and those against a real smbd run there, with every process that they start.  A line of each
file says how much of it was run and which lines were not; with ``--report`` only that, of the last
run.  Fails below 95 % of the lines of either language.  What is left out, and why, is in
coverage.ini.  The Windows tier is not counted.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / ".cache" / "coverage"
SETTINGS = Path(__file__).with_name("coverage.ini")
LEAST = 95.0
TESTS = ("tests", "--ignore=tests/domain", "--ignore=tests/fleet", "--ignore=tests/windows")
# Those below find the copy too (of the command), and the plugin in it.
_FOUND = os.environ | {"PYTHONPATH": str(TREE)}
_COPIED = ("src", "netsession", "tests", "benchmarks", "docs", "tools")


class File(NamedTuple):
    """A source file: how many lines can be run, and which were not."""

    name: str
    lines: int
    missing: list[int]


def copy_and_build() -> None:
    """A copy of the sources with the extension built in it, counting."""
    shutil.rmtree(TREE, ignore_errors=True)
    ignore = shutil.ignore_patterns("__pycache__", "*.so")
    for name in _COPIED:
        shutil.copytree(ROOT / name, TREE / name, ignore=ignore)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy2(path, TREE)
    shutil.copy2(Path(__file__).with_name("raw_threads.py"), TREE)
    setup = TREE / "setup.py"
    # Threads count too: without atomic counters gcov tells of lines that were run less than never.
    counting = '"-O0", "--coverage", "-fprofile-update=atomic"'
    setup.write_text(setup.read_text().replace('"-O3"', counting))
    build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(build, cwd=TREE, check=True, env=os.environ | {"LDFLAGS": "--coverage"})


def run_tests(arguments: list[str]) -> bool:
    """Whether all tests passed."""
    coverage = [sys.executable, "-m", "coverage", "run", f"--rcfile={SETTINGS}", "-m", "pytest"]
    tests = arguments or ["-n", "2", "--dist", "loadfile", *TESTS]
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:benchmark"]
    command = [*coverage, *options, *tests]
    return subprocess.run(command, cwd=TREE, env=_FOUND).returncode == 0


def python_files() -> Iterator[File]:
    """What coverage.py counted."""
    coverage = [sys.executable, "-m", "coverage"]
    settings = f"--rcfile={SETTINGS}"
    if any(TREE.glob(".coverage.*")):
        combine = [*coverage, "combine", "-q", "--append", settings]
        subprocess.run(combine, cwd=TREE, env=_FOUND, check=True)
    for unusable in TREE.glob(".coverage.*"):  # of a process that was killed while it wrote
        unusable.unlink()
    command = [*coverage, "json", settings, "-q", "-o", "-"]
    told = subprocess.run(command, cwd=TREE, env=_FOUND, capture_output=True, check=True)
    for name, file in json.loads(told.stdout)["files"].items():
        missing = file["missing_lines"]
        yield File(name, len(file["executed_lines"]) + len(missing), missing)


def c_files() -> Iterator[File]:
    """What gcc counted; sources that both extension modules have were run where either ran them."""
    gcovr = [sys.executable, "-m", "gcovr", "--root", ".", "--filter", "src/", "--json", "-", "-s"]
    told = subprocess.run([*gcovr[:-1], "build"], cwd=TREE, capture_output=True, check=True)
    for file in json.loads(told.stdout)["files"]:
        counts: dict[int, int] = {}
        for line in file["lines"]:
            if not line.get("gcovr/excluded"):
                number = line["line_number"]
                counts[number] = counts.get(number, 0) + line["count"]
        missing = sorted(number for number, count in counts.items() if not count)
        yield File(file["file"], len(counts), missing)


def ranges(numbers: Iterable[int]) -> str:
    """Line numbers as people write them: 3, 7-9."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)


def report(language: str, files: list[File]) -> bool:
    """Print a table; whether enough of it was run."""
    for name, lines, missing in sorted(files):
        percent = 100 * (1 - len(missing) / lines) if lines else 100
        print(f"{percent:6.1f} %  {lines:5}  {name}  {ranges(missing)}".rstrip())
    lines = sum(file.lines for file in files)
    run = lines - sum(len(file.missing) for file in files)
    percent = 100 * run / lines if lines else 0
    enough = percent >= LEAST
    mark = "" if enough else f"  FAILED: less than {LEAST} %"
    print(f"{percent:6.1f} %  {language}: {run} of {lines} lines{mark}\n", flush=True)
    return enough


def main(arguments: list[str]) -> int:
    """Build, run, report; 0 where all passed and enough was run."""
    passed = True
    if arguments != ["--report"]:
        copy_and_build()
        passed = run_tests(arguments)
    enough = [report("Python", list(python_files())), report("C", list(c_files()))]
    if not passed:
        print("tests FAILED (see above)")
    return 0 if passed and all(enough) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
