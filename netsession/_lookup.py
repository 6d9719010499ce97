"""The addresses of a host name, within the time of a call."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._native import NativeCall
    from .srvsvc import Call

__all__ = ["addresses_of"]


def addresses_of(name: str, call: NativeCall | Call) -> tuple[frozenset[str], str | None]:
    """What a name resolves to: addresses (frozenset of str, without zones), and why there are none.

    The time limit of the call bounds the wait, and calling it off ends it with its exception. The
    look-up itself cannot be stopped: it goes on in a thread that keeps no program from ending.
    """
    import socket

    from .srvsvc.deadline import Task
    from .srvsvc.failures import CalledOffError, DeadlinePassedError, WireError

    def work() -> frozenset[str]:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return frozenset(str(entry[4][0]).partition("%")[0] for entry in found)

    try:
        hosts: frozenset[str] = Task(work, lambda _: None).run(call.deadline)
    except DeadlinePassedError:
        return frozenset(), "no answer in time"
    except CalledOffError:
        call.check()
        raise
    except WireError as error:
        return frozenset(), error.detail
    except (OSError, UnicodeError) as error:
        return frozenset(), getattr(error, "strerror", None) or str(error)
    return hosts, None if hosts else "it has no address"
