"""DCE/RPC PDUs: built and read byte by byte, against the vectors and against hostile bytes."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from netsession.errors import MalformedReply
from netsession.srvsvc import dcerpc
from netsession.srvsvc.dcerpc import Reassembler, build_bind, build_request, parse_bind_reply
from netsession.srvsvc.failures import ChainBrokenError, RpcFaultError, WireError

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "vectors.json").read_text("utf-8")
)
BY_NAME = {vector["name"]: vector for vector in VECTORS}
GIB = 1 << 30

PDUS = [vector for vector in VECTORS if vector["kind"] in ("pdu", "live-pdu") and vector["hex"]]
WITH_PDUS = [vector for vector in VECTORS if vector.get("pdus")]


def ids(vectors: list[dict[str, Any]]) -> list[str]:
    return [vector["name"] for vector in vectors]


def call_id_of(pdu: bytes) -> int:
    return int.from_bytes(pdu[12:16], "little")


def split(stream: bytes) -> list[bytes]:
    """The PDUs in a stream of them, cut by their frag_length alone."""
    pdus = []
    while stream:
        length = int.from_bytes(stream[8:10], "little")
        pdus.append(stream[:length])
        stream = stream[length:]
    return pdus


def reassemble(stream: bytes, pieces: list[bytes] | None = None) -> bytes:
    reply = Reassembler(call_id_of(stream), GIB, 4280)
    for piece in [stream] if pieces is None else pieces:
        reply.feed(piece)
    assert reply.done
    return reply.stub()


def response(stub: bytes, hint: int, flags: int, call_id: int = 7, **changed: int) -> bytes:
    """One response fragment."""
    length = changed.get("length", 24 + len(stub))
    return (
        struct.pack("<BBBB4sHHI", 5, 0, 2, flags, b"\x10\0\0\0", length, 0, call_id)
        + struct.pack("<IHBx", hint, changed.get("context", 0), 0)
        + stub
    )


def fragments(stub: bytes, room: int) -> list[bytes]:
    """A well-formed reply in fragments of ``room`` stub bytes."""
    starts = range(0, len(stub), room)
    return [
        response(
            stub[start : start + room],
            len(stub) - start,
            (start == 0) | (start + room >= len(stub)) << 1,
        )
        for start in starts
    ]


# -- the vectors ---------------------------------------------------------------------------------


def check_bind(vector: dict[str, Any], pdu: bytes) -> None:
    sizes = struct.unpack_from("<HH", pdu, 16)
    ours = build_bind(call_id_of(pdu), max_fragment=sizes[0])
    if vector["name"] == "live_samba_bind_wrong_interface#bind":
        assert pdu[:32] + pdu[52:] == ours[:32] + ours[52:]
        assert pdu[32:52] != ours[32:52]
    elif pdu[24] > 1:  # contexts that we do not offer follow the one that we do
        assert pdu[28:72] == ours[28:72]
    else:
        assert pdu == ours


def check_bind_ack(vector: dict[str, Any], pdu: bytes) -> None:
    decoded = vector["decoded"] or {}
    ack = dcerpc.parse_bind_ack(pdu)
    assert (ack.max_receive, ack.max_send) == struct.unpack_from("<HH", pdu, 16)
    if "max_xmit" in decoded:
        assert (ack.max_receive, ack.max_send) == (decoded["max_xmit"], decoded["max_recv"])
    if isinstance(decoded.get("results"), list):
        expected = [(result["result"], result["reason"]) for result in decoded["results"]]
        assert [result[:2] for result in ack.results] == expected
    elif "results" in decoded:
        assert len(ack.results) == decoded["results"]
    result, reason, _ = ack.results[0]
    if result == 0:
        assert parse_bind_reply(pdu, call_id_of(pdu)) == ack
        return
    with pytest.raises(WireError) as caught:
        parse_bind_reply(pdu, call_id_of(pdu))
    assert caught.value.status == {1: 1717, 2: 1730}[reason]


def check_request(vector: dict[str, Any], stream: bytes) -> None:
    decoded = vector["decoded"]
    stub = bytes.fromhex(BY_NAME[decoded["stub"]]["hex"]) if decoded["stub"] in BY_NAME else None
    pdus = split(stream)
    carried = b"".join(pdu[24:] for pdu in pdus)
    assert stub in (None, carried)  # None: the stub's own vector is not in the file
    ours = build_request(call_id_of(stream), decoded["opnum"], carried, len(pdus[0]))
    # The vector of several fragments makes its second the longer one; we fill the first.
    assert ours[0] == pdus[0]
    assert len(pdus) > 1 or ours == pdus


FAULTS = {0x1C010002: 1745, 0x1C010003: 1717, 0x1C010014: 1723, 0x000006F7: 1783}


def check_fault(vector: dict[str, Any], pdu: bytes) -> None:
    status = int.from_bytes(pdu[24:28], "little")
    assert vector["decoded"].get("status", status) == status
    with pytest.raises(RpcFaultError) as caught:
        reassemble(pdu)
    assert caught.value.status == FAULTS[status]
    assert f"0x{status:08X}" in caught.value.detail


def check_response(vector: dict[str, Any], stream: bytes) -> None:
    stub = reassemble(stream)
    named = BY_NAME.get(vector["decoded"]["stub"])
    if named is not None:
        assert stub == bytes.fromhex(named["hex"])
    assert stub == b"".join(pdu[24:] for pdu in split(stream))
    if "fragments" in vector:
        assert split(stream) == [bytes.fromhex(text) for text in vector["fragments"]]


CHECKS = {0: check_request, 2: check_response, 3: check_fault, 11: check_bind, 12: check_bind_ack}


@pytest.mark.parametrize("vector", PDUS, ids=ids(PDUS))
def test_pdu_vector(vector: dict[str, Any]) -> None:
    stream = bytes.fromhex(vector["hex"])
    CHECKS[stream[2]](vector, stream)


def test_pdu_vectors_are_of_every_kind() -> None:
    assert {bytes.fromhex(vector["hex"])[2] for vector in PDUS} == set(CHECKS)


def test_a_reply_that_never_came_is_no_reply() -> None:
    silent = [v for v in VECTORS if v["kind"] == "live-pdu" and not v["hex"]]
    assert silent, "the vectors of a server that ended the caller's own session"
    for vector in silent:
        with pytest.raises(MalformedReply):
            Reassembler(1, GIB, 4280).feed(bytes.fromhex(vector["hex"]))


@pytest.mark.parametrize("vector", WITH_PDUS, ids=ids(WITH_PDUS))
def test_pdus_of_live_vector(vector: dict[str, Any]) -> None:
    stub = bytes.fromhex(vector["hex"])
    pdus = [bytes.fromhex(text) for text in vector["pdus"]]
    if vector["direction"] == "request":
        assert build_request(call_id_of(pdus[0]), vector["opnum"], stub, 5840) == pdus
    else:
        assert reassemble(b"".join(pdus)) == stub
        assert reassemble(pdus[0], pdus) == stub


# -- requests ------------------------------------------------------------------------------------


def test_bind_bytes() -> None:
    pdu = build_bind(1)
    assert len(pdu) == 72
    assert pdu[16:24].hex() == "ffffffff00000000"
    assert pdu[32:52].hex() == "c84f324b7016d30112785a47bf6ee18803000000"
    assert pdu[52:].hex() == "045d888aeb1cc9119fe808002b10486002000000"


@pytest.mark.parametrize("size", [0, 1, 8, 39, 40, 41, 4255, 4256, 4257, 20_000])
@pytest.mark.parametrize("limit", [32, 64, 1432, 4280, 65535])
def test_request_fragments(size: int, limit: int) -> None:
    stub = bytes(index * 7 & 0xFF for index in range(size))
    pdus = build_request(9, 12, stub, limit)
    assert pdus  # also of a stub without a byte
    assert b"".join(pdu[24:] for pdu in pdus) == stub
    left = size
    for index, pdu in enumerate(pdus):
        flags = (index == 0) | (index == len(pdus) - 1) << 1
        assert pdu[:4] == bytes((5, 0, 0, flags))
        assert struct.unpack_from("<4sHHIIHH", pdu, 4) == (
            b"\x10\0\0\0", len(pdu), 0, 9, left, 0, 12,
        )  # fmt: skip
        assert len(pdu) <= limit
        assert len(pdu) % 8 == 0 or pdu is pdus[-1]
        left -= len(pdu) - 24
    assert left == 0


def test_request_needs_room() -> None:
    with pytest.raises(ValueError, match="fragments of 31 bytes"):
        build_request(1, 12, b"x", 31)


# -- replies -------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [1, 7, 8, 104, 5000])
def test_reply_in_any_pieces(room: int) -> None:
    stub = random.Random(room).randbytes(1009)
    stream = b"".join(fragments(stub, room))
    for size in (1, 2, 15, 16, 17, 24, 100, 4096, len(stream)):
        pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
        assert reassemble(stream, pieces) == stub


def test_bytes_to_come_are_never_overstated() -> None:
    """A READ too many blocks: what is promised must come, however it is cut."""
    dice = random.Random(4)
    for _ in range(300):
        stub = dice.randbytes(dice.randrange(1, 3000))
        room = dice.randrange(8, 400)
        stream = b"".join(fragments(stub, room))
        reply = Reassembler(7, GIB, room + 24)
        at = 0
        while not reply.done:
            size = dice.randrange(1, 600)
            reply.feed(stream[at : at + size])
            at += size
            assert reply.bytes_to_come() <= max(0, len(stream) - at)
        assert reply.stub() == stub


def test_bytes_to_come_are_exact_where_fragments_are_full() -> None:
    # The last of these has a single byte.
    first, *rest = fragments(bytes(9_001), 1000)
    reply = Reassembler(7, GIB, 1024)
    reply.feed(first)
    assert reply.bytes_to_come() == sum(map(len, rest))
    for cut in (1, 15, 16, 17, 23, 24, 25, 1023):
        reply = Reassembler(7, GIB, 1024)
        reply.feed(first + rest[0][:cut])
        assert reply.bytes_to_come() == sum(map(len, rest)) - cut


def test_the_fragment_at_hand_counts_as_long_as_it_is() -> None:
    """Not as long as fragments may be: its header says so."""
    first, *rest = fragments(bytes(300), 100)
    reply = Reassembler(7, GIB, 1024)
    reply.feed(first + rest[0][:16])
    assert reply.bytes_to_come() == sum(map(len, rest)) - 16


@pytest.mark.parametrize("hints", ["constant", "zero", "low"])
def test_a_chain_that_is_not_exact(hints: str) -> None:
    pdus = fragments(bytes(range(250)) * 4, 100)
    for index, pdu in enumerate(pdus):
        hint = {"constant": 1000, "zero": 0, "low": 1000 - 101 * index if index else 1000}[hints]
        pdus[index] = pdu[:16] + max(0, hint).to_bytes(4, "little") + pdu[20:]
    reply = Reassembler(7, GIB, 4280)
    for pdu in pdus:
        reply.feed(pdu)
    assert reply.stub() == bytes(range(250)) * 4
    assert reply.bytes_to_come() == 0
    if hints != "zero":  # zero says from the start that nothing is promised
        reply = Reassembler(7, GIB, 4280)
        reply.feed(pdus[0])
        reply.verify = True
        with pytest.raises(ChainBrokenError):
            reply.feed(pdus[1])


def test_fragments_out_of_order_are_noticed() -> None:
    pdus = fragments(bytes(1000), 100)
    pdus[3], pdus[4] = pdus[4], pdus[3]
    reply = Reassembler(7, GIB, 4280)
    reply.verify = True
    for pdu in pdus[:3]:
        reply.feed(pdu)
    with pytest.raises(ChainBrokenError):
        reply.feed(pdus[3])


def test_a_chain_is_exact_to_its_last_fragment() -> None:
    reply = Reassembler(7, GIB, 124)
    reply.verify = True
    for pdu in fragments(bytes(1000), 100):
        reply.feed(pdu)
    assert (reply.done, reply.remaining) == (True, 0)


def test_cap_on_the_promise() -> None:
    pdus = fragments(bytes(1000), 100)
    reply = Reassembler(7, 999, 4280)
    with pytest.raises(WireError, match=r"1,000 bytes.*max_reply_bytes=999") as caught:
        reply.feed(pdus[0])
    assert caught.value.status == 122


def test_cap_on_what_comes() -> None:
    pdus = [pdu[:16] + bytes(4) + pdu[20:] for pdu in fragments(bytes(1000), 100)]
    reply = Reassembler(7, 999, 4280)
    for pdu in pdus[:9]:
        reply.feed(pdu)
    with pytest.raises(WireError, match="max_reply_bytes"):
        reply.feed(pdus[9])
    assert reassemble(b"".join(pdus)) == bytes(1000)


GOOD = response(b"stubstub", 8, 3)

MALFORMED = {
    "version": (b"\x04" + GOOD[1:], 0),
    "minor": (GOOD[:1] + b"\x02" + GOOD[2:], 0),
    "request instead": (GOOD[:2] + b"\x00" + GOOD[3:], 2),
    "bind_ack instead": (GOOD[:2] + b"\x0c" + GOOD[3:], 2),
    "unknown ptype": (GOOD[:2] + b"\x63" + GOOD[3:], 2),
    "no first flag": (GOOD[:3] + b"\x02" + GOOD[4:], 3),
    "big-endian": (GOOD[:4] + b"\0" + GOOD[5:], 4),
    "EBCDIC": (GOOD[:4] + b"\x11" + GOOD[5:], 4),
    "VAX floats": (GOOD[:5] + b"\x01" + GOOD[6:], 4),
    "big-endian, a header alone": (GOOD[:4] + b"\0" + GOOD[5:16], 4),
    "frag_length below a header": (GOOD[:8] + b"\x0f\0" + GOOD[10:], 8),
    "frag_length below a response": (GOOD[:8] + b"\x10\0" + GOOD[10:], 8),
    "auth_length": (GOOD[:10] + b"\x08\0" + GOOD[12:], 10),
    "call_id": (GOOD[:12] + b"\x08\0\0\0" + GOOD[16:], 12),
    "context": (response(b"stub", 4, 3, context=1), 20),
    "nothing": (b"", 0),
    "bytes after the end": (GOOD + b"x", 32),
    "a second reply": (GOOD + GOOD, 32),
    "first flag twice": (response(b"x" * 8, 16, 1) + response(b"y" * 8, 8, 3), 35),
    "first flag never": (response(b"x" * 8, 16, 0), 3),
    "empty fragment": (response(b"", 8, 1), 8),
    "empty fragment in the middle": (response(b"x" * 8, 16, 1) + response(b"", 8, 0), 40),
    "short fault": (GOOD[:2] + b"\x03" + GOOD[3:8] + b"\x1b\0" + GOOD[10:27], 8),
    "fault 0": (GOOD[:2] + b"\x03" + GOOD[3:8] + b"\x20\0" + GOOD[10:24] + bytes(8), 24),
}


@pytest.mark.parametrize("size", [1, 15, 99])
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_reply(name: str, size: int) -> None:
    data, offset = MALFORMED[name]
    reply = Reassembler(7, GIB, 4280)
    with pytest.raises(MalformedReply) as caught:
        for start in range(0, len(data) or 1, size):
            reply.feed(data[start : start + size])
    assert caught.value.offset == offset


def test_a_read_of_nothing_in_the_middle() -> None:
    reply = Reassembler(7, GIB, 4280)
    reply.feed(response(bytes(8), 16, 1) + GOOD[:5])
    with pytest.raises(MalformedReply) as caught:
        reply.feed(b"")
    assert caught.value.offset == 37


def test_what_came_instead_is_named() -> None:
    """C706 12.6.4; what nobody sends over a connection has no name."""
    kinds = {0: "request", 1: "PDU", 14: "alter_context", 15: "alter_context_resp", 16: "auth3"}
    kinds |= {2: "response", 11: "bind", 12: "bind_ack", 13: "bind_nak", 17: "shutdown"}
    for ptype, name in kinds.items():
        told = rf"{name} \(ptype {ptype}\) in answer to a"
        if ptype != 2:
            with pytest.raises(MalformedReply, match=rf": {told} request"):
                Reassembler(7, GIB, 4280).feed(GOOD[:2] + bytes((ptype,)) + GOOD[3:])
        if ptype not in (12, 13):
            with pytest.raises(MalformedReply, match=rf": {told} bind"):
                parse_bind_reply(ACK[:2] + bytes((ptype,)) + ACK[3:], 1)


def test_a_fault_with_and_without_its_reserved_bytes() -> None:
    for reserved in (b"", b"\xff\xff\xff\xff"):
        length = bytes((28 + len(reserved), 0))
        pdu = GOOD[:2] + b"\x03" + GOOD[3:8] + length + GOOD[10:24] + b"\5\0\0\0" + reserved
        with pytest.raises(RpcFaultError) as caught:
            Reassembler(7, GIB, 4280).feed(pdu)
        assert caught.value.status == 5


@pytest.mark.parametrize(("flags", "did_not"), [(3, False), (0x23, True)])
def test_a_fault_says_whether_the_call_was_begun(flags: int, did_not: bool) -> None:
    pdu = GOOD[:2] + bytes((3, flags)) + GOOD[4:8] + b"\x1c\0" + GOOD[10:24] + b"\5\0\0\0"
    with pytest.raises(RpcFaultError) as caught:
        Reassembler(7, GIB, 4280).feed(pdu)
    assert caught.value.did_not_execute is did_not


def test_minor_version_1_is_read() -> None:
    assert reassemble(GOOD[:1] + b"\1" + GOOD[2:]) == b"stubstub"


def test_a_reply_may_be_as_long_as_the_cap() -> None:
    # No promise: what the only fragment says of itself, or one after the first.
    later = [response(bytes(400), 1000, 1), response(bytes(400), 5000, 0)]
    for pdus in (
        fragments(bytes(1000), 100),
        [response(bytes(1000), 5000, 3)],
        [*later, response(bytes(200), 5000, 2)],
    ):
        reply = Reassembler(7, 1000, 4280)
        reply.feed(b"".join(pdus))
        assert reply.done


@pytest.mark.parametrize(
    ("hint", "flags", "remaining"), [(8, 3, 0), (9, 3, None), (8, 1, None), (9, 1, 1)]
)
def test_what_a_first_fragment_promises(hint: int, flags: int, remaining: int | None) -> None:
    reply = Reassembler(7, GIB, 4280)
    reply.feed(response(bytes(8), hint, flags))
    assert reply.remaining == remaining


def test_an_empty_reply_is_one() -> None:
    assert reassemble(response(b"", 0, 3)) == b""


def test_only_a_chain_of_fragments_that_were_granted_is_exact() -> None:
    """The first may be as long as it likes, as Samba's are; none after it may be longer."""
    for second, exact in ((100, True), (101, False)):
        pdus = [response(bytes(100), 201, 1), response(bytes(second), 101, 2 * (second == 101))]
        reply = Reassembler(7, GIB, 64)
        reply.feed(pdus[0])
        assert (reply.max_fragment, reply.remaining) == (124, 101)
        reply.verify = not exact
        if exact:
            reply.feed(pdus[1])
            assert reply.remaining == 1
            assert reply.bytes_to_come() == 1 + 24
        else:
            with pytest.raises(ChainBrokenError):
                reply.feed(pdus[1])


