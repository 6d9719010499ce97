"""What this tier does on machines that cannot have it, and that it leaves nothing behind."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lab import Lab
from network import PATIENCE, PREFIX

HERE = Path(__file__).parent
NETWORK = HERE.parent / "network"

# Starts a file server in a second lab, at an address that the first has too, and is killed.
KILLED = """
import os, signal, sys, time
sys.path[:0] = [{here!r}, {network!r}]
from lab import Lab
lab = Lab()
lab.make_machines()
lab.start_standalone()
while not lab.standalone.listens(445):
    time.sleep(0.02)
print(lab.directory, os.readlink(lab.standalone.namespace("pid")), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def run_a_test(require: str) -> subprocess.CompletedProcess[str]:
    # kinit is in /usr/bin on every system; a PATH without it is a machine without Kerberos.
    environment = dict(os.environ, PATH=str(HERE), NETSESSION_REQUIRE_DOMAIN=require)
    test = str(HERE / "test_domain_logons.py") + "::test_a_wrong_password_is_tried_once"
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", test],
        env=environment,
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("require", ["", "0"])
def test_skips_with_one_reason(require: str) -> None:
    done = run_a_test(require)
    assert done.returncode == 0, done.stdout
    assert "skipped 5: the domain tier needs" in done.stdout
    assert "kinit (package krb5-user)" in done.stdout
    assert "apt-get install samba samba-ad-provision" in done.stdout


def test_fails_where_it_is_required() -> None:
    done = run_a_test("1")
    assert done.returncode == 1, done.stdout
    assert "5 errors" in done.stdout
    assert "kinit (package krb5-user)" in done.stdout


def outside() -> str:
    """What the machine itself has of network, mounts, names and Kerberos."""
    links = subprocess.run(["ip", "-br", "address"], capture_output=True, text=True, check=True)
    mounts = Path("/proc/self/mounts").read_text()
    name = Path("/proc/sys/kernel/hostname").read_text()
    files = [Path(file).exists() for file in ("/etc/netns", "/etc/krb5.conf", "/etc/krb5.keytab")]
    samba = sorted(map(str, Path("/etc/samba").rglob("*"))), sorted(os.listdir("/var/lib/samba"))
    return f"{links.stdout}{mounts}{name}{files}{samba}"


def processes_in(namespace: str) -> list[str]:
    """The processes of a pid namespace, given as its link reads."""
    found = []
    for link in Path("/proc").glob("[0-9]*/ns/pid"):
        try:
            if os.readlink(link) == namespace:
                found.append(link.parts[2])
        except OSError:
            continue
    return found


def test_nothing_is_left_of_killed_tests(lab: Lab) -> None:
    """And two labs do not meet: the first one is there all the while."""
    before = outside()
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(here=str(HERE), network=str(NETWORK))],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    directory, namespace = done.stdout.split()
    # Its standard error ended only when the keeper's did, the last to end.
    assert not processes_in(namespace)
    assert not Path(directory).exists()
    assert outside() == before
    assert processes_in(os.readlink(lab.standalone.namespace("pid")))
    assert lab.standalone.listens(445)


def test_directories_that_nobody_holds_are_removed() -> None:
    """Where even the keeper was killed. A lab that runs holds its own."""
    held, left = (Path(tempfile.mkdtemp(prefix=PREFIX)) for _ in range(2))
    try:
        with (held / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (left / "lock").touch()
            Lab().close()
            assert held.exists()
            assert not left.exists()
    finally:
        for directory in (held, left):
            subprocess.run(["rm", "-rf", str(directory)], check=True)
