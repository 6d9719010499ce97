"""``netsession list --resolve``: without any DNS, the look-up itself put in its place."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from pathlib import Path

import pytest

from cli_process import run
from netsession.cli import resolve

pytest.importorskip("rich")

# A look-up that knows two, fails for one in each way there is, and counts.
KNOWN = """
from netsession.cli import resolve
import socket, atexit
asked = []
def look_up(address):
    asked.append(address)
    if address == "10.0.0.1":
        return "ws1.corp.example."
    if address == "2001:db8::1":
        return "six\\x1b[31m.corp.example"
    if address == "10.0.0.3":
        raise UnicodeError("label too long")
    raise socket.gaierror(-2, "Name or service not known")
resolve.look_up = look_up
atexit.register(lambda: print("ASKED", *sorted(asked), file=sys.stderr))
server = simulated_server(
    [{"client_name": name, "user_name": "u"} for name in
     ["\\\\\\\\10.0.0.1", "\\\\\\\\[2001:db8::1]", "10.0.0.2", "10.0.0.3",
      "\\\\\\\\10.0.0.1", None]],
    page_entries=2)
"""
NAMES = ["ws1.corp.example", "six\x1b[31m.corp.example", None, None, "ws1.corp.example", None]


def test_names_are_beside_addresses_in_a_table() -> None:
    result = run("list", "--demo", "--resolve", setup=KNOWN)
    heading, first, second, third, *_ = result.text.splitlines()
    assert heading.split()[:3] == ["CLIENT", "HOST", "USER"]
    assert first.split()[:3] == ["10.0.0.1", "ws1.corp.example", "u"]
    assert second.split()[:2] == ["2001:db8::1", "six\\x1b[31m.corp.example"]
    assert third.split()[:3] == ["10.0.0.2", "-", "u"]
    # Each once, whatever page it came on.
    asked = result.err.rpartition("ASKED ")[2].split()
    assert asked == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1"]
    assert "HOST" not in run("list", "--demo", setup=KNOWN).text


@pytest.mark.parametrize("name", ["json", "jsonl", "csv", "parquet"])
def test_names_are_the_last_field_elsewhere(name: str, tmp_path: Path) -> None:
    file = tmp_path / "out"
    if name == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
    result = run("list", "--demo", "--resolve", "--format", name, "-o", str(file), setup=KNOWN)
    assert result.code == 0, result
    if name == "parquet":
        rows = parquet.read_table(file).to_pylist()
    elif name == "csv":
        rows = list(csv.DictReader(io.StringIO(file.read_text(), newline="")))
    elif name == "json":
        rows = json.loads(file.read_bytes())
    else:
        rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [list(row)[-1] for row in rows] == ["host_name"] * 6
    assert [row["host_name"] or None for row in rows] == NAMES
    assert rows[0]["client_name"] == "\\\\10.0.0.1"


def test_an_empty_list_has_the_field_too(tmp_path: Path) -> None:
    out = run("list", "--demo", "0", "--resolve", "--format", "csv").text
    assert out.endswith(",transport,host_name\r\n")
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "x.parquet"
    run("list", "--demo", "0", "--resolve", "-o", str(file))
    assert parquet.read_table(file).schema.names[-1] == "host_name"


def test_a_client_known_by_its_name_is_not_looked_up() -> None:
    for name in ("WS17", "", "host.example", "[bold]x[/bold]"):
        with pytest.raises(OSError):  # noqa: PT011
            resolve.look_up(name)


def test_all_are_asked_at_once_and_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """None answers before all have been asked: one after the other would never end."""
    together = threading.Barrier(resolve._THREADS)

    def look_up(address: str) -> str:
        together.wait(60)
        return f"host-{address}"

    monkeypatch.setattr(resolve, "look_up", look_up)
    addresses = [f"10.0.0.{number}" for number in range(resolve._THREADS)]
    names = resolve.Resolver(60.0).names(addresses)
    assert names == [f"host-{address}" for address in addresses]


def test_what_is_not_answered_in_time_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the time is one for all pages: what is left of it is nothing."""
    never = threading.Event()

    def look_up(address: str) -> str:
        if address == "10.0.0.1":
            return "quick"
        never.wait(60)
        return "late"

    monkeypatch.setattr(resolve, "look_up", look_up)
    resolver = resolve.Resolver(0.5)
    slow = [f"10.1.0.{number}" for number in range(100)]
    assert resolver.names(["10.0.0.1", *slow]) == ["quick"] + [None] * 100
    assert resolver._left <= 0
    waits: list[float] = []
    monkeypatch.setattr(resolver, "_wait_for", waits.append)
    assert resolver.names(["10.0.0.1", "10.2.0.1", *slow]) == ["quick"] + [None] * 101
    assert waits == []
    never.set()


def test_no_more_threads_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert resolve.Resolver(60.0).names(["10.0.0.1"]) == [None]


def test_the_command_ends_although_look_ups_hang() -> None:
    hangs = """
from netsession.cli import resolve
import time
resolve.look_up = lambda address: time.sleep(3600)
server = simulated_server(50)
"""
    started = time.monotonic()
    result = run("list", "--demo", "--resolve", "--timeout", "0.2", setup=hangs)
    assert result.code == 0
    assert "50 sessions" in result.err
    assert time.monotonic() - started < 60  # a hang guard: it would be an hour
