"""The official Windows CPython under Wine: its folder, its packages, and how to run it.

Laid out as the installer does it: python.exe, python3xx.dll and VCRUNTIME140.dll in one folder,
DLLs/ and Lib/ below.  Only the launcher python.exe is compiled here; the interpreter itself is
Microsoft-built and signed by the Python Software Foundation.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import fetch
from compilers import build_launcher, build_missing_library
from fetch import say, whole
from targets import CACHE, MissingToolError, Target

#: What the project's tests need.  colorama and sspilib are named although others require them,
#: because pip reads "on Windows only" requirements as the host it runs on.
TEST_PACKAGES = ["pytest==9.2.0", "pytest-benchmark==5.3.1", "rich==15.0.0"]
TEST_PACKAGES += ["pytest-xdist==3.8.0", "execnet==2.1.2", "colorama==0.4.6", "pip==26.3"]

PREFIX = CACHE / "wine"

#: Wine 8 lacks CopyFile2: without it shutil takes its older way.
_FOR_WINE = "import _winapi\n\nif hasattr(_winapi, 'CopyFile2'):\n    del _winapi.CopyFile2\n"

#: Parts of a standard library that are the host's own, or that nobody here needs.
_LEFT_OUT = ("lib-dynload", "site-packages", "test", "idlelib", "turtledemo", "__pycache__")


def wine_binary() -> Path:
    """Debian does not put wine64 on PATH, and its wine wrapper wants the 32-bit one too."""
    for candidate in (shutil.which("wine64"), "/usr/lib/wine/wine64"):
        if candidate and Path(candidate).exists():
            return Path(candidate)
    raise MissingToolError("no Wine: apt install wine wine64")


def windows_path(path: Path) -> str:
    """Wine shows the host's file system as drive Z."""
    return "Z:" + str(path.resolve()).replace("/", "\\")


def wine_environment() -> dict[str, str]:
    """Few variables: none of the host's Python settings may reach the other Python."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "USER") if name in os.environ}
    return kept | {
        "WINEPREFIX": str(PREFIX),
        "WINEDEBUG": "-all",
        # our netapi32.dll, in System32, instead of Wine's; no Mono or Gecko set-up
        "WINEDLLOVERRIDES": "netapi32=n;mscoree=;mshtml=",
    }


@dataclass(frozen=True)
class WindowsPython:
    """One interpreter, ready to run."""

    target: Target

    @property
    def home(self) -> Path:
        return self.target.folder / "python"

    def run(
        self,
        *arguments: str | Path,
        cwd: Path | None = None,
        extra: dict[str, str] | None = None,
        show: bool = False,
        timeout: float = 1800,
    ) -> tuple[int, str]:
        """Run python.exe with arguments; its exit status and all it printed.

        Standard output is always a pipe: with a plain file the interpreter dies at its start
        ("can't initialize sys standard streams"), Wine 8's files not being what it expects.
        """
        command = [wine_binary(), self.home / "python.exe", *arguments]
        child = subprocess.Popen(
            command,
            cwd=cwd or self.home,
            env=wine_environment() | (extra or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        return _collect(child, show, timeout)

    def check(self, *arguments: str | Path, **options: object) -> str:
        """As run(), but a failure ends the program with the output."""
        status, output = self.run(*arguments, **options)  # type: ignore[arg-type]
        if status:
            shown = "".join(output.splitlines(keepends=True)[-40:])
            raise SystemExit(f"python.exe {arguments} failed ({status}):\n{shown}")
        return output

    def install(self, wheel: Path) -> None:
        """Install one wheel with pip, as a user would, in the place of an earlier one.

        There is no index, so a requirement that applies on Windows would fail this.
        """
        self.check(
            *("-m", "pip", "install", "-q", "--no-index", "--force-reinstall"),
            *("--no-warn-script-location", windows_path(wheel)),
        )


def _collect(child: subprocess.Popen[str], show: bool, timeout: float) -> tuple[int, str]:
    """Read a child's output to its end, as it comes when `show` is set; kill it when it hangs."""
    guard = threading.Timer(timeout, child.kill)
    guard.start()
    lines = []
    assert child.stdout is not None
    with child.stdout:
        for line in child.stdout:
            lines.append(line)
            if show:
                say(line.rstrip())
    status = child.wait()
    guard.cancel()
    return status, "".join(lines)


