"""``-v``: what the library logs, on standard error."""

from __future__ import annotations

import logging

from .standard import tell


class _Told(logging.Handler):
    """A line each, made harmless as all that a server may have had a hand in."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(self.format(record))


def show_log() -> None:
    """From now on. Never a secret: the library logs none."""
    logger = logging.getLogger("netsession")
    logger.addHandler(_Told())
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
