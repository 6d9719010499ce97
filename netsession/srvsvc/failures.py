"""What can go wrong below the client, before it is known which function of which server it was.

The client turns these into :mod:`netsession.errors`; they never leave this package.
"""

from __future__ import annotations


class WireError(Exception):
    """The server refused, or the exchange failed, with a Win32 ``status`` and what is known.

    ``ntstatus`` is what the server answered, where that was an NTSTATUS.
    """

    def __init__(self, status: int, detail: str, *, ntstatus: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.ntstatus = ntstatus


class RpcFaultError(WireError):
    """A DCE/RPC fault: the call failed, the connection may be as good as before.

    ``did_not_execute`` is what the fault's flags say: True if the call was not even begun.
    """

    def __init__(self, status: int, detail: str, *, did_not_execute: bool = False) -> None:
        super().__init__(status, detail)
        self.did_not_execute = did_not_execute


class LinkBrokenError(WireError):
    """The connection to the server is gone, or is not to be used any more."""


class DeadlinePassedError(Exception):
    """The time given to the call is over."""


class ChainBrokenError(Exception):
    """The order of the reply's fragments cannot be verified: it has to be read one by one."""


class CalledOffError(Exception):
    """Nobody wants the call to go on: the connection was closed, or its caller is gone."""
