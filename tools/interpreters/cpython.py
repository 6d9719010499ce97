"""CPython builds that Debian does not package: free-threaded, with assertions, newer ones.

Debian's pool holds the tarballs of python.org under the names of its source packages.  They are
fetched by name through apt, so from the mirror and through the proxy that this machine is set to,
and built without optimisation into ``.cache/interpreters``, where the next run finds them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "interpreters"

_APT_HELPER = "/usr/lib/apt/apt-helper"
_MIRROR = "http://deb.debian.org/debian/"

# What of each version a pool may hold, newest first: it drops what it has something newer for.
_TARBALLS = {
    "3.13": {
        "3.13.5": "93e583f243454e6e9e4588ca2c2662206ad961659863277afcdb96801647d640",
    },
    "3.14": {
        "3.14.7": "3b48dac8fb59f62eaa67ac83c1eb12bda1b7a08406dd286e252c11a66be27f81",
        "3.14.6": "143b1dddefaec3bd2e21e3b839b34a2b7fb9842272883c576420d605e9f30c63",
        "3.14.5": "7e32597b99e5d9a39abed35de4693fa169df3e5850d4c334337ffd6a19a36db6",
        "3.14.4": "d923c51303e38e249136fc1bdf3568d56ecb03214efdef48516176d3d7faaef8",
    },
    "3.15": {
        "3.15.0~rc2": "8d93af5eaaaea5adfd41bd786a7ba3f03f2ad1ab57c6a65e0b963deab91d5ad7",
        "3.15.0~rc1": "f84dad680ab2147417d2739355c2678f0f9acffe4ae8ef77895de1454b384b07",
    },
}


class UnavailableError(Exception):
    """This machine cannot have that interpreter; the text says why."""


@dataclass(frozen=True)
class Build:
    """A kind of CPython: which version, and how configured."""

    version: str
    kind: str  # "plain", "free-threaded", "debug" or "thread-sanitizer"

    @property
    def name(self) -> str:
        return f"cpython-{self.version}-{self.kind}"

    @property
    def short_name(self) -> str:
        """As Python's own executables are called: 3.14t."""
        return self.version + {"plain": "", "free-threaded": "t", "debug": "d"}[self.kind]

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
        if self.kind == "thread-sanitizer":
            # -g1: reports name lines, and what CPython's list of its own races names is found.
            return ["--disable-gil", "--with-thread-sanitizer", "OPT=-DNDEBUG -O1 -g1"]
        free_threaded = ["--disable-gil"] if self.kind == "free-threaded" else []
        return [*free_threaded, "OPT=-DNDEBUG -O1"]

    @property
    def compiler(self) -> str | None:
        """The C compiler (str), None for the usual one: CPython's list of its races is clang's."""
        return COMPILER_OF_RACES if self.kind == "thread-sanitizer" else None


BUILDS = (
    Build("3.13", "free-threaded"),
    Build("3.13", "debug"),
    Build("3.14", "plain"),
    Build("3.14", "free-threaded"),
    Build("3.15", "plain"),
    Build("3.15", "free-threaded"),
)

# Not one of those that all tests run in: see races.py.
RACES = Build("3.14", "thread-sanitizer")
COMPILER_OF_RACES = "clang-14"


def run(command: list[str], log: Path, **options: object) -> None:
    """Run a command with its output in a file; UnavailableError shows that output's end."""
    with log.open("ab") as output:
        before = output.tell()
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, **options)  # type: ignore[call-overload]
    if done.returncode != 0:
        written = log.read_bytes()[before:].decode(errors="replace")
        lines = written.strip().splitlines()[-20:]
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


def _mirrors() -> list[str]:
    """Where this machine's apt has Debian from; Debian's own address where it has none."""
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"], capture_output=True, text=True
    )
    debian = [uri for uri in told.stdout.split() if uri.endswith("/debian/")]
    return list(dict.fromkeys([*debian, _MIRROR]))


