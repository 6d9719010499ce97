"""Completion by the shells themselves, through argcomplete."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli_process import HANG_GUARD, environment
from tracing import untraced

pytest.importorskip("argcomplete", reason="needs argcomplete: pip install netsession[cli]")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")

FOLDER = Path(sys.executable).parent  # of the interpreter's own netsession

BASH = """
eval "$(register-python-argcomplete netsession)"
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMP_WORDS=($1)
[[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
complete -p netsession >/dev/null || exit 1
_python_argcomplete netsession "${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = """
register-python-argcomplete --shell fish netsession | source
complete -C "$argv[1]"
"""
SHELLS = {"bash": ["bash", "--norc", "-c", BASH, "bash"], "fish": ["fish", "-c", FISH]}

CASES = [
    ("netsession ", {"list", "show", "watch", "delete", "--help", "--version"}),
    ("netsession sh", {"show"}),
    ("netsession list --pass", {"--password-file"}),
    ("netsession delete fs01 --ver", {"--verify", "--verbose"}),
    ("netsession list fs01 --format js", {"json", "jsonl"}),
    ("netsession show fs01 WS17 alice --format ", {"table", "json", "jsonl", "csv"}),
    ("netsession list --level 1", {"1", "10"}),
    ("netsession list fs01 fs02 --fail", {"--fail-fast"}),
    ("netsession list --serv", {"--servers-from"}),
]


@pytest.mark.parametrize(("typed", "offered"), CASES)
@pytest.mark.parametrize("shell", SHELLS)
def test_what_a_shell_offers(shell: str, typed: str, offered: set[str], tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    if (
        not (FOLDER / "netsession").exists()
        or not (FOLDER / "register-python-argcomplete").exists()
    ):
        pytest.skip("needs netsession and register-python-argcomplete installed")
    done = subprocess.run(
        [*SHELLS[shell], typed],
        env=environment(PATH=f"{FOLDER}{os.pathsep}{os.environ['PATH']}", HOME=str(tmp_path)),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANG_GUARD,
        check=True,
    )
    lines = [line.partition("\t")[0].strip() for line in done.stdout.splitlines()]
    assert set(filter(None, lines)) == offered, done


@untraced
def test_it_costs_nothing_where_nothing_is_completed() -> None:
    code = (
        "import sys; sys.argv = ['netsession', 'list', '--demo', '1'];"
        "from netsession.cli import main; main();"
        "print({'argcomplete', 'rich', 'logging', 'socket', 'smbprotocol', 'shutil', 'typing',"
        "'json', 'csv', 'getpass'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "set()"


def test_without_argcomplete_a_shell_is_offered_nothing() -> None:
    code = (
        "import os, sys; sys.modules['argcomplete'] = None; os.environ['_ARGCOMPLETE'] = '1';"
        "sys.argv = ['netsession', 'list']; from netsession.cli import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")
