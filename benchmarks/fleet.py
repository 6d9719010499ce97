"""Measures scans of many servers, and what a server costs: tables of one run.

As benchmarks/run.py, whose parts it uses: contenders in environments of their own, round by round,
what this machine lacks is named. With --docs writes docs/fleet-cost.md and its numbers. A
quarter of an hour; --quick, under three minutes, is for seeing that all of it works.

A free-threaded CPython is measured too where NETSESSION_FREE_THREADED names one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from comparison import environments, fleet, fleet_report
from comparison.environments import CACHE, ROOT
from comparison.machine import describe, load


def main() -> int:
    arguments = _arguments()
    if arguments.render:
        found = fleet.from_json(json.loads(arguments.render.read_text()))
        _write(found, arguments.docs)
        return 0
    environments.UPGRADE = not arguments.quick
    found = fleet.Fleet(machine=describe())
    for name, section in _sections(found, arguments.quick).items():
        if arguments.only and name not in arguments.only:
            continue
        started = time.monotonic()
        print(f"{name} ...", end=" ", flush=True)
        section()
        print(f"{time.monotonic() - started:.0f} s, load {load()}", flush=True)
    found.machine["load at the end"] = load()
    found.machine["quick"] = arguments.quick
    _write(found, arguments.docs)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small cases, no updates")
    parser.add_argument("--docs", action="store_true", help="write docs/fleet-cost.md")
    parser.add_argument(
        "--only", nargs="+", choices=list(_sections(fleet.Fleet(), True)), help="these sections"
    )
    parser.add_argument("--render", type=Path, metavar="JSON", help="measure nothing, write again")
    return parser.parse_args()


def _sections(found: fleet.Fleet, quick: bool) -> dict[str, Callable[[], None]]:
    return {
        "simulated": lambda: fleet.measure_simulated(found, 2 if quick else 11),
        "cost": lambda: fleet.measure_cost(found, 3 if quick else 15, 10 if quick else 20),
        "profile": lambda: fleet.profile(found, 100 if quick else 1_500),
        "near": lambda: fleet.measure_near(found, 1 if quick else 5, 16 if quick else 100),
        "far": lambda: fleet.measure_far(found, 1 if quick else 3, 8 if quick else 64),
    }


def _write(found: fleet.Fleet, docs: bool) -> None:
    text = fleet_report.markdown(found)
    print("\n" + text)
    folder = CACHE / "results"
    folder.mkdir(parents=True, exist_ok=True)
    for where in (folder, ROOT / "docs") if docs else (folder,):
        (where / "fleet-cost.json").write_text(json.dumps(found.as_json(), indent=1) + "\n")
        (where / "fleet-cost.md").write_text(text)
        print(f"wrote {where}/fleet-cost.json and .md")


if __name__ == "__main__":
    sys.exit(main())
