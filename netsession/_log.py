"""The logger ``netsession``: what is asked of whom, at DEBUG; never a secret.

``logging`` is slow to import and few programs want it here. Who does has imported it already.
"""

from __future__ import annotations

import sys


def debug(message: str, *arguments: object) -> None:
    """Logs a message with its %-arguments, if anybody may be listening."""
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger("netsession").debug(message, *arguments)
