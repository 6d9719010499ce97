"""CPython builds that Debian does not package: free-threaded, with assertions, newer ones.

Debian's source packages carry the original tarball.  They are fetched through apt with a private
configuration, so that the machine's own list of sources stays as it is, and built without
optimisation into ``.cache/interpreters``, where the next run finds them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "interpreters"

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_MIRROR = "http://deb.debian.org/debian"


class UnavailableError(Exception):
    """This machine cannot have that interpreter; the text says why."""


@dataclass(frozen=True)
class Build:
    """A kind of CPython: which version, from which Debian suites, how configured."""

    version: str
    suites: tuple[str, ...]
    kind: str  # "free-threaded" or "debug"
    required: bool = False

    @property
    def name(self) -> str:
        return f"cpython-{self.version}-{self.kind}"

    @property
    def prefix(self) -> Path:
        return CACHE / self.name

    @property
    def python(self) -> Path:
        return self.prefix / "bin" / "python3"

    @property
    def options(self) -> list[str]:
        # OPT: assertions stay in the debug build only; -O1 compiles in half the time of -O3.
        if self.kind == "debug":
            return ["--with-pydebug", "OPT=-Og"]
        return ["--disable-gil", "OPT=-DNDEBUG -O1"]


BUILDS = (
    Build("3.13", ("trixie",), "free-threaded", required=True),
    Build("3.13", ("trixie",), "debug", required=True),
    Build("3.14", ("sid", "forky"), "free-threaded"),
    Build("3.14", ("sid", "forky"), "debug"),
)


def run(command: list[str], log: Path, **options: object) -> None:
    """Run a command with its output in a file; UnavailableError shows that output's end."""
    with log.open("ab") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, **options)  # type: ignore[call-overload]
    if done.returncode != 0:
        lines = log.read_text(errors="replace").strip().splitlines()[-20:]
        told = [line for line in lines if line.startswith("E:")][:1] or lines[-2:]
        raise UnavailableError(f"{Path(command[0]).name}: {' / '.join(told)} (all in {log})")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def locked() -> Iterator[None]:
    """One run at a time in the cache folder: the second waits, then finds what is there."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- sources ----------------------------------------------------------------------------------


def _apt_options(suite: str) -> list[str]:
    folder = CACHE / "apt" / suite
    for part in ("parts", "lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "parts" / "source.sources").write_text(
        f"Types: deb-src\nURIs: {_MIRROR}\nSuites: {suite}\nComponents: main\n"
        f"Signed-By: {_KEYRING}\n"
    )
    settings = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": folder / "parts",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",  # _apt cannot read folders of ours
        "Acquire::Languages": "none",
    }
    return [f"-o{name}={value}" for name, value in settings.items()]


def _fetch(version: str, suite: str) -> Path:
    """The original tarball of Debian's source package, checked against Debian's signature."""
    folder = CACHE / "apt" / suite / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    pattern = f"python{version}_*.orig.tar.xz"
    if not list(folder.glob(pattern)):
        options = _apt_options(suite)
        log = CACHE / "apt" / f"{suite}.log"
        run(["apt-get", "update", *options], log, cwd=folder)
        run(["apt-get", "source", "--download-only", f"python{version}", *options], log, cwd=folder)
    return max(folder.glob(pattern))


# Why a version and suite cannot be had, so that its second build does not ask again.
_missing: dict[tuple[str, str], str] = {}


def _source(build: Build) -> Path:
    """The unpacked sources, shared by the builds of a version."""
    if not shutil.which("apt-get") or not Path(_KEYRING).exists():
        raise UnavailableError("no apt-get here to fetch Debian's source package with")
    reasons = []
    for suite in build.suites:
        wanted = build.version, suite
        try:
            if wanted in _missing:
                raise UnavailableError(_missing[wanted])
            tarball = _fetch(*wanted)
        except UnavailableError as error:
            _missing[wanted] = str(error)
            reasons.append(f"{suite}: {error}")
            continue
        folder = CACHE / "source" / tarball.name.removesuffix(".orig.tar.xz")
        if not (folder / "configure").exists():
            scratch = folder.with_suffix(".part")
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
            tar = ["tar", "-xJf", str(tarball), "-C", str(scratch), "--strip-components=1"]
            run(tar, CACHE / "apt" / f"{suite}.log")
            scratch.rename(folder)
        return folder
    raise UnavailableError("; ".join(reasons))


# --- builds -----------------------------------------------------------------------------------


def _compile(build: Build) -> None:
    source = _source(build)
    _say(f"building {build.name} from {source.name}: about two minutes, once")
    folder = CACHE / "build" / build.name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(build.prefix, ignore_errors=True)
    shutil.rmtree(CACHE / "work", ignore_errors=True)  # what was compiled for the one before
    folder.mkdir(parents=True)
    log = CACHE / f"{build.name}.log"
    log.unlink(missing_ok=True)
    # pip comes with the virtual environments.  _testcapi stays: tests of ours need it.
    configure = [
        *(str(source / "configure"), f"--prefix={build.prefix}", "--without-ensurepip"),
        *build.options,
    ]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "MAKE", "MFLAGS"))
    }
    run(configure, log, cwd=folder, env=environment)
    run(["make", f"-j{min(os.cpu_count() or 1, 4)}"], log, cwd=folder, env=environment)
    # CPython's own tests (which are most of Lib) and the compiled forms of Lib are left out.
    install = ["make", "install", "TESTSUBDIRS=", "COMPILEALL_OPTS=-h"]
    run(install, log, cwd=folder, env=environment)
    shutil.rmtree(folder)


def ensure(build: Build) -> Path:
    """The interpreter, built if the cache does not have it.  Raises UnavailableError."""
    if not build.python.exists():
        if sys.platform != "linux":
            raise UnavailableError("built on Linux only")
        _compile(build)
    return build.python
