"""Writes ``src/upcase_table.h``: which UTF-16 unit Windows and Samba upcase to which.

    python tools/upcase.py NTFS-3G/libntfs-3g/unistr.c SAMBA/lib/util/charset/codepoints.c

Windows' table is the one of Windows 7 and later: $UpCase of an NTFS volume, whose MD5 ntfs-3g
records, and which it builds from the differences between releases. [MS-UCODEREF] 3.1.5.3 refers to
it as "Windows 8 Upper Case Mapping Table". Samba's is ``upcase_table`` of its codepoints.c, which
turns out to be Windows XP's, unit for unit. Vista's is between the two: a pair of units that are
equal in it is equal in the other two's union, and one equal in both is equal in it, so it needs no
table of its own; this program checks that too.

Only the mappings, which are facts, are taken from those files; they are written anew as ranges.
"""

from __future__ import annotations

import hashlib
import re
import struct
import sys
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

UNITS = 0x10000
#: MD5 of $UpCase (65,536 little-endian units), as ntfs-3g records it for each release.
MD5 = {
    (5, 1): "6fa3db2468275286210751e869d36373",  # Windows XP; Samba
    (6, 0): "2f03b5a69d486ff3864cecbd07f24440",  # Windows Vista
    (6, 1): "7ff498a44e45e77374cc7c962b1b92f2",  # Windows 7, 8 and later
}
SAMBA, WINDOWS = 1, 2
OUTPUT = Path(__file__).resolve().parents[1] / "src" / "upcase_table.h"

_HEAD = """\
/* Written by tools/upcase.py, which names the sources. Units that are mapped to another one:
   {first, last, every how many units, what to add (modulo 65,536), in whose tables}. */

#define BOTH (UPCASE_SAMBA | UPCASE_WINDOWS)

/* clang-format off */
static const upcase_range upcase_ranges[] = {
"""
_TAIL = """\
};
/* clang-format on */

#undef BOTH
"""


class Range(NamedTuple):
    """Units ``first``, ``first + step`` ... ``last``, each mapped to itself plus ``add``."""

    first: int
    last: int
    step: int
    add: int
    tables: int


def numbers(source: str, name: str, width: int) -> list[tuple[int, ...]]:
    """The rows of an array of ``width`` numbers a row in a C source."""
    body = source[source.index(name) :]
    body = re.sub(r"/\*.*?\*/", "", body[: body.index("};")], flags=re.S)
    row = r"\{\s*" + r"\s*,\s*".join([r"(-?\w+)"] * width) + r"\s*\}"
    return [tuple(int(number, 0) for number in found) for found in re.findall(row, body)]


def windows_table(source: str, release: tuple[int, int]) -> list[int]:
    """$UpCase of a Windows release, from ntfs-3g's unistr.c; its MD5 is checked."""
    source = source[source.index("void ntfs_upcase_table_build") :]
    table = list(range(UNITS))
    for first, end, add in numbers(source, "uc_run_table", 3):
        for unit in range(first, end):
            table[unit] = unit + add
    for first, end in numbers(source, "uc_dup_table", 2):
        for unit in range(first, end, 2):
            table[unit + 1] = unit
    for unit, upper in numbers(source, "uc_byte_table", 2):
        table[unit] = upper
    for first, last, add, step, major, minor in numbers(source, "newuppercase[]", 6):
        if (major, minor) <= release:
            for unit in range(first, last + 1, step):
                table[unit] = (unit + add) % UNITS
    check(table, release)
    return table


def samba_table(source: str) -> list[int]:
    """Samba's upcase_table, from its codepoints.c."""
    body = source[source.index("static const uint16_t upcase_table[]") :]
    body = re.sub(r"/\*.*?\*/", "", body[: body.index("};")], flags=re.S)
    table = [int(number, 16) for number in re.findall(r"0x[0-9A-Fa-f]+", body)]
    table += range(len(table), UNITS)
    check(table, (5, 1))
    return table


def check(table: list[int], release: tuple[int, int]) -> None:
    digest = hashlib.md5(struct.pack("<65536H", *table)).hexdigest()
    if digest != MD5[release]:
        sys.exit(f"the table is not that of Windows {release}: MD5 {digest}")


def equal_pairs(table: list[int]) -> set[tuple[int, int]]:
    """All pairs of different units that the table calls equal."""
    classes: dict[int, list[int]] = {}
    for unit, upper in enumerate(table):
        classes.setdefault(upper, []).append(unit)
    return {(a, b) for units in classes.values() for a in units for b in units if a < b}


def ranges(samba: list[int], windows: list[int]) -> list[Range]:
    """The mapped units of both tables, in order, none twice."""
    made: list[Range] = []
    for unit in range(UNITS):
        changed = {WINDOWS: windows[unit], SAMBA: samba[unit]}
        tables = sum(table for table, upper in changed.items() if upper != unit)
        if tables == 0:
            continue
        uppers = {upper for upper in changed.values() if upper != unit}
        if len(uppers) > 1:
            sys.exit(f"U+{unit:04X} has two upper cases; a range holds one")
        add = (uppers.pop() - unit) % UNITS
        if made and (made[-1].add, made[-1].tables) == (add, tables):
            last = made[-1]
            gap = unit - last.last
            if gap <= 2 and (last.first == last.last or gap == last.step):
                made[-1] = last._replace(last=unit, step=gap)
                continue
        made.append(Range(unit, unit, 1, add, tables))
    assert all(a.last < b.first for a, b in pairwise(made))
    return made


def main(ntfs: str, samba: str) -> None:
    unistr = Path(ntfs).read_text(encoding="utf-8")
    ours = samba_table(Path(samba).read_text(encoding="utf-8"))
    newest = windows_table(unistr, (6, 1))
    both, either = (
        operator(equal_pairs(ours), equal_pairs(newest)) for operator in (set.__and__, set.__or__)
    )
    vista = equal_pairs(windows_table(unistr, (6, 0)))
    if not both <= vista <= either:
        sys.exit("Vista's table is not between the two")
    names = {SAMBA: "UPCASE_SAMBA", WINDOWS: "UPCASE_WINDOWS", SAMBA | WINDOWS: "BOTH"}
    rows = [
        f"    {{0x{row.first:04X}, 0x{row.last:04X}, {row.step}, 0x{row.add:04X}, "
        f"{names[row.tables]}}},\n"
        for row in ranges(ours, newest)
    ]
    OUTPUT.write_text(_HEAD + "".join(rows) + _TAIL, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
