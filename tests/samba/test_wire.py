"""The wire backend against a real smbd, with replies of our making behind its pipe.

Here the stubs are arbitrary bytes: what goes in at the endpoint must come out of
``SrvsvcClient.call``, in whatever fragments and pieces it travelled.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from endpoint import Call, Endpoint, Reply, Script, close_pipe
from ndr_reference import (
    OPNUM_SESSION_DEL,
    OPNUM_SESSION_ENUM,
    DeleteRequest,
    EnumRequest,
    encode_delete_request,
    encode_enum_request,
)
from netsession import errors
from netsession.srvsvc import SrvsvcClient
from netsession.srvsvc.statuses import STATUS_PENDING
from proxy import Proxy
from smbd import Smbd

ENUM = encode_enum_request(EnumRequest("\\\\NSTEST", None, None, 502, True, 0xFFFFFFFF, 0))
DELETE = encode_delete_request(DeleteRequest("\\\\NSTEST", "\\\\WS17", None))
# Only a hang guard: none of these calls is meant to come near it.
PATIENCE = 60.0


def stub_of(size: int) -> bytes:
    """Bytes of which no two stretches are alike, so that a piece out of place is noticed."""
    blocks = (hashlib.sha256(b"%d" % index).digest() for index in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def serve(stub: bytes, **options: Any) -> Script:
    """A script that answers every call with this stub."""
    return dataclasses.replace(Script(respond=lambda call: Reply(stub)), **options)


def client_of(smbd: Smbd, **options: Any) -> SrvsvcClient:
    """A client of the administrator's."""
    options = {"port": smbd.port, "timeout": PATIENCE, **options}
    user = smbd.admin
    return SrvsvcClient(smbd.host, username=user.name, password=user.password, **options)


@pytest.fixture
def client(endpoint_smbd: Smbd) -> Iterator[SrvsvcClient]:
    client = client_of(endpoint_smbd)
    yield client
    client.close()


# -- fragments ------------------------------------------------------------------------------------

# The smallest that can carry anything, odd ones, the limits of Samba and Windows, and the largest
# that the 16 bits of frag_length can say.
SMALL_FRAGMENTS = [25, 26, 31, 32, 33, 39, 40, 47, 100]
LARGE_FRAGMENTS = [1000, 1432, 2047, 2048, 2049, 4096, 4279, 4280, 5840, 16384, 32767, 65528, 65535]


