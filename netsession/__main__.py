"""``python -m netsession``: the command ``netsession``."""

from __future__ import annotations

import sys

from netsession.cli import main

if __name__ == "__main__":
    sys.exit(main())
