"""Tables for people: fitted to a terminal, aligned text elsewhere.

A reply must not come out many times as large as it came in, whatever names it holds. So a column
is as wide as ``_WIDEST`` at most. On a terminal, names that are wider are folded. Elsewhere their
row is out of line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from .cells import cell_width, cut, folded, padded
from .exits import USAGE, Stop
from .sink import Sink
from .text import NOTHING, heading, is_number, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netsession.records import SessionInfo

Row = list[str]

LONGEST_NAME = 1023  # characters; [MS-SRVS] 3.1.4.5: 1,024 UTF-16 units with the terminator
_LINE = 255  # cells: where there is no terminal, what is longer than this is longer than a line
_NARROWEST = 20  # cells: no terminal's line is taken for shorter
_WIDEST = 64  # cells: no column is padded to more
_LEAST_CUT, _LEAST_NAME = 5, 8  # columns are not made narrower than this
_GAP = "  "
_NAMES = (
    "server",
    "client_name",
    "user_name",
    "host_name",
)  # never cut to fit: these say which session


def require_rich() -> None:
    """Ends the command where rich is not installed."""
    from importlib.util import find_spec

    if find_spec("rich") is None:
        raise Stop(
            USAGE, "rich is not installed, and tables need it: pip install 'netsession[cli]'"
        )


def write_table(
    parts: Iterable[list[SessionInfo]],
    sink: Sink,
    *,
    whole: bool = False,
    every_column: bool = False,
    widths: Mapping[str, int] | None = None,
) -> int:
    """A table of sessions, part by part. Returns their number.

    Widths, and on a terminal which columns have anything in them, are those of the first part, or
    more: a column that is needed later brings a new heading. ``whole`` shows names of any legal
    length; otherwise what is longer than a line is cut. ``every_column`` shows those too that have
    nothing in them. ``widths`` are cells that columns (by
    field) will need, as far as that is known before the first part.
    """
    style = _Style(sink)
    columns: _Columns | None = None
    count = 0
    for part in parts:
        rows = [_row(record, style, whole=whole) for record in part]
        if columns is None:
            columns = _Columns(part[0]._fields, style, widths or {}, every=every_column)
        head = columns.head() if columns.make_room(rows) else ""
        sink.write(head + columns.text(rows, first=not count))
        count += len(part)
    return count


def write_card(record: SessionInfo, sink: Sink) -> None:
    """One session, a field a line."""
    style = _Style(sink)
    sink.write(_card(record._fields, _row(record, style, whole=True), style))


class _Style:
    """What a sink can show: how wide, in bold or not, and with which characters."""

    def __init__(self, sink: Sink) -> None:
        self.width = sink.width if sink.is_terminal else None
        self.line = _LINE if self.width is None else max(self.width, _NARROWEST)
        self.encoding = sink.encoding
        self.mark = "…" if self._has("…") else "..."
        self.rule = "─" if self._has("─") else "-"
        self.bold = ("", "")
        if sink.is_terminal:
            self.bold = _bold()

    def _has(self, character: str) -> bool:
        try:
            character.encode(self.encoding)
        except UnicodeEncodeError:
            return False
        return True

    def spelled(self, text: str) -> str:
        """The text as it will be printed, so that what is measured is what is seen."""
        if text.isascii() or self.encoding == "utf-8":
            return text
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)


def _bold() -> tuple[str, str]:
    """What begins and ends bold text on standard output; nothing where the terminal has none."""
    from rich.console import Console  # only for a terminal: it takes longer than all else
    from rich.text import Text

    # Both sizes, or it would read them from the environment, where they may be anything.
    console = Console(force_terminal=True, highlight=False, width=80, height=25)
    with console.capture() as capture:
        console.print(Text("|", style="bold"), end="")
    begin, _, end = capture.get().partition("|")
    return begin, end


def _row(record: SessionInfo, style: _Style, *, whole: bool) -> Row:
    longest = LONGEST_NAME if whole else style.line
    cells = []
    for field, value in zip(record._fields, record, strict=True):
        mark = style.mark
        if whole and isinstance(value, str):
            mark += f" ({len(value):,} characters)"
        text = style.spelled(shown(field, value, longest, mark))
        cells.append(text if whole else cut(text, longest, mark))
    return cells


def _card(fields: Sequence[str], row: Row, style: _Style) -> str:
    label = max(len(heading(field)) for field in fields)
    room = max((style.width or 0) - label - len(_GAP), _LEAST_NAME)
    begin, end = style.bold
    lines = []
    for field, value in zip(fields, row, strict=True):
        pieces = [value] if style.width is None else folded(value, room)
        name = f"{begin}{heading(field):{label}}{end}"
        lines += [f"{name}{_GAP}{pieces[0]}".rstrip()]
        lines += [" " * (label + len(_GAP)) + piece for piece in pieces[1:]]
    return "".join(line + "\n" for line in lines)


class _Columns:
    """The columns of a table: which there are, and how wide. Both only grow."""

    def __init__(
        self, fields: Sequence[str], style: _Style, widths: Mapping[str, int], *, every: bool
    ) -> None:
        self._all = fields
        self._style = style
        # On a terminal those that have something in them, and the first in any case.
        self._shown = [0] if style.width is not None and not every else list(range(len(fields)))
        self._wanted = [
            max(len(heading(field)), min(widths.get(field, 0), _WIDEST)) for field in fields
        ]
        self._headed = False

    def make_room(self, rows: list[Row]) -> bool:
        """Makes columns for these rows, and wide enough. Returns whether a heading is due."""
        before = len(self._shown)
        self._shown = [
            i
            for i in range(len(self._all))
            if i in self._shown or any(_says(row[i]) for row in rows)
        ]
        self._wanted = [
            min(max(wanted, *(cell_width(row[i]) for row in rows)), max(_WIDEST, wanted))
            for i, wanted in enumerate(self._wanted)
        ]
        self._fields = [self._all[i] for i in self._shown]
        self._numeric = [is_number(field) for field in self._fields]
        self._widths: list[int] | None = [self._wanted[i] for i in self._shown]
        if self._style.width is not None:
            self._widths = _fitted(self._fields, self._widths, self._style.width)
        due = not self._headed or len(self._shown) > before
        self._headed = True
        return due

    def head(self) -> str:
        """The line of headings; on a terminal with a rule below it."""
        if self._widths is None:
            return ""
        pairs = zip(self._fields, self._widths, strict=True)
        names = [cut(heading(field), width, self._style.mark) for field, width in pairs]
        line = self._line(names, self._widths)
        if self._style.width is None:
            return line + "\n"
        begin, end = self._style.bold
        rule = self._style.rule * (sum(self._widths) + len(_GAP) * (len(self._widths) - 1))
        return f"{begin}{line}{end}\n{rule}\n"

    def text(self, rows: list[Row], *, first: bool) -> str:
        """The rows. Where the terminal is too narrow for a table, a card each."""
        if self._widths is None:
            cards = [
                _card(self._fields, [row[i] for i in self._shown], self._style) for row in rows
            ]
            return ("" if first else "\n") + "\n".join(cards)
        return "".join(line + "\n" for row in rows for line in self._lines(row, self._widths))

    def _lines(self, row: Row, widths: list[int]) -> list[str]:
        """One, or as many as a name needs that is wider than its column."""
        cells = [row[i] for i in self._shown]
        if self._style.width is None:
            return [self._line(cells, widths)]
        pieces = [
            folded(cell, width) if field in _NAMES else [cut(cell, width, self._style.mark)]
            for field, cell, width in zip(self._fields, cells, widths, strict=True)
        ]
        return [self._line(line, widths, bold=True) for line in zip_longest(*pieces, fillvalue="")]

    def _line(self, cells: Sequence[str], widths: list[int], *, bold: bool = False) -> str:
        line = [padded(*cell) for cell in zip(cells, widths, self._numeric, strict=True)]
        line[-1] = line[-1].rstrip(" ")
        if bold:
            begin, end = self._style.bold
            line = [
                f"{begin}{cell}{end}" if field in _NAMES else cell
                for field, cell in zip(self._fields, line, strict=True)
            ]
        return _GAP.join(line).rstrip(" ")


def _says(cell: str) -> bool:
    return cell not in ("", NOTHING)


def _fitted(fields: Sequence[str], wanted: list[int], width: int) -> list[int] | None:
    """Widths that fit a terminal: first what may be cut gets narrower, then the names.

    None where it is too narrow for all of them.
    """
    room = width - len(_GAP) * (len(fields) - 1)
    fitted = list(wanted)
    names = [i for i, field in enumerate(fields) if field in _NAMES]
    others = [i for i, field in enumerate(fields) if not (is_number(field) or i in names)]
    for columns, least in ((others, _LEAST_CUT), (names, _LEAST_NAME)):
        while sum(fitted) > room:
            widest = max(columns, key=lambda i: fitted[i], default=None)
            if widest is None or fitted[widest] <= least:
                break
            fitted[widest] -= 1
    return fitted if sum(fitted) <= room else None
