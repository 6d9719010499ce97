"""Twenty servers for the tests of this folder.

They need root, to make namespaces, Samba, and what runs jobs elsewhere (distributed). Where
something is missing they are skipped with one reason, which says how to get it; with
NETSESSION_REQUIRE_FLEET=1, as in the project's own CI, that is a failure.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform.startswith("linux"):
    from fleet_lab import Fleet
    from network import environment
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
    path = environment()["PATH"]
    lacking = [
        f"{tool} (package {package})"
        for tool, package in TOOLS.items()
        if not shutil.which(tool, path=path)
    ]
    if not Path("/dev/net/tun").exists():
        lacking.append("/dev/net/tun")
    lacking += [
        f"{module} (pip install {module})"
        for module in ("distributed", "smbprotocol")
        if importlib.util.find_spec(module) is None
    ]
    if not lacking and not _can_make_namespaces():
        lacking.append("the right to make namespaces (a container must be privileged)")
    return lacking


def _can_make_namespaces() -> bool:
    kinds = ["--net", "--mount", "--uts", "--pid", "--fork", "--propagation", "private"]
    attempt = (
        "mount -t tmpfs x /mnt && ip link add name lab type bridge && ip tuntap add t mode tap"
    )
    done = subprocess.run(
        ["unshare", *kinds, "sh", "-c", attempt], env=environment(), capture_output=True
    )
    return done.returncode == 0


@pytest.fixture(scope="session", autouse=True)
def fleet_tools() -> None:
    """Skips the folder, or fails it, on a machine that cannot have the servers."""
    lacking = missing()
    if not lacking:
        return
    reason = f"the fleet tier needs {', '.join(lacking)}; {INSTALL}"
    if os.environ.get("NETSESSION_REQUIRE_FLEET", "") not in ("", "0"):
        pytest.fail(f"NETSESSION_REQUIRE_FLEET is set, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def fleet(fleet_tools: None) -> Iterator[Fleet]:
    """The servers. Shared: leave them as they were."""
    with Fleet() as fleet:
        yield fleet
