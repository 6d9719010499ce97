"""What is said where no SMB 2 server answers: who it is, and that the port may be wrong.

The servers here are small ones on loopback, that say what such servers say.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

import pytest

pytest.importorskip("smbprotocol")

from cli_process import only_line, run
from netsession import CallTimeout, MalformedReply, NetApiError, Server, ServerUnreachable
from netsession.srvsvc.deadline import Deadline
from netsession.srvsvc.failures import CalledOffError
from netsession.srvsvc.stranger import who_answers

# A hang guard: none of these servers keeps anyone waiting, but for those that are silent.
PATIENCE = 30.0


def test_a_call_that_is_called_off_sends_no_greeting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked in SMB 1 after close()."""
    limit = Deadline(PATIENCE)
    ours, theirs = socket.socketpair()

    def connect(peer: object, timeout: float) -> socket.socket:
        limit.call_off()
        return ours

    monkeypatch.setattr(socket, "create_connection", connect)
    with theirs:
        with pytest.raises(CalledOffError):
            who_answers(b"", ("127.0.0.1", 445), limit)
        theirs.settimeout(PATIENCE)
        assert theirs.recv(100) == b""


class Stranger:
    """Answers every connection with ``talk``, which gets the socket. A context manager."""

    def __init__(self, talk: Callable[[socket.socket], None]) -> None:
        self._talk = talk
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with sock, contextlib.suppress(OSError):
                sock.settimeout(PATIENCE)
                self._talk(sock)


def hear(sock: socket.socket) -> bytes:
    """The client's first message, so that closing does not reset the connection under it."""
    size = int.from_bytes(sock.recv(4, socket.MSG_WAITALL), "big")
    return sock.recv(size, socket.MSG_WAITALL)


def says(answer: bytes) -> Callable[[socket.socket], None]:
    """Hears the client out, answers and closes."""

    def talk(sock: socket.socket) -> None:
        hear(sock)
        sock.sendall(answer)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(4096):
            pass

    return talk


def speaks_first(banner: bytes) -> Callable[[socket.socket], None]:
    """Says something before the client does, as SSH, FTP and SMTP servers do."""

    def talk(sock: socket.socket) -> None:
        sock.sendall(banner)
        while sock.recv(4096):
            pass

    return talk


def ask(port: int, timeout: float = PATIENCE) -> NetApiError:
    with (
        Server("127.0.0.1", port=port, username="u", password="p", timeout=timeout) as server,
        pytest.raises(NetApiError) as caught,
    ):
        list(server.sessions(level=1))
    return caught.value


HTTP_400 = b"HTTP/1.1 400 Bad Request\r\nServer: x\r\nConnection: close\r\n\r\n"
LDAP_NOTICE = bytes.fromhex("30840000002f02010078840000002604010a0400")
SMB_1_REPLY = b"\xffSMB\x72" + bytes(4) + b"\x88\x01\x48" + bytes(20) + b"\x11\x00\x00" + bytes(40)

STRANGERS = {
    "SSH": (speaks_first(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), 58, "SSH-2.0-OpenSSH_9.2p1"),
    "FTP": (speaks_first(b"220 (vsFTPd 3.0.3)\r\n"), 58, "220 (vsFTPd 3.0.3)"),
    "HTTP": (says(HTTP_400), 58, "HTTP/1.1 400 Bad Request"),
    "TLS": (says(b"\x15\x03\x01\x00\x02\x02\x46"), 58, "TLS"),
    "LDAP": (says(LDAP_NOTICE), 58, "LDAP"),
    "RPC": (says(b"\x05\x00\x0d\x03\x10\x00\x00\x00\x18\x00\x00\x00"), 58, "DCE/RPC without SMB"),
    "bytes": (says(b"\x01\x02\x03\x04\x05\x06\x07\x08\x09"), 58, "01 02 03 04 05 06 07 08"),
    "zeros": (says(bytes(64)), 58, "00 00 00 00"),
    "terminal attack": (says(b"\x1b[2Jhello\r\n"), 58, "1b 5b 32 4a"),
    "one byte": (says(b"Q"), 58, "51"),
    "NetBIOS, positive": (says(b"\x82\x00\x00\x00"), 58, "NetBIOS session service"),
    "NetBIOS, retarget": (says(b"\x84\0\0\x06\x7f\0\0\1\0\x8b"), 58, "NetBIOS session service"),
    "NetBIOS, not this caller": (says(b"\x83\0\0\1\x81"), 1225, "0x81"),
    "NetBIOS, cut short": (says(b"\x83\0\0\1"), 1225, "refuses connections from this machine"),
    "SMB 1": (says(len(SMB_1_REPLY).to_bytes(4, "big") + SMB_1_REPLY), 384, "SMB 1 only"),
}


