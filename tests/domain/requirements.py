"""What a machine must have for the lab."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lab import SAMBA_PYTHON
from tier import lacking_namespaces, lacking_tools

#: What the lab runs, and the Debian package that has it.
TOOLS: Final[Mapping[str, str]] = {
    "samba": "samba",
    "smbd": "samba",
    "pdbedit": "samba",
    "samba-tool": "samba-common-bin",
    "net": "samba-common-bin",
    "winbindd": "winbind",
    "smbclient": "smbclient",
    "rpcclient": "smbclient",
    "kinit": "krb5-user",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}
#: Files that no program's name stands for: (what finds it below /usr, what it is, its package).
FILES: Final = (
    ("share/samba/setup/provision.ldif", "domain templates", "samba-ad-provision"),
    ("lib/*/samba/ldb/samba_dsdb.so", "directory modules", "samba-dsdb-modules"),
    ("lib/*/samba/vfs/acl_xattr.so", "file system modules", "samba-vfs-modules"),
    ("lib/*/libnss_winbind.so.2", "names of domain users", "libnss-winbind"),
    ("lib/*/faketime/libfaketime.so.1", "wrong clocks", "libfaketime"),
)
INSTALL: Final = (
    "as root on Debian: apt-get install samba samba-ad-provision samba-dsdb-modules "
    "samba-vfs-modules winbind libnss-winbind smbclient python3-samba krb5-user libkrb5-dev "
    "libfaketime iproute2 gcc, then make test"
)


#: A network with a bridge, a mount, IPv6.
_ATTEMPT: Final = (
    "mount -t tmpfs x /mnt && ip link add name lab type bridge && test -e /proc/net/if_inet6"
)


def find(pattern: str) -> Path | None:
    """The first file below /usr that fits."""
    return next(Path("/usr").glob(pattern), None)


def missing() -> list[str]:
    """What this machine lacks, as text for people; empty when the tier can run."""
    if os.geteuid() != 0:
        return ["root"]
    lacking = lacking_tools(TOOLS)
    lacking += [f"{what} (package {package})" for file, what, package in FILES if not find(file)]
    probe = [SAMBA_PYTHON, "-c", "import samba.samdb"]
    if not Path(SAMBA_PYTHON).exists() or subprocess.run(probe, capture_output=True).returncode:
        lacking.append("Samba's Python bindings (package python3-samba)")
    if not all(importlib.util.find_spec(module) for module in ("gssapi", "krb5", "smbprotocol")):
        lacking.append("smbprotocol[kerberos] (compiled with libkrb5-dev)")
    return lacking or lacking_namespaces(_ATTEMPT)