@pytest.mark.parametrize(
    ("hint", "size", "last"),
    [(100, 100, False), (100, 50, True), (100, 101, True), (100, 101, False), (99, 50, False)],
)
def test_a_second_fragment_that_breaks_the_chain(hint: int, size: int, last: bool) -> None:
    for verify in (False, True):
        reply = Reassembler(7, GIB, 4280)
        reply.feed(response(bytes(100), 200, 1))
        assert reply.remaining == 100
        reply.verify = verify
        second = response(bytes(size), hint, 2 * last)
        if verify:
            with pytest.raises(ChainBrokenError):
                reply.feed(second)
        else:
            reply.feed(second)
            assert (reply.remaining, reply.done) == (None, last)


def test_every_cut_and_every_changed_byte() -> None:
    """Whatever the bytes, what is raised is one of ours, and a whole reply is a whole reply."""
    stream = bytes.fromhex(BY_NAME["pdu_response_enum_fragments"]["hex"])
    expected = reassemble(stream)
    for end in range(1, len(stream)):
        reply = Reassembler(2, GIB, 4280)
        reply.feed(stream[:end])
        assert not reply.done
    for at in range(len(stream)):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            changed = stream[:at] + bytes((value,)) + stream[at + 1 :]
            reply = Reassembler(2, 1 << 40, 4280)
            reply.verify = True
            try:
                reply.feed(changed)
            except (ChainBrokenError, MalformedReply, WireError):
                continue
            if reply.done:
                assert len(reply.stub()) == len(expected)