@pytest.mark.parametrize("message_mode", [True, False], ids=["message", "byte"])
@pytest.mark.parametrize("fragment", SMALL_FRAGMENTS + LARGE_FRAGMENTS)
def test_every_fragment_size(
    endpoint: Endpoint, client: SrvsvcClient, fragment: int, message_mode: bool
) -> None:
    room = max(1, (fragment - 24) // 8 * 8)
    # None, a part of one, exactly one, one and a bit, many and an odd rest.
    for size in (0, 1, room - 1, room, room + 1, 3 * room, 37 * room + 13):
        stub = stub_of(size)
        endpoint.script = serve(
            stub, fragment=fragment, grant=max(fragment, 2048), message_mode=message_mode
        )
        assert client.call(OPNUM_SESSION_ENUM, ENUM) == stub


@pytest.mark.parametrize("message_mode", [True, False], ids=["message", "byte"])
@pytest.mark.parametrize(
    ("fragment", "piece"),
    [
        *((25, 1), (32, 7), (32, 60_000), (1432, 1), (1432, 1431), (1432, 1433)),
        *((4280, 23), (4280, 4281), (4280, 65_535), (65_528, 1_000), (65_528, 65_527)),
    ],
)
def test_reads_that_do_not_fit_fragments(
    endpoint: Endpoint, client: SrvsvcClient, fragment: int, piece: int, message_mode: bool
) -> None:
    """Several fragments in one READ, fragments over several READs, headers cut in two."""
    # At most 2,000 pieces, each of which costs a round trip.
    stub = stub_of(min(200_001, 2_000 * piece * (fragment - 24) // fragment))
    endpoint.script = serve(
        stub, fragment=fragment, grant=65_535, piece=piece, message_mode=message_mode
    )
    for _ in range(2):
        assert client.call(OPNUM_SESSION_ENUM, ENUM) == stub


@pytest.mark.parametrize("grant", [1432, 2048, 4280, 5840, 65_535])
def test_long_requests_go_in_fragments(
    endpoint: Endpoint, client: SrvsvcClient, grant: int
) -> None:
    # The longest names that MS-SRVS allows, of three sorts. The endpoint checks each fragment.
    server, client_name, user = ("\\\\" + letter * 1021 for letter in "abc")
    request = EnumRequest(server, client_name, user, 502, True, 0xFFFFFFFF, 0)
    endpoint.script = serve(stub_of(77), grant=grant)
    assert client.call(OPNUM_SESSION_ENUM, encode_enum_request(request)) == stub_of(77)
    assert endpoint.enums == [request]


@pytest.mark.parametrize("message_mode", [True, False], ids=["message", "byte"])
@pytest.mark.parametrize(
    "alloc_hint",
    [
        lambda remaining: 0,
        lambda remaining: 100_000,
        lambda remaining: remaining + 1,
        lambda remaining: remaining + 40_000,
        lambda remaining: max(0, remaining - 1),
        lambda remaining: remaining // 2,
        lambda remaining: remaining + 40_000 if remaining < 60_000 else remaining,
        lambda remaining: min(remaining, 8),
    ],
    ids=["zero", "total", "more", "much more", "less", "half", "late", "eight"],
)
def test_alloc_hints_that_cannot_be_relied_on(
    endpoint: Endpoint,
    client: SrvsvcClient,
    alloc_hint: Callable[[int], int],
    message_mode: bool,
) -> None:
    stub = stub_of(100_000)
    endpoint.script = serve(stub, alloc_hint=alloc_hint, message_mode=message_mode)
    for _ in range(3):
        assert client.call(OPNUM_SESSION_ENUM, ENUM) == stub


@pytest.mark.parametrize("encrypt", [False, True])
def test_reads_are_on_their_way_together(
    endpoint: Endpoint, endpoint_smbd: Smbd, encrypt: bool
) -> None:
    """The first reply to a READ is held back until there are more READs."""
    stub = stub_of(100_000)  # 24 fragments
    read_requests = 0
    several = threading.Event()
    held: list[bool] = []

    def watch(message: bytes) -> None:
        nonlocal read_requests
        # Encrypted READs are known by their size: 113 bytes behind the transform header's 52.
        read_requests += message[12:14] == b"\x08\0" if not encrypt else len(message) == 165
        if read_requests >= 6:
            several.set()

    def tamper(message: bytes) -> bytes:
        if len(message) > 4000 and read_requests and not held:
            held.append(several.wait(PATIENCE / 4))
        return message

    endpoint.script = serve(stub)
    with Proxy(endpoint_smbd, tamper, watch) as proxy:
        client = client_of(endpoint_smbd, port=proxy.port, encrypt=encrypt)
        assert client.call(OPNUM_SESSION_ENUM, ENUM) == stub
        client.close()
    assert held == [True]


def test_many_calls_on_one_pipe(endpoint: Endpoint, client: SrvsvcClient) -> None:
    def respond(call: Call) -> Reply:
        return Reply(stub_of(call.number * 613))

    endpoint.script = Script(respond=respond)
    for number in range(60):
        assert client.call(OPNUM_SESSION_ENUM, ENUM) == stub_of(number * 613)
    assert endpoint.pipes == 1


def test_threads_share_a_client(endpoint: Endpoint, client: SrvsvcClient) -> None:
    def respond(call: Call) -> Reply:
        assert call.enum is not None
        return Reply(stub_of(call.enum.preferred_length))

    def ask(size: int) -> bool:
        stub = encode_enum_request(EnumRequest(None, None, None, 0, True, size, None))
        return client.call(OPNUM_SESSION_ENUM, stub) == stub_of(size)

    endpoint.script = Script(respond=respond)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(0, 40_000, 499)))
    assert endpoint.pipes == 1


def test_twenty_megabytes(endpoint: Endpoint, client: SrvsvcClient) -> None:
    stub = stub_of(20_000_003)
    endpoint.script = serve(stub)
    assert client.call(OPNUM_SESSION_ENUM, ENUM) == stub


DIALECTS: dict[str, dict[str, str]] = {
    "2.0.2": {"server max protocol": "SMB2_02"},
    "2.1": {"server max protocol": "SMB2_10"},
    "3.0.2": {"server max protocol": "SMB3_02"},
    "3.0.2 encrypted": {"server max protocol": "SMB3_02", "server smb encrypt": "required"},
    "3.1.1 encrypted": {"server smb encrypt": "required"},
    "few credits": {"smb2 max credits": "3"},
    "small reads": {"smb2 max read": "65536", "smb2 max trans": "65536"},
}


@pytest.mark.parametrize("options", DIALECTS.values(), ids=DIALECTS)
def test_long_replies_in_every_dialect(options: dict[str, str]) -> None:
    """Dialects differ in credits, in signatures and in how much one READ may bring."""
    stub = stub_of(1_000_003)
    with Smbd(options, helpers=False) as smbd, Endpoint(smbd.endpoint_path) as endpoint:
        client = client_of(smbd)
        for fragment in (1432, 4280, 65_535):
            for message_mode in (True, False):
                client.close()  # the mode is that of the pipe, from when it is opened
                endpoint.script = serve(
                    stub, fragment=fragment, grant=65_535, message_mode=message_mode
                )
                for _ in range(2):
                    assert client.call(OPNUM_SESSION_ENUM, ENUM) == stub
        client.close()
        assert not endpoint.errors
        assert not endpoint.breaches


def test_a_server_of_smaller_reads_than_windows_clients_take() -> None:
    """[MS-SMB2] 3.2.5.2: below 65,536 a client should not go on, and Windows' own does not."""
    with Smbd({"smb2 max read": "65535"}, helpers=False) as smbd:
        with pytest.raises(errors.MalformedReply, match="MaxReadSize 65,535") as caught:
            client_of(smbd).call(OPNUM_SESSION_ENUM, ENUM)
        assert caught.value.offset == 96


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF])
def test_replies_beyond_the_limit_are_refused(
    endpoint: Endpoint, endpoint_smbd: Smbd, claimed: int
) -> None:
    client = client_of(endpoint_smbd, max_reply_bytes=10_000)
    endpoint.script = serve(stub_of(10_000))
    assert client.call(OPNUM_SESSION_ENUM, ENUM) == stub_of(10_000)
    endpoint.script = serve(stub_of(10_001), alloc_hint=lambda remaining: claimed or remaining)
    with pytest.raises(errors.NetApiError, match="max_reply_bytes"):
        client.call(OPNUM_SESSION_ENUM, ENUM)
    endpoint.script = serve(stub_of(9_999))
    assert client.call(OPNUM_SESSION_ENUM, ENUM) == stub_of(9_999)
    client.close()


