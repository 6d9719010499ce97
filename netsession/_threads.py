"""Threads that no program has to wait for.

The main interpreter ends without them. A sub-interpreter cannot: where one of its threads is left,
CPython ends the whole process ("not the last thread"). So it waits for them, and what they are at
is called off before.
"""

from __future__ import annotations

import _thread
from contextlib import contextmanager
from functools import cache, partial
from importlib import import_module
from weakref import ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = ["called_off_at_end", "start_new_thread"]

_calls_off: dict[object, Callable[[], object]] = {}
_ending: list[bool] = []


def start_new_thread(
    function: Callable[..., object], *arguments: object
) -> Callable[[], object | None]:
    """Runs the function, which raises nothing. RuntimeError where no thread can be started.

    What is returned gives None once the thread has ended: where memory is short that may be without
    a word.
    """
    work = partial(function, *arguments)
    there = ref(work)  # only the thread has it, as long as there is one
    if _is_main_interpreter():
        _thread.start_new_thread(work, ())
    else:
        import threading

        _see_to_the_end()
        threading.Thread(target=work).start()
    return there


@contextmanager
def called_off_at_end(call_off: Callable[[], object]) -> Iterator[None]:
    """Within it, in such a thread: a sub-interpreter that ends calls it off."""
    key = object()
    # Registered first and looked at then; what ends marks first and calls off then.
    _calls_off[key] = call_off
    try:
        if _ending:
            call_off()
        yield
    finally:
        del _calls_off[key]


@cache
def _is_main_interpreter() -> bool:
    for name in ("_interpreters", "_xxsubinterpreters"):  # since 3.13, and before
        try:
            current: Any = import_module(name).get_current()
        except ImportError:
            continue
        return int(current[0] if isinstance(current, tuple) else current) == 0
    return True  # in a Python that cannot make others


@cache
def _see_to_the_end() -> None:
    import threading

    # Before it waits for threads; atexit's functions come after that.
    threading._register_atexit(_call_off_all)  # type: ignore[attr-defined]


def _call_off_all() -> None:
    _ending.append(True)
    for call_off in tuple(_calls_off.values()):
        call_off()
