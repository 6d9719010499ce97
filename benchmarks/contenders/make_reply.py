"""Writes replies of NetrSessionEnum to files: the sessions that the simulator makes up.

Encoded by the tests' own codec, which shares nothing with the extension and is checked against
Samba's. Arguments: the folder of that codec, then LEVEL:ENTRIES:PATH ...
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from netsession.testing import simulated_server


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    codec = importlib.import_module("ndr_reference")
    for case in sys.argv[2:]:
        level, entries, path = case.split(":", 2)
        with simulated_server(int(entries)) as server:
            rows = [record._asdict() for record in server.sessions(level=int(level))]
        stub = codec.encode_enum_response(
            int(level), rows, total_entries=len(rows), resume_handle=0, status=0
        )
        Path(path).write_bytes(stub)


if __name__ == "__main__":
    main()