# -- refusals -------------------------------------------------------------------------------------

FAULTS = [
    (0x00000005, errors.AccessDenied, 5),
    (0x000006F7, errors.NetApiError, 1783),
    (0x1C010002, errors.NotSupported, 1745),
    (0x1C010003, errors.NotSupported, 1717),
    (0x1C010014, errors.NetApiError, 1723),
    (0x1C000006, errors.NetApiError, 1733),
    (0x000006BA, errors.ServerUnreachable, 1722),
    (0x1C0000FF, errors.NetApiError, 1726),
]


@pytest.mark.parametrize(("fault", "kind", "status"), FAULTS, ids=lambda value: str(value))
def test_faults(
    endpoint: Endpoint,
    client: SrvsvcClient,
    fault: int,
    kind: type[errors.NetApiError],
    status: int,
) -> None:
    def respond(call: Call) -> Reply:
        return Reply(stub_of(9)) if call.number % 2 else Reply(fault=fault)

    endpoint.script = Script(respond=respond)
    with pytest.raises(kind) as caught:
        client.call(OPNUM_SESSION_ENUM, ENUM)
    assert (caught.value.status, caught.value.step) == (status, "call")
    assert f"{fault:08X}" in str(caught.value)
    # A fault ends the call, not the connection.
    assert client.call(OPNUM_SESSION_ENUM, ENUM) == stub_of(9)
    assert endpoint.pipes == 1


