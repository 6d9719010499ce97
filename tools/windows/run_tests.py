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
from functools import partial
from pathlib import Path

import fetch
import interpreter
import wheels
from fetch import say
from interpreter import WindowsPython, windows_path
from targets import CACHE, COMPILED, ROOT, RUN, TOOLS, MissingToolError, Target

import stand_in

#: What tests may read beside themselves.  netsession/ is not among it: the wheel is tested.
_TEST_FOLDERS = ("tests",)
_TEST_FILES = ("pyproject.toml",)
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "samba", "fuzz")

#: Of the project's suite, what cannot run under Wine, with the reason.
_DESELECTED: dict[str, str] = {}


def main() -> int:
    arguments = _arguments()
    CACHE.mkdir(parents=True, exist_ok=True)
    skipped: list[str] = []
    failed: list[str] = []
    with (CACHE / "lock").open("w") as lock:  # one run at a time uses the cache
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with interpreter.running_wine():
                _each(RUN, partial(_run, chosen=arguments.pytest), arguments, skipped, failed)
            if not arguments.quick:
                _each(COMPILED, _compile, arguments, skipped, failed)
        except MissingToolError as error:
            skipped.append(str(error))
    for reason in skipped:
        say(f"skipped: {reason}")
    for what in failed:
        say(f"FAILED: {what}")
    if failed or (skipped and os.environ.get("NETSESSION_REQUIRE_WINDOWS") == "1"):
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only what runs, not win32 and arm64")
    parser.add_argument("--only", help="one target, such as cp311-win_amd64")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="the wheels' folder")
    parser.add_argument("pytest", nargs="*", help="tests or options for pytest, after --")
    return parser.parse_args()


def _each(
    targets: tuple[Target, ...],
    work: Callable[[Target], str | None],
    arguments: argparse.Namespace,
    skipped: list[str],
    failed: list[str],
) -> None:
    for target in targets:
        if arguments.only not in (None, target.name):
            continue
        started = time.monotonic()
        say(f"--- {target.name}")
        try:
            failure = work(target)
        except MissingToolError as error:
            skipped.append(f"{target.name}: {error}")
            continue
        except wheels.BadWheelError as error:
            failure = f"wheel: {error}"
        if failure:
            failed.append(f"{target.name}: {failure}")
        say(f"--- {target.name}: {time.monotonic() - started:.0f} s")


def _compile(target: Target) -> str | None:
    """Build and inspect, for a target that does not run here."""
    wheels.build(target, ROOT / "dist")
    stand_in.build(target)
    say(f"{target.name} is compiled and inspected, not run")
    return None


def _run(target: Target, *, chosen: list[str]) -> str | None:
    """Build, install and test; what failed, or None."""
    python = interpreter.set_up(target)
    wheel = wheels.build(target, ROOT / "dist")
    shutil.copy(stand_in.build(target), python.home)
    _link_pywin32(python)
    python.install(wheel)
    folder = _copy_tests(target)
    if chosen:
        return _pytest(python, folder, "chosen", *chosen)
    failures = [
        _pytest(python, folder, "suite", "tests", "--ignore=tests/windows", *_deselected()),
        _pytest(python, folder, "windows", "tests/windows"),
    ]
    python.run(
        windows_path(TOOLS / "summary.py"), "suite.xml", "windows.xml", cwd=folder, show=True
    )
    return ", ".join(failure for failure in failures if failure) or None


def _deselected() -> list[str]:
    return [f"--deselect={test}" for test in _DESELECTED]


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
