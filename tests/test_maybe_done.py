"""What may have been done is said to be so: failures of a delete, through every entry."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import Any

import pytest

import netsession
from fake_pipe import Answer, listing, server_of
from netsession import errors, win32net
from netsession._simulator import Simulator
from netsession.srvsvc.failures import (
    DeadlinePassedError,
    LinkBrokenError,
    RpcFaultError,
    WireError,
)
from netsession.testing import SimulatedServer

DOUBT = "may have been ended all the same"

# Statuses of netapi32.dll that say that nothing was begun, and others.
REFUSALS = [2, 5, 50, 53, 65, 67, 71, 86, 87, 120, 123, 124, 231, 1219, 1225, 1314, 1326, 1331]
REFUSALS += [1707, 1717, 1722, 1723, 1727, 1745, 1909, 2114, 2221, 2312, 2351]
UNSURE = [8, 14, 31, 59, 64, 109, 121, 232, 233, 1130, 1236, 1450, 1460, 1726, 1728, 1783, 1818]
UNSURE += [1820, 2140, 0xDEADBEEF]

Entry = Callable[[netsession.Server], object]


def facade(server: netsession.Server) -> object:
    return server.delete_sessions(user="alice")


def pywin32(server: netsession.Server) -> object:
    return win32net.NetSessionDel("fake", None, "alice")


@pytest.fixture(params=[facade, pywin32], ids=["facade", "win32net"])
def delete(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """Ends alice's sessions, by one entry or the other."""
    entry: Entry = request.param

    def call(server: netsession.Server) -> object:
        monkeypatch.setattr(win32net, "_server", lambda name: server)
        return entry(server)

    return call


def outcome(delete: Entry, server: netsession.Server) -> tuple[bool, str, BaseException]:
    """The error's maybe_done, its text, and the NetApiError itself."""
    with server, pytest.raises((netsession.NetApiError, win32net.error)) as caught:
        delete(server)
    error: Any = caught.value
    cause = error.__cause__ if isinstance(error, win32net.error) else error
    assert error.maybe_done == cause.maybe_done
    assert isinstance(cause, netsession.NetApiError)
    return error.maybe_done, " ".join(map(str, error.args)) + str(error), cause


@pytest.mark.parametrize("status", REFUSALS + UNSURE)
def test_natively_the_status_tells(
    simulate: Callable[..., tuple[SimulatedServer, Simulator]], delete: Entry, status: int
) -> None:
    server, simulator = simulate()
    simulator.add("A", "alice", 0, 0, 0, 0, "", "")
    simulator.fail("NetSessionDel", status, 0, 1)
    maybe_done, text, _ = outcome(delete, server)
    assert maybe_done == (status in UNSURE)
    assert (DOUBT in text) == maybe_done


def over_smb(delete: Answer) -> netsession.Server:
    return server_of(listing(delete))[0]


def failing(error: BaseException) -> Callable[[int, bytes], bytes]:
    def answer(opnum: int, stub: bytes) -> bytes:
        raise error

    return answer


AFTER_THE_REQUEST = {
    "access denied by SMB": WireError(5, "STATUS_ACCESS_DENIED"),
    "no resources": WireError(1130, "STATUS_INSUFF_SERVER_RESOURCES"),
    "unknown NTSTATUS": WireError(31, "0xC0000001"),
    "session deleted": LinkBrokenError(59, "STATUS_USER_SESSION_DELETED"),
    "connection closed": LinkBrokenError(64, "closed"),
    "pipe broken": LinkBrokenError(109, "STATUS_PIPE_BROKEN"),
    "time-out": DeadlinePassedError(),
    "fault": RpcFaultError(1783, "bad stub data"),
    "malformed": errors.MalformedReply("an SMB reply is not signed", 16),
}


@pytest.mark.parametrize("error", AFTER_THE_REQUEST.values(), ids=AFTER_THE_REQUEST)
def test_after_the_request_every_failure_is_unsure(delete: Entry, error: BaseException) -> None:
    server = over_smb(failing(error))
    maybe_done, text, cause = outcome(delete, server)
    assert maybe_done
    assert DOUBT in text
    again = pickle.loads(pickle.dumps(cause))
    assert again.maybe_done
    assert str(again) == str(cause)


@pytest.mark.parametrize("stub", [b"", b"\0", bytes(3), bytes(5) + b"\1", bytes(12), b"\5\0\0"])
def test_answers_that_cannot_be_read_are_unsure(delete: Entry, stub: bytes) -> None:
    maybe_done, text, cause = outcome(delete, over_smb(lambda opnum, _: stub))
    assert isinstance(cause, netsession.MalformedReply)
    assert maybe_done
    assert DOUBT in text


@pytest.mark.parametrize("status", REFUSALS + UNSURE)
def test_the_server_s_own_word(delete: Entry, status: int) -> None:
    stub = struct.pack("<I", status)
    maybe_done, text, _ = outcome(delete, over_smb(lambda opnum, _: stub))
    assert maybe_done == (status in UNSURE)
    assert (DOUBT in text) == maybe_done


def test_a_fault_that_says_so_is_sure(delete: Entry) -> None:
    fault = RpcFaultError(1745, "nca_s_op_rng_error", did_not_execute=True)
    maybe_done, text, _ = outcome(delete, over_smb(failing(fault)))
    assert not maybe_done
    assert DOUBT not in text


def test_what_failed_before_the_request_is_sure(delete: Entry) -> None:
    server = over_smb(lambda opnum, stub: bytes(4))
    for error in AFTER_THE_REQUEST.values():

        def fail(deadline: object, error: BaseException = error) -> None:
            raise error

        # The listing before does well, and the server closes the connection then.
        plan = server.plan_delete(user="alice")
        client = server._client
        assert client is not None
        client._lock.try_run(client._drop)
        client._connect = fail  # type: ignore[method-assign,assignment]
        with pytest.raises(netsession.NetApiError) as caught:
            server.delete_sessions(plan=plan)
        assert not caught.value.maybe_done
        assert DOUBT not in str(caught.value)
        maybe_done, text, _ = outcome(delete, server)
        assert not maybe_done
        assert DOUBT not in text
        del client._connect  # type: ignore[attr-defined]


def test_the_exchange_before_does_not_count(delete: Entry) -> None:
    """A connection on which much was sent before, and the next request was not."""
    server = over_smb(lambda opnum, stub: bytes(4))
    server.delete_sessions(user="alice")
    client = server._client
    assert client is not None
    call = client.begin()
    call(13, bytes(12))
    server.close()
    with pytest.raises(netsession.ConnectionLost, match="nothing was done") as caught:
        call(13, bytes(12))
    assert not caught.value.maybe_done


def test_listing_is_never_unsure() -> None:
    for error in AFTER_THE_REQUEST.values():
        with (
            server_of(failing(error))[0] as server,
            pytest.raises(netsession.NetApiError) as caught,
        ):
            list(server.sessions(level=1))
        assert not caught.value.maybe_done
        assert DOUBT not in str(caught.value)
