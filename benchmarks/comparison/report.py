"""The tables of a run, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from . import core, decode, end_to_end, windows
from .contenders import NETSESSION
from .results import Results, Sample, median, ratios, spread, three_digits
from .targets import COLUMNS_ON_WINDOWS, part, targets

#: section, title, what the others are compared with, which clock
_TABLES = (
    (
        windows.SECTION,
        "Windows CPython under Wine, one prepared buffer",
        "netsession list",
        "cpu",
        "The stand-in `netapi32.dll` hands out one prepared buffer; what it costs is the row "
        "*server only*, and it is part of all others.",
    ),
    (
        core.SECTION,
        "Linux, one prepared buffer",
        "netsession list",
        "cpu",
        "The simulator hands out one prepared buffer.",
    ),
    (
        decode.SECTION,
        "Linux, decoding the same reply bytes",
        NETSESSION,
        "cpu",
        "All fields read into Python values, except for the columns. Who takes seconds gets fewer "
        "entries or fewer rounds.",
    ),
    (
        end_to_end.SECTION,
        "Linux, end to end on one real smbd, connecting and closing included",
        NETSESSION,
        "wall",
        "",
    ),
    (
        end_to_end.OPEN_PIPE,
        "Linux, the same call once more on the open connection",
        NETSESSION,
        "wall",
        "",
    ),
    (
        end_to_end.FAR,
        "Linux, a server 20 ms of round trip away",
        NETSESSION,
        "wall",
        "Behind a real smbd lies a prepared reply, and before it a proxy that delays each "
        "direction by 10 ms.",
    ),
)
_CLOCKS = {"wall": "wall time", "cpu": "CPU time (user and system, all threads)"}


def markdown(results: Results) -> str:
    return (
        "\n".join(
            [
                *_head(results),
                *_targets(results),
                *_why(results),
                *_all_tables(results),
                *_figures(results),
            ]
        )
        + "\n"
    )


def _head(results: Results) -> Iterator[str]:
    yield from (
        "# Benchmarks",
        "",
        "Made by `benchmarks/run.py --docs` (`make bench` measures without writing this page).",
        "Every number is from this one run. Read the ratios: absolute times are this machine's.",
        "Contenders run in turn, round by round, each round beginning with another one. A ratio is",
        "the median of the rounds' ratios, and its spread is that of the rounds. CPU time is used",
        "where nothing waits, as other work on the machine disturbs it less; wall time elsewhere.",
        "",
        "![Bars of the main results; the numbers are in the tables below](benchmarks.svg)",
        "",
        "| | |",
        "|---|---|",
    )
    for name, value in {**results.machine, **results.versions}.items():
        yield f"| {name} | {value} |"
    if results.missing:
        yield from ("", "Not measured, with the reason:", "")
        for reason in results.missing:
            yield f"- {_short(reason)}"


def _short(reason: str) -> str:
    """A reason's first line, and the last one of what follows, where tracebacks have the cause."""
    first, *rest = reason.strip().splitlines()
    return " ... ".join([first, *rest[-1:]])


def _targets(results: Results) -> Iterator[str]:
    yield from (
        "",
        "## Targets",
        "",
        "| target | wanted | measured | spread | |",
        "|---|---|---|---|---|",
    )
    for target in targets(results):
        measured = target.show(target.measured) if target.values else ""
        spread = target.spread if target.values else ""
        yield f"| {target.what} | {target.wanted} | {measured} | {spread} | {target.verdict} |"


def _why(results: Results) -> Iterator[str]:
    """What is known of a target that was missed."""
    columns = [target for target in targets(results) if target.what == COLUMNS_ON_WINDOWS]
    missed = [target for target in columns if target.values and not target.met]
    ours, theirs = (
        results.figure(core.kernel_share(name, "Windows"))
        for name in ("netsession columns", "pywin32 win32net")
    )
    if not missed or ours is None or theirs is None:
        return
    rest = part(missed[0].measured * (1 - ours.median / 100))
    yield from (
        "",
        f"Columns on Windows: {ours.median:.0f} % of their CPU time is the kernel's, which hands",
        "out fresh memory for each batch and takes it back",
        f"(pywin32: {theirs.median:.0f} %). Without that part they would take {rest} of pywin32's",
        "time. On Linux the C library keeps the memory of a",
        "batch for the next one.",
    )


def _all_tables(results: Results) -> Iterator[str]:
    for section, title, reference, kind, note in _TABLES:
        cases = sorted(
            {(s.level, s.entries) for s in results.samples if s.section == section}, key=_order
        )
        if not cases:
            continue
        yield from ("", f"## {title}", "")
        if note:
            yield from (note, "")
        yield f"Ratios are those of {_CLOCKS[kind]}."
        for level, entries in cases:
            yield from _table(results, section, reference, kind, level, entries)


def _order(case: tuple[int | None, int]) -> tuple[int, int]:
    """The largest case that most peers take part in first; level by level."""
    level, entries = case
    return -(level or 0), abs(entries - 100_000)


def _table(
    results: Results, section: str, reference: str, kind: str, level: int | None, entries: int
) -> Iterator[str]:
    samples = [
        s for s in results.samples if (s.section, s.level, s.entries) == (section, level, entries)
    ]
    base = results.find(section, reference, level, entries)
    samples.sort(key=lambda sample: median(getattr(sample, kind)))
    yield from (
        "",
        f"Level {level}, {entries:,} entries:",
        "",
        f"| | x {reference} | spread | {kind}, ns an entry | spread | wall ms | CPU ms | rounds |",
        "|---|---|---|---|---|---|---|---|",
    )
    for sample in samples:
        yield _row(sample, base, kind)


def _row(sample: Sample, base: Sample | None, kind: str) -> str:
    each = sample.per_entry(kind)
    relative = ratios(getattr(sample, kind), getattr(base, kind)) if base else []
    shown = [three_digits(median(relative)), spread(relative)] if relative else ["", ""]
    shown += [three_digits(median(each)), spread(each)]
    shown += [three_digits(median(sample.wall) * 1e3), three_digits(median(sample.cpu) * 1e3)]
    return f"| {sample.contender} | {' | '.join(shown)} | {len(each)} |"


def _figures(results: Results) -> Iterator[str]:
    shown = [figure for figure in results.figures if not figure.name.startswith("suite ")]
    if not shown:
        return
    yield from ("", "## Memory, single items, imports", "")
    yield from ("| | median | spread | unit | of |", "|---|---|---|---|---|")
    for figure in shown:
        values = [three_digits(figure.median), spread(figure.values)]
        yield f"| {figure.name} | {' | '.join(values)} | {figure.unit} | {figure.of} |"
    suite = [figure for figure in results.figures if figure.name.startswith("suite ")]
    if suite:
        yield from ("", "The suites of pytest-benchmark (`pytest benchmarks`), medians:", "")
        yield from ("| | µs |", "|---|---|")
        yield from (
            f"| `{f.name.removeprefix('suite ')}` | {three_digits(f.median)} |" for f in suite
        )
