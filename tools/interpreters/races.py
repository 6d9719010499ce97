"""Threads at the same objects under ThreadSanitizer, in a free-threaded CPython built with it.

    python tools/interpreters/races.py [TEST ...]

It reports two accesses to the same memory that nothing orders, whether they did harm or not.  Left
out are those of CPython itself that its own list names (``Tools/tsan`` of the sources that it was
built from); there is no such list for us.  The interpreter is built once, with clang.  At last a
race is planted, which must be reported: nothing that cannot fail is taken for a test.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import sanitize
from cpython import CACHE, COMPILER_OF_RACES, RACES, UnavailableError, ensure, locked, source

from run import environment_of

_TESTS = (
    "test_threads.py",  # sixteen threads at each object
    "test_call_lock.py",
    "test_session_cursor.py",
    "test_session_filter.py",
    "test_session_page.py",
    "test_simulator.py",
    "test_arrow.py",
    "test_arrow_fleet.py",
    "test_pickling.py",
    "test_server.py",
    "test_watch.py",
    "test_fleet.py",
    "test_fleet_arrow.py",
)
# As for the address sanitizer; the sanitizer's malloc comes before the one that fails, and it gives
# up in a fork that starts threads.
_LEFT_OUT = "not leak and not 2_gib and not reserves and not memory and not allocations_that_fail"
_LEFT_OUT += " and not fork"
# The control: the cursor without what keeps two threads out of it.
_GUARDED, _GUARDED_TEST = "session_cursor.c", "tests/test_threads.py::test_one_cursor"
_GUARDS = {"Py_BEGIN_CRITICAL_SECTION(self);": "{", "Py_END_CRITICAL_SECTION();": "}"}


def _compile(python: Path, folder: Path) -> bool:
    """Compiles the sources of a folder there; says so where it cannot."""
    build = [str(python), "setup.py", "-q", "build_ext", "--inplace"]
    # setuptools takes these in the place of those that the interpreter was built with.
    flags = "-fsanitize=thread -O1 -g"
    built = sanitize.run(build, folder, CFLAGS=flags, LDFLAGS="-fsanitize=thread")
    if built.returncode != 0:
        print(f"thread sanitizer FAILED to build:\n{built.stderr}", flush=True)
    return built.returncode == 0


def _notices_a_race(python: Path, folder: Path, options: str) -> bool:
    """Whether the same tests report a race that was put there."""
    source = folder / "src" / _GUARDED
    text = source.read_text()
    for guard, instead in _GUARDS.items():
        if guard not in text:
            print(f"thread sanitizer FAILED: no {guard} in {_GUARDED} to leave out")
            return False
        text = text.replace(guard, instead)
    source.write_text(text)
    if not _compile(python, folder):
        return False
    _, reports = sanitize.tried([str(python)], folder, [_GUARDED_TEST], TSAN_OPTIONS=options)
    found = reports.count("WARNING: ThreadSanitizer: data race")
    print(f"without its critical sections, {_GUARDED}: {found} races reported", flush=True)
    return found > 0 and "cursor_enter" in reports


def main(tests: Iterable[str] = ()) -> int:
    """Build, test, print what came of it; 0 unless something was found, or it cannot run here."""
    symbolizer = shutil.which("llvm-symbolizer-14") or shutil.which("llvm-symbolizer")
    if not shutil.which(COMPILER_OF_RACES) or symbolizer is None:
        needs = "Debian: clang-14, llvm-14, libclang-rt-14-dev"
        print(f"thread sanitizer skipped: no {COMPILER_OF_RACES} ({needs})")
        return 0
    with locked(), tempfile.TemporaryDirectory(prefix="netsession-races-") as scratch:
        folder = Path(scratch)
        try:
            interpreter = ensure(RACES)
            python = environment_of(interpreter, RACES.name, CACHE / "races.log")
        except UnavailableError as error:
            print(f"thread sanitizer skipped: {error}")
            return 0
        sanitize.copy(folder)
        if not _compile(python, folder):
            return 1
        known = source(RACES.version) / "Tools" / "tsan" / "suppressions_free_threading.txt"
        options = " ".join(
            (
                f"suppressions={known}",
                f"log_path={folder / 'report'}",
                f"external_symbolizer_path={symbolizer}",
                "handle_segv=0",
                "exitcode=0",  # the reports tell
            )
        )
        found = sanitize.test(
            "thread sanitizer",
            [str(python)],
            folder,
            ["-k", _LEFT_OUT, *(tests or (f"tests/{name}" for name in _TESTS))],
            TSAN_OPTIONS=options,
        )
        return 0 if not found and _notices_a_race(python, folder, options) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
