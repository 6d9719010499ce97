"""The core tests in every CPython that this machine has or can build.

    python tools/interpreters/run.py [--only NAME ...] [--no-sanitizers] [--no-tests] [PYTHON ...]

Found: pyenv's versions, ``python3.11`` and later on PATH, and interpreters named as arguments.
Built once, into ``.cache/interpreters``: 3.14 and 3.15, free-threaded 3.13 to 3.15, a debug 3.13.
For each: a virtual environment, the extension compiled with warnings as errors, the tests that
need no server.  One line says what came of it; what is left out says why.  Builds and tests go on
beside each other, two at a time on two processors.

With NETSESSION_REQUIRE_INTERPRETERS=1 a build that cannot be had is a failure.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import sanitize
from cpython import BUILDS, CACHE, ROOT, Build, UnavailableError, ensure, locked, run

_OLDEST = (3, 11)
_COPIED = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "src", "netsession", "tests")
_COPIED += ("_netsession_pytestplugin.py",)

# A debug build is slow, and tells of references and of C that breaks CPython's rules: files that
# make no more use of our C than others are left to the other builds.
_NO_C = ("test_cli", "test_docs", "test_errors", "test_names", "test_where", "test_plan_where")
_NO_C += ("test_carry_out_where", "test_security_docs", "test_pytest_plugin", "test_watch")
_NO_C += ("test_kept_command",)

# What the interpreter says of itself.
_DESCRIBE = """
import json, sys, sysconfig
print(json.dumps({
    "version": sys.version_info[:3],
    "release": sys.version.split()[0],
    "implementation": sys.implementation.name,
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "debug": hasattr(sys, "gettotalrefcount"),
    "header": sysconfig.get_path("include"),
}))
"""

# The GIL comes back when a module is imported that does not promise to do without it.
_GIL = """
import sys
import netsession, netsession.testing
print(getattr(sys, "_is_gil_enabled", lambda: True)())
"""


@dataclass(frozen=True)
class Interpreter:
    """A CPython on this machine."""

    python: Path
    release: str
    free_threaded: bool
    debug: bool

    @property
    def minor(self) -> int:
        return int(self.release.split(".")[1])

    @property
    def name(self) -> str:
        return self.release + self._marks

    @property
    def short_name(self) -> str:
        """Of its kind: 3.14t."""
        return f"3.{self.minor}{self._marks}"

    @property
    def _marks(self) -> str:
        return "t" * self.free_threaded + "d" * self.debug


# --- finding ------------------------------------------------------------------------------------


def describe(python: Path) -> Interpreter:
    """Ask an interpreter what it is.  UnavailableError if it is of no use to us."""
    try:
        done = subprocess.run(
            [python, "-I", "-c", _DESCRIBE], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UnavailableError(f"does not start: {error}") from None
    told = json.loads(done.stdout)
    if told["implementation"] != "cpython" or tuple(told["version"]) < _OLDEST:
        raise UnavailableError("not CPython 3.11 or later")
    if not Path(told["header"], "Python.h").exists():
        raise UnavailableError("has no headers to compile with")
    return Interpreter(python, told["release"], told["free_threaded"], told["debug"])


def candidates() -> list[Path]:
    """Interpreters that are installed, the named pyenv versions before what PATH finds."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = sorted(pyenv.glob("3.*/bin/python3"), reverse=True)
    for folder in os.get_exec_path():
        found += sorted(Path(folder).glob("python3.[1-9][0-9]"))
        found += sorted(Path(folder).glob("python3.[1-9][0-9]t"))
    # pyenv's shims are scripts that stand for the versions found already.
    return [python for python in found if python.parent.name != "shims"]


def installed(more: list[Path]) -> tuple[dict[str, Interpreter], list[str]]:
    """Those of this machine by their short names, and a line for each that is left out."""
    found: dict[str, Interpreter] = {}
    skipped: list[str] = []
    for python in [*more, *candidates()]:
        try:
            interpreter = describe(python)
        except UnavailableError as error:
            if python in more or python.name != "python3":  # pyenv keeps old ones too
                skipped.append(f"{python}: {error}")
        else:
            used = found.setdefault(interpreter.short_name, interpreter)
            if used.name != interpreter.name:
                skipped.append(f"{python}: {used.name} stands for all of its kind")
    return found, skipped


# --- testing ------------------------------------------------------------------------------------


def copy_sources(folder: Path) -> None:
    """Our sources, without what others have compiled in theirs.  Times are kept, so that only
    what changed is compiled again."""
    folder.mkdir(parents=True, exist_ok=True)
    ignore = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "*.egg-info")
    for name in _COPIED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            for old in target.glob("*.so"):
                shutil.move(old, folder / old.name)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=ignore)
        elif source.exists():
            shutil.copy2(source, target)
    for old in folder.glob("*.so"):
        shutil.move(old, folder / "netsession" / old.name)


def _packages() -> Path:
    """pytest and what builds the extension: pure Python, so one folder serves all interpreters."""
    folder = CACHE / "packages"
    if not folder.exists():
        requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
        scratch = folder.with_suffix(".part")
        shutil.rmtree(scratch, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "install"]
        run([*pip, "--target", str(scratch), *requires, "pytest>=8"], CACHE / "packages.log")
        scratch.rename(folder)
    return folder


