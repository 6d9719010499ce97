"""What is built for Windows, what of it is run, and where everything is kept."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("NETSESSION_WINDOWS_CACHE", ROOT / ".cache" / "windows"))
DOWNLOADS = CACHE / "downloads"

#: The compiler warnings that fail a build, here as on every other platform.
C_FLAGS = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion"]
C_FLAGS += ["-Wshadow", "-Wstrict-prototypes", "-Werror"]


class MissingToolError(RuntimeError):
    """Something from Debian (or pyenv) is not on this machine; the text says what to install."""


@dataclass(frozen=True)
class Target:
    """One wheel: a CPython version on one Windows architecture."""

    version: str  # "3.11"
    arch: str  # "amd64", "win32" or "arm64"

    @property
    def nodot(self) -> str:
        return self.version.replace(".", "")

    @property
    def abi(self) -> str:
        return f"cp{self.nodot}"

    @property
    def platform(self) -> str:
        """The wheel's platform tag."""
        return "win32" if self.arch == "win32" else f"win_{self.arch}"

    @property
    def name(self) -> str:
        return f"{self.abi}-{self.platform}"

    @property
    def extension_suffix(self) -> str:
        return f".{self.abi}-{self.platform}.pyd"

    @property
    def dll(self) -> str:
        return f"python{self.nodot}.dll"

    @property
    def folder(self) -> Path:
        return CACHE / self.name


#: The one on which everything is asked, under Wine, with a stand-in netapi32.dll beside pywin32.
FULL = Target("3.14", "amd64")
#: Run like it, with the tests of what differs between interpreters.
RUN = (FULL, Target("3.11", "amd64"), Target("3.13", "amd64"))
#: Compiled and inspected: no carrier of an arm64 interpreter and no 32-bit Wine is at hand.
COMPILED = (Target("3.11", "win32"), Target("3.11", "arm64"))
