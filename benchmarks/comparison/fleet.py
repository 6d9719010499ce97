"""Many servers on Linux: what one costs, how many a second, and scans of simulated ones."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import environments
from .contenders import (
    BEFORE,
    DASK,
    FREE_THREADED,
    IMPACKET,
    NETSESSION,
    SCAN,
    SMBPROTOCOL,
    WITH_GIL,
    Contender,
)
from .environments import BENCHMARKS, MissingError
from .machine import load
from .serving import server

_LEVEL = 1  # the richest that Samba's own srvsvc has
_SMBD = 4
_ONE_WAY_MS = 10
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Way:
    """One way to ask many servers: whose, and with how many at a time."""

    contender: str
    workers: int = 1
    executor: str | None = None
    processes: int = 0

    @property
    def name(self) -> str:
        if self.contender in (SCAN, DASK, FREE_THREADED, WITH_GIL):
            return f"{self.contender}, {self._how()}"
        return f"{self.contender}, {'a loop' if self.workers == 1 else self._how()}"

    def _how(self) -> str:
        at_a_time = f"{self.workers} worker{'s' if self.workers > 1 else ''}"
        if self.executor == "processes":
            return f"{self.processes} processes, {at_a_time}"
        return f"{at_a_time} on 2 processes" if self.executor else f"{at_a_time} (threads)"

    def ask(self, contender: Contender, servers: list[dict[str, Any]], count: int) -> Any:
        """One round: wall and CPU seconds for so many servers."""
        options: dict[str, Any] = {"count": count, "workers": self.workers, "level": _LEVEL}
        if self.contender not in (SCAN, DASK, FREE_THREADED, WITH_GIL):
            return contender.ask("many", servers=servers, **options)
        options |= {"executor": self.executor, "processes": self.processes}
        return contender.ask("scan", servers=servers, **options)


THREADS = [Way(SCAN, workers) for workers in (1, 4, 16, 64)]
NEAR = [
    Way(NETSESSION),
    *THREADS,
    Way(SCAN, 4, "processes", 2),
    Way(SCAN, 16, "processes", 4),
    Way(DASK, 16, "dask", 2),
    *(Way(FREE_THREADED, workers) for workers in (1, 4, 16, 64)),
    *(Way(WITH_GIL, workers) for workers in (1, 16)),
    Way(SMBPROTOCOL),
    Way(SMBPROTOCOL, 16),
    Way(IMPACKET),
    Way(IMPACKET, 16),
]
FAR = [Way(NETSESSION), *THREADS, Way(FREE_THREADED, 64), Way(SMBPROTOCOL), Way(IMPACKET)]
COST = [Way(BEFORE), Way(NETSESSION), Way(SMBPROTOCOL), Way(IMPACKET)]


@dataclass
class Row:
    """One way's seconds a server, a value a round; ``servers`` is the CPU time of smbd."""

    name: str
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    servers: list[float] = field(default_factory=list)


@dataclass
class Fleet:
    """Everything of one run."""

    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    rows: dict[str, list[Row]] = field(default_factory=dict)  #: by section
    counts: dict[str, int] = field(default_factory=dict)  #: servers a round, by section
    loads: dict[str, str] = field(default_factory=dict)  #: at the end, by section
    simulated: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    case: dict[str, Any] = field(default_factory=dict)  #: of the simulated servers
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def from_json(data: dict[str, Any]) -> Fleet:
    """What ``Fleet.as_json`` gave."""
    rows = {name: [Row(**row) for row in rows] for name, rows in data["rows"].items()}
    return Fleet(**{**data, "rows": rows})


def measure_simulated(fleet: Fleet, rounds: int) -> None:
    """1,000 servers that answer after 50 ms, and as many of which 50 are dead."""
    fleet.case = {
        **{"servers": 1_000, "latency": 0.05, "workers": 64},
        **{"dead": 50, "timeout": 1.0, "rounds": rounds},
    }
    fleet.simulated = _run("fleet_simulated.py", fleet.case)
    fleet.loads["simulated"] = load()


