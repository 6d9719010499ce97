"""The fuzz targets, how each is built, and the corpora that are kept of them."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SOURCES = ROOT / "src"
CACHE = ROOT / ".cache" / "fuzz"
CORPUS = HERE / "corpus"
CLANGS = ("clang", "clang-19", "clang-16", "clang-14")

_WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-g"]
_SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
_CODEC = ("srvsvc_ndr.c", "session_level.c")
_ARROW = ("arrow_batch.c", "arrow_table.c", "utf16.c")
#: What only Windows' build has.
_NOT_BUILT = {"simulator_dll.c"}


class MissingError(Exception):
    """What this machine lacks to build a target."""


@dataclass(frozen=True)
class Target:
    """A fuzz target: C alone, or a program in Python beside the whole extension."""

    name: str
    files: tuple[str, ...]  # whose line coverage is told
    harness: str = "fuzz_python.c"
    sources: tuple[str, ...] = ()  # of src/; () for all
    mutator: bool = False
    traced: bool = False  # whether Python's lines are coverage, too
    longest: int = 1024

    @property
    def is_python(self) -> bool:
        return self.harness == "fuzz_python.c"

    def seeds(self) -> list[bytes]:
        """Inputs to start from, whatever is kept."""
        if self.is_python:
            return program(self.name).seeds()
        head = bytes([3, 40, 0, 5]) if self.name == "arrow" else b""
        return [head + stub for stub in vectors()]

    def kept(self) -> list[bytes]:
        """The corpus in the repository: a line of hexadecimal digits for each input."""
        path = CORPUS / f"{self.name}.txt"
        return [bytes.fromhex(line) for line in path.read_text().split()] if path.exists() else []

    def keep(self, inputs: list[bytes]) -> None:
        CORPUS.mkdir(exist_ok=True)
        lines = sorted({data.hex() for data in inputs}, key=lambda line: (len(line), line))
        (CORPUS / f"{self.name}.txt").write_text("".join(f"{line}\n" for line in lines if line))


TARGETS = (
    Target("decode", _CODEC, "fuzz_decode.c", _CODEC, mutator=True, longest=4096),
    Target("arrow", _ARROW[:2], "fuzz_arrow.c", (*_CODEC, *_ARROW), mutator=True, longest=4096),
    Target(
        "pages",
        (
            "session_page.c", "session_filter.c", "page_pickle.c",
            "session_info.c", "utf16.c", "string_cache.c", "arrow_stream.c", "arrow_fleet.c",
        ),
    ),
    Target(
        "cursors",
        (
            "session_cursor.c", "srvsvc_stub.c", "arguments.c", "errors.c", "_netsession.c",
            "delete_guard.c", "call_lock.c", "name_functions.c", "simulator.c", "_simulator.c",
        ),
    ),
    Target(
        "wire",
        ("srvsvc/dcerpc.py", "srvsvc/opening.py", "srvsvc/pipe.py", "srvsvc/rpc.py"),
        traced=True,
        longest=4096,
    ),
    Target("logon", ("srvsvc/smb.py", "srvsvc/security.py"), traced=True, longest=256),
    Target(
        "names",
        ("name_match.c", "ip_address.c", "upcase.c", "_names.py", "_where.py"),
        traced=True,
        longest=256,
    ),
)  # fmt: skip


def vectors() -> list[bytes]:
    """Every stub of the tests' vectors, requests too: they are replies gone wrong."""
    found = json.loads((HERE.parent / "data" / "vectors.json").read_text())
    return [bytes.fromhex(one["hex"]) for one in found if "stub" in one["kind"]]


def program(name: str) -> Any:
    """One of programs/, which have ``run(data)`` and ``seeds()``."""
    for folder in (str(HERE), str(HERE.parent)):  # nothing new in the tests
        if folder not in sys.path:
            sys.path.insert(0, folder)
    return importlib.import_module(f"programs.{name}")


# --- building -----------------------------------------------------------------------------------


def clang() -> str:
    """clang with libFuzzer and the sanitizers."""
    found = next(filter(shutil.which, CLANGS), None)
    if found is None:
        raise MissingError("no clang with libFuzzer (Debian: clang-14 libclang-rt-14-dev)")
    return found