def set_up(target: Target) -> WindowsPython:
    """The interpreter for a target, made when it is not there yet; in running_wine() only."""
    python = WindowsPython(target)
    if not python.home.exists():
        say(f"setting up Windows Python {target.name}")
        with whole(python.home) as scratch:
            _lay_out(target, scratch)
    # an earlier version of this tool put its stand-in there: Windows would look there first
    (python.home / "netapi32.dll").unlink(missing_ok=True)
    _install_packages(python)
    return python


def _lay_out(target: Target, home: Path) -> None:
    source = fetch.python_source(target.version)
    say(f"standard library of Python {target.version}: {source.origin}")
    shutil.copytree(source.library, home / "Lib", ignore=shutil.ignore_patterns(*_LEFT_OUT))
    (home / "DLLs").mkdir()
    for part in fetch.interpreter_files(target).iterdir():
        name = part.name.lower()
        if name.startswith(("python3", "vcruntime140")):
            shutil.copy(part, home)
        elif name.endswith((".pyd", ".dll")) and _is_standard(name, target):
            shutil.copy(part, home / "DLLs")
    build_launcher(home / target.dll, home / "python.exe")
    build_missing_library(home / "bcryptprimitives.dll")
    (home / "Lib" / "site-packages").mkdir()
    (home / "Lib" / "site-packages" / "sitecustomize.py").write_text(_FOR_WINE)


def _is_standard(name: str, target: Target) -> bool:
    """Leave out panda3d's own libraries, Tk, free-threaded builds, and what Wine lacks.

    _wmi calls into a part of Wine 8's propsys that ends the process; without it the standard
    library's platform module takes its older way.
    """
    left_out = ("panda", "libp3", "p3", "tcl", "tk", "_tk", "msvcp", "api-ms", "_wmi")
    return f"{target.abi}t" not in name and not name.startswith(left_out)


def _install_packages(python: WindowsPython) -> None:
    """pytest and pip from wheels downloaded on the host; the Windows side needs no network."""
    wheels = fetch.wheels("tests", TEST_PACKAGES, python.target)
    note = python.home / "installed.txt"
    asked = (wheels / "requirements.txt").read_text()
    if note.exists() and note.read_text() == asked:
        return
    say(f"installing {', '.join(TEST_PACKAGES)} into Windows Python {python.target.name}")
    (pip,) = wheels.glob("pip-*.whl")
    # pip runs from inside its own wheel: ensurepip's bundled one is missing from Debian's Lib
    python.check(
        *("-m", "pip", "install", "-q", "--no-index", "--find-links", windows_path(wheels)),
        *("--no-warn-script-location", *TEST_PACKAGES),
        extra={"PYTHONPATH": windows_path(pip)},
    )
    note.write_text(asked)


@contextmanager
def running_wine() -> Iterator[None]:
    """A Wine of our own, from its prefix to its end, for the interpreters to run in.

    One process of it stays for the whole time: Wine starts its services with the first and ends
    them after the last one, seconds each, and they would inherit the first one's standard output,
    which then stays open when that process has ended.
    """
    wine = wine_binary()
    environment = wine_environment()
    _make_prefix(environment)
    keeper = subprocess.Popen(
        [wine, "cmd"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    keeper.stdout.read(1)  # its prompt: the services are there
    try:
        yield
    finally:
        keeper.stdin.close()  # ends cmd
        subprocess.run(["wineserver", "-k"], env=environment, capture_output=True, timeout=60)
        keeper.wait(timeout=60)
        keeper.stdout.close()


def put_into_system32(library: Path) -> None:
    """Put a DLL where Windows has its own; programs that run keep what they have loaded."""
    final = PREFIX / "drive_c" / "windows" / "system32" / library.name
    scratch = final.with_suffix(".new")
    shutil.copy(library, scratch)
    scratch.replace(final)


def _make_prefix(environment: dict[str, str]) -> None:
    """Make the Wine prefix, that calls itself Windows 10 (Python asks for 8.1 or later)."""
    if PREFIX.exists():
        return
    say("creating the Wine prefix")
    with whole(PREFIX) as scratch:
        environment = environment | {"WINEPREFIX": str(scratch)}
        for command in (["wineboot", "-i"], ["winecfg", "-v", "win10"]):
            subprocess.run(
                [wine_binary(), *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=300,
            )
        # the registry is written when the prefix's server ends
        subprocess.run(["wineserver", "-w"], env=environment, timeout=300)
        if not (scratch / "system.reg").exists():
            raise SystemExit("Wine made no registry: does /usr/lib/wine/wine64 run here?")
