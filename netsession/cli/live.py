"""The live table of ``netsession watch``: who is there, who has come, who is gone."""

from __future__ import annotations

import os
from datetime import datetime

from netsession.errors import NetApiError
from netsession.records import SessionInfo502
from netsession.watch import SessionChanged, SessionClosed, SessionOpened, WatchFailed

from .cells import cell_width, cut, padded
from .failures import kind_of
from .table import _fitted, _says, _Style
from .text import counted, heading, is_number, shown, visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Self

    from netsession.records import SessionInfo

    from .sink import Sink
    from .watch import News

#: For so many lists what has come, gone or changed is marked.
_MARKED = 3
_MARKS = {"new": "+", "gone": "-", "changed": "~", "": " "}
_STYLES = {"new": "bold green", "gone": "red", "changed": "yellow", "": ""}
_FIELDS = ("server", *SessionInfo502._fields)
_GAP = "  "
_LEAST_LINES = 4  # a terminal that is lower shows no more than its last lines
_WIDEST = 64  # cells: no column is wider


class LiveTable:
    """Drawn anew in place whenever a list has come, and now and then for the terminal's size."""

    def __init__(self, sink: Sink, servers: list[str], every: float) -> None:
        from rich.live import Live

        self._sink = sink
        self._every = every
        self._boards = {name: _Board(name) for name in servers}
        self._live = Live(
            console=_console(sink),
            auto_refresh=False,
            vertical_overflow="crop",
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        self.show(None)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, news: News | None) -> None:
        """Draws what is known, with what has come."""
        from rich.text import Text

        if news is not None:
            self._boards[news.server].take(news)
        width, height = self._size()
        text = Text(no_wrap=True, overflow="crop", end="")
        for number, (line, style) in enumerate(self.lines(width, height)):
            text.append("\n" * (number > 0) + line, style=style or None)
        self._live.update(text, refresh=True)

    def _size(self) -> tuple[int, int]:
        try:
            height = os.get_terminal_size(self._sink.stream.fileno()).lines
        except (OSError, ValueError):
            height = 0
        return self._sink.width, height or 25

    def lines(self, width: int, height: int) -> list[tuple[str, str]]:
        """What is drawn: lines that fit, and how each is shown."""
        style = _Style(self._sink)
        boards = list(self._boards.values())
        below = [
            (cut(style.spelled(board.failure), width, style.mark), "bold red")
            for board in boards
            if board.failure
        ]
        below.append((cut(self._summary(), width, style.mark), "dim"))
        rows = [row for board in boards for row in board.rows]
        room = max(height - 3 - len(below), 1)  # the heading, its rule, and the cursor's line
        chosen = _chosen(rows, room)
        if len(chosen) < len(rows):
            below.insert(0, (f"{style.mark} and {len(rows) - len(chosen):,} more", "dim"))
        table = _table(chosen, width, style, with_server=len(boards) > 1)
        return [*table, *below][-max(height - 1, _LEAST_LINES) :]

    def _summary(self) -> str:
        boards = self._boards.values()
        sessions = counted(sum(board.count for board in boards))
        where = f" on {len(self._boards):,} servers" if len(self._boards) > 1 else ""
        asked = max((board.at for board in boards if board.at is not None), default=None)
        at = "" if asked is None else f", {asked:%H:%M:%S}"
        kinds = [row.kind for board in boards for row in board.rows]
        marked = [f"{kinds.count(kind):,} {kind}" for kind in ("new", "changed", "gone")]
        told = ", ".join(each for each in marked if not each.startswith("0 "))
        return f"{sessions}{where}{at}, every {self._every:g} s" + (f": {told}" if told else "")


class _Row:
    """A session in the table, and for how many lists it is marked as what it has become."""

    def __init__(self, server: str, record: SessionInfo, kind: str = "") -> None:
        self.server = server
        self.record = record
        self.kind = kind
        self.left = _MARKED if kind else 0


