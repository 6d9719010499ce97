"""What does not come back: counted around operations that are done again and again.

    python tests/leaks.py [--rounds N] [--of WHAT] [--brief] [PART ...]

Each operation is done N times and then 2 N times, and what is left is counted: references (on a
debug build of CPython; wherever there is a GIL those to classes and functions), blocks that Python
allocated, bytes that malloc() gave (glibc), resident memory, file descriptors, those of them that
are sockets, and threads. A line an operation says how much each round leaves behind. Something else
that grows, a cache that fills, does not grow every time: an operation leaks where whatever is tried
leaves something behind.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import sys
import sysconfig
import time
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_PATIENCE = 60.0  # seconds; that long threads may take to end
_ATTEMPTS = 6
_LINUX = sys.platform == "linux"
_clear_caches = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache  # since 3.13


def _memory() -> int:
    """Resident memory of this process, in bytes."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


#: 50 bytes forgotten each of 4,000 times; the smallest structure there is to forget has 64.
NOISE = 200_000


def grown_by(operation: Callable[[], None]) -> int:
    """By how many bytes the process grows when it does something once."""
    gc.collect()
    before = _memory()
    operation()
    gc.collect()
    return _memory() - before


def leaked(operation: Callable[[], None]) -> int:
    """By how many bytes the process grows when it does something 4,000 times more.

    A heap takes a while to settle, a free-threaded one longer: what is forgotten shows every time,
    so the least of several times counts.
    """

    def repeat() -> None:
        for _ in range(4000):
            operation()

    grown = []
    for _ in range(6):
        grown.append(grown_by(repeat))
        if grown[-1] <= NOISE:
            break
    return min(grown)


# --- counters -------------------------------------------------------------------------------------


class _Mallinfo2(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks",
                     "uordblks", "fordblks", "keepcost")
    )  # fmt: skip


def _malloc_counter() -> Callable[[], int] | None:
    """Bytes that malloc() has given and not got back: also those that no Python object owns."""
    function = getattr(ctypes.CDLL(None), "mallinfo2", None) if _LINUX else None
    if function is None:
        return None
    function.restype = _Mallinfo2

    def count() -> int:
        found = function()
        return int(found.uordblks + found.hblkhd)

    return count


