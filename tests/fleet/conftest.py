"""Twenty servers for the tests of this folder.

They need root, to make namespaces, Samba, and what runs jobs elsewhere (distributed). Where
something is missing they are skipped with one reason, which says how to get it; with
NETSESSION_REQUIRE_FLEET=1, as in the project's own CI, that is a failure.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform.startswith("linux"):
    from fleet_lab import Fleet
    from tier import lacking_namespaces, lacking_tools, skip_or_fail
else:
    collect_ignore_glob = ["test_*.py"]  # namespaces are Linux

TOOLS = {
    "smbd": "samba",
    "pdbedit": "samba",
    "net": "samba-common-bin",
    "smbclient": "smbclient",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}
INSTALL = (
    "as root on Debian: apt-get install samba smbclient iproute2 util-linux, and "
    "pip install distributed (make test does that)"
)


def missing() -> list[str]:
    """What this machine lacks, as text for people; empty when the tier can run."""
    if os.geteuid() != 0:
        return ["root"]
    lacking = lacking_tools(TOOLS)
    if not Path("/dev/net/tun").exists():
        lacking.append("/dev/net/tun")
    lacking += [
        f"{module} (pip install {module})"
        for module in ("distributed", "smbprotocol")
        if importlib.util.find_spec(module) is None
    ]
    return lacking or lacking_namespaces(
        "mount -t tmpfs x /mnt && ip link add name lab type bridge && ip tuntap add t mode tap"
    )


@pytest.fixture(scope="session", autouse=True)
def fleet_tools() -> None:
    """Skips the folder, or fails it, on a machine that cannot have the servers."""
    lacking = missing()
    if not lacking:
        return
    reason = f"the fleet tier needs {', '.join(lacking)}; {INSTALL}"
    skip_or_fail("NETSESSION_REQUIRE_FLEET", reason)


@pytest.fixture(scope="session")
def fleet(fleet_tools: None) -> Iterator[Fleet]:
    """The servers. Shared: leave them as they were."""
    with Fleet() as fleet:
        yield fleet
