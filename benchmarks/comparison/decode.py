"""Decoding the same reply bytes, on Linux."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from pathlib import Path

from . import environments
from .contenders import AIOSMB, COLUMNS, IMPACKET, NETSESSION, SAMBA, Contender
from .environments import BENCHMARKS, CACHE, ROOT, MissingError
from .results import Results, Sample

SECTION = "decode"
_SECONDS = 0.1  # of a round, for those who are quick
_CHECKED = 200  # sessions that are compared, field by field, before anything is timed
_CODEC = ROOT / "tests" / "samba"

#: The most entries that each is given: what takes longer would tell nothing new.
_MOST = {IMPACKET: 100_000, AIOSMB: 1_000}
_FEWER_IN_QUICK = {IMPACKET: 1_000, AIOSMB: 200}


def replies(levels: list[int], counts: set[int]) -> dict[tuple[int, int], Path]:
    """Files with replies, made once and kept as long as their makers do not change."""
    makers = [ROOT / "src" / "simulator.c", _CODEC / "ndr_reference.py"]
    state = hashlib.sha256(b"".join(maker.read_bytes() for maker in makers)).hexdigest()[:12]
    folder = CACHE / "replies" / state
    folder.mkdir(parents=True, exist_ok=True)
    made = {(level, n): folder / f"{level}-{n}" for level in levels for n in sorted(counts)}
    lacking = [f"{lv}:{n}:{path}" for (lv, n), path in made.items() if not path.exists()]
    if lacking:
        script = BENCHMARKS / "contenders" / "make_reply.py"
        environments.run([environments.netsession(), script, _CODEC, *lacking])
    return made


def _start(stack: ExitStack, results: Results, level: int, sample: Path) -> list[Contender]:
    contenders = []
    for name in (NETSESSION, COLUMNS, SAMBA, IMPACKET, AIOSMB):
        try:
            contender = stack.enter_context(Contender(name))
            results.versions[name] = contender.ask("version")
            contender.ask("load", path=str(sample))
            contender.ask("decode", level=level, at_least=0)
            contenders.append(contender)
        except MissingError as error:
            results.missing.append(f"decode, {name}: {error}")
    return contenders


def _check(contenders: list[Contender], level: int, path: Path) -> None:
    """The same values from everybody who makes values."""
    expected = None
    for contender in contenders:
        contender.ask("load", path=str(path))
        if contender.name == COLUMNS:
            continue
        rows = contender.ask("rows", level=level)
        expected = expected or rows
        if rows != expected or len(rows) != _CHECKED:
            raise SystemExit(f"{contender.name} reads level {level} differently")


def _case(
    contenders: list[Contender], level: int, entries: int, path: Path, rounds: int
) -> list[Sample]:
    """All contenders in turn, so that a machine that slows down slows down everybody."""
    samples = []
    for contender in contenders:
        contender.ask("load", path=str(path))
        slow = contender.name in _MOST
        samples.append(Sample(SECTION, contender.name, level, entries, [], []))
        if not slow and entries <= 100_000:
            contender.ask("decode", level=level, at_least=0)
    for number in range(rounds):
        for contender, sample in zip(contenders, samples, strict=True):
            slow = contender.name in _MOST
            if slow and number and entries > 1_000:
                continue  # seconds each: once is enough for a ratio in the hundreds
            at_least = 0 if slow else _SECONDS
            wall, cpu = contender.ask("decode", level=level, at_least=at_least)
            sample.wall.append(wall)
            sample.cpu.append(cpu)
    return samples


def measure(
    results: Results, levels: list[int], counts: list[int], rounds: int, quick: bool
) -> None:
    """Adds samples of every level and number of entries."""
    most = _FEWER_IN_QUICK if quick else _MOST
    files = replies(levels, {*counts, *most.values(), _CHECKED})
    with ExitStack() as stack:
        contenders = _start(stack, results, levels[0], files[levels[0], _CHECKED])
        for level in levels:
            _check(contenders, level, files[level, _CHECKED])
            for entries in sorted({*counts, *most.values()}):
                taking_part = [
                    contender
                    for contender in contenders
                    if entries <= most.get(contender.name, entries)
                    and (entries in counts or entries == most.get(contender.name))
                ]
                if taking_part:
                    fewer = min(rounds, 3) if entries > 100_000 else rounds
                    path = files[level, entries]
                    results.samples += _case(taking_part, level, entries, path, fewer)
