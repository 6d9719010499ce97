"""The SMB replies that open a session and a pipe, checked field by field before they are used.

smbprotocol takes a server's numbers as they come, reads fields at the places where servers usually
put them, and refuses bits that it does not know. So a reply is checked here, as [MS-SMB2] has it,
and smbprotocol reads one that is put together anew from what was found: nothing that a server sends
in these replies reaches code that has not been told what to expect.

``message`` is always a whole reply, header included; offsets are counted from its first byte.
Every function raises MalformedReply, naming field and byte, if the reply breaks the format.
"""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple

from ..errors import MalformedReply

_HEADER_SIZE: Final = 64
_SMB_3_1_1: Final = 0x0311
_SMB_2_WILDCARD: Final = 0x02FF
_SHARE_TYPE_PIPE: Final = 2
_SHARE_ENCRYPTED: Final = 0x8000  # SMB2_SHAREFLAG_ENCRYPT_DATA
_NOBODY: Final = (0, 0xFFFFFFFFFFFFFFFF)
_NO_TREE: Final = (0, 0xFFFFFFFF)
_NO_FILE: Final = (bytes(16), b"\xff" * 16)

# [MS-SMB2] 2.2.4, and 3.2.5.2: a client should not talk to a server that takes less.
_LEAST_IO: Final = 65_536
_SIGNING: Final = 0x0003  # enabled, required
_CAPABILITIES: Final = 0x007F  # those that smbprotocol knows

_PREAUTH_CONTEXT: Final = 1
_CIPHER_CONTEXT: Final = 2
_SIGNING_CONTEXT: Final = 8
_CONTEXT_NAMES: Final = {
    _PREAUTH_CONTEXT: "SMB2_PREAUTH_INTEGRITY_CAPABILITIES",
    _CIPHER_CONTEXT: "SMB2_ENCRYPTION_CAPABILITIES",
    _SIGNING_CONTEXT: "SMB2_SIGNING_CAPABILITIES",
}
_SHA_512: Final = 1

# size, security mode, dialect, contexts, guid, capabilities, transact, read, write, two times,
# token offset, token length, contexts offset
_NEGOTIATE: Final = struct.Struct("<HHHH16sIIII16xHHI")
_SESSION_SETUP: Final = struct.Struct("<HHHH")
_TREE_CONNECT: Final = struct.Struct("<HBxIII")
_CREATE: Final = struct.Struct("<H62x16s8x")
_IOCTL: Final = struct.Struct("<HHI16sIIIIII")
_VALIDATION_SIZE: Final = 24  # [MS-SMB2] 2.2.32.6
_CONTEXT: Final = struct.Struct("<HH4x")


class Offer(NamedTuple):
    """What the NEGOTIATE request offered; the server chooses among it."""

    dialects: tuple[int, ...]
    ciphers: tuple[int, ...]
    signing_algorithms: tuple[int, ...]


class Negotiated(NamedTuple):
    """What a server chose in its NEGOTIATE reply ([MS-SMB2] 2.2.4)."""

    dialect: int
    security_mode: int
    server_guid: bytes
    capabilities: int
    max_transact: int
    max_read: int
    max_write: int
    token: bytes
    cipher: int | None = None  # None or 0: none
    signing_algorithm: int | None = None  # None: what the dialect says

    def body(self) -> bytes:
        """The reply's body as smbprotocol shall read it: without contexts and unknown bits."""
        sizes = (self.max_transact, self.max_read, self.max_write)
        fixed = _NEGOTIATE.pack(
            65, self.security_mode & _SIGNING, self.dialect, 0, self.server_guid,
            self.capabilities & _CAPABILITIES, *sizes, 128, len(self.token), 0,
        )  # fmt: skip
        return fixed + self.token


