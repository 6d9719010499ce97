"""The whole extension under AddressSanitizer and UndefinedBehaviorSanitizer.

    python tools/interpreters/sanitize.py [TEST ...]

The interpreter itself is an ordinary one, so the sanitizer's library is loaded before it; leaks
are not looked for (CPython keeps things until it ends), and malloc is used for everything, so
that every object has bounds.  What is left behind is ``tests/leaks.py``'s business, what threads
do to each other that of ``races.py``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]

# Beginnings of the names of files that need not be here.  All others that there are run.
_NOT_HERE = (
    "test_cli",  # the command, in processes of its own: no C that the others do not run
    "test_docs",
    "test_interpreters",  # many processes; memory that is short is not the sanitizer's
    "test_interrupts",  # likewise
    "test_kept_command",
    "test_leaks",  # counts what the sanitizer allocates
    "test_pytest_plugin",
    "test_smb",  # the SMB layer is Python
    "test_wire",
    "test_errors",  # and so are these
    "test_statuses",
    "test_watch_identity",
)
# Counts of blocks mean nothing when malloc serves all of them; 2 GiB would become far more, and
# what is reserved is the sanitizer's doing.
_LEFT_OUT = "not leak and not 2_gib and not reserves and not one_page"
_FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g"


# --- for both sanitizers --------------------------------------------------------------------------


def run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder, its output as text, without this process's own import path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        errors="replace",
    )


def copy(folder: Path) -> None:
    """Our sources, to be compiled there."""
    ignore = shutil.ignore_patterns("__pycache__", "*.so", "samba", "windows", "fuzz", "domain")
    for name in ("src", "netsession", "tests"):
        shutil.copytree(_ROOT / name, folder / name, ignore=ignore)
    for name in (
        "setup.py",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "_netsession_pytestplugin.py",
    ):
        if (_ROOT / name).exists():
            shutil.copy2(_ROOT / name, folder / name)


def tried(
    command: list[str], folder: Path, tests: Iterable[str], **variables: str
) -> tuple[subprocess.CompletedProcess[str], str]:
    """What pytest said of these tests, and what the sanitizer reported.

    Reports go to files, since pytest keeps what is written to stderr to itself.
    """
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:benchmark"]
    done = run([*command, *pytest, *tests], folder, **variables)
    reports = sorted(folder.glob("report.*"))
    return done, "".join(path.read_text(errors="replace") for path in reports)


def test(
    what: str, command: list[str], folder: Path, tests: Iterable[str], **variables: str
) -> int:
    """Runs the tests, and prints one line; 0 unless a test failed or something was reported."""
    done, reports = tried(command, folder, tests, **variables)
    if done.returncode != 0 or reports:
        print(f"{what} FAILED:\n{done.stdout[-6000:]}{done.stderr[-2000:]}{reports[:20000]}")
        return 1
    summary = done.stdout.strip().splitlines()[-1].strip("= ")
    print(f"{what}: {summary}", flush=True)
    return 0


# --- addresses and undefined behaviour ------------------------------------------------------------


def _library(name: str) -> str | None:
    """The path of a sanitizer's library, or None where gcc has none."""
    if not shutil.which("gcc"):
        return None
    found = subprocess.run(
        ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return found if os.path.isabs(found) else None


def _tests(folder: Path) -> list[str]:
    found = sorted(path.name for path in (folder / "tests").glob("test_*.py"))
    return [f"tests/{name}" for name in found if not name.startswith(_NOT_HERE)]


def _preload(libraries: list[str], reports: Path) -> dict[str, str]:
    return {
        "LD_PRELOAD": " ".join(libraries),
        "PYTHONMALLOC": "malloc",
        "ASAN_OPTIONS": f"detect_leaks=0:allocator_may_return_null=1:log_path={reports}",
        "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:log_path={reports}",
    }


def main(python: str = sys.executable, tests: Iterable[str] = ()) -> int:
    """Build, test, print one line; 0 unless something was found.

    ``python`` needs pytest and the setuptools that pyproject.toml asks for; ``tests`` are all that
    there are.
    """
    found = [_library(name) for name in ("libasan.so", "libubsan.so")]
    libraries = [name for name in found if name is not None]
    if sys.platform != "linux" or len(libraries) < len(found):
        print("sanitizers skipped: no gcc with libasan and libubsan (Debian: gcc)", flush=True)
        return 0
    with tempfile.TemporaryDirectory(prefix="netsession-sanitize-") as scratch:
        folder = Path(scratch)
        copy(folder)
        build = [python, "setup.py", "-q", "build_ext", "--inplace"]
        built = run(build, folder, CC="gcc", CFLAGS=f"{_FLAGS} -O1", LDFLAGS="-fsanitize=address")
        if built.returncode != 0:
            print(f"sanitizers FAILED to build:\n{built.stderr}", flush=True)
            return 1
        return test(
            "address and undefined behaviour sanitizers",
            [python],
            folder,
            ["-k", _LEFT_OUT, *(tests or _tests(folder))],
            **_preload(libraries, folder / "report"),
        )


if __name__ == "__main__":
    from cpython import CACHE, locked

    from run import environment_of

    with locked():
        version = "asan-{}.{}".format(*sys.version_info)
        own = environment_of(Path(sys.executable), version, CACHE / "sanitize.log")
        sys.exit(main(str(own), sys.argv[1:]))
