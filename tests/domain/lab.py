"""A small company network on this machine: a domain, two file servers and a client.

Each of the four is a set of namespaces (network, mounts, host name) with addresses and a port 445
of its own; ``/etc``, ``/run`` and what Samba keeps are its own too, in memory. Nothing has a name
or a place outside that a second lab, or a Samba of the machine, could meet.

==========  =====================  ===========================================================
dc          10.77.0.10, fd77::10   Active Directory domain controller of CORP (corp.example)
fs01        10.77.0.20, fd77::20   joined file server; knows users as ``CORP\\alice``
fs02        10.77.0.21, fd77::21   standalone file server; knows users as ``alice``
cl          10.77.0.30, fd77::30   where the tests' clients run
==========  =====================  ===========================================================
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

HERE: Final = Path(__file__).parent
SAMBA_PYTHON: Final = "/usr/bin/python3"
PREFIX: Final = "netsession-lab-"
# A hang guard: the lab is up in 7 seconds on an idle machine, every command takes less than one.
# Nothing passes or fails by how long it took.
PATIENCE: Final = 120.0

REALM: Final = "CORP.EXAMPLE"
DNS_DOMAIN: Final = "corp.example"
DOMAIN: Final = "CORP"
LOCK_AFTER: Final = 3  #: wrong passwords that lock an account of the domain

ADDRESSES: Final[Mapping[str, tuple[str, str]]] = {
    "dc": ("10.77.0.10", "fd77::10"),
    "fs01": ("10.77.0.20", "fd77::20"),
    "fs02": ("10.77.0.21", "fd77::21"),
    "cl": ("10.77.0.30", "fd77::30"),
}

#: Who is in the domain, beside Administrator. None of them is an administrator of anything.
PEOPLE: Final = (
    *("alice", "bob", "carol"),  # connect
    *("wanda", "wendy", "willy", "wim", "wolf"),  # give wrong passwords
    *("linus", "dora", "enno", "mia"),  # locked by a test, disabled, expired, must change
)
#: Accounts of the standalone server; the first is its administrator.
LOCALS: Final = ("root", "alice", "bob", "carol")


class LabError(RuntimeError):
    """The lab could not be set up; the text has what was said."""


@dataclass(frozen=True)
class Account:
    """A name and its password, and whose name it is: the domain's or that of one machine."""

    name: str
    password: str = field(repr=False)
    authority: str = DOMAIN

    @property
    def full_name(self) -> str:
        """``CORP\\alice``."""
        return f"{self.authority}\\{self.name}"

    @property
    def upn(self) -> str:
        """``alice@corp.example``, the user principal name."""
        return f"{self.name}@{DNS_DOMAIN}"

    @property
    def principal(self) -> str:
        """``alice@CORP.EXAMPLE``, as Kerberos knows it."""
        return f"{self.name}@{REALM}"


def new_account(name: str, authority: str = DOMAIN) -> Account:
    """An account with a password that the domain's rules allow."""
    return Account(name, f"Aa1-{secrets.token_hex(8)}", authority)


