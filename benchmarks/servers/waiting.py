"""What the servers of the comparison share: say where they are, stay until they are told to end."""

from __future__ import annotations

import json
import sys
from typing import Any


def serve_until_told(where: dict[str, Any]) -> None:
    """Prints where the server is as one JSON object, and returns when standard input ends."""
    print(json.dumps(where), flush=True)
    sys.stdin.read()


def where_is(smbd: Any) -> dict[str, Any]:
    """What a client needs to know of a private smbd of the tests."""
    return {
        "host": smbd.host,
        "port": smbd.port,
        "user": smbd.admin.name,
        "password": smbd.admin.password,
        "config": str(smbd.config),
    }
