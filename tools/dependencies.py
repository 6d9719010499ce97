"""The oldest dependencies that pyproject.toml allows, and the newest: `make test-dependencies`.

    dependencies.py [oldest] [newest] [-- tests or options for pytest]

Each set has an environment of its own in .cache/dependencies. There the tests with a real server
run, those of what is relied on inside smbprotocol, and those of what uses rich, argcomplete and
pyarrow. This project itself is used as it lies here, built for the Python that runs this.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "dependencies"
SETS = ("oldest", "newest")

#: Of the test group: what the tests below are, and what they are run with.
TESTED = ("pyarrow",)
TOOLS = ("pytest", "pytest-xdist", "pytest-benchmark", "hypothesis")

TESTS = [
    "tests/samba",
    "tests/test_smbprotocol_contract.py",
    "tests/test_smb_replies.py",
    "tests/test_strangers.py",
    "tests/test_credentials.py",
    "tests/test_logon.py",
    "tests/test_wire_memory.py",
    "tests/test_cli_table.py",
    "tests/test_cli_files.py",
    "tests/test_cli_watch.py",
    "tests/test_cli_fleet.py",
    "tests/test_cli_completion.py",
    "tests/test_arrow.py",
    "tests/test_arrow_fleet.py",
    "tests/test_fleet_arrow.py",
]

_BOUND = re.compile(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)")
_VERSIONS = (
    "import importlib.metadata as m, json, re;"
    "print(json.dumps({re.sub('[-_.]+', '-', d.name).lower(): d.version"
    " for d in m.distributions()}))"
)


def bounds() -> tuple[dict[str, str], dict[str, str]]:
    """Name and lower bound of what is tested, and of what tests it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    allowed = dict(_named([*extras["smb"], *extras["cli"]]))
    group = dict(_named(project["dependency-groups"]["test"]))
    return (
        allowed | {name: group[name] for name in TESTED},
        {name: group[name] for name in TOOLS},
    )


def _named(requirements: list[str]) -> Iterator[tuple[str, str]]:
    for requirement in requirements:
        bound = _BOUND.match(requirement)
        if bound is None:
            raise SystemExit(f"pyproject.toml: {requirement} has no lower bound")
        yield bound[1], bound[2]


def environment(name: str) -> Path:
    """The Python of a set's environment, made anew where pyproject.toml asks for another one."""
    tested, tools = bounds()
    exactly = "==" if name == "oldest" else ">="
    wanted = [f"{package}{exactly}{bound}" for package, bound in tested.items()]
    wanted += [f"{package}>={bound}" for package, bound in tools.items()]
    folder = CACHE / name
    note = folder / "requirements.txt"
    asked = "\n".join([sys.version, *wanted])
    if not note.exists() or note.read_text() != asked:
        shutil.rmtree(folder, ignore_errors=True)
        _run(["sh", ROOT / "tools" / "venv.sh", sys.executable, folder])
        pip = [folder / "bin" / "python", "-m", "pip", "-q", "--disable-pip-version-check"]
        _run([*pip, "install", *wanted])
        (site,) = folder.glob("lib/python3*/site-packages")
        (site / "netsession.pth").write_text(f"{ROOT}\n")
        note.write_text(asked)
    return folder / "bin" / "python"


def _run(command: list[str | Path]) -> None:
    if subprocess.run(command).returncode:
        raise SystemExit(f"failed: {' '.join(map(str, command))}")


def versions(python: Path) -> str:
    """What is installed of what is tested, in words."""
    told = subprocess.run([python, "-c", _VERSIONS], capture_output=True, text=True, check=True)
    installed = json.loads(told.stdout)
    return ", ".join(f"{package} {installed[package]}" for package in bounds()[0])


def test(name: str, chosen: list[str]) -> bool:
    """Run the tests with a set and tell what came of it; True if none failed."""
    python = environment(name)
    print(f"{name}: {versions(python)}", flush=True)
    report = CACHE / f"{name}.xml"
    report.unlink(missing_ok=True)
    started = time.monotonic()
    command = [python, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile"]
    command += ["-p", "no:cacheprovider", f"--junitxml={report}", *(chosen or TESTS)]
    status = subprocess.run(command, cwd=ROOT, env=_variables()).returncode
    results = counts(report) if report.exists() else "no results"
    print(f"{name}: {results}, {time.monotonic() - started:.0f} s", flush=True)
    return status == 0


def _variables() -> dict[str, str]:
    """Of this process, without what leads Python elsewhere."""
    return {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}


def counts(report: Path) -> str:
    total = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        for kind in total:
            total[kind] += int(suite.get(kind, 0))
    bad = total["failures"] + total["errors"]
    passed = total["tests"] - bad - total["skipped"]
    return f"{passed} passed, {bad} failed, {total['skipped']} skipped"


def main() -> int:
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    names, chosen = sys.argv[1:at] or list(SETS), sys.argv[at + 1 :]
    if not set(names) <= set(SETS):
        raise SystemExit(f"usage: {Path(__file__).name} [oldest] [newest] [-- pytest's arguments]")
    CACHE.mkdir(parents=True, exist_ok=True)
    failed = [name for name in names if not test(name, chosen)]  # the second set runs all the same
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
