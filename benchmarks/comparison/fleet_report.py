"""The tables of a run with many servers, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from .contenders import BEFORE, NETSESSION
from .fleet import Fleet, Way
from .results import median, ratios, spread, three_digits

_MOST_OF_THE_BOUND = 1.2
_MOST_LATER = 1.0
_MOST_CPU_MS = 4.5


def markdown(fleet: Fleet) -> str:
    parts = (_head, _simulated, _cost, _profile, _near, _far, _commands)
    return "\n".join(line for part in parts for line in part(fleet)) + "\n"


def _head(fleet: Fleet) -> Iterator[str]:
    yield from (
        "# What a server costs, and many of them",
        "",
        "Made by `benchmarks/fleet.py --docs`; every number is from this one run. Read the ratios:",
        "absolute times are this machine's, which did other work meanwhile. Contenders take turns,",
        "round by round; figures are medians of the rounds, with the least and the most.",
        "",
        "| | |",
        "|---|---|",
    )
    for name, value in {**fleet.machine, **fleet.versions}.items():
        yield f"| {name} | {value} |"
    if fleet.missing:
        yield from ("", "Not measured, with the reason:", "")
        yield from (f"- {reason.splitlines()[0]}" for reason in fleet.missing)


# -- simulated servers -----------------------------------------------------------------------------


def _simulated(fleet: Fleet) -> Iterator[str]:
    if not fleet.simulated:
        return
    case = fleet.case
    waves = math.ceil(case["servers"] / case["workers"])
    bound = waves * case["latency"]
    found = fleet.simulated
    well = [one["last"] for one in found["well"]]
    later = [
        dead["last_well"] - plain["last_well"]
        for dead, plain in zip(found["with dead"], found["well"], strict=True)
    ]
    yield from (
        "",
        "## A thousand simulated servers",
        "",
        f"{case['servers']:,} simulated servers answer after {case['latency'] * 1e3:.0f} ms, "
        f"{case['workers']} are asked at a time: {waves} times",
        f"{case['latency'] * 1e3:.0f} ms, {bound:.2f} s, would be the least. The same waiting in a "
        "plain pool of threads",
        "(`time.sleep`) shows what this machine adds to that.",
        f"Then {case['dead']} of them never answer, with a time-out of {case['timeout']:.0f} s.",
        f"Load at the end: {fleet.loads.get('simulated', 'unknown')}.",
        "",
        "| | seconds | least, most | of the least possible | CPU ms a server |",
        "|---|---|---|---|---|",
    )
    for name, key, which in (
        ("plain pool of threads that sleep", "floor", "last"),
        ("scan, the last report", "well", "last"),
        (f"scan with {case['dead']} dead, the last report of the others", "with dead", "last_well"),
        (f"scan with {case['dead']} dead, the last report", "with dead", "last"),
    ):
        values = [one[which] for one in found[key]]
        cpu = [one["cpu"] / case["servers"] * 1e3 for one in found[key]]
        yield (
            f"| {name} | {median(values):.3f} | {min(values):.3f} to {max(values):.3f} | "
            f"{median(values) / bound:.2f} x | {three_digits(median(cpu))} |"
        )
    against = ratios(well, [one["last"] for one in found["floor"]])
    yield from (
        "",
        "| target | wanted | measured | least, most | |",
        "|---|---|---|---|---|",
        _target(
            "all reports, of the least possible",
            f"at most {_MOST_OF_THE_BOUND} x",
            [value / bound for value in well],
            _MOST_OF_THE_BOUND,
            "x",
        ),
        _target(
            "other reports later for the dead ones",
            f"at most {_MOST_LATER:.0f} s",
            later,
            _MOST_LATER,
            "s",
        ),
        "",
        f"Of the plain pool the scan takes {median(against):.2f} times ({spread(against)}).",
    )


def _target(what: str, wanted: str, values: list[float], limit: float, unit: str) -> str:
    verdict = "met" if median(values) <= limit else "**not met**"
    return (
        f"| {what} | {wanted} | {median(values):.2f} {unit} | "
        f"{min(values):.2f} to {max(values):.2f} | {verdict} |"
    )


# -- real servers ----------------------------------------------------------------------------------


def _cost(fleet: Fleet) -> Iterator[str]:
    rows = fleet.rows.get("cost")
    if not rows:
        return
    base = next((row for row in rows if row.name == Way(BEFORE).name), None)
    yield from (
        "",
        "## The cost of a server",
        "",
        "Connecting to a real smbd, logging on by NTLM, listing (one session) and closing, one",
        f"server after the other; {fleet.counts['cost']} a round. CPU time is the client's.",
        f"Load at the end: {fleet.loads['cost']}.",
        "",
        "| | CPU ms a server | least, most | of netsession's before | wall ms | smbd's CPU ms |",
        "|---|---|---|---|---|---|",
    )
    for row in rows:
        relative = f"{median(ratios(row.cpu, base.cpu)):.2f} x" if base else ""
        yield (
            f"| {row.name} | {_ms(row.cpu)} | {_ms_spread(row.cpu)} | {relative} | "
            f"{_ms(row.wall)} | {_ms(row.servers)} |"
        )
    ours = next((row for row in rows if row.name == Way(NETSESSION).name), None)
    if ours is None:
        return
    yield from (
        "",
        "| target | wanted | measured | least, most | |",
        "|---|---|---|---|---|",
        _target(
            "client CPU a server",
            f"at most {_MOST_CPU_MS} ms",
            [value * 1e3 for value in ours.cpu],
            _MOST_CPU_MS,
            "ms",
        ),
        "",
        "What was saved is the LM hash, which NTLMv2 has no use for, and memory that each `recv`",
        "had the kernel map and take back. What depends on the credentials alone is now 15 us of a",
        "logon, the NT hash: nothing is kept between servers, so no secret is either.",
    )


def _profile(fleet: Fleet) -> Iterator[str]:
    if not fleet.profiles:
        return
    now = fleet.profiles["now"]
    yield from (
        "",
        "## Where it goes",
        "",
        f"Samples of CPU time ({now['samples']:,} now) over many connections; the share of each",
        "times the CPU time of that run. The kernel's part is in the function that calls it.",
        "",
        "| code of | ms before | ms now | share now |",
        "|---|---|---|---|",
        *_profile_rows(fleet, "packages"),
        "",
        "| step | ms before | ms now | share now |",
        "|---|---|---|---|",
        *_profile_rows(fleet, "steps"),
        "",
        "The functions that are at work most often now:",
        "",
        "| function | share |",
        "|---|---|",
    )
    for name, count in list(now["functions"].items())[:15]:
        yield f"| `{name}` | {count / now['samples']:.1%} |"


def _profile_rows(fleet: Fleet, kind: str) -> Iterator[str]:
    before, now = fleet.profiles["before"], fleet.profiles["now"]
    for name in now[kind]:
        yield (
            f"| {name} | {_part(before, kind, name):.2f} | {_part(now, kind, name):.2f} | "
            f"{now[kind][name] / now['samples']:.0%} |"
        )
    totals = (profile["cpu"] * 1e3 for profile in (before, now))
    yield "| all | " + " | ".join(f"{total:.2f}" for total in totals) + " | 100% |"


def _part(profile: dict[str, Any], kind: str, name: str) -> float:
    """Milliseconds a server."""
    return float(profile["cpu"] * 1e3 * profile[kind].get(name, 0) / profile["samples"])


def _near(fleet: Fleet) -> Iterator[str]:
    yield from _many(
        fleet,
        "near",
        "Servers a second",
        "Client and servers (four smbd, asked in turn) share this machine, with whatever else it "
        "does: what smbd itself costs is beside, and it is most. With servers elsewhere a core can "
        "ask as many as the last column says (a second of CPU time by that of a server): threads "
        "share one core where there is a GIL, processes and free threads have one each.",
    )


def _far(fleet: Fleet) -> Iterator[str]:
    yield from _many(
        fleet,
        "far",
        "Servers a second, 20 ms of round trip away",
        "Each smbd is behind a proxy that delays every byte by 10 ms in each direction, and that "
        "takes its own part of the two cores.",
    )


def _many(fleet: Fleet, section: str, title: str, note: str) -> Iterator[str]:
    rows = fleet.rows.get(section)
    if not rows:
        return
    base = rows[0]
    yield from (
        "",
        f"## {title}",
        "",
        note,
        f"{fleet.counts[section]} servers a round. Load at the end: {fleet.loads[section]}.",
        "",
        f"| | servers a second | least, most | x {base.name} | client CPU ms | smbd's CPU ms | "
        "a core's worth |",
        "|---|---|---|---|---|---|---|",
    )
    for row in rows:
        rates = [1 / wall for wall in row.wall]
        faster = ratios(base.wall, row.wall)
        yield (
            f"| {row.name} | {three_digits(median(rates))} | {spread(rates)} | "
            f"{three_digits(median(faster))} | {_ms(row.cpu)} | {_ms(row.servers)} | "
            f"{1 / median(row.cpu):.0f} |"
        )


def _commands(fleet: Fleet) -> Iterator[str]:
    yield from (
        "",
        "## Again",
        "",
        "```",
        "NETSESSION_FREE_THREADED=/path/to/python3.14t python benchmarks/fleet.py --docs",
        "```",
    )


def _ms(values: list[float]) -> str:
    return three_digits(median(values) * 1e3)


def _ms_spread(values: list[float]) -> str:
    return spread([value * 1e3 for value in values])
