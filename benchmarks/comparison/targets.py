"""The project's own targets, as ratios within one run, and whether a run meets them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import starmap

from . import core, decode, end_to_end, windows
from .contenders import IMPACKET, NETSESSION, SAMBA
from .results import Figure, Results, Sample, median, ratios, three_digits

_ENTRIES = 100_000
_RICHEST = 502
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
        low, high = sorted((self.show(min(self.values)), self.show(max(self.values))))
        return f"{low} to {high}"


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


def _without_server(results: Results, contender: str) -> Sample | None:
    """A contender's sample under Windows, the round's server cost subtracted."""
    sample, server = (
        results.find(windows.SECTION, name, _RICHEST, _ENTRIES)
        for name in (contender, "server only")
    )
    if sample is None or server is None:
        return None
    net = list(starmap(lambda a, b: a - b, zip(sample.wall, server.wall, strict=True)))
    return Sample(sample.section, contender, sample.level, sample.entries, net, sample.cpu)


def _windows(results: Results) -> Iterator[Target]:
    pywin32 = _without_server(results, "pywin32 win32net")
    for contender, what, limit in (
        ("netsession list", "1 `list(sessions)` of pywin32's time", 1 / 5),
        ("netsession iteration", "2 iterating of pywin32's time", 1 / 7),
        ("netsession columns", "3 columns of pywin32's time", 1 / 25),
    ):
        values = _pair(_without_server(results, contender), pywin32)
        yield Target(what, f"at most {part(limit)[:-2]}", values, limit, part)


def _floor(results: Results) -> Iterator[Target]:
    for section, where, kind in (
        (windows.SECTION, "Windows", "wall"),
        (core.SECTION, "Linux", "cpu"),
    ):
        values = _pair(
            results.find(section, "netsession list", _RICHEST, _ENTRIES),
            results.find(section, "bare C loop, list", _RICHEST, _ENTRIES),
            kind,
        )
        yield Target(
            f"1 `list(sessions)` of the bare C loop, {where}", "at most 1.25 x", values, 1.25, times
        )


def _columns(results: Results) -> Iterator[Target]:
    values = _pair(
        results.find(core.SECTION, "netsession columns", _RICHEST, _ENTRIES),
        results.find(core.SECTION, "bare C loop, list", _RICHEST, _ENTRIES),
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
            _pair(
                results.find(decode.SECTION, contender, level, _ENTRIES),
                results.find(decode.SECTION, NETSESSION, level, _ENTRIES),
                "cpu",
            )
            for level in (0, 1, _RICHEST)
        ]
        worst = min((values for values in each if values), key=median, default=[])
        what = f"5 decoding, {contender} of netsession, the worst level"
        yield Target(what, f"at least {limit} x", worst, limit, times, at_least=True)


def _real_server(results: Results) -> Iterator[Target]:
    ours, samba, impacket = (
        results.find(end_to_end.SECTION, name, 1) for name in (NETSESSION, SAMBA, IMPACKET)
    )
    values = _pair(impacket, ours)
    yield Target(
        "6 end to end, impacket of netsession", "at least 8 x", values, 8, times, at_least=True
    )
    open_ours, open_samba = (
        results.find(end_to_end.OPEN_PIPE, name, 1) for name in (NETSESSION, SAMBA)
    )
    for what, left, right in (
        ("", ours, samba),
        (", on an open connection", open_ours, open_samba),
    ):
        values = _pair(left, right)
        name = f"6 end to end{what}, netsession of Samba's bindings"
        yield Target(name, "at most 1 x", values, 1, times)
        values = _pair(left, right, "cpu")
        yield Target(f"{name}, client CPU", "at most 3 x", values, 3, times)


def _far(results: Results) -> Iterator[Target]:
    ours = results.find(end_to_end.FAR, NETSESSION, 1)
    entries = ours.entries if ours else _ENTRIES
    what = f"7 {entries:,} entries, 20 ms round trips"
    yield Target(what, "at most 1.5 s", ours.wall if ours else [], 1.5, _unit("s"))


def _memory(results: Results) -> Iterator[Target]:
    streams = [figure for figure in results.figures if figure.name.startswith("streaming ")]
    for figure in streams:
        yield Target(f"8 {figure.name}", "at most 16 MiB", figure.values, 16, _unit("MiB"))
    for kind in ("resident", "objects"):
        ours, bare = (
            next(
                (f for f in results.figures if f.name.startswith(title) and f.name.endswith(kind)),
                None,
            )
            for title in ("kept list of 1", "kept list of the")
        )
        yield Target(
            f"8 a kept list of the bare loop's, {kind}", "at most 1 x", _pair(ours, bare), 1, times
        )


def _imports(results: Results) -> Iterator[Target]:
    for kind in ("statement", "process"):
        names = ("netsession", "collections, datetime, enum")
        values = _pair(*(results.figure(f"import {name}, the {kind}") for name in names))
        what = f"9 `import netsession` of `import collections, datetime, enum`, the {kind}"
        yield Target(what, "at most 1.3 x", values, 1.3, times)
    loaded = results.figure("modules that must stay unloaded")
    values = loaded.values if loaded else []
    yield Target(
        "9 of typing, asyncio, smbprotocol, rich it loads", "0", values, 0, lambda n: f"{n:.0f}"
    )
    values = _pair(results.figure("netsession --version"), results.figure("python -c pass"))
    yield Target(
        "9 `netsession --version` of the interpreter's start", "at most 3 x", values, 3, times
    )
