"""The two extension modules; everything else is in pyproject.toml."""

import os
import sys

from setuptools import Extension, setup

# Warnings are errors only where the compiler is known (CI sets NETSESSION_WERROR).
if sys.platform == "win32" and "gcc" not in os.environ.get("CC", ""):
    compile_args = ["/std:c11", "/W3"]
    link_args = []
else:
    compile_args = ["-std=c11", "-O3", "-Wall", "-Wextra", "-Wconversion", "-Wshadow"]
    compile_args += ["-Wstrict-prototypes", "-fvisibility=hidden"]
    if os.environ.get("NETSESSION_WERROR"):
        compile_args.append("-Werror")
    # Python's own CFLAGS may say -g, which makes a wheel twice as large. Who wants it says so.
    wanted = "-g" in os.environ.get("CFLAGS", "").split()
    compile_args += [] if wanted else ["-g0"]
    link_args = ["-Wl,-s"] if sys.platform == "linux" and not wanted else []

SHARED = ["src/arguments.c", "src/netapi.c", "src/session_level.c", "src/upcase.c", "src/utf16.c"]
HEADERS = [f"src/{name}" for name in sorted(os.listdir("src")) if name.endswith(".h")]


def extension(name: str, sources: list[str]) -> Extension:
    """The extension module of that name from its own sources and the shared ones."""
    return Extension(
        f"netsession.{name}",
        sources=[f"src/{name}.c", *sources, *SHARED],
        depends=HEADERS,
        extra_compile_args=compile_args,
        extra_link_args=link_args,
    )


setup(
    ext_modules=[
        extension(
            "_netsession",
            [
                "src/arrow_batch.c",
                "src/arrow_fleet.c",
                "src/arrow_stream.c",
                "src/arrow_table.c",
                "src/call_lock.c",
                "src/delete_guard.c",
                "src/errors.c",
                "src/interpreter_visit.c",
                "src/ip_address.c",
                "src/name_functions.c",
                "src/name_match.c",
                "src/page_pickle.c",
                "src/session_cursor.c",
                "src/session_filter.c",
                "src/session_info.c",
                "src/session_page.c",
                "src/srvsvc_ndr.c",
                "src/srvsvc_stub.c",
                "src/string_cache.c",
            ],
        ),
        extension("_simulator", ["src/simulator.c"]),
    ]
)
