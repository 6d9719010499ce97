"""A password is told by nothing that fails: no message, no frame's local variable, no log.

Tools such as rich, Sentry and pytest show the local variables of a traceback's frames. Ours hold
no password as text, whatever step fails and whatever argument is wrong.
"""

from __future__ import annotations

import io
import logging
import os
import pickle
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import netsession
from netsession import Server, scan, win32net
from netsession.srvsvc import SrvsvcClient

SECRET = "Tr0ub4dor"  # in each password here, and nowhere else
PASSWORD = f"{SECRET} & 3"
NT_HASH = "93333eef04a27d8ea31dd771c06f97ac"  # of the password; a test checks it


def told_by(error: BaseException, *, rich: bool = True) -> str:
    """All that anybody shows of an exception: chain, frames and their variables."""
    text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    return (
        text
        + "".join(traceback.format_exception(error))
        + repr(error)
        + (_told_by_rich(error) if rich else "")
    )


def _told_by_rich(error: BaseException) -> str:
    try:
        from rich.console import Console
        from rich.traceback import Traceback
    except ImportError:
        return ""
    shown = io.StringIO()
    whole = Traceback.from_exception(
        type(error),
        error,
        error.__traceback__,
        show_locals=True,
        extra_lines=0,
    )
    Console(file=shown, width=200).print(whole)
    return shown.getvalue()


def failure_of(work: Callable[[], object]) -> BaseException:
    """What it raises, without the frames of the tests, which know the password."""
    try:
        work()
    except Exception as error:
        while error.__traceback__ is not None and _is_ours(error.__traceback__):
            error.__traceback__ = error.__traceback__.tb_next
        return error
    raise AssertionError("it did not fail")


def _is_ours(part: Any) -> bool:
    return part.tb_frame.f_code.co_filename == __file__


def check(text: str) -> None:
    assert SECRET not in text
    assert NT_HASH not in text.lower()
    assert SECRET.encode("utf-16-le").hex() not in text


AS = {"username": "u", "password": PASSWORD}


@pytest.mark.parametrize(
    "work",
    [
        lambda: Server("fs01", **AS, port=0),
        lambda: Server("fs01", **AS, timeout="1"),
        lambda: Server("fs01", **AS, encrypt=1),
        lambda: Server("fs01", **AS, max_reply_bytes=0),
        lambda: Server("fs 01", **AS),
        lambda: Server("fs01:1", **AS, port=2),
        lambda: Server(None, **AS),
        lambda: Server("fs01", username=1, password=PASSWORD),
        lambda: Server("fs01", username="", password=PASSWORD),
        lambda: Server("fs01", password=PASSWORD),
        lambda: Server("fs01", username="u", password=PASSWORD + "\0"),
        lambda: Server("fs01", username="u", password=PASSWORD + "\ud800"),
        lambda: Server("fs01", username="u", password=PASSWORD.encode()),
        lambda: Server("fs01", username="u", password=[PASSWORD]),
        lambda: SrvsvcClient("fs01", **AS, port=0),
        lambda: SrvsvcClient("fs 01", **AS),
        lambda: scan(["fs01"], **AS, port=0),
        lambda: scan(["fs01"], **AS, workers=0),
        lambda: scan(["fs01"], **AS, level=3),
        lambda: scan(["fs01"], **AS, errors="no"),
        lambda: scan("fs01", **AS),
        lambda: scan(["fs01"], username="u", password=PASSWORD + "\0"),
        lambda: pickle.dumps(Server("fs01", **AS)),
        lambda: pickle.dumps(scan(["fs01"], **AS)),
        lambda: Server("fs01", **AS).sessions(level=3),
        lambda: Server("fs01", **AS).delete_sessions(),
    ],
)
def test_wrong_arguments(work: Callable[[], object]) -> None:
    check(told_by(failure_of(work)))


needs_smb = pytest.mark.skipif(
    not __import__("importlib.util").util.find_spec("smbprotocol"),
    reason="asks over SMB: needs smbprotocol",
)

STEPS = ["connect", "negotiate", "logon 1", "logon 2", "share", "pipe", "bind", "call 1", "read 1",
         "call 2", "refused"]  # fmt: skip


