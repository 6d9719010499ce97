"""SessionCursor over servers that say what they please, the simulator behind and beside it, and
the functions of the module: names, requests, deletes, locks.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from netsession import _netsession
from netsession._netsession import CallLock, SessionCursor, UnsafeDeleteError
from netsession._simulator import Simulator
from netsession.errors import NetApiError, NoProgress

from .source import LEVELS, PIECES, Source, stub

_MOST_STEPS = 24
_MOST_DEPTH = 3
_ALL = 0xFFFFFFFF
_REFUSALS = (TypeError, ValueError, OverflowError, NetApiError)
_FUNCTIONS = ("NetSessionEnum", "NetSessionGetInfo", "NetSessionDel")
_CASED = ("a", "A", "\xe9", "\xc9", "\u0131", "\u01c5", "\u10d0", "\uab70", "\U00010428")


class Trapped(Exception):
    """Raised by code of ours that is called back."""


class World:
    """What an input works on."""

    def __init__(self, data: bytes) -> None:
        self.source = Source(data)
        self.simulators = [Simulator(3, 2)]
        self.cursors: list[Any] = []
        self.lock = CallLock()
        self.pages: list[Any] = []
        self.depth = self.steps = 0

    def run(self) -> None:
        while self.source and self.steps < _MOST_STEPS:
            try:
                self.step()
            except Trapped:
                continue
        self.depth = _MOST_DEPTH
        self.cursors.clear()
        self.pages.clear()
        gc.collect(0)
        for simulator in self.simulators:
            assert (simulator.outstanding, simulator.bad_frees) == (0, 0)

    def step(self) -> None:
        self.steps += 1
        self.source.choice(_STEPS)(self)

    def nested(self) -> None:
        what = self.source.below(8)
        if what == 7:
            raise Trapped
        if what > 3 and self.depth < _MOST_DEPTH and self.steps < _MOST_STEPS:
            self.depth += 1
            try:
                self.step()
            finally:
                self.depth -= 1
        elif what == 3:
            gc.collect(0)

    def simulator(self) -> Simulator:
        return self.source.choice(self.simulators)

    # -- cursors ---------------------------------------------------------------------------------

    def answer(self, opnum: int, request: bytes) -> Any:
        """A server over the wire, as the input has it."""
        source = self.source
        self.nested()
        which = source.below(12)
        if which == 11:
            return source.choice((None, 5, "x", [], bytearray(b"")))
        if which == 10:
            return source.take(source.below(64))
        if opnum == 13:
            return source.dword().to_bytes(4, "little") + bytes(source.choice((0, 4, 8)))
        level = int.from_bytes(request[12:16], "little") if source.below(8) == 7 else self.level
        level = level if level in LEVELS else source.choice(LEVELS)
        handle = source.choice((None, 0, 1, 5, 6, 7)) if source.below(4) else source.dword()
        status = source.choice((234, 234, 0, 2123, 5))
        made = stub(level, source.rows(level), source.dword(), handle, status)
        return memoryview(made) if source.below(8) == 7 else made

    level = 10

    def new_cursor(self) -> None:
        source = self.source
        self.level = level = source.choice(LEVELS)
        backend = self.answer if source.bit() else self.simulator().netapi
        if source.below(16) == 15:
            backend = source.choice((5, "x", object(), Simulator))
        try:
            cursor = SessionCursor(
                backend, source.name(), source.name(), source.name(), Number(self, level),
                Number(self, source.dword()),
            )  # fmt: skip
        except (*_REFUSALS, Trapped):
            return
        assert cursor.level == level
        self.cursors = [*self.cursors[-5:], cursor]

    def next_page(self) -> None:
        if not self.cursors:
            self.new_cursor()
        if not self.cursors:
            return
        cursor = self.source.choice(self.cursors)
        for _ in range(1 + self.source.below(5)):
            try:
                page = next(cursor, None)
            except RuntimeError as error:
                assert "already fetching" in str(error)
                return
            except (*_REFUSALS, Trapped):
                assert next(cursor, None) is None or self.depth
                return
            if page is None:
                return
            assert page.level == cursor.level
            list(page)
            self.pages = [*self.pages[-5:], page[::2] if self.source.bit() else page]

    def cycle(self) -> None:
        """A cursor that is part of a cycle, for the collector to end."""
        holder: list[Any] = []
        try:
            cursor = SessionCursor(lambda *_: holder, Text("s"), None, None, 10, _ALL)
        except _REFUSALS:
            return
        holder += [holder, cursor]

    # -- calls -----------------------------------------------------------------------------------

    def get_info(self) -> None:
        source = self.source
        backend = source.choice((self.simulator().netapi, self.simulator().netapi, self.answer))
        names = source.name(), self.known_name(), self.known_name()
        try:
            page = _netsession.session_get_info(
                backend, *names, Number(self, source.choice(LEVELS))
            )
        except (*_REFUSALS, Trapped):
            return
        assert len(list(page)) == 1
        self.pages.append(page[:] if source.bit() else page)

    def known_name(self) -> str | None:
        known = (None, "\\\\10.0.0.0", "10.0.0.0", "alice.0", "bob.1", "\\\\WS00001")
        which = self.source.below(len(known) + 4)
        return known[which] if which < len(known) else self.source.name()

    def delete(self) -> None:
        source = self.source
        backend = self.answer if source.bit() else self.simulator().netapi
        client, user = self.known_name(), self.known_name()
        before = [simulator.count for simulator in self.simulators]
        try:
            _netsession.session_del(backend, source.name(), client, user)
        except UnsafeDeleteError:
            assert self.depth or [s.count for s in self.simulators] == before
        except (*_REFUSALS, Trapped):
            return

    def encode(self) -> None:
        source = self.source
        names = source.name(), source.name(), source.name()
        for call, arguments in (
            (
                _netsession.encode_enum_request,
                (*names, source.choice(LEVELS), source.dword(), None),
            ),
            (_netsession.encode_enum_request, (*names, 10, 5, Number(self, source.dword()))),
            (_netsession.encode_delete_request, names),
        ):
            try:
                made = call(*arguments)  # type: ignore[operator]
            except (*_REFUSALS, Trapped):
                continue
            for name in filter(None, names):
                assert name.encode("utf-16-le", "surrogatepass") in made

    def decode(self) -> None:
        data = self.source.take(self.source.below(40))
        for decode in (_netsession.decode_enum_response, _netsession.decode_delete_response):
            try:
                decode(data)
            except NetApiError:
                continue

    def upcase(self) -> None:
        source = self.source
        text = source.text() + source.choice(_CASED)
        other = "".join(
            _netsession.upcase(each, 1 + source.below(2)) if source.bit() else each for each in text
        )
        for table in (1, 2):
            upper = _netsession.upcase(text, table)
            assert _netsession.upcase(upper, table) == upper
            same = bool(_netsession.same_tables(text, other) & table)
            assert same == (upper == _netsession.upcase(other, table))

    def take_turns(self) -> None:
        """The lock, from within itself, too."""

        def remaining() -> float:
            self.nested()
            return self.source.choice((0.0, 0.001, -1.0))

        def call() -> int:
            self.nested()
            return 5

        try:
            self.lock.run(call, remaining)
        except (*_REFUSALS, Trapped, RuntimeError):
            pass
        try:
            self.lock.try_run(call)
        except (*_REFUSALS, Trapped, RuntimeError):
            pass

    # -- the simulator ---------------------------------------------------------------------------

    def new_simulator(self) -> None:
        source = self.source
        made_up = source.choice((0, 1, 70, 300)) if source.below(4) else source.dword() % 5000
        first = source.dword()
        try:
            made = Simulator(made_up, source.below(64), first)
        except (*_REFUSALS, MemoryError):
            return
        self.simulators = [*self.simulators[-3:], made]

    def script(self) -> None:
        """What tests do to sessions."""
        source, simulator = self.source, self.simulator()
        which = source.below(9)
        only = source.choice((None, "first", "last", "middle"))
        names = self.known_name(), self.known_name()
        try:
            if which < 2:
                simulator.add(*source.row(502))
            elif which == 2:
                count = simulator.count
                found = simulator.end(*names, only)
                assert simulator.count == count - found
            elif which in (3, 4):
                values = [source.dword() if source.bit() else None for _ in range(4)]
                simulator.change(*names, *values, only)
            elif which == 5:
                simulator.advance(source.dword() * source.choice((1, 1000, 2**31)))
            elif which == 6:
                simulator.refuse(source.choice(LEVELS), source.choice((0, 5, 124)))
            elif which == 7:
                times = source.choice((None, 0, 1, 2))
                simulator.fail(source.choice(_FUNCTIONS), source.dword(), source.below(4), times)
            else:
                simulator.prepare(source.bit())
                simulator.stick(source.bit(), source.bit())
        except _REFUSALS:
            return
        assert simulator.calls(source.choice(_FUNCTIONS)) >= 0

    def list_all(self) -> None:
        """What is listed at every level is the same sessions, as many as are counted."""
        simulator = Simulator(self.source.below(200), self.source.below(40), self.source.below(99))
        for _ in range(self.source.below(5)):
            try:
                simulator.add(*self.source.row(502))
            except _REFUSALS:
                continue
        size = self.source.choice((_ALL, 0, 1, 500, 70000))
        for level in LEVELS:
            try:
                pages = list(SessionCursor(simulator.netapi, None, None, None, level, size))
            except NoProgress:
                continue
            assert sum(map(len, pages)) == simulator.count

    def drop(self) -> None:
        source = self.source
        for held in (self.pages, self.cursors):
            if held and source.bit():
                del held[source.below(len(held))]


class Number:
    """An int that takes steps to tell."""

    def __init__(self, world: World, value: int) -> None:
        self._world, self._value = world, value

    def __index__(self) -> int:
        self._world.nested()
        return self._value


class Text(str):
    """A str with references."""


_STEPS: tuple[Callable[[World], None], ...] = (
    *(World.new_cursor, World.next_page, World.next_page, World.script, World.script),
    *(World.get_info, World.delete, World.encode, World.decode, World.upcase, World.take_turns),
    *(World.new_simulator, World.list_all, World.drop, World.cycle, World.next_page),
)


def run(data: bytes) -> None:
    World(data).run()


def seeds() -> list[bytes]:
    steps = range(len(_STEPS))
    found = [bytes([step, *range(1, 12)]) * 4 for step in steps]
    found += [
        bytes([0, level, bit, 0, 0, 0, 0, 1, 1, 5, 0, 2, 3] * 4)
        for level in range(5)
        for bit in (0, 1)
    ]
    return found + [
        bytes((at * 7 + start) % 256 for at in range(200)) for start in range(0, 100, 9)
    ]


__all__ = ["PIECES", "run", "seeds"]
