"""See, inspect and end the SMB sessions of file servers.

Windows' network management session functions (NetSessionEnum, NetSessionGetInfo, NetSessionDel)
from Python: native on Windows, over SMB ([MS-SRVS]) anywhere.

    import netsession

    for session in netsession.Server("fs01").sessions():
        print(session.client, session.user_name, session.idle)

(For pytest, which our plugin makes ask whether it may rewrite us: PYTEST_DONT_REWRITE.)
"""

from __future__ import annotations

from ._netsession import SessionPage
from ._version import __version__
from .errors import *  # noqa: F403 - all exceptions, and two functions that are not wanted here
from .records import (
    SessionInfo,
    SessionInfo0,
    SessionInfo1,
    SessionInfo2,
    SessionInfo10,
    SessionInfo502,
)
from .server import Server, Sessions

# isort: split
from . import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._pairs import LeftAlone, PairOutcome
    from ._plan import DeletePlan
    from ._where import Where, where
    from .flags import SessionFlags
    from .fleet import KeptSessions, Scan, ScanIncomplete, ScanProgress, ServerReport, scan
    from .watch import (
        SessionChanged,
        SessionClosed,
        SessionOpened,
        Watch,
        WatchEvent,
        WatchFailed,
        WatchRecovered,
    )

__all__ = [
    "DeletePlan",
    "KeptSessions",
    "LeftAlone",
    "PairOutcome",
    "Scan",
    "ScanIncomplete",
    "ScanProgress",
    "Server",
    "ServerReport",
    "SessionChanged",
    "SessionClosed",
    "SessionFlags",
    "SessionInfo",
    "SessionInfo0",
    "SessionInfo1",
    "SessionInfo2",
    "SessionInfo10",
    "SessionInfo502",
    "SessionOpened",
    "SessionPage",
    "Sessions",
    "Watch",
    "WatchEvent",
    "WatchFailed",
    "WatchRecovered",
    "Where",
    "__version__",
    "scan",
    "where",
]
__all__ += errors.__all__
__all__.remove("error_from_status")
__all__.remove("symbol_of")
del error_from_status, symbol_of  # noqa: F821 - which that has brought


#: Imported when they are wanted, which few programs do.
_LATER = {
    "DeletePlan": "_plan",
    "SessionChanged": "watch",
    "SessionClosed": "watch",
    "SessionOpened": "watch",
    "Watch": "watch",
    "WatchEvent": "watch",
    "WatchFailed": "watch",
    "WatchRecovered": "watch",
    "KeptSessions": "fleet",
    "LeftAlone": "_pairs",
    "PairOutcome": "_pairs",
    "Scan": "fleet",
    "ScanIncomplete": "fleet",
    "ScanProgress": "fleet",
    "ServerReport": "fleet",
    "SessionFlags": "flags",
    "Where": "_where",
    "scan": "fleet",
    "where": "_where",
}


def __getattr__(name: str) -> object:
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # which a shell completes
