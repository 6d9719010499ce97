"""Text measured in the cells of a terminal, of which a character may take none, one or two.

Only what is not ASCII needs rich, which knows the widths of Unicode and takes long to import.
"""

from __future__ import annotations

from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


_CHARACTERS = 4  # of a cell at most: the others are marks on a letter


@cache
def _widths() -> Callable[[str], int]:
    # One by one, not with rich's cell_len: its releases differ on joiners.
    from rich.cells import get_character_cell_size

    return get_character_cell_size


def cell_width(text: str) -> int:
    """How many cells a text takes (int)."""
    return len(text) if text.isascii() else sum(map(_widths(), text))


def padded(text: str, width: int, to_the_right: bool) -> str:
    """The text with blanks to a width; as it is where it is wider."""
    blanks = " " * (width - cell_width(text))
    return blanks + text if to_the_right else text + blanks


def cut(text: str, width: int, mark: str) -> str:
    """The text, or what fits of it with the mark, which is ASCII or takes one cell."""
    if len(text) <= _CHARACTERS * width and cell_width(text) <= width:
        return text
    return _split(text, width - len(mark))[0] + mark if width > len(mark) else mark[:width]


def folded(text: str, width: int) -> list[str]:
    """The text in pieces that fit; at least one."""
    pieces = []
    while True:
        piece, text = _split(text, width)
        pieces.append(piece)
        if not text:
            return pieces


def _split(text: str, width: int) -> tuple[str, str]:
    """What fits, and the rest. A piece holds only so many characters."""
    if text.isascii():
        return text[:width], text[width:]
    width_of = _widths()
    end = taken = 0
    for character in text[: _CHARACTERS * width]:
        taken += width_of(character)
        if taken > width and end:
            break
        end += 1
    return text[:end], text[end:]
