"""What goes last, when an interpreter ends: its modules' names are None by then.

It is so wherever a thread is left that keeps the modules, such as one that waits for a server which
has stopped: the connections of others then are closed by what they hold themselves.
"""

from __future__ import annotations

import pytest

from fresh_python import output_of

# Modules are cleared from the last one that was imported to the first.
_SCRIPT = """
import sys, types
first = sys.modules["first"] = types.ModuleType("first")

import _thread, asyncio, os, socket
import netsession
from fake_pipe import ALICE, server_of
from netsession.srvsvc.deadline import Deadline
from netsession.srvsvc.link import Link
from netsession.testing import simulated_fleet

os.dup2(1, 2)

class Connection:
    def __init__(self):
        one, self.other = socket.socketpair()
        self.link = Link(one, Deadline(None))

    def __del__(self):
        self.link.close()
        print(self.other.recv(1))

async def begun(reports):
    await anext(reports)
    return reports

def client():
    server, _ = made = server_of(lambda opnum, stub: ALICE)
    print(list(server.sessions(level=10))[0].user_name)
    return made

def scan():
    reports = iter(netsession.scan(simulated_fleet(4)))
    print(len(next(reports).sessions))
    return reports

def scan_in_asyncio():
    return asyncio.run(begun(aiter(netsession.scan(simulated_fleet(4)))))

def wait(modules, begun, never):
    begun.release()
    never.acquire()

first.kept = globals()[sys.argv[1]]()
begun, never = _thread.allocate_lock(), _thread.allocate_lock()
begun.acquire()
never.acquire()
_thread.start_new_thread(wait, (list(sys.modules.values()), begun, never))
begun.acquire()
print("ends")
"""
_PRINTED = {
    "Connection": "ends\nb''\n",  # closed
    "client": "alice\nends\n",
    "scan": "100\nends\n",
    "scan_in_asyncio": "ends\n",
}


@pytest.mark.parametrize("what", _PRINTED)
def test_what_goes_after_its_modules(what: str) -> None:
    # Of an unclosed connection there is a warning, which a debug build shows.
    assert output_of(_SCRIPT, what, PYTHONWARNINGS="ignore") == _PRINTED[what]