def test_a_fault_in_the_middle_of_a_reply(endpoint: Endpoint, client: SrvsvcClient) -> None:
    def mangle(pdus: list[bytes]) -> list[bytes]:
        head = bytearray(pdus[2][:32])
        head[2:4] = 3, 3
        head[8:10] = (32).to_bytes(2, "little")
        head[24:32] = (5).to_bytes(8, "little")
        return [*pdus[:2], bytes(head)]

    stub = stub_of(40_000)
    for _ in range(10):  # READs sent too early that stay on their way do not always do harm
        endpoint.script = serve(stub, mangle=mangle)
        with pytest.raises(errors.AccessDenied):
            client.call(OPNUM_SESSION_ENUM, ENUM)
        endpoint.script = serve(stub)
        assert client.call(OPNUM_SESSION_ENUM, ENUM) == stub


def _poke(index: int, at: int, value: bytes) -> Callable[[list[bytes]], list[bytes]]:
    def mangle(pdus: list[bytes]) -> list[bytes]:
        pdu = pdus[index]
        return [*pdus[:index], pdu[:at] + value + pdu[at + len(value) :], *pdus[index + 1 :]]

    return mangle


MANGLED = {
    "version": _poke(0, 0, b"\4"),
    "type": _poke(0, 2, b"\x0c"),
    "request as a reply": _poke(1, 2, b"\0"),
    "first fragment is none": _poke(0, 3, b"\0"),
    "two first fragments": _poke(1, 3, b"\1"),
    "big-endian": _poke(0, 4, b"\0"),
    "length 0": _poke(0, 8, b"\0\0"),
    "length of the header": _poke(0, 8, b"\x10\0"),
    "length 23": _poke(1, 8, b"\x17\0"),
    "authentication": _poke(0, 10, b"\x10\0"),
    "call id": _poke(0, 12, b"\xff"),
    "call id of a later fragment": _poke(2, 12, b"\xff"),
    "context": _poke(0, 20, b"\7"),
    "nothing but zeros": lambda pdus: [bytes(4280)] * 3,
    "bytes after the last": lambda pdus: [b"".join([*pdus, pdus[-1]])],
}


@pytest.mark.parametrize("message_mode", [True, False], ids=["message", "byte"])
@pytest.mark.parametrize("mangle", MANGLED.values(), ids=MANGLED)
def test_malformed_fragments(
    endpoint: Endpoint,
    client: SrvsvcClient,
    mangle: Callable[[list[bytes]], list[bytes]],
    message_mode: bool,
) -> None:
    stub = stub_of(12_000)
    endpoint.script = serve(stub, mangle=mangle, message_mode=message_mode)
    with pytest.raises(errors.MalformedReply) as caught:
        client.call(OPNUM_SESSION_ENUM, ENUM)
    assert caught.value.offset is not None
    # Nothing of the broken reply is left in the way of the next.
    endpoint.script = serve(stub, message_mode=message_mode)
    assert client.call(OPNUM_SESSION_ENUM, ENUM) == stub


@pytest.mark.parametrize(
    ("options", "kind", "status", "step"),
    [
        ({"bind_result": None}, errors.NetApiError, 1727, "bind"),
        ({"bind_result": 1}, errors.NotSupported, 1717, "bind"),
        ({"bind_result": 2}, errors.NotSupported, 1717, "bind"),
        # smbd answers STATUS_CONNECTION_DISCONNECTED whatever the status of the handshake was.
        ({"open_status": 0xC0000022}, errors.ServerUnreachable, 64, "bind"),
    ],
)
def test_refused_binds_and_opens(
    endpoint: Endpoint,
    client: SrvsvcClient,
    options: dict[str, int | None],
    kind: type[errors.NetApiError],
    status: int,
    step: str,
) -> None:
    endpoint.script = serve(b"1234", **options)
    with pytest.raises(kind) as caught:
        client.call(OPNUM_SESSION_ENUM, ENUM)
    assert (caught.value.status, caught.value.step) == (status, step)
    assert not isinstance(caught.value, errors.ConnectionLost)  # no request had been sent
    assert not endpoint.calls
    endpoint.script = serve(b"1234")
    assert client.call(OPNUM_SESSION_ENUM, ENUM) == b"1234"


