"""Mutations of the C files (tests/mutants/*.toml): each is compiled, and must fail a core test.

    python tools/mutants/run_c.py [-j 2] [--record] [WORD ...]

With words, only those whose name has one of them.  Each is compiled against object files that are
made once, linked, and tested in a copy of the repository: first by the test that killed it last
time (tests/mutants/killed_by.json, which --record writes), then by the test files that its list
names, then by all core tests.  Anything but a pass kills it, a failed test, a crash, a time-out,
where that test passes without the mutation.
Fails where one survives, no longer applies or does not compile.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import fcntl
import json
import multiprocessing
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import c_list
import run_tests
from c_list import ROOT, Mutant, MutantError

CACHE = ROOT / ".cache" / "mutants"
KILLED_BY = c_list.FOLDER / "killed_by.json"
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
CFLAGS = [
    *("-std=c11", "-O1", "-fPIC", "-fvisibility=hidden", "-w", "-shared"),
    f"-I{sysconfig.get_path('include')}",
    f"-I{sysconfig.get_path('platinclude')}",
]

#: Core tests in which the native core has no part, or that are about other things than what it
#: does; what else there is runs for those that survive what their list names.
ELSEWHERE = {
    *(
        "test_mutants_of_c.py",
        "test_docs.py",
        "test_options.py",
        "test_statuses.py",
        "test_logon.py",
    ),
    *("test_cli_completion.py", "test_cli_servers.py", "test_credentials.py", "test_logging.py"),
    *("test_smb_replies.py", "test_strangers.py", "test_dcerpc.py", "test_pytest_plugin.py"),
    *("test_fleet_executors.py", "test_cli_files.py", "test_watch_properties.py"),
}

# Seconds after which what runs is taken to hang.
SHORT, LONG = 400, 1800
CPU_SHARE = 10  #: the most that other processes may slow the tests down

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["run_tests"])


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant."""

    mutant: Mutant
    fate: str  # killed, survived, equivalent, inapplicable
    by: str = ""


# --- compiling --------------------------------------------------------------------------------


def modules() -> dict[str, list[str]]:
    """The extension modules and their sources, as setup.py has them."""
    found: dict[str, list[str]] = {}
    code = (
        "import setuptools; setuptools.setup = lambda ext_modules: print(repr({"
        "e.name: e.sources for e in ext_modules})); exec(open('setup.py').read())"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name, sources in eval(output).items():
        found[name.removeprefix("netsession.")] = [Path(source).name for source in sources]
    return found


def _compile(source: Path, target: Path, *options: str) -> None:
    command = ["gcc", *CFLAGS, *options, "-c", str(source), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise MutantError(f"{source.name} does not compile:\n{done.stderr}")


def _parts(listed: Path) -> list[Path]:
    """The files that gcc says an object file is made of."""
    return [Path(word) for word in listed.read_text().replace("\\\n", " ").split()[1:]]


def _is_newer(target: Path, listed: Path) -> bool:
    if not target.exists() or not listed.exists():
        return False
    made = target.stat().st_mtime
    return all(part.exists() and part.stat().st_mtime < made for part in _parts(listed))


class Build:
    """The object files of what is not changed, and which files each of them is made of."""

    def __init__(self, jobs: int) -> None:
        self.modules = modules()
        self.folder = CACHE / "objects"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.parts: dict[str, set[str]] = {}
        with ThreadPoolExecutor(jobs) as pool:
            for _ in pool.map(self._make, sorted({s for m in self.modules.values() for s in m})):
                pass

    def _make(self, source: str) -> None:
        target = self.folder / f"{source}.o"
        listed = target.with_suffix(".d")
        if not _is_newer(target, listed):
            _compile(ROOT / "src" / source, target, "-MMD")
        self.parts[source] = {p.name for p in _parts(listed) if p.parent == ROOT / "src"}

    def link(self, mutant: Mutant | None, sources: Path, into: Path) -> None:
        """Makes the modules with that mutant's file, which lies in `sources`."""
        objects = {source: self.folder / f"{source}.o" for source in self.parts}
        for source, parts in self.parts.items():
            if mutant is not None and mutant.file in parts:
                objects[source] = sources / f"{source}.o"
                _compile(sources / source, objects[source])
        for module, names in self.modules.items():
            target = into / f"{module}{SUFFIX}"
            target.unlink(missing_ok=True)  # a new file: the old one may be shared, or mapped
            command = ["gcc", "-shared", *(str(objects[n]) for n in names), "-o", str(target)]
            subprocess.run(command, check=True)


# --- testing ----------------------------------------------------------------------------------


class Copy:
    """A copy of the repository, in which one mutant at a time is tested."""

    def __init__(self, number: int) -> None:
        self.root = CACHE / f"copy-{number}"
        shutil.rmtree(self.root, ignore_errors=True)
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"],
            cwd=ROOT, check=True, capture_output=True, text=True,
        ).stdout.splitlines()  # fmt: skip
        for name in listed:
            if (ROOT / name).is_file():
                target = self.root / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target)

    def prepare(self, build: Build, mutant: Mutant | None) -> None:
        """Puts the mutant's modules in place; the sources are as they were afterwards."""
        changed = None if mutant is None else self.root / "src" / mutant.file
        if changed is not None and mutant is not None:
            changed.write_text(mutant.mutated())
        try:
            build.link(mutant, self.root / "src", self.root / "netsession")
        finally:
            if changed is not None and mutant is not None:
                changed.write_text(mutant.path.read_text())

    def run(self, tests: list[str], environment: dict[str, str], limit: float) -> str | None:
        """What failed first, None where nothing did."""
        log = self.root / "pytest.log"
        arguments = self.root, tests, environment, log, int(limit / CPU_SHARE)
        process = FORKED.Process(target=run_tests.run, args=arguments)  # type: ignore[attr-defined]
        process.start()
        process.join(limit)
        code = process.exitcode
        _end_group(process.pid)
        process.join()
        return None if code == 0 else _what_failed(log.read_text(errors="replace"), code)


