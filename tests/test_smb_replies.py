"""What a server says at the SMB layer, checked: by the checks themselves, and over a connection.

The server that lies is ``smb_server``; what is asked is the client, as everybody uses it.
"""

from __future__ import annotations

import random
import struct
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from netsession import errors
from netsession.errors import MalformedReply
from netsession.srvsvc import SrvsvcClient, opening
from netsession.srvsvc.failures import WireError

pytest.importorskip("smbprotocol")

from netsession.srvsvc import smb
from netsession.srvsvc.security import Sealer
from smb_server import (
    CMAC,
    CREATE,
    HOST,
    IOCTL,
    MORE_PROCESSING,
    NEGOTIATE,
    NO_CIPHER,
    PASSWORD,
    READ,
    SESSION_SETUP,
    SHA_512,
    STATUS_PENDING,
    TREE_CONNECT,
    USER,
    Raw,
    SmbServer,
    Tamper,
    context,
    negotiate_body,
    truth,
)

ENUM = 12
# Only a hang guard, but for the tests whose server never ends: there it is what ends the call.
PATIENCE = 60.0
STUB = bytes(range(256)) * 100  # six fragments of 4,280 bytes


@pytest.fixture
def server() -> Iterator[SmbServer]:
    with SmbServer(STUB) as server:
        yield server
    assert not server.errors, server.errors


def ask(server: SmbServer, timeout: float = PATIENCE, **options: Any) -> bytes:
    """One call on a connection of its own."""
    options = {"username": USER, "password": PASSWORD, **options}
    client = SrvsvcClient(HOST, port=server.port, timeout=timeout, **options)
    try:
        return client.call(ENUM, bytes(40))
    finally:
        client.close()


def poke(command: int, at: int, value: bytes, which: int = 0) -> Tamper:
    """Overwrites bytes in the ``which``-th reply to ``command``."""
    count = -1

    def tamper(answered: int, reply: bytes) -> bytes:
        nonlocal count
        count += answered == command
        if answered != command or count != which:
            return reply
        return reply[:at] + value + reply[at + len(value) :]

    return tamper


# -- NEGOTIATE ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", [0x0202, 0x0210, 0x0300, 0x0302, 0x0311])
def test_every_dialect(server: SmbServer, dialect: int) -> None:
    """The server of these tests is one that can be talked to, where it does not lie."""
    server.negotiate = negotiate_body(dialect)
    assert ask(server) == STUB


