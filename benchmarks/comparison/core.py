"""The native core on Linux: against the bare C loop, its memory, and what it costs to import."""

from __future__ import annotations

import json
import resource
import subprocess
from pathlib import Path
from typing import Any

from . import environments
from .environments import BENCHMARKS
from .results import Figure, Results, Sample

SECTION = "core"
MIB = 1 << 20

STREAM = "streaming in pages of 1 MiB, peak above the start"
KEPT = "kept list"
KEPT_BARE = "kept list of the bare C loop"

_CONTENDERS = BENCHMARKS / "contenders"
#: Statements whose cost is compared, each in fresh interpreters with -I -S.
_STATEMENTS = {
    "nothing": "pass",
    "collections, datetime, enum": "import collections, datetime, enum",
    "netsession": "import netsession",
}
_LAZY = ("typing", "asyncio", "smbprotocol", "rich")


def _run(script: str, *arguments: object) -> Any:
    command: environments.Command = [
        environments.netsession(),
        _CONTENDERS / script,
        *map(str, arguments),
    ]
    return json.loads(environments.run(command).rpartition("JSON")[2])


def measure(results: Results, cases: list[tuple[int, int, int, float]]) -> None:
    """Adds samples; each case is (level, entries, rounds, seconds a round)."""
    answer = _run("core.py", json.dumps({"cases": cases}))
    results.samples += [Sample(SECTION, **sample) for sample in answer["samples"]]
    add_shares(results, "Linux", answer["shares"])
    for entries, times in answer["constant"].items():
        for name, values in times.items():
            results.figures.append(Figure(f"{name}, page of {int(entries):,}", "ns", values))


def add_shares(results: Results, where: str, shares: dict[str, float]) -> None:
    """Adds how much of a contender's CPU time is the kernel's, in per cent."""
    for name, share in shares.items():
        figure = Figure(kernel_share(name, where), "%", [share * 100], "100,000 sessions")
        results.figures.append(figure)


def kernel_share(contender: str, where: str) -> str:
    """The name of that figure."""
    return f"{contender}, the kernel's part of the CPU time, {where}"


def measure_memory(results: Results, kept: int, streamed: int) -> None:
    """Adds figures in MiB, each from a process of its own."""
    stream = _run("memory.py", "stream", streamed)["peak"] / MIB
    results.figures.append(Figure(STREAM, "MiB", [stream], f"{streamed:,} sessions"))
    for way, title in (("list", KEPT), ("floor", KEPT_BARE)):
        answer = _run("memory.py", way, kept)
        for kind, key in (("resident", "held"), ("objects", "objects")):
            size = answer[key] / MIB
            figure = Figure(f"{title}, {kind}", "MiB", [size], f"{kept:,} sessions")
            results.figures.append(figure)


def _whole_process(command: environments.Command) -> tuple[float, str]:
    """CPU seconds (user and system) of a process, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, done.stdout


def _import_commands(python: Path) -> dict[str, list[str | Path]]:
    folder = environments.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"]
    )
    prologue = (
        f"import sys, time; sys.path.insert(0, {folder.strip()!r}); t = time.process_time(); "
    )
    epilogue = "; print(time.process_time() - t)"
    return {
        name: [python, "-I", "-S", "-c", prologue + statement + epilogue]
        for name, statement in _STATEMENTS.items()
    }


def measure_imports(results: Results, rounds: int) -> None:
    """CPU time in fresh interpreters, in turn: of the statement alone, and of the whole process."""
    commands = _import_commands(environments.netsession())
    inside: dict[str, list[float]] = {name: [] for name in commands}
    whole: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            cpu, printed = _whole_process(command)
            if number:  # the first writes and reads .pyc files
                inside[name].append(float(printed) * 1000)
                whole[name].append(cpu * 1000)
    for name in commands:
        results.figures.append(Figure(f"import {name}, the statement", "CPU ms", inside[name]))
        results.figures.append(Figure(f"import {name}, the process", "CPU ms", whole[name]))
    results.figures.append(Figure("modules that must stay unloaded", "", [_loaded()]))


def _loaded() -> float:
    """How many of the modules that the import must not load it loads."""
    code = f"import sys, netsession; print(sum(name in sys.modules for name in {_LAZY!r}))"
    folder = Path(environments.netsession())
    return float(environments.run([folder, "-I", "-c", code]))


def measure_command(results: Results, rounds: int) -> None:
    """CPU time of the command's start and of the bare start of its interpreter, in turn."""
    python = environments.netsession()
    commands: dict[str, list[str | Path]] = {
        "netsession --version": [python.with_name("netsession"), "--version"],
        "netsession list --demo 1": [python.with_name("netsession"), "list", "--demo", "1"],
        "python -c pass": [python, "-c", "pass"],
    }
    spent: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            cpu, _ = _whole_process(command)
            if number:
                spent[name].append(cpu * 1000)
    for name, values in spent.items():
        results.figures.append(Figure(name, "CPU ms", values))
