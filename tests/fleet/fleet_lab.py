"""Twenty file servers on this machine, each with an address and a port 445 of its own.

==========  ===========  =======================================================================
m01 to m17  10.78.0.1 …  standalone smbd with Samba's own srvsvc; one user, alice, is connected
m18         10.78.0.18   the same, but all of it is stopped (SIGSTOP): it answers nothing
m19         10.78.0.19   without the pipe: nobody serves srvsvc there
m20         10.78.0.20   does not know the user who asks
cl          10.78.0.30   where the scan runs; its cable takes 20 ms in each direction
==========  ===========  =======================================================================

netem would be the way to have latency, but not every kernel has it: see tests/network/wire.py.
"""

from __future__ import annotations

import secrets
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from network import FOREGROUND, PATIENCE, Machine, Network, NetworkError, Plan, environment
from samba_server import configure

SERVERS: Final = tuple(f"m{number:02}" for number in range(1, 21))
STOPPED, WITHOUT_PIPE, REFUSING = SERVERS[17:]
GOOD: Final = SERVERS[:17]
LATENCY: Final = 20  # milliseconds
_READY: Final = "it-is-connected"


class Fleet(Network):
    """The servers and the client."""

    def __init__(self) -> None:
        plans = {
            name: Plan(f"10.78.0.{number}", f"fd78::{number}")
            for number, name in enumerate(SERVERS, 1)
        }
        plans["cl"] = Plan("10.78.0.30", "fd78::30", LATENCY)
        super().__init__(plans, "fleet.example")
        self.password = secrets.token_hex(8)  # of root, who asks, and of alice
        self._kept: list[subprocess.Popen[str]] = []

    @property
    def client(self) -> Machine:
        """Where the scan runs."""
        return self._machines["cl"]

    def address(self, name: str) -> str:
        """A server's address."""
        return self._plans[name].address

    def set_up(self) -> None:
        """Makes the machines, starts smbd on each, and connects a user to each."""
        self.make_machines()
        self.client.write("/etc/samba/smb.conf", "[global]\n")  # smbclient wants one
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._serve, SERVERS))
        self._connect()
        self._stop(STOPPED)

    def close(self) -> None:
        """Ends all and removes the directory. Idempotent."""
        for process in self._kept:
            process.kill()
            process.communicate(timeout=PATIENCE)
        self._kept.clear()
        if STOPPED in self._daemons:
            # nsenter stops with the process that it waits for, and would bury it never.
            self._daemons[STOPPED].send_signal(signal.SIGCONT)
        super().close()

    def _serve(self, name: str) -> None:
        machine = self._machines[name]
        config = {
            "workgroup": "FLEET",
            "netbios name": name.upper(),
            "server role": "standalone server",
        }
        if name == WITHOUT_PIPE:
            config["rpc start on demand helpers"] = "no"
        known = [("alice", self.password)]
        if name != REFUSING:
            known.append(("root", self.password))
        configure(machine, config, known)
        machine.must_run(
            *("net", "groupmap", "add", "sid=S-1-5-32-544", "unixgroup=root"),
            *("type=builtin", "ntgroup=Administrators"),
        )
        self._start(name, "smbd", *FOREGROUND)
        self._wait(name, lambda: machine.listens(445))

    def _connect(self) -> None:
        """alice, on every server, in sessions that stay until the end."""
        secret = Path(self.directory / "auth-alice")
        secret.touch(mode=0o600)
        secret.write_text(f"username = alice\npassword = {self.password}\n")
        for name in SERVERS:
            command = ("smbclient", f"//{self.address(name)}/data", "-A", str(secret))
            process = subprocess.Popen(
                self.client.command(*command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment(),
                text=True,
            )
            self._kept.append(process)
            assert process.stdin is not None
            process.stdin.write(f"!echo {_READY}\n")  # is run when it is connected
            process.stdin.flush()
        for process in self._kept:
            assert process.stdout is not None
            line = process.stdout.readline()
            if line != _READY + "\n":
                raise NetworkError(f"smbclient: {line}")

    def _stop(self, name: str) -> None:
        """Stops every process of a server, which are those in its network namespace."""
        script = (
            "me=$(readlink /proc/self/ns/net); for each in /proc/[0-9]*; do "
            '[ "$(readlink "$each/ns/net")" = "$me" ] || continue; '
            'case $(cat "$each/comm" 2>/dev/null) in smbd*|samba*|rpcd*) echo "${each#/proc/}";; '
            "esac; done"
        )
        listed = subprocess.run(
            self._machines[name].command("sh", "-c", script),
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
        processes = listed.stdout.split()
        if not processes:
            raise NetworkError(f"no process of {name} was found")
        subprocess.run(["kill", "-STOP", *processes], check=True)