# -- replies to a bind ---------------------------------------------------------------------------

ACK = bytes.fromhex(BY_NAME["pdu_bind_ack_ndr20"]["hex"])
NAK = struct.pack("<BBBB4sHHIHBBB3x", 5, 0, 13, 3, b"\x10\0\0\0", 24, 0, 1, 4, 1, 5, 0)

MALFORMED_BINDS = {
    "response instead": (ACK[:2] + b"\x02" + ACK[3:], 2),
    "another call": (ACK[:12] + b"\2\0\0\0" + ACK[16:], 12),
    "cut short": (ACK[:-1], 8),
    "less than a header": (ACK[:8] + b"\x0f\0" + ACK[10:15], 15),
    "header only": (ACK[:8] + b"\x10\0" + ACK[10:16], 16),
    "no address length": (ACK[:8] + b"\x19\0" + ACK[10:25], 25),
    "no address": (ACK[:8] + b"\x1a\0" + ACK[10:26], 24),
    "no count of results": (ACK[:8] + b"\x2b\0" + ACK[10:43], 24),
    "a count of results alone": (ACK[:8] + b"\x2c\0" + ACK[10:44], 40),
    "two fragments": (ACK[:3] + b"\1" + ACK[4:], 3),
    "transmits too little": (ACK[:16] + b"\x97\5" + ACK[18:], 16),
    "receives too little": (ACK[:18] + b"\x97\5" + ACK[20:], 18),
    "secondary address too long": (ACK[:24] + b"\0\1" + ACK[26:], 24),
    "no results": (ACK[:40] + b"\0" + ACK[41:], 40),
    "more results than fit": (ACK[:40] + b"\2" + ACK[41:], 40),
    "a result cut short": (ACK[:8] + b"\x43\0" + ACK[10:67], 40),
    "another syntax": (ACK[:48] + bytes(20), 48),
    "another syntax of a second result": (
        ACK[:8] + b"\x5c\0" + ACK[10:40] + b"\2" + ACK[41:] + bytes(24),
        72,
    ),
    "fault 0": (ACK[:2] + b"\3" + ACK[3:8] + b"\x1c\0" + ACK[10:24] + bytes(4), 24),
    "short nak": (NAK[:8] + b"\x11\0" + NAK[10:17], 17),
}