@pytest.fixture(params=STEPS)
def broken(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server that breaks the connection at that step, or refuses the logon."""
    import smb_server
    from phase_server import PhaseServer

    if request.param != "refused":
        monkeypatch.setattr(smb_server, "PASSWORD", PASSWORD)

    def come_to(phase: str) -> None:
        if phase == request.param:
            raise OSError("the server goes")

    with PhaseServer() as server, socket.socket() as nobody:
        monkeypatch.setattr(server, "come_to", come_to)
        if request.param == "connect":
            nobody.bind(("127.0.0.1", 0))  # and does not listen
            server.port = nobody.getsockname()[1]
        yield server


@needs_smb
@pytest.mark.parametrize("how", ["list", "delete", "win32net", "scan", "hashes"])
def test_every_step_that_fails(
    broken: Any, how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if how == "hashes":  # with which pyspnego is told what the caller told us
        monkeypatch.setenv("LM_COMPAT_LEVEL", "3")
    from smb_server import USER

    options = {"username": USER, "password": PASSWORD, "port": broken.port}
    server = Server("127.0.0.1", **options)
    server._granted = 10
    monkeypatch.setattr(win32net, "_server", lambda name: server)

    def scanned() -> None:
        (report,) = scan(["127.0.0.1"], level=10, **options)
        assert report.error is not None
        raise report.error

    works: dict[str, Callable[[], object]] = {
        "list": lambda: list(server.sessions(level=10)),
        "delete": lambda: server.delete_sessions(user="alice"),
        "win32net": lambda: win32net.NetSessionEnum(10, "127.0.0.1"),
        "scan": scanned,
        "hashes": lambda: list(server.sessions(level=10)),
    }
    with caplog.at_level(logging.DEBUG):  # smbprotocol's and pyspnego's loggers too
        error = failure_of(works[how])
        server.close()
    check(told_by(error, rich=how == "list"))  # which takes its time
    check(caplog.text)
    check(repr([vars(record) for record in caplog.records]))
    check(repr(vars(error)))


@needs_smb
def test_the_hash_is_that_of_the_password() -> None:
    """So that the tests look for what there is."""
    from spnego._ntlm_raw.crypto import ntowfv1

    assert ntowfv1(PASSWORD).hex() == NT_HASH


@needs_smb
def test_what_works_logs_no_secret(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At DEBUG, all loggers: ours, smbprotocol's and pyspnego's."""
    import smb_server
    from phase_server import PhaseServer

    monkeypatch.setattr(smb_server, "PASSWORD", PASSWORD)
    with caplog.at_level(logging.DEBUG), PhaseServer() as silent:
        options = {"username": smb_server.USER, "password": PASSWORD, "port": silent.port}
        with Server("127.0.0.1", **options) as server:
            assert len(list(server.sessions(level=10))) == 2
    loggers = {record.name.partition(".")[0] for record in caplog.records}
    assert {"netsession", "smbprotocol"} <= loggers
    check(caplog.text)


@pytest.mark.skipif(not os.path.exists("/proc/self/cmdline"), reason="needs /proc")
def test_it_is_in_no_process_s_arguments(tmp_path: Any) -> None:
    """Neither from a file nor from standard input: nor in the environment then."""
    pytest.importorskip("smbprotocol", reason="asks over SMB: needs smbprotocol")
    from cli_process import environment
    from phase_server import PATIENCE, PhaseServer

    (tmp_path / "password").write_text(PASSWORD + "\n")
    for file in (str(tmp_path / "password"), "-"):
        with PhaseServer() as silent:
            silent.hold = "negotiate"
            process = subprocess.Popen(
                [sys.executable, "-m", "netsession", "list", f"127.0.0.1:{silent.port}",
                 "--auth-user", "u", "--password-file", file],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=environment(),
            )  # fmt: skip
            try:
                assert process.stdin is not None
                process.stdin.write(PASSWORD.encode() + b"\n")
                process.stdin.close()
                assert silent.reached.wait(PATIENCE)
                for what in ("cmdline", "environ"):
                    with open(f"/proc/{process.pid}/{what}", "rb") as told:
                        assert SECRET.encode() not in told.read()
            finally:
                process.kill()
                process.wait()


def test_reprs() -> None:
    server = Server("fs01", **AS)
    question = scan(["fs01"], **AS)
    for thing in (server, server._client, server.sessions(), server.watch(), question,
                  question._asking):  # fmt: skip
        check(repr(thing))
    assert netsession.__version__
