"""A private smbd on a free loopback port, and a hand on it: stop, continue, kill, start again.

It needs no rights: as root it serves root and some of the accounts that every Debian has, as an
ordinary user it serves that user, the same accounts beside. Every path in its configuration is
absolute and inside one new directory, so that it meets no other smbd of the machine.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import secrets
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from closing import Closing
from supervisor import children, descendants

HOST: Final = "127.0.0.1"
SUPERVISOR: Final = Path(__file__).with_name("supervisor.py")
SAMBA_PYTHON: Final = "/usr/bin/python3"
# A hang guard: a start takes half a second. Nothing passes or fails by how long it took.
PATIENCE: Final = 60.0

#: What the tests run, and the Debian package that has it.
TOOLS: Final[Mapping[str, str]] = {
    "smbd": "samba",
    "pdbedit": "samba",
    "net": "samba-common-bin",
    "rpcclient": "smbclient",
}


def tool(name: str) -> str | None:
    """The path of one of Samba's programs; smbd is in /usr/sbin, which not every PATH has."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(name, path=f"{path}:/usr/sbin:/usr/local/sbin")


def missing_tools() -> list[str]:
    """What this machine lacks, as text for people; empty when the tier can run."""
    lacking = [f"{name} (package {package})" for name, package in TOOLS.items() if not tool(name)]
    probe = [SAMBA_PYTHON, "-c", "import samba.dcerpc.srvsvc"]
    if not Path(SAMBA_PYTHON).exists() or subprocess.run(probe, capture_output=True).returncode:
        lacking.append("Samba's Python bindings (package python3-samba)")
    return lacking


@dataclass(frozen=True)
class User:
    """An account that the private smbd knows."""

    name: str
    password: str = field(repr=False)


@cache
def _accounts() -> list[User]:
    """The accounts of every smbd of these tests, the administrator first."""
    admin, others = choose_users()
    return [User(name, secrets.token_hex(8)) for name in (admin, *others)]


#: What Samba's programs made of those accounts, once: files below an smbd's directory.
_databases: dict[Path, bytes] = {}


def _groups(name: str) -> set[int]:
    return set(os.getgrouplist(name, pwd.getpwnam(name).pw_gid))


def choose_users() -> tuple[str, list[str]]:
    """The administrator (who runs this) and three more accounts, none in that one's group."""
    admin = pwd.getpwuid(os.geteuid())
    others: list[str] = []
    for name in ("games", "daemon", "news", "mail", "bin", "nobody"):
        try:
            if name != admin.pw_name and admin.pw_gid not in _groups(name):
                others.append(name)
        except KeyError:
            continue
    return admin.pw_name, others[:3]


def _can_bind_v6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class SmbdError(RuntimeError):
    """smbd could not be set up; the text ends with its log."""


