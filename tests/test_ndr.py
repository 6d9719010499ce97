"""The codec on stubs that no vector has: every truncation, every byte changed, claims of size."""

from __future__ import annotations

import json
import random
import struct
import time
from pathlib import Path

import pytest

from gil import counting_beside
from netsession import MalformedReply, _netsession

_FILE = Path(__file__).parent / "data" / "vectors.json"
_REPLIES = {
    vector["name"]: bytes.fromhex(vector["hex"])
    for vector in json.loads(_FILE.read_text())
    if vector["kind"] == "stub"
    and vector["op"] == "NetrSessionEnum"
    and vector["direction"] == "response"
    and vector["syntax"] == "NDR20-LE"
}


def _reply(level: int, entries: int, claimed: int, body: bytes = b"") -> bytes:
    return struct.pack("<IIIIII", level, level, 1, entries, 1, claimed) + body


def _string(text: bytes, max_count: int, offset: int, count: int) -> bytes:
    """A reply of level 0 with one entry, whose string is just so."""
    body = struct.pack("<IIII", 1, max_count, offset, count) + text
    body += bytes(-len(body) % 4)
    return _reply(0, 1, 1, body) + struct.pack("<III", 1, 0, 0)


def _offset_of(stub: bytes) -> int:
    with pytest.raises(MalformedReply) as caught:
        _netsession.decode_enum_response(stub)
    assert caught.value.offset is not None
    return caught.value.offset


@pytest.mark.parametrize("name", _REPLIES)
def test_every_truncation_is_refused(name: str) -> None:
    stub = _REPLIES[name]
    for length in range(len(stub)):
        assert 0 <= _offset_of(stub[:length]) <= length, length


@pytest.mark.parametrize("name", _REPLIES)
def test_every_changed_byte_is_read_or_refused(name: str) -> None:
    stub = bytearray(_REPLIES[name])
    for position in range(len(stub)):
        for value in (0x00, 0x01, 0x7F, 0xFF):
            kept, stub[position] = stub[position], value
            try:
                page = _netsession.decode_enum_response(bytes(stub))[3]
            except MalformedReply as error:
                assert error.offset is not None
                assert 0 <= error.offset <= len(stub)
            else:
                assert page is None or len(list(page)) == len(page)
            stub[position] = kept


def test_random_bytes_are_read_or_refused() -> None:
    made = random.Random(502)
    for _ in range(20000):
        level = made.choice((0, 1, 2, 10, 502))
        count = made.choice((0, 1, 2, 3, 0xFFFFFFFF))
        body = bytes(made.choice((0, 0, 1, 2, 0x41, 0xFF)) for _ in range(made.randrange(120)))
        try:
            page = _netsession.decode_enum_response(_reply(level, count, count, body))[3]
        except MalformedReply:
            continue
        assert page is None or len(list(page)) == len(page)


@pytest.mark.parametrize("level", [0, 1, 2, 10, 502])
@pytest.mark.parametrize("count", [0x80000000, 0xFFFFFFFF, 0x15555556, 0x08000001, 100])
def test_a_claim_of_entries_costs_nothing(level: int, count: int) -> None:
    stub = _reply(level, count, count, bytes(76))
    with pytest.raises(MalformedReply, match="more entries are claimed than the stub holds"):
        _netsession.decode_enum_response(stub)


def test_the_message_names_the_field_and_the_byte() -> None:
    stub = _string(b"A\0B\0", 2, 0, 2)
    with pytest.raises(MalformedReply, match=r"at byte 42: client_name: .*terminator") as caught:
        _netsession.decode_enum_response(stub)
    assert caught.value.offset == 42
    assert caught.value.status == 1783
    assert caught.value.function == "NetSessionEnum"


@pytest.mark.parametrize(
    ("stub", "problem", "offset"),
    [
        (_string(b"A\0\0\0", 2, 1, 2), "offset is not 0", 32),
        (_string(b"A\0\0\0", 1, 0, 2), "above its max_count", 36),
        (_string(b"A\0\0\0", 0, 0, 2), "above its max_count", 36),
        (_string(b"\0\0", 0, 0, 1), "above its max_count", 36),
        (_string(b"", 1, 0, 0), "no terminator", 36),
        (_string(b"A\0\0\0", 0xFFFFFFFF, 0, 0xFFFFFFFF), "does not fit", 36),
        # whose size in bytes is none in 32 bits
        (_string(b"A\0\0\0", 0x80000001, 0, 0x80000001), "does not fit", 36),
        (_string(b"A\0\0\0B\0\0\0", 4, 0, 4), "NUL before its end", 40),
        (_string(b"\0\0A\0B\0\0\0", 4, 0, 4), "NUL before its end", 40),
        (_string(b"A\0B\0\0\0\0\0", 4, 0, 4), "NUL before its end", 40),
        (struct.pack("<II", 3, 3), "none of 0, 1, 2, 10, 502", 0),
        (struct.pack("<II", 1, 2), "tag is not Level", 4),
        (struct.pack("<II", 2, 1), "tag is not Level", 4),
        (struct.pack("<IIIII", 1, 1, 1, 1, 0), "counts what is not there", 16),
        (_reply(1, 2, 1), "max_count is not EntriesRead", 20),
        (_reply(1, 1, 2, bytes(60)), "max_count is not EntriesRead", 20),
        (_reply(1, 0, 1, bytes(60)), "max_count is not EntriesRead", 20),
        (_string(b"A\0\0\0", 2, 0, 2) + bytes(8), "bytes follow", 56),
        (_string(b"A\0\0\0", 2, 0, 2) + b"\0\0\1", "bytes follow", 58),
    ],
)
def test_what_is_refused(stub: bytes, problem: str, offset: int) -> None:
    with pytest.raises(MalformedReply, match=problem) as caught:
        _netsession.decode_enum_response(stub)
    assert caught.value.offset == offset


