"""What a with block ends."""

from __future__ import annotations

from typing import Self


class Closing:
    """A context manager that opens what it is and, however the block ends, closes it."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Begins, where there is something to begin."""

    def close(self) -> None:
        raise NotImplementedError