class Machine:
    """One of the machines of a lab.

    Its namespaces are held open here and entered by these files, never by a process id, which
    might be somebody else's by now: then the command would run on the machine underneath.
    """

    def __init__(self, name: str, pid: int, addresses: tuple[str, str]) -> None:
        self.name = name
        self.address, self.address6 = addresses
        self.dns_name = f"{name}.{DNS_DOMAIN}"
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
        """The command to run there; with ``stays`` it lives and dies with the lab."""
        if not self._namespaces:
            raise LabError(f"the lab with {self.name} is closed")
        wanted = [option for option in self._namespaces if stays or option != "pid"]
        enter = [f"--{option}={self.namespace(option)}" for option in wanted]
        return ["nsenter", *enter, "--", *command]

    def run(
        self, *command: str, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command there to its end, whatever that is.

        In the lab's pid namespace: smbstatus and others ask whether the pids that servers have
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
            raise LabError(f"{' '.join(command[:3])} failed: {done.stdout}{done.stderr}")
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


class Lab:
    """The network. A context manager; everything ends and is removed at the end."""

    def __init__(self, addresses: Mapping[str, tuple[str, str]] = ADDRESSES) -> None:
        _remove_leftovers()
        self._addresses = addresses
        self.directory = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = _hold(self.directory)
        self._keeper: subprocess.Popen[str] | None = None
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._machines: dict[str, Machine] = {}
        self.admin = new_account("Administrator")
        self.people = {name: new_account(name) for name in PEOPLE}
        self.locals = {name: new_account(name, "FS02") for name in LOCALS}
        #: on the joined server, a local account beside the domain's of the same name
        self.other_alice = new_account("alice", "FS01")

    def machine(self, name: str) -> Machine:
        """One of them."""
        return self._machines[name]

    @property
    def dc(self) -> Machine:
        """The domain controller."""
        return self._machines["dc"]

    @property
    def member(self) -> Machine:
        """The joined file server."""
        return self._machines["fs01"]

    @property
    def standalone(self) -> Machine:
        """The file server that knows nothing of the domain."""
        return self._machines["fs02"]

    @property
    def client(self) -> Machine:
        """Where clients run."""
        return self._machines["cl"]

    def __enter__(self) -> Self:
        try:
            self.set_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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

    # -- setting up ---------------------------------------------------------------------------

    def set_up(self) -> None:
        """Makes all of it, and waits until it is there."""
        self.make_machines()
        self.start_standalone()
        self._start_controller()
        self._start_member()
        self._wait("fs02", lambda: self.standalone.listens(445))

    def make_machines(self) -> None:
        """The machines and their network, with nothing running."""
        machines = {name: [v4 + "/24", v6 + "/64"] for name, (v4, v6) in self._addresses.items()}
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
            start_new_session=True,  # Ctrl-C is for the tests; they then end the lab
        )
        assert self._keeper.stdout is not None
        line = self._keeper.stdout.readline()
        if not line:
            raise LabError("the machines could not be made; see the error above")
        self._machines = {
            name: Machine(name, pid, self._addresses[name])
            for name, pid in json.loads(line).items()
        }
        for machine in self._machines.values():
            self._equip(machine)

    def _equip(self, machine: Machine) -> None:
        hosts = ["127.0.0.1 localhost", "::1 localhost"]
        hosts += [f"{each.address} {each.dns_name} {each.name}" for each in self._machines.values()]
        machine.write("/etc/hosts", "\n".join(hosts) + "\n")
        machine.write("/etc/resolv.conf", f"search {DNS_DOMAIN}\nnameserver {self.dc.address}\n")
        machine.write(
            "/etc/krb5.conf",
            f"[libdefaults]\n default_realm = {REALM}\n rdns = false\n"
            " dns_lookup_realm = false\n dns_lookup_kdc = false\n"
            f"[realms]\n {REALM} = {{\n  kdc = {self.dc.address}\n }}\n"
            f"[domain_realm]\n .{DNS_DOMAIN} = {REALM}\n",
        )
        # For clients; servers get one of their own.
        machine.write("/etc/samba/smb.conf", f"[global]\n\tworkgroup = {DOMAIN}\n")
        machine.write(
            "/etc/nsswitch.conf",
            "passwd: files winbind\ngroup: files winbind\nshadow: files\nhosts: files dns\n",
        )

    def _start_controller(self) -> None:
        provision = ["samba-tool", "domain", "provision", f"--realm={REALM}", f"--domain={DOMAIN}"]
        provision += ["--server-role=dc", "--dns-backend=SAMBA_INTERNAL", "--host-name=dc"]
        provision += [f"--host-ip={self.dc.address}", f"--host-ip6={self.dc.address6}"]
        # What nobody here asks for is not started.
        provision += ["--option=server services = s3fs, rpc, ldap, cldap, kdc, winbindd, dns"]
        provision += ["--option=disable netbios = yes", "--option=map to guest = never"]
        # Provisioning refuses to go over a configuration.
        self.dc.must_run("rm", "/etc/samba/smb.conf")
        self.dc.must_run(*provision)
        self.ask_accounts(
            {"do": "set_password", "name": self.admin.name, "password": self.admin.password},
            *({"do": "create", "name": a.name, "password": a.password} for a in self.everybody()),
            {"do": "lock_after", "tries": LOCK_AFTER},
            {"do": "disable", "name": "dora"},
            {"do": "expire", "name": "enno"},
            {"do": "must_change", "name": "mia"},
        )
        self._start("dc", "samba", "--foreground", "--no-process-group", "--debug-stdout")
        # DNS, Kerberos, RPC, LDAP, SMB: what a join needs.
        self._wait("dc", lambda: self.dc.listens(53, 88, 135, 389, 445, 464))

    def everybody(self) -> list[Account]:
        """The people of the domain."""
        return list(self.people.values())

    def _start_member(self) -> None:
        config = {
            "security": "ads",
            "workgroup": DOMAIN,
            "realm": REALM,
            "netbios name": "FS01",
            "kerberos method": "secrets and keytab",
            "idmap config * : backend": "tdb",
            "idmap config * : range": "100000-199999",
            f"idmap config {DOMAIN} : backend": "rid",
            f"idmap config {DOMAIN} : range": "200000-299999",
        }
        self._configure(self.member, config, [self.other_alice])
        self._join()
        self._start("fs01.winbindd", "winbindd", *FOREGROUND, machine=self.member)
        self._wait("fs01.winbindd", lambda: self.member.run("wbinfo", "-t").returncode == 0)
        self._start("fs01", "smbd", *FOREGROUND)
        self._wait("fs01", lambda: self.member.listens(445))

    def _join(self) -> None:
        """Joins the domain, as soon as the controller does all that this takes."""
        join = ["net", "ads", "join", "-A", str(self.secret(self.admin)), "-S", "dc"]
        said = ""

        def joined() -> bool:
            nonlocal said
            done = self.member.run(*join, "--no-dns-updates")
            said = done.stdout + done.stderr
            return done.returncode == 0

        try:
            self._wait("dc", joined)
        except LabError as error:
            raise LabError(f"cannot join the domain: {said}") from error

    def start_standalone(self) -> None:
        """The standalone server, which needs nobody; it may not be ready yet."""
        config = {"workgroup": "ALONE", "netbios name": "FS02", "server role": "standalone server"}
        self._configure(self.standalone, config, list(self.locals.values()))
        self.standalone.must_run(
            *("net", "groupmap", "add", "sid=S-1-5-32-544", "unixgroup=root"),
            *("type=builtin", "ntgroup=Administrators"),
        )
        self._start("fs02", "smbd", *FOREGROUND)

    def _configure(
        self, machine: Machine, config: Mapping[str, str], accounts: Sequence[Account]
    ) -> None:
        """smb.conf and local accounts of a file server."""
        lines = {
            **config,
            "disable netbios": "yes",
            "disable spoolss": "yes",
            "load printers": "no",
            "printcap name": "/dev/null",
            "map to guest": "never",
            "log level": "1",
        }
        text = "".join(f"\t{name} = {value}\n" for name, value in lines.items())
        text = f"[global]\n{text}[data]\n\tpath = /run/data\n\tread only = no\n"
        machine.write("/etc/samba/smb.conf", text)
        known = {line.partition(":")[0] for line in machine.read("/etc/passwd").splitlines()}
        new = [account.name for account in accounts if account.name not in known]
        rows = [f"{name}:x:{5000 + i}:65534::/:/bin/false\n" for i, name in enumerate(new)]
        machine.write("/etc/passwd", machine.read("/etc/passwd") + "".join(rows))
        for each in accounts:
            twice = f"{each.password}\n" * 2
            machine.must_run("pdbedit", "-t", "-a", "-u", each.name, stdin=twice)

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
                raise LabError(f"{daemon} does not get ready:\n{log}")
            time.sleep(0.02)

    def secret(self, account: Account) -> Path:
        """A file with credentials, as Samba's programs read it (-A)."""
        file = self.directory / f"auth-{account.authority}-{account.name}"
        if not file.exists():
            file.touch(mode=0o600)
            lines = (f"username = {account.name}", f"password = {account.password}")
            file.write_text("\n".join([*lines, f"domain = {account.authority}"]) + "\n")
        return file

    # -- asking and using it ------------------------------------------------------------------

    def ask_accounts(self, *requests: dict[str, Any]) -> list[Any]:
        """Requests to the domain's account database; see accounts.py."""
        script = str(HERE / "accounts.py")
        answers: list[Any] = json.loads(
            self.dc.must_run(SAMBA_PYTHON, script, stdin=json.dumps(requests))
        )
        return answers


FOREGROUND: Final = ("--foreground", "--no-process-group", "--debug-stdout")


def _hold(directory: Path) -> Any:
    """Marks a directory as in use for as long as anybody of the lab lives."""
    # Locked before it has its name: whoever finds it by that name finds it locked.
    lock = (directory / "new").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    (directory / "new").rename(directory / "lock")
    return lock


def _remove_leftovers() -> None:
    """Directories of labs that were killed; all else of theirs has gone with them."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/lock"):
        with contextlib.suppress(OSError), lock.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
