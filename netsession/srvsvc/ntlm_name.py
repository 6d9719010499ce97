r"""The user name that pyspnego logs on with by NTLM.

[MS-NLMP] 3.3.2 hashes the user name in upper case, and both ends must agree on what that is. The
server upcases unit by unit, by its own table; pyspnego takes ``str.upper()``, by which ``großmann``
is ``GROSSMANN``, a user of whom the password then is wrong, and the try counts towards locking the
account. So pyspnego is handed a str whose ``upper()`` is the server's.
"""

from __future__ import annotations

import struct
import sys
from typing import Any, Final

from .._netsession import upcase

SAMBA_TABLE: Final = 1
WINDOWS_TABLE: Final = 2

# CHALLENGE_MESSAGE, [MS-NLMP] 2.2.1.2: signature, type, ..., flags at 20, version at 48
_CHALLENGE: Final = b"NTLMSSP\0\x02\0\0\0"
_FLAGS: Final = struct.Struct("<I")
_BUILD: Final = struct.Struct("<H")
_NEGOTIATE_VERSION: Final = 0x02000000


class NtlmName(str):
    r"""``DOMAIN\user``, ``user@realm`` or ``user``, upcased as the server does it.

    Which table is the server's is told by :meth:`learn`; until then it is Samba's, which is that
    of Windows XP. Pieces of it know what the whole has learned.
    """

    _learned: list[int]

    def __new__(cls, name: str) -> NtlmName:
        """A name that has learned nothing yet."""
        made = super().__new__(cls, name)
        made._learned = [SAMBA_TABLE]
        return made

    def learn(self, token: bytes) -> None:
        """Takes note of who it is that sent an authentication token, if that is a challenge.

        Windows says its build there; Samba says 6.1, build 0.
        """
        challenge = token[at:] if (at := token.find(_CHALLENGE)) >= 0 else b""
        if len(challenge) < 56 or not _FLAGS.unpack_from(challenge, 20)[0] & _NEGOTIATE_VERSION:
            return
        build = _BUILD.unpack_from(challenge, 50)[0]
        self._learned[0] = WINDOWS_TABLE if build else SAMBA_TABLE

    def upper(self) -> str:
        """The name in upper case, by the server's table."""
        return upcase(str(self), self._learned[0])

    def split(self, *args: Any, **kwargs: Any) -> list[str]:
        """As str.split: pyspnego takes the domain off this way."""
        return [self._piece(piece) for piece in super().split(*args, **kwargs)]

    def _piece(self, text: str) -> NtlmName:
        piece = NtlmName(text)
        piece._learned = self._learned
        return piece


def ntlm_name(name: str | None) -> str | None:
    """A user name to hand to pyspnego. Plain on Windows, where SSPI does the hashing."""
    return name if name is None or sys.platform == "win32" else NtlmName(name)
