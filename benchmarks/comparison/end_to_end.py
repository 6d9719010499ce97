"""Asking real servers, on Linux: one smbd with many sessions, and one that is far away."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from .contenders import AIOSMB, IMPACKET, NETSESSION, SAMBA, Contender
from .decode import replies
from .environments import MissingError
from .results import Results, Sample
from .serving import server

SECTION = "end to end"
OPEN_PIPE = "end to end, open pipe"
FAR = "20 ms round trips"

_LEVEL = 1  # the richest that Samba's own srvsvc has
_ONE_WAY_MS = 10


def _start(stack: ExitStack, names: Sequence[str], results: Results) -> list[Contender]:
    contenders = []
    for name in names:
        try:
            contenders.append(stack.enter_context(Contender(name)))
            results.versions[name] = contenders[-1].ask("version")
        except MissingError as error:
            results.missing.append(f"{SECTION}, {name}: {error}")
    return contenders


class _Case:
    """The samples of one section, gathered round by round."""

    def __init__(self, results: Results, section: str, entries: int) -> None:
        self._results = results
        self._section = section
        self._entries = entries

    def add(self, section: str, name: str, wall: float, cpu: float) -> None:
        sample = self._results.find(section, name, _LEVEL, self._entries)
        if sample is None:
            sample = Sample(section, name, _LEVEL, self._entries, [], [])
            self._results.samples.append(sample)
        sample.wall.append(wall)
        sample.cpu.append(cpu)

    def ask(self, contender: Contender, where: dict[str, Any], again: bool) -> bool:
        """One round of a contender; False, with a note, where it cannot do it."""
        try:
            answer = contender.ask("enum", where=where, level=_LEVEL, again=again)
        except MissingError as error:
            self._results.missing.append(f"{self._section}: {error}")
            return False
        if not self._entries <= answer["entries"] <= self._entries + 8:
            raise SystemExit(f"{contender.name} got {answer['entries']} sessions")
        self.add(self._section, contender.name, answer["wall"], answer["cpu"])
        if answer["call"]:
            self.add(OPEN_PIPE, contender.name, *answer["call"])
        return True


def measure(results: Results, sessions: int, rounds: int) -> None:
    """One real smbd that holds so many sessions; what is slow takes part in fewer rounds."""
    fewer = {AIOSMB: 1 + rounds // 6, IMPACKET: 1 + rounds // 2}
    with ExitStack() as stack:
        where = stack.enter_context(server("real_smbd.py", sessions))
        names = (NETSESSION, SAMBA, IMPACKET, AIOSMB)
        contenders = _start(stack, names, results)
        warm_up = _Case(Results(missing=results.missing), SECTION, sessions)
        for contender in list(contenders):  # what is done once in a process, such as imports
            if contender.name != AIOSMB and not warm_up.ask(contender, where, again=False):
                contenders.remove(contender)
        case = _Case(results, SECTION, sessions)
        for number in range(rounds):
            for contender in list(contenders):
                if number >= fewer.get(contender.name, rounds):
                    continue
                if not case.ask(contender, where, contender.name != AIOSMB):
                    contenders.remove(contender)


def measure_far(results: Results, entries: int, rounds: int) -> None:
    """A prepared reply behind a real smbd, 20 ms of round trip away. Samba's bindings ask once."""
    reply = replies([_LEVEL], {entries})[_LEVEL, entries]
    with ExitStack() as stack:
        near = stack.enter_context(server("smbd_with_reply.py", reply))
        proxy = stack.enter_context(server("delaying_proxy.py", near["port"], _ONE_WAY_MS))
        where = near | proxy
        case = _Case(results, FAR, entries)
        contenders = _start(stack, (NETSESSION, SAMBA), results)
        for contender in contenders:
            for _ in range(1 if contender.name == SAMBA else rounds):
                case.ask(contender, where, again=False)