def check_negotiate(message: bytes, offer: Offer) -> Negotiated:
    """The reply to NEGOTIATE ([MS-SMB2] 2.2.4, 3.2.5.2)."""
    (
        _, mode, dialect, count, guid, capabilities, transact, read, write,
        token_at, token_size, contexts_at,
    ) = _fields(_NEGOTIATE, message, 65, "NEGOTIATE")  # fmt: skip
    if dialect not in offer.dialects:
        why = " (SMB 2.???, which only an SMB 1 request gets)" if dialect == _SMB_2_WILDCARD else ""
        raise MalformedReply(f"DialectRevision 0x{dialect:04X} was not offered{why}", 68)
    if not mode & _SIGNING:
        raise MalformedReply(f"SecurityMode 0x{mode:04X} says that nothing can be signed", 66)
    for name, at, size in (
        ("MaxTransactSize", 92, transact),
        ("MaxReadSize", 96, read),
        ("MaxWriteSize", 100, write),
    ):
        if size < _LEAST_IO:
            raise MalformedReply(f"{name} {size:,} is below {_LEAST_IO:,}", at)
    token = _buffer(message, token_at, token_size, 128, "SecurityBuffer", 120)
    found = Negotiated(dialect, mode, guid, capabilities, transact, read, write, token)
    if dialect < _SMB_3_1_1:
        return found
    cipher, signing = _check_contexts(_contexts(message, contexts_at, count), offer)
    return found._replace(cipher=cipher, signing_algorithm=signing)


def _contexts(message: bytes, at: int, count: int) -> dict[int, tuple[int, bytes]]:
    """Type: (place, data) of the contexts that are known here ([MS-SMB2] 2.2.3.1)."""
    found: dict[int, tuple[int, bytes]] = {}
    if count and (at < 128 or at % 8):
        raise MalformedReply(f"NegotiateContextOffset {at}", 124)
    for index in range(count):
        if at + 8 > len(message):
            what = f"negotiate context {index + 1} of {count} is missing"
            raise MalformedReply(what, min(at, len(message)))
        kind, size = _CONTEXT.unpack_from(message, at)
        data = message[at + 8 : at + 8 + size]
        if len(data) < size:
            raise MalformedReply(f"negotiate context {kind} of {size} bytes does not fit", at + 2)
        if kind in found:
            raise MalformedReply(f"a second {_CONTEXT_NAMES[kind]} context", at)
        if kind in _CONTEXT_NAMES:
            found[kind] = at, data
        at += 8 + (size + 7) // 8 * 8
    return found


def _check_contexts(
    contexts: dict[int, tuple[int, bytes]], offer: Offer
) -> tuple[int | None, int | None]:
    """Cipher and signing algorithm; the hash must be SHA-512, the only one there is."""
    if _PREAUTH_CONTEXT not in contexts:
        raise MalformedReply(f"no {_CONTEXT_NAMES[_PREAUTH_CONTEXT]} context", 70)
    at, data = contexts[_PREAUTH_CONTEXT]
    _choice(_PREAUTH_CONTEXT, at, data, 4, (_SHA_512,))
    salt = int.from_bytes(data[2:4], "little")
    if 6 + salt > len(data):
        raise MalformedReply(f"SaltLength {salt} does not fit", at + 10)
    cipher = signing = None
    if _CIPHER_CONTEXT in contexts:  # 0 says that there is none in common
        cipher = _choice(_CIPHER_CONTEXT, *contexts[_CIPHER_CONTEXT], 2, (0, *offer.ciphers))
    if _SIGNING_CONTEXT in contexts:
        signing = _choice(
            _SIGNING_CONTEXT, *contexts[_SIGNING_CONTEXT], 2, offer.signing_algorithms
        )
    return cipher, signing


