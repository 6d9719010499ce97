"""Pages, and all that is made of them, against a list of tuples: slices, levels, filters, pickles,
dicts, Arrow.  Whatever of ours is called back calls back: predicates, ``__index__``, ``__eq__``,
iterators, finalizers, resolvers do the next steps of the same input.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import pickle
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from arrow_consumer import (
    ArrowArray,
    ArrowArrayStream,
    ArrowSchema,
    content,
    drain,
    take,
)
from arrow_consumer import (
    rows as arrow_rows,
)
from arrow_values import FORMATS, arrow_value
from netsession import SessionPage, _netsession
from netsession._names import MOST_ELSEWHERE, ClientPattern, UserPattern
from netsession._simulator import Simulator
from netsession._where import Matcher
from netsession.errors import NetApiError

from .source import FIELDS, LEVELS, PIECES, PLACES, UNKNOWN, Source, stub

_MOST_PAGES = 12
_MOST_DEPTH = 3
_MOST_STEPS = 24
_ALL = 0xFFFFFFFF
#: What may be raised to refuse what is wrong.
REFUSALS = (TypeError, ValueError, OverflowError)


class Trapped(Exception):
    """Raised by code of ours that is called back."""


class Kept(NamedTuple):
    """A page and what it must be."""

    page: SessionPage
    level: int
    rows: list[tuple[Any, ...]]
    meta: tuple[Any, ...]  # total_entries, resume_handle, more


def meta_of(page: SessionPage) -> tuple[Any, ...]:
    return page.total_entries, page.resume_handle, page.more


class Number:
    """An int as others may give it: being asked for it takes steps."""

    def __init__(self, world: World, value: Any) -> None:
        self._world, self._value = world, value

    def __index__(self) -> Any:
        self._world.nested()
        return self._value


class Equal:
    """Equal to what it says, after steps."""

    def __init__(self, world: World, value: Any) -> None:
        self._world, self._value = world, value

    def __eq__(self, other: object) -> bool:
        self._world.nested()
        return bool(other == self._value)

    __hash__ = None  # type: ignore[assignment]


class Trap:
    """A cycle whose end takes steps, wherever the collector finds it."""

    def __init__(self, world: World) -> None:
        self._world, self._self = world, self

    def __del__(self) -> None:
        with contextlib.suppress(Trapped):
            self._world.nested()


class PageUnpickler(pickle._Unpickler):  # type: ignore[name-defined,misc]
    """Loads nothing but pages and records: what else a pickle may name does as it pleases."""

    def find_class(self, module: str, name: str) -> Any:
        if name not in ("page_from_records", "_reconstructor", "tuple") and (
            module != "netsession.records" or not name.startswith("SessionInfo")
        ):
            raise pickle.UnpicklingError(f"{module}.{name} is not asked for")
        return super().find_class(module, name)


class World:
    """What an input works on."""

    def __init__(self, data: bytes) -> None:
        self.source = Source(data)
        self.pages: list[Kept] = []
        self.depth = 0
        self.steps = 0
        self.simulators: list[Simulator] = []

    # -- running ---------------------------------------------------------------------------------

    def step(self) -> None:
        self.steps += 1
        self.source.choice(_STEPS)(self)

    def nested(self) -> None:
        """Code of ours is called back: it does as the input says."""
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

    def run(self) -> None:
        threshold = gc.get_threshold()
        try:
            while self.source and self.steps < _MOST_STEPS:
                try:
                    self.step()
                except Trapped:
                    continue
            for kept in self.pages:
                check(kept)
        finally:
            gc.disable()
            gc.set_threshold(*threshold)
            self.depth = _MOST_DEPTH  # traps that are left do nothing
            self.pages.clear()
        assert all(one.bad_frees == 0 for one in self.simulators)

    def keep(
        self, page: SessionPage, level: int, rows: list[tuple[Any, ...]], meta: Any = None
    ) -> None:
        kept = Kept(page, level, rows, meta_of(page) if meta is None else meta)
        check(kept)
        if len(self.pages) >= _MOST_PAGES:
            del self.pages[self.source.below(_MOST_PAGES)]
        self.pages.append(kept)

    def some(self) -> Kept:
        if not self.pages:
            self.decode()
        return self.source.choice(self.pages)

    def number(self, value: Any) -> Any:
        """An int as it is, or as something that has to be asked for it."""
        given = Number(self, value) if self.source.below(4) == 3 else value
        return value if value is None else given

    # -- making pages ----------------------------------------------------------------------------

    def decode(self) -> None:
        source = self.source
        level = source.choice(LEVELS)
        rows, total = source.rows(level), source.dword()
        handle, status = source.dword() if source.bit() else None, source.choice((0, 234, 5))
        made = stub(level, rows, total, handle, status)
        found = _netsession.decode_enum_response(bytearray(made) if source.bit() else made)  # type: ignore[arg-type]
        assert found[:3] == (status, total, handle)
        assert found[3] is not None
        self.keep(found[3], level, rows, (total, handle, status == 234))

    def decode_nonsense(self) -> None:
        source = self.source
        level = source.choice(LEVELS)
        made = bytearray(stub(level, source.rows(level), source.dword(), 5))
        for _ in range(1 + source.below(3)):
            at = int.from_bytes(source.take(2), "little") % len(made)
            made[at : at + source.below(5)] = source.take(source.below(5))
            made = made or bytearray(1)
        try:
            page = _netsession.decode_enum_response(bytes(made))[3]
        except NetApiError:
            return
        if page is not None:
            self.keep(page, page.level, [tuple(record) for record in page])

    def from_records(self) -> None:
        source = self.source
        level = source.choice(LEVELS)
        rows, total = source.rows(level), source.dword()
        handle, more = source.dword() if source.bit() else None, source.bit()
        given: Any = source.choice((tuple, list, iter))(rows)
        page = _netsession.page_from_records(
            self.number(level), given, self.number(total), self.number(handle), more
        )
        self.keep(page, level, rows, (total, handle, more))

    def from_hostile_records(self) -> None:
        """What a pickle may hold that nobody made of a page."""
        source = self.source
        level = source.choice((*LEVELS, 3, -1, 2**40))
        records: Any = [list_or_tuple(self.hostile_row(level)) for _ in range(source.below(5))]

        def changing() -> Iterator[Any]:
            for record in records:
                self.nested()
                yield record

        given = source.choice((tuple, list, lambda found: changing(), lambda found: None))(records)
        handle = source.choice((None, 0, self.hostile_value()))
        try:
            page = _netsession.page_from_records(
                level, given, self.hostile_value(), handle, self.hostile_value()
            )
        except (*REFUSALS, Trapped):
            return
        self.keep(page, page.level, [tuple(record) for record in page])

    def hostile_row(self, level: int) -> list[Any]:
        row: list[Any] = list(self.source.row(level if level in FIELDS else 10))
        for _ in range(self.source.below(3)):
            row.insert(self.source.below(len(row) + 1), self.hostile_value())
            del row[self.source.below(len(row))]
        return row + [0] * (self.source.below(16) == 15)

    def hostile_value(self) -> Any:
        which = self.source.below(10)
        if which < 4:
            return self.source.dword()
        if which == 4:
            return Number(self, self.source.choice((0, -1, UNKNOWN, UNKNOWN + 1, "x", None)))
        kinds = (None, "a\0b", self.source.text(), -1, 2**64)
        return kinds[which - 5]

    def from_simulator(self) -> None:
        """A page whose buffer belongs to a netapi32."""
        source = self.source
        simulator = Simulator(source.choice((3, 0, 70)), source.below(50), source.dword() % 1000)
        self.simulators.append(simulator)
        for _ in range(source.below(4)):
            row = source.row(502)
            try:
                simulator.add(*row)
            except ValueError:
                continue
        level = source.choice(LEVELS)
        cursor = _netsession.SessionCursor(simulator.netapi, None, None, None, level, _ALL)
        for page in cursor:
            self.keep(page, level, [tuple(record) for record in page])

    # -- pages of pages --------------------------------------------------------------------------

    def slice(self) -> None:
        kept, source = self.some(), self.source
        bounds = (None, 0, 1, 2, -1, -2, len(kept.rows), 7, -9, 2**70, -(2**70))
        key = [source.choice(bounds) for _ in range(3)]
        key[2] = key[2] or None
        given = slice(*(self.number(bound) for bound in key))
        self.keep(kept.page[given], kept.level, kept.rows[slice(*key)], kept.meta)

    def as_level(self) -> None:
        kept, level = self.some(), self.source.choice(LEVELS)
        if not set(PLACES[level]) <= set(PLACES[kept.level]):
            refused(ValueError, kept.page.as_level, level)
            return
        places = [PLACES[kept.level].index(place) for place in PLACES[level]]
        rows = [tuple(row[place] for place in places) for row in kept.rows]
        self.keep(kept.page.as_level(self.number(level)), level, rows, kept.meta)

    def call_filter(self) -> None:
        kept, pattern = self.some(), self.source.below(256)
        asked = 0

        def predicate(record: Any) -> Any:
            nonlocal asked
            asked += 1
            self.nested()
            answer = bool(pattern >> (asked % 8) & 1)
            return Truth(self, answer) if self.source.below(4) == 3 else answer

        expected = [row for i, row in enumerate(kept.rows) if pattern >> ((i + 1) % 8) & 1]
        self.keep(kept.page.filter(predicate), kept.level, expected, kept.meta)

    def compiled_filter(self) -> None:
        kept = self.some()
        made = self.matcher()
        if made is None:
            return
        in_c, in_python = made
        found = in_c.filter(kept.page)
        expected = [tuple(record) for record in kept.page if in_python(record)]
        assert remembered(in_c) == remembered(in_python)
        self.keep(found, kept.level, expected, kept.meta)

    def matcher(self) -> tuple[Matcher, Matcher] | None:
        """The same conditions twice."""
        source = self.source
        addresses = frozenset(source.choice(PIECES) for _ in range(source.below(4)))

        def resolve(name: str) -> tuple[frozenset[str], str | None]:
            return addresses, None

        clients = [(source.text(), source.bit()) for _ in range(source.below(3))]
        users = [(source.text(), source.bit()) for _ in range(source.below(3))]
        own = [(source.text(), source.text()) for _ in range(source.below(2))]
        numbers = [source.dword() if source.below(3) == 2 else None for _ in range(4)]
        no_machines = source.bit()
        matchers = []
        for _ in range(2):
            try:
                matchers.append(
                    Matcher(
                        [ClientPattern(text, resolve, wildcards=wild) for text, wild in clients],
                        [UserPattern(text, wildcards=wild) for text, wild in users],
                        idle_for=numbers[0],
                        active_for=numbers[1],
                        least_opens=numbers[2],
                        most_opens=numbers[3],
                        no_machines=no_machines,
                    ).without(
                        [ClientPattern(client) for client, _ in own],
                        [UserPattern(user) for _, user in own],
                    )
                )
            except ValueError:
                return None
        return matchers[0], matchers[1]

    def hostile_filter(self) -> None:
        """Patterns that are none of ours, and call back."""
        source = self.source
        kept = self.some()
        given: list[Any] = [
            tuple(Pattern(self, self.hostile_parts(which)) for _ in range(source.below(3)))
            for which in range(4)
        ]
        limits = [self.hostile_value() if source.bit() else None for _ in range(4)]
        try:
            made = _netsession.SessionFilter(*given, *limits, source.bit())
            found = kept.page.filter(made)
        except (*REFUSALS, AttributeError, Trapped):
            return
        self.keep(found, kept.level, [tuple(record) for record in found], kept.meta)
        assert set(map(repr, found)) <= set(map(repr, kept.page))

    def hostile_parts(self, which: int) -> Any:
        source = self.source
        text = source.text()
        if which % 2 == 0:
            parts: list[Any] = [
                text,
                source.bit(),
                source.choice((None, *PIECES)),
                "",
                source.bit(),
            ]
        else:
            readings = tuple(
                (source.name(), source.text()) for _ in range(source.choice((1, 2, 0, 3)))
            )
            parts = [text, source.bit(), readings]
        if source.below(8) == 7:
            parts[source.below(len(parts))] = self.hostile_value()
        return tuple(parts) if source.below(16) < 15 else parts

    def pickled(self) -> None:
        kept = self.some()
        data = pickle.dumps(kept.page, self.source.below(pickle.HIGHEST_PROTOCOL + 1))
        again = PageUnpickler(io.BytesIO(data)).load()
        self.keep(again, kept.level, kept.rows, kept.meta)
        assert copy.copy(again) is again is copy.deepcopy(again)

    def unpickle_hostile_bytes(self) -> None:
        kept, source = self.some(), self.source
        data = bytearray(pickle.dumps(kept.page, source.below(pickle.HIGHEST_PROTOCOL + 1)))
        for _ in range(1 + source.below(4)):
            at = int.from_bytes(source.take(2), "little") % len(data)
            data[at : at + 1] = source.take(source.below(3))
            data = data or bytearray(b".")
        try:
            again = PageUnpickler(io.BytesIO(data)).load()
        except Exception:
            return
        if isinstance(again, SessionPage):
            self.keep(again, again.level, [tuple(record) for record in again])

    # -- what is told of pages -------------------------------------------------------------------

    def search(self) -> None:
        kept, source = self.some(), self.source
        wanted: Any = kept.rows[source.below(len(kept.rows)) if len(kept.rows) < 256 else 0] if (
            kept.rows and source.below(4)
        ) else source.choice((None, (), 5))  # fmt: skip
        start, stop = (source.choice((None, 0, 1, -1, 3, 2**70)) for _ in range(2))
        part = kept.rows[slice(start, stop)]
        given = Equal(self, wanted) if source.below(3) == 2 else wanted
        assert kept.page.count(given) == kept.rows.count(wanted)
        assert (given in kept.page) == (wanted in kept.rows)
        if wanted in part:
            first = slice(start, stop).indices(len(kept.rows))[0] + part.index(wanted)
            assert kept.page.index(given, self.number(start), self.number(stop)) == first
        else:
            refused(ValueError, kept.page.index, given, start, stop)

    def item(self) -> None:
        kept = self.some()
        at = self.source.choice((0, 1, -1, 5, 2**70, -(2**70), len(kept.rows)))
        if -len(kept.rows) <= at < len(kept.rows):
            assert kept.page[self.number(at)] == kept.rows[at]
        else:
            refused(IndexError, lambda: kept.page[at])

    def iterate(self) -> None:
        """Two at once, one of them shared with whoever is called back."""
        kept, source = self.some(), self.source
        backwards = source.bit()
        iterator: Any = reversed(kept.page) if backwards else iter(kept.page)
        expected = kept.rows[::-1] if backwards else kept.rows
        stop = source.below(256)
        for at, record in enumerate(iterator):
            assert record == expected[at]
            assert iterator.__length_hint__() == len(expected) - at - 1
            if at == stop:
                break
            if at < 3:
                self.nested()
        self.trapped_iterators = iterator

    def as_dicts(self) -> None:
        kept = self.some()
        names = [name for i, name in enumerate(FORMATS) if i in PLACES[kept.level]]
        assert kept.page.as_dicts() == [dict(zip(names, row, strict=True)) for row in kept.rows]

    def attributes(self) -> None:
        kept = self.some()
        assert kept.page.level == kept.level
        assert meta_of(kept.page) == kept.meta
        assert kept.page.__sizeof__() > 0
        assert f"entries={len(kept.rows)}" in repr(kept.page)

    def arrow_array(self) -> None:
        kept, source = self.some(), self.source
        limit = source.choice((0x7FFFFFFF, 0, 1, 5, 100))
        schema_capsule, array_capsule = (
            _netsession.arrow_array(kept.page, limit) if source.bit()
            else kept.page.__arrow_c_array__(kept.page.__arrow_c_schema__())
        )  # fmt: skip
        if source.bit():  # dropped as they are
            return
        schema, array = take(ArrowSchema, schema_capsule), take(ArrowArray, array_capsule)
        assert arrow_rows(schema, array) == in_arrow(kept)
        for structure in (schema, array) if source.bit() else (array, schema):
            structure.give_back()

    def arrow_stream(self) -> None:
        """A stream whose pages come from an iterator that uses the stream itself."""
        kept, source = self.some(), self.source
        others = [one for one in self.pages if one.level == kept.level]
        ends = source.choice(("well", "well", "raises", "other level", "nothing", "released"))
        held: list[ArrowArrayStream] = []

        def pages() -> Iterator[Any]:
            for one in others:
                self.nested()
                yield one.page
                if held and ends == "well":
                    assert held[0].next()[0] != 0  # EBUSY
                if held and ends == "released":
                    held.pop().release_now()
            if ends == "raises":
                raise ValueError("of the iterator")
            if ends == "other level":
                yield next((one.page for one in self.pages if one.level != kept.level), None)

        limit = source.choice((0x7FFFFFFF, 200, 2000))
        first = source.choice((kept.page, None))
        capsule = _netsession.arrow_stream(kept.level, first, pages(), None, limit)
        if ends == "nothing":
            return
        stream = Stream(capsule, held)
        expected = in_arrow(kept) if first is not None else []
        expected += [row for one in others for row in in_arrow(one)]
        found: list[Any] = []
        try:
            for batch in stream.batches():
                found += arrow_rows(stream.schema, batch)
                batch.give_back()
        except OSError:
            assert found == expected[: len(found)]
        else:
            assert found == expected or not held
        stream.end()

    def arrow_fleet(self) -> None:
        source = self.source
        parts = [(source.text(), source.dword() - 2**31, one) for one in self.pages[:4]]

        def given() -> Iterator[Any]:
            for server, at, one in parts:
                self.nested()
                yield server, at, one.page
            yield from [self.hostile_value()] if source.below(4) == 3 else []

        capsule = _netsession.arrow_fleet_stream(given(), None, source.choice((0x7FFFFFFF, 500)))
        stream = take(ArrowArrayStream, capsule)
        schema = stream.schema()
        found: list[Any] = []
        expected = [
            (arrow_value("server", server), at, *wide(one.level, row), one.level)
            for server, at, one in parts for row in in_arrow(one)
        ]  # fmt: skip
        try:
            for batch in drain(stream):
                found += arrow_rows(schema, batch)
            assert found == expected
        except OSError:
            assert found == expected[: len(found)]
        schema.give_back()
        stream.give_back()

    # -- the world -------------------------------------------------------------------------------

    def drop(self) -> None:
        if self.pages:
            del self.pages[self.source.below(len(self.pages))]

    def collect_tightly(self) -> None:
        """From here on the collector runs at every allocation, and finds traps."""
        for _ in range(1 + self.source.below(3)):
            Trap(self)
        gc.set_threshold(1 + self.source.below(4))
        gc.enable()

    def relax(self) -> None:
        gc.disable()


class Truth:
    """An answer whose truth takes steps to tell."""

    def __init__(self, world: World, value: bool) -> None:
        self._world, self._value = world, value

    def __bool__(self) -> bool:
        self._world.nested()
        return self._value


class Pattern:
    """In place of a ClientPattern or a UserPattern."""

    def __init__(self, world: World, parts: Any) -> None:
        self._world, self._parts = world, parts
        self._names: dict[str, None] = {}

    @property
    def parts(self) -> Any:
        self._world.nested()
        return self._parts

    def addresses(self) -> Any:
        self._world.nested()
        which = self._world.source.below(6)
        return (["10.1.2.3", "::1"], [], ["x" * 100], [5], None, {"::ffff:10.1.2.3"})[which]

    @property
    def taken(self) -> Any:
        self._world.nested()
        return self._names

    @property
    def elsewhere(self) -> Any:
        self._world.nested()
        return self._names if self._world.source.below(4) else []

    @property
    def met(self) -> bool:
        return True

    @met.setter
    def met(self, value: bool) -> None:
        self._world.nested()


class Stream:
    """A consumer of a stream that may be let go from within."""

    def __init__(self, capsule: object, held: list[Any]) -> None:
        self._stream = take(ArrowArrayStream, capsule)
        self._held = held
        self.schema = self._stream.schema()
        held.append(self)

    def next(self) -> tuple[int, ArrowArray]:
        return self._stream.next()

    def release_now(self) -> None:
        self._stream.give_back()

    def batches(self) -> Iterator[ArrowArray]:
        while self._held:
            error, array = self._stream.next()
            if error:
                raise OSError(error, "of the stream")
            if array.is_released:
                return
            yield array

    def end(self) -> None:
        self.schema.give_back()
        if self._held:
            self._held.clear()
            self._stream.give_back()


def list_or_tuple(row: list[Any]) -> Any:
    return row if len(row) % 5 == 4 and row[-1] == 0 else tuple(row)


def wide(level: int, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A level's row in the columns of level 502."""
    found = dict(zip(PLACES[level], row, strict=True))
    return tuple(found.get(place) for place in PLACES[502])


