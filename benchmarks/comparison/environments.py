"""Where contenders live: each in an environment of its own, in a cache that git ignores."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1]
ROOT = BENCHMARKS.parent
CACHE = ROOT / ".cache" / "bench"

_PROJECT = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "src", "netsession")
_PROJECT += ("_netsession_pytestplugin.py",)
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "*.egg-info")
_SAMBA_PYTHON = Path("/usr/bin/python3")

#: Names the free-threaded CPython to measure with.
FREE_THREADED = "NETSESSION_FREE_THREADED"

#: Whether what is already installed is brought to its current release.
UPGRADE = True


Command = Sequence[str | Path]


class MissingError(RuntimeError):
    """A contender is not to be had on this machine; the text says why."""


def run(command: Command, cwd: Path | None = None) -> str:
    """What a command prints; its failure ends the program with its output."""
    done = subprocess.run(
        command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        raise MissingError(f"{' '.join(map(str, command))}:\n{done.stdout[-2000:]}")
    return done.stdout


def _environment(
    name: str, requirements: Sequence[str], interpreter: str | Path = sys.executable
) -> Path:
    """The Python of an environment with these packages in their current releases."""
    folder = CACHE / name
    python = folder / "bin" / "python"
    asked = "\n".join(requirements)
    note = folder / "requirements.txt"
    if not note.exists() or note.read_text() != asked:
        run([interpreter, "-m", "venv", "--clear", folder])
    elif not UPGRADE:
        return python
    run([python, "-m", "pip", "install", "-q", "--upgrade", *requirements])
    note.write_text(asked)
    return python


@cache
def peer(package: str) -> Path:
    """The Python of a peer that PyPI has."""
    return _environment(package, [package])


@cache
def samba() -> Path:
    """The system's Python with Samba's bindings, which no other interpreter can have."""
    if not _SAMBA_PYTHON.exists():
        raise MissingError(f"no {_SAMBA_PYTHON}")
    run([_SAMBA_PYTHON, "-c", "import samba.dcerpc.srvsvc"])
    return _SAMBA_PYTHON


@cache
def netsession() -> Path:
    """The Python with this tree's netsession, built as a wheel is, and the floor beside it."""
    tools = ["setuptools>=77", "pytest", "pytest-benchmark", "smbprotocol", "rich"]
    python = _environment("netsession", tools)
    with tempfile.TemporaryDirectory() as scratch:
        _install_project(python, Path(scratch))
        packages = run([python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"])
        build = ["-q", "build_ext", "--build-temp", scratch, "--build-lib", packages.strip()]
        run([python, BENCHMARKS / "setup_floor.py", *build], cwd=BENCHMARKS)
    return python


@cache
def with_dask() -> Path:
    """The Python of another one, with this tree's netsession and Dask's cluster."""
    python = _environment("dask", ["setuptools>=77", "smbprotocol", "distributed"])
    with tempfile.TemporaryDirectory() as scratch:
        _install_project(python, Path(scratch))
    return python


@cache
def free_threaded() -> Path:
    """A free-threaded Python with this tree's netsession."""
    interpreter = os.environ.get(FREE_THREADED)
    if not interpreter:
        raise MissingError(f"no free-threaded interpreter is named by {FREE_THREADED}")
    python = _environment("free-threaded", ["setuptools>=77", "smbprotocol"], interpreter)
    with tempfile.TemporaryDirectory() as scratch:
        _install_project(python, Path(scratch))
    return python


def _install_project(python: Path, scratch: Path) -> None:
    """This tree's netsession, built as a wheel is from a copy below ``scratch``."""
    source = scratch / "project"
    source.mkdir()
    for name in _PROJECT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=_NOT_COPIED)
        else:
            shutil.copy(ROOT / name, source)
    options = ["-q", "--no-build-isolation", "--no-deps", "--force-reinstall"]
    run([python, "-m", "pip", "install", *options, source])
