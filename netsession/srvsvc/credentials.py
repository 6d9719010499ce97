r"""Who logs on, and how pyspnego is told it so that it hashes no more than NTLMv2 needs.

Given a user and a password, pyspnego makes two hashes for each logon. The NT hash takes 15
microseconds. The LM hash, DES in pure Python, takes a fifth of all that a server costs, and only
NTLMv1 has a use for it: [MS-NLMP] 3.3.2 keys both responses of NTLMv2 with the NT hash. pyspnego
takes a list of credentials as well, one for each protocol. So NTLM is given the NT hash, made for
each logon and kept nowhere, and Kerberos the password, which it cannot do without.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final, NoReturn

from .._secret import Secret, hidden

try:
    from spnego import NTLMHash, Password
    from spnego._ntlm_raw.crypto import is_ntlm_hash, ntowfv1
except ImportError:  # a pyspnego without these: it is told the password, and hashes by itself
    _TAKES_A_HASH = False
else:
    _TAKES_A_HASH = True

    class KerberosPassword(Password):
        """A password for Kerberos only: for NTLM pyspnego takes the next credential."""

        @property
        def supported_protocols(self) -> list[str]:
            """What pyspnego asks each credential for."""
            return ["kerberos"]


# Asks pyspnego for NTLMv1 where it is below 3; whoever sets it is left to pyspnego altogether.
_NTLM_VARIABLE: Final = "LM_COMPAT_LEVEL"


class Credentials:
    """Who logs on. None for the name: whoever the ticket cache (on Windows: the logon) says.

    Neither prints nor pickles the password.
    """

    __slots__ = ("_secret", "username")

    def __init__(self, username: str | None, password: str | Secret | None) -> None:
        self.username: str | None = username
        self._secret = hidden(password)

    @property
    def password(self) -> str | None:
        """The password, for whoever logs on with it."""
        return None if self._secret is None else self._secret.reveal()

    def __repr__(self) -> str:
        return f"Credentials({self.username!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials cannot be pickled: it would write the password down")


def for_spnego(username: str | None, password: str | None) -> tuple[Any, str | None]:
    """The ``username`` and ``password`` to give to ``spnego.client``, for the same logon.

    ``username`` is ``ntlm_name``'s. Both come back as they are wherever the LM hash is not made
    or may be needed: without a password, on Windows, for a password that is a pair of hashes
    already (``LM:NT`` in hexadecimal, by which pyspnego tries no Kerberos), for NTLMv1.
    """
    if username is None or password is None or sys.platform == "win32" or not _TAKES_A_HASH:
        return username, password
    if _NTLM_VARIABLE in os.environ or is_ntlm_hash(password):
        return username, password
    for_ntlm = NTLMHash(username, nt_hash=ntowfv1(password).hex())
    return [KerberosPassword(username, password), for_ntlm], None
