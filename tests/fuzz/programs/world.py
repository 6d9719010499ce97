"""What programs share that take steps: an input decides on each, and on what is done by whatever of
ours is called back.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, ClassVar

from .source import Source

_MOST_STEPS = 24
_MOST_DEPTH = 3


class Trapped(Exception):
    """Raised by code of ours that is called back."""


class World:
    """Takes steps until the input is used up."""

    STEPS: ClassVar[tuple[Callable[[Any], None], ...]]

    def __init__(self, data: bytes) -> None:
        self.source = Source(data)
        self.depth = self.steps = 0

    def step(self) -> None:
        self.steps += 1
        self.source.choice(self.STEPS)(self)

    def nested(self) -> None:
        """Code of ours is called back: it does as the input says."""
        what = self.source.below(8)
        if what == 7:
            raise Trapped
        if what > 3 and self.depth < _MOST_DEPTH and self.steps < _MOST_STEPS:
            self.depth += 1
            try:
                self.step()
            finally:
                self.depth -= 1
        elif what == 3:
            gc.collect(0)

    def take_steps(self) -> None:
        while self.source and self.steps < _MOST_STEPS:
            try:
                self.step()
            except Trapped:
                continue

    def stop(self) -> None:
        """From here on nobody who is called back does anything but raise, or collect."""
        self.depth = _MOST_DEPTH


class Number:
    """An int as others may give it, or what is none: being asked for it takes steps."""

    def __init__(self, world: World, value: Any) -> None:
        self._world, self._value = world, value

    def __index__(self) -> Any:
        self._world.nested()
        return self._value
