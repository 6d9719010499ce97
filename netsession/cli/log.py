"""``-v``: what the library logs, on standard error."""

from __future__ import annotations

import logging
from contextlib import contextmanager

from .standard import tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class _Told(logging.Handler):
    """A line each, made harmless as all that a server may have had a hand in."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(self.format(record))


@contextmanager
def shown() -> Iterator[None]:
    """Meanwhile, and no longer: a program may call main() again. Never a secret: none is logged."""
    logger = logging.getLogger("netsession")
    told = _Told()
    kept = logger.level, logger.propagate
    logger.addHandler(told)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(told)
        logger.setLevel(kept[0])
        logger.propagate = kept[1]
