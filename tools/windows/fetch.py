"""Everything that comes from elsewhere: PyPI wheels, CPython's headers and standard library.

Each function returns a path in the cache and does its work only once.  Nothing is written under
its final name until it is whole, so an interrupted run leaves nothing half-made behind.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from targets import CACHE, DOWNLOADS, ROOT, TOOLS, MissingToolError, Target

#: Pinned, because these two are used for what is inside them rather than for their interface:
#: panda3d's Windows wheels carry the official interpreter's DLLs (they deploy games).
PANDA3D = "panda3d==1.10.16"
PYWIN32 = "pywin32==312"

#: Installed into the host's tool environment.
BUILD_TOOLS = ("setuptools==84.2.1", "wheel==0.48.0")
ZIG = "ziglang==0.17.1"

#: Which Debian release has the sources of a Python that tools/interpreters does not fetch.
DEBIAN_RELEASES = {"3.11": "bookworm"}

_DESCRIBE = (
    "import json, sysconfig as s;"
    "print(json.dumps([s.get_python_version(), s.get_path('include'), s.get_path('stdlib')]))"
)


_speaker = threading.local()


def speak_as(name: str) -> None:
    """Put a name before each line that this thread says from now on."""
    _speaker.name = f"{name}: " if name else ""


def say(text: str) -> None:
    print(getattr(_speaker, "name", "") + text, flush=True)


def run(command: Sequence[str | Path], **options: object) -> str:
    """Run a command, return what it printed; its output is shown when it fails."""
    done = subprocess.run(  # type: ignore[call-overload]
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )
    if done.returncode:
        shown = " ".join(str(part) for part in command)
        raise SystemExit(f"failed ({done.returncode}): {shown}\n{done.stdout}")
    return str(done.stdout)


@contextmanager
def whole(final: Path) -> Iterator[Path]:
    """A scratch path beside `final` that takes its name when the block ends well."""
    final.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=final.name + ".", dir=final.parent))
    try:
        yield scratch / final.name
        (scratch / final.name).rename(final)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def host_python() -> Path:
    """The Python of the cache's tool environment, made when it is not there yet."""
    environment = CACHE / "tools"
    python = environment / "bin" / "python"
    if not python.exists():
        made = subprocess.run(
            [sys.executable, "-m", "venv", "--clear", environment], capture_output=True, text=True
        )
        if made.returncode:
            raise MissingToolError(
                f"venv does not work here: apt install python3-venv\n{made.stdout}"
            )
        run([python, "-m", "pip", "install", "-q", *BUILD_TOOLS])
    return python


def zig_python() -> Path:
    """The same with the zig compiler, which is large and only wanted for two of the targets."""
    python = host_python()
    if subprocess.run([python, "-c", "import ziglang"], capture_output=True).returncode:
        say(f"fetching {ZIG}")
        run([python, "-m", "pip", "install", "-q", ZIG])
    return python


def wheels(name: str, requirements: list[str], target: Target, *, alone: bool = False) -> Path:
    """A folder of wheels for `target`, downloaded from PyPI; `alone` leaves dependencies out."""
    asked = "\n".join(requirements)
    folder = DOWNLOADS / f"{name}-{target.name}"
    note = folder / "requirements.txt"
    if note.exists() and note.read_text() == asked:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    say(f"fetching {', '.join(requirements)} for {target.name}")
    command: list[str | Path] = [host_python(), "-m", "pip", "download", "-q"]
    command += ["--only-binary=:all:", "--platform", target.platform]
    command += ["--implementation", "cp", "--python-version", target.version]
    command += [*(["--no-deps"] if alone else []), *requirements]
    with whole(folder) as scratch:
        run([*command, "-d", scratch])
        (scratch / "requirements.txt").write_text(asked)
    return folder


def unpacked(name: str, requirement: str, target: Target, prefix: str = "") -> Path:
    """One wheel's files (those under `prefix`), unpacked."""
    folder = DOWNLOADS / f"{name}-{target.name}-files"
    if not folder.exists():
        (wheel,) = wheels(name, [requirement], target, alone=True).glob("*.whl")
        with whole(folder) as scratch, zipfile.ZipFile(wheel) as archive:
            archive.extractall(
                scratch, [name for name in archive.namelist() if name.startswith(prefix)]
            )
    return folder


def interpreter_files(target: Target) -> Path:
    """The official interpreter's DLLs and standard extension modules."""
    return unpacked("panda3d", PANDA3D, target, "deploy_libs/") / "deploy_libs"


