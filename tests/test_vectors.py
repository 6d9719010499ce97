"""Every stub vector: bytes made by two independent encoders, and captures from a real smbd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netsession import MalformedReply, SessionPage, _netsession

_FILE = Path(__file__).parent / "data" / "vectors.json"
_STUB_KINDS = {"stub", "stub-variant", "stub-negative", "live-stub"}
_FIELDS = {
    "cname": "client_name",
    "username": "user_name",
    "num_opens": "num_opens",
    "time": "active_time",
    "idle_time": "idle_time",
    "user_flags": "user_flags",
    "cltype_name": "client_type",
    "transport": "transport",
}

Vector = dict[str, Any]


def _vectors(op: str, direction: str) -> list[Any]:
    chosen = [
        vector
        for vector in json.loads(_FILE.read_text())
        if vector["kind"] in _STUB_KINDS
        and vector["syntax"] == "NDR20-LE"
        and vector["op"] == op
        and vector["direction"] == direction
    ]
    assert chosen, (op, direction)
    return [pytest.param(vector, id=vector["name"]) for vector in chosen]


def _text(value: Any) -> str | None:
    if isinstance(value, dict):  # ill-formed UTF-16 is given as its bytes
        return bytes.fromhex(value["utf16le_hex"]).decode("utf-16-le", "surrogatepass")
    assert value is None or isinstance(value, str)
    return value


def _is_known_level(decoded: Vector | None) -> bool:
    if decoded is None:
        return False
    return decoded["level"] in (0, 1, 2, 10, 502) and decoded["tag"] == decoded["level"]


@pytest.mark.parametrize("vector", _vectors("NetrSessionEnum", "request"))
def test_enum_request(vector: Vector) -> None:
    decoded = vector["decoded"]
    if not _is_known_level(decoded):  # a stub made wrong on purpose, to see what smbd answers
        with pytest.raises(ValueError, match="level"):
            _netsession.encode_enum_request(None, None, None, 7, 0, 0)
        return
    stub = _netsession.encode_enum_request(
        _text(decoded["server"]),
        _text(decoded["client"]),
        _text(decoded["user"]),
        decoded["level"],
        decoded["prefmaxlen"],
        decoded["resume_handle"],
    )
    expected = bytes.fromhex(vector["hex"])
    container = decoded["container"]
    if container is not None and container["buffer"] is None:
        assert stub == expected
        return
    # This one sends no container, or an array without entries, where we always send a container
    # without an array: all the rest is the same, but for the referent after it.
    tail = 8 if decoded["resume_handle"] is None else 12
    theirs, ours = expected[-tail:], stub[-tail:]
    start = len(stub) - tail - 12
    assert len(expected) == start + (4 if container is None else 16) + tail
    assert stub[:start] == expected[:start]
    assert stub[start + 4 : start + 12] == bytes(8)
    assert ours[:4] == theirs[:4]  # PreferedMaximumLength
    assert (ours[4:8] == bytes(4)) == (theirs[4:8] == bytes(4))
    assert ours[8:] == theirs[8:]


def _is_refused(vector: Vector) -> bool:
    if vector.get("expect"):
        return bool(vector["expect"] == "reject")
    return not _is_known_level(vector["decoded"])  # smbd's answer to a level that nobody has


@pytest.mark.parametrize("vector", _vectors("NetrSessionEnum", "response"))
def test_enum_response(vector: Vector) -> None:
    stub = bytes.fromhex(vector["hex"])
    if _is_refused(vector):
        with pytest.raises(MalformedReply, match="malformed at byte") as caught:
            _netsession.decode_enum_response(stub)
        assert caught.value.offset is not None
        assert 0 <= caught.value.offset <= len(stub)
        return
    decoded = vector["decoded"]
    status, total_entries, resume_handle, page = _netsession.decode_enum_response(stub)
    assert status == decoded["status"]
    assert total_entries == decoded["total_entries"]
    assert resume_handle == decoded["resume_handle"]
    if decoded["container"] is None:
        assert page is None
        return
    _check_page(page, decoded)


def _check_page(page: SessionPage | None, decoded: Vector) -> None:
    rows = decoded["container"]["buffer"] or []
    assert page is not None
    assert page.level == decoded["level"]
    assert page.total_entries == decoded["total_entries"]
    assert page.resume_handle == decoded["resume_handle"]
    assert page.more == (decoded["status"] == 234)
    assert len(page) == len(rows) == decoded["container"]["entries_read"]
    for record, row in zip(page, rows, strict=True):
        expected = {
            _FIELDS[name]: value if isinstance(value, int) else _text(value)
            for name, value in row.items()
        }
        assert record._asdict() == expected


# Well-formed, but a server may take them for a delete of more than is named.
_NEVER_SENT = {
    "del_req_both_empty",
    "live_samba_del_both_null#req",
    "live_samba_del_both_empty#req",
}
_NEVER_SENT |= {"del_req_lone_surrogate"}  # as the user's whole name


@pytest.mark.parametrize("vector", _vectors("NetrSessionDel", "request"))
def test_delete_request(vector: Vector) -> None:
    decoded = vector["decoded"]
    names = [_text(decoded[name]) for name in ("server", "client", "user")]
    if vector["name"] in _NEVER_SENT:
        with pytest.raises(ValueError, match="name a client or a user"):
            _netsession.encode_delete_request(*names)
    else:
        assert _netsession.encode_delete_request(*names) == bytes.fromhex(vector["hex"])


@pytest.mark.parametrize("vector", _vectors("NetrSessionDel", "response"))
def test_delete_response(vector: Vector) -> None:
    stub = bytes.fromhex(vector["hex"])
    if vector.get("expect") == "reject":
        with pytest.raises(MalformedReply, match="malformed at byte"):
            _netsession.decode_delete_response(stub)
    else:
        assert _netsession.decode_delete_response(stub) == vector["decoded"]["status"]
