"""Signals that raise, in the place of Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupted(Exception):
    """What the signal's handler raised."""


@contextmanager
def raising(number: signal.Signals) -> Iterator[None]:
    """Within it that signal raises Interrupted in the main thread."""

    def handler(number: int, frame: object) -> None:
        raise Interrupted

    previous = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, previous)