def measure_cost(fleet: Fleet, rounds: int, count: int) -> None:
    """CPU time of connecting, listing and closing, one server after the other."""
    _measure(fleet, "cost", COST, rounds, count, far=False)


def measure_near(fleet: Fleet, rounds: int, count: int) -> None:
    """Servers a second, on the same two cores as the servers."""
    _measure(fleet, "near", NEAR, rounds, count, far=False)


def measure_far(fleet: Fleet, rounds: int, count: int) -> None:
    """The same with 20 ms of round trip before the servers, where it is waiting that counts."""
    _measure(fleet, "far", FAR, rounds, count, far=True)


def profile(fleet: Fleet, connections: int) -> None:
    """Where the CPU time goes, before and now."""
    with server("several_smbd.py", 1) as where:
        for name, before in (("before", True), ("now", False)):
            case = {
                "where": where["servers"][0],
                "connections": connections,
                "before": before,
            }
            fleet.profiles[name] = _run("cost_profile.py", case)
    fleet.loads["profile"] = load()


def _run(script: str, case: dict[str, Any]) -> Any:
    command: environments.Command = [
        environments.netsession(),
        BENCHMARKS / "contenders" / script,
        json.dumps(case),
    ]
    return json.loads(environments.run(command).rpartition("JSON")[2])


def _measure(
    fleet: Fleet, section: str, ways: Sequence[Way], rounds: int, count: int, *, far: bool
) -> None:
    fleet.counts[section] = count
    rows = {way: Row(way.name) for way in ways}
    with ExitStack() as stack:
        where = stack.enter_context(server("several_smbd.py", _SMBD))
        servers = where["servers"]
        if far:
            servers = [_behind_a_proxy(stack, one) for one in servers]
        contenders = _start(stack, ways, fleet)
        here = [way for way in ways if way.contender in contenders]
        for way in here:  # imports, pools, the servers' first helpers
            most = max(way.workers, way.processes, _SMBD)
            way.ask(contenders[way.contender], servers, 2 * most)
        for number in range(rounds):
            first = number % len(here)
            for way in here[first:] + here[:first]:
                before = _cpu_below(where["pid"])
                answer = way.ask(contenders[way.contender], servers, count)
                row = rows[way]
                row.wall.append(answer["wall"] / count)
                row.cpu.append(answer["cpu"] / count)
                row.servers.append((_cpu_below(where["pid"]) - before) / count)
    fleet.rows[section] = [row for row in rows.values() if row.wall]
    fleet.loads[section] = load()


def _behind_a_proxy(stack: ExitStack, where: dict[str, Any]) -> dict[str, Any]:
    proxy = stack.enter_context(server("delaying_proxy.py", where["port"], _ONE_WAY_MS))
    return where | {"host": proxy["host"], "port": proxy["port"]}


def _start(stack: ExitStack, ways: Sequence[Way], fleet: Fleet) -> dict[str, Contender]:
    """The contenders' processes; what this machine lacks is named."""
    started: dict[str, Contender] = {}
    for name in dict.fromkeys(way.contender for way in ways):
        try:
            contender = stack.enter_context(Contender(name))
            fleet.versions[name] = contender.ask("version")
            if name == FREE_THREADED and contender.ask("gil"):
                raise MissingError("an extension module has brought the GIL back")
            started[name] = contender
        except MissingError as error:
            reason = f"{name}: {error}"
            if reason not in fleet.missing:
                fleet.missing.append(reason)
    return started


def _cpu_below(pid: int) -> float:
    """CPU seconds of all processes below one so far, those that have ended included."""
    found = 0.0
    for each in _below(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found += sum(map(int, fields[11:15])) / _TICKS
    return found


def _below(pid: int) -> Iterator[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        near = [int(n) for task in tasks for n in (task / "children").read_text().split()]
    except OSError:
        return
    for child in near:
        yield child
        yield from _below(child)
