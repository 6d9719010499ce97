"""Compilers that produce Windows code on this machine: MinGW for amd64, zig for the others.

MinGW's ld links against a DLL itself.  zig's linker wants an import library, which its dlltool
makes from the names that a DLL exports; they are the same on every architecture, so for arm64,
whose python3xx.dll nothing carries, the amd64 DLL's names serve.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import fetch
import pe
from fetch import run, say, whole
from targets import C_FLAGS, CACHE, TOOLS, MissingToolError, Target

MINGW = "x86_64-w64-mingw32-gcc"
_ZIG_TRIPLES = {"win32": "x86-windows-gnu", "arm64": "aarch64-windows-gnu"}
_ZIG_MACHINES = {"win32": "i386", "arm64": "arm64"}


def mingw() -> str:
    if not shutil.which(MINGW):
        raise MissingToolError(f"no {MINGW}: apt install gcc-mingw-w64-x86-64")
    return MINGW


@dataclass(frozen=True)
class Compiler:
    """How to compile and link for one target."""

    command: list[str]
    link_flags: list[str]
    libraries: Path  # the folder in which python3xx is found
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def link(self) -> list[str]:
        """The command that links a DLL, without symbols."""
        return [*self.command, "-shared", "-s", *self.link_flags]

    def full_environment(self) -> dict[str, str]:
        return os.environ | self.environment

    def build_dll(self, sources: list[Path], definition: Path, output: Path) -> None:
        """Compile C files into a DLL that exports what the definition file names."""
        run(
            [*self.link, *C_FLAGS, *sources, definition, "-o", output],
            env=self.full_environment(),
        )


def compiler(target: Target) -> Compiler:
    if target.arch == "amd64":
        flags = ["-static-libgcc", "-Wl,--no-insert-timestamp"]
        return Compiler([mingw()], flags, fetch.interpreter_files(target))
    zig = str(fetch.zig_python())
    command = [zig, "-m", "ziglang", "cc", "-target", _ZIG_TRIPLES[target.arch]]
    cache = str(CACHE / "zig")
    environment = {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
    if not Path(cache).exists():
        say("zig builds its own run-time parts once, which takes a minute or two")
    return Compiler(command, [], _import_library(zig, target), environment)


def _import_library(zig: str, target: Target) -> Path:
    folder = target.folder / "libraries"
    if folder.exists():
        return folder
    carrier = target if target.arch == "win32" else Target(target.version, "amd64")
    names = pe.read(fetch.interpreter_files(carrier) / target.dll).exports
    with whole(folder) as scratch:
        scratch.mkdir()
        definition = scratch / "python.def"
        definition.write_text("\n".join([f"LIBRARY {target.dll}", "EXPORTS", *names, ""]))
        dlltool = [zig, "-m", "ziglang", "dlltool", "-m", _ZIG_MACHINES[target.arch]]
        run([*dlltool, "-d", definition, "-l", scratch / f"python{target.nodot}.lib"])
    return folder


def build_missing_library(output: Path) -> None:
    """bcryptprimitives.dll, which Wine 8 lacks, for the tests' own requirements."""
    command = [mingw(), "-shared", "-static-libgcc", "-s", *C_FLAGS]
    run([*command, TOOLS / "bcryptprimitives.c", "-ladvapi32", "-o", output])


def build_launcher(dll: Path, output: Path) -> None:
    """python.exe, which the interpreter's carrier does not ship."""
    command = [mingw(), "-municode", "-static-libgcc", "-s", *C_FLAGS]
    run([*command, TOOLS / "launcher.c", dll, "-o", output])
