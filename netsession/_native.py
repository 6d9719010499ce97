"""A public call through netapi32.dll or the simulator: when its functions may still begin."""

from __future__ import annotations

from time import monotonic

from .errors import CallTimeout, ConnectionLost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .server import Server
    from .srvsvc.deadline import Deadline

_ERROR_CONNECTION_ABORTED = 1236
_ERROR_TIMEOUT = 1460


class NativeCall:
    """The face of :class:`netsession.srvsvc.client.Call` for functions that nobody can stop.

    What is looked at is whether the next one may begin: not after close(), not once the call was
    called off, and not when ``timeout`` (seconds, None for no limit) has passed.
    """

    def __init__(self, server: Server, function: str, timeout: float | None) -> None:
        self._server = server
        self._function = function
        self._timeout = timeout
        self._end = None if timeout is None else monotonic() + timeout
        self._is_closed = server._eras.watch()
        self._off = False

    @property
    def backend(self) -> Any:
        """What the native core calls; to be asked for before each call of a function."""
        self.check()
        return self._server._backend

    @property
    def deadline(self) -> Deadline:
        """For what is waited for beside the functions: the server's and the whole's time limit."""
        from .srvsvc.deadline import Deadline

        seconds = None if self._end is None else max(0.0, self._end - monotonic())
        limits = [each for each in (self._server._timeout, seconds) if each is not None]
        return Deadline(min(limits, default=None), lambda: self._is_off)

    @property
    def _is_off(self) -> bool:
        return self._off or self._is_closed()

    def renew(self) -> None:
        """Before the next page of a listing. Raises CallTimeout or ConnectionLost."""
        self.check()

    def check(self) -> None:
        """Raises CallTimeout or ConnectionLost where nothing more may begin."""
        name = self._server.name
        if self._is_off:
            detail = "the server was closed during the call; nothing more was asked of it"
            raise ConnectionLost(_ERROR_CONNECTION_ABORTED, self._function, name, detail=detail)
        if self._end is not None and monotonic() >= self._end:
            detail = f"not all of the answers within {self._timeout:g} s"
            raise CallTimeout(_ERROR_TIMEOUT, self._function, name, detail=detail)

    def call_off(self) -> None:
        """No other function of it begins."""
        self._off = True
