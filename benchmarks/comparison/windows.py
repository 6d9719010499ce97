"""The contenders on Windows: the official CPython under Wine, on a stand-in netapi32.dll.

The tools of tools/windows make the interpreter and build the wheel, in a cache of our own (what
they downloaded is shared), so that a test run at the same time changes nothing under us.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from .environments import BENCHMARKS, CACHE, ROOT, MissingError

SECTION = "windows"

_TOOLS = ROOT / "tools" / "windows"
_SHARED = ROOT / ".cache" / "windows"


def _tools() -> Any:
    """The modules of tools/windows, told to use our cache."""
    cache = CACHE / "windows"
    cache.mkdir(parents=True, exist_ok=True)
    for name in ("downloads", "tools"):
        if (_SHARED / name).exists() and not (cache / name).exists():
            (cache / name).symlink_to(_SHARED / name)
    os.environ["NETSESSION_WINDOWS_CACHE"] = str(cache)
    if str(_TOOLS) not in sys.path:
        sys.path.insert(0, str(_TOOLS))
    return {
        name: importlib.import_module(name)
        for name in ("targets", "fetch", "compilers", "interpreter", "stand_in", "wheels")
    }


def _build_floor(tools: Any, target: Any, home: Path) -> None:
    """With the flags of the wheel, warnings apart: the floor does not check anything."""
    compiler = tools["compilers"].compiler(target)
    command = [*compiler.link, "-std=c11", "-O2", "-isystem", tools["fetch"].headers(target)]
    command += [f"-I{ROOT / 'src'}", BENCHMARKS / "floor.c", ROOT / "src" / "netapi.c"]
    output = home / "DLLs" / f"netsession_floor{target.extension_suffix}"
    libraries = [f"-L{compiler.libraries}", f"-lpython{target.nodot}", "-lnetapi32"]
    tools["fetch"].run([*command, "-o", output, *libraries], env=compiler.full_environment())


def _prepare(tools: Any) -> Any:
    target = tools["targets"].RUN[0]
    python = tools["interpreter"].set_up(target)
    wheel = tools["wheels"].build(target, CACHE / "wheels")
    shutil.copy(tools["stand_in"].build(target), python.home)
    files = tools["fetch"].pywin32_files(target)
    path = tools["interpreter"].windows_path
    lines = [path(files / "win32"), path(files / "win32" / "lib"), path(BENCHMARKS / "contenders")]
    lines.append(f"import os; os.add_dll_directory({path(files / 'pywin32_system32')!r})")
    packages = python.home / "Lib" / "site-packages"
    (packages / "benchmarks.pth").write_text("\n".join(lines) + "\n")
    python.install(wheel)
    _build_floor(tools, target, python.home)
    return python


def measure(cases: list[tuple[int, int, int, float]]) -> dict[str, Any]:
    """Samples and versions; each case is (level, entries, rounds, seconds a round)."""
    tools = _tools()
    try:
        with tools["interpreter"].running_wine():
            python = _prepare(tools)
            script = tools["interpreter"].windows_path(BENCHMARKS / "contenders" / "windows.py")
            output = python.check(script, json.dumps({"cases": cases}), timeout=900)
    except tools["targets"].MissingToolError as error:
        raise MissingError(str(error)) from error
    answer: dict[str, Any] = json.loads(output.rpartition("JSON")[2])
    wine = [tools["interpreter"].wine_binary(), "--version"]
    answer["versions"]["Wine"] = tools["fetch"].run(wine).strip()
    return answer
