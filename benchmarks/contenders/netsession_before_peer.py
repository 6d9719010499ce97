"""netsession as it connected before it kept the LM hash from being made (pyspnego's own way)."""

from __future__ import annotations

from netsession_peer import Netsession
from serve import serve

from netsession.srvsvc import credentials, link

credentials._TAKES_A_HASH = False
link._CHUNK = 1 << 18  # type: ignore[misc]

if __name__ == "__main__":
    serve(Netsession())
