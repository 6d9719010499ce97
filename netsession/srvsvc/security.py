"""SMB message signing and encryption once the session's keys are known.

Sources: [MS-SMB2] 3.1.4.1 (signing), 3.1.4.3 (encryption), 2.2.41 (transform header). The keys
and the choice of algorithms are smbprotocol's; the arithmetic is cryptography's. It is done here
rather than there since here every message that must be signed or encrypted is refused if not.
"""

from __future__ import annotations

import hmac
import os
import struct
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import cmac
from cryptography.hazmat.primitives.ciphers import aead, algorithms

from ..errors import MalformedReply

HMAC_SHA256: Final = 0
AES_CMAC: Final = 1
AES_GMAC: Final = 2

_GCM: Final = (2, 4)  # AES-128-GCM, AES-256-GCM; 1 and 3 are CCM ([MS-SMB2] 2.2.3.1.2)

TRANSFORM_ID: Final = b"\xfdSMB"
_TRANSFORM: Final = struct.Struct("<16sIHHQ")  # from the nonce on; that part is authenticated
_TRANSFORM_SIZE: Final = 52
_NO_SIGNATURE: Final = b"\0" * 16


class Signer:
    """Signs requests and verifies replies with the session's signing key."""

    def __init__(self, algorithm: int, key: bytes) -> None:
        self._algorithm = algorithm
        self._key = key
        self._gcm = aead.AESGCM(key) if algorithm == AES_GMAC else None

    def sign(self, message: bytes, message_id: int, *, reply: bool = False) -> bytes:
        """The 16 bytes of signature for ``message``, whatever stands in its signature field."""
        blank = b"".join((message[:48], _NO_SIGNATURE, message[64:]))
        if self._gcm is not None:
            nonce = message_id.to_bytes(8, "little") + (b"\1\0\0\0" if reply else b"\0\0\0\0")
            return self._gcm.encrypt(nonce, b"", blank)
        if self._algorithm == AES_CMAC:
            mac = cmac.CMAC(algorithms.AES(self._key))
            mac.update(blank)
            return mac.finalize()
        return hmac.digest(self._key, blank, "sha256")[:16]

    def signed(self, message: bytes, message_id: int) -> bytes:
        """``message`` with its signature in place."""
        return b"".join((message[:48], self.sign(message, message_id), message[64:]))

    def verify(self, message: bytes, message_id: int) -> bool:
        """True if the reply's signature is right."""
        return hmac.compare_digest(message[48:64], self.sign(message, message_id, reply=True))


class Sealer:
    """Encrypts requests and decrypts replies with the session's encryption keys."""

    def __init__(self, cipher: int, session_id: int, send_key: bytes, receive_key: bytes) -> None:
        make: Any = aead.AESGCM if cipher in _GCM else aead.AESCCM
        self._nonce_size = 12 if cipher in _GCM else 11
        self._session_id = session_id
        self._encrypt = make(send_key).encrypt
        self._decrypt = make(receive_key).decrypt

    def seal(self, message: bytes) -> bytes:
        """``message`` in a transform header, encrypted."""
        nonce = os.urandom(self._nonce_size)
        header = _TRANSFORM.pack(nonce, len(message), 0, 1, self._session_id)
        sealed = self._encrypt(nonce, message, header)
        return b"".join((TRANSFORM_ID, sealed[-16:], header, sealed[:-16]))

    def open(self, message: bytes) -> bytes:
        """The reply inside a transform header; raises MalformedReply if it is not authentic."""
        if len(message) < _TRANSFORM_SIZE:
            raise MalformedReply("encrypted SMB message cut short", len(message))
        header = message[20:_TRANSFORM_SIZE]
        nonce, size, _, flags, session_id = _TRANSFORM.unpack(header)
        if flags != 1 or session_id != self._session_id:
            raise MalformedReply("encrypted SMB message of another session or kind", 42)
        try:
            plain: bytes = self._decrypt(
                nonce[: self._nonce_size], message[_TRANSFORM_SIZE:] + message[4:20], header
            )
        except InvalidTag:
            raise MalformedReply("encrypted SMB message was tampered with", 4) from None
        if len(plain) != size:
            raise MalformedReply(f"encrypted SMB message of {len(plain)} bytes says {size}", 36)
        return plain
