"""Real servers for the tests of this folder.

They need Samba on the machine and nothing else: no rights, no configuration, no running service.
Where it is missing they are skipped with the name of the package to install; with
NETSESSION_REQUIRE_SAMBA=1, as in the project's own CI, a missing tool is a failure.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

if sys.platform.startswith("linux"):
    from endpoint import Endpoint, Script
    from samba_peer import SambaPeer
    from smbd import Smbd, missing_tools
    from tier import skip_or_fail
else:
    # smbd may exist elsewhere, but what keeps it here (accounts, /proc, prctl) is Linux.
    collect_ignore_glob = ["test_*.py"]

INSTALL = "apt-get install samba smbclient python3-samba"


@pytest.fixture(scope="session", autouse=True)
def samba_tools() -> None:
    """Skips the folder, or fails it, on a machine without Samba."""
    lacking = missing_tools()
    if not lacking:
        return
    reason = f"needs {', '.join(lacking)}; on Debian: {INSTALL}"
    skip_or_fail("NETSESSION_REQUIRE_SAMBA", reason, "this tier ")


@pytest.fixture(scope="session")
def real_smbd(samba_tools: None) -> Iterator[Smbd]:
    """smbd with Samba's own srvsvc: levels 0 and 1. Shared: leave it as it was."""
    with Smbd() as smbd:
        yield smbd


@pytest.fixture(scope="session")
def endpoint_smbd(samba_tools: None) -> Iterator[Smbd]:
    """smbd whose pipes are left to us. Shared: leave it as it was."""
    with Smbd(helpers=False) as smbd:
        yield smbd


@pytest.fixture(scope="session")
def _endpoint(endpoint_smbd: Smbd) -> Iterator[Endpoint]:
    with Endpoint(endpoint_smbd.endpoint_path) as endpoint:
        yield endpoint


@pytest.fixture
def endpoint(_endpoint: Endpoint) -> Iterator[Endpoint]:
    """Our srvsvc behind ``endpoint_smbd``, with a polite script that serves no level.

    Fails the test when a client broke the protocol, or the endpoint itself failed.
    """
    _endpoint.script = Script()
    yield _endpoint
    _endpoint.close_pipes()
    assert not _endpoint.errors, _endpoint.errors
    assert not _endpoint.breaches, _endpoint.breaches


@pytest.fixture(scope="session")
def samba_peer(samba_tools: None) -> Iterator[SambaPeer]:
    """Samba's Python bindings, in a process of the system's Python."""
    with SambaPeer() as peer:
        yield peer