class Smbd(Closing):
    """One private smbd. A context manager; everything ends and is removed at the end.

    ``options`` are lines of smb.conf's [global] section, ``ipc`` of its [IPC$]; ``{admin}`` in
    them is the administrator's name. ``helpers=False`` leaves the pipes to the tests: a socket made
    at ``endpoint_path`` then is ``\\PIPE\\srvsvc``.
    """

    def __init__(
        self,
        options: Mapping[str, str] | None = None,
        *,
        ipc: Mapping[str, str] | None = None,
        helpers: bool = True,
    ) -> None:
        self._options = dict(options or {})
        self._ipc = dict(ipc or {})
        if not helpers:
            self._options["rpc start on demand helpers"] = "no"
        self._supervisor: subprocess.Popen[str] | None = None
        self._output = selectors.DefaultSelector()
        self.pid = 0
        self.port = 0
        self.host = HOST
        self.has_ipv6 = _can_bind_v6()
        self.directory = Path(_short_directory())
        self.admin, *self.others = _accounts()

    @property
    def users(self) -> list[User]:
        """All accounts, the administrator first."""
        return [self.admin, *self.others]

    @property
    def config(self) -> Path:
        """The configuration file, which rpcclient and Samba's bindings read too."""
        return self.directory / "smb.conf"

    @property
    def endpoint_path(self) -> Path:
        """Where smbd looks for the server of the srvsvc pipe."""
        return self.directory / "ncalrpc" / "np" / "srvsvc"

    @property
    def log(self) -> str:
        """All that smbd has said."""
        return (self.directory / "smbd.log").read_text(errors="replace")

    def open(self) -> None:
        try:
            self._prepare()
            self._supervise()
            self.start()
        except BaseException:
            self.close()
            raise

    # -- setting up ---------------------------------------------------------------------------

    def _prepare(self) -> None:
        self.directory.chmod(0o755)
        for name in ("private", "lock", "state", "cache", "pid", "ncalrpc"):
            (self.directory / name).mkdir(mode=0o755)
        self.endpoint_path.parent.mkdir(mode=0o700)
        self.port = _free_port()
        self._write_config()
        for path, content in _databases.items():
            (self.directory / path).write_bytes(content)
            (self.directory / path).chmod(0o600)
        for user in self.users:
            if not _databases or user not in _accounts():
                self.set_password(user)
        if _databases:
            return
        self._add_administrators()
        if self.users == _accounts():
            made = (p for name in ("private", "state") for p in (self.directory / name).iterdir())
            _databases.update({p.relative_to(self.directory): p.read_bytes() for p in made})

    def _add_administrators(self) -> None:
        group = grp.getgrgid(pwd.getpwnam(self.admin.name).pw_gid).gr_name
        self._run(
            *("net", "groupmap", "add", "sid=S-1-5-32-544", f"unixgroup={group}"),
            *("type=builtin", "ntgroup=Administrators"),
        )

    def _write_config(self) -> None:
        where = self.directory
        interfaces = f"{HOST}/8 ::1/128" if self.has_ipv6 else f"{HOST}/8"
        lines = {
            "workgroup": "NSTEST",
            "netbios name": "NSTEST",
            "server role": "standalone server",
            "interfaces": interfaces,
            "bind interfaces only": "yes",
            "smb ports": str(self.port),
            "passdb backend": f"tdbsam:{where}/private/passdb.tdb",
            "private dir": f"{where}/private",
            "lock directory": f"{where}/lock",
            "state directory": f"{where}/state",
            "cache directory": f"{where}/cache",
            "pid directory": f"{where}/pid",
            "ncalrpc dir": f"{where}/ncalrpc",
            "log file": f"{where}/smbd.log",
            "log level": "1",
            "map to guest": "never",
            "disable netbios": "yes",
            "disable spoolss": "yes",
            "load printers": "no",
            "printcap name": "/dev/null",
            "server min protocol": "SMB2_02",
            **self._options,
        }
        sections = {"global": lines, "IPC$": self._ipc}
        text = ""
        for section, options in sections.items():
            text += f"[{section}]\n"
            text += "".join(f"\t{name} = {value}\n" for name, value in options.items())
        self.config.write_text(text.replace("{admin}", self.admin.name))

    def set_password(self, user: User) -> None:
        """The account has that password from now on; it is made where it is new."""
        self._run("pdbedit", "-t", "-a", "-u", user.name, secret=user.password)

    def nt_hashes(self) -> dict[str, str]:
        """Each account's NT hash, from the password database."""
        listed = [line.split(":") for line in self._run("pdbedit", "-L", "-w").splitlines()]
        return {fields[0]: fields[3] for fields in listed if len(fields) > 3}

    def _run(self, program: str, *arguments: str, secret: str | None = None) -> str:
        command = [tool(program) or program, *arguments, "-s", str(self.config)]
        twice = None if secret is None else f"{secret}\n{secret}\n"
        done = subprocess.run(
            command, input=twice, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        if done.returncode:
            raise SmbdError(f"{program} failed: {done.stdout}{done.stderr}")
        return done.stdout

    def _supervise(self) -> None:
        command = [tool("smbd") or "smbd", "-F", "--no-process-group", "--debug-stdout"]
        command += ["-s", str(self.config), "-l", str(self.directory)]
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", str(SUPERVISOR), str(self.directory), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert self._supervisor.stdout is not None
        self._output.register(self._supervisor.stdout, selectors.EVENT_READ)

    def start(self) -> None:
        """Starts smbd, the first time or again, and waits until it accepts connections."""
        for _ in range(3):
            self._tell("start")
            self.pid = int(self._hear().split()[1])
            if self._wait_until_listening():
                return
            # Somebody took the port between our look and smbd's: take another.
            self.port = _free_port()
            self._write_config()
        raise SmbdError(f"smbd does not start:\n{self.log}")

    def _tell(self, line: str) -> None:
        assert self._supervisor is not None
        assert self._supervisor.stdin is not None
        self._supervisor.stdin.write(line + "\n")
        self._supervisor.stdin.flush()

    def _hear(self) -> str:
        assert self._supervisor is not None
        assert self._supervisor.stdout is not None
        if not self._output.select(PATIENCE):
            raise SmbdError(f"no word from the supervisor of smbd\n{self.log}")
        return self._supervisor.stdout.readline()

    def _wait_until_listening(self) -> bool:
        """False when smbd ended instead."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            # Waits for the supervisor's "exited", and looks again now and then.
            if self._output.select(0.01):
                self._hear()
                return False
            if _listens(self.pid, self.port):
                return True
        raise SmbdError(f"smbd does not listen:\n{self.log}")

    # -- a hand on it -------------------------------------------------------------------------

    def processes(self) -> list[int]:
        """Every process of this smbd, samba-dcerpcd and its workers included."""
        return descendants(self._supervisor.pid) if self._supervisor else []

    def connections(self) -> list[int]:
        """The processes that serve one TCP connection each."""
        return [pid for pid in children(self.pid) if _serves_a_client(pid)]

    def wait_for_connections(self, count: int) -> None:
        """Until there are so many processes that serve connections."""
        deadline = time.monotonic() + PATIENCE
        while len(self.connections()) != count:
            if time.monotonic() > deadline:
                raise SmbdError(f"{self.connections()} serve connections, not {count}")
            time.sleep(0.005)

    def stop(self) -> None:
        """Freezes all of it: connections stay open, nothing answers."""
        _send(signal.SIGSTOP, self.processes())

    def cont(self) -> None:
        """Undoes ``stop``."""
        _send(signal.SIGCONT, self.processes())

    def kill_connections(self) -> None:
        """Ends the connections; smbd accepts new ones."""
        victims = self.connections()
        _send(signal.SIGKILL, victims)
        _wait_gone(victims)

    def kill(self) -> None:
        """Ends all of it at once, as a power cut would; ``start`` works afterwards."""
        victims = self.processes()
        _send(signal.SIGKILL, victims)
        while self._hear() != "exited\n":
            pass
        _wait_gone(victims)
        deadline = time.monotonic() + PATIENCE
        while left := self.processes():  # one was just being started
            if time.monotonic() > deadline:
                raise SmbdError(f"processes {left} do not end")
            _send(signal.SIGKILL, left)
            time.sleep(0.005)

    def close(self) -> None:
        """Ends all and removes the directory. Idempotent."""
        if self._supervisor is not None:
            self._output.close()
            self._supervisor.communicate(timeout=PATIENCE)
            self._supervisor = None
        shutil.rmtree(self.directory, ignore_errors=True)


def let_everybody_in(folder: Path) -> None:
    """Users of a share must get to its folder; pytest's are the tests' own, each in another."""
    ours = Path(tempfile.gettempdir())
    for each in (folder, *folder.parents):
        if each == ours or ours not in each.parents:
            return
        each.chmod(0o777 if each == folder else 0o755)


def _short_directory() -> str:
    """A new directory; the path of a Unix socket in it must stay below 108 bytes."""
    directory = tempfile.mkdtemp(prefix="netsession-smbd-")
    if len(directory) > 60:
        os.rmdir(directory)
        directory = tempfile.mkdtemp(prefix="netsession-smbd-", dir="/tmp")
    return directory


def _listens(pid: int, port: int) -> bool:
    """Whether that very process listens on the loopback port, not just anybody."""
    table = Path(f"/proc/{pid}/net/tcp")
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
        sockets = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return False
    wanted = f"0100007F:{port:04X}" if sys.byteorder == "little" else f"7F000001:{port:04X}"
    return any(r[1] == wanted and r[3] == "0A" and f"socket:[{r[9]}]" in sockets for r in rows)


def _serves_a_client(pid: int) -> bool:
    # The helpers call themselves smbd-notifyd and cleanupd (or smbd-cleanupd), later releases
    # call the processes of clients smbd[ADDRESS].
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return False
    return name == "smbd" or name.startswith("smbd[")


def _send(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # its work was done meanwhile
            os.kill(pid, number)


def _wait_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + PATIENCE
    while any(_alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            raise SmbdError(f"processes {pids} do not end")
        time.sleep(0.005)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
