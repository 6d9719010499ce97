"""What this tier does on machines without Samba, and that it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from smbd import PATIENCE, Smbd

HERE = Path(__file__).parent

# Starts an smbd with a client connected to it, says where, and is killed.
KILLED = """
import os, signal, sys
sys.path.insert(0, {here!r})
from samba_peer import SambaPeer
from smbd import Smbd
with Smbd() as smbd, SambaPeer() as peer:
    peer.connect(smbd)
    print(smbd.directory, *smbd.processes(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def run_a_test_without_samba(require: str) -> subprocess.CompletedProcess[str]:
    # rpcclient is in /usr/bin on every system; a PATH without it is a machine without Samba.
    environment = dict(os.environ, PATH=str(HERE), NETSESSION_REQUIRE_SAMBA=require)
    test = str(HERE / "test_codec.py") + "::test_ill_formed_names_survive"
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
def test_skips_and_names_the_packages(require: str) -> None:
    done = run_a_test_without_samba(require)
    assert done.returncode == 0, done.stdout
    assert "5 skipped" in done.stdout
    assert "rpcclient (package smbclient)" in done.stdout
    assert "apt-get install samba smbclient python3-samba" in done.stdout


def test_fails_where_samba_is_required() -> None:
    done = run_a_test_without_samba("1")
    assert done.returncode == 1, done.stdout
    assert "5 errors" in done.stdout
    assert "rpcclient (package smbclient)" in done.stdout


def test_nothing_is_left_of_killed_tests() -> None:
    program = KILLED.format(here=str(HERE))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    directory, *pids = done.stdout.split()
    assert len(pids) > 3  # smbd and its helpers, samba-dcerpcd and a worker
    # Its standard error ended only when the supervisor did, which holds it too; so all that the
    # supervisor looked after must be gone by now.
    assert not Path(directory).exists()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_killing_and_starting_again() -> None:
    with Smbd() as smbd:
        first = smbd.processes()
        smbd.kill()
        assert not smbd.processes()
        smbd.start()
        assert not {*first} & {*smbd.processes()}
        directory, last = smbd.directory, smbd.processes()
    assert not directory.exists()
    assert not [pid for pid in last if Path(f"/proc/{pid}").exists()]
