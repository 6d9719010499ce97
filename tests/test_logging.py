"""The logger ``netsession``."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from fake_pipe import listing, server_of
from netsession.testing import simulated_server


def test_levels_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with simulated_server(3) as server, caplog.at_level(logging.DEBUG, "netsession"):
        server.refuse(502)
        assert len(list(server.sessions())) == 3
    assert "level 502 is refused with status 5\n" in caplog.text
    assert "simulated: level 2" in caplog.text


def test_exchanges_are_told(caplog: pytest.LogCaptureFixture) -> None:
    answer = listing(lambda opnum, stub: bytes(4))
    server, _ = server_of(answer, username="me", password="not-to-be-told")
    with caplog.at_level(logging.DEBUG, "netsession"):
        server.delete_sessions(user="alice")
        server.close()
    assert "fake: NetSessionDel answered by 4 bytes" in caplog.text
    assert "fake: logging off" in caplog.text
    assert "not-to-be-told" not in caplog.text


def test_logging_is_not_imported_for_it() -> None:
    code = """
import sys
from netsession.testing import simulated_server
with simulated_server(3) as server:
    assert len(list(server.sessions())) == 3
assert "logging" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
