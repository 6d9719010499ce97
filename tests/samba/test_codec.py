"""The tests' own codec against Samba's: the endpoint must serve what Samba would send."""

from __future__ import annotations

import pytest

from ndr_reference import (
    FIELDS,
    DeleteRequest,
    EnumRequest,
    EnumResponse,
    decode_delete_request,
    decode_enum_request,
    decode_enum_response,
    encode_delete_request,
    encode_enum_request,
    encode_enum_response,
)
from rows import make_rows
from samba_peer import SambaPeer

NAMES = [
    (None, None, None),
    ("\\\\SRV1", None, None),
    ("\\\\SRV", "\\\\WS", "x"),
    ("", "", ""),
    ("\\\\S", "\\\\[2001:db8::5]", "\U0001f98a\u738b"),
]


@pytest.mark.parametrize("level", FIELDS)
@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("resume", [None, 0, 0xFFFFFFFE])
def test_enum_requests(
    samba_peer: SambaPeer,
    level: int,
    names: tuple[str | None, str | None, str | None],
    resume: int | None,
) -> None:
    request = EnumRequest(*names, level, True, 0xFFFFFFFF, resume)
    stub = samba_peer.pack_request(request)
    assert encode_enum_request(request) == stub
    assert decode_enum_request(stub) == request
    assert samba_peer.unpack_request(stub) == request


@pytest.mark.parametrize("level", FIELDS)
@pytest.mark.parametrize("count", [None, 0, 1, 2, 11, 40])
@pytest.mark.parametrize(("resume", "status"), [(0, 0), (None, 0), (0xFFFFFFFE, 234), (0, 5)])
def test_enum_responses(
    samba_peer: SambaPeer, level: int, count: int | None, resume: int | None, status: int
) -> None:
    rows = None if count is None else make_rows(level, count, well_formed=True)
    total = count or 0
    stub = samba_peer.pack_response(
        level, rows, total_entries=total, resume_handle=resume, status=status
    )
    ours = encode_enum_response(
        level, rows, total_entries=total, resume_handle=resume, status=status
    )
    assert ours == stub
    expected = EnumResponse(level, rows, total, resume, status)
    assert decode_enum_response(stub) == expected
    # The bindings do not tell a NULL array from one without elements.
    assert (samba_peer.unpack_response(stub).rows or []) == (rows or [])


@pytest.mark.parametrize("names", NAMES)
def test_delete_requests(
    samba_peer: SambaPeer, names: tuple[str | None, str | None, str | None]
) -> None:
    request = DeleteRequest(*names)
    stub = samba_peer.pack_delete(request)
    assert encode_delete_request(request) == stub
    assert decode_delete_request(stub) == request


@pytest.mark.parametrize("level", FIELDS)
def test_ill_formed_names_survive(level: int) -> None:
    """Samba's bindings cannot carry lone surrogates: here only our own round trip is tested."""
    rows = make_rows(level, 20)
    stub = encode_enum_response(level, rows, total_entries=20, resume_handle=0, status=0)
    assert decode_enum_response(stub).rows == rows
    assert any("\ud800" <= str(row["client_name"])[-1:] <= "\udfff" for row in rows)