def _embedding() -> tuple[list[str], list[str]]:
    """Flags to compile with Python.h, and to link a program that holds a Python."""
    names = ("LIBDIR", "LIBPL", "LDVERSION", "LIBS", "SYSLIBS")
    library, folder, version, *more = (str(sysconfig.get_config_var(name)) for name in names)
    found = [path for where in (library, folder) for path in Path(where).glob("libpython*")]
    if not found or not Path(sysconfig.get_path("include"), "Python.h").exists():
        raise MissingError("no libpython to build into a program (Debian: python3-dev)")
    flags = [f"-L{library}", f"-L{folder}", f"-Wl,-rpath,{library}", f"-lpython{version}"]
    for part in more:
        flags += part.split()
    return [f"-I{sysconfig.get_path('include')}"], [*flags, "-lm", "-Wl,-export-dynamic"]


class Build:
    """One way to compile: objects are shared by its targets and made again only where they must."""

    def __init__(self, name: str, compiler: list[str], harness: list[str], link: list[str]) -> None:
        # Other flags or another Python are another build.
        flags = repr((compiler, harness, link, _embedding()))
        self.folder = CACHE / f"{name}-{zlib.crc32(flags.encode()):08x}"
        self._compiler = compiler  # what compiles src/
        self._harness = harness  # what compiles the targets' own files
        self._link = link

    def program(self, target: Target) -> Path:
        """The target's program; AssertionError if it cannot be compiled."""
        names = target.sources or tuple(
            sorted({path.name for path in SOURCES.glob("*.c")} - _NOT_BUILT)
        )
        own = [HERE / target.harness, *([HERE / "mutate_stub.c"] if target.mutator else [])]
        if "coverage" in self.folder.name:
            own.append(HERE / "replay.c")
        include, libraries = _embedding()
        jobs = [(self._compiler, SOURCES / name) for name in names]
        jobs += [(self._harness, path) for path in own]
        self.folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            objects = list(pool.map(lambda job: self._object(*job, include), jobs))
        made = self.folder / (target.harness if target.is_python else target.name)
        made = made.with_suffix("")
        if _is_older(made, objects):
            _compile([*self._link, *objects, *libraries, "-o", made])
        return made

    def _object(self, compiler: list[str], source: Path, include: list[str]) -> Path:
        made = self.folder / f"{source.stem}.o"
        headers = [*SOURCES.glob("*.h"), *HERE.glob("*.h")]
        if _is_older(made, [source, *headers]):
            where = [f"-I{SOURCES}", f"-I{HERE}", *include]
            _compile([*compiler, *_WARNINGS, *where, "-c", source, "-o", made])
        return made


def _is_older(made: Path, sources: list[Path]) -> bool:
    return not made.exists() or made.stat().st_mtime <= max(p.stat().st_mtime for p in sources)


def _compile(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stderr[-6000:]}"


def fuzzing() -> Build:
    compiler = [clang(), "-O1", *_SANITIZERS]
    # Only what is tested leads libFuzzer; mutating and comparing do not.
    return Build("fuzz", [*compiler, "-fsanitize=fuzzer-no-link"], compiler,
                 [clang(), "-fsanitize=fuzzer", *_SANITIZERS])  # fmt: skip


def covering() -> Build:
    """For gcov, with gcc."""
    if not shutil.which("gcc") or not shutil.which("gcov"):
        raise MissingError("no gcc with gcov (Debian: gcc)")
    compiler = ["gcc", "-O0"]
    return Build("coverage", [*compiler, "--coverage"], compiler, ["gcc", "--coverage"])


def environment(target: Target) -> dict[str, str]:
    """What a target's program is run with."""
    # Python leaves much behind at its end: there the harness looks for leaks itself.
    leaks = 0 if target.is_python else 1
    more = {
        "ASAN_OPTIONS": f"detect_leaks={leaks}:quarantine_size_mb=16:allocator_may_return_null=1"
        ":malloc_context_size=3:max_malloc_fill_size=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    if target.is_python:
        folders = [
            str(HERE),
            str(HERE.parent),
            str(ROOT),
            *(p for p in sys.path if "site-packages" in p),
        ]
        more |= {
            "NETSESSION_FUZZ_PROGRAM": f"programs.{target.name}",
            "NETSESSION_FUZZ_HOME": sys.base_prefix,
            "PYTHONPATH": os.pathsep.join(folders),
            "PYTHONMALLOC": "malloc",  # so that AddressSanitizer watches Python's objects, too
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if target.traced:
            more["NETSESSION_FUZZ_TRACE"] = "1"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | more
