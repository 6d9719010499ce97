"""Builds the stand-in netapi32.dll: the simulator behind the real library's entry points."""

from __future__ import annotations

import re
from pathlib import Path

import fetch
import pe
from compilers import compiler
from fetch import say
from targets import CACHE, ROOT, TOOLS, Target

_ENTRIES = ROOT / "src" / "simulator_dll.c"
_OTHERS = TOOLS / "netapi32_others.c"
_SIMULATOR = [ROOT / "src" / name for name in ("simulator.c", "session_level.c", "upcase.c")]
_ENTRY_POINTS = ("NetSessionEnum", "NetSessionGetInfo", "NetSessionDel", "NetApiBufferFree")


def build(target: Target) -> Path:
    """Compile netapi32.dll for a target's architecture and check what it exports; its path."""
    output = CACHE / f"stand-in-{target.arch}" / "netapi32.dll"
    output.parent.mkdir(parents=True, exist_ok=True)
    definition = output.with_suffix(".def")
    definition.write_text("\n".join(["LIBRARY netapi32.dll", "EXPORTS", *_exported(), ""]))
    compiler(target).build_dll([_ENTRIES, _OTHERS, *_SIMULATOR], definition, output)
    image = pe.read(output)
    if image.machine != target.arch:
        raise SystemExit(f"{output}: for {image.machine}")
    check(output, target)
    say(f"built the stand-in netapi32.dll for {target.arch}: {len(image.exports)} names")
    return output


def check(library: Path, target: Target) -> None:
    """Has it every name without which the extension or the target's pywin32 would not load?"""
    missing = {*_ENTRY_POINTS, *_imported_by_pywin32(target)} - set(pe.read(library).exports)
    if missing:
        raise SystemExit(f"{library}: lacks {sorted(missing)} for {target.name}")


def _exported() -> list[str]:
    """The names that the sources mark for export."""
    entries = re.findall(r"^EXPORTED .*\n(\w+)\(", _ENTRIES.read_text(), re.MULTILINE)
    others = re.findall(r"^UNSUPPORTED_\d\((\w+)\)$", _OTHERS.read_text(), re.MULTILINE)
    return [*entries, *others]


def _imported_by_pywin32(target: Target) -> set[str]:
    """The names without which pywin32's win32net does not load (its arm64 wheel is not used)."""
    if target.arch == "arm64":
        return set()
    imports = pe.read(fetch.pywin32_files(target) / "win32" / "win32net.pyd").imports
    return {name for dll in imports if dll.lower() == "netapi32.dll" for name in imports[dll]}
