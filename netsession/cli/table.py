"""Tables for people: rich on a terminal, aligned text elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from .sink import Sink
from .text import heading, is_number, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netsession.records import SessionInfo

Rows = list[list[str]]
_RICH_ROWS = 500  # rich takes nearly a millisecond a row, so long lists do without
_GAP = 3  # what rich puts between columns here
_LEAST_CUT, _LEAST_NAME = 5, 8  # columns are not made narrower than this
_NEVER_CUT = ("client_name", "user_name")  # these say which session it is


def write_table(parts: Iterable[list[SessionInfo]], sink: Sink) -> int:
    """A table of sessions, part by part; widths are those of the first part, or more."""
    render = None
    count = 0
    widths: list[int] = []
    for part in parts:
        fields = part[0]._fields
        if render is None:
            render = _rich if sink.is_terminal and len(part) <= _RICH_ROWS else _plain
        rows = [[shown(*pair) for pair in zip(fields, record, strict=True)] for record in part]
        widths = _widths(fields, rows, widths)
        sink.write(render(fields, rows, widths, not count))
        count += len(part)
    return count


def write_card(record: SessionInfo, sink: Sink) -> None:
    """One session, a field a line."""
    pairs = [
        (heading(field), shown(field, value))
        for field, value in zip(record._fields, record, strict=True)
    ]
    width = max(len(name) for name, _ in pairs)
    if not sink.is_terminal:
        sink.write("".join(f"{name:{width}}  {value}".rstrip() + "\n" for name, value in pairs))
        return
    card = Table.grid(padding=(0, 2))
    for name, value in pairs:
        card.add_row(Text(name, style="bold"), Text(value, overflow="fold"))
    sink.write(_rendered(card))


def _widths(fields: Sequence[str], rows: Rows, least: list[int]) -> list[int]:
    least = least or [len(heading(field)) for field in fields]
    return [
        max(width, *map(cell_len, cells))
        for width, cells in zip(least, zip(*rows, strict=True), strict=True)
    ]


def _plain(fields: Sequence[str], rows: Rows, widths: list[int], headed: bool) -> str:
    numeric = [is_number(field) for field in fields]
    lines = [[heading(field) for field in fields], *rows] if headed else rows
    return "".join("  ".join(map(_padded, line, widths, numeric)).rstrip() + "\n" for line in lines)


def _padded(cell: str, width: int, numeric: bool) -> str:
    space = " " * (width - cell_len(cell))
    return space + cell if numeric else cell + space


def _rich(fields: Sequence[str], rows: Rows, widths: list[int], headed: bool) -> str:
    room = Console().width - _GAP * (len(fields) - 1)
    fitted = _fitted(fields, widths, room)
    if sum(fitted) > room:
        return _plain(fields, rows, widths, headed)  # better wrapped than cut to nothing
    table = Table(box=box.SIMPLE_HEAD, show_header=headed, show_edge=False, pad_edge=False)
    for field, width in zip(fields, fitted, strict=True):
        never_cut = field in _NEVER_CUT
        table.add_column(
            heading(field),
            justify="right" if is_number(field) else "left",
            style="bold" if never_cut else None,
            # What does not fit is folded in a name, which must be whole, and cut elsewhere.
            overflow="fold" if never_cut else "ellipsis",
            no_wrap=not never_cut,
            width=width,
        )
    for row in rows:
        # Text, not str: square brackets in a name are no markup.
        table.add_row(*map(Text, row))
    return _rendered(table)


def _fitted(fields: Sequence[str], widths: list[int], room: int) -> list[int]:
    """Widths that fit a terminal: first what may be cut gets narrower, then the names."""
    fitted = list(widths)
    names = [i for i, field in enumerate(fields) if field in _NEVER_CUT]
    others = [i for i, field in enumerate(fields) if not (is_number(field) or i in names)]
    for columns, least in ((others, _LEAST_CUT), (names, _LEAST_NAME)):
        while sum(fitted) > room:
            widest = max(columns, key=lambda i: fitted[i], default=None)
            if widest is None or fitted[widest] <= least:
                break
            fitted[widest] -= 1
    return fitted


def _rendered(renderable: RenderableType) -> str:
    console = Console(highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()
