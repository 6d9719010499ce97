"""Which wheels a release has: what README.md lists, and what cibuildwheel would build."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLATFORMS = ("linux", "macos", "windows")

_TAG = re.compile(r"`((?:cp3|manylinux|musllinux|macosx|win)[a-z0-9_]*)`")


def listed(readme: str) -> set[str]:
    """The identifiers of README's table: each CPython on each platform."""
    table = readme.partition("| wheels for |")[2].partition("\n\n")[0]
    tags = _TAG.findall(table)
    pythons = [tag for tag in tags if tag.startswith("cp")]
    platforms = [tag for tag in tags if not tag.startswith("cp")]
    return {f"{python}-{platform}" for python, platform in product(pythons, platforms)}


def asked_for(platform: str) -> list[str]:
    """What `cibuildwheel --print-build-identifiers` says of one of the platforms."""
    command = [sys.executable, "-m", "cibuildwheel", "--print-build-identifiers"]
    done = subprocess.run(
        [*command, "--platform", platform, str(ROOT)], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def identifier(wheel: str) -> str:
    """What cibuildwheel calls the wheel of that file name: cp314t-manylinux_x86_64."""
    abi, platform = wheel.removesuffix(".whl").split("-")[-2:]
    first = platform.split(".")[0]
    first = re.sub(r"^(manylinux|musllinux|macosx)_\d+_\d+_", r"\1_", first)
    return f"{abi}-" + re.sub(r"^manylinux(1|2010|2014)_", "manylinux_", first)
