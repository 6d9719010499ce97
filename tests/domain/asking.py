"""netsession as its user has it: the command and the library, in the client machine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab import HERE, Account, Lab
from network import Machine

Call = tuple[str, Mapping[str, Any]]
Job = tuple[str | Machine, "Who", Sequence[Call]]
Answer = dict[str, Any]


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
    done = lab.client.run(
        *(sys.executable, "-m", "netsession", *arguments, *auth),
        env={**_environment(lab, who), "NO_COLOR": "1", "COLUMNS": "200", **(env or {})},
    )
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
    told = lab.client.must_run(
        *(sys.executable, str(HERE / "library.py")),
        stdin=json.dumps(described),
        env=_environment(lab, Who(cache=cache)),
    )
    assert not [who for _, who, _ in jobs if who.password is not None and who.password in told]
    answers: list[list[Answer]] = json.loads(told)
    return answers


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