def _choice(kind: int, at: int, data: bytes, start: int, offered: tuple[int, ...]) -> int:
    """The one algorithm in a context; its count comes first, it stands at ``start``."""
    name = _CONTEXT_NAMES[kind]
    if len(data) < start + 2:
        raise MalformedReply(f"{name} context of {len(data)} bytes", at + 2)
    count = int.from_bytes(data[:2], "little")
    if count != 1:
        raise MalformedReply(f"{name} context with {count} algorithms instead of one", at + 8)
    chosen = int.from_bytes(data[start : start + 2], "little")
    if chosen not in offered:
        raise MalformedReply(f"{name} context with {chosen}, which was not offered", at + 8 + start)
    return chosen


def check_session_setup(message: bytes) -> bytes:
    """The body of a reply to SESSION_SETUP, for smbprotocol ([MS-SMB2] 2.2.6)."""
    _, flags, at, size = _fields(_SESSION_SETUP, message, 9, "SESSION_SETUP")
    token = _buffer(message, at, size, 72, "SecurityBuffer", 68)
    if int.from_bytes(message[40:48], "little") in _NOBODY:
        raise MalformedReply("SessionId of no session", 40)
    return _SESSION_SETUP.pack(9, flags & 7, 72, size) + token


def check_tree_connect(message: bytes) -> bytes:
    """The body of a reply to TREE_CONNECT to IPC$, for smbprotocol ([MS-SMB2] 2.2.10)."""
    _, kind, flags, _, access = _fields(_TREE_CONNECT, message, 16, "TREE_CONNECT")
    if kind != _SHARE_TYPE_PIPE:
        raise MalformedReply(f"ShareType {kind} of IPC$, which must be {_SHARE_TYPE_PIPE}", 66)
    if int.from_bytes(message[36:40], "little") in _NO_TREE:
        raise MalformedReply("TreeId of no tree", 36)
    return _TREE_CONNECT.pack(16, kind, flags & _SHARE_ENCRYPTED, 0, access)


def share_is_encrypted(body: bytes) -> bool:
    """Whether a checked body of a reply to TREE_CONNECT wants encryption ([MS-SMB2] 2.2.10)."""
    return bool(_TREE_CONNECT.unpack(body)[2] & _SHARE_ENCRYPTED)


def check_create(message: bytes) -> bytes:
    """The body of a reply to CREATE, for smbprotocol ([MS-SMB2] 2.2.14): nothing but the file."""
    _, file_id = _fields(_CREATE, message, 89, "CREATE")
    if file_id in _NO_FILE:
        raise MalformedReply("FileId of no file", 128)
    return _CREATE.pack(89, file_id)


def check_validation(message: bytes) -> bytes:
    """The body of a reply to VALIDATE_NEGOTIATE_INFO, for smbprotocol ([MS-SMB2] 2.2.32)."""
    name = "VALIDATE_NEGOTIATE_INFO"
    _, _, code, file_id, _, _, at, size, _, _ = _fields(_IOCTL, message, 49, name)
    if size != _VALIDATION_SIZE:
        raise MalformedReply(f"{name} reply of {size} bytes instead of {_VALIDATION_SIZE}", 100)
    data = _buffer(message, at, size, 112, f"{name} reply", 96)
    return _IOCTL.pack(49, 0, code, file_id, 112, 0, 112, size, 0, 0) + data


def _fields(layout: struct.Struct, message: bytes, size: int, name: str) -> tuple[Any, ...]:
    """The fields of the fixed part of a reply, whose first is its StructureSize."""
    if len(message) < _HEADER_SIZE + layout.size:
        raise MalformedReply(f"{name} reply cut short", len(message))
    fields: tuple[Any, ...] = layout.unpack_from(message, _HEADER_SIZE)
    if fields[0] != size:
        raise MalformedReply(f"{name} reply with StructureSize {fields[0]} instead of {size}", 64)
    return fields


def _buffer(message: bytes, at: int, size: int, least: int, name: str, field_at: int) -> bytes:
    """The variable part of a reply, ``size`` bytes at ``at``, nowhere before ``least``."""
    if size and (at < least or at + size > len(message)):
        raise MalformedReply(f"{name} of {size} bytes at {at} does not fit", field_at)
    return message[at : at + size]
