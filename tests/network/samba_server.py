"""smbd's configuration and accounts on a machine of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from network import Machine


def configure(
    machine: Machine, config: Mapping[str, str], accounts: Sequence[tuple[str, str]]
) -> None:
    """smb.conf and local accounts (name, password) of a file server."""
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
    new = [name for name, _ in accounts if name not in known]
    rows = [f"{name}:x:{5000 + i}:65534::/:/bin/false\n" for i, name in enumerate(new)]
    machine.write("/etc/passwd", machine.read("/etc/passwd") + "".join(rows))
    for name, password in accounts:
        machine.must_run("pdbedit", "-t", "-a", "-u", name, stdin=f"{password}\n" * 2)
