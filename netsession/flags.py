"""The bits of ``user_flags``, apart: ``enum`` is slow to import, and few programs need it."""

from __future__ import annotations

from enum import IntFlag

__all__ = ["SessionFlags"]


class SessionFlags(IntFlag):
    """The bits of ``user_flags`` (SESS_* of lmshare.h, [MS-SRVS] 2.2.4.12). Others are kept."""

    GUEST = 1
    NOENCRYPTION = 2
