"""The Windows tier: `make test-windows`.

Builds the project's wheels for Windows by cross-compiling, inspects them, installs them into the
official Windows CPython under Wine, and runs there the project's test suite, the tests of native
calls against a stand-in netapi32.dll, and the comparison with pywin32.  Everything it needs from
PyPI and Debian is fetched once and kept in .cache/windows.

It proves the extension's Windows build and its calls; what a real Windows server answers it cannot
show.  What is missing on a machine is skipped with a reason, unless NETSESSION_REQUIRE_WINDOWS=1.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import fetch
import interpreter
import summary
import wheels
from fetch import say, speak_as
from interpreter import WindowsPython, windows_path
from targets import CACHE, COMPILED, FULL, ROOT, RUN, TOOLS, MissingToolError, Target

import stand_in

#: What tests may read beside themselves.  netsession/ is not among it: the wheel is tested.
_TEST_FOLDERS = ("tests",)
_TEST_FILES = ("pyproject.toml",)
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "samba", "fuzz")
#: In the order of their names: by the number of tests some that take long come last.
_BY_FILE = ("--dist=loadfile", "--no-loadscope-reorder")


class Results:
    """What was tried, what was skipped and what failed, over all targets."""

    def __init__(self) -> None:
        self.skipped: list[str] = []
        self.failed: list[str] = []
        self.counts: list[str] = []

    def of(self, target: Target, work: Callable[[Target], str | None]) -> None:
        """Do a target's work, its output marked with its name; work returns what failed."""
        speak_as(target.name)
        started = time.monotonic()
        try:
            failure = work(target)
        except MissingToolError as error:
            self.skipped.append(f"{target.name}: {error}")
            return
        except (wheels.BadWheelError, SystemExit) as error:
            failure = str(error)
        if failure:
            self.failed.append(f"{target.name}: {failure}")
        say(f"{time.monotonic() - started:.0f} s")

    def tell(self) -> int:
        """Print them and how much was tried; the program's exit status."""
        for line in sorted(self.counts):
            say(line)
        for reason in self.skipped:
            say(f"skipped: {reason}")
        for what in self.failed:
            say(f"FAILED: {what}")
        required = os.environ.get("NETSESSION_REQUIRE_WINDOWS") == "1"
        return 1 if self.failed or (self.skipped and required) else 0


def main() -> int:
    arguments = _arguments()
    CACHE.mkdir(parents=True, exist_ok=True)
    results = Results()
    with (CACHE / "lock").open("w") as lock:  # one run at a time uses the cache
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            _all(arguments, results)
        except MissingToolError as error:
            results.skipped.append(str(error))
    return results.tell()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only what runs, not win32 and arm64")
    parser.add_argument(
        "--suite-once", action="store_true", help="all but tests/windows on one interpreter only"
    )
    parser.add_argument("--native-only", action="store_true", help="tests/windows only")
    parser.add_argument(
        "--project", type=Path, default=ROOT, help="what is built, such as an unpacked sdist"
    )
    parser.add_argument("--only", help="one target, such as cp311-win_amd64")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="the wheels' folder")
    parser.add_argument("pytest", nargs="*", help="tests or options for pytest, after --")
    return parser.parse_args()


def _all(arguments: argparse.Namespace, results: Results) -> None:
    """The targets that run, the longest first, one a core; beside them the others in turn."""

    def asked(targets: tuple[Target, ...]) -> list[Target]:
        return [target for target in targets if arguments.only in (None, target.name)]

    with interpreter.running_wine():
        fetch.host_python()  # made once, before two want it
        library = stand_in.build(FULL)
        interpreter.put_into_system32(library)
        run = partial(_run, arguments, library, results)
        compile_one = partial(_compile, output=arguments.output, project=arguments.project)
        with ThreadPoolExecutor((os.cpu_count() or 1) + 1) as pool:
            jobs = []
            if not arguments.quick:
                # first, since it takes minutes; not beside each other: both want the same compiler
                jobs.append(pool.submit(_in_turn, results, asked(COMPILED), compile_one))
            jobs += [pool.submit(results.of, target, run) for target in asked(RUN)]
            for job in jobs:
                job.result()
    speak_as("")


def _in_turn(results: Results, targets: list[Target], work: Callable[[Target], str | None]) -> None:
    for target in targets:
        results.of(target, work)


def _compile(target: Target, *, output: Path, project: Path) -> str | None:
    """Build and inspect, for a target that does not run here."""
    wheels.build(target, output, project)
    stand_in.build(target)
    say(f"{target.name} is compiled and inspected, not run")
    return None


def _run(
    arguments: argparse.Namespace, library: Path, results: Results, target: Target
) -> str | None:
    """Build, install and test; what failed, or None."""
    python = interpreter.set_up(target)
    wheel = wheels.build(target, arguments.output, arguments.project)
    stand_in.check(library, target)
    _link_pywin32(python)
    python.install(wheel)
    folder = _copy_tests(target)
    if arguments.pytest:
        return _pytest(python, folder, "chosen", *arguments.pytest)
    parts = {"windows": ["tests/windows"]}
    if not arguments.native_only and (target is FULL or not arguments.suite_once):
        # several files at a time: half of the time goes into waiting for Wine
        several = [f"-n{(os.cpu_count() or 1) + 1}", *_BY_FILE] if target is FULL else []
        parts["suite"] = ["tests", "--ignore=tests/windows", *several, *_left_out(target)]
    failures = [_pytest(python, folder, name, *tests) for name, tests in parts.items()]
    reports = [f"{name}.xml" for name in parts]
    python.run(windows_path(TOOLS / "summary.py"), *reports, cwd=folder, show=True)
    for report in reports:
        if (folder / report).exists():
            counts, _ = summary.count(str(folder / report))
            results.counts.append(f"{target.name}, {report[:-4]}: {summary.in_words(counts)}")
    return ", ".join(failure for failure in failures if failure) or None


def _left_out(target: Target) -> list[str]:
    """What starts processes is left to one interpreter: Wine takes over a second to start each.

    So the one core has all tests, while the other one runs the rest on two interpreters in turn.
    """
    if target is FULL:
        return []
    say(f"the tests of the command and of the pytest plugin are left to {FULL.name}")
    return ["--ignore-glob=*/test_cli*.py", "--ignore-glob=*/test_pytest_plugin.py"]


def _link_pywin32(python: WindowsPython) -> None:
    """Put pywin32 on the path the way its own installation would."""
    files = fetch.pywin32_files(python.target)
    lines = [
        windows_path(files / "win32"),
        windows_path(files / "win32" / "lib"),
        f"import os; os.add_dll_directory({windows_path(files / 'pywin32_system32')!r})",
    ]
    (python.home / "Lib" / "site-packages" / "pywin32.pth").write_text("\n".join(lines) + "\n")


def _copy_tests(target: Target) -> Path:
    """The tests in a folder that holds nothing else to import: the installed wheel is tested."""
    folder = target.folder / "tests"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in _TEST_FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=_NOT_COPIED)
    for name in _TEST_FILES:
        shutil.copy(ROOT / name, folder)
    return folder


def _pytest(python: WindowsPython, folder: Path, name: str, *arguments: str) -> str | None:
    command = ["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", f"--junitxml={name}.xml"]
    status, _ = python.run(*command, *arguments, cwd=folder, show=True)
    return f"tests ({name}), status {status}" if status else None


if __name__ == "__main__":
    sys.exit(main())