def _end_group(leader: int) -> None:
    """Ends what a test has started too: all that is in the group that we made for it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(leader, signal.SIGKILL)


def _what_failed(output: str, code: int | None) -> str:
    """The test, and how: pytest's output is told test by test."""
    tests = re.findall(r"^(\S+\.py::\S.*?)(?: (PASSED|FAILED|SKIPPED|ERROR|XFAIL)|$)", output, re.M)
    names = [name.strip() for name, result in tests if result in ("FAILED", "ERROR")]
    if names:
        return names[0].partition("[")[0]  # whatever the parameters
    if "ERROR: not found: " in output or "ERROR: file or directory not found" in output:
        return ""
    if code == 4 and "ImportError while loading conftest" not in output:
        raise MutantError(f"pytest did not run the tests:\n{output[-2000:]}")
    running = "the import"
    if tests and not tests[-1][1]:  # behind its name may stand what it died of
        running = re.split(r"[\[ ]", tests[-1][0])[0]
    return f"{running} ({'time-out' if code is None else f'ended with {code}'})"


class Trial:
    """Runs mutants in copies, as many at a time as there are copies."""

    def __init__(self, jobs: int, to_the_end: bool) -> None:
        self.build = Build(jobs)
        self.to_the_end = to_the_end
        self.copies: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for number in range(jobs):
            self.copies.put(Copy(number))
        self.unchanged: dict[str, str | None] = {}  #: what tests say of the code as it is
        self.killed_by = json.loads(KILLED_BY.read_text()) if KILLED_BY.exists() else {}
        self.core = sorted(p.name for p in (ROOT / "tests").glob("test_*.py"))
        self.core = [name for name in self.core if name not in ELSEWHERE]

    def check_unchanged(self, copy: Copy, mutant: Mutant, failed: str) -> None:
        """A test that fails without a mutation too kills nothing; each is tried once."""
        test = failed.partition(" (")[0]
        if "::" not in test:
            if "time-out" in failed:
                raise MutantError("no test began in time: this machine is too busy to tell")
            return
        if test not in self.unchanged:
            copy.prepare(self.build, None)
            self.unchanged[test] = copy.run([test], mutant.environment, LONG)
        if self.unchanged[test] is not None:
            raise MutantError(f"{test} fails without any mutation too")

    def stages(self, mutant: Mutant) -> Iterator[tuple[list[str], float]]:
        if mutant.name in self.killed_by:
            yield [self.killed_by[mutant.name]], SHORT
        first = list(dict.fromkeys(mutant.tests))
        # Most end here: the others need not even be collected.
        yield first[:2], LONG if mutant.environment else SHORT
        if first[2:]:
            yield first[2:], LONG
        if self.to_the_end:
            yield [name for name in self.core if name not in first], LONG

    def attempt(self, mutant: Mutant) -> Verdict:
        copy = self.copies.get()
        try:
            copy.prepare(self.build, mutant)
            if mutant.equivalent:
                return Verdict(mutant, "equivalent", mutant.equivalent)
            for tests, limit in self.stages(mutant):
                failed = copy.run(tests, mutant.environment, limit)
                if failed:
                    self.check_unchanged(copy, mutant, failed)
                    return Verdict(mutant, "killed", failed)
            return Verdict(mutant, "survived")
        except MutantError as error:
            return Verdict(mutant, "inapplicable", str(error))
        finally:
            self.copies.put(copy)


