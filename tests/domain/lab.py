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

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from network import FOREGROUND, Machine, Network, NetworkError, Plan
from samba_server import configure

HERE: Final = Path(__file__).parent
SAMBA_PYTHON: Final = "/usr/bin/python3"

REALM: Final = "CORP.EXAMPLE"
DNS_DOMAIN: Final = "corp.example"
DOMAIN: Final = "CORP"
LOCK_AFTER: Final = 3  #: wrong passwords that lock an account of the domain

PLANS: Final[Mapping[str, Plan]] = {
    "dc": Plan("10.77.0.10", "fd77::10"),
    "fs01": Plan("10.77.0.20", "fd77::20"),
    "fs02": Plan("10.77.0.21", "fd77::21"),
    "cl": Plan("10.77.0.30", "fd77::30"),
}

#: Who is in the domain, beside Administrator. None of them is an administrator of anything.
PEOPLE: Final = (
    *("alice", "bob", "carol"),  # connect
    *("wanda", "wendy", "willy", "wim", "wolf"),  # give wrong passwords
    *("linus", "dora", "enno", "mia"),  # locked by a test, disabled, expired, must change
)
#: Accounts of the standalone server; the first is its administrator.
LOCALS: Final = ("root", "alice", "bob", "carol")


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


class Lab(Network):
    """The network of the domain."""

    def __init__(self) -> None:
        super().__init__(PLANS, DNS_DOMAIN)
        self.admin = new_account("Administrator")
        self.people = {name: new_account(name) for name in PEOPLE}
        self.locals = {name: new_account(name, "FS02") for name in LOCALS}
        #: on the joined server, a local account beside the domain's of the same name
        self.other_alice = new_account("alice", "FS01")

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

    def set_up(self) -> None:
        """Makes the machines and starts what runs on them."""
        self.make_machines()
        self.start_standalone()
        self._start_controller()
        self._start_member()
        self._wait("fs02", lambda: self.standalone.listens(445))

    # -- setting up ---------------------------------------------------------------------------

    def _equip(self, machine: Machine) -> None:
        super()._equip(machine)
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
        configure(self.member, config, [(self.other_alice.name, self.other_alice.password)])
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
        except NetworkError as error:
            raise NetworkError(f"cannot join the domain: {said}") from error

    def start_standalone(self) -> None:
        """The standalone server, which needs nobody; it may not be ready yet."""
        config = {"workgroup": "ALONE", "netbios name": "FS02", "server role": "standalone server"}
        configure(
            self.standalone,
            config,
            [(account.name, account.password) for account in self.locals.values()],
        )
        self.standalone.must_run(
            *("net", "groupmap", "add", "sid=S-1-5-32-544", "unixgroup=root"),
            *("type=builtin", "ntgroup=Administrators"),
        )
        self._start("fs02", "smbd", *FOREGROUND)

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
