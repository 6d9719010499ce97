"""One domain for all tests of this folder.

They need root, to make namespaces, and a domain's software on the machine: no configuration, no
running service, no network; nothing of the machine is changed. Where something is missing they are
skipped with one reason, which says how to get it; with NETSESSION_REQUIRE_DOMAIN=1, as in the
project's own CI, that is a failure.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

if sys.platform.startswith("linux"):
    from lab import Lab
    from requirements import INSTALL, missing
    from sessions_kept import Kept, wait_until_seen
    from tier import skip_or_fail
else:
    collect_ignore_glob = ["test_*.py"]  # namespaces are Linux


@pytest.fixture(scope="session", autouse=True)
def domain_tools() -> None:
    """Skips the folder, or fails it, on a machine that cannot have the lab."""
    lacking = missing()
    if not lacking:
        return
    reason = f"the domain tier needs {', '.join(lacking)}; {INSTALL}"
    skip_or_fail("NETSESSION_REQUIRE_DOMAIN", reason)


@pytest.fixture(scope="session")
def lab(domain_tools: None) -> Iterator[Lab]:
    """The network. Shared: leave it as it was."""
    with Lab() as lab:
        yield lab


@pytest.fixture
def kept(lab: Lab) -> Iterator[Kept]:
    """Opens sessions that stay until the end of the test; the servers have none before."""
    for server in (lab.member, lab.standalone):
        wait_until_seen(server)
    with Kept() as kept:
        yield kept