def test_no_thread_of_smbprotocols(server: SmbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    start = threading.Thread.start

    def watched(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", watched)
    assert ask(server) == STUB
    assert not [name for name in started if "msg_worker" in name]


def salted(count: int, salt: int, algorithm: int = 1) -> bytes:
    return context(1, struct.pack("<HHH", count, salt, algorithm) + bytes(32))


NEGOTIATIONS: dict[str, tuple[bytes, str]] = {
    "StructureSize": (b"\x40\0" + negotiate_body()[2:], "StructureSize 64"),
    "no signing": (negotiate_body(mode=0), "SecurityMode"),
    "only unknown modes": (negotiate_body(mode=4), "SecurityMode"),
    "wildcard": (negotiate_body(0x02FF), "0x02FF"),
    "dialect 0": (negotiate_body(0), "DialectRevision 0x0000"),
    "unknown dialect": (negotiate_body(0x0312), "DialectRevision 0x0312"),
    "MaxTransactSize": (negotiate_body(sizes=(65_535, 65_536, 65_536)), "MaxTransactSize 65,535"),
    "MaxReadSize": (negotiate_body(sizes=(65_536, 65_535, 65_536)), "MaxReadSize"),
    "MaxReadSize 0": (negotiate_body(sizes=(65_536, 0, 65_536)), "MaxReadSize 0 "),
    "MaxWriteSize": (negotiate_body(sizes=(65_536, 65_536, 8_192)), "MaxWriteSize"),
    "all sizes 0": (negotiate_body(0x0202, sizes=(0, 0, 0)), "MaxTransactSize 0 "),
    "buffer beyond": (
        negotiate_body(0x0210)[:58] + b"\xff\xff" + negotiate_body(0x0210)[60:],
        "SecurityBuffer of 65535",
    ),
    "buffer in the header": (
        negotiate_body(0x0210)[:56] + b"\4\0\4\0" + negotiate_body(0x0210)[60:],
        "SecurityBuffer of 4 bytes at 4 ",
    ),
    "contexts beyond": (
        negotiate_body()[:60] + b"\xf8\xff\xff\xff" + negotiate_body()[64:],
        "context 1 of 2",
    ),
    "contexts not aligned": (
        negotiate_body()[:60] + b"\x81\0\0\0" + negotiate_body()[64:],
        "NegotiateContextOffset 129",
    ),
    "65,535 contexts": (
        negotiate_body()[:6] + b"\xff\xff" + negotiate_body()[8:],
        "context 3 of 65535",
    ),
    "no contexts": (negotiate_body(contexts=[]), "no SMB2_PREAUTH"),
    "no hash": (negotiate_body(contexts=[CMAC]), "no SMB2_PREAUTH"),
    "two hashes": (negotiate_body(contexts=[SHA_512, SHA_512]), "a second SMB2_PREAUTH"),
    "no algorithm": (negotiate_body(contexts=[salted(0, 32)]), "0 algorithms"),
    "two algorithms": (negotiate_body(contexts=[salted(2, 30)]), "2 algorithms"),
    "another hash": (negotiate_body(contexts=[salted(1, 32, 2)]), "with 2, which was not"),
    "long salt": (negotiate_body(contexts=[salted(1, 33)]), "SaltLength 33"),
    "short hash context": (negotiate_body(contexts=[context(1, b"\1\0\0\0")]), "of 4 bytes"),
    "context beyond": (
        negotiate_body(contexts=[SHA_512, CMAC[:2] + b"\xff\xff" + CMAC[4:]]),
        "of 65535 bytes does not fit",
    ),
    "cipher not offered": (
        negotiate_body(contexts=[SHA_512, context(2, struct.pack("<HH", 1, 9))]),
        "SMB2_ENCRYPTION_CAPABILITIES context with 9",
    ),
    "no ciphers": (
        negotiate_body(contexts=[SHA_512, context(2, struct.pack("<HH", 0, 1))]),
        "0 algorithms",
    ),
    "two cipher contexts": (
        negotiate_body(contexts=[SHA_512, NO_CIPHER, NO_CIPHER]),
        "a second SMB2_ENCRYPTION",
    ),
    "signing not offered": (
        negotiate_body(contexts=[SHA_512, context(8, struct.pack("<HH", 1, 3))]),
        "SMB2_SIGNING_CAPABILITIES context with 3",
    ),
    "two signing contexts": (negotiate_body(contexts=[SHA_512, CMAC, CMAC]), "a second SMB2_SIGN"),
    "short signing context": (negotiate_body(contexts=[SHA_512, context(8, b"\1")]), "of 1 bytes"),
    "cut short": (negotiate_body()[:63], "cut short"),
    "nothing": (b"", "cut short"),
}


@pytest.mark.parametrize(("body", "says"), NEGOTIATIONS.values(), ids=NEGOTIATIONS)
def test_negotiation_is_checked(server: SmbServer, body: bytes, says: str) -> None:
    server.negotiate = body
    with pytest.raises(MalformedReply, match=says) as caught:
        ask(server)
    assert caught.value.offset is not None
    assert set(server.commands) == {NEGOTIATE}  # nothing was asked after that


@pytest.mark.parametrize(
    "contexts",
    [
        [SHA_512, NO_CIPHER, CMAC],
        [CMAC, SHA_512],
        [context(0x77, b""), SHA_512, context(0x100, bytes(9)), context(0x77, b"x"), CMAC],
        [SHA_512, context(3, bytes(10)), context(6, bytes(4)), CMAC],
        [salted(1, 0), CMAC],
    ],
    ids=["no cipher", "another order", "unknown contexts", "those of others", "no salt"],
)
def test_contexts_that_are_legal(server: SmbServer, contexts: list[bytes]) -> None:
    server.negotiate = negotiate_body(contexts=contexts)
    assert ask(server) == STUB


def test_without_a_signing_context_the_dialect_says_how(server: SmbServer) -> None:
    server.negotiate = negotiate_body(contexts=[SHA_512])
    assert ask(server) == STUB


def test_parts_elsewhere_and_bits_of_the_future(server: SmbServer) -> None:
    """Offsets are followed, unknown bits passed over."""
    body = negotiate_body(mode=0xFFF1, capabilities=0xFFFFFF04)
    server.negotiate = body[:60] + struct.pack("<I", 128 + 24) + bytes(24) + body[64:]
    server.tamper = poke(TREE_CONNECT, 68, b"\xff\x7f\xff\xff\xff\xff\xff\xff")
    assert ask(server) == STUB
    for command in (NEGOTIATE, SESSION_SETUP, TREE_CONNECT, CREATE):
        server.tamper = poke(command, 17, b"\xff\xff\xff")  # flags of the header
        assert ask(server) == STUB
    server.tamper = poke(CREATE, 66, b"\xff" * 60)  # times, sizes, attributes
    assert ask(server) == STUB
    server.tamper = poke(CREATE, 144, b"\xff" * 8)  # create contexts, which nobody asked for
    assert ask(server) == STUB


def test_smb_1(server: SmbServer) -> None:
    server.tamper = lambda command, reply: Raw(b"\xffSMB" + bytes(60))
    with pytest.raises(errors.ServerUnreachable, match="SMB 1"):
        ask(server)


@pytest.mark.parametrize(
    "message", [b"", b"\0" * 63, b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(999)]
)
def test_no_smb_at_all(server: SmbServer, message: bytes) -> None:
    server.tamper = lambda command, reply: Raw(message)
    with pytest.raises(errors.ServerUnreachable, match="No SMB 2 server there"):
        ask(server)


# -- SESSION_SETUP, TREE_CONNECT, CREATE ----------------------------------------------------------

LIES: dict[str, tuple[Tamper, str]] = {
    "setup StructureSize": (poke(SESSION_SETUP, 64, b"\x08"), "SESSION_SETUP.*StructureSize 8"),
    "setup buffer beyond": (poke(SESSION_SETUP, 70, b"\xff\xff"), "SecurityBuffer of 65535"),
    "setup buffer before": (poke(SESSION_SETUP, 68, b"\x40\0"), "SecurityBuffer of"),
    "setup session 0": (poke(SESSION_SETUP, 40, bytes(8)), "SessionId of no session"),
    "setup session -1": (poke(SESSION_SETUP, 40, b"\xff" * 8), "SessionId of no session"),
    "setup session 0 at last": (poke(SESSION_SETUP, 40, bytes(8), 1), "SessionId of no session"),
    "another session": (poke(SESSION_SETUP, 40, b"\1" * 8, 1), "SessionId changes"),
    "never complete": (poke(SESSION_SETUP, 8, b"\x16\0\0\xc0", 1), "complete"),
    "tree StructureSize": (poke(TREE_CONNECT, 64, b"\x11"), "TREE_CONNECT.*StructureSize 17"),
    "disk share": (poke(TREE_CONNECT, 66, b"\1"), "ShareType 1"),
    "printer share": (poke(TREE_CONNECT, 66, b"\3"), "ShareType 3"),
    "tree 0": (poke(TREE_CONNECT, 36, bytes(4)), "TreeId of no tree"),
    "tree -1": (poke(TREE_CONNECT, 36, b"\xff" * 4), "TreeId of no tree"),
    "tree of another session": (poke(TREE_CONNECT, 40, b"\1" * 8), "another session"),
    "create StructureSize": (poke(CREATE, 64, b"\x58"), "CREATE.*StructureSize 88"),
    "file 0": (poke(CREATE, 128, bytes(16)), "FileId of no file"),
    "file -1": (poke(CREATE, 128, b"\xff" * 16), "FileId of no file"),
    "tree of nothing": (poke(TREE_CONNECT, 4, b"\x3f"), "SMB 2 message"),
    "ioctl StructureSize": (poke(IOCTL, 64, b"\x30"), "StructureSize"),
    "ioctl output beyond": (poke(IOCTL, 100, b"\xff\xff"), "do not fit"),
    "ioctl more than asked": (poke(IOCTL, 100, b"\1\0\1\0"), "at most 65536"),
    "ioctl output before": (poke(IOCTL, 96, b"\x10"), "do not fit"),
    "ioctl nothing": (poke(IOCTL, 100, bytes(4), 1), "no bytes"),
    "read StructureSize": (poke(READ, 64, b"\x10"), "StructureSize"),
    "read offset": (poke(READ, 66, b"\x4f"), "do not fit"),
    "read beyond": (poke(READ, 66, b"\xff"), "do not fit"),
    "read more than asked": (poke(READ, 68, b"\xff\xff\0\0"), "were asked for"),
    "read 4 GiB": (poke(READ, 68, b"\xff" * 4), "were asked for"),
    "read nothing": (poke(READ, 68, bytes(4)), "no bytes"),
}


@pytest.mark.parametrize(("tamper", "says"), LIES.values(), ids=LIES)
def test_lies_are_noticed(server: SmbServer, tamper: Tamper, says: str) -> None:
    server.tamper = tamper
    with pytest.raises(MalformedReply, match=says):
        ask(server)


@pytest.mark.parametrize("command", [SESSION_SETUP, TREE_CONNECT, CREATE, IOCTL, READ])
@pytest.mark.parametrize("size", [0, 63, 64, 65, 71, 79])
def test_replies_cut_short(server: SmbServer, command: int, size: int) -> None:
    def tamper(answered: int, reply: bytes) -> bytes:
        if answered != command:
            return reply
        cut = reply[:size]
        return cut if size >= 64 else Raw(cut)  # without a whole header there is nothing to sign

    server.tamper = tamper
    with pytest.raises(errors.NetApiError):
        ask(server)


def test_a_logon_that_never_ends(server: SmbServer) -> None:
    """An empty token begins NTLM anew, as often as the server likes."""

    def tamper(command: int, reply: bytes) -> bytes:
        if command != SESSION_SETUP:
            return reply
        head = reply[:8] + MORE_PROCESSING.to_bytes(4, "little") + reply[12:64]
        return head + struct.pack("<HHHH", 9, 0, 72, 0)

    server.tamper = tamper
    with pytest.raises(errors.NetApiError):
        ask(server)
    assert server.commands.count(SESSION_SETUP) <= 8


def der(tag: int, body: bytes) -> bytes:
    """A value in DER, of which a length below 128 has one byte."""
    size = len(body)
    return bytes((tag,)) + (bytes((size,)) if size < 128 else b"\x82" + size.to_bytes(2)) + body


MECHANISMS = der(0xA0, der(0x30, der(0xA0, der(0x30, bytes.fromhex("06012a") * 3_000))))
TOKENS = {
    "no ASN.1": b"A" * 65_000,
    "an endless length": b"\x60\x88" + b"\xff" * 108,
    "an endless identifier": der(0x60, der(0x06, b"\x81" * 9_000)),
    "many mechanisms": der(0x60, bytes.fromhex("06062b0601050502") + MECHANISMS),
    "many answers": der(0xA1, der(0x30, b"\xa0\x03\x0a\x01\x01" * 3_000)),
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_security_tokens_of_garbage(server: SmbServer, token: bytes) -> None:
    server.negotiate = negotiate_body(token=token)
    with pytest.raises(errors.NetApiError):
        ask(server)
    assert set(server.commands) == {NEGOTIATE}  # nothing of the user was sent
    server.negotiate = negotiate_body()

    def tamper(command: int, reply: bytes) -> bytes:
        if command != SESSION_SETUP:
            return reply
        return reply[:64] + struct.pack("<HHHH", 9, 0, 72, len(token)) + token

    server.tamper = tamper
    with pytest.raises(errors.NetApiError):
        ask(server)


def test_a_token_that_cannot_be_read_is_no_wrong_password(server: SmbServer) -> None:
    server.negotiate = negotiate_body(token=TOKENS["an endless identifier"])
    with pytest.raises(MalformedReply, match="token"):
        ask(server)


@pytest.mark.parametrize("cipher", [1, 2, 3, 4])
def test_encrypted_messages_changed_or_cut(cipher: int) -> None:
    sealer = Sealer(cipher, 7, bytes(32 if cipher > 2 else 16), bytes(32 if cipher > 2 else 16))
    message = bytes(range(80))
    sealed = sealer.seal(message)
    assert sealer.open(sealed) == message
    # The nonce has 16 bytes, of which 11 or 12 are used; the rest is authenticated like all else.
    changed = [sealed[:at] + bytes((sealed[at] ^ 4,)) + sealed[at + 1 :] for at in range(4, 132)]
    for lie in [*changed, *(sealed[:end] for end in range(4, 132)), sealed + b"x"]:
        with pytest.raises(MalformedReply):
            sealer.open(lie)


# -- credits and requests that are on their way ---------------------------------------------------


@pytest.mark.parametrize("command", [NEGOTIATE, SESSION_SETUP, TREE_CONNECT, CREATE, IOCTL, READ])
def test_no_credit_left(server: SmbServer, command: int) -> None:
    """From that reply on the server grants nothing."""
    begun = False

    def tamper(answered: int, reply: bytes) -> bytes:
        nonlocal begun
        begun = begun or answered == command
        granted = 0 if begun else 1
        return reply[:14] + struct.pack("<H", granted) + reply[16:]

    server.tamper = tamper
    with pytest.raises(MalformedReply, match="no credit") as caught:
        ask(server)
    assert caught.value.offset == 14


def test_absurd_credits(server: SmbServer) -> None:
    server.credits = 0xFFFF
    client = SrvsvcClient(HOST, port=server.port, username=USER, password=PASSWORD)
    for _ in range(20):
        assert client.call(ENUM, bytes(40)) == STUB
    connection = client._idle
    assert connection is not None
    window = connection._pipe._connection.sequence_window
    assert window["high"] - window["low"] <= 8_192
    client.close()


def twice(command: int, reply: bytes) -> list[bytes]:
    return [reply, reply]


def of_another(command: int, reply: bytes) -> list[bytes]:
    return [reply[:24] + (77).to_bytes(8, "little") + reply[32:], reply]


def of_another_command(command: int, reply: bytes) -> list[bytes]:
    return [reply[:12] + b"\x0d\0" + reply[14:], reply]


def no_reply(command: int, reply: bytes) -> bytes:
    return reply[:16] + b"\0" + reply[17:]


@pytest.mark.parametrize("lie", [twice, of_another, of_another_command, no_reply])
def test_replies_to_nothing_that_was_asked(server: SmbServer, lie: Tamper) -> None:
    server.tamper = lambda command, reply: lie(command, reply) if command == READ else reply
    with pytest.raises(MalformedReply, match="not made"):
        ask(server)


def test_a_larger_reply_than_fits(server: SmbServer) -> None:
    """Padded READ replies: legal up to a point, refused where they cannot answer what was asked."""
    server.tamper = lambda command, reply: reply + bytes(255 if command == READ else 0)
    assert ask(server) == STUB
    server.tamper = lambda command, reply: reply + bytes(60_000 if command == READ else 0)
    with pytest.raises(MalformedReply, match="fit"):
        ask(server)
    server.tamper = lambda command, reply: reply + bytes(70_000)
    with pytest.raises(MalformedReply, match="SMB message of 70,"):
        ask(server)


def test_data_anywhere_in_a_read_reply(server: SmbServer) -> None:
    def tamper(command: int, reply: bytes) -> bytes:
        if command != READ:
            return reply
        return reply[:66] + b"\xff" + reply[67:80] + bytes(175) + reply[80:]

    server.tamper = tamper
    assert ask(server) == STUB


def test_pending_for_ever(server: SmbServer) -> None:
    def tamper(command: int, reply: bytes) -> bytes | Iterator[bytes]:
        if command != IOCTL:
            return reply
        pending = reply[:8] + STATUS_PENDING.to_bytes(4, "little") + reply[12:]
        return iter(lambda: pending, None)

    server.tamper = tamper
    with pytest.raises(errors.CallTimeout):
        ask(server, timeout=0.5)


def test_pending_and_then_the_reply(server: SmbServer) -> None:
    def tamper(command: int, reply: bytes) -> list[bytes]:
        pending = reply[:8] + STATUS_PENDING.to_bytes(4, "little") + reply[12:64] + bytes(9)
        return [pending, pending, reply] if command >= TREE_CONNECT else [reply]

    server.tamper = tamper
    assert ask(server) == STUB


# -- what smbprotocol, pyspnego and cryptography raise --------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("x"), OverflowError("x"), AttributeError("x"), KeyError("x"),
        IndexError("x"), TypeError("x"), ValueError("x"), struct.error("x"), AssertionError("x"),
        NotImplementedError("x"), RecursionError("x"), UnicodeDecodeError("utf-8", b"", 0, 1, "x"),
        StopIteration("x"), EOFError("x"), BufferError("x"), Exception("x"),
    ],
    ids=repr,
)  # fmt: skip
def test_whatever_is_raised_while_logging_on(
    server: SmbServer, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("spnego.client", fail)
    with pytest.raises(MalformedReply, match=type(error).__name__) as caught:
        ask(server)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), MemoryError()], ids=repr)
