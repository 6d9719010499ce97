"""Whether something traces what the tests run: then it does more than it does for a user."""

from __future__ import annotations

import sys

import pytest

untraced = pytest.mark.skipif(
    sys.gettrace() is not None, reason="something else traces: a debugger, or coverage"
)