def _fetch(version: str, folder: Path) -> Path:
    """The newest tarball of a version that a mirror still has, its checksum compared."""
    if not Path(_APT_HELPER).exists():
        raise UnavailableError("no apt here to fetch CPython's sources with")
    package, log = f"python{version}", CACHE / "fetch.log"
    reasons = []
    for release, checksum in _TARBALLS[version].items():
        name = f"{package}_{release}.orig.tar.xz"
        for mirror in _mirrors():
            url = f"{mirror}pool/main/p/{package}/{name}"
            # apt's own user cannot write into folders of ours.
            fetch = [_APT_HELPER, "-o", "APT::Sandbox::User=root", "download-file"]
            try:
                run([*fetch, url, str(folder / name), f"SHA256:{checksum}"], log)
            except UnavailableError as error:
                reasons.append(str(error))
            else:
                return folder / name
    raise UnavailableError("; ".join(reasons))


def source(version: str) -> Path:
    """The folder of a version's unpacked sources, fetched once: ``source("3.14")``.

    Any number of processes may ask at the same time.
    """
    folder = CACHE / "source" / version
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            tarball = _fetch(version, Path(scratch))
            unpacked = Path(scratch, tarball.name.removesuffix(".orig.tar.xz"))
            unpacked.mkdir()
            tar = ["tar", "-xJf", str(tarball), "-C", str(unpacked), "--strip-components=1"]
            run(tar, CACHE / "fetch.log")
            try:
                unpacked.rename(folder)
            except OSError:
                if not folder.exists():  # another process was first
                    raise
    return folder


# --- builds -----------------------------------------------------------------------------------


# Modules that neither our tests nor pip need, and that take long to compile.  _testcapi stays:
# tests of ours make allocations fail with it.
_LEFT_OUT = """
*disabled*
_testinternalcapi _testlimitedcapi _testclinic _testclinic_limited _testbuffer _testmultiphase
_testsinglephase _testimportmultiple _testexternalinspection _ctypes_test _xxtestfuzz
xxlimited xxlimited_35
_codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _multibytecodec
_decimal _elementtree _sqlite3 _tkinter _curses _curses_panel _dbm _gdbm _zstd readline
"""


def _configure(build: Build, folder: Path, log: Path, environment: dict[str, str]) -> None:
    """Most of configure's questions have one answer for all builds: asked once, told the others."""
    (folder / "Modules").mkdir()
    (folder / "Modules" / "Setup.local").write_text(_LEFT_OUT)
    answers, known = folder / "config.cache", CACHE / f"config-{build.compiler or 'usual'}.cache"
    if known.exists():
        shutil.copy(known, answers)
    configure = [str(source(build.version) / "configure"), "-q", f"--cache-file={answers}"]
    # pip comes with the virtual environments.
    configure += [f"--prefix={build.prefix}", "--without-ensurepip", *build.options]
    run(configure, log, cwd=folder, env=environment)
    lines = answers.read_text().splitlines(keepends=True)
    # Which modules there are is a question to each version.
    answers.write_text("".join(line for line in lines if not line.startswith("py_cv_module")))
    answers.replace(known)


def _compile(build: Build) -> None:
    _say(f"building {build.name} from {source(build.version)}: about two minutes, once")
    folder = CACHE / "build" / build.name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(build.prefix, ignore_errors=True)
    folder.mkdir(parents=True)
    log = CACHE / f"{build.name}.log"
    log.unlink(missing_ok=True)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "MAKE", "MFLAGS"))
    }
    if build.compiler is not None:
        environment["CC"] = build.compiler
    _configure(build, folder, log, environment)
    run(["make", "-s", f"-j{min(os.cpu_count() or 1, 4)}"], log, cwd=folder, env=environment)
    # CPython's own tests (which are most of Lib) and the compiled forms of Lib are left out.
    install = ["make", "-s", "install", "TESTSUBDIRS=", "COMPILEALL_OPTS=-h"]
    run(install, log, cwd=folder, env=environment)
    shutil.rmtree(folder)


def ensure(build: Build) -> Path:
    """The interpreter, built if the cache does not have it.  Raises UnavailableError."""
    if not build.python.exists():
        if sys.platform != "linux":
            raise UnavailableError("built on Linux only")
        _compile(build)
    return build.python
