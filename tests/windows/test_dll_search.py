r"""netapi32.dll is System32's, whatever lies where Windows might look for a DLL.

A planted one is a copy of the stand-in: it would work, and count the calls that it gets. pywin32,
whose module has netapi32.dll in its import table, shows that planting works at all.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import netsession

pytestmark = pytest.mark.usefixtures("stand_in_library")

PROGRAM = Path(__file__).with_name("asked_library.py")
SYSTEM32 = Path(os.environ.get("SYSTEMROOT", "")) / "System32"
LIBRARY = "netapi32.dll"
INTERPRETER = ("python.exe", f"python3{sys.version_info[1]}.dll", "vcruntime140*.dll")


@dataclass
class Asked:
    """A process that asks for the sessions, and what it finds there."""

    python: str = sys.executable
    folder: Path = PROGRAM.parent
    environment: dict[str, str] = field(default_factory=dict)

    def by(self, module: str, *arguments: Path) -> tuple[dict[Path, int], list[Path]]:
        """Calls by library, and all modules that were loaded."""
        done = subprocess.run(
            [self.python, str(PROGRAM), module, *map(str, arguments)],
            cwd=self.folder,
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        found = json.loads(done.stdout)
        calls = {Path(path).resolve(): number for path, number in found["calls"].items()}
        return calls, [Path(path) for path in found["loaded"]]


def assert_system32_only(calls: dict[Path, int]) -> None:
    asked = [path for path, number in calls.items() if number]
    assert [os.path.normcase(path) for path in asked] == [os.path.normcase(SYSTEM32 / LIBRARY)]


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A folder with a netapi32.dll."""
    shutil.copy(SYSTEM32 / LIBRARY, tmp_path / LIBRARY)
    return tmp_path.resolve()


def test_in_the_current_folder_and_on_the_path_no_dll_is_looked_for(planted: Path) -> None:
    """Nor is any other that is loaded: files of their names there are no DLLs at all."""
    calls, loaded = Asked().by("netsession")
    assert_system32_only(calls)
    names = {path.name for path in loaded if path.suffix.lower() == ".dll"} - {LIBRARY}
    assert {"kernel32.dll", "ntdll.dll"} <= {name.lower() for name in names}
    for name in names:
        (planted / name).write_bytes(b"no DLL")
    path = os.pathsep.join([str(planted), os.environ.get("PATH", "")])
    calls, again = Asked(folder=planted, environment={"PATH": path}).by("netsession")
    assert_system32_only(calls)
    assert again == loaded


def test_in_a_folder_that_a_package_has_added(planted: Path) -> None:
    calls, _ = Asked().by("netsession", planted)
    assert_system32_only(calls)


def test_loaded_already_from_elsewhere(planted: Path) -> None:
    calls, _ = Asked().by("netsession", planted / LIBRARY)
    assert_system32_only(calls)
    assert calls[planted / LIBRARY] == 0  # it is there, and nobody asked it


def test_beside_the_module(planted: Path) -> None:
    package = planted / "netsession"
    shutil.copytree(Path(netsession.__file__).parent, package)
    (planted / LIBRARY).rename(package / LIBRARY)
    asked = Asked(environment={"PYTHONPATH": str(planted)})
    calls, loaded = asked.by("netsession")
    assert any(path.parent == package for path in loaded)
    assert_system32_only(calls)


@pytest.fixture
def program(planted: Path) -> Asked:
    """The interpreter in the planted folder."""
    home = Path(sys.base_prefix)
    for pattern in INTERPRETER:
        for part in home.glob(pattern):
            shutil.copy(part, planted)
    return Asked(str(planted / "python.exe"), environment={"PYTHONHOME": str(home)})


def test_beside_the_program(program: Asked) -> None:
    calls, _ = program.by("netsession")
    assert_system32_only(calls)


def test_what_is_planted_works_where_it_is_looked_for(program: Asked, planted: Path) -> None:
    """The control: beside the program Windows does look for what is in an import table."""
    pytest.importorskip("win32net", reason="pywin32 is not installed here")
    calls, _ = program.by("win32net")
    assert calls == {planted / LIBRARY: 1}