def test_a_server_without_the_pipe(
    endpoint: Endpoint, endpoint_smbd: Smbd, client: SrvsvcClient
) -> None:
    there = endpoint_smbd.endpoint_path
    away = there.rename(there.with_name("away"))
    # What smbd answers depends on whether it runs as root.
    status, text = (5, "ACCESS_DENIED") if os.geteuid() else (2, "srvsvc pipe")
    try:
        with pytest.raises(errors.NetApiError, match=text) as caught:
            client.call(OPNUM_SESSION_ENUM, ENUM)
        assert (caught.value.status, caught.value.step) == (status, "pipe")
    finally:
        away.rename(there)
    endpoint.script = serve(b"1234")
    assert client.call(OPNUM_SESSION_ENUM, ENUM) == b"1234"


# -- connections that end -------------------------------------------------------------------------

REPLY = stub_of(30_000)  # eight fragments of 4280 bytes


@pytest.mark.parametrize("opnum", [OPNUM_SESSION_ENUM, OPNUM_SESSION_DEL])
@pytest.mark.parametrize("message_mode", [True, False], ids=["message", "byte"])
@pytest.mark.parametrize("after", [0, 1, 10, 16, 24, 4000, 4280, 4281, 4300, 21_000])
def test_pipe_that_closes_mid_reply(
    endpoint: Endpoint, client: SrvsvcClient, opnum: int, message_mode: bool, after: int
) -> None:
    broken = Script(
        respond=lambda call: Reply(REPLY, interrupt=(after, close_pipe)), message_mode=message_mode
    )
    endpoint.script = serve(REPLY)
    assert client.call(OPNUM_SESSION_ENUM, ENUM) == REPLY
    client.close()
    endpoint.script = broken
    with pytest.raises(errors.ConnectionLost) as caught:
        client.call(opnum, DELETE if opnum == OPNUM_SESSION_DEL else ENUM)
    assert caught.value.maybe_done == (opnum == OPNUM_SESSION_DEL)
    assert len(endpoint.calls) == 1
    endpoint.script = serve(REPLY)
    assert client.call(OPNUM_SESSION_ENUM, ENUM) == REPLY


def test_lists_again_after_a_lost_connection(
    endpoint: Endpoint, endpoint_smbd: Smbd, client: SrvsvcClient
) -> None:
    endpoint.script = serve(REPLY)
    assert client.call(OPNUM_SESSION_ENUM, ENUM) == REPLY
    endpoint_smbd.kill_connections()
    assert client.call(OPNUM_SESSION_ENUM, ENUM) == REPLY
    endpoint.close_pipes()
    assert client.call(OPNUM_SESSION_ENUM, ENUM) == REPLY
    assert endpoint.pipes == 3


def test_deletes_on_a_new_connection_where_the_old_one_went_before(
    endpoint: Endpoint, endpoint_smbd: Smbd, client: SrvsvcClient
) -> None:
    """As a server does that drops idle connections: nothing had been sent, so no harm is done."""
    endpoint.script = serve(bytes(4))
    assert client.call(OPNUM_SESSION_DEL, DELETE) == bytes(4)
    endpoint_smbd.kill_connections()
    assert client.call(OPNUM_SESSION_DEL, DELETE) == bytes(4)
    assert len(endpoint.deletes) == 2


def test_never_deletes_again_after_a_lost_connection(
    endpoint: Endpoint, client: SrvsvcClient
) -> None:
    """On a connection that was good before, too: here the request has been sent."""
    endpoint.script = serve(REPLY)
    assert client.call(OPNUM_SESSION_ENUM, ENUM) == REPLY
    endpoint.script = Script(respond=lambda call: Reply(bytes(4), interrupt=(0, close_pipe)))
    with pytest.raises(errors.ConnectionLost) as caught:
        client.call(OPNUM_SESSION_DEL, DELETE)
    assert caught.value.maybe_done
    assert len(endpoint.deletes) == 1
    endpoint.script = serve(bytes(4))
    assert client.call(OPNUM_SESSION_DEL, DELETE) == bytes(4)


def test_a_server_that_dies_every_time_is_asked_twice_at_most(
    endpoint: Endpoint, client: SrvsvcClient
) -> None:
    endpoint.script = serve(REPLY)
    assert client.call(OPNUM_SESSION_ENUM, ENUM) == REPLY
    endpoint.script = Script(respond=lambda call: Reply(REPLY, interrupt=(0, close_pipe)))
    with pytest.raises(errors.ConnectionLost):
        client.call(OPNUM_SESSION_ENUM, ENUM)
    assert len(endpoint.calls) == 2


