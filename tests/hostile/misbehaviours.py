"""The table of misbehaviours: a name, the places where each is tried, what it does, how it ends.

Sections of [MS-SMB2], [MS-RPCE] and C706 are cited where they say what would be right.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import lies
from liar import WITH_CIPHER, Lie, Talk
from lies import (
    FLAGS_AT,
    MESSAGE_ID_AT,
    NEXT_AT,
    SESSION_AT,
    SIGNATURE_AT,
    TREE_AT,
    Telling,
    put,
)
from netsession.srvsvc.ntstatuses import NTSTATUSES
from netsession.srvsvc.security import Sealer
from smb_server import CMAC, MORE_PROCESSING, NO_CIPHER, SHA_512, Raw, negotiate_body, pdu_of

#: The step (NetApiError.step) that each place is a part of, in their order.
STEPS: Final = {
    "negotiate": "negotiate",
    "challenge": "logon",
    "logon": "logon",
    "share": "share",
    "pipe": "pipe",
    "bind": "bind",
    "call": "call",
    "read": "call",
}
ALL: Final = tuple(STEPS)
KEYED: Final = ALL[3:]  # where every message must be signed
PIPED: Final = ALL[5:]
AFTER: Final = ALL[1:]
CALL: Final = ("call",)
BIND: Final = ("bind",)

#: How an attempt ends that does no harm: the answer is right, whatever was said beside it.
ANSWERED: Final = "answered"
WAITS: Final = "CallTimeout"
WITHIN: Final = r"No complete answer within \d+ s"
LOST: Final = "ConnectionLost"  # in the call; before it ServerUnreachable
MALFORMED: Final = "MalformedReply"
UNREACHABLE: Final = "ServerUnreachable"

#: How it ends: the class of the error, and words of its text.
End = tuple[str, str]


@dataclass(frozen=True)
class Misbehaviour:
    """``ends`` and ``says``: the error's class (or ANSWERED) and a pattern for its text; ``at``
    is where that differs. It shows at the step that the place is a part of, at the next one
    (``late``), or at ``shows``."""

    name: str
    tell: Telling
    places: tuple[str, ...]
    ends: str
    says: str = ""
    at: dict[str, End] = field(default_factory=dict)
    late: bool = False
    shows: str | None = None
    ntstatus: int | None = None
    list: bool = True  # what it is tried on
    delete: bool = True
    sure: bool = False  # the server says itself that a delete was not begun

    def end(self, place: str) -> End:
        if place in self.at:
            return self.at[place]
        before = self.ends == LOST and STEPS[place] != "call"
        return UNREACHABLE if before else self.ends, self.says

    def step(self, place: str) -> str:
        if self.shows is not None:
            return self.shows
        if not self.late:
            return STEPS[place]
        places = list(STEPS)
        return STEPS[places[places.index(place) + 1]]


Row = Misbehaviour


def _number(value: int) -> bytes:
    return value.to_bytes(4, "little")


# -- the connection -------------------------------------------------------------------------------

_CLOSES = "closes? the connection|closed the connection"
_STRANGER: End = (UNREACHABLE, "No SMB 2 server there")
_NO_WORD: End = (UNREACHABLE, "without a word")
_REFUSES: End = (UNREACHABLE, "refuses connections from this machine")

CONNECTION = [
    Row("closes it", lies.part(0), ALL, LOST, _CLOSES, {"negotiate": _NO_WORD}),
    Row("resets it", lies.part(0, reset=True), ALL, LOST, "broke", {"negotiate": _NO_WORD}),
    Row("half a length and the end", lies.part(2), ALL, LOST, _CLOSES, {"negotiate": _STRANGER}),
    Row("a length and the end", lies.part(4), ALL, LOST, _CLOSES, {"negotiate": _STRANGER}),
    Row("half a header and the end", lies.part(36), ALL, LOST, _CLOSES),
    Row("half a header and a reset", lies.part(36, reset=True), ALL, LOST, "broke"),
    Row("all but a byte and the end", lies.on_wire(
        lambda talk, message: (talk.raw(lies.framed(message)[:-1]), talk.close())[0]
    ), ALL, LOST, _CLOSES),
    Row("silence", lies.bytes_instead(b""), ALL, WAITS, WITHIN),
    Row("half a header and silence", lies.bytes_instead(b"\0\0\0\x80\xfeSMB"), ALL, WAITS, WITHIN),
    Row("a byte at a time", lies.on_wire(lies.drip), ALL, WAITS, WITHIN),
    Row("a length of 16 MiB", lies.bytes_instead(b"\0\xff\xff\xff"), ALL, MALFORMED,
        "SMB message of 16,777,215 bytes", {"negotiate": _STRANGER}),
    Row("a length beyond what was asked for", lies.bytes_instead(b"\0\x02\0\0"), ALL, MALFORMED,
        "SMB message of 131,072 bytes", {"negotiate": _STRANGER}),
    Row("an empty message", lies.bytes_before(bytes(4)), ALL, MALFORMED, "header cut short",
        {"negotiate": _STRANGER}),
    Row("empty messages without end", lies.for_ever(bytes(4) * 1_000), ALL, MALFORMED,
        "header cut short", {"negotiate": _STRANGER}),
    Row("63 bytes", lies.bytes_before(lies.framed(b"\xfeSMB" + bytes(59))), ALL, MALFORMED,
        "header cut short"),
    # RFC 1002 4.3; [MS-SMB2] 2.1: over TCP the first byte is zero, whatever NetBIOS knows
    Row("a NetBIOS keep-alive", lies.bytes_before(b"\x85\0\0\0"), ALL, MALFORMED, "no SMB server",
        {"negotiate": _STRANGER}),
    Row("NetBIOS keep-alives without end", lies.for_ever(b"\x85\0\0\0" * 1_000), ALL, MALFORMED,
        "no SMB server", {"negotiate": _STRANGER}),
    Row("a negative NetBIOS response", lies.bytes_before(b"\x83\0\0\1\x82"), ALL, MALFORMED,
        "no SMB server", {"negotiate": _REFUSES}),
    Row("a positive NetBIOS response", lies.bytes_before(b"\x82\0\0\0"), ALL, MALFORMED,
        "no SMB server", {"negotiate": _STRANGER}),
    Row("a NetBIOS retarget", lies.bytes_before(b"\x84\0\0\6\x7f\0\0\1\0\x8b"), ALL, MALFORMED,
        "no SMB server", {"negotiate": _STRANGER}),
    Row("HTTP", lies.bytes_instead(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ALL, MALFORMED,
        "no SMB server", {"negotiate": _STRANGER}),
    Row("TLS", lies.bytes_instead(b"\x15\3\1\0\2\2\x46"), ALL, MALFORMED, "no SMB server",
        {"negotiate": _STRANGER}),
    Row("SMB 1", lies.bytes_before(lies.framed(b"\xffSMB\x72" + bytes(60))), ALL, MALFORMED,
        "SMB 1 message", {"negotiate": (UNREACHABLE, "speaks SMB 1 only")}),
    # [MS-SMB2] 2.2.42: compression was never negotiated
    Row("a compressed message", lies.bytes_before(lies.framed(b"\xfcSMB" + bytes(80))), ALL,
        MALFORMED, "no SMB 2 message"),
    Row("random bytes", lies.on_wire(
        lambda talk, message: talk.raw(lies.framed(b"\1" + os.urandom(99)))
    ), ALL, MALFORMED, "no SMB 2 message|NextCommand", {"negotiate": _STRANGER}),
    Row("zeros without end", lies.for_ever(lies.framed(bytes(64_000))), ALL, MALFORMED,
        "no SMB 2 message", {"negotiate": _STRANGER}),
]  # fmt: skip

# -- headers --------------------------------------------------------------------------------------

_NOT_MADE = "to a request that was not made"
_OTHER_ID = struct.pack("<Q", 4_711)
_EARLIER = struct.pack("<Q", 0)
#: [MS-SMB2] 2.2.23.1, .2: an oplock break, and a lease break
_OPLOCK_BREAK = struct.pack("<HBxI16s", 24, 0, 0, b"\1" * 16)
_LEASE_BREAK = struct.pack("<HHI16sIIIII", 44, 0, 1, b"\1" * 16, 7, 0, 0, 0, 0)
_NOTIFICATION = struct.pack("<HHI", 9, 72, 12) + bytes(12)
_UNSOLICITED = 0xFFFFFFFFFFFFFFFF


def _twice(talk: Talk, reply: bytes) -> Iterable[bytes]:
    return [reply, reply]


def _earlier_reply(talk: Talk, reply: bytes) -> Iterable[bytes]:
    yield Raw(talk.said[-1])
    yield reply


def _pending(talk: Talk, reply: bytes, *ids: int) -> Iterable[bytes]:
    return [lies.pending(reply, each) for each in ids]


def _request_back(talk: Talk, reply: bytes) -> Iterable[bytes]:
    yield Raw(talk.request)


HEADERS = [
    Row("another protocol", lies.poke(0, b"\xfeSMC"), ALL, MALFORMED, "no SMB 2 message",
        {"negotiate": _STRANGER}),
    Row("StructureSize 63", lies.poke(4, b"\x3f"), ALL, MALFORMED, "no SMB 2 message"),
    Row("StructureSize 0", lies.poke(4, b"\0"), ALL, MALFORMED, "no SMB 2 message"),
    Row("no reply", lies.poke(FLAGS_AT, b"\0"), ALL, MALFORMED, _NOT_MADE),
    Row("the request itself", lies.messages(_request_back), ALL, MALFORMED, _NOT_MADE),
    Row("another message id", lies.poke(MESSAGE_ID_AT, _OTHER_ID), ALL, MALFORMED, _NOT_MADE),
    Row("an earlier message id", lies.poke(MESSAGE_ID_AT, _EARLIER), AFTER, MALFORMED, _NOT_MADE),
    Row("message id -1", lies.poke(MESSAGE_ID_AT, b"\xff" * 8), ALL, MALFORMED, _NOT_MADE),
    Row("the reply to another command", lies.poke(12, b"\x0d"), ALL, MALFORMED, _NOT_MADE),
    Row("a command that there is not", lies.poke(12, b"\xff\xff"), ALL, MALFORMED, _NOT_MADE),
    Row("another session", lies.poke(SESSION_AT, b"\x55" * 8), KEYED, MALFORMED,
        "for another session"),
    Row("session 0", lies.poke(SESSION_AT, bytes(8)), ALL[1:], MALFORMED, "another session",
        dict.fromkeys(("challenge", "logon"), (MALFORMED, "SessionId"))),
    Row("session -1", lies.poke(SESSION_AT, b"\xff" * 8), ALL[1:], MALFORMED, "another session",
        dict.fromkeys(("challenge", "logon"), (MALFORMED, "SessionId"))),
    Row("another session in the middle", lies.poke(SESSION_AT, b"\1" * 8), ("logon",), MALFORMED,
        "SessionId changes"),
    # [MS-SMB2] 3.2.5.1.2: replies are told apart by their MessageId alone
    Row("another tree", lies.poke(TREE_AT, b"\1\2\3\4"), ALL[4:], ANSWERED),
    Row("tree 0", lies.poke(TREE_AT, bytes(4)), ALL[4:], ANSWERED,
        at={"share": (MALFORMED, "TreeId")}),
    Row("no credits", lies.poke(14, b"\0\0"), ("challenge", "logon", "share", "pipe", "bind"),
        ANSWERED),
    Row("no credits at all", lambda place: Lie(place, credits=0), ("negotiate",), MALFORMED,
        "no credit", shows="logon"),
    Row("65,535 credits", lies.poke(14, b"\xff\xff"), ALL, ANSWERED),
    Row("a credit charge", lies.poke(6, b"\xff\xff"), ALL, ANSWERED),
    Row("unknown flags", lies.poke(17, b"\xff\xff\xff"), ALL, ANSWERED),
    Row("the same reply twice", lies.messages(_twice), ALL[:-2], MALFORMED, _NOT_MADE, late=True),
    Row("the same READ twice", lies.messages(_twice), ("read",), MALFORMED, _NOT_MADE),
    Row("an earlier reply again", lies.messages(_earlier_reply), AFTER, MALFORMED, _NOT_MADE),
    Row("pending for ever", lies.messages(lies.pending_for_ever), ALL, WAITS, WITHIN),
    Row("pending and silence", lies.messages(lambda talk, reply: _pending(talk, reply, 1)), ALL,
        WAITS, WITHIN),
    Row("pending thrice, by other ids", lies.messages(
        lambda talk, reply: [*_pending(talk, reply, 1, 2, 1), reply]
    ), ALL, ANSWERED),
    Row("pending, then another command", lies.messages(
        lambda talk, reply: [*_pending(talk, reply, 1), put(reply, 12, b"\x0d")]
    ), ALL, MALFORMED, _NOT_MADE),
    Row("pending, then another session", lies.messages(
        lambda talk, reply: [*_pending(talk, reply, 1), put(reply, SESSION_AT, b"\x55" * 8)]
    ), KEYED, MALFORMED, "for another session"),
    Row("an oplock break", lies.noise(18, _UNSOLICITED, _OPLOCK_BREAK), ALL, MALFORMED, _NOT_MADE),
    Row("a lease break", lies.noise(18, _UNSOLICITED, _LEASE_BREAK), ALL, MALFORMED, _NOT_MADE),
    Row("a change notification", lies.noise(15, 77, _NOTIFICATION), ALL, MALFORMED, _NOT_MADE),
    Row("a server notification", lies.noise(19, _UNSOLICITED, bytes(12)), ALL, MALFORMED,
        _NOT_MADE),
    Row("the reply to a cancel", lies.noise(12, 3, struct.pack("<HH", 4, 0)), ALL, MALFORMED,
        _NOT_MADE),
    Row("the reply to an echo", lies.noise(13, 9, struct.pack("<HH", 4, 0)), ALL, MALFORMED,
        _NOT_MADE),
    Row("a compound in a loop", lies.poke(NEXT_AT, b"\x08\0\0\0"), ALL, MALFORMED, "NextCommand 8"),
    Row("a compound with itself", lies.poke(NEXT_AT, b"\x40\0\0\0"), ALL, MALFORMED,
        "NextCommand|cut short|signature of an SMB reply is wrong"),
    Row("a compound out of line", lies.poke(NEXT_AT, b"\x41\0\0\0"), ALL, MALFORMED,
        "NextCommand 65"),
    Row("a compound beyond the end", lies.poke(NEXT_AT, b"\0\0\1\0"), ALL, MALFORMED, "cut short"),
    Row("a compound at 4 GiB", lies.poke(NEXT_AT, b"\xf8\xff\xff\xff"), ALL, MALFORMED,
        "cut short"),
]  # fmt: skip

# -- statuses -------------------------------------------------------------------------------------

#: Of [MS-ERREF] 2.3.1, at every step; what they mean is in ntstatuses.py.
ANY_STEP: Final = (
    0xC0000022, 0xC000035C, 0xC0000203, 0xC00000C9, 0xC0000128, 0xC000009A, 0xC000000D,
    0xC0000120, 0xC00000BB, 0xC00000CC, 0xC0000257, 0x8000002D, 0xC00000B0, 0xC000014B,
    0xC00000B1, 0xC00000AE, 0xC00000D9, 0xC00000AC, 0xC00000AB, 0xC00000B5, 0xC000020C,
    0xC000020D, 0xC000006D, 0xC000015B, 0xC0000072, 0xC0000071, 0xC0000234, 0xC0000192,
    0xDEADBEEF, 0x40000001, 0x00000105, 0x7FFFFFFF, 0xFFFFFFFF,
)  # fmt: skip
#: [MS-SMB2] 2.2.2.2.1: where a symbolic link leads; nobody goes there.
_SYMLINK = struct.pack("<HBxII", 9, 1, 52, 0) + struct.pack(
    "<I4sIHHHHHHI", 48, b"SYML", 0xA000000C, 36, 0, 12, 12, 0, 12, 0
) + "\\\\evil".encode("utf-16-le") * 2  # fmt: skip
_REDIRECTED = 0x8000002D


def _named(code: int) -> str:
    return NTSTATUSES.get(code, (0, ""))[1] or f"0x{code:08X}"


STATUSES = [
    *(
        Row(_named(code), lies.status(code), ALL, "", f"0x{code:08X}", ntstatus=code)
        for code in ANY_STEP
    ),
    Row("a status and no body", lies.status(0xC0000022, b""), ALL, "", "0xC0000022"),
    Row("a status and StructureSize 8", lies.status(0xC0000022, b"\x08" + bytes(8)), ALL, "",
        "0xC0000022"),
    Row("a status and 4 GiB of data", lies.status(
        0xC0000022, struct.pack("<HBxI", 9, 255, 0xFFFFFFFF)
    ), ALL, "", "0xC0000022"),
    Row("a status on a whole reply", lies.with_status(0xC0000022), ALL, "", "0xC0000022"),
    Row("a symbolic link to another server", lies.status(_REDIRECTED, _SYMLINK), ALL, "",
        "0x8000002D"),
    Row("more processing for ever", lies.status(MORE_PROCESSING), ALL, "", "0xC0000016",
        {"challenge": ("LogonFailed", "0xC000006D"), "logon": (MALFORMED, "more than 8 SESSION")}),
    Row("buffer overflow", lies.status(0x80000005), ALL, "", "0x80000005",
        dict.fromkeys(PIPED, (MALFORMED, "cut short"))),
    # [MS-SMB2] 3.3.5.2.9: a server that has forgotten the session cannot sign
    Row("session expired, unsigned", lambda place: Lie(
        place, messages=lambda talk, reply: [Raw(lies.status_of(reply, 0xC000035C))]
    ), KEYED, LOST, "0xC000035C"),
    Row("session deleted, unsigned", lambda place: Lie(
        place, messages=lambda talk, reply: [Raw(lies.status_of(reply, 0xC0000203))]
    ), KEYED, LOST, "0xC0000203"),
    Row("access denied, unsigned", lambda place: Lie(
        place, messages=lambda talk, reply: [Raw(lies.status_of(reply, 0xC0000022))]
    ), KEYED, MALFORMED, "is not signed"),
]  # fmt: skip

# -- signatures -----------------------------------------------------------------------------------

SIGNED_PLACES: Final = ("logon", *KEYED)
_LOGON_WRONG: dict[str, End] = {"logon": (MALFORMED, "signature of the SMB logon reply is wrong")}
_WRONG = "signature of an SMB reply is wrong"


def _flagged(message: bytes) -> bytes:
    return put(message, FLAGS_AT, bytes((message[FLAGS_AT] | 8,)))


def _honest_then(talk: Talk, message: bytes) -> bytes:
    talk.honestly(message)
    return message


def _by_key(talk: Talk, message: bytes) -> bytes:
    talk.honestly(message)
    return talk.signed(message, b"not the key at all"[:16])


def _by_base_key(talk: Talk, message: bytes) -> bytes:
    talk.honestly(message)
    return talk.signed(message, talk.session_key)


def _last_bit(talk: Talk, message: bytes) -> bytes:
    signed = talk.honestly(message)
    return put(signed, SIGNATURE_AT + 15, bytes((signed[SIGNATURE_AT + 15] ^ 1,)))


def _of_the_request(talk: Talk, message: bytes) -> bytes:
    talk.honestly(message)
    return put(_flagged(message), SIGNATURE_AT, talk.request[48:64])


def _changed_after(talk: Talk, message: bytes) -> bytes:
    signed = talk.honestly(message)
    return signed[:-1] + bytes((signed[-1] ^ 1,))


SIGNATURES = [
    Row("none", lies.protect(lies.unsigned), SIGNED_PLACES, MALFORMED, "is not signed",
        _LOGON_WRONG),
    Row("none where it is said to be", lies.protect(
        lambda talk, message: _flagged(_honest_then(talk, message))
    ), SIGNED_PLACES, MALFORMED, _WRONG, _LOGON_WRONG),
    Row("random", lies.protect(
        lambda talk, message: put(_flagged(_honest_then(talk, message)), 48, os.urandom(16))
    ), SIGNED_PLACES, MALFORMED, _WRONG, _LOGON_WRONG),
    Row("right, but not said to be there", lies.protect(
        lambda talk, message: put(talk.honestly(message), FLAGS_AT, b"\1")
    ), SIGNED_PLACES, MALFORMED, "is not signed", _LOGON_WRONG),
    Row("a bit of it wrong", lies.protect(_last_bit), SIGNED_PLACES, MALFORMED, _WRONG,
        _LOGON_WRONG),
    Row("by another key", lies.protect(_by_key), SIGNED_PLACES, MALFORMED, _WRONG, _LOGON_WRONG),
    Row("by the session key, not derived", lies.protect(_by_base_key), SIGNED_PLACES, MALFORMED,
        _WRONG, _LOGON_WRONG),
    Row("the request's", lies.protect(_of_the_request), SIGNED_PLACES, MALFORMED, _WRONG,
        _LOGON_WRONG),
    Row("a byte changed after it", lies.protect(_changed_after), SIGNED_PLACES, MALFORMED, _WRONG,
        {"logon": ("LogonFailed", "Message Integrity Check")}),
]  # fmt: skip

# -- encryption -----------------------------------------------------------------------------------


def _plain(talk: Talk, message: bytes) -> bytes:
    talk.honestly(message)
    return Raw(talk.signed(message))


def _by_another_key(talk: Talk, message: bytes) -> bytes:
    talk.honestly(message)
    return Sealer(2, int.from_bytes(message[40:48], "little"), bytes(16), bytes(16)).seal(message)


def _in_two(talk: Talk, message: bytes) -> bytes:
    assert talk.sealer is not None
    return talk.sealer.seal(talk.honestly(message))


def _empty(talk: Talk, message: bytes) -> bytes:
    assert talk.sealer is not None
    return talk.sealer.seal(b"")


def _reflected(talk: Talk, message: bytes) -> bytes:
    return talk.as_sent


ENCRYPTION = [
    Row("signed instead", lies.sealed(_plain), KEYED, MALFORMED, "not encrypted"),
    Row("nothing instead", lies.sealed(lies.unsigned), KEYED, MALFORMED, "not encrypted"),
    Row("by another key", lies.sealed(_by_another_key), KEYED, MALFORMED, "tampered"),
    Row("the request back", lies.sealed(_reflected), KEYED, MALFORMED, "tampered"),
    Row("a byte changed", lies.resealed(
        lambda message: message[:-1] + bytes((message[-1] ^ 1,))
    ), KEYED, MALFORMED, "tampered"),
    Row("another tag", lies.resealed(lambda message: put(message, 4, bytes(16))), KEYED, MALFORMED,
        "tampered"),
    Row("another nonce", lies.resealed(lambda message: put(message, 20, bytes(12))), KEYED,
        MALFORMED, "tampered"),
    Row("another size", lies.resealed(lambda message: put(message, 36, b"\xff" * 4)), KEYED,
        MALFORMED, "tampered"),
    Row("no flag", lies.resealed(lambda message: put(message, 42, b"\0\0")), KEYED, MALFORMED,
        "another session or kind"),
    Row("another session", lies.resealed(lambda message: put(message, 44, bytes(8))), KEYED,
        MALFORMED, "another session or kind"),
    Row("cut short", lies.resealed(lambda message: message[:51]), KEYED, MALFORMED, "cut short"),
    Row("a header of nothing", lies.resealed(lambda message: message[:52]), KEYED, MALFORMED,
        "tampered"),
    Row("nothing inside", lies.sealed(_empty), KEYED, MALFORMED, "header cut short"),
    Row("twice", lies.sealed(_in_two), KEYED, MALFORMED, "no SMB 2 message|NextCommand"),
    Row("though there is no key", lies.bytes_before(
        lies.framed(b"\xfdSMB" + bytes(16) + os.urandom(12) + bytes(4) + bytes(116))
    ), ALL, MALFORMED, "without a key|another session or kind"),
]  # fmt: skip

# -- the negotiation ------------------------------------------------------------------------------


def _negotiates(body: bytes, place: str = "negotiate") -> Telling:
    """An honest server, but for what it negotiates."""
    return lambda _: Lie(place, negotiate=body)


def _on_the_way(at: int, value: bytes) -> Telling:
    """Who stands between changes the reply; the server knows what it said."""
    return lies.on_wire(lambda talk, message: talk.raw(lies.framed(put(message, at, value))))


def _validates(dialect: int, at: int, value: bytes) -> Telling:
    """It confirms another negotiation than there was ([MS-SMB2] 3.2.5.5, 2.2.32.6)."""
    return lambda _: Lie(
        "validate",
        negotiate=negotiate_body(dialect, capabilities=4),
        messages=lambda talk, reply: [put(reply, 112 + at, value)],
    )


_NEGOTIATE: Final = ("negotiate",)
_SHARE: Final = ("share",)
_VALIDATED: Final = "Secure negotiate failed to verify"

NEGOTIATION = [
    Row("MaxTransactSize 0", _negotiates(negotiate_body(sizes=(0, 65_536, 65_536))), _NEGOTIATE,
        MALFORMED, "MaxTransactSize 0 "),
    Row("MaxReadSize 0", _negotiates(negotiate_body(sizes=(65_536, 0, 65_536))), _NEGOTIATE,
        MALFORMED, "MaxReadSize 0 "),
    Row("MaxReadSize 1", _negotiates(negotiate_body(sizes=(65_536, 1, 65_536))), _NEGOTIATE,
        MALFORMED, "MaxReadSize 1 "),
    Row("MaxWriteSize 16", _negotiates(negotiate_body(sizes=(65_536, 65_536, 16))), _NEGOTIATE,
        MALFORMED, "MaxWriteSize 16 "),
    Row("all sizes 4 GiB", _negotiates(negotiate_body(sizes=(0xFFFFFFFF,) * 3)), _NEGOTIATE,
        ANSWERED),
    Row("a dialect that was not offered", _negotiates(negotiate_body(0x0312)), _NEGOTIATE,
        MALFORMED, "0x0312 was not offered"),
    Row("SMB 2.???", _negotiates(negotiate_body(0x02FF)), _NEGOTIATE, MALFORMED, "0x02FF"),
    Row("nothing can be signed", _negotiates(negotiate_body(mode=0)), _NEGOTIATE, MALFORMED,
        "SecurityMode"),
    Row("65,535 contexts", _negotiates(WITH_CIPHER[:6] + b"\xff\xff" + WITH_CIPHER[8:]),
        _NEGOTIATE, MALFORMED, "of 65535"),
    Row("contexts that are not there", _negotiates(negotiate_body(contexts=[])), _NEGOTIATE,
        MALFORMED, "PREAUTH"),
    Row("a token of 60,000 bytes", _negotiates(
        negotiate_body(token=b"\x60\x88" + b"\xff" * 60_000)),
        _NEGOTIATE, MALFORMED, "token|SecurityBuffer|logon", shows="logon"),
    Row("the dialect lowered on the way", _on_the_way(68, b"\x02\x03"), _NEGOTIATE, MALFORMED,
        "signature of the SMB logon reply",
        shows="logon"),
    Row("the capabilities changed on the way", _on_the_way(88, b"\0"), _NEGOTIATE, MALFORMED,
        "signature of the SMB logon reply", shows="logon"),
    Row("the server's id changed on the way", _on_the_way(72, b"x"), _NEGOTIATE, MALFORMED,
        "signature of the SMB logon reply", shows="logon"),
    Row("the salt changed on the way", _on_the_way(150, b"x"), _NEGOTIATE, MALFORMED,
        "signature of the SMB logon reply", shows="logon"),
    Row("the mode changed on the way", _on_the_way(66, b"\3"), _NEGOTIATE, MALFORMED,
        "signature of the SMB logon reply", shows="logon"),
    *(
        Row(f"another {what} of SMB {dialect:x} confirmed", _validates(dialect, at, value), _SHARE,
            MALFORMED, f"{_VALIDATED} server {what}")
        for dialect in (0x0202, 0x0210, 0x0300, 0x0302)
        for what, at, value in (
            ("capabilities", 0, b"\x45"), ("guid", 4, b"x"), ("security mode", 20, b"\3"),
            ("dialect", 22, b"\x11\x03"),
        )
    ),
    *(
        Row(f"no confirmation of SMB {dialect:x}", lambda _, dialect=dialect: Lie(
            "validate", negotiate=negotiate_body(dialect), messages=lambda talk, reply: [
                Raw(lies.status_of(reply, 0xC00000BB))
            ]
        ), _SHARE, MALFORMED, "is not signed")
        for dialect in (0x0202, 0x0210, 0x0300, 0x0302)
    ),
    Row("a confirmation of nothing", lambda _: Lie(
        "validate", negotiate=negotiate_body(0x0302),
        messages=lambda talk, reply: [put(reply, 100, bytes(4))],
    ), _SHARE, MALFORMED, "VALIDATE_NEGOTIATE_INFO reply of 0 bytes"),
    Row("a confirmation cut short", lambda _: Lie(
        "validate", negotiate=negotiate_body(0x0302),
        messages=lambda talk, reply: [reply[:112]],
    ), _SHARE, MALFORMED, "VALIDATE_NEGOTIATE_INFO.*does not fit"),
    Row("a confirmation in 23 bytes", lambda _: Lie(
        "validate", negotiate=negotiate_body(0x0302),
        messages=lambda talk, reply: [put(reply, 100, b"\x17")[:-1]],
    ), _SHARE, MALFORMED, "VALIDATE_NEGOTIATE_INFO reply of 23 bytes"),
    Row("a confirmation of StructureSize 48", lambda _: Lie(
        "validate", negotiate=negotiate_body(0x0302),
        messages=lambda talk, reply: [put(reply, 64, b"\x30")],
    ), _SHARE, MALFORMED, "StructureSize 48"),
    Row("a confirmation elsewhere in the message", lambda _: Lie(
        "validate", negotiate=negotiate_body(0x0302),
        messages=lambda talk, reply: [put(reply[:112] + bytes(40) + reply[112:], 96, b"\x98")],
    ), _SHARE, ANSWERED),
    Row("a confirmation of 60,000 bytes", lambda _: Lie(
        "validate", negotiate=negotiate_body(0x0302),
        messages=lambda talk, reply: [reply + bytes(60_000)],
    ), _SHARE, ANSWERED),
]  # fmt: skip

# -- the logon ------------------------------------------------------------------------------------

_LOGON: Final = ("logon",)
_CHALLENGE: Final = ("challenge",)
NTLM_OID: Final = bytes.fromhex("2b06010401823702020a")
KERBEROS_OID: Final = bytes.fromhex("2a864886f712010202")
_ACCEPTED, _INCOMPLETE, _REJECTED = b"\0", b"\1", b"\2"


def der(tag: int, body: bytes) -> bytes:
    """A value in DER (X.690 8.1)."""
    size = len(body)
    if size < 128:
        return bytes((tag, size)) + body
    return bytes((tag, 0x82)) + size.to_bytes(2) + body


def neg_token_resp(state: bytes, mechanism: bytes, token: bytes, mic: bytes = b"") -> bytes:
    """RFC 4178 4.2.2."""
    fields = der(0xA0, der(0x0A, state)) + der(0xA1, der(6, mechanism)) + der(0xA2, der(4, token))
    return der(0xA1, der(0x30, fields + (der(0xA3, der(4, mic)) if mic else b"")))


def _token(token: bytes) -> Telling:
    """The reply with another security token."""
    return lies.body(lambda body: put(body[:8], 6, struct.pack("<H", len(token))) + token)


def _challenge(**fields: bytes | int) -> Telling:
    """The CHALLENGE_MESSAGE with other flags or target info ([MS-NLMP] 2.2.1.2)."""
    clear = int(fields.get("clear", 0))
    info = fields.get("info", b"")

    def make(reply: bytes) -> bytes:
        ntlm = reply[reply.index(b"NTLMSSP\0") :]
        flags = int.from_bytes(ntlm[20:24], "little") & ~clear
        ntlm = put(ntlm, 20, flags.to_bytes(4, "little"))
        if isinstance(info, bytes) and info:
            ntlm = put(ntlm[:56], 40, struct.pack("<HHI", len(info), len(info), 56)) + info
        token = neg_token_resp(_INCOMPLETE, NTLM_OID, ntlm)
        return put(reply[:72], 70, struct.pack("<H", len(token))) + token

    return lies.message(make)


def _pair(kind: int, value: bytes) -> bytes:
    """An AV_PAIR ([MS-NLMP] 2.2.2.1)."""
    return struct.pack("<HH", kind, len(value)) + value


def _flags(flags: int) -> Telling:
    """The SessionFlags of the last reply ([MS-SMB2] 2.2.6)."""
    return lies.poke(66, struct.pack("<H", flags))


_REFUSED: Final[End] = ("LogonFailed", "0xC000006D")  # the honest part of the server, misled
_UNREADABLE: Final[End] = (MALFORMED, "SMB (negotiation or )?logon:")
_ENDS = bytes(4)
_WHO = _pair(2, "LIAR".encode("utf-16-le"))

LOGON = [
    *(
        Row(f"an NTLM challenge without {what}", _challenge(clear=flag), _CHALLENGE, *_REFUSED)
        for what, flag in (
            ("Unicode", 0x1), ("signing", 0x10), ("key exchange", 0x40000000),
            ("128 bit", 0x20000000), ("extended session security", 0x80000),
            ("target info", 0x800000), ("NTLM", 0x200),
        )
    ),
    Row("an NTLM challenge without any flag", _challenge(clear=0xFFFFFFFF), _CHALLENGE,
        "LogonFailed", "this machine says"),
    *(
        Row(f"an NTLM challenge with {what}", _challenge(info=info), _CHALLENGE, *end)
        for end, what, info in (
            (_REFUSED, "target info of 60,000 bytes", _pair(2, b"A\0" * 30_000) + _ENDS),
            (_REFUSED, "target info without an end", _WHO),
            (_UNREADABLE, "a pair cut short", _WHO + b"\1"),
            (_REFUSED, "a pair beyond the end", _pair(2, b"")[:2] + b"\xff\xff"),
            (_REFUSED, "an unknown pair", _pair(99, b"x") + _ENDS),
            (_UNREADABLE, "flags of one byte", _pair(6, b"\2") + _ENDS),
            (_UNREADABLE, "a timestamp of one byte", _pair(7, b"\1") + _ENDS),
            (_UNREADABLE, "a name of half a character", _pair(2, b"A") + _ENDS),
            (_REFUSED, "10,000 pairs", _WHO * 5_000 + _ENDS),
            (_REFUSED, "nothing but the end", _ENDS),
        )
    ),
    *(
        Row(f"a token of {what}", _token(token), _CHALLENGE, *end)
        for end, what, token in (
            (_REFUSED, "nothing", b""),
            (_UNREADABLE, "garbage", b"A" * 60_000),
            (_UNREADABLE, "an endless length", b"\xa1\x88" + b"\xff" * 99),
            (_UNREADABLE, "an endless identifier", der(
                0xA1, der(0x30, der(0xA1, der(6, b"\x81" * 9_000)))
            )),
            (_REFUSED, "NTLM alone", b"NTLMSSP\0\2\0\0\0" + bytes(40)),
            (_UNREADABLE, "half a signature", neg_token_resp(_INCOMPLETE, NTLM_OID, b"NTLMSS")),
            (_UNREADABLE, "the client's own kind", neg_token_resp(
                _INCOMPLETE, NTLM_OID, b"NTLMSSP\0\1\0\0\0" + bytes(32)
            )),
            (_UNREADABLE, "the last kind", neg_token_resp(
                _INCOMPLETE, NTLM_OID, b"NTLMSSP\0\3\0\0\0" + bytes(80)
            )),
            (_UNREADABLE, "Kerberos", neg_token_resp(_INCOMPLETE, KERBEROS_OID, b"x" * 40)),
            (_UNREADABLE, "an unknown mechanism", neg_token_resp(
                _INCOMPLETE, b"\x2a\x03\x04", b"x" * 40
            )),
            (_UNREADABLE, "a rejection", neg_token_resp(_REJECTED, NTLM_OID, b"")),
            (_UNREADABLE, "completion without a challenge", neg_token_resp(
                _ACCEPTED, NTLM_OID, b""
            )),
        )
    ),
    Row("completion before the challenge", lies.poke(8, bytes(4)), _CHALLENGE, MALFORMED,
        "complete before it is"),
    Row("completion without a token", lies.body(lambda _: struct.pack("<HHHH", 9, 0, 72, 0)),
        _LOGON, MALFORMED, "complete before it is"),
    Row("a rejection that succeeds", _token(neg_token_resp(_REJECTED, NTLM_OID, b"x")), _LOGON,
        MALFORMED, "complete before it is"),
    Row("a wrong MIC of the mechanisms", _token(
        neg_token_resp(_ACCEPTED, NTLM_OID, b"", b"\1\0\0\0" + bytes(12))
    ), _LOGON, "LogonFailed", "Message Integrity Check"),
    Row("never complete", lies.with_status(MORE_PROCESSING), _LOGON, MALFORMED,
        "never says that the logon is complete"),
    Row("a guest", _flags(1), _LOGON, "LogonFailed", "only as a guest or anonymously"),
    Row("nobody", _flags(2), _LOGON, "LogonFailed", "only as a guest or anonymously"),
    Row("a guest, unsigned", lambda place: Lie(place, protect=lambda talk, message: Raw(
        put(_honest_then(talk, message), 66, b"\1\0")
    )), _LOGON, "LogonFailed", "only as a guest or anonymously"),
    Row("encryption without a cipher", lambda place: Lie(
        place, negotiate=negotiate_body(contexts=[SHA_512, NO_CIPHER, CMAC]),
        messages=lambda talk, reply: [put(reply, 66, b"\4\0")],
    ), _LOGON, MALFORMED, "encryption is required but the connection does not support it"),
    Row("encryption without a cipher in SMB 2.1", lambda place: Lie(
        place, negotiate=negotiate_body(0x0210),
        messages=lambda talk, reply: [put(reply, 66, b"\4\0")],
    ), _LOGON, MALFORMED, "encryption is required but the connection does not support it"),
    Row("StructureSize 8", lies.poke(64, b"\x08"), ("challenge", "logon"), MALFORMED,
        "SESSION_SETUP reply with StructureSize 8"),
    Row("a token beyond the end", lies.poke(70, b"\xff\xff"), ("challenge", "logon"), MALFORMED,
        "SecurityBuffer of 65535"),
    Row("a token in the header", lies.poke(68, b"\4\0"), _CHALLENGE, MALFORMED, "SecurityBuffer"),
]  # fmt: skip

# -- the share and the pipe -----------------------------------------------------------------------

_PIPE: Final = ("pipe",)


def _share_flags(flags: int) -> Telling:
    return lies.poke(68, flags.to_bytes(4, "little"))


OPENING = [
    Row("a disk instead of IPC$", lies.poke(66, b"\1"), _SHARE, MALFORMED, "ShareType 1"),
    Row("a printer instead of IPC$", lies.poke(66, b"\3"), _SHARE, MALFORMED, "ShareType 3"),
    Row("a share of no kind", lies.poke(66, b"\0"), _SHARE, MALFORMED, "ShareType 0"),
    Row("StructureSize 17", lies.poke(64, b"\x11"), _SHARE, MALFORMED, "StructureSize 17"),
    Row("a share in DFS", _share_flags(0x31), _SHARE, ANSWERED),
    Row("a share with every flag but encryption", _share_flags(0xFFFF7FFF), _SHARE, ANSWERED),
    Row("a share with every capability", lies.poke(72, b"\xff" * 4), _SHARE, ANSWERED),
    Row("a share that nobody may use", lies.poke(76, bytes(4)), _SHARE, ANSWERED),
    # [MS-SMB2] 3.2.5.5: from then on the server wants it encrypted
    Row("a share that must be encrypted", _share_flags(0x8000), _SHARE, ANSWERED),
    *(
        Row(f"a share that must be encrypted, without a cipher in SMB {dialect:x}",
            lambda place, body=body: Lie(
                place, negotiate=body,
                messages=lambda talk, reply: [put(reply, 68, _number(0x8000))],
            ), _SHARE, "NotSupported", r"wants IPC\$ to be encrypted")
        for dialect, body in (
            (0x0311, negotiate_body(contexts=[SHA_512, NO_CIPHER, CMAC])),
            (0x0302, negotiate_body(0x0302)),
        )
    ),
    Row("a share that must be encrypted in SMB 2.1, which has no such flag", lambda place: Lie(
        place, negotiate=negotiate_body(0x0210),
        messages=lambda talk, reply: [put(reply, 68, _number(0x8000))],
    ), _SHARE, ANSWERED),
    Row("tree -1", lies.poke(TREE_AT, b"\xff" * 4), _SHARE, MALFORMED, "TreeId of no tree"),
    Row("a share cut short", lies.message(lambda reply: reply[:79]), _SHARE, MALFORMED,
        "TREE_CONNECT reply cut short"),
    Row("file 0", lies.poke(128, bytes(16)), _PIPE, MALFORMED, "FileId of no file"),
    Row("file -1", lies.poke(128, b"\xff" * 16), _PIPE, MALFORMED, "FileId of no file"),
    Row("a file cut short", lies.message(lambda reply: reply[:151]), _PIPE, MALFORMED,
        "CREATE reply cut short"),
    Row("StructureSize 88", lies.poke(64, b"\x58"), _PIPE, MALFORMED, "StructureSize 88"),
    Row("an oplock that nobody asked for", lies.poke(66, b"\xff"), _PIPE, ANSWERED),
    Row("a directory of 2^64 bytes", lies.poke(104, b"\xff" * 20), _PIPE, ANSWERED),
    Row("create contexts beyond the end", lies.poke(144, b"\xff" * 8), _PIPE, ANSWERED),
]  # fmt: skip

# -- what a READ or an IOCTL brings ---------------------------------------------------------------

_READ: Final = ("read",)
_IOCTL: Final = ("bind", "call")


def _a_byte_each(talk: Talk, answer: list[bytes]) -> Iterable[bytes]:
    return (bytes((byte,)) for pdu in answer for byte in pdu)


def _all_in_one(talk: Talk, answer: list[bytes]) -> Iterable[bytes]:
    yield b"".join(answer)


def _another_file(talk: Talk, reply: bytes) -> Iterable[bytes]:
    yield put(reply, 72, b"\7" * 16)


DATA = [
    Row("an IOCTL of 0 bytes", lies.poke(100, bytes(4)), ("bind", "call"), MALFORMED, "no bytes"),
    Row("an IOCTL beyond the end", lies.poke(100, b"\0\xf0\0\0"), _IOCTL, MALFORMED, "do not fit"),
    Row("an IOCTL of more than asked for", lies.poke(100, b"\1\0\1\0"), _IOCTL, MALFORMED,
        "at most 65536 were asked for"),
    Row("an IOCTL of 4 GiB", lies.poke(100, b"\xff" * 4), _IOCTL, MALFORMED, "were asked for"),
    Row("an IOCTL in the header", lies.poke(96, b"\x10"), _IOCTL, MALFORMED, "do not fit"),
    Row("an IOCTL at 4 GiB", lies.poke(96, b"\xff" * 4), _IOCTL, MALFORMED, "do not fit"),
    Row("StructureSize 48", lies.poke(64, b"\x30"), _IOCTL, MALFORMED, "StructureSize"),
    Row("an IOCTL cut short", lies.message(lambda reply: reply[:111]), _IOCTL, MALFORMED,
        "cut short"),
    Row("another IOCTL", lies.poke(68, b"\4\2\x14\0"), _IOCTL, ANSWERED),
    Row("another file", lies.messages(_another_file), _IOCTL, ANSWERED),
    Row("an IOCTL with more behind", lies.message(lambda reply: reply + bytes(60)), _IOCTL,
        ANSWERED),
    Row("an IOCTL with 60,000 bytes behind", lies.message(lambda reply: reply + bytes(68_000)),
        _IOCTL, MALFORMED, "fit|SMB message of"),
    Row("a READ of 0 bytes", lies.poke(68, bytes(4)), _READ, MALFORMED, "no bytes"),
    Row("a READ beyond the end", lies.poke(68, b"\x90\5"), _READ, MALFORMED, "do not fit|asked"),
    Row("a READ of more than asked for", lies.poke(68, b"\1\0\1\0"), _READ, MALFORMED,
        "were asked for"),
    Row("a READ of 4 GiB", lies.poke(68, b"\xff" * 4), _READ, MALFORMED, "were asked for"),
    Row("a READ in the header", lies.poke(66, b"\x10"), _READ, MALFORMED, "do not fit"),
    Row("a READ with remaining bytes", lies.poke(72, b"\xff" * 4), _READ, ANSWERED),
    Row("StructureSize 16", lies.poke(64, b"\x10"), _READ, MALFORMED, "StructureSize"),
    Row("a READ cut short", lies.message(lambda reply: reply[:79]), _READ, MALFORMED, "cut short"),
    Row("a READ with 60,000 bytes behind", lies.message(lambda reply: reply + bytes(60_000)),
        _READ, MALFORMED, "fit"),
    Row("a READ that never has data", lies.messages(lies.pending_for_ever), _READ, WAITS, WITHIN),
    Row("a byte in each READ", lies.pdus(_a_byte_each), ("bind", "call"), ANSWERED),
    Row("all fragments in one READ", lies.pdus(_all_in_one), CALL, ANSWERED),
]  # fmt: skip

# -- DCE/RPC PDUs ---------------------------------------------------------------------------------

_SYNTAX_AT: Final = 48  # of our server's bind_ack: the transfer syntax; the result is at 44


def _instead(kind: int, body: bytes, flags: int = 3) -> Telling:
    """One PDU of another kind, with the right call id."""
    return lies.pdus(lambda talk, answer: [pdu_of(kind, flags, answer[0][12:16], body)])


def _resized(count: int) -> Telling:
    """The first PDU cut short, its frag_length right."""
    return lies.first_pdu(lambda pdu: put(pdu[:count], 8, struct.pack("<H", count)))


def _fault(status: int, flags: int = 3) -> Telling:
    """C706 12.6.4.7."""
    return _instead(3, struct.pack("<IHBxII", 0, 0, 0, status, 0), flags)


def _signed_pdu(pdu: bytes) -> bytes:
    """With an auth trailer of 8 bytes ([MS-RPCE] 2.2.2.11)."""
    long = pdu + struct.pack("<BBBBI", 10, 5, 0, 0, 0) + bytes(8)
    return put(put(long, 8, struct.pack("<H", len(long))), 10, struct.pack("<H", 8))


def _big_endian(pdu: bytes) -> bytes:
    """The common header in network order, as its drep says."""
    length, auth, call = struct.unpack_from("<HHI", pdu, 8)
    return put(put(pdu, 4, bytes(4)), 8, struct.pack(">HHI", length, auth, call))


PDUS = [
    Row("version 4", lies.poke_pdu(0, b"\4"), PIPED[:2], MALFORMED, "DCE/RPC version 4.0"),
    Row("version 5.2", lies.poke_pdu(1, b"\2"), PIPED[:2], MALFORMED, "DCE/RPC version 5.2"),
    Row("version 5.1", lies.poke_pdu(1, b"\1"), PIPED[:2], ANSWERED),
    *(
        Row(f"a {name}", _instead(kind, body), PIPED[:2], MALFORMED, f"ptype {kind}")
        for kind, name, body in (
            (0, "request", struct.pack("<IHH", 0, 0, 12) + bytes(8)),
            (1, "ping", b""),
            (4, "working", b""),
            (6, "reject", bytes(8)),
            (11, "bind", bytes(56)),
            (14, "alter_context", bytes(56)),
            (15, "alter_context_resp", bytes(40)),
            (16, "auth3", bytes(16)),
            (17, "shutdown", b""),
            (18, "co_cancel", b""),
            (19, "orphaned", b""),
            (20, "PDU that there is not", b""),
            (255, "PDU of kind 255", b""),
        )
    ),
    Row("a response to a bind", _instead(2, bytes(12)), BIND, MALFORMED, "ptype 2"),
    Row("a bind_ack to a call", _instead(12, bytes(40)), CALL, MALFORMED, "ptype 12"),
    Row("a bind_nak to a call", _instead(13, b"\1\0\0\0"), CALL, MALFORMED, "ptype 13"),
    Row("another call id", lies.poke_pdu(12, b"\xee\xee\xee\xee"), PIPED[:2], MALFORMED,
        "call_id 4008636142"),
    Row("call id 0", lies.poke_pdu(12, bytes(4)), PIPED[:2], MALFORMED, "call_id 0 "),
    Row("the call id of the bind", lies.poke_pdu(12, b"\1\0\0\0"), CALL, MALFORMED, "call_id 1 "),
    Row("big-endian", lies.first_pdu(_big_endian), PIPED[:2], MALFORMED,
        "data representation 00000000"),
    Row("big-endian by name only", lies.poke_pdu(4, b"\0"), PIPED[:2], MALFORMED,
        "data representation 00000000"),
    Row("EBCDIC", lies.poke_pdu(4, b"\x11"), PIPED[:2], MALFORMED, "data representation 11"),
    Row("VAX floating point", lies.poke_pdu(5, b"\1"), PIPED[:2], MALFORMED,
        "data representation 1001"),
    *(
        Row(f"frag_length {size}", lies.poke_pdu(8, struct.pack("<H", size)), PIPED[:2], MALFORMED,
            f"frag_length {size} |fragment of {size} bytes")
        for size in (0, 15, 16, 23)
    ),
    Row("frag_length 65,535", lies.poke_pdu(8, b"\xff\xff"), PIPED[:2], LOST, "STATUS_PIPE_EMPTY"),
    Row("auth_length 8", lies.poke_pdu(10, b"\x08\0"), PIPED[:2], MALFORMED, "auth_length 8"),
    Row("auth_length 65,535", lies.poke_pdu(10, b"\xff\xff"), PIPED[:2], MALFORMED,
        "auth_length 65535"),
    Row("an auth trailer", lies.first_pdu(_signed_pdu), PIPED[:2], MALFORMED, "auth_length 8"),
    Row("a PDU cut short, and no more", lies.pdus(lambda talk, answer: [answer[0][:20]]),
        PIPED[:2], "", "STATUS_PIPE_EMPTY"),
    Row("a PDU of 16 bytes", _resized(16), PIPED[:2], MALFORMED, "cut short|of 16 bytes"),
    Row("nothing", lies.pdus(lambda talk, answer: []), PIPED[:2], "", "STATUS_PIPE_EMPTY"),
    Row("empty messages", lies.pdus(lambda talk, answer: [b""] * 9), PIPED[:2], MALFORMED,
        "no bytes"),
    # -- the answer to a bind
    *(
        Row(f"bind_nak, reason {reason}", _instead(13, struct.pack("<HBBBx", reason, 1, 5, 0)),
            BIND, "", f"bind_nak, reason {reason}:")
        for reason in (0, 1, 2, 3, 4, 5, 8, 9, 255, 65_535)
    ),
    Row("bind_nak cut short", _instead(13, b""), BIND, MALFORMED, "bind_nak cut short"),
    *(
        Row(f"result {result}, reason {reason}",
            lies.poke_pdu(44, struct.pack("<HH", result, reason)), BIND, "",
            rf"bind rejected \(result {result}, reason {reason}\)")
        for result, reason in ((1, 0), (2, 0), (2, 1), (2, 2), (2, 3), (3, 0), (9, 9))
    ),
    Row("another transfer syntax", lies.poke_pdu(_SYNTAX_AT, bytes(16)), BIND, MALFORMED,
        "a transfer syntax that was not offered"),
    Row("NDR64", lies.poke_pdu(
        _SYNTAX_AT, bytes.fromhex("33057171babe37498319b5dbef9ccc3601000000")
    ), BIND, MALFORMED, "a transfer syntax that was not offered"),
    Row("no result", lies.poke_pdu(40, b"\0"), BIND, MALFORMED, "without a result"),
    Row("255 results", lies.poke_pdu(40, b"\xff"), BIND, MALFORMED, "255 results do not fit"),
    Row("a long secondary address", lies.poke_pdu(24, b"\xff\xff"), BIND, MALFORMED,
        "secondary address of 65535 bytes"),
    Row("fragments of 0 bytes", lies.poke_pdu(16, bytes(4)), BIND, MALFORMED, "fragment size 0 "),
    Row("fragments of 25 bytes", lies.poke_pdu(16, b"\x19\0\x19\0"), BIND, MALFORMED,
        "fragment size 25 "),
    Row("fragments of 65,535 bytes", lies.poke_pdu(16, b"\xff" * 4), BIND, ANSWERED),
    Row("another association", lies.poke_pdu(20, b"\xff" * 4), BIND, ANSWERED),
    Row("a bind_ack that goes on", lies.poke_pdu(3, b"\1"), BIND, MALFORMED,
        "more than one fragment"),
    Row("a bind_ack cut short", _resized(25), BIND, MALFORMED, "bind_ack cut short"),
    Row("a bind_ack with more behind", lies.first_pdu(lambda pdu: pdu + bytes(9)), BIND, MALFORMED,
        "frag_length"),
    Row("a bind_ack and the next one", lies.pdus(lambda talk, answer: answer * 2), BIND, ANSWERED),
    # -- faults
    *(
        Row(f"fault 0x{status:08X}", _fault(status), PIPED[:2], "", f"0x{status:08X}")
        for status in (
            5, 0x6D9, 0x1C010001, 0x1C010002, 0x1C010003, 0x1C01000B, 0x1C010014, 0x1C000006,
            0x1C000007, 0x1C00000D, 0x1C00001A, 0x1C00001D, 0x1C000001, 0x80070005, 0xFFFFFFFF,
        )
    ),
    Row("fault 0", _fault(0), PIPED[:2], MALFORMED, "fault with status 0"),
    *(
        Row(f"a fault with flags 0x{flags:02X}", _fault(0x1C010014, flags), PIPED[:2], "",
            "0x1C010014", sure=bool(flags & 0x20))
        for flags in (0x00, 0x01, 0x02, 0x07, 0x13, 0x23, 0x43, 0x83, 0xFF)
    ),
    Row("a fault cut short", _instead(3, bytes(8)), PIPED[:2], MALFORMED, "fault of 24 bytes"),
    Row("a fault with 60,000 bytes", _instead(
        3, struct.pack("<IHBxII", 0, 0, 0, 5, 0) + bytes(60_000)
    ), CALL, "", "0x00000005"),
    # -- the answer to a call
    Row("another context", lies.poke_pdu(20, b"\1"), CALL, MALFORMED, "context id 1 "),
    Row("a cancel count", lies.poke_pdu(22, b"\xff"), CALL, ANSWERED),
    Row("not the first fragment", lies.poke_pdu(3, b"\2"), CALL, MALFORMED, "first-fragment flag"),
    Row("an object's flag", lies.poke_pdu(3, b"\x81"), CALL, ANSWERED, delete=False),
]  # fmt: skip

# -- fragments ------------------------------------------------------------------------------------


def _never_last(talk: Talk, answer: list[bytes]) -> Iterable[bytes]:
    flags = 1
    while not talk.server.closing.is_set():
        yield pdu_of(2, flags, answer[0][12:16], struct.pack("<IHBx", 9, 0, 0) + bytes(1_400))
        flags = 0


def _empty_for_ever(talk: Talk, answer: list[bytes]) -> Iterable[bytes]:
    yield put(answer[0], 3, b"\1")
    while not talk.server.closing.is_set():
        yield pdu_of(2, 0, answer[0][12:16], struct.pack("<IHBx", 9, 0, 0))


def _a_byte_of_stub_for_ever(talk: Talk, answer: list[bytes]) -> Iterable[bytes]:
    yield put(answer[0], 3, b"\1")
    while not talk.server.closing.is_set():
        yield pdu_of(2, 0, answer[0][12:16], struct.pack("<IHBx", 9, 0, 0) + b"x")


def _hints(*values: int) -> Telling:
    def make(talk: Talk, answer: list[bytes]) -> Iterable[bytes]:
        given = (*values, *(values[-1] for _ in answer))
        return [
            put(pdu, 16, struct.pack("<I", hint)) for pdu, hint in zip(answer, given, strict=False)
        ]

    return lies.pdus(make)


def _order(*order: int) -> Telling:
    return lies.pdus(lambda talk, answer: [answer[index] for index in order])


def _fault_in_the_middle(talk: Talk, answer: list[bytes]) -> Iterable[bytes]:
    yield answer[0]
    yield pdu_of(3, 3, answer[0][12:16], struct.pack("<IHBxII", 0, 0, 0, 0x1C010001, 0))


FRAGMENTS = [
    Row("never the last", lies.pdus(_never_last), CALL, "", "max_reply_bytes"),
    Row("empty ones for ever", lies.pdus(_empty_for_ever), CALL, MALFORMED, "empty fragment"),
    Row("a byte each for ever", lies.pdus(_a_byte_of_stub_for_ever), CALL, WAITS, WITHIN),
    Row("the last one first", _order(2, 0, 1), CALL, MALFORMED, "first-fragment flag",
        delete=False),
    Row("two exchanged", _order(0, 2, 1), CALL, MALFORMED, "", delete=False),
    Row("one missing", _order(0, 2), CALL, MALFORMED, "", delete=False),
    Row("one twice", _order(0, 1, 1, 2), CALL, MALFORMED, "", delete=False),
    Row("the first twice", _order(0, 0, 1, 2), CALL, MALFORMED, "first-fragment flag",
        delete=False),
    Row("the last one missing", _order(0, 1), CALL, "", "STATUS_PIPE_EMPTY", delete=False),
    Row("more after the last", _order(0, 1, 2, 2), CALL, ANSWERED, delete=False),
    Row("more after the last in one READ", lies.pdus(
        lambda talk, answer: [b"".join((*answer, answer[-1]))]
    ), CALL, MALFORMED, "bytes after the last fragment"),
    Row("a fault in the middle", lies.pdus(_fault_in_the_middle), CALL, "", "0x1C010001",
        delete=False),
    Row("another call's in the middle", lies.pdus(
        lambda talk, answer: [answer[0], put(answer[1], 12, b"\x99"), answer[2]]
    ), CALL, MALFORMED, "call_id", delete=False),
    Row("alloc_hint 0", _hints(0), CALL, ANSWERED),
    Row("alloc_hint 4 GiB", _hints(0xFFFFFFFF), CALL, "", "max_reply_bytes", delete=False),
    Row("alloc_hint too small", _hints(1), CALL, ANSWERED),
    Row("alloc_hint too large by a byte", lies.pdus(lambda talk, answer: [
        put(pdu, 16, struct.pack("<I", int.from_bytes(pdu[16:20], "little") + 1)) for pdu in answer
    ]), CALL, ANSWERED),
    Row("an alloc_hint that grows", _hints(5_000, 50_000, 500_000), CALL, ANSWERED),
    Row("an alloc_hint that promises more READs than there are", _hints(200_000), CALL, ANSWERED),
]  # fmt: skip

# -- stubs ----------------------------------------------------------------------------------------

# Of NetrSessionEnum's answer at level 1 ([MS-SRVS] 2.2.3.6): level, tag, container, EntriesRead,
# array, max_count, then the entries of 24 bytes, their strings, TotalEntries, ResumeHandle, status.
_MORE_DATA: Final = 234
_STRINGS_AT: Final = 24 + 24 * 41


def _stub_at(at: int, value: bytes) -> Telling:
    return lies.stub(lambda stub: put(stub, at, value))


def _ends_with(total: int, handle: int | None, status: int) -> Telling:
    """Another end of the stub."""
    resume = bytes(4) if handle is None else struct.pack("<II", 0x20000, handle)
    tail = struct.pack("<I", total) + resume + struct.pack("<I", status)
    return lies.stub(lambda stub: stub[:-12] + tail)


STUBS = [
    Row("no stub", lies.stub(lambda stub: b""), CALL, MALFORMED, ""),
    Row("a stub of one byte", lies.stub(lambda stub: b"\0"), CALL, MALFORMED, ""),
    Row("a byte too few", lies.stub(lambda stub: stub[:-1]), CALL, MALFORMED, ""),
    Row("half a stub", lies.stub(lambda stub: stub[:1_000]), CALL, MALFORMED, "", delete=False),
    Row("a byte too many", lies.stub(lambda stub: stub + b"\1"), CALL, MALFORMED, ""),
    Row("60,000 bytes too many", lies.stub(lambda stub: stub + b"\1" * 60_000), CALL, MALFORMED,
        ""),
    Row("nothing but a status", lies.stub(lambda stub: bytes(4)), CALL, MALFORMED, "",
        delete=False),
    Row("random bytes", lies.stub(lambda stub: b"\1" + os.urandom(2_000)), CALL, MALFORMED, "",
        delete=False),
    *(
        Row(what, _stub_at(at, value), CALL, MALFORMED, "", delete=False)
        for what, at, value in (
            ("another level", 0, _number(502)),
            ("no level", 0, _number(77)),
            ("another tag", 4, _number(502)),
            ("fewer entries than the array has", 12, _number(40)),
            ("more entries than the array has", 12, _number(42)),
            ("4 billion entries", 12, _number(0xFFFFFFFF)),
            ("entries without an array", 16, _number(0)),
            ("a smaller array", 20, _number(40)),
            ("a larger array", 20, _number(42)),
            ("an array of 4 billion", 20, _number(0xFFFFFFFF)),
            ("entries beyond the end", 12, _number(60_000) + _number(1) + _number(60_000)),
            ("a string at an offset", _STRINGS_AT + 4, _number(1)),
            ("a string beyond its room", _STRINGS_AT + 8, _number(0xFFFF)),
            ("a string of 4 billion", _STRINGS_AT, b"\xff" * 4 + bytes(4) + b"\xff" * 4),
            ("a string of nothing", _STRINGS_AT + 8, _number(0)),
            ("a string without an end", _STRINGS_AT + 20, b"XX"),
            ("a NUL in a string", _STRINGS_AT + 12, b"\0\0"),
            ("strings that are not there", 24, bytes(8)),
        )
    ),
    Row("a total of 4 billion", _ends_with(0xFFFFFFFF, None, 0), CALL, ANSWERED, delete=False),
    Row("a total of 0", _ends_with(0, None, 0), CALL, ANSWERED, delete=False),
    Row("a handle and no more", _ends_with(41, 7, 0), CALL, ANSWERED, delete=False),
    Row("more, by handle 0", _ends_with(99, 0, _MORE_DATA), CALL, "NoProgress", "", delete=False),
    Row("more, without a handle", _ends_with(99, None, _MORE_DATA), CALL, "NoProgress", "",
        delete=False),
    Row("more, by the same handle for ever", _ends_with(99, 7, _MORE_DATA), CALL, "NoProgress", "",
        delete=False),
    *(
        Row(f"status {status}", _ends_with(0, None, status), CALL, "", str(status), delete=False)
        for status in (5, 8, 123, 1722, 2310, 0xDEADBEEF)
    ),
    *(
        Row(f"a delete's answer of {len(answer)} bytes", lies.stub(
            lambda stub, answer=answer: answer
        ), CALL, MALFORMED, "", list=False)
        for answer in (b"", bytes(3), bytes(4) + b"\1", bytes(12), bytes(4_000))
    ),
    *(
        Row(f"a delete's status {status}", lies.stub(lambda stub, status=status: _number(status)),
            CALL, "", str(status), list=False, sure=status in (5, 2312))
        for status in (5, 8, 31, 2312, 1726, 0xDEADBEEF, 0xFFFFFFFF)
    ),
]  # fmt: skip

GROUPS: Final = {
    "connection": CONNECTION,
    "headers": HEADERS,
    "statuses": STATUSES,
    "signatures": SIGNATURES,
    "encryption": ENCRYPTION,
    "negotiation": NEGOTIATION,
    "logon": LOGON,
    "share and pipe": OPENING,
    "pipe data": DATA,
    "PDUs": PDUS,
    "fragments": FRAGMENTS,
    "stubs": STUBS,
}
