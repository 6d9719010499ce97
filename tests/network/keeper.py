"""The first process of a lab: makes its machines, keeps them, and takes them down.

``keeper.py DIRECTORY MACHINES`` runs in a new pid and network namespace. MACHINES is a JSON object:
the addresses of each machine, and its latency, by its name. It joins them with a bridge, prints a
JSON object with the process that holds each machine's namespaces open, and waits for the end of
standard input, which comes when the tests are done and also when they are killed.

Being the first process of a pid namespace is the point: when it ends, however it ends, the kernel
kills all other processes of the lab, and with them go namespaces, addresses and mounts.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

HOST = Path(__file__).with_name("host.sh")
NAMESPACES = ("--net", "--mount", "--uts", "--propagation", "private")
BRIDGE = "lab"
WIRE = Path(__file__).with_name("wire.py")
TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TAP_NO_PI = 0x1002


def ip(*arguments: str) -> None:
    """One ``ip`` command in the keeper's own network, where the bridge is."""
    subprocess.run(["ip", *arguments], check=True)


def tap(name: str) -> int:
    """A network card whose cable is a file descriptor; it goes with the descriptor."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP_NO_PI))
    return descriptor


def plug(name: str, pid: int, latency: int) -> None:
    """A cable from a machine to the bridge; a frame takes so many milliseconds."""
    # A pid in a request to the kernel, unlike one in /proc, is of this namespace.
    if latency:
        ends = [tap(name), tap(f"{name}.far")]
        ip("link", "set", f"{name}.far", "netns", str(pid), "name", "eth0")
        command = [sys.executable, "-I", str(WIRE), *map(str, ends), str(latency)]
        subprocess.Popen(command, pass_fds=ends)
        for end in ends:
            os.close(end)
    else:
        peer = ("type", "veth", "peer", "name", "eth0", "netns", str(pid))
        ip("link", "add", "name", name, *peer)
    ip("link", "set", name, "master", BRIDGE, "up")


def make_machine(name: str, addresses: list[str], latency: int, directory: Path) -> int:
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
    plug(name, machine.pid, latency)
    machine.stdin.write("plugged\n")
    machine.stdin.close()
    if machine.stdout.readline() != "ready\n":
        raise RuntimeError(f"no network in {name}")
    return outside


def main() -> None:
    """Ends when standard input does, with everything below it."""
    if os.getpid() != 1:
        sys.exit("keeper.py must be the first process of a pid namespace; network.py starts it so")
    directory = Path(sys.argv[1])
    machines: dict[str, Any] = json.loads(sys.argv[2])
    try:
        ip("link", "add", "name", BRIDGE, "type", "bridge")
        ip("link", "set", BRIDGE, "up")
        made = {
            name: make_machine(name, directory=directory, **machines[name]) for name in machines
        }
        print(json.dumps(made), flush=True)
        # Orphans of the machines become children of this process: the kernel shall bury them.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while os.read(0, 4096):
            pass
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