def in_arrow(kept: Kept) -> list[tuple[Any, ...]]:
    names = [name for i, name in enumerate(FORMATS) if i in PLACES[kept.level]]
    return [
        tuple(arrow_value(name, value) for name, value in zip(names, row, strict=True))
        for row in kept.rows
    ]


def refused(error: type[Exception], call: Callable[..., Any], *arguments: Any) -> None:
    try:
        call(*arguments)
    except error:
        return
    raise AssertionError(f"{error.__name__} was not raised")


def remembered(matcher: Matcher) -> list[Any]:
    return [
        *((one.met, list(one.taken), one.lookup_failure) for one in matcher.clients),
        *((one.met, list(one.elsewhere)) for one in matcher.users),
        MOST_ELSEWHERE,
    ]


def check(kept: Kept) -> None:
    assert len(kept.page) == len(kept.rows)
    assert list(kept.page) == kept.rows
    assert kept.page.level == kept.level
    assert meta_of(kept.page) == kept.meta


_STEPS: tuple[Callable[[World], None], ...] = (
    *(World.decode, World.from_records, World.from_simulator, World.slice, World.as_level),
    *(World.compiled_filter, World.call_filter, World.pickled, World.search, World.item),
    *(World.iterate, World.as_dicts, World.attributes, World.arrow_array, World.arrow_stream),
    *(World.arrow_fleet, World.drop, World.collect_tightly, World.relax, World.hostile_filter),
    *(World.from_hostile_records, World.unpickle_hostile_bytes, World.decode_nonsense),
    World.compiled_filter,
)


def run(data: bytes) -> None:
    World(data).run()


def seeds() -> list[bytes]:
    """Every step alone after pages of every kind, and some together."""
    pages = b"".join(
        bytes([0, level, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
        for level in range(5)
    )
    found = [pages + bytes([step, 1, 2, 3, 4, 5, 6, 7, 8]) * 3 for step in range(len(_STEPS))]
    found += [bytes([17, 1, 1]) + one for one in found]
    return found + [bytes(range(start, 256, step)) for start in (0, 7) for step in (1, 3, 5)]


__all__ = ["content", "run", "seeds"]