def pywin32_files(target: Target) -> Path:
    return unpacked("pywin32", PYWIN32, target)


@dataclass(frozen=True)
class PythonSource:
    """Where a version's platform-independent parts were found."""

    include: Path
    library: Path
    origin: str


def python_source(version: str) -> PythonSource:
    """Headers and standard library of a CPython version.

    Taken from an interpreter on this machine that is as python.org releases it (the running one,
    pyenv's, one on PATH); else from Debian, whose archives are python.org's.
    """
    for python in _interpreters(version):
        found = _describe(python, version)
        if found:
            return found
    return _debian_source(version) if version in DEBIAN_RELEASES else _pool_source(version)


def _interpreters(version: str) -> Iterator[str]:
    yield sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(glob.glob(f"{pyenv}/versions/{version}.*/bin/python"), reverse=True)
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield on_path


def _describe(python: str, version: str) -> PythonSource | None:
    asked = subprocess.run([python, "-I", "-c", _DESCRIBE], capture_output=True, text=True)
    if asked.returncode:
        return None  # pyenv's shims stand for versions that are not selected
    found_version, include, library = json.loads(asked.stdout)
    if found_version != version or not Path(include, "Python.h").exists():
        return None
    if Path(library, "EXTERNALLY-MANAGED").exists():
        return None  # a distribution's own: its pip and sysconfig are patched for its packages
    return PythonSource(Path(include), Path(library), python)


def _pool_source(version: str) -> PythonSource:
    """The sources that the tier of the interpreters is built from."""
    sys.path.append(str(ROOT / "tools" / "interpreters"))
    import cpython

    try:
        top = cpython.source(version)
    except cpython.UnavailableError as error:
        raise MissingToolError(f"no headers of Python {version}: {error}") from None
    return PythonSource(top / "Include", top / "Lib", f"Debian's pool, python{version}")


def _debian_source(version: str) -> PythonSource:
    folder = DOWNLOADS / f"python{version}-source"
    if not folder.exists():
        with whole(folder) as scratch:
            scratch.mkdir()
            _unpack_debian_source(version, scratch)
    (top,) = (path for path in folder.iterdir() if path.is_dir())
    return PythonSource(top / "Include", top / "Lib", f"Debian's source package python{version}")


def _unpack_debian_source(version: str, folder: Path) -> None:
    """`apt-get source` with a configuration of its own: the machine's is not touched."""
    advice = f"apt install python{version}-dev, or pyenv install {version}"
    if not shutil.which("apt-get"):
        raise MissingToolError(f"no headers of Python {version}: {advice}")
    lists = folder / "apt-lists"
    (lists / "partial").mkdir(parents=True)
    sources = folder / "sources.list"
    release = DEBIAN_RELEASES[version]
    sources.write_text(f"deb-src http://deb.debian.org/debian {release} main\n")
    options = [f"Dir::Etc::sourcelist={sources}", "Dir::Etc::sourceparts=/dev/null"]
    options += [f"Dir::State::Lists={lists}", "APT::Sandbox::User=root"]
    apt: list[str | Path] = ["apt-get", "-q", *(part for o in options for part in ("-o", o))]
    say(f"fetching Debian's sources of Python {version}")
    try:
        run([*apt, "update"], cwd=folder)
        run([*apt, "source", "--download-only", f"python{version}"], cwd=folder)
    except SystemExit as error:
        raise MissingToolError(f"no headers of Python {version}: {advice}\n{error}") from None
    (archive,) = folder.glob("*.orig.tar.?z")  # beside it lies its signature
    run(["tar", "-xf", archive, "-C", folder])
    shutil.rmtree(lists)


def headers(target: Target) -> Path:
    """CPython's headers with a Windows pyconfig.h.

    Python.h includes "pyconfig.h", which finds the one in its own folder first: so the headers
    are copied without the host's.  All others are the same on every platform.
    """
    folder = CACHE / f"include-{target.abi}"
    ours = TOOLS / "pyconfig.h"
    if not folder.exists():
        source = python_source(target.version)
        say(f"headers of Python {target.version}: {source.origin}")
        with whole(folder) as scratch:
            shutil.copytree(source.include, scratch, ignore=shutil.ignore_patterns("pyconfig*.h"))
    if not (folder / "pyconfig.h").exists() or not _same(folder / "pyconfig.h", ours):
        shutil.copy(ours, folder / "pyconfig.h")
    return folder


def _same(left: Path, right: Path) -> bool:
    return left.read_bytes() == right.read_bytes()