class _Board:
    """What the table knows of one server."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.failure = ""
        self.at: datetime | None = None
        self.count = 0
        self._rows: dict[int, _Row] = {}
        self._gone: list[_Row] = []

    @property
    def rows(self) -> list[_Row]:
        return [*self._rows.values(), *self._gone]

    def take(self, news: News) -> None:
        """The next list: marks grow old, and others come."""
        if news.events and isinstance(news.events[0], WatchFailed):
            self.failure = f"{visible(self.server)}: {_in_short(news.events[0].error)}"
        elif news.listed:
            self.failure = ""
        if not news.listed:
            return
        self.at = datetime.now()
        new = {id(each.session) for each in news.events if isinstance(each, SessionOpened)}
        changed = {id(each.session) for each in news.events if isinstance(each, SessionChanged)}
        before, self._rows = self._rows, {}
        for number, record in news.sessions:
            kind = "new" if id(record) in new else "changed" if id(record) in changed else ""
            row = _Row(self.server, record, kind)
            old = before.get(number)
            if not kind and old is not None and old.left > 1:
                row.kind, row.left = old.kind, old.left - 1
            self._rows[number] = row
        self.count = len(self._rows)
        for gone in self._gone:
            gone.left -= 1
        self._gone = [row for row in self._gone if row.left]
        self._gone += [
            _Row(self.server, each.session, "gone")
            for each in news.events
            if isinstance(each, SessionClosed)
        ]


def _in_short(error: NetApiError) -> str:
    told = error.symbol or f"status {error.status}"
    return f"{kind_of(error)} ({told}); what is shown is what was there before"


def _chosen(rows: list[_Row], room: int) -> list[_Row]:
    """Those that there is room for: what is marked first, then the last ones; in their order."""
    if len(rows) <= room:
        return rows
    wanted = sorted(range(len(rows)), key=lambda place: (not rows[place].kind, -place))
    return [rows[place] for place in sorted(wanted[: max(room - 1, 1)])]


def _table(
    rows: list[_Row], width: int, style: _Style, *, with_server: bool
) -> list[tuple[str, str]]:
    """Heading, rule and rows, each a line that fits."""
    cells = [_cells(row, width, style) for row in rows]
    always = {"server"} if with_server else set()
    always |= {"client_name", "user_name"}
    shown_fields = [
        place
        for place, field in enumerate(_FIELDS)
        if (field != "server" or with_server)
        and (field in always or any(_says(row[place]) for row in cells))
    ]
    fields = [_FIELDS[place] for place in shown_fields]
    wanted = [
        min(max([len(heading(field)), *(cell_width(row[place]) for row in cells)]), _WIDEST)
        for field, place in zip(fields, shown_fields, strict=True)
    ]
    mark = len(_GAP)
    widths = _fitted(fields, wanted, width - mark) or wanted
    heads = _line("  ", [heading(field) for field in fields], fields, widths, style)
    rule = style.rule * min(sum(widths) + len(_GAP) * len(widths), width)
    lines = [(heads, "bold"), (rule, "")]
    for row, texts in zip(rows, cells, strict=True):
        some = [texts[place] for place in shown_fields]
        line = _line(_MARKS[row.kind] + " ", some, fields, widths, style)
        lines.append((line, _STYLES[row.kind]))
    return [(cut(line, width, style.mark), how) for line, how in lines]


def _line(
    begin: str, cells: Sequence[str], fields: Sequence[str], widths: Sequence[int], style: _Style
) -> str:
    fitted = [
        padded(cut(cell, width, style.mark), width, is_number(field))
        for cell, field, width in zip(cells, fields, widths, strict=True)
    ]
    return (begin + _GAP.join(fitted)).rstrip(" ")


def _cells(row: _Row, width: int, style: _Style) -> list[str]:
    texts = [style.spelled(visible(row.server))]
    for field in _FIELDS[1:]:
        value = getattr(row.record, field)
        text = shown(field, value, width, style.mark)
        texts.append(cut(style.spelled(text), width, style.mark))
    return texts


def _console(sink: Sink) -> Any:
    """Rich's, on standard output, as wide as the sink says."""
    from rich.console import Console, ConsoleDimensions

    class OnStandardOutput(Console):
        @property  # type: ignore[misc]  # which may be set there
        def size(self) -> ConsoleDimensions:
            try:
                lines = os.get_terminal_size(sink.stream.fileno()).lines
            except (OSError, ValueError):
                lines = 25
            return ConsoleDimensions(sink.width, lines or 25)

        def show_cursor(self, show: bool = True) -> bool:
            """It stays: what is killed could not bring it back."""
            return False

    return OnStandardOutput(highlight=False, force_terminal=True, markup=False, emoji=False)
