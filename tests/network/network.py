"""Machines on this machine, each of namespaces with addresses and ports of their own; a network.

``/etc``, ``/run`` and what Samba keeps are each machine's own too, in memory. Nothing has a name or
a place outside that a second network, or a Samba of the machine, could meet. The domain's lab and
the fleet are made of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

HERE: Final = Path(__file__).parent
PREFIX: Final = "netsession-lab-"
# A hang guard: a network is up in a few seconds on an idle machine, every command takes less than
# one. Nothing passes or fails by how long it took.
PATIENCE: Final = 120.0
#: Options of Samba's daemons, whose parent is the network.
FOREGROUND: Final = ("--foreground", "--no-process-group", "--debug-stdout")


class NetworkError(RuntimeError):
    """The network could not be set up; the text has what was said."""


class Plan(NamedTuple):
    """A machine to be made."""

    address: str
    address6: str
    latency: int = 0  #: milliseconds that every packet to it and from it takes


class Machine:
    """One of them.

    Its namespaces are held open here and entered by these files, never by a process id, which
    might be somebody else's by now: then the command would run on the machine underneath.
    """

    def __init__(self, name: str, pid: int, plan: Plan, domain: str) -> None:
        self.name = name
        self.address, self.address6 = plan.address, plan.address6
        self.dns_name = f"{name}.{domain}"
        self._namespaces = {
            option: os.open(f"/proc/{pid}/ns/{file}", os.O_RDONLY | os.O_CLOEXEC)
            for option, file in (("net", "net"), ("mount", "mnt"), ("uts", "uts"), ("pid", "pid"))
        }

    def close(self) -> None:
        """Lets the namespaces go."""
        for descriptor in self._namespaces.values():
            os.close(descriptor)
        self._namespaces.clear()

    def namespace(self, option: str) -> str:
        """The file that is one of its namespaces, by the name of nsenter's option."""
        return f"/proc/{os.getpid()}/fd/{self._namespaces[option]}"

    def command(self, *command: str, stays: bool = False) -> list[str]:
        """The command to run there; with ``stays`` it lives and dies with the network."""
        if not self._namespaces:
            raise NetworkError(f"the network with {self.name} is closed")
        wanted = [option for option in self._namespaces if stays or option != "pid"]
        enter = [f"--{option}={self.namespace(option)}" for option in wanted]
        return ["nsenter", *enter, "--", *command]

    def run(
        self, *command: str, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command there to its end, whatever that is.

        In the network's pid namespace: smbstatus and others ask whether the pids that servers have
        written down are alive.
        """
        return subprocess.run(
            self.command(*command, stays=True),
            input=stdin,
            env=environment(env),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )

    def must_run(self, *command: str, stdin: str = "", env: Mapping[str, str] | None = None) -> str:
        """The same for what has to succeed; what it printed."""
        done = self.run(*command, stdin=stdin, env=env)
        if done.returncode:
            raise NetworkError(f"{' '.join(command[:3])} failed: {done.stdout}{done.stderr}")
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """Writes a file there."""
        self.must_run("sh", "-c", 'cat >"$0"', path, stdin=text)

    def read(self, path: str) -> str:
        """Reads a file there."""
        return self.must_run("cat", path)

    def listens(self, *ports: int) -> bool:
        """Whether somebody accepts connections at all these TCP ports, over IPv4."""
        rows = [line.split() for line in self.read("/proc/net/tcp").splitlines()[1:]]
        open_ports = {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"}
        return open_ports.issuperset(ports)


def environment(env: Mapping[str, str] | None = None) -> dict[str, str]:
    # sbin is not in every PATH. What the caller has of tickets and passwords is not for here.
    foreign = ("KRB5", "NETSESSION_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    kept["PATH"] = f"{kept.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    return {**kept, "LC_ALL": "C.UTF-8", **(env or {})}


class Network:
    """Some machines. A context manager; everything ends and is removed at the end."""

    def __init__(self, plans: Mapping[str, Plan], domain: str) -> None:
        _remove_leftovers()
        self._plans = dict(plans)
        self._domain = domain
        self.directory = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = _hold(self.directory)
        self._keeper: subprocess.Popen[str] | None = None
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._machines: dict[str, Machine] = {}

    def __enter__(self) -> Self:
        try:
            self.set_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all and removes the directory. Idempotent."""
        if self._keeper is not None:
            self._keeper.communicate(timeout=PATIENCE)
            self._keeper = None
        for daemon in self._daemons.values():
            daemon.wait(PATIENCE)
        for machine in self._machines.values():
            machine.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        self._lock.close()

    def set_up(self) -> None:
        """Makes the machines and starts what runs on them."""
        self.make_machines()

    def make_machines(self) -> None:
        """The machines and their network, with nothing running."""
        machines = {
            name: {
                "addresses": [f"{plan.address}/24", f"{plan.address6}/64"],
                "latency": plan.latency,
            }
            for name, plan in self._plans.items()
        }
        # kill-child: whatever ends unshare ends the keeper, and that ends all.
        unshare = ["unshare", "--pid", "--fork", "--kill-child", "--net", "--"]
        keeper = [sys.executable, "-I", str(HERE / "keeper.py")]
        self._keeper = subprocess.Popen(
            [*unshare, *keeper, str(self.directory), json.dumps(machines)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            text=True,
            pass_fds=(self._lock.fileno(),),
            start_new_session=True,  # Ctrl-C is for the tests; they then end the network
        )
        assert self._keeper.stdout is not None
        line = self._keeper.stdout.readline()
        if not line:
            raise NetworkError("the machines could not be made; see the error above")
        self._machines = {
            name: Machine(name, pid, self._plans[name], self._domain)
            for name, pid in json.loads(line).items()
        }
        for machine in self._machines.values():
            self._equip(machine)

    def _equip(self, machine: Machine) -> None:
        """Files of a machine that nothing runs on yet."""
        hosts = ["127.0.0.1 localhost", "::1 localhost"]
        hosts += [f"{each.address} {each.dns_name} {each.name}" for each in self._machines.values()]
        machine.write("/etc/hosts", "\n".join(hosts) + "\n")

    def _start(self, name: str, *command: str, machine: Machine | None = None) -> None:
        machine = machine or self._machines[name]
        with self._log(name).open("wb") as log:
            self._daemons[name] = subprocess.Popen(
                machine.command(*command, stays=True),
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _log(self, daemon: str) -> Path:
        return self.directory / f"{daemon}.log"

    def _wait(self, daemon: str, ready: Callable[[], bool]) -> None:
        """Until it is ready; an error with its log where it ends instead."""
        deadline = time.monotonic() + PATIENCE
        while not ready():
            if self._daemons[daemon].poll() is not None or time.monotonic() > deadline:
                log = self._log(daemon).read_text(errors="replace")
                raise NetworkError(f"{daemon} does not get ready:\n{log}")
            time.sleep(0.02)


def _hold(directory: Path) -> Any:
    """Marks a directory as in use for as long as anybody of the network lives."""
    # Locked before it has its name: whoever finds it by that name finds it locked.
    lock = (directory / "new").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    (directory / "new").rename(directory / "lock")
    return lock


def _remove_leftovers() -> None:
    """Directories of networks that were killed; all else of theirs has gone with them."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/lock"):
        with contextlib.suppress(OSError), lock.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
