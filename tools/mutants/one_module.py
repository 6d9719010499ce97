"""The mutants of one module under pytest, each in a fork in which only its tests run.

The tests are collected once.  One fork runs them all and notes which lines of the module each runs
and how long it takes; then each mutant has a fork, where the changed function's code is put in the
place of the old and the tests that run the changed lines follow, the quickest first, until one
fails.  What is evaluated when a module is loaded is tried in a process of its own, which loads the
changed module.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import json
import marshal
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import pytest
from _pytest.runner import runtestprotocol

HOOK = Path(__file__).with_name("hook")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(HOOK), str(HOOK.parent), str(ROOT)]

from changes import Module, Mutant  # noqa: E402
from sitecustomize import trace  # noqa: E402

CACHE = ROOT / ".cache" / "mutants"
_SURVIVED, _KILLED, _NOT_PUT = 0, 1, 2
_EXAMPLES = 30
_CPU = 10  # times what the tests take unchanged, and as many seconds
_HANGS = 60.0  # seconds in which nothing of it could run; a busy machine only makes it wait


class Run(NamedTuple):
    """What a test does to the module when nothing is changed."""

    passed: bool
    seconds: float
    lines: frozenset[int]


class Runner:
    """A pytest plugin that runs mutants instead of the tests."""

    def __init__(self, name: str, results: Path, part: slice, quick: bool, only: str) -> None:
        self.module = Module(ROOT / "netsession" / name)
        self.import_name = "netsession." + name.removesuffix(".py").replace("/", ".")
        self.results = results
        chosen = [one for one in self.module.mutants if only in one.name]
        self.mutants = [one for one in chosen if one.function or not quick][part]

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Each run of a test with made-up examples is the same, and short."""
        from hypothesis import HealthCheck, settings

        for item in items:
            function = getattr(item, "obj", None)
            told = getattr(function, "_hypothesis_internal_use_settings", None)
            if told is not None:
                function._hypothesis_internal_use_settings = settings(
                    told,
                    derandomize=True,
                    deadline=None,
                    database=None,
                    max_examples=min(told.max_examples, _EXAMPLES),
                    suppress_health_check=list(HealthCheck),
                )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of pytest's own: once unchanged, then mutant by mutant."""
        self.items = session.items
        self.scratch = Path(tempfile.mkdtemp(prefix="mutants-"))
        os.environ["PYTHONPATH"] = f"{HOOK}{os.pathsep}{ROOT}"
        runs = self._unchanged()
        with self.results.open("w") as output:
            for item, run in zip(self.items, runs, strict=True):
                if not run.passed:
                    output.write(json.dumps({"broken": item.nodeid}) + "\n")
            for mutant in self.mutants:
                fate = self._fate(mutant, runs)
                line = mutant.lines[0]
                output.write(json.dumps({"name": mutant.name, "line": line, "fate": fate}) + "\n")
                output.flush()
        shutil.rmtree(self.scratch, ignore_errors=True)
        return True

    def _fate(self, mutant: Mutant, runs: list[Run]) -> str:
        try:
            code = self.module.code(mutant)
        except SyntaxError:
            return "killed"
        first, last = mutant.lines
        lines = range(first, last + 1)
        which = [i for i, run in enumerate(runs) if run.passed and not run.lines.isdisjoint(lines)]
        if mutant.function and which:
            which.sort(key=lambda i: runs[i].seconds)
            fate = self._forked(mutant, code, which, sum(runs[i].seconds for i in which))
            if fate is not None:
                return fate
            files = {self.items[i].nodeid.partition("::")[0] for i in which}
        else:
            files = {item.nodeid.partition("::")[0] for item in self.items}
        fate = self._loaded(code, sorted(files), sum(run.seconds for run in runs))
        # What no test runs may still run when the module is loaded.
        missed = mutant.function and not which and fate == "survived"
        return "not run" if missed else fate

    # -- unchanged --------------------------------------------------------------------------------

    def _unchanged(self) -> list[Run]:
        """Kept for the next time that this module meets these tests."""
        file = CACHE / f"{self.import_name}-{self._fingerprint()}.runs"
        if not file.exists():
            if not (pid := os.fork()):
                with _ending():
                    runs = list(self._traced())
                    CACHE.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(pickle.dumps((runs, sorted(sys.modules))))
                    os._exit(0)
            os.waitpid(pid, 0)
        runs, modules = pickle.loads(file.read_bytes())
        for name in modules:  # what tests import only when they run costs no fork anything then
            if name.startswith(("netsession.", "smbprotocol", "spnego", "rich", "asyncio")):
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
        return runs

    def _fingerprint(self) -> str:
        told = hashlib.sha256(self.module.path.read_bytes())
        for path in sorted({item.path for item in self.items}):
            told.update(path.read_bytes())
        told.update("\0".join(item.nodeid for item in self.items).encode())
        return told.hexdigest()[:16]

    def _traced(self) -> Iterator[Run]:
        source = str(self.module.path)
        lines: set[int] = set()
        below = self.scratch / "lines"
        os.environ["MUTANT_TRACE"] = f"{source}={below}"
        trace(source, lines)
        for item, following in zip(self.items, [*self.items[1:], None], strict=True):
            lines.clear()
            below.unlink(missing_ok=True)
            started = _cpu()
            passed = _passes(item, following)
            seconds = _cpu() - started
            seen = map(int, below.read_text().split()) if below.exists() else ()
            yield Run(passed, seconds, frozenset((*lines, *seen)))

    # -- changed ----------------------------------------------------------------------------------

    def _forked(self, mutant: Mutant, code: CodeType, which: list[int], usual: float) -> str | None:
        """What became of it; None where it has to be loaded."""
        path = self.scratch / "code"
        path.write_bytes(marshal.dumps(code))
        if not (pid := os.fork()):
            with _ending():
                os.setpgid(0, 0)
                _limit(usual)
                os.environ["MUTANT_CODE"] = f"{self.import_name}={path}"
                if not put(code, mutant.function):
                    os._exit(_NOT_PUT)
                items: list[Any] = [self.items[i] for i in which]
                for item, following in zip(items, [*items[1:], None], strict=True):
                    if not _passes(item, following):
                        os._exit(_KILLED)
                os._exit(_SURVIVED)
        status = _wait(pid)
        if status is None or os.WIFSIGNALED(status):
            return "timed out"
        code_of_exit = os.WEXITSTATUS(status)
        return {_KILLED: "killed", _SURVIVED: "survived"}.get(code_of_exit)

    def _loaded(self, code: CodeType, files: list[str], usual: float) -> str:
        path = self.scratch / "code"
        path.write_bytes(marshal.dumps(code))
        variables = os.environ | {"MUTANT_CODE": f"{self.import_name}={path}"}
        # pytest would load our modules itself, as those of a plugin whose asserts it rewrites.
        options = ["--assert=plain", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:benchmark"]
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, *files],
            cwd=ROOT,
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=lambda: _limit(usual + 20),
        )
        status = _wait(process.pid)
        process.returncode = 0  # it is waited for
        if status is None or os.WIFSIGNALED(status):
            return "timed out"
        return "killed" if os.WEXITSTATUS(status) else "survived"


