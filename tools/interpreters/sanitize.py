"""The whole extension under AddressSanitizer and UndefinedBehaviorSanitizer.

The interpreter itself is an ordinary one, so the sanitizer's library is loaded before it; leaks
are not looked for (CPython keeps things until it ends), and malloc is used for everything, so
that every object has bounds.  Reference counts are the debug build's business.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_TESTS = (
    "test_ndr.py",
    "test_vectors.py",
    "test_session_page.py",
    "test_session_cursor.py",
    "test_session_filter.py",
    "test_simulator.py",
    "test_arrow.py",
    "test_arrow_fleet.py",
    "test_pickling.py",
    "test_half_made.py",
    "test_unsafe_deletes.py",
)
# Counts of blocks mean nothing when malloc serves all of them; 2 GiB would become far more, and
# what is reserved is the sanitizer's doing.
_LEFT_OUT = "not leak and not 2_gib and not reserves"
_FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g"


def _library(name: str) -> str | None:
    """The path of a sanitizer's library, or None where gcc has none."""
    if not shutil.which("gcc"):
        return None
    found = subprocess.run(
        ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return found if os.path.isabs(found) else None


def _run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=folder, env=environment | variables, capture_output=True, text=True
    )


def _copy(folder: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", "*.so", "samba", "windows", "fuzz")
    for name in ("src", "netsession", "tests"):
        shutil.copytree(_ROOT / name, folder / name, ignore=ignore)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        if (_ROOT / name).exists():
            shutil.copy2(_ROOT / name, folder / name)


def _preload(libraries: list[str], reports: Path) -> dict[str, str]:
    return {
        "LD_PRELOAD": " ".join(libraries),
        "PYTHONMALLOC": "malloc",
        # pytest keeps what is written to stderr to itself, so reports go to files.
        "ASAN_OPTIONS": f"detect_leaks=0:allocator_may_return_null=1:log_path={reports}",
        "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:log_path={reports}",
    }


def main(python: str = sys.executable) -> int:
    """Build, test, print one line; 0 unless something was found.

    ``python`` needs pytest and the setuptools that pyproject.toml asks for.
    """
    found = [_library(name) for name in ("libasan.so", "libubsan.so")]
    libraries = [name for name in found if name is not None]
    if sys.platform != "linux" or len(libraries) < len(found):
        print("sanitizers skipped: no gcc with libasan and libubsan (Debian: gcc)", flush=True)
        return 0
    with tempfile.TemporaryDirectory(prefix="netsession-sanitize-") as scratch:
        folder = Path(scratch)
        _copy(folder)
        build = [python, "setup.py", "-q", "build_ext", "--inplace"]
        built = _run(build, folder, CC="gcc", CFLAGS=f"{_FLAGS} -O1", LDFLAGS="-fsanitize=address")
        if built.returncode != 0:
            print(f"sanitizers FAILED to build:\n{built.stderr}", flush=True)
            return 1
        tests = [f"tests/{name}" for name in _TESTS]
        pytest = [
            python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:benchmark",
        ]
        preload = _preload(libraries, folder / "report")
        done = _run([*pytest, "-k", _LEFT_OUT, *tests], folder, **preload)
        reports = "".join(path.read_text() for path in sorted(folder.glob("report.*")))
    if done.returncode != 0 or reports:
        print(f"sanitizers FAILED:\n{done.stdout[-6000:]}{done.stderr[-2000:]}{reports[:8000]}")
        return 1
    summary = done.stdout.strip().splitlines()[-1]
    print(f"address and undefined behaviour sanitizers: {summary.strip('= ')}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
