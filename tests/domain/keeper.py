"""The first process of a lab: makes its machines, keeps them, and takes them down.

``keeper.py DIRECTORY MACHINES`` runs in a new pid and network namespace. MACHINES is a JSON object:
the addresses of each machine by its name. It joins them with a bridge, prints a JSON object with
the process that holds each machine's namespaces open, and waits for the end of standard input,
which comes when the tests are done and also when they are killed.

Being the first process of a pid namespace is the point: when it ends, however it ends, the kernel
kills all other processes of the lab, and with them go namespaces, addresses and mounts.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

HOST = Path(__file__).with_name("host.sh")
NAMESPACES = ("--net", "--mount", "--uts", "--propagation", "private")
BRIDGE = "lab"


def ip(*arguments: str) -> None:
    """One ``ip`` command in the keeper's own network, where the bridge is."""
    subprocess.run(["ip", *arguments], check=True)


def make_machine(name: str, addresses: list[str], directory: Path) -> int:
    """One machine on the bridge; returns its process, by the number that it has outside.

    Nothing enters a machine by a process id here: /proc still shows the pids of outside.
    """
    machine = subprocess.Popen(
        ["unshare", *NAMESPACES, "sh", str(HOST), name, str(directory / name), *addresses],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert machine.stdin is not None
    assert machine.stdout is not None
    outside = int(machine.stdout.readline())
    # A pid in a request to the kernel, unlike one in /proc, is of this namespace.
    plug = ("type", "veth", "peer", "name", "eth0", "netns", str(machine.pid))
    ip("link", "add", "name", name, *plug)
    ip("link", "set", name, "master", BRIDGE, "up")
    machine.stdin.write("plugged\n")
    machine.stdin.close()
    if machine.stdout.readline() != "ready\n":
        raise RuntimeError(f"no network in {name}")
    return outside


def main() -> None:
    """Ends when standard input does, with everything below it."""
    if os.getpid() != 1:
        sys.exit("keeper.py must be the first process of a pid namespace; lab.py starts it so")
    directory = Path(sys.argv[1])
    machines: dict[str, list[str]] = json.loads(sys.argv[2])
    try:
        ip("link", "add", "name", BRIDGE, "type", "bridge")
        ip("link", "set", BRIDGE, "up")
        made = {name: make_machine(name, machines[name], directory) for name in machines}
        print(json.dumps(made), flush=True)
        # Orphans of the machines become children of this process: the kernel shall bury them.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while os.read(0, 4096):
            pass
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
