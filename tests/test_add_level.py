"""The diff of docs/add-level.md still fits the tree; it was built and run when it was written."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DIFF = ROOT / "docs" / "add-level.diff"


@pytest.mark.skipif(
    not DIFF.exists() or shutil.which("git") is None, reason="needs the source tree, and git"
)
def test_it_still_fits() -> None:
    # From the root: below another repository git would look for the files in that one's.
    done = subprocess.run(
        ["git", "apply", "--check", "--verbose", str(DIFF)],
        cwd=ROOT,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(ROOT.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    named = {line.split()[-1].removesuffix("...") for line in done.stderr.splitlines()}
    assert {"src/session_level.c", "netsession/records.py"} <= named
