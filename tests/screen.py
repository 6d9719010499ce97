"""What a terminal shows after some output: enough of one for what rich sends."""

from __future__ import annotations

import re

_PIECES = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


def shown(output: bytes, width: int) -> list[str]:
    """The lines of a terminal so wide that is high enough, without those empty at the end.

    What was longer than the terminal is one line here. Knows carriage return, line feed, cursor
    up, erase line and colours; any other escape fails.
    """
    lines = [""]
    row = column = 0
    continued = set()  # rows that go on with what the row above had no room for
    text = output.decode()
    end = 0
    for match in _PIECES.finditer(text):
        assert match.start() == end, repr(text[end : match.start()])
        end = match.end()
        number, letter, control, plain = match.groups()
        if control == "\r":
            column = 0
        elif control == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif letter == "A":
            row -= int(number or 1)
            assert row >= 0
        elif letter == "K":
            assert number == "2"
            lines[row] = ""
        elif plain is not None:
            while plain:
                if column == width:
                    row, column = row + 1, 0
                    lines += [""] * (row + 1 - len(lines))
                    continued.add(row)
                piece, plain = plain[: width - column], plain[width - column :]
                line = lines[row].ljust(column)
                lines[row] = line[:column] + piece + line[column + len(piece) :]
                column += len(piece)
        else:
            assert letter == "m", repr(match[0])
    assert end == len(text), repr(text[end:])
    whole: list[str] = []
    for row, line in enumerate(lines):
        if row in continued and line:
            whole[-1] += line
        else:
            whole.append(line)
    while whole and not whole[-1].strip():
        whole.pop()
    return [line.rstrip() for line in whole]
