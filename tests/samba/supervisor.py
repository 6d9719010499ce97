"""Keeps one private smbd; whatever happens to the tests, nothing of it stays behind.

Run as ``python -I supervisor.py DIRECTORY COMMAND...``. It reads commands from standard input, one
a line (``start``), and reports on standard output (``started PID``, ``exited``). When standard
input ends, because the tests are done or because they were killed, it ends every process below it
and removes the directory.

Being a child subreaper is the point: smbd starts samba-dcerpcd, which makes itself a daemon in a
session of its own. Its parent then is this process, not init, so that it can be found.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def children(pid: int) -> list[int]:
    """The direct children of a process; none if it is gone."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, task.read_text().split())
        except OSError:
            continue
    return found


def descendants(pid: int) -> list[int]:
    """Every process below one, parents before their children."""
    found: list[int] = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def reap() -> bool:
    """Collects dead children; tells whether any are left, dead or alive."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def end_all() -> None:
    """Kills all descendants, those included that are forked meanwhile."""
    deadline = time.monotonic() + 30
    while reap() and time.monotonic() < deadline:
        for pid in descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.005)


def serve(command: list[str], log: Path) -> None:
    """Obeys until standard input ends."""
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    smbd = 0
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                data = os.read(key.fd, 4096)
                if key.fd == wake:
                    reap()
                    if smbd and not os.path.exists(f"/proc/{smbd}"):
                        smbd = 0
                        print("exited", flush=True)
                elif not data:
                    return
                elif data == b"start\n":
                    smbd = start(command, log)
                    print("started", smbd, flush=True)


def start(command: list[str], log: Path) -> int:
    """Starts smbd in a session of its own and returns its process id."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ).pid


def main() -> None:
    """Never returns before all is gone."""
    directory = Path(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        # Ctrl-C reaches the whole terminal: the end of standard input tells when it is time.
        # Not SIG_IGN, which smbd would inherit.
        signal.signal(number, lambda *_: None)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        serve(sys.argv[2:], directory / "smbd.log")
    finally:
        end_all()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