def _descriptors() -> list[str]:
    """What each file descriptor is of."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:  # the one that the folder itself was read with
            continue
    return found


def _sockets() -> int:
    return sum(each.startswith("socket:") for each in _descriptors())


def _reference_counter() -> Callable[[], int]:
    """References to the classes and functions that there are: each instance holds one to its class.

    One too many keeps nothing that is there for ever anyway, so that no block is left behind.
    """
    kinds = (type, types.FunctionType, types.BuiltinFunctionType)
    # isinstance() would ask what a weak proxy stands for, which may be gone.
    found = [each for each in gc.get_objects() if issubclass(type(each), kinds)]
    return lambda: sum(map(sys.getrefcount, found))


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


@dataclass(frozen=True)
class Counter:
    """A kind of thing that can be left behind; ``noise`` is how much more of it is none."""

    name: str
    count: Callable[[], int]
    noise: int
    a_round: int = 0  # so much more of noise for each round


def counters() -> list[Counter]:
    """Those that this interpreter and system have."""
    found = [Counter("blocks", sys.getallocatedblocks, 3)]
    references = getattr(sys, "gettotalrefcount", None)
    if references is not None:
        found.insert(0, Counter("references", references, 3))
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):  # whose threads count each for themselves
        found.append(Counter("classes", _reference_counter(), 3))
    malloc = _malloc_counter()
    if malloc is not None:
        # The least that malloc() gives is 24; each of its threads keeps a few of every size.
        found.append(Counter("malloc", malloc, 4096, 15))
    if _LINUX:
        found.append(Counter("memory", _memory, NOISE, 50))
        found.append(Counter("descriptors", lambda: len(_descriptors()), 0))
        found.append(Counter("sockets", _sockets, 0))
        found.append(Counter("threads", _threads, 0))
    return found


# --- measuring ------------------------------------------------------------------------------------


def _settle(threads: int) -> None:
    """Until there are no more threads than that, and no garbage."""
    end = time.monotonic() + _PATIENCE
    while _LINUX and _threads() > threads and time.monotonic() < end:
        time.sleep(0.001)
    gc.collect()
    _clear_caches()  # they keep the names of attributes that were looked up


def _repeat(operation: Callable[[], object], rounds: int) -> None:
    for _ in range(rounds):
        operation()


class Meter:
    """Measures operations, each done ``rounds`` times and then twice as often.

    What 2 N rounds leave behind beyond what N do, N rounds have left behind; what measuring takes
    itself, and what is there only once, is in both.
    """

    def __init__(self, rounds: int, only: Iterable[str] = ()) -> None:
        self.rounds = rounds
        wanted = set(only)
        self.counters = [each for each in counters() if not wanted or each.name in wanted]

    def _grown(self, operation: Callable[[], object], rounds: int) -> list[int]:
        threads = _threads() if _LINUX else 0
        before = [0] * len(self.counters)
        _settle(threads)
        for number, each in enumerate(self.counters):
            before[number] = each.count()
        _repeat(operation, rounds)
        _settle(threads)
        return [each.count() - then for each, then in zip(self.counters, before, strict=True)]

    def _left_by_rounds(self, operation: Callable[[], object]) -> list[int]:
        """What N rounds left behind, by counter; 0 where that is noise."""
        once = self._grown(operation, self.rounds)
        twice = self._grown(operation, 2 * self.rounds)
        left = [more - less for more, less in zip(twice, once, strict=True)]
        return [
            grown if grown > counter.noise + counter.a_round * self.rounds else 0
            for counter, grown in zip(self.counters, left, strict=True)
        ]

    def left(self, operation: Callable[[], object]) -> dict[str, float]:
        """What a round leaves behind, by counter; 0 where it once was nothing."""
        _repeat(operation, self.rounds)
        least = self._left_by_rounds(operation)
        for _ in range(_ATTEMPTS - 1):
            if not any(least):
                break
            again = self._left_by_rounds(operation)
            least = [min(pair) for pair in zip(least, again, strict=True)]
        return {
            counter.name: grown / self.rounds
            for counter, grown in zip(self.counters, least, strict=True)
        }


def _line(name: str, rounds: int, left: Mapping[str, float]) -> str:
    numbers = "".join(f" {number:>11.4g}" for number in left.values())
    return f"{name:<52.52} {rounds:>7}{numbers}{'  LEAKS' if any(left.values()) else ''}"


def report(
    operations: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    only: Iterable[str] = (),
    brief: bool = False,
) -> list[str]:
    """Prints a line an operation (with ``brief`` only of those that leak); the names of those."""
    gc.unfreeze()  # classes that an earlier report has put aside are to be found
    meter = Meter(rounds, only)
    gc.collect()
    gc.freeze()  # what is there already is none of the garbage that is looked for, many times
    if not brief:
        heads = "".join(f" {each.name:>11}" for each in meter.counters)
        print(f"{'left behind by a round of':<52} {'rounds':>7}{heads}", flush=True)
    leaking = []
    for name, operation in operations.items():
        left = meter.left(operation)
        if any(left.values()):
            leaking.append(name)
        if not brief or any(left.values()):
            print(_line(name, 3 * rounds, left), flush=True)
    return leaking


def main() -> int:
    """Counts what public calls leave behind; 1 where one of them leaks."""
    import public_calls

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="*", help=", ".join(public_calls.PARTS) + " (default: all)")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--of", action="append", default=[], help="count this only: blocks, ...")
    parser.add_argument("--brief", action="store_true", help="only what leaks, and how much ran")
    options = parser.parse_args()
    leaking: list[str] = []
    count = 0
    for part in options.part or public_calls.PARTS:
        with public_calls.opened(part) as operations:
            count += len(operations)
            leaking += report(operations, options.rounds, only=options.of, brief=options.brief)
    print(f"{count} calls, {3 * options.rounds} rounds each at least: {len(leaking)} leak")
    return 1 if leaking else 0


if __name__ == "__main__":
    sys.exit(main())
