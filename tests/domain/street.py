"""A street of twenty file servers, each with an address of its own, and a client: for scans.

The servers are standalone, with one administrator whose password is the same everywhere. Three are
otherwise: one is frozen, one has no srvsvc pipe, one has another password for the administrator.
What the client sends takes 20 ms longer, where the kernel has netem.
"""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from lab import FOREGROUND, Lab, Machine, new_account

SERVERS: Final = tuple(f"fs{number:02}" for number in range(1, 21))
FROZEN, WITHOUT_PIPE, REFUSING = "fs05", "fs11", "fs17"
ADDRESSES: Final = {
    **{name: (f"10.78.0.{10 + n}", f"fd78::{10 + n}") for n, name in enumerate(SERVERS)},
    "cl": ("10.78.0.200", "fd78::200"),
}
DELAY: Final = "20ms"


class Street(Lab):
    """The servers and the client. A context manager; everything ends and is removed at the end."""

    def __init__(self) -> None:
        super().__init__(ADDRESSES)
        self.root = new_account("root", "STREET")
        self.address_of = {name: ADDRESSES[name][0] for name in SERVERS}

    def set_up(self) -> None:
        """Makes all of it, and waits until it is there."""
        self.make_machines()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._start_server, SERVERS))
        for name in SERVERS:
            machine = self.machine(name)
            self._wait(name, lambda machine=machine: machine.listens(445))
        delay = ("tc", "qdisc", "add", "dev", "eth0", "root", "netem", "delay", DELAY)
        self.has_latency = self.client.run(*delay).returncode == 0
        # The one that takes connections: they are made by the kernel, and nobody answers.
        self.machine(FROZEN).must_run("sh", "-c", "kill -STOP $(cat /run/samba/smbd.pid)")

    def _equip(self, machine: Machine) -> None:
        """Nothing: it is asked by its address."""

    def _start_server(self, name: str) -> None:
        machine = self.machine(name)
        config = {
            "workgroup": "STREET",
            "netbios name": name.upper(),
            "server role": "standalone server",
        }
        if name == WITHOUT_PIPE:
            config["rpc start on demand helpers"] = "no"
        account = new_account("root", "STREET") if name == REFUSING else self.root
        self._configure(machine, config, [account])
        group = ("sid=S-1-5-32-544", "unixgroup=root", "type=builtin", "ntgroup=Administrators")
        machine.must_run("net", "groupmap", "add", *group)
        self._start(name, "smbd", *FOREGROUND)

    def close(self) -> None:
        """Ends all. nsenter has stopped with what it runs, and would not see it killed."""
        if FROZEN in self._daemons:
            self._daemons[FROZEN].send_signal(signal.SIGCONT)
        super().close()
