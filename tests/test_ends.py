"""An interpreter that ends while something of ours is under way: at once, and as it was told to."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import netsession
from tracing import untraced

PATIENCE = 60.0
_PATHS = [str(Path(netsession.__file__).parents[1]), str(Path(__file__).parent)]


def _ended(script: str, *arguments: str, told: bytes = b"") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(_PATHS)},
    )


# -- the main interpreter --------------------------------------------------------------------------

BEGIN = """
import asyncio, atexit, sys, threading
import netsession
from netsession.testing import simulated_server
port, user, password = int(sys.argv[1]), sys.argv[2], sys.argv[3]
options = dict(port=port, username=user, password=password, timeout=600)
server = netsession.Server("127.0.0.1", **options)
go = sys.stdin.readline  # which says that the server was asked, and is silent
"""

WAYS = {
    "a list in a thread": """
threading.Thread(target=lambda: list(server.sessions(level=10)), daemon=True).start()
""",
    "a watch in a thread": """
watch = server.watch(level=10)
threading.Thread(target=lambda: next(watch), daemon=True).start()
""",
    "a scan": """
reports = iter(netsession.scan([simulated_server(1), "127.0.0.1"], level=10, **options))
next(reports)
""",
    "a scan that is looped over": """
for report in netsession.scan([simulated_server(1), "127.0.0.1"], level=10, **options):
    go(), sys.exit(7)
""",
    "an Arrow stream": """
stream = server.sessions(level=10).pages()
capsule = netsession._netsession.arrow_stream(10, None, stream, None)
import arrow_consumer
kept = arrow_consumer.take(arrow_consumer.ArrowArrayStream, capsule)
threading.Thread(target=kept.next, daemon=True).start()
""",
    "a task that is pending": """
async def main():
    async def ask():
        return [session async for session in server.sessions(level=10)]
    task = asyncio.create_task(ask())
    await asyncio.to_thread(go)
    sys.exit(7)
asyncio.run(main())
""",
    "a loop that is left": """
loop = asyncio.new_event_loop()
watch = server.watch(level=10)
task = loop.create_task(watch.__anext__())
loop.run_until_complete(asyncio.sleep(0.01))
""",
    "close() at the end": """
atexit.register(server.close)
threading.Thread(target=lambda: list(server.sessions(level=10)), daemon=True).start()
""",
}


@untraced  # by what is imported when Python ends
@pytest.mark.parametrize("way", WAYS)
def test_the_main_interpreter(way: str) -> None:
    pytest.importorskip("smbprotocol", reason="asks over SMB: needs smbprotocol")
    from phase_server import PASSWORD, USER, PhaseServer

    with PhaseServer() as silent:
        silent.hold = "call 1"
        script = BEGIN + WAYS[way] + "\ngo(), sys.exit(7)"
        process = _ended(script, str(silent.port), USER, PASSWORD)
        try:
            assert silent.reached.wait(PATIENCE)
            _, told = process.communicate(b"\n", timeout=PATIENCE)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 7, told.decode()
    if way != "a loop that is left":  # of which asyncio itself tells
        assert told == b""
    assert b"Fatal" not in told


# -- sub-interpreters ------------------------------------------------------------------------------

_SUB = """
import sys
if sys.version_info >= (3, 13):
    import _interpreters
    interpreter = _interpreters.create("isolated", reqrefs=False)
    failure = _interpreters.exec(interpreter, sys.argv[1])
    assert failure is None, failure.formatted
    _interpreters.destroy(interpreter)
else:  # where one with threads cannot be destroyed; but whoever embeds Python ends it so
    import _testcapi
    assert _testcapi.run_in_subinterp(sys.argv[1]) == 0
print("goes on")
"""

SUB_WAYS = {
    "a scan": """
slow = simulated_server(1)
slow.hang(0.5)
reports = iter(netsession.scan([simulated_server(1), slow], timeout=600))
print(len(next(reports).sessions))
""",
    "a scan that waits for servers": """
import time
def names():
    yield simulated_server(1)
    time.sleep(0.5)
    yield simulated_server(1)
reports = iter(netsession.scan(names(), timeout=600))
print(len(next(reports).sessions))
""",
    "a task that is pending": """
import asyncio
server = simulated_server(1)
server.hang(0.5)
loop = asyncio.new_event_loop()
async def ask():
    return [session async for session in server.sessions()]
task = loop.create_task(ask())
loop.run_until_complete(asyncio.sleep(0.01))
print(1)
""",
    "a name that is looked up": """
import socket, time
from netsession import Server, _lookup
socket.getaddrinfo = lambda *_, **__: time.sleep(0.5) or []
server = simulated_server(1)
print(len(_lookup.addresses_of("ws17", server._begin("NetSessionEnum", 0.01))[0]) + 1)
""",
}


@pytest.mark.skipif(
    importlib.util.find_spec("_interpreters" if sys.version_info >= (3, 13) else "_testcapi")
    is None,
    reason="this Python cannot make sub-interpreters (Debian: libpython3-testsuite)",
)
@pytest.mark.parametrize("way", SUB_WAYS)
def test_a_sub_interpreter(way: str) -> None:
    """It waits for our threads: CPython would end the process where one is left."""
    if sys.platform == "win32" and "task" in way:
        pytest.skip("Windows' event loop runs in the main interpreter only")
    script = "import netsession, sys\nfrom netsession.testing import simulated_server\n"
    process = _ended(_SUB, script + SUB_WAYS[way])
    out, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told.decode()
    assert out.split() == [b"1", b"goes", b"on"]
    assert b"Fatal" not in told
