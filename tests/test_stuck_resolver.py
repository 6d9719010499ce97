"""Ctrl-C, and the end of the program, while a name is looked up for ever, in C.

Nothing ends that. Whoever waits for it is let go at once; its thread keeps no program from ending.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import netsession

PATIENCE = 60.0
HERE = Path(__file__)

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not shutil.which("gcc"),
    reason="replaces the C library's resolver: needs glibc and gcc (Debian: gcc)",
)

BEGIN = """
import asyncio, contextlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import netsession
from netsession.testing import simulated_server
options = dict(username="u", password="p", timeout=600)
server = netsession.Server("fs01", **options)
"""
LIST = "list(server.sessions())"
WORKS = {
    "list": LIST,
    "delete": "server.delete_sessions(user='alice')",
    "watch": "next(server.watch())",
    "scan": "list(netsession.scan(['fs01', 'fs02'], **options))",
    "asyncio": "asyncio.run(anext(aiter(server.sessions())))",
    "asyncio: scan": "asyncio.run(anext(aiter(netsession.scan(['fs01'], **options))))",
    "a client's name": "from netsession import _lookup\n    "
    "_lookup.addresses_of('ws17', simulated_server(1)._begin('NetSessionEnum', 600))",
}
INTERRUPTED = """
try:
    {work}
except KeyboardInterrupt as interrupt:
    assert not getattr(interrupt, "__notes__", None)  # nothing was sent
    print("interrupted")
sys.exit(7)
"""
IN_A_THREAD = """
import threading
threading.Thread(target=lambda: {work}, daemon=True).start()
sys.stdin.readline()
sys.exit(7)
"""
COMMAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from netsession.cli import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def resolver(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The library in whose place of the C library's it looks names up."""
    if "asan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("the address sanitizer is loaded first")
    library = tmp_path_factory.mktemp("resolver") / "stuck_resolver.so"
    source = str(HERE.with_name("stuck_resolver.c"))
    subprocess.run(["gcc", "-shared", "-fPIC", source, "-o", str(library)], check=True)
    return str(library)


def _asked(resolver: str, script: str, *arguments: str) -> subprocess.Popen[bytes]:
    """A program that has come to look a name up."""
    pytest.importorskip("smbprotocol", reason="asks over SMB: needs smbprotocol")
    read, write = os.pipe()
    variables = {
        "LD_PRELOAD": resolver,
        "STUCK_RESOLVER": str(write),
        "NETSESSION_PASSWORD": "p",
        "PYTHONPATH": str(Path(netsession.__file__).parents[1]),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | variables,
        pass_fds=[write],
    )
    os.close(write)
    with open(read, "rb") as told:
        assert told.read(1) == b"?", process.communicate()
    return process


def _end(process: subprocess.Popen[bytes], told: bytes = b"") -> tuple[bytes, bytes]:
    try:
        return process.communicate(told, timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
def test_ctrl_c(resolver: str, work: str) -> None:
    process = _asked(resolver, BEGIN + INTERRUPTED.format(work=work))
    process.send_signal(signal.SIGINT)
    out, told = _end(process)
    assert (process.returncode, out, told) == (7, b"interrupted\n", b"")


def test_the_program_ends(resolver: str) -> None:
    process = _asked(resolver, BEGIN + IN_A_THREAD.format(work=LIST))
    assert _end(process, b"\n") == (b"", b"")
    assert process.returncode == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["list", "watch"])
def test_the_command(resolver: str, command: str, number: int) -> None:
    process = _asked(resolver, COMMAND, command, "fs01", "--auth-user", "u", "--timeout", "600")
    process.send_signal(number)
    assert _end(process) == (b"", b"")
    assert process.returncode == (130 if number == signal.SIGINT else -number)
