"""A private smbd whose srvsvc pipe gives one prepared reply to NetrSessionEnum.

Argument: the file that holds the reply's stub. It goes out in fragments of 4,280 bytes, as
Windows sends it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from waiting import serve_until_told, where_is

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "samba"))

from endpoint import Endpoint, Reply, Script
from smbd import Smbd


def main() -> None:
    reply = Reply(Path(sys.argv[1]).read_bytes())
    with Smbd(helpers=False) as smbd, Endpoint(smbd.endpoint_path) as endpoint:
        endpoint.script = Script(respond=lambda call: reply, grant=4280)
        serve_until_told(where_is(smbd))


if __name__ == "__main__":
    main()
