"""The command ``netsession`` against real servers: the README's own example."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from endpoint import Call, Endpoint, Reply, Script
from ndr_reference import DeleteRequest
from rows import make_rows
from sessions import connect, set_up
from smbd import PATIENCE, Smbd, User

pytest.importorskip("rich", reason="the command needs rich: pip install netsession[cli]")


# Ctrl-C works in it also where the tests' own process ignores it (nohup make test &).
INTERRUPTIBLE = """
import signal, sys
from netsession.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""


def start(
    smbd: Smbd, command: str, *arguments: str, user: User | None = None
) -> subprocess.Popen[str]:
    """``netsession COMMAND 127.0.0.1 --port P --auth-user U``, with what else there is."""
    user = user or smbd.admin
    where = [command, smbd.host, "--port", str(smbd.port), "--auth-user", user.name]
    return subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *where, *arguments],
        env=dict(os.environ, NETSESSION_PASSWORD=user.password, NO_COLOR="1", COLUMNS="200"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def run(
    smbd: Smbd, *arguments: str, user: User | None = None, command: str = "list"
) -> subprocess.CompletedProcess[str]:
    """The same, to its end."""
    with start(smbd, command, *arguments, user=user) as process:
        try:
            out, told = process.communicate(timeout=PATIENCE)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, told)


@pytest.fixture(scope="module")
def three_users() -> Iterator[Smbd]:
    """An smbd with three users connected, each on a connection of its own."""
    with Smbd() as smbd:
        connections = [connect(smbd) for _ in smbd.others]
        for connection, user in zip(connections, smbd.others, strict=True):
            set_up(connection, user)
        yield smbd
        for connection in connections:
            connection.disconnect(close=True)


def test_json_of_exactly_these_sessions(three_users: Smbd) -> None:
    done = run(three_users, "--format", "json")
    assert done.returncode == 0, done.stderr
    sessions = json.loads(done.stdout)
    # The command's own session is one of them: it is open while the list is made.
    assert sorted(session["user_name"] for session in sessions) == sorted(
        user.name for user in three_users.users
    )
    assert {session["client_name"] for session in sessions} == {"127.0.0.1"}
    assert not done.stderr


@pytest.mark.parametrize("form", ["jsonl", "csv", "table"])
def test_other_formats(three_users: Smbd, form: str) -> None:
    done = run(three_users, "--format", form)
    assert done.returncode == 0, done.stderr
    if form == "jsonl":
        found = [json.loads(line)["user_name"] for line in done.stdout.splitlines()]
    elif form == "csv":
        found = [row["user_name"] for row in csv.DictReader(io.StringIO(done.stdout))]
    else:
        assert done.stdout.count("127.0.0.1") == len(three_users.users)
        found = [user.name for user in three_users.users if user.name in done.stdout]
    assert sorted(found) == sorted(user.name for user in three_users.users)


def test_filters(three_users: Smbd) -> None:
    wanted = three_users.others[1].name
    done = run(three_users, "--user", wanted, "--client", "127.0.0.1", "--format", "json")
    assert [session["user_name"] for session in json.loads(done.stdout)] == [wanted]


def test_every_field(endpoint: Endpoint, endpoint_smbd: Smbd) -> None:
    rows = make_rows(502, 200, well_formed=True)
    endpoint.script = Script(rows={502: rows})
    done = run(endpoint_smbd, "--level", "502", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    # Times of 0xFFFFFFFF mean that the server does not know, and read null.
    expected = [
        row | {name: None for name in ("active_time", "idle_time") if row[name] == 0xFFFFFFFF}
        for row in map(dict, rows)
    ]
    assert [json.loads(line) for line in done.stdout.splitlines()] == expected


@pytest.mark.parametrize(
    ("case", "code", "told"),
    [
        ("no administrator", 1, "Administrators"),
        ("wrong password", 1, "password"),
        ("refused level", 1, "--level"),
        ("unknown level", 2, "level"),
        ("nobody listens", 3, "port"),
    ],
)
def test_exit_codes(three_users: Smbd, case: str, code: int, told: str) -> None:
    if case == "no administrator":
        done = run(three_users, user=three_users.others[0])
    elif case == "wrong password":
        done = run(three_users, user=User(three_users.admin.name, "quite-wrong-6251"))
    elif case == "refused level":
        done = run(three_users, "--level", "502")
    elif case == "unknown level":
        done = run(three_users, "--level", "3")
    else:
        done = run(three_users, "--port", "1")
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert not done.stdout
    assert "Traceback" not in done.stderr
    assert "quite-wrong-6251" not in done.stderr
    if code != 2:
        assert len(done.stderr.splitlines()) == 1


def test_password_from_a_file(three_users: Smbd, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(three_users.admin.password + "\n")
    liar = User(three_users.admin.name, "quite-wrong-6251")  # what the environment says
    done = run(three_users, "--password-file", str(file), "--format", "json", user=liar)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == len(three_users.users)


def test_interrupting_a_call(endpoint: Endpoint, endpoint_smbd: Smbd) -> None:
    """Ctrl-C while the server keeps the command waiting."""
    asked, done = threading.Event(), threading.Event()

    def respond(call: Call) -> Reply | None:
        asked.set()
        done.wait(PATIENCE)
        return None

    endpoint.script = Script(rows={502: make_rows(502, 3)}, respond=respond)
    command = start(endpoint_smbd, "list")
    try:
        assert asked.wait(PATIENCE)
        command.send_signal(signal.SIGINT)
        out, told = command.communicate(timeout=PATIENCE / 2)
    finally:
        command.kill()
        done.set()
    assert command.returncode == 130
    assert (out, told) == ("", "")


def test_show(three_users: Smbd) -> None:
    wanted = three_users.others[0].name
    done = run(three_users, "127.0.0.1", wanted, command="show")
    assert done.returncode == 0, done.stderr
    assert wanted in done.stdout
    done = run(three_users, "127.0.0.1", "nobody-there", command="show")
    assert done.returncode == 1
    assert not done.stdout


def test_delete(endpoint: Endpoint, endpoint_smbd: Smbd) -> None:
    rows = make_rows(502, 40, well_formed=True)
    endpoint.script = Script(rows={502: rows})
    wanted = rows[30]
    arguments = ["--client", str(wanted["client_name"]), "--user", str(wanted["user_name"])]
    done = run(endpoint_smbd, *arguments, "--dry-run", command="delete")
    assert done.returncode == 0, done.stderr
    assert not endpoint.deletes
    done = run(endpoint_smbd, *arguments, "--yes", command="delete")
    assert done.returncode == 0, done.stderr
    name = "\\\\127.0.0.1"
    assert endpoint.deletes == [
        DeleteRequest(name, str(wanted["client_name"]), str(wanted["user_name"]))
    ]


def test_interrupting_a_delete(endpoint: Endpoint, endpoint_smbd: Smbd) -> None:
    """Ctrl-C between the request and its answer: it may be done, and the command says so."""
    asked, done = threading.Event(), threading.Event()
    rows = make_rows(502, 40, well_formed=True)

    def respond(call: Call) -> Reply | None:
        if call.opnum == 13:
            asked.set()
            done.wait(PATIENCE)
        return None

    endpoint.script = Script(rows={502: rows}, respond=respond)
    command = start(endpoint_smbd, "delete", "--client", str(rows[30]["client_name"]), "--yes")
    try:
        assert asked.wait(PATIENCE)
        command.send_signal(signal.SIGINT)
        _, told = command.communicate(timeout=PATIENCE / 2)
    finally:
        command.kill()
        done.set()
    assert command.returncode == 130
    assert "may have been ended all the same" in told.splitlines()[-1]
