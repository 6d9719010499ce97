"""Runs in the client machine: jobs for netsession.Server, from and to JSON.

Standard input has a list of jobs, each with ``server`` (arguments of Server) and ``calls`` (pairs
of what to do and its arguments). Standard output gets a list of answers for each job.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import netsession


def do(server: netsession.Server, what: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """One call: its records, or its error with all that people can catch it by."""
    try:
        if what == "list":
            records = [record._asdict() for record in server.sessions(**arguments)]
        elif what == "show":
            records = [server.session(**arguments)._asdict()]
        else:
            server.delete_sessions(**arguments)
            records = []
    except (netsession.NetApiError, ValueError, LookupError) as error:
        return {
            "kinds": [kind.__name__ for kind in type(error).__mro__],
            "status": getattr(error, "status", None),
            "text": str(error),
        }
    return {"records": records}


def answers(job: dict[str, Any]) -> list[dict[str, Any]]:
    """All calls of a job, with one Server."""
    with netsession.Server(**job["server"]) as server:
        return [do(server, what, arguments) for what, arguments in job["calls"]]


if __name__ == "__main__":
    json.dump([answers(job) for job in json.load(sys.stdin)], sys.stdout)
