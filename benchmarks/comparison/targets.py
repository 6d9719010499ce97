"""The project's own targets, as ratios within one run, and whether a run meets them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from . import core, decode, end_to_end, windows
from .contenders import IMPACKET, NETSESSION, SAMBA
from .results import Figure, Results, Sample, median, ratios, three_digits

_RICHEST = 502
COLUMNS_ON_WINDOWS = "3 columns of pywin32's time"
# Two medians of the same thing differ by less than this on a machine that does other work too.
_SAME = 1.15


@dataclass(frozen=True)
class Target:
    """One target and what was measured: a value a round, where there are rounds."""

    what: str
    wanted: str
    values: Sequence[float]  #: empty: not measured in this run
    limit: float
    show: Callable[[float], str]
    at_least: bool = False

    @property
    def measured(self) -> float:
        return median(self.values)

    @property
    def met(self) -> bool:
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    @property
    def verdict(self) -> str:
        if not self.values:
            return "not measured"
        return "met" if self.met else "**not met**"

    @property
    def spread(self) -> str:
        if len(self.values) < 2:
            return "one value"
        return f"{self.show(min(self.values))} to {self.show(max(self.values))}"


def part(value: float) -> str:
    """0.2 is 1/5.0."""
    return f"1/{1 / value:.1f}"


def times(value: float) -> str:
    return f"{three_digits(value)} x"


def _unit(name: str) -> Callable[[float], str]:
    return lambda value: f"{three_digits(value)} {name}"


def targets(results: Results) -> list[Target]:
    """In the order in which the project states them."""
    return [
        *_windows(results),
        *_floor(results),
        *_columns(results),
        *_constant(results),
        *_decode(results),
        *_real_server(results),
        *_far(results),
        *_memory(results),
        *_imports(results),
    ]


def _pair(
    left: Sample | Figure | None, right: Sample | Figure | None, kind: str = "wall"
) -> list[float]:
    """The ratios round by round; none where one of them was not measured."""
    if left is None or right is None:
        return []
    return ratios(
        *(one.values if isinstance(one, Figure) else getattr(one, kind) for one in (left, right))
    )


def _main(results: Results, section: str, contender: str, level: int = _RICHEST) -> Sample | None:
    """A contender's sample of the case that stands for the section."""
    return results.find(section, contender, level, results.main_case(section, level))


def _both(
    results: Results, section: str, left: str, right: str, level: int, kind: str = "wall"
) -> list[float]:
    """The ratios in the largest case up to the main one that both took part in."""
    most = results.main_case(section, level)
    for entries in sorted({sample.entries for sample in results.samples}, reverse=True):
        ours, theirs = (results.find(section, name, level, entries) for name in (left, right))
        if entries <= most and ours and theirs:
            return _pair(ours, theirs, kind)
    return []


def _without_server(results: Results, contender: str) -> Sample | None:
    """A contender's sample under Windows, the round's server cost subtracted."""
    sample, server = (_main(results, windows.SECTION, n) for n in (contender, "server only"))
    if sample is None or server is None:
        return None
    net = [max(whole - part, 1e-9) for whole, part in zip(sample.cpu, server.cpu, strict=True)]
    return Sample(sample.section, contender, sample.level, sample.entries, sample.wall, net)


def _windows(results: Results) -> Iterator[Target]:
    pywin32 = _without_server(results, "pywin32 win32net")
    for contender, what, limit in (
        ("netsession list", "1 `list(sessions)` of pywin32's time", 1 / 5),
        ("netsession iteration", "2 iterating of pywin32's time", 1 / 7),
        ("netsession columns", COLUMNS_ON_WINDOWS, 1 / 25),
    ):
        values = _pair(_without_server(results, contender), pywin32, "cpu")
        yield Target(what, f"at most {part(limit)[:-2]}", values, limit, part)


def _floor(results: Results) -> Iterator[Target]:
    for section, where in ((windows.SECTION, "Windows"), (core.SECTION, "Linux")):
        values = _pair(
            _main(results, section, "netsession list"),
            _main(results, section, "bare C loop, list"),
            "cpu",
        )
        yield Target(
            f"1 `list(sessions)` of the bare C loop, {where}", "at most 1.25 x", values, 1.25, times
        )


