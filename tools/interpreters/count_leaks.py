"""What each public call leaves behind: in this Python, and references in a debug build of CPython.

    python tools/interpreters/count_leaks.py [ROUNDS]

``tests/leaks.py`` counts; a line a call.  A real smbd is asked too, where there is one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cpython import BUILDS, CACHE, ROOT, UnavailableError, ensure, locked, run

from run import copy_sources, environment_of

_USUAL_ROUNDS = "200"
# What the command and the SMB layer need, so that their references are counted as well.
_NEEDED = ("smbprotocol", "rich")


def _count(python: Path, sources: Path, *arguments: str) -> int:
    paths = [sources, sources / "tests", sources / "tests" / "samba", sources / "tests" / "network"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    leaks = str(sources / "tests" / "leaks.py")
    return subprocess.run([python, leaks, *arguments], cwd=sources, env=environment).returncode


def _debug_build() -> tuple[Path, Path]:
    """Its Python with what is needed, and our sources compiled for it."""
    build = next(each for each in BUILDS if each.kind == "debug")
    log = CACHE / "leaks.log"
    python = environment_of(ensure(build), build.name, log)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "-q", "install"]
    run([*pip, *_NEEDED], log)
    sources = CACHE / "work" / build.name / "sources"
    copy_sources(sources)
    run([str(python), "setup.py", "-q", "build_ext", "--inplace"], log, cwd=sources)
    return python, sources


def main(rounds: str = _USUAL_ROUNDS) -> int:
    """Prints the tables; 0 unless a call leaks."""
    print(f"Python {sys.version.split()[0]}", flush=True)
    failed = _count(Path(sys.executable), ROOT, "--rounds", rounds)
    with locked():
        try:
            python, sources = _debug_build()
        except UnavailableError as error:
            print(f"references are not counted: {error}", flush=True)
            return failed
        print("a debug build of CPython", flush=True)
        return failed | _count(python, sources, "--rounds", rounds, "--of", "references")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
