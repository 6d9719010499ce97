"""Threads at the same objects under ThreadSanitizer, in a free-threaded CPython built with it.

    python tools/interpreters/races.py [TEST ...]

It reports two accesses to the same memory that nothing orders, whether they did harm or not.  Left
out are those of CPython itself that its own list names (``Tools/tsan`` of the sources that it was
built from); there is no such list for us.  The interpreter is built once, with clang.
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
# As for the address sanitizer; and the sanitizer's malloc comes before the one that fails.
_LEFT_OUT = "not leak and not 2_gib and not reserves and not memory and not allocations_that_fail"


def main(tests: Iterable[str] = ()) -> int:
    """Build, test, print one line; 0 unless something was found, or it cannot run here."""
    symbolizer = shutil.which("llvm-symbolizer-14") or shutil.which("llvm-symbolizer")
    if not shutil.which(COMPILER_OF_RACES) or symbolizer is None:
        print(f"thread sanitizer skipped: no {COMPILER_OF_RACES} (Debian: clang-14, llvm-14)")
        return 0
    with locked(), tempfile.TemporaryDirectory(prefix="netsession-races-") as scratch:
        folder = Path(scratch)
        before = sanitize.cpu_seconds()
        try:
            interpreter = ensure(RACES)
            python = environment_of(interpreter, RACES.name, CACHE / "races.log")
        except UnavailableError as error:
            print(f"thread sanitizer skipped: {error}")
            return 0
        sanitize.copy(folder)
        build = [str(python), "setup.py", "-q", "build_ext", "--inplace"]
        built = sanitize.run(build, folder, CFLAGS="-O1 -g")
        if built.returncode != 0:
            print(f"thread sanitizer FAILED to build:\n{built.stderr}", flush=True)
            return 1
        print(f"built with {COMPILER_OF_RACES}, {sanitize.cpu_seconds() - before:.0f} s of CPU")
        known = source(RACES.version) / "Tools" / "tsan" / "suppressions_free_threading.txt"
        options = (
            f"suppressions={known}",
            f"log_path={folder / 'report'}",
            f"external_symbolizer_path={symbolizer}",
            "handle_segv=0",
            "exitcode=0",  # the reports tell
        )
        return sanitize.test(
            "thread sanitizer",
            [str(python)],
            folder,
            ["-k", _LEFT_OUT, *(tests or (f"tests/{name}" for name in _TESTS))],
            TSAN_OPTIONS=" ".join(options),
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
