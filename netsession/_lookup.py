"""The addresses of a host name, within a time."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["addresses_of"]


def addresses_of(
    name: str, seconds: float | None, getaddrinfo: Callable[..., Any] | None = None
) -> tuple[frozenset[str], str | None]:
    """What a name resolves to: addresses (frozenset of str, without zones), and why there are none.

    ``seconds`` bounds the wait (None: no limit). The look-up itself cannot be stopped: it goes on
    in a daemon thread, which keeps no program from ending. ``getaddrinfo`` stands in for
    ``socket.getaddrinfo`` in tests. Raises nothing of its own.
    """
    import socket
    import threading

    ask = getaddrinfo or socket.getaddrinfo
    answers: list[tuple[frozenset[str], str | None]] = []

    def work() -> None:
        try:
            found = ask(name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            answers.append((frozenset(), reason))
        else:
            hosts = frozenset(str(entry[4][0]).partition("%")[0] for entry in found)
            answers.append((hosts, None if hosts else "it has no address"))

    thread = threading.Thread(target=work, name="netsession-lookup", daemon=True)
    thread.start()
    thread.join(None if seconds is None else min(seconds, threading.TIMEOUT_MAX))
    if not answers:
        return frozenset(), f"no answer within {seconds:g} s"
    return answers[0]
