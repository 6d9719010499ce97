"""What a server says until the pipe is open: each field that is read, in bytes made here."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from netsession.errors import MalformedReply
from netsession.srvsvc import opening

OFFER = opening.Offer((0x0202, 0x0210, 0x0302, 0x0311), (2, 1), (1, 0))
GUID = bytes(range(16))
TOKEN = b"token"
UNKNOWN = struct.pack("<HHI", 99, 1, 7) + b"a" + bytes(7)
EMPTY = struct.pack("<HHI", 98, 0, 0)
PREAUTH, CIPHERS, SIGNING = (
    struct.pack("<HHIHHH", 1, 10, 0, 1, 4, 1) + b"salt" + bytes(6),
    struct.pack("<HHIHH", 2, 4, 0, 1, 2) + bytes(4),
    struct.pack("<HHIHH", 8, 4, 0, 1, 1) + bytes(4),
)
CONTEXTS = (PREAUTH, UNKNOWN, CIPHERS, SIGNING)
# Where they are in the message: the token ends at 133.
AT_PREAUTH, AT_UNKNOWN, AT_CIPHERS, AT_SIGNING = 136, 160, 176, 192


def negotiate(dialect: int = 0x0311, contexts: tuple[bytes, ...] = CONTEXTS) -> bytes:
    fixed = struct.pack(
        "<HHHH16sIIIIQQHHI", 65, 0xFF03, dialect, len(contexts), GUID,
        0xFFFFFFFF, 65_536, 65_537, 65_538, 1, 2, 128, len(TOKEN), 136,
    )  # fmt: skip
    return bytes(64) + fixed + TOKEN + bytes(3) + b"".join(contexts)


def put(message: bytes, at: int, value: int, size: int = 2) -> bytes:
    return message[:at] + value.to_bytes(size, "little") + message[at + size :]


def check(message: bytes) -> opening.Negotiated:
    return opening.check_negotiate(message, OFFER)


def refused(check: Callable[[bytes], Any], message: bytes) -> tuple[str, int | None]:
    with pytest.raises(MalformedReply) as caught:
        check(message)
    return str(caught.value), caught.value.offset


FOUND = opening.Negotiated(
    0x0311, 0xFF03, GUID, 0xFFFFFFFF, 65_536, 65_537, 65_538, TOKEN, cipher=2, signing_algorithm=1
)


def test_a_negotiation() -> None:
    assert check(negotiate()) == FOUND
    assert check(negotiate(contexts=CONTEXTS[::-1])) == FOUND
    assert check(negotiate(contexts=(PREAUTH,))) == FOUND._replace(
        cipher=None, signing_algorithm=None
    )
    assert check(negotiate(contexts=(*CONTEXTS, EMPTY))) == FOUND
    # 0 is a cipher in every negotiation: none in common.
    assert check(put(negotiate(), AT_CIPHERS + 10, 0)) == FOUND._replace(cipher=0)
    # Before 3.1.1 there are no contexts, whatever stands in their place.
    older = FOUND._replace(dialect=0x0302, cipher=None, signing_algorithm=None)
    assert check(negotiate(0x0302)) == older
    assert check(put(negotiate(0x0302), 124, 7, 4)) == older
    assert check(negotiate()[: AT_SIGNING + 12]) == FOUND  # the last is not padded
    assert len(check(put(negotiate(), 122, 80)).token) == 80  # all that there is


def test_what_smbprotocol_reads_of_it() -> None:
    """No contexts, no bits that it does not know, and the token where it looks for it."""
    assert FOUND.body() == struct.pack(
        "<HHHH16sIIIIQQHHI", 65, 3, 0x0311, 0, GUID,
        0x7F, 65_536, 65_537, 65_538, 0, 0, 128, 5, 0,
    ) + TOKEN  # fmt: skip


@pytest.mark.parametrize(
    ("message", "text", "offset"),
    [
        (negotiate()[:127], "NEGOTIATE reply cut short", 127),
        (put(negotiate(), 64, 66), "NEGOTIATE reply with StructureSize 66 instead of 65", 64),
        (put(negotiate(), 68, 0x0300), "DialectRevision 0x0300 was not offered", 68),
        (put(negotiate(), 68, 0x02FF), "0x02FF was not offered (SMB 2.???, which only an SMB", 68),
        (put(negotiate(), 66, 0x0004), "SecurityMode 0x0004 says that nothing can be signed", 66),
        (put(negotiate(), 92, 65_535, 4), "MaxTransactSize 65,535 is below 65,536", 92),
        (put(negotiate(), 96, 65_535, 4), "MaxReadSize 65,535 is below 65,536", 96),
        (put(negotiate(), 100, 65_535, 4), "MaxWriteSize 65,535 is below 65,536", 100),
        (put(negotiate(), 120, 127), "SecurityBuffer of 5 bytes at 127 does not fit", 120),
        (put(negotiate(), 122, 81), "SecurityBuffer of 81 bytes at 128 does not fit", 120),
        (put(negotiate(), 124, 120, 4), "NegotiateContextOffset 120", 124),
        (put(negotiate(), 124, 140, 4), "NegotiateContextOffset 140", 124),
        (put(negotiate(), 124, 208, 4), "negotiate context 1 of 4 is missing", 208),
        (negotiate()[: AT_SIGNING + 7], "negotiate context 4 of 4 is missing", AT_SIGNING),
        (negotiate()[: AT_SIGNING + 11], "context 8 of 4 bytes does not fit", AT_SIGNING + 2),
        (put(negotiate(), 70, 0), "no SMB2_PREAUTH_INTEGRITY_CAPABILITIES context", 70),
        (
            negotiate(contexts=(*CONTEXTS[:3], CIPHERS)),
            "a second SMB2_ENCRYPTION_CAPABILITIES context",
            AT_SIGNING,
        ),
        (
            put(negotiate(), AT_PREAUTH + 8, 2),
            "SMB2_PREAUTH_INTEGRITY_CAPABILITIES context with 2 algorithms instead of one",
            AT_PREAUTH + 8,
        ),
        (
            put(negotiate(), AT_PREAUTH + 12, 2),
            "SMB2_PREAUTH_INTEGRITY_CAPABILITIES context with 2, which was not offered",
            AT_PREAUTH + 12,
        ),
        (put(negotiate(), AT_PREAUTH + 10, 5), "SaltLength 5 does not fit", AT_PREAUTH + 10),
        (put(negotiate(), AT_PREAUTH + 10, 0x0104), "SaltLength 260 does not", AT_PREAUTH + 10),
        (
            put(negotiate(), AT_PREAUTH + 2, 5),
            "SMB2_PREAUTH_INTEGRITY_CAPABILITIES context of 5 bytes",
            AT_PREAUTH + 2,
        ),
        (
            put(negotiate(), AT_CIPHERS + 10, 3),
            "SMB2_ENCRYPTION_CAPABILITIES context with 3, which was not offered",
            AT_CIPHERS + 10,
        ),
        (
            put(negotiate(), AT_CIPHERS + 8, 0x0101),
            "SMB2_ENCRYPTION_CAPABILITIES context with 257 algorithms instead of one",
            AT_CIPHERS + 8,
        ),
        (
            put(negotiate(), AT_CIPHERS + 2, 3),
            "SMB2_ENCRYPTION_CAPABILITIES context of 3 bytes",
            AT_CIPHERS + 2,
        ),
        (
            put(negotiate(), AT_SIGNING + 10, 0x0101),
            "SMB2_SIGNING_CAPABILITIES context with 257, which was not offered",
            AT_SIGNING + 10,
        ),
    ],
)
def test_a_negotiation_that_is_refused(message: bytes, text: str, offset: int) -> None:
    told, where = refused(check, message)
    assert text in told
    assert where == offset


def test_only_the_dialect_of_smb_1_is_explained() -> None:
    told, _ = refused(check, put(negotiate(), 68, 0x0300))
    assert "DialectRevision 0x0300 was not offered. " in told


def test_without_contexts_their_place_is_nowhere() -> None:
    none = put(negotiate(contexts=()), 124, 0, 4)
    assert "no SMB2_PREAUTH_INTEGRITY_CAPABILITIES context" in refused(check, none)[0]


# --- what comes after ---------------------------------------------------------------------------

HEADER = bytes(36) + struct.pack("<IQ", 5, 9) + b"signed by nobody"
SESSION = HEADER + struct.pack("<HHHH", 9, 0xFFFF, 72, 5) + TOKEN
TREE = HEADER + struct.pack("<HBBIII", 16, 2, 0xFF, 0xFFFFFFFF, 0xFFFF, 0x1F01FF)
FILE = HEADER + struct.pack("<H", 89) + b"x" * 62 + GUID + b"x" * 8
VALIDATION = (
    HEADER + struct.pack("<HHI16sIIIIII", 49, 9, 0x140204, GUID, 1, 2, 114, 24, 3, 4)
    + b"xx" + bytes(range(24))
)  # fmt: skip


def test_what_smbprotocol_reads_of_the_others() -> None:
    read = opening.check_session_setup(SESSION)
    assert read == struct.pack("<HHHH", 9, 7, 72, 5) + TOKEN
    for at in (0, 72):  # of nothing the place says nothing
        empty = put(put(SESSION, 70, 0), 68, at)
        assert opening.check_session_setup(empty) == struct.pack("<HHHH", 9, 7, 72, 0)
    tree = opening.check_tree_connect(TREE)
    assert tree == struct.pack("<HBBIII", 16, 2, 0, 0x8000, 0, 0x1F01FF)
    assert opening.share_is_encrypted(tree)
    tree = opening.check_tree_connect(put(TREE, 68, 0x7FFF, 4))
    assert tree == struct.pack("<HBBIII", 16, 2, 0, 0, 0, 0x1F01FF)
    assert not opening.share_is_encrypted(tree)
    assert opening.check_create(FILE) == struct.pack("<H62x16s8x", 89, GUID)
    assert opening.check_validation(VALIDATION) == struct.pack(
        "<HHI16sIIIIII", 49, 0, 0x140204, GUID, 112, 0, 112, 24, 0, 0
    ) + bytes(range(24))
    assert opening.check_validation(put(VALIDATION, 96, 112, 4))[-24:] == b"xx" + bytes(range(22))


@pytest.mark.parametrize(
    ("check", "message", "text", "offset"),
    [
        (opening.check_session_setup, SESSION[:71], "SESSION_SETUP reply cut short", 71),
        (opening.check_session_setup, put(SESSION, 64, 8), "SESSION_SETUP reply with Struct", 64),
        (opening.check_session_setup, put(SESSION, 68, 71), "SecurityBuffer of 5 bytes at 71", 68),
        (opening.check_session_setup, put(SESSION, 68, 73), "SecurityBuffer of 5 bytes at 73", 68),
        (opening.check_session_setup, put(SESSION, 40, 0, 8), "SessionId of no session", 40),
        (opening.check_session_setup, put(SESSION, 40, 2**64 - 1, 8), "SessionId of no", 40),
        (opening.check_tree_connect, TREE[:79], "TREE_CONNECT reply cut short", 79),
        (opening.check_tree_connect, put(TREE, 64, 9), "TREE_CONNECT reply with StructureSize", 64),
        (opening.check_tree_connect, put(TREE, 66, 1, 1), "ShareType 1 of IPC$, which must", 66),
        (opening.check_tree_connect, put(TREE, 36, 0, 4), "TreeId of no tree", 36),
        (opening.check_tree_connect, put(TREE, 36, 2**32 - 1, 4), "TreeId of no tree", 36),
        (opening.check_create, FILE[:151], "CREATE reply cut short", 151),
        (opening.check_create, put(FILE, 64, 88), "CREATE reply with StructureSize 88", 64),
        (opening.check_create, put(FILE, 128, 0, 16), "FileId of no file", 128),
        (opening.check_create, put(FILE, 128, 2**128 - 1, 16), "FileId of no file", 128),
        (opening.check_validation, VALIDATION[:111], "VALIDATE_NEGOTIATE_INFO reply cut", 111),
        (opening.check_validation, put(VALIDATION, 64, 48), "StructureSize 48 instead of 49", 64),
        (
            opening.check_validation,
            put(VALIDATION, 100, 23, 4),
            "VALIDATE_NEGOTIATE_INFO reply of 23 bytes instead of 24",
            100,
        ),
        (
            opening.check_validation,
            put(VALIDATION, 96, 111, 4),
            "VALIDATE_NEGOTIATE_INFO reply of 24 bytes at 111 does not fit",
            96,
        ),
        (opening.check_validation, put(VALIDATION, 96, 115, 4), "at 115 does not fit", 96),
    ],
)
def test_what_is_refused_of_the_others(
    check: Callable[[bytes], Any], message: bytes, text: str, offset: int
) -> None:
    told, where = refused(check, message)
    assert text in told
    assert where == offset


def test_ids_that_are_nearly_none() -> None:
    """All bits but one are a session, a tree, a file."""
    opening.check_session_setup(put(SESSION, 40, 2**64 - 2, 8))
    opening.check_session_setup(put(SESSION, 40, 1 << 63, 8))
    opening.check_tree_connect(put(TREE, 36, 2**32 - 2, 4))
    opening.check_tree_connect(put(TREE, 36, 1 << 31, 4))
    opening.check_create(put(FILE, 128, 1 << 127, 16))
    opening.check_create(put(FILE, 128, 1, 16))
