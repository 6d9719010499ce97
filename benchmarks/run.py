"""Measures netsession beside its peers, all in one run: `make bench`.

Each contender is installed in its current release into an environment of its own below
.cache/bench; what this machine lacks is skipped and named. Prints tables of ratios, and writes the
numbers and a chart to .cache/bench/results; with --docs also docs/benchmarks.md and its chart.
About twelve minutes; with --quick, which is for seeing that all of it works, under two.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from comparison import chart, core, decode, end_to_end, environments, report, suites, windows
from comparison.environments import CACHE, ROOT, MissingError
from comparison.machine import describe, load
from comparison.results import Results, Sample, from_json

LEVELS = [0, 1, 502]
#: (level, entries, rounds, seconds a round that are filled with calls)
Case = tuple[int, int, int, float]

_CASES: list[Case] = [
    (502, 100_000, 9, 0.3),
    *((level, 100_000, 5, 0.3) for level in (0, 1)),
    *((level, 1_000, 5, 0.2) for level in LEVELS),
    *((level, 1_000_000, 3, 0.0) for level in LEVELS),
]
_QUICK_CASES: list[Case] = [(502, 20_000, 3, 0.1)]


def main() -> int:
    arguments = _arguments()
    if arguments.render:
        _write(from_json(json.loads(arguments.render.read_text())), arguments.docs)
        return 0
    environments.UPGRADE = not arguments.quick
    results = Results(machine=describe())
    for name, section in _sections(arguments.quick).items():
        if arguments.only and name not in arguments.only:
            continue
        _measure(results, name, section)
    results.machine["load at the end"] = load()
    results.machine["quick"] = arguments.quick
    _write(results, arguments.docs)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="small cases, no updates: a smoke test"
    )
    parser.add_argument(
        "--docs", action="store_true", help="write docs/benchmarks.md and its chart"
    )
    parser.add_argument("--only", nargs="+", choices=list(_sections(True)), help="these sections")
    parser.add_argument("--render", type=Path, metavar="JSON", help="measure nothing, write again")
    return parser.parse_args()


def _sections(quick: bool) -> dict[str, Callable[[Results], None]]:
    cases = _QUICK_CASES if quick else _CASES
    counts = [1_000, 20_000] if quick else [1_000, 100_000, 1_000_000]
    return {
        "core": lambda results: core.measure(results, cases),
        "memory": lambda results: core.measure_memory(
            results, 20_000 if quick else 100_000, 100_000 if quick else 1_000_000
        ),
        "imports": lambda results: core.measure_imports(results, 5 if quick else 75),
        "command": lambda results: core.measure_command(results, 3 if quick else 25),
        "decode": lambda results: decode.measure(
            results, [502] if quick else LEVELS, counts, 3 if quick else 7, quick
        ),
        "windows": lambda results: _windows(results, cases),
        "end-to-end": lambda results: end_to_end.measure(
            results, 500 if quick else 10_000, 3 if quick else 7
        ),
        "far": lambda results: end_to_end.measure_far(
            results, 5_000 if quick else 100_000, 2 if quick else 5
        ),
        "suites": lambda results: suites.run(results, quick),
    }


def _windows(results: Results, cases: list[Case]) -> None:
    answer = windows.measure(cases)
    results.samples += [Sample(windows.SECTION, **sample) for sample in answer["samples"]]
    results.versions |= answer["versions"]
    core.add_shares(results, "Windows", answer["shares"])


def _measure(results: Results, name: str, section: Callable[[Results], None]) -> None:
    started = time.monotonic()
    print(f"{name} ...", end=" ", flush=True)
    try:
        section(results)
    except MissingError as error:
        results.missing.append(f"{name}: {error}")
    print(f"{time.monotonic() - started:.0f} s, load {load()}", flush=True)


def _write(results: Results, docs: bool) -> None:
    text = report.markdown(results)
    print("\n" + text)
    folder = CACHE / "results"
    folder.mkdir(parents=True, exist_ok=True)
    _files(results, folder, text)
    if docs:
        _files(results, ROOT / "docs", text)


def _files(results: Results, folder: Path, text: str) -> None:
    (folder / "benchmarks.json").write_text(json.dumps(results.as_json(), indent=1) + "\n")
    (folder / "benchmarks.svg").write_text(chart.svg(results))
    (folder / "benchmarks.md").write_text(text)
    print(f"wrote {folder}/benchmarks.json, .svg and .md")


if __name__ == "__main__":
    sys.exit(main())
