"""The endpoint itself, watched by Samba's clients.

These tests do not use netsession. They show that what stands behind the pipe is a server that
others understand; if client and endpoint were wrong in the same way, it would show here.
"""

from __future__ import annotations

import pytest

from endpoint import FAULT_OP_RANGE, Call, Endpoint, Reply, Script, close_pipe
from ndr_reference import FIELDS, OPNUM_SESSION_DEL, DeleteRequest, EnumRequest, Row
from rows import make_rows
from samba_peer import PeerError, SambaPeer, rpcclient
from smbd import Smbd


def all_levels(count: int) -> dict[int, list[Row]]:
    """Rows for every level that Samba's bindings can read."""
    return {level: make_rows(level, count, well_formed=True) for level in FIELDS}


@pytest.fixture
def peer(samba_peer: SambaPeer, endpoint: Endpoint, endpoint_smbd: Smbd) -> SambaPeer:
    """The bindings, with a pipe open to the endpoint."""
    samba_peer.connect(endpoint_smbd)
    return samba_peer


@pytest.mark.parametrize("message_mode", [True, False])
@pytest.mark.parametrize("fragment", [32, 1432, 4280])
def test_bindings_read_every_level(
    samba_peer: SambaPeer,
    endpoint: Endpoint,
    endpoint_smbd: Smbd,
    message_mode: bool,
    fragment: int,
) -> None:
    rows = all_levels(60)
    endpoint.script = Script(rows=rows, message_mode=message_mode, fragment=fragment)
    samba_peer.connect(endpoint_smbd)
    for level in FIELDS:
        reply = samba_peer.enum(level)
        assert reply.rows == rows[level]
        assert (reply.level, reply.total_entries, reply.status) == (level, 60, 0)


@pytest.mark.parametrize("level", FIELDS)
def test_rpcclient_asks_every_level(endpoint: Endpoint, endpoint_smbd: Smbd, level: int) -> None:
    endpoint.script = Script(rows=all_levels(37), filters=False)
    # rpcclient's parser takes a backslash to quote, and cannot leave the names out.
    said = rpcclient(endpoint_smbd, f"netsessenum \\\\\\\\WS17 alice {level}")
    assert f"trying level: {level}\n" in said
    # What it prints of the reply is this; it complains where it cannot decode.
    assert "Received 37 entries." in said
    expected = EnumRequest("127.0.0.1", "\\\\WS17", "alice", level, True, 0xFFFFFFFF, None)
    assert endpoint.enums == [expected]


def test_paging(peer: SambaPeer, endpoint: Endpoint) -> None:
    rows = all_levels(25)
    endpoint.script = Script(rows=rows, page_entries=10)
    seen: list[Row] = []
    handle: int | None = 0
    for expected_total, expected_status in ((25, 234), (15, 234), (5, 0)):
        reply = peer.enum(502, resume_handle=handle)
        assert (reply.total_entries, reply.status) == (expected_total, expected_status)
        seen += reply.rows or []
        handle = reply.resume_handle
    assert seen == rows[502]
    assert handle == 0


def test_preferred_length(peer: SambaPeer, endpoint: Endpoint) -> None:
    endpoint.script = Script(rows={0: [{"client_name": "\\\\A"}] * 3})  # 8 + 8 bytes each
    for length, entries, status in ((16, 1, 234), (47, 2, 234), (48, 3, 0), (15, 0, 2123)):
        reply = peer.enum(0, preferred_length=length)
        assert (len(reply.rows or []), reply.status) == (entries, status)


def test_filters_and_refusals(peer: SambaPeer, endpoint: Endpoint) -> None:
    rows = all_levels(40)
    endpoint.script = Script(rows={1: rows[1], 10: rows[10]}, denied=frozenset({502}))
    wanted = rows[1][30]
    reply = peer.enum(1, client=str(wanted["client_name"]), user=str(wanted["user_name"]).upper())
    assert reply.rows == [wanted]
    for level, client, user, status in (
        (1, "\\\\nobody", None, 2312),
        (1, None, "nobody", 2221),
        (1, "nobody", None, 2351),
        (2, None, None, 124),
        (502, None, None, 5),
    ):
        refused = peer.enum(level, client=client, user=user)
        assert (refused.rows, refused.status) == (None, status)


def test_deletes_are_recorded(peer: SambaPeer, endpoint: Endpoint) -> None:
    endpoint.script = Script(delete_status=2312)
    assert peer.delete("\\\\WS17", "alice") == 2312
    assert endpoint.deletes == [DeleteRequest("\\\\NSTEST", "\\\\WS17", "alice")]


def test_faults(peer: SambaPeer, endpoint: Endpoint) -> None:
    endpoint.script = Script(respond=lambda call: Reply(fault=FAULT_OP_RANGE))
    # Samba names faults by NTSTATUS: STATUS_RPC_PROCNUM_OUT_OF_RANGE.
    with pytest.raises(PeerError, match="3221356590"):
        peer.enum(1)


def test_closes_mid_reply(peer: SambaPeer, endpoint: Endpoint) -> None:
    def respond(call: Call) -> Reply | None:
        if call.opnum == OPNUM_SESSION_DEL:
            return Reply(bytes(4), interrupt=(20, close_pipe))
        return None

    endpoint.script = Script(respond=respond)
    with pytest.raises(PeerError):
        peer.delete("\\\\WS17", None)
    assert len(endpoint.deletes) == 1


@pytest.mark.parametrize(("bind_result", "open_status"), [(None, 0), (2, 0), (0, 0xC0000022)])
def test_refuses_to_bind_or_open(
    samba_peer: SambaPeer,
    endpoint: Endpoint,
    endpoint_smbd: Smbd,
    bind_result: int | None,
    open_status: int,
) -> None:
    endpoint.script = Script(bind_result=bind_result, open_status=open_status)
    with pytest.raises(PeerError, match="connect"):
        samba_peer.connect(endpoint_smbd)
    assert endpoint.pipes >= 1
    assert not endpoint.calls