@pytest.mark.parametrize("name", MALFORMED_BINDS)
def test_malformed_bind_reply(name: str) -> None:
    data, offset = MALFORMED_BINDS[name]
    with pytest.raises(MalformedReply) as caught:
        parse_bind_reply(data, 1)
    assert caught.value.offset == offset


def test_the_least_fragment_sizes_are_granted() -> None:
    least = b"\x98\5"
    for transmit, receive in ((least, b"\x99\5"), (b"\x99\5", least)):
        ack = parse_bind_reply(ACK[:16] + transmit + receive + ACK[20:], 1)
        sizes = ack.max_receive, ack.max_send
        assert sizes == struct.unpack("<HH", transmit + receive)


@pytest.mark.parametrize(
    ("result", "reason", "status"),
    [(2, 1, 1717), (2, 2, 1730), (2, 3, 1723), (1, 0, 1727), (3, 9, 1727), (0x100, 0x101, 1727)],
)
def test_a_rejected_context(result: int, reason: int, status: int) -> None:
    """What a negotiate_ack (3) is for comes after the one context that is needed."""
    assert ACK[44:48] == bytes(4)
    with pytest.raises(WireError, match=rf"result {result}, reason {reason}\)") as caught:
        parse_bind_reply(ACK[:44] + struct.pack("<HH", result, reason) + ACK[48:], 1)
    assert caught.value.status == status