@pytest.mark.parametrize(("talk", "status", "text"), STRANGERS.values(), ids=STRANGERS)
def test_strangers_are_named(talk: Callable[[socket.socket], None], status: int, text: str) -> None:
    with Stranger(talk) as stranger:
        error = ask(stranger.port)
        assert stranger.connections == 1
    assert type(error) is ServerUnreachable, error
    assert (error.status, error.step, error.ntstatus) == (status, "negotiate", None)
    assert text in str(error)
    for word in ("hostile", "try again", "malformed", "\x1b"):
        assert word not in str(error).lower()
    if status == 58:
        assert "No SMB 2 server there: check the name and port=" in str(error)


@pytest.mark.parametrize("reset", [False, True])
def test_who_closes_without_a_word(reset: bool) -> None:
    def talk(sock: socket.socket) -> None:
        if reset:  # what was sent is left unread, so that the kernel resets
            sock.recv(1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        else:
            hear(sock)

    with Stranger(talk) as stranger:
        error = ask(stranger.port)
    assert type(error) is ServerUnreachable
    assert error.step == "negotiate"
    assert "closes the connection without a word" in str(error)
    assert "No SMB 2 server there" in str(error)


@pytest.mark.parametrize("first", [True, False])
def test_smb_1_that_closes_on_smb_2(first: bool) -> None:
    """Samba does so: the client has to ask in SMB 1 to know. ``first``: it is SMB 1 only."""
    heard: list[bytes] = []
    no_dialect = b"\xffSMB\x72" + bytes(4) + b"\x88\x03\x40" + bytes(20) + b"\x01\xff\xff\0\0"
    reply = SMB_1_REPLY if first else no_dialect

    def talk(sock: socket.socket) -> None:
        heard.append(hear(sock))
        if heard[-1].startswith(b"\xffSMB"):
            sock.sendall(len(reply).to_bytes(4, "big") + reply)

    with Stranger(talk) as stranger:
        error = ask(stranger.port)
    assert [message[:4] for message in heard] == [b"\xfeSMB", b"\xffSMB"]
    assert type(error) is ServerUnreachable
    assert error.status == (384 if first else 64)
    assert ("SMB 1 only" in str(error)) == first


def test_silence_says_so() -> None:
    done = threading.Event()
    with Stranger(lambda sock: bool(done.wait(PATIENCE)) and None) as stranger:
        try:
            error = ask(stranger.port, timeout=0.5)  # only for what is meant to time out
        finally:
            done.set()
    assert type(error) is CallTimeout
    assert error.step == "negotiate"
    assert "takes connections, but nothing there says a word of SMB" in str(error)
    assert "port=" in str(error)


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        error = ask(taken.getsockname()[1])
    assert type(error) is ServerUnreachable
    assert (error.status, error.step) == (1225, "connect")
    assert "port=" in str(error)


@pytest.mark.parametrize(
    ("ntstatus", "status", "text"),
    [
        (0xC0000022, 5, "allows this machine"),
        (0xC00000BB, 50, "share no version of SMB"),
        (0xC000009A, 1450, "short of resources"),
        (0xC00000D0, 71, "short of resources"),
        (0xC0000203, 59, "try again"),
        (0xC0001234, 31, "its log says"),
    ],
)
def test_an_smb_2_server_that_refuses_to_negotiate(ntstatus: int, status: int, text: str) -> None:
    """It is no stranger, and answers with an NTSTATUS ([MS-SMB2] 2.2.2)."""
    header = b"\xfeSMB\x40\0\0\0" + ntstatus.to_bytes(4, "little") + b"\0\0\1\0\1" + bytes(43)
    reply = header + b"\x09\0" + bytes(7)
    with Stranger(says(len(reply).to_bytes(4, "big") + reply)) as stranger:
        error = ask(stranger.port)
        assert stranger.connections == 1
    assert (error.status, error.step, error.ntstatus) == (status, "negotiate", ntstatus)
    assert text in str(error)
    assert not isinstance(error, (ValueError, MalformedReply))
    for word in ("No SMB 2 server there", "hostile", "Administrators"):
        assert word not in str(error)


def test_a_broken_smb_2_server_is_no_stranger() -> None:
    broken = b"\0\0\0\x48\xfeSMB" + bytes(68)
    with Stranger(says(broken)) as stranger:
        error = ask(stranger.port)
    assert type(error) is MalformedReply
    assert error.step == "negotiate"


@pytest.mark.parametrize("name", ["SSH", "HTTP", "SMB 1", "NetBIOS, not this caller"])
def test_the_command_exits_3(name: str) -> None:
    pytest.importorskip("rich")
    talk, _, text = STRANGERS[name]
    with Stranger(talk) as stranger:
        result = run("list", "127.0.0.1", "--port", str(stranger.port))
    assert result.code == 3, result
    assert text in only_line(result)
    if name in ("SSH", "HTTP"):
        assert "check the name and --port" in only_line(result)