def test_seven_zero_bytes_of_padding_are_accepted() -> None:
    stub = _string(b"A\0\0\0", 2, 0, 2)
    for padding in range(8):
        page = _netsession.decode_enum_response(stub + bytes(padding))[3]
        assert page is not None
        assert page[0].client_name == "A"


def test_what_fills_a_gap_is_not_looked_at() -> None:
    """It is undefined: Windows XP leaves there what was there before."""
    stub = bytearray(_string(b"A\0B\0\0\0", 3, 0, 3))
    assert stub[46:48] == b"\0\0"
    stub[46:48] = b"\xff\xff"
    page = _netsession.decode_enum_response(bytes(stub))[3]
    assert page is not None
    assert page[0].client_name == "AB"


def test_the_same_follows_the_status_of_a_delete() -> None:
    assert _netsession.decode_delete_response(b"\5\0\0\0" + bytes(7)) == 5
    for behind in (bytes(8), b"\0\1"):
        with pytest.raises(MalformedReply, match="bytes follow"):
            _netsession.decode_delete_response(bytes(4) + behind)


def test_a_changing_buffer_is_copied() -> None:
    original = _string(b"A\0\0\0", 2, 0, 2)  # kept: its memory is not the copy's
    stub = bytearray(original)
    bytes(b"\xff" * len(stub))  # what the copy's memory holds before
    page = _netsession.decode_enum_response(stub)[3]  # type: ignore[arg-type]
    stub[:] = b"\xff" * len(stub)
    assert page is not None
    assert page[0].client_name == "A"


def test_the_page_keeps_the_stub() -> None:
    stub = bytes(bytearray(_REPLIES["enum_resp_L502_three"]))
    page = _netsession.decode_enum_response(stub)[3]
    assert page is not None
    expected = list(page)
    tail = page[1:]
    del stub, page
    garbage = [bytes(584) for _ in range(1000)]
    assert list(tail) == expected[1:]
    assert len(garbage) == 1000


def test_a_reply_is_decoded_without_the_gil() -> None:
    """Another thread gets on meanwhile, though nobody is made to yield the GIL."""
    stub = struct.pack("<6I", 0, 0, 1, 300_000, 1, 300_000) + bytes(1_200_000 + 12)
    assert len(_netsession.decode_enum_response(stub)[3] or ()) == 300_000
    with counting_beside() as counted:
        most, end = 0, time.monotonic() + 30
        while most == 0 and time.monotonic() < end:
            before = counted()
            _netsession.decode_enum_response(stub)
            most = counted() - before
        assert most > 0


@pytest.mark.parametrize("stub", [None, "text", 5])
def test_a_stub_must_be_bytes(stub: object) -> None:
    with pytest.raises(TypeError, match="stub must be bytes"):
        _netsession.decode_enum_response(stub)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((5, None, None, 1, 0, 0), TypeError, "server must be a str or None, not int"),
        ((None, b"x", None, 1, 0, 0), TypeError, "client must be a str or None"),
        ((None, None, "a\0b", 1, 0, 0), ValueError, "user must not contain a NUL"),
        ((None, None, "\0b", 1, 0, 0), ValueError, "user must not contain a NUL"),
        ((None, None, None, 3, 0, 0), ValueError, "level must be 0, 1, 2, 10 or 502, not 3"),
        ((None, None, None, "1", 0, 0), TypeError, "level must be an int"),
        ((None, None, None, 1, -1, 0), ValueError, "preferred_length must be between"),
        ((None, None, None, 1, 1 << 32, 0), ValueError, "preferred_length must be between"),
        ((None, None, None, 1, 0, 1 << 80), ValueError, "resume_handle must be between"),
        ((None, None, None, 1, 0, 1.5), TypeError, "resume_handle must be an int"),
    ],
)
def test_bad_arguments_are_named(
    arguments: tuple[object, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        _netsession.encode_enum_request(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", range(65))
def test_names_of_every_length_keep_the_alignment(length: int) -> None:
    name = "x" * length
    stub = _netsession.encode_enum_request(name, name, name, 502, 1, 2)
    units = (name + "\0").encode("utf-16-le")
    text = struct.pack("<III", length + 1, 0, length + 1) + units + bytes(-len(units) % 4)
    expected = b"".join(
        struct.pack("<I", 0x20000 + 4 * number) + text for number in range(3)
    ) + struct.pack("<IIIIIIII", 502, 502, 0x2000C, 0, 0, 1, 0x20010, 2)
    assert stub == expected