def _columns(results: Results) -> Iterator[Target]:
    values = _pair(
        _main(results, core.SECTION, "netsession columns"),
        _main(results, core.SECTION, "bare C loop, list"),
        "cpu",
    )
    yield Target(
        "3 columns where the bare loop takes 180 ns an entry, Linux",
        "at most 40 ns",
        [180 * value for value in values],
        40,
        _unit("ns"),
    )


def _constant(results: Results) -> Iterator[Target]:
    for name in ("len(page)", "page[i]"):
        large, small = (results.figure(f"{name}, page of {n}") for n in ("1,000,000", "1,000"))
        values = [] if large is None or small is None else [large.median / small.median]
        what = f"4 `{name}`, 1,000,000 entries of 1,000"
        yield Target(what, "1 (the same)", values, _SAME, times)


def _decode(results: Results) -> Iterator[Target]:
    for contender, limit in ((IMPACKET, 300), (SAMBA, 8)):
        each = [
            _both(results, decode.SECTION, contender, NETSESSION, level, "cpu")
            for level in (0, 1, _RICHEST)
        ]
        worst = min((values for values in each if values), key=median, default=[])
        what = f"5 decoding, {contender} of netsession, the worst level"
        yield Target(what, f"at least {limit} x", worst, limit, times, at_least=True)


def _real_server(results: Results) -> Iterator[Target]:
    values = _both(results, end_to_end.SECTION, IMPACKET, NETSESSION, 1)
    what = "6 end to end, impacket of netsession"
    yield Target(what, "at least 8 x", values, 8, times, at_least=True)
    for section, where in (
        (end_to_end.SECTION, "6 end to end"),
        (end_to_end.OPEN_PIPE, "6 end to end, on an open connection"),
    ):
        what = f"{where}, netsession of Samba's bindings"
        values = _both(results, section, NETSESSION, SAMBA, 1)
        yield Target(what, "at most 1 x", values, 1, times)
        values = _both(results, section, NETSESSION, SAMBA, 1, "cpu")
        yield Target(f"{what}, client CPU", "at most 3 x", values, 3, times)


def _far(results: Results) -> Iterator[Target]:
    ours = _main(results, end_to_end.FAR, NETSESSION, 1)
    what = f"7 {ours.entries if ours else 100_000:,} entries, 20 ms round trips"
    yield Target(what, "at most 1.5 s", ours.wall if ours else [], 1.5, _unit("s"))


def _memory(results: Results) -> Iterator[Target]:
    stream = results.figure(core.STREAM)
    what = f"8 {core.STREAM}" + (f", {stream.of}" if stream else "")
    yield Target(what, "at most 16 MiB", stream.values if stream else [], 16, _unit("MiB"))
    for kind in ("resident", "objects"):
        ours, bare = (results.figure(f"{title}, {kind}") for title in (core.KEPT, core.KEPT_BARE))
        what = f"8 a kept list of the bare loop's, {kind}"
        yield Target(what, "at most 1 x", _pair(ours, bare), 1, times)


def _imports(results: Results) -> Iterator[Target]:
    for kind in ("statement", "process"):
        ours, theirs = (
            results.figure(f"import {name}, the {kind}")
            for name in ("netsession", "collections, datetime, enum")
        )
        values = _pair(ours, theirs)
        what = f"9 `import netsession` of `import collections, datetime, enum`, the {kind}"
        yield Target(what, "at most 1.3 x", values, 1.3, times)
    loaded = results.figure("modules that must stay unloaded")
    values = loaded.values if loaded else []
    yield Target(
        "9 of typing, asyncio, smbprotocol, rich it loads", "0", values, 0, lambda n: f"{n:.0f}"
    )
    for command in ("netsession --version", "netsession list --demo 1"):
        values = _pair(results.figure(command), results.figure("python -c pass"))
        what = f"9 `{command}` of the interpreter's start"
        yield Target(what, "at most 3 x", values, 3, times)