@pytest.mark.parametrize("after", [0, 30, 4280, 20_000])
def test_a_server_that_is_killed_mid_reply(endpoint: Endpoint, after: int) -> None:
    with Smbd(helpers=False) as smbd, Endpoint(smbd.endpoint_path) as own:
        client = client_of(smbd)
        dark = threading.Event()

        def power_cut() -> bool:
            smbd.kill()
            dark.set()
            return False

        own.script = Script(respond=lambda call: Reply(REPLY, interrupt=(after, power_cut)))
        with pytest.raises(errors.ConnectionLost):
            client.call(OPNUM_SESSION_ENUM, ENUM)
        # It is down, and the client says so; then it is up again, and the same client works.
        assert dark.wait(PATIENCE)
        with pytest.raises(errors.ServerUnreachable) as caught:
            client.call(OPNUM_SESSION_ENUM, ENUM)
        assert not isinstance(caught.value, errors.ConnectionLost)
        smbd.start()
        own.script = serve(REPLY)
        assert client.call(OPNUM_SESSION_ENUM, ENUM) == REPLY
        client.close()


# -- time -----------------------------------------------------------------------------------------


def test_time_out_of_a_reply_that_does_not_come(endpoint: Endpoint, client: SrvsvcClient) -> None:
    done = threading.Event()

    def hold() -> bool:
        return not done.wait(PATIENCE)

    def held_at(offset: int) -> Script:
        return Script(respond=lambda call: Reply(REPLY, interrupt=(offset, hold)))

    try:
        for after in (0, 9_000):
            endpoint.script = serve(REPLY)
            client._timeout = PATIENCE
            assert client.call(OPNUM_SESSION_ENUM, ENUM) == REPLY
            endpoint.script = held_at(after)
            client._timeout = 0.5  # only for what is meant to time out
            with pytest.raises(errors.CallTimeout):
                client.call(OPNUM_SESSION_ENUM, ENUM)
    finally:
        done.set()


def test_time_out_of_a_frozen_server() -> None:
    with Smbd(helpers=False) as smbd, Endpoint(smbd.endpoint_path, serve(REPLY)):
        client = client_of(smbd)
        assert client.call(OPNUM_SESSION_ENUM, ENUM) == REPLY
        smbd.stop()
        client._timeout = 0.5  # only for what is meant to time out
        with pytest.raises(errors.CallTimeout):  # on the open connection
            client.call(OPNUM_SESSION_ENUM, ENUM)
        with pytest.raises(errors.CallTimeout):  # connecting: TCP answers, SMB does not
            client.call(OPNUM_SESSION_ENUM, ENUM)
        client.close()  # the polite way out takes no longer than it should, either
        smbd.cont()
        client._timeout = PATIENCE
        assert client.call(OPNUM_SESSION_ENUM, ENUM) == REPLY
        client.close()


def test_closing_from_another_thread_ends_a_call(endpoint: Endpoint, client: SrvsvcClient) -> None:
    asked, done = threading.Event(), threading.Event()

    def hold() -> bool:
        asked.set()
        return not done.wait(PATIENCE)

    endpoint.script = Script(respond=lambda call: Reply(REPLY, interrupt=(0, hold)))
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.call, OPNUM_SESSION_ENUM, ENUM)
        try:
            assert asked.wait(PATIENCE)
            client.close()
            assert isinstance(call.exception(PATIENCE / 2), errors.NetApiError)
        finally:
            done.set()


# -- what travels ---------------------------------------------------------------------------------

PIPE_NAME = "srvsvc".encode("utf-16-le")
IS_ENCRYPTED = b"\xfdSMB"


def test_encryption_when_asked_for(endpoint: Endpoint, endpoint_smbd: Smbd) -> None:
    endpoint.script = serve(REPLY)
    for encrypt in (False, True):
        with Proxy(endpoint_smbd) as proxy:
            client = client_of(endpoint_smbd, port=proxy.port, encrypt=encrypt)
            assert client.call(OPNUM_SESSION_ENUM, ENUM) == REPLY
            client.close()
            seen = b"".join(proxy.messages)
        assert (PIPE_NAME in seen) == (REPLY[:1000] in seen) == (not encrypt)
        assert any(message.startswith(IS_ENCRYPTED) for message in proxy.messages) == encrypt


