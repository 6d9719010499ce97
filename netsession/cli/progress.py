"""How far a scan is: one line on a terminal's standard error, gone at the end."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from threading import Event, RLock, Thread
from time import monotonic

from .sink import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Self

_BETWEEN_LOOKS = 0.1  # seconds: how often the line is drawn anew
_BETWEEN_DRAWINGS = 0.03  # seconds: it is not drawn more often
_BAR = 15  # cells


class NoProgress:
    """Where nobody watches: nothing is shown."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was there."""

    def show(self, done: int, counts: str) -> None:
        """Nothing is shown."""

    def beside(self, sink: Sink) -> Sink:
        """The sink as it is."""
        return sink


class Progress(NoProgress):
    """A bar with the counts of what has come.

    It is drawn by a thread of its own, every tenth of a second, so that its clock goes on while
    all servers are waited for. What is written to the same terminal goes through :meth:`beside`.
    """

    def __init__(self, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar
        from rich.table import Column

        self._lock = RLock()
        self._over = Event()
        self._bar = Bar(
            BarColumn(_BAR),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn(
                "{task.description}",
                markup=False,
                # It gets what room the others leave, which need theirs.
                table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
            ),
            expand=True,
            console=_console(),
            transient=True,
            # Else rich would write when it likes, also while a row of the table is written.
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("", total=total)
        self._is_drawn = False
        self._drawn_at = 0.0
        self._thread = Thread(target=self._keep_drawing, name="netsession progress", daemon=True)

    def __enter__(self) -> Self:
        with self._lock:
            self._draw()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with self._lock:
            self._erase()

    def _keep_drawing(self) -> None:
        while not self._over.wait(_BETWEEN_LOOKS):
            with self._lock:
                if not self._over.is_set():
                    self._draw()

    def _draw(self) -> None:
        if self._is_drawn:
            self._bar.refresh()
        else:
            self._bar.start()
        self._is_drawn = True
        self._drawn_at = monotonic()

    def _erase(self) -> None:
        if self._is_drawn:
            self._bar.stop()
        self._is_drawn = False

    def show(self, done: int, counts: str) -> None:
        """So many servers have answered; the line says it when it is drawn next."""
        self._bar.update(self._task, completed=done, description=counts)

    def beside(self, sink: Sink) -> Sink:
        """A sink to write to while the line is there: it makes room first."""
        return _Beside(sink, self) if sink.is_terminal else sink

    @contextmanager
    def away(self) -> Iterator[None]:
        """Within it the line is not on the terminal."""
        with self._lock:
            self._erase()
            yield
            # Where much is written, drawing it after each piece would take longer than writing.
            if monotonic() - self._drawn_at > _BETWEEN_DRAWINGS:
                self._draw()


class _Beside(Sink):
    """A terminal that the bar is on as well."""

    def __init__(self, sink: Sink, progress: Progress) -> None:
        super().__init__(sink.stream, sink.name)
        self._progress = progress

    def write_bytes(self, data: bytes) -> None:
        """Writes above the bar."""
        with self._progress.away():
            super().write_bytes(data)


def of(total: int, *, wanted: bool) -> NoProgress:
    """The progress of so many servers; nothing where no person looks at standard error."""
    if not wanted or not _can_be_shown():
        return NoProgress()
    return Progress(total)


def _can_be_shown() -> bool:
    from importlib.util import find_spec

    if sys.stderr is None or not sys.stderr.isatty() or find_spec("rich") is None:
        return False
    return not _console().is_dumb_terminal


def _console() -> Any:
    from rich.console import Console, ConsoleDimensions

    class OnStandardError(Console):
        """As wide as the terminal is, whatever $COLUMNS says: a longer line would be two."""

        @property  # type: ignore[misc]  # which may be set there
        def size(self) -> ConsoleDimensions:
            try:
                size = os.get_terminal_size(sys.stderr.fileno())
            except (OSError, ValueError):
                return ConsoleDimensions(80, 25)
            return ConsoleDimensions(size.columns or 80, size.lines or 25)

        def show_cursor(self, show: bool = True) -> bool:
            """It stays: what is killed could not bring it back."""
            return False

    return OnStandardError(stderr=True, highlight=False)