def put(code: CodeType, name: str) -> bool:
    """Give the living function of a name the code that it has in a changed module."""
    found = [one for one in _codes(code) if one.co_qualname == name]
    changed = False
    gc.unfreeze()  # tests/conftest.py freezes what was collected, which is not looked at then
    for function in gc.get_objects():
        if not isinstance(function, FunctionType):
            continue
        old = function.__code__
        if old.co_filename != code.co_filename or old.co_qualname != name:
            continue
        for new in found:
            if new.co_firstlineno == old.co_firstlineno:
                if new.co_freevars != old.co_freevars:
                    return False
                function.__code__ = new
                changed = True
    return changed


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _passes(item: pytest.Item, following: pytest.Item | None) -> bool:
    reports = runtestprotocol(item, nextitem=following, log=False)
    return not any(report.failed for report in reports)


def _cpu() -> float:
    mine, below = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return mine.ru_utime + mine.ru_stime + below.ru_utime + below.ru_stime


def _limit(usual: float) -> None:
    seconds = int(_CPU * (usual + 1) + time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_DATA, (3 << 30, 3 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _wait(pid: int) -> int | None:
    """The status of a fork that ends; None for one that waits for ever and had to be ended."""
    could_run = time.monotonic()
    pause = 0.005
    while time.monotonic() < could_run + _HANGS:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            _end_group(pid)  # what it may have left
            return status
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)
        if pause == 0.2 and _is_runnable(pid):
            could_run = time.monotonic()
    _end_group(pid)
    os.waitpid(pid, 0)
    return None


def _end_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _is_runnable(group: int) -> bool:
    """Whether a process of a group runs, or would on an idle machine."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(of_group) == group and state in "RD":
                return True
    return False


@contextlib.contextmanager
def _ending() -> Iterator[None]:
    """A fork never comes back to pytest, and is not heard."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(nothing, stream)
    try:
        yield
    except BaseException:
        os._exit(_KILLED)


def main() -> int:
    name, results, part, quick, only, *tests = sys.argv[1:]
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:benchmark", "-p", "no:xdist"]
    os.chdir(ROOT)
    first, last, every = (int(number) if number else None for number in part.split(":"))
    runner = Runner(name, Path(results), slice(first, last, every), quick == "quick", only)
    return int(pytest.main([*options, *tests], plugins=[runner]))


if __name__ == "__main__":
    sys.exit(main())
