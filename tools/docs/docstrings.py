"""Docstrings on the site: what griffe, which reads them, does not know of ours.

A griffe extension, named in mkdocs.yml. Docstrings are written to be read in an editor and by
help(); here their roles become links, names that share a line of ``Args`` a line each, and the
records, which are declared in a way of their own, get the docstrings that they have at run time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import griffe

_ROLE = re.compile(r":(?:meth|class|func|mod|data):`([\w.]+)`")
_PAGE = re.compile(r"docs/([\w-]+)\.md")
_SHARED = re.compile(r"^( +)(\w+(?:, \w+)+)( \([^)]*\))?:(.*(?:\n\1 +.*)*)", re.MULTILINE)
_TABLE = re.compile(r"^=+(?: +=+)+\n(.*?\n)=+(?: +=+)+\n(.*?\n)(=+(?: +=+)+)$", re.M | re.S)
_PLACES = ("netsession", "netsession.testing", "netsession.win32net", "netsession.errors")
_RECORDS = "netsession.records"


class ForPeople(griffe.Extension):
    """Changes all docstrings of a package once it is loaded."""

    def on_package(self, *, pkg: Any, **_: Any) -> None:
        """Griffe's event."""
        if pkg.name == "netsession":
            _tell_of_records(pkg["records"])
        for each in _objects(pkg):
            if each.docstring is not None:
                each.docstring.value = _for_people(each.docstring.value, each, pkg)


def _objects(parent: Any) -> Iterator[Any]:
    yield parent
    for member in parent.members.values():
        if not member.is_alias:
            yield from _objects(member)


def _for_people(text: str, of: Any, pkg: Any) -> str:
    text = _SHARED.sub(_apart, _TABLE.sub(_table, text))
    text = _ROLE.sub(lambda role: _link(role[1], of, pkg), text)
    return _PAGE.sub(r"[\g<0>](\1.md)", text)


def _table(table: re.Match[str]) -> str:
    """What is aligned below ``====``, as Markdown has it. A line with one cell goes on a row."""
    ends = [(bar.start(), bar.end()) for bar in re.finditer("=+", table[3])]
    rows: list[list[str]] = []
    for line in (table[1] + table[2]).splitlines():
        cells = [line[start : end + 2].strip() for start, end in ends]
        if any(cells[1:]):
            rows.append(cells)
        else:
            rows[-1][0] += f" {cells[0]}"
    rows.insert(1, ["---"] * len(ends))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _apart(shared: re.Match[str]) -> str:
    indent, names, kind, told = shared.groups()
    return "\n".join(f"{indent}{name}{kind or ''}:{told}" for name in names.split(", "))


def _link(name: str, of: Any, pkg: Any) -> str:
    """To what a role means, which may be of the same class."""
    around = [of.path, of.parent.path] if of.parent is not None else [of.path]
    for path in (name, *(f"{place}.{name}" for place in (*around, *_PLACES))):
        inside = path.removeprefix(f"{pkg.name}.")
        try:
            found = pkg[inside]
        except KeyError:
            continue
        target = found.final_target if found.is_alias else found
        if not target.is_module:
            return f"[`{name}`][{target.path}]"
    return f"`{name}`"


def _tell_of_records(module: Any) -> None:
    live = import_module(_RECORDS)
    for name in live.__all__:
        of = module[name]
        if not of.is_class:
            continue
        record = getattr(live, name)
        of.docstring = griffe.Docstring(record.__doc__, parent=of)
        for member in of.all_members.values():
            told = getattr(getattr(record, member.name, None), "__doc__", None)
            target = member.final_target if member.is_alias else member
            if told and target.docstring is None:
                target.docstring = griffe.Docstring(told, parent=target)
