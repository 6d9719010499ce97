"""What misbehaviours are made of: functions that make a ``Lie`` of a place."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from liar import Lie, Talk
from smb_server import STATUS_PENDING, Raw

#: A lie for a place.
Telling = Callable[[str], Lie]

FLAGS_AT, NEXT_AT, MESSAGE_ID_AT, ASYNC_AT, TREE_AT, SESSION_AT, SIGNATURE_AT = (
    16, 20, 24, 32, 36, 40, 48,
)  # fmt: skip
ASYNC: Final = 0x02


# -- the bytes of the connection ------------------------------------------------------------------


def on_wire(deliver: Callable[[Talk, bytes], None]) -> Telling:
    """Instead of the message, what ``deliver`` puts on the wire."""
    return lambda place: Lie(place, deliver=deliver)


def bytes_instead(data: bytes, *, close: bool = False) -> Telling:
    """``data`` in place of the frame; then silence, or the end."""

    def deliver(talk: Talk, message: bytes) -> None:
        talk.raw(data)
        if close:
            talk.close()

    return on_wire(deliver)


def bytes_before(data: bytes) -> Telling:
    """``data`` in front of the frame."""
    return on_wire(lambda talk, message: talk.raw(data + framed(message)))


def framed(message: bytes) -> bytes:
    """A message with its length in front ([MS-SMB2] 2.1)."""
    return len(message).to_bytes(4, "big") + message


def for_ever(data: bytes) -> Telling:
    """``data`` again and again, until the client has enough."""

    def deliver(talk: Talk, message: bytes) -> None:
        while not talk.server.closing.is_set():
            talk.raw(data)

    return on_wire(deliver)


def drip(talk: Talk, message: bytes) -> None:
    """A byte at a time, each well within any time-out, all of them far beyond it."""
    for at in range(len(framed(message))):
        talk.raw(framed(message)[at : at + 1])
        talk.pause(0.1)


def part(count: int, *, reset: bool = False) -> Telling:
    """The first bytes of the frame, and the end of the connection."""

    def deliver(talk: Talk, message: bytes) -> None:
        talk.raw(framed(message)[:count])
        talk.close(reset=reset)

    return on_wire(deliver)


# -- SMB messages, rightly signed -----------------------------------------------------------------


def message(change: Callable[[bytes], bytes]) -> Telling:
    """The reply, changed."""
    return lambda place: Lie(place, messages=lambda talk, reply: [change(reply)])


def messages(make: Callable[[Talk, bytes], Iterable[bytes]]) -> Telling:
    """Whatever is made of the reply."""
    return lambda place: Lie(place, messages=make)


def put(reply: bytes, at: int, value: bytes) -> bytes:
    return reply[:at] + value + reply[at + len(value) :]


def poke(at: int, value: bytes) -> Telling:
    """The reply with other bytes at a place, counted from its header's first."""
    return message(lambda reply: put(reply, at, value))


def status_of(reply: bytes, status: int, body: bytes = b"\x09" + bytes(8)) -> bytes:
    """An error response ([MS-SMB2] 2.2.2)."""
    return put(reply[:64], 8, status.to_bytes(4, "little")) + body


def status(code: int, body: bytes = b"\x09" + bytes(8)) -> Telling:
    return message(lambda reply: status_of(reply, code, body))


def with_status(code: int) -> Telling:
    """The whole reply, with another status."""
    return poke(8, code.to_bytes(4, "little"))


def pending(reply: bytes, async_id: int) -> bytes:
    """An interim response ([MS-SMB2] 3.3.4.2)."""
    interim = status_of(reply, STATUS_PENDING)
    interim = put(interim, FLAGS_AT, bytes((interim[FLAGS_AT] | ASYNC,)))
    return put(interim, ASYNC_AT, async_id.to_bytes(8, "little"))


def pending_for_ever(talk: Talk, reply: bytes) -> Iterator[bytes]:
    while not talk.server.closing.is_set():
        yield pending(reply, 7)


def body(change: Callable[[bytes], bytes]) -> Telling:
    """The reply with another body."""
    return message(lambda reply: reply[:64] + change(reply[64:]))


def noise(command: int, message_id: int, body: bytes) -> Telling:
    """Beside the reply a message that nobody asked for."""

    def make(talk: Talk, reply: bytes) -> Iterable[bytes]:
        head = put(reply[:64], 12, struct.pack("<H", command))
        yield put(head, MESSAGE_ID_AT, message_id.to_bytes(8, "little")) + body
        yield reply

    return messages(make)


# -- signatures and encryption --------------------------------------------------------------------


def protect(how: Callable[[Talk, bytes], bytes]) -> Telling:
    """The message, signed in another way."""
    return lambda place: Lie(place, protect=how)


def sealed(how: Callable[[Talk, bytes], bytes]) -> Telling:
    """The same on a server that encrypts."""
    return lambda place: Lie(place, protect=how, encrypts=True)


def unsigned(talk: Talk, message: bytes) -> bytes:
    talk.honestly(message)  # which derives the keys
    return Raw(message)


def resealed(change: Callable[[bytes], bytes]) -> Telling:
    """The encrypted message, changed."""
    return sealed(lambda talk, message: change(talk.honestly(message)))


# -- PDUs -----------------------------------------------------------------------------------------


def pdus(make: Callable[[Talk, list[bytes]], Iterable[bytes]]) -> Telling:
    """Other PDUs in place of those of the answer."""
    return lambda place: Lie(place, pdus=lambda talk, answer: make(talk, list(answer)))


def first_pdu(change: Callable[[bytes], bytes]) -> Telling:
    return pdus(lambda talk, answer: [change(answer[0]), *answer[1:]])


def poke_pdu(at: int, value: bytes) -> Telling:
    """The first PDU with other bytes."""
    return first_pdu(lambda pdu: put(pdu, at, value))


def stub(change: Callable[[bytes], bytes]) -> Telling:
    """Another stub, in one fragment, its lengths right."""

    def make(talk: Talk, answer: list[bytes]) -> Iterable[bytes]:
        whole = change(b"".join(pdu[24:] for pdu in answer))
        head = put(answer[0][:24], 3, b"\3")
        head = put(
            put(head, 8, struct.pack("<H", 24 + len(whole))), 16, struct.pack("<I", len(whole))
        )
        yield head + whole

    return pdus(make)