@pytest.mark.parametrize("length", [14, 15, 16, 17])
def test_results_are_aligned_behind_any_address(length: int) -> None:
    head = ACK[:24] + bytes((length, 0)) + bytes(length)
    pdu = head + bytes(-len(head) % 4) + ACK[40:]
    ack = parse_bind_reply(pdu[:8] + bytes((len(pdu), 0)) + pdu[10:], 1)
    assert ack.results == dcerpc.parse_bind_ack(ACK).results


@pytest.mark.parametrize(
    ("reason", "status"), [(1, 1723), (2, 1723), (4, 1728), (8, 1747), (3, 1727), (0x104, 1727)]
)
def test_bind_nak(reason: int, status: int) -> None:
    nak = NAK[:16] + reason.to_bytes(2, "little") + NAK[18:]
    for pdu in (nak, nak[:8] + b"\x12\0" + nak[10:18]):  # with protocol versions, and without
        with pytest.raises(WireError) as caught:
            parse_bind_reply(pdu, 1)
        assert caught.value.status == status
        assert caught.value.detail.endswith(": congestion") == (reason == 1)


def test_bind_answered_by_a_fault() -> None:
    pdu = bytes.fromhex(BY_NAME["pdu_fault_unknown_if"]["hex"])
    with pytest.raises(RpcFaultError) as caught:
        parse_bind_reply(pdu, 2)
    assert caught.value.status == 1717


