"""A plugin of coverage.py: threads of ``_thread``, which are not threading's, are traced too."""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

_start = _thread.start_new_thread


def coverage_init(reg: Any, options: Mapping[str, Any]) -> None:
    """In each process that is measured."""
    _thread.start_new_thread = _start_traced  # type: ignore[assignment]


def _start_traced(
    function: Callable[..., object], arguments: tuple[Any, ...], *keywords: dict[str, Any]
) -> int:
    def run(*arguments: Any, **keywords: Any) -> None:
        sys.settrace(threading._trace_hook)  # type: ignore[attr-defined]
        function(*arguments, **keywords)

    return _start(run, arguments, *keywords)
