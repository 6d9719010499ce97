"""What tiers of tests have in common that not every machine can run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

import pytest

from network import environment


def skip_or_fail(variable: str, reason: str, subject: str = "") -> None:
    """Skips the tier for that reason; fails it where the variable says that it is required."""
    if os.environ.get(variable, "") not in ("", "0"):
        pytest.fail(f"{variable} is set, but {subject}{reason}", pytrace=False)
    pytest.skip(reason)


def lacking_tools(tools: Mapping[str, str]) -> list[str]:
    """Those programs that are not there, by the Debian package that has them, for people."""
    path = environment()["PATH"]
    return [
        f"{tool} (package {package})"
        for tool, package in tools.items()
        if not shutil.which(tool, path=path)
    ]


def lacking_namespaces(attempt: str) -> list[str]:
    """Tries a shell script in namespaces that end at once; what is lacking where it fails."""
    kinds = ["--net", "--mount", "--uts", "--pid", "--fork", "--propagation", "private"]
    done = subprocess.run(
        ["unshare", *kinds, "sh", "-c", attempt], env=environment(), capture_output=True
    )
    if done.returncode == 0:
        return []
    return ["the right to make namespaces (a container must be privileged)"]