def test_a_rejection_after_an_acceptance_is_one() -> None:
    ack = bytes.fromhex(BY_NAME["pdu_bind_ack_btfn"]["hex"])
    assert ack[68] == 3
    rejection = b"\2\0\1\0" + bytes(20)
    third = ack[:8] + b"\x74\0" + ack[10:40] + b"\3" + ack[41:] + rejection
    for rejected in (ack[:68] + rejection, third):
        with pytest.raises(WireError, match="result 2, reason 1"):
            parse_bind_reply(rejected, 1)


def test_missing_bytes() -> None:
    assert [dcerpc.missing_bytes(ACK[:end]) for end in (0, 9, 15, 16, 60, 68)] == [
        16, 7, 1, 52, 8, 0,
    ]  # fmt: skip
    # frag_length has two bytes; what follows is another field.
    assert dcerpc.missing_bytes(ACK[:8] + b"\2\1\xff" + ACK[11:16]) == 0x102 - 16


def test_is_one_pdu() -> None:
    assert dcerpc.is_one_pdu(ACK)
    assert dcerpc.is_one_pdu(ACK[:10] + b"\xff" + ACK[11:])
    assert dcerpc.is_one_pdu(response(bytes(600), 600, 3))
    assert dcerpc.is_one_pdu(ACK[:8] + b"\x10\0" + ACK[10:16])
    short = ACK[:8] + b"\x0f\0" + ACK[10:15]
    assert not any(dcerpc.is_one_pdu(data) for data in (b"", short, ACK[:-1], ACK + b"x"))
