"""The pytest-benchmark suites of this folder, on the installed wheel."""

from __future__ import annotations

import json

from . import environments
from .environments import BENCHMARKS, CACHE
from .results import Figure, Results


def run(results: Results, quick: bool) -> None:
    """Runs them and keeps each median as a figure; a test that fails ends the program."""
    output = CACHE / "results" / "suites.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    # The program, not the module: that would put this tree's netsession before the installed one.
    pytest = environments.netsession().with_name("pytest")
    options = [f"--benchmark-max-time={0.05 if quick else 0.5}", "--benchmark-min-rounds=3"]
    options += [f"--benchmark-json={output}", "-q", "-p", "no:cacheprovider"]
    environments.run([pytest, BENCHMARKS, *options])
    for one in json.loads(output.read_text())["benchmarks"]:
        name = one["fullname"].rpartition("benchmarks/")[2]
        results.figures.append(Figure(f"suite {name}", "us", [one["stats"]["median"] * 1e6]))
