"""The library that makes C allocations fail (failing_malloc.c), and how scripts use it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

#: The beginning of a script that is run with the library's path as its argument and in LD_PRELOAD.
SCRIPT = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
arm, disarm = library.failing_malloc_arm, library.failing_malloc_disarm
live = library.failing_malloc_live
arm.argtypes, disarm.restype = [ctypes.c_long] * 2, ctypes.c_long
"""


def compiled(folder: Path) -> str:
    """The library, compiled into a folder; skips where that cannot be."""
    if platform.libc_ver()[0] != "glibc" or not shutil.which("gcc"):
        pytest.skip("makes the C library's allocations fail: needs glibc and gcc (Debian: gcc)")
    if "asan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("the address sanitizer has allocations of its own")
    library = folder / "failing_malloc.so"
    source = Path(__file__).with_name("failing_malloc.c")
    command = ["gcc", "-shared", "-fPIC", "-O1", "-fno-builtin", str(source), "-o", str(library)]
    subprocess.run([*command, "-ldl"], check=True)
    return str(library)