# --- the whole --------------------------------------------------------------------------------


def _say(text: str) -> None:
    print(text, flush=True)


def _tell(verdict: Verdict, done: int, total: int) -> None:
    by = f" by {verdict.by}" if verdict.fate == "killed" else f": {verdict.by}" * bool(verdict.by)
    _say(f"[{done}/{total}] {verdict.fate}{by}   <- {verdict.mutant.name}")


def _record(killed_by: dict[str, str], verdict: Verdict, everything: list[Mutant]) -> None:
    """Keeps which test killed it."""
    if verdict.fate == "killed" and "::" in verdict.by:
        killed_by[verdict.mutant.name] = verdict.by.partition(" (")[0]
    else:
        killed_by.pop(verdict.mutant.name, None)
    known = {mutant.name: killed_by.get(mutant.name) for mutant in everything}
    kept = {name: test for name, test in known.items() if test}
    KILLED_BY.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def _in_turn(mutants: list[Mutant]) -> list[Mutant]:
    """Those that no test is known to kill, one of each list after the other."""
    known = json.loads(KILLED_BY.read_text()) if KILLED_BY.exists() else {}
    lists: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        if mutant.name not in known and not (mutant.equivalent or mutant.environment):
            lists.setdefault(mutant.list_name, []).append(mutant)
    longest = max(map(len, lists.values()), default=0)
    return [each[i] for i in range(longest) for each in lists.values() if i < len(each)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("--record", action="store_true", help="write tests/mutants/killed_by.json")
    parser.add_argument("--listed", action="store_true", help="only the tests that lists name")
    parser.add_argument("--new", action="store_true", help="only those of which nothing is kept")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    started = time.monotonic()
    everything = list(c_list.mutants())
    chosen = [
        mutant
        for mutant in everything
        if not options.words or any(word in mutant.name for word in options.words)
    ]
    CACHE.mkdir(parents=True, exist_ok=True)
    lock_file = (CACHE / "lock").open("w")
    fcntl.flock(lock_file, fcntl.LOCK_EX)  # until this process ends: a second run waits
    if options.new:
        chosen = _in_turn(chosen)
    trial = Trial(options.jobs, to_the_end=not options.listed)
    verdicts: list[Verdict] = []
    lock = threading.Lock()

    def attempt(mutant: Mutant) -> None:
        verdict = trial.attempt(mutant)
        with lock:
            verdicts.append(verdict)
            _tell(verdict, len(verdicts), len(chosen))
            if options.record:
                _record(trial.killed_by, verdict, everything)

    with ThreadPoolExecutor(options.jobs) as pool:
        for _ in pool.map(attempt, chosen):
            pass
    counts = collections.Counter(verdict.fate for verdict in verdicts)
    _say(
        f"mutants of C: tried {len(verdicts)}, killed {counts['killed']}, "
        f"survived {counts['survived']}, equivalent {counts['equivalent']}, "
        f"not applicable {counts['inapplicable']} ({time.monotonic() - started:.0f} s)"
    )
    return 1 if counts["survived"] or counts["inapplicable"] or not verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