def test_what_is_not_the_servers_doing(
    server: SmbServer, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    assert smb._translate(error, smb.Credentials(None, None), HOST) is error


def test_faults_of_this_machine_have_statuses() -> None:
    credentials = smb.Credentials("alice", "secret")
    for error, status in (
        (RuntimeError("can't start new thread"), 8),
        (PermissionError(13, "no ticket cache for you"), 31),
        (ImportError("no libgssapi"), 31),
    ):
        found = smb._translate(error, credentials, HOST)
        assert isinstance(found, WireError)
        assert found.status == status
        assert str(error) in found.detail


@pytest.mark.parametrize(("user", "password"), [(USER, "pass\udc80word"), ("al\udc80ce", "x")])
def test_names_that_cannot_be_sent(server: SmbServer, user: str, password: str) -> None:
    with pytest.raises(ValueError, match="surrogate") as caught:
        ask(server, username=user, password=password)
    said = "".join(traceback.format_exception(caught.value))
    assert "udc80" not in said.replace(repr(user), "")


# -- any byte whatever ----------------------------------------------------------------------------


def record(server: SmbServer) -> dict[int, list[bytes]]:
    """The replies of a call that goes well, by command."""
    replies: dict[int, list[bytes]] = {}

    def tamper(command: int, reply: bytes) -> bytes:
        replies.setdefault(command, []).append(reply)
        return reply

    server.tamper = tamper
    assert ask(server) == STUB
    server.tamper = truth
    return replies


OFFER = opening.Offer((0x0202, 0x0210, 0x0300, 0x0302, 0x0311), (2, 1, 4, 3), (2, 1, 0))
CHECKS: dict[int, Callable[[bytes], object]] = {
    NEGOTIATE: lambda message: opening.check_negotiate(message, OFFER).body(),
    SESSION_SETUP: opening.check_session_setup,
    TREE_CONNECT: opening.check_tree_connect,
    CREATE: opening.check_create,
}


@pytest.mark.parametrize("command", CHECKS)
def test_every_byte_of_a_reply(server: SmbServer, command: int) -> None:
    """Each byte at each value, each length: accepted or refused as malformed, nothing else."""
    refused = 0
    check = CHECKS[command]
    reply = record(server)[command][0]
    check(reply)
    changed = [
        reply[:at] + bytes((value,)) + reply[at + 1 :]
        for at in range(64, len(reply))
        for value in range(256)
    ]
    for message in changed + [reply[:end] for end in range(64, len(reply))]:
        try:
            check(message)
        except MalformedReply as error:
            refused += 1
            assert error.offset is not None
            assert 0 <= error.offset <= len(message)
    assert refused > 500


def test_any_bit_of_any_reply(server: SmbServer) -> None:
    """Over a connection: every reply of a call, at half of its bytes some bit, signed."""
    outcomes = {"accepted": 0, "refused": 0}
    for command, which, at, bit in flips(record(server), random.Random(7)):
        _flip(server, command, which, at, bit)
        try:
            assert isinstance(ask(server, timeout=20.0), bytes)
            outcomes["accepted"] += 1
        except errors.NetApiError:
            outcomes["refused"] += 1
    assert outcomes["accepted"] > 30
    assert outcomes["refused"] > 100


def flips(
    replies: dict[int, list[bytes]], dice: random.Random
) -> Iterator[tuple[int, int, int, int]]:
    """Command, which of its replies, byte and bit: some of the bytes that are not the stub's."""
    for command, several in replies.items():
        for which, reply in enumerate(several[:2]):
            places = range(min(len(reply), 160))
            for at in dice.sample(places, len(places) // 2):
                yield command, which, at, dice.randrange(8)


def _flip(server: SmbServer, command: int, which: int, at: int, bit: int) -> None:
    count = -1

    def tamper(answered: int, reply: bytes) -> bytes:
        nonlocal count
        count += answered == command
        if answered != command or count != which or at >= len(reply):
            return reply
        return reply[:at] + bytes((reply[at] ^ 1 << bit,)) + reply[at + 1 :]

    server.tamper = tamper
