"""The bits of ``user_flags``, apart: ``enum`` is slow to import, and few programs need it."""

from __future__ import annotations

from enum import IntFlag

__all__ = ["SessionFlags"]


class SessionFlags(IntFlag):
    """The bits of ``user_flags`` (SESS_* of lmshare.h, [MS-SRVS] 2.2.4.12). Others are kept.

    Attributes:
        GUEST: the user was logged on as guest.
        NOENCRYPTION: the user logged on without an encrypted password. SMB 3's encryption is not
            meant, and servers of today do not set it ([MS-SMB2] 3.3.4.18).
    """

    GUEST = 1
    NOENCRYPTION = 2
