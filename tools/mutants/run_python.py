"""Do the tests notice when the Python that must not be wrong is changed?

    python tools/mutants/run_python.py [--every N] [--quick] [--only TEXT] [MODULE ...]

Each mutant of a module (changes.py) meets the tests that run the changed line (one_module.py).
For each module: how many were tried, killed, survived, timed out.  Survivors that are known stand
in python_survivors.txt with the reason why no test need notice them; any other is a failure, and so
is one that is listed and does not survive or does not exist (where all of its module are tried).

mutmut 3 was tried first: it runs here, but leaves out what is evaluated when a module is loaded
(tables, constants, defaults) and what the command does in a process of its own, and its numbered
survivors are others after each change of a function.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
KNOWN = Path(__file__).with_name("python_survivors.txt")

#: Which test files, of those in tests/, are to notice.
TESTS = {
    "_names.py": ("names", "unsafe_deletes", "plan_where", "where"),
    "_plan.py": ("unsafe_deletes", "names", "server", "plan_where", "carry_out_where"),
    "_plan_where.py": ("plan_where", "carry_out_where"),
    "_carry_out.py": ("carry_out_where", "plan_where"),
    "_pairs.py": ("plan_where", "carry_out_where"),
    "_own.py": ("plan_where", "carry_out_where", "where"),
    "_caller.py": ("where", "plan_where", "carry_out_where"),
    "_where.py": ("where", "session_filter", "plan_where"),
    "cli/delete.py": ("cli_delete", "unsafe_deletes", "cli_delete_where"),
    "cli/ending.py": ("cli_delete_where",),
    "srvsvc/dcerpc.py": ("dcerpc",),
    "srvsvc/client.py": ("dcerpc", "smb_replies", "dropped", "maybe_done", "time_limits"),
    "srvsvc/opening.py": ("opening", "smb_replies", "strangers"),
    "srvsvc/statuses.py": ("statuses", "dcerpc"),
    "_identity.py": ("watch_identity", "watch_properties", "watch"),
    "watch.py": ("watch", "watch_identity", "watch_properties"),
    "errors.py": ("errors", "maybe_done", "statuses"),
    "records.py": ("records", "session_page", "names"),
}


class Results(NamedTuple):
    """What became of a module's mutants: of each its line and its fate; and what did not work."""

    fates: dict[str, tuple[int, str]]
    broken: list[str]
    seconds: float


def known_survivors(path: Path) -> dict[str, dict[str, str]]:
    """By module and name, why nobody need notice: a mutant's line, and its reason's, indented."""
    known: dict[str, dict[str, str]] = {}
    module = name = ""
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("["):
            module = line.strip("[]")
        elif line.startswith("    "):
            known.setdefault(module, {})[name] = line.strip()
        else:
            name = line
    return known


def run_module(name: str, options: argparse.Namespace) -> Results:
    """All its mutants, in a process of its own."""
    tests = [f"tests/test_{test}.py" for test in TESTS[name]]
    quick = "quick" if options.quick else ""
    part = f"{options.first}:{options.last or ''}:{options.every}"
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        results = Path(scratch, "results")
        one = [sys.executable, Path(__file__).with_name("one_module.py"), name, results]
        done = subprocess.run(
            [*one, part, quick, options.only, *tests], cwd=ROOT, capture_output=True, text=True
        )
        lines = results.read_text().splitlines() if results.exists() else []
    told = [json.loads(line) for line in lines]
    fates = {one["name"]: (one["line"], one["fate"]) for one in told if "name" in one}
    broken = [one["broken"] for one in told if "broken" in one]
    if not told:
        broken.append(done.stdout[-2000:] + done.stderr[-2000:])
    return Results(fates, broken, time.monotonic() - started)


def judge(name: str, results: Results, known: dict[str, str], whole: bool) -> bool:
    """Print a module's line, and what is wrong below it; whether nothing is."""
    count = Counter(fate for _, fate in results.fates.values())
    missed = {n: at for n, (at, fate) in results.fates.items() if fate in ("survived", "not run")}
    new = {n: at for n, at in missed.items() if n not in known}
    # Of a sample it is not known what became of the others.
    stale = [n for n in known if n not in missed and (whole or n in results.fates)]
    print(
        f"{name:20} {len(results.fates):5} tried  {count['killed']:5} killed  {len(missed):4} "
        f"survived ({len(missed) - len(new)} known)  {count['timed out']:3} timed out  "
        f"[{results.seconds:.0f} s]",
        flush=True,
    )
    for mutant, line in new.items():
        fate = "no test runs" if results.fates[mutant][1] == "not run" else "survived"
        print(f"    {fate}: line {line}: {mutant}", flush=True)
    for mutant in stale:
        print(f"    listed, and no survivor: {mutant}", flush=True)
    for test in results.broken:
        print(f"    fails without any change: {test}", flush=True)
    return not (new or stale or results.broken)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("module", nargs="*", help="such as _names.py; all, if none is named")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="a sample: each Nth")
    parser.add_argument("--from", dest="first", type=int, default=0, metavar="N")
    parser.add_argument("--to", dest="last", type=int, metavar="N")
    parser.add_argument(
        "--quick", action="store_true", help="without what is evaluated when a module is loaded"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="those whose names hold it")
    parser.add_argument("-j", type=int, default=os.cpu_count() or 1, metavar="N", dest="jobs")
    options = parser.parse_args()
    known = known_survivors(KNOWN)
    modules = options.module or list(TESTS)
    sampled = options.first or options.last or options.only or options.quick
    whole = not sampled and options.every == 1
    passed = True
    with ThreadPoolExecutor(options.jobs) as pool:
        runs = pool.map(lambda name: run_module(name, options), modules)
        for name, results in zip(modules, runs, strict=True):
            passed &= judge(name, results, known.get(name, {}), whole)
    print("survivors are all known" if passed else "FAILED: see above", flush=True)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