def environment_of(interpreter: Path, name: str, log: Path) -> Path:
    """The python of a virtual environment of that name that has those packages."""
    folder = CACHE / "work" / name / "venv"
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
        run([str(interpreter), "-m", "venv", "--without-pip", str(folder)], log)
        (packages,) = folder.glob("lib/python3.*/site-packages")
        (packages / "shared.pth").write_text(f"{_packages()}\n")
        ready.touch()
    return python


def _werror() -> dict[str, str]:
    compiler = os.environ.get("CC", "gcc")
    return {"NETSESSION_WERROR": "1"} if "gcc" in compiler and shutil.which(compiler) else {}


def test(interpreter: Interpreter) -> tuple[bool, str]:
    """Build the extension and run the core tests: whether all passed, and the line to print."""
    work = CACHE / "work" / interpreter.name
    log = work / "log"
    work.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    log.unlink(missing_ok=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= _werror()
    try:
        python = environment_of(interpreter.python, interpreter.name, log)
        sources = work / "sources"
        copy_sources(sources)
        build = [str(python), "setup.py", "-q", "build_ext", "--inplace"]
        run(build, log, cwd=sources, env=environment)
    except UnavailableError as error:
        return False, f"not built: {error}"
    gil = subprocess.run(
        [python, "-c", _GIL], cwd=sources, env=environment, capture_output=True, text=True
    ).stdout.strip()
    tests = sorted(
        str(path.relative_to(sources))
        for path in (sources / "tests").glob("test_*.py")
        if not (interpreter.debug and path.name.startswith(_NO_C))
    )
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *tests],
        cwd=sources,
        env=environment,
        capture_output=True,
        text=True,
    )
    with log.open("a") as output:
        output.write(done.stdout + done.stderr)
    gil_as_promised = gil == ("False" if interpreter.free_threaded else "True")
    passed = done.returncode == 0 and gil_as_promised
    if not passed:
        sys.stderr.write(done.stdout[-6000:] + done.stderr[-2000:])
    summary = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-200:]
    gil_text = {"False": "off", "True": "on"}.get(gil, "import failed")
    seconds = time.monotonic() - started
    mark = "" if passed else "  FAILED"
    return passed, f"{gil_text:<4} {summary.strip('= ')} [{seconds:.0f} s]{mark}"


def _flags(interpreter: Interpreter) -> str:
    free_threaded = "free-threaded" if interpreter.free_threaded else "-"
    debug = "debug" if interpreter.debug else "-"
    return f"{interpreter.release:<10} {free_threaded:<14} {debug:<6}"


def _test(interpreter: Interpreter) -> tuple[bool, str]:
    passed, text = test(interpreter)
    return passed, f"{_flags(interpreter)} {text}"


def _build_and_test(build: Build) -> tuple[bool, str]:
    """The same for one that may have to be built; one that cannot be had is left out."""
    try:
        interpreter = describe(ensure(build))
    except UnavailableError as error:
        required = os.environ.get("NETSESSION_REQUIRE_INTERPRETERS") == "1"
        return not required, f"left out   {build.short_name}: {error}"
    return _test(interpreter)


def _sanitize(found: dict[str, Interpreter]) -> bool:
    """The sanitizers, in the newest that needs no building; whether nothing was found."""
    plain = [name for name in sorted(found) if name[-1].isdigit()]
    if not plain:
        return True
    newest = found[plain[-1]]
    python = environment_of(newest.python, f"asan-{newest.name}", CACHE / "sanitize.log")
    return sanitize.main(str(python)) == 0


def _build_all(found: dict[str, Interpreter], only: list[str] | None) -> int:
    for build in BUILDS:
        if build.short_name not in found and (only is None or build.short_name in only):
            with suppress(UnavailableError):  # the tests will say so
                ensure(build)
    return 0


def _jobs(
    found: dict[str, Interpreter], only: list[str] | None
) -> dict[str, Callable[[], tuple[bool, str]]]:
    """What is to be done, by short name, in the best order.

    One build first, whose answers of configure the others use; then what need not be built.
    """
    jobs: dict[str, Callable[[], tuple[bool, str]]] = {}
    missing = [build for build in BUILDS if build.short_name not in found]
    for build in missing[:1]:
        jobs[build.short_name] = partial(_build_and_test, build)
    for name, interpreter in found.items():
        jobs[name] = partial(_test, interpreter)
    for build in missing[1:]:
        jobs[build.short_name] = partial(_build_and_test, build)
    return {name: job for name, job in jobs.items() if only is None or name in only}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("python", nargs="*", type=Path, help="further interpreters")
    parser.add_argument("--only", action="append", help="a name such as 3.12, 3.13t, 3.13d")
    parser.add_argument("--no-sanitizers", action="store_true")
    parser.add_argument("--no-tests", action="store_true", help="build what is missing, no more")
    options = parser.parse_args()
    passed_all = True
    with locked():
        found, skipped = installed(options.python)
        if options.no_tests:
            return _build_all(found, options.only)
        print(f"{'version':<10} {'threads':<14} {'debug':<6} {'GIL':<4} tests", flush=True)
        jobs = _jobs(found, options.only)
        _packages()  # before several ask for them at a time
        with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
            results = {name: pool.submit(job) for name, job in jobs.items()}
            sanitized = None if options.no_sanitizers else pool.submit(_sanitize, found)
            for name in sorted(results):
                passed, text = results[name].result()
                passed_all &= passed
                print(text, flush=True)
            passed_all &= sanitized is None or sanitized.result()
    for line in skipped:
        print(f"left out   {line}", flush=True)
    return 0 if passed_all else 1


if __name__ == "__main__":
    sys.exit(main())
