"""netsession as its user has it: the command and the library, in the client machine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import forked_command
from lab import HERE, Account, Lab
from network import Machine, environment

Call = tuple[str, Mapping[str, Any]]
Job = tuple[str | Machine, "Who", Sequence[Call]]
Answer = dict[str, Any]

# What every command here imports, beside what forked_command knows.
_IMPORTED = ("smbprotocol.session", "spnego._gss", "spnego._ntlm", "netsession.srvsvc")


@dataclass(frozen=True)
class Who:
    """Who asks: a name as it is typed, with a password; or whoever a ticket cache says."""

    typed: str | None = None
    password: str | None = None
    cache: str = "none"


def password_of(account: Account, typed: str | None = None) -> Who:
    """An account by its name and password, ``CORP\\user`` unless it is typed otherwise."""
    return Who(typed or account.full_name, account.password)


def command(
    lab: Lab, *arguments: str, who: Who, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """``netsession ARGUMENTS`` with --auth-user where somebody has a password."""
    auth = [] if who.typed is None else ["--auth-user", who.typed]
    variables = {**_environment(lab, who), "NO_COLOR": "1", "COLUMNS": "200", **(env or {})}
    done = _run(lab, [*arguments, *auth], variables)
    assert "Traceback" not in done.stderr, done.stderr
    assert who.password is None or who.password not in done.stdout + done.stderr
    return done


def listed(lab: Lab, server: str, *arguments: str, who: Who) -> list[dict[str, Any]]:
    """What ``netsession list`` finds, which must succeed."""
    done = command(lab, "list", server, *arguments, "--format", "json", who=who)
    assert done.returncode == 0, done.stderr
    sessions: list[dict[str, Any]] = json.loads(done.stdout)
    return sessions


def names(sessions: list[dict[str, Any]], but: str | None = None) -> list[str]:
    """The users of sessions, sorted, without the one who asked."""
    found = [session["user_name"] for session in sessions]
    return sorted(name for name in found if but is None or name.casefold() != but.casefold())


def library(
    lab: Lab, server: str | Machine, *calls: Call, who: Who, **options: Any
) -> list[Answer]:
    """Calls of one netsession.Server; see library.py for the answers."""
    return libraries(lab, (server, who, calls), cache=who.cache, **options)[0]


def libraries(
    lab: Lab,
    *jobs: Job,
    cache: str = "none",
    **options: Any,
) -> list[list[Answer]]:
    """Several servers, one after the other, in one process: (which, who asks, calls)."""
    described: list[dict[str, Any]] = [
        {
            "server": {
                "name": server if isinstance(server, str) else server.address,
                "username": who.typed,
                "password": who.password,
                **options,
            },
            "calls": calls,
        }
        for server, who, calls in jobs
    ]
    code = (HERE / "library.py").read_text()
    done = _run(lab, [], _environment(lab, Who(cache=cache)), code, json.dumps(described))
    told = done.stdout
    assert done.returncode == 0, done.stderr
    assert not [who for _, who, _ in jobs if who.password is not None and who.password in told]
    answers: list[list[Answer]] = json.loads(told)
    return answers


def _run(
    lab: Lab,
    arguments: Sequence[str],
    env: Mapping[str, str],
    code: str | None = None,
    stdin: str = "",
) -> subprocess.CompletedProcess[str]:
    """The command, or other code, in the client machine: a fork where that is the same."""
    place = forked_command.Place(
        tuple(lab.client.command()), _IMPORTED, tuple(environment().items())
    )
    variables = environment(env)
    variables.pop("PYTHONUNBUFFERED", None)
    if forked_command.possible(variables, code, place):
        status, out, err = forked_command.run(arguments, variables, code, stdin, place)
        return subprocess.CompletedProcess(list(arguments), status, out.decode(), err)
    program = ("-m", "netsession") if code is None else ("-c", code)
    return lab.client.run(sys.executable, *program, *arguments, stdin=stdin, env=env)


def _environment(lab: Lab, who: Who) -> dict[str, str]:
    environment = {"KRB5CCNAME": f"FILE:{lab.directory}/cache-{who.cache}"}
    if who.password is not None:
        environment["NETSESSION_PASSWORD"] = who.password
    return environment


def kinit(lab: Lab, account: Account, cache: str, *options: str) -> Who:
    """A ticket in a cache of that name, and who it makes of its owner."""
    who = Who(cache=cache)
    lab.client.must_run(
        *("kinit", *options, account.principal),
        stdin=account.password + "\n",
        env=_environment(lab, who),
    )
    return who


def klist(lab: Lab, who: Who, *options: str) -> subprocess.CompletedProcess[str]:
    """``klist`` of a cache; with ``-s`` its exit code says whether there is a valid ticket."""
    return lab.client.run("klist", *options, env=_environment(lab, who))