def test_every_message_is_signed(endpoint: Endpoint, endpoint_smbd: Smbd) -> None:
    endpoint.script = serve(REPLY)
    with Proxy(endpoint_smbd) as proxy:
        client = client_of(endpoint_smbd, port=proxy.port)
        assert client.call(OPNUM_SESSION_ENUM, ENUM) == REPLY
        client.close()
    # From the tree connect (command 3) on; 8 is SMB2_FLAGS_SIGNED. Interim replies, which come
    # where the server takes its time, need no signature ([MS-SMB2] 3.2.5.1.3).
    interim = STATUS_PENDING.to_bytes(4, "little")
    later = [message for message in proxy.messages if message[12] >= 3 and message[8:12] != interim]
    assert len(later) > 10
    assert all(message[16] & 8 for message in later)


@pytest.mark.parametrize("encrypt", [False, True])
def test_a_changed_reply_is_noticed(endpoint: Endpoint, endpoint_smbd: Smbd, encrypt: bool) -> None:
    """One bit of a reply, flipped on its way."""
    changed = []

    def tamper(message: bytes) -> bytes:
        if len(message) < 4000:
            return message
        changed.append(len(message))
        return message[:3000] + bytes([message[3000] ^ 1]) + message[3001:]

    endpoint.script = serve(REPLY)
    with Proxy(endpoint_smbd, tamper) as proxy:
        client = client_of(endpoint_smbd, port=proxy.port, encrypt=encrypt)
        with pytest.raises(errors.NetApiError):
            client.call(OPNUM_SESSION_ENUM, ENUM)
        client.close()
    assert changed


def test_a_removed_signature_is_noticed(endpoint: Endpoint, endpoint_smbd: Smbd) -> None:
    def tamper(message: bytes) -> bytes:
        if len(message) < 4000:
            return message
        return message[:16] + bytes([message[16] & ~8]) + message[17:48] + bytes(16) + message[64:]

    endpoint.script = serve(REPLY)
    with Proxy(endpoint_smbd, tamper) as proxy:
        client = client_of(endpoint_smbd, port=proxy.port)
        with pytest.raises(errors.NetApiError):
            client.call(OPNUM_SESSION_ENUM, ENUM)
        client.close()


def test_any_bit_changed_before_anything_is_signed(endpoint: Endpoint, endpoint_smbd: Smbd) -> None:
    """NEGOTIATE and SESSION_SETUP replies: the hash of SMB 3.1.1 covers every bit of them."""
    endpoint.script = serve(REPLY)
    dice = random.Random(311)
    replies = [len(message) for message in _opening_replies(endpoint_smbd)]
    places = [(which, at) for which, size in enumerate(replies) for at in range(size)]
    for which, at in dice.sample(places, 250):
        with Proxy(endpoint_smbd, _flipped(which, at, dice.randrange(8))) as proxy:
            client = client_of(endpoint_smbd, port=proxy.port)
            with pytest.raises(errors.NetApiError):
                client.call(OPNUM_SESSION_ENUM, ENUM)
            client.close()


def _opening_replies(smbd: Smbd) -> list[bytes]:
    """The first three replies of a server: NEGOTIATE, twice SESSION_SETUP."""
    replies: list[bytes] = []

    def keep(message: bytes) -> bytes:
        replies.append(message)
        return message

    with Proxy(smbd, keep) as proxy:
        client = client_of(smbd, port=proxy.port)
        assert client.call(OPNUM_SESSION_ENUM, ENUM) == REPLY
        client.close()
    assert [message[12] for message in replies[:3]] == [0, 1, 1]
    return replies[:3]


def _flipped(which: int, at: int, bit: int) -> Callable[[bytes], bytes]:
    seen = -1

    def tamper(message: bytes) -> bytes:
        nonlocal seen
        seen += 1
        if seen != which or at >= len(message):
            return message
        return message[:at] + bytes((message[at] ^ 1 << bit,)) + message[at + 1 :]

    return tamper
