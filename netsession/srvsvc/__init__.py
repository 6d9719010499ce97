r"""The wire backend: the srvsvc interface of a server, over SMB, on any system.

From the bottom: ``link`` (one TCP connection under a deadline), ``smb`` (SMB 2.0.2 to 3.1.1 by
smbprotocol: negotiation, logon, signing), ``opening`` (what a server says until the pipe is open,
checked), ``pipe`` (the open pipe ``\PIPE\srvsvc``), ``rpc`` and ``dcerpc`` (DCE/RPC calls and their
PDUs), ``client`` (what the rest of netsession uses). Beside them, for what goes wrong:
``failures``, ``statuses``, ``ntstatuses``, ``logon``, ``stranger``.

Nothing here knows NDR: stubs go in and come out as bytes. smbprotocol is imported by the first
call, not by this package.
"""

from __future__ import annotations

from .client import Call, SrvsvcClient

__all__ = ["Call", "SrvsvcClient"]
