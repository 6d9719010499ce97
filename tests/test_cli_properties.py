"""Whatever is typed, the command ends with one of its exit codes, and says why if it is not 0."""

from __future__ import annotations

import getpass
import io
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hypothesis")
pytest.importorskip("rich")

from hypothesis import given
from hypothesis import strategies as st

import examples
from netsession.cli import run

checked = examples.the_same(300)

# No NUL, which no argument can hold; what bytes that are no UTF-8 become is there.
ANY = st.text(
    st.characters(exclude_characters="\0", exclude_categories=()), max_size=12
) | st.sampled_from(["", "-", "--", "*", "a\x1b[31mb", "\udcff", "zoë", "10.0.0.1", "::1", "@f"])
#: Mostly what may be given, so that most command lines come to something.
NUMBER = st.sampled_from([*("1", "2", "10", "20") * 4, "0", "-1", "4294967296", "nan", "x", ""])
LEVEL = st.sampled_from([*("0", "1", "2", "10", "502") * 3, "3", "-1", ""])
TIME = st.sampled_from([*("0s", "8h", "2d", "90m", "1h30m") * 3, "-1s", "h", "9" * 30 + "d", ""])
COLUMNS = st.sampled_from([*("user", "client", "-idle,user") * 4, "nothing", ",", "", "server"])
FORMAT = st.sampled_from([*("table", "json", "jsonl", "csv") * 3, "xml", ""])
FILE = st.sampled_from(["a.json", "a.csv", "a.txt", "no/where.csv", ".", "", "servers.txt", "-"])

# Of an option the values; None where it has none. What would wait or ask a resolver is left out.
SELECTION: dict[str, Any] = {
    "--client": ANY,
    "--user": ANY,
    "--idle-for": TIME,
    "--active-for": TIME,
    "--no-opens": None,
    "--min-opens": NUMBER,
    "--exclude-machine-accounts": None,
}
SHARED: dict[str, Any] = {
    "--auth-user": ANY,
    "--password-file": FILE,
    "--port": NUMBER,
    "--encrypt": None,
    "--timeout": NUMBER,
    "-q": None,
}
MORE = {"--exclude-self": None, "--level": LEVEL, "--servers-from": FILE, "--jobs": NUMBER}
OPTIONS: dict[str, dict[str, Any]] = {
    "list": {
        **SHARED, **SELECTION, **MORE, "--format": FORMAT, "-o": FILE, "--sort": COLUMNS,
        "--top": NUMBER, "--columns": COLUMNS, "--group-by": COLUMNS, "--page-bytes": NUMBER,
        "--with-server": None, "--errors": FILE, "--fail-fast": None, "--keep-going": None,
    },
    "show": {**SHARED, "--level": LEVEL, "--format": FORMAT},
    "watch": {**SHARED, **SELECTION, **MORE, "--existing": None, "--format": FORMAT},
    "delete": {
        **SHARED, **SELECTION, "--yes": None, "--dry-run": None, "--max": NUMBER, "--verify": None,
        "--servers-from": FILE, "--jobs": NUMBER, "--keep-going": None,
    },
}  # fmt: skip
#: Always there: nothing but a simulator is asked, and watching ends.
ALWAYS = {"watch": ["--count", "1", "--every", "0.01"]}


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    command = draw(st.sampled_from(sorted(OPTIONS)))
    sessions = [*("0", "1", "30", "70") * 4, "-1", "x", "9" * 12]
    words = [["--demo", draw(st.sampled_from(sessions))]]
    words += [ALWAYS.get(command, [])]
    for name in draw(st.lists(st.sampled_from(sorted(OPTIONS[command])), max_size=4)):
        values = OPTIONS[command][name]
        words.append([name] if values is None else [name, draw(values)])
    if command == "show":
        words.append([draw(ANY | st.just("10.0.0.0")), draw(ANY | st.just("alice.0"))])
    if not draw(st.integers(0, 5)):
        odd = ["--help", "--nonsense", "--user", "-x", "@servers.txt"]
        words.append([draw(ANY | st.sampled_from(odd))])
    words = draw(st.permutations(words))
    first = [command] if draw(st.integers(0, 19)) else [draw(ANY)]
    return [*first, *(word for part in words for word in part)]


class Ended:
    """A command that was run in this process: its exit code and what it wrote."""

    def __init__(self, arguments: list[str]) -> None:
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace") for _ in range(2))
        before = sys.stdout, sys.stderr, sys.stdin
        sys.stdout, sys.stderr, sys.stdin = out, err, io.TextIOWrapper(io.BytesIO(b""))
        try:
            self.code: Any = run(arguments)
        except SystemExit as end:  # of --help
            self.code = end.code or 0
        finally:
            sys.stdout, sys.stderr, sys.stdin = before
        for stream in (out, err):
            stream.flush()
        self.out = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
        self.err = err.buffer.getvalue().decode()  # type: ignore[attr-defined]


@pytest.fixture(scope="module", autouse=True)
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of its own, no network, no question that would wait."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "servers.txt").write_text("fs01\n# none\nfs02, x\n\n")

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "nobody is asked")

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(socket, "getaddrinfo", unknown)
        patch.setattr(getpass, "getpass", lambda *_, **__: "x")
        for name in [name for name in os.environ if name.startswith("NETSESSION_")]:
            patch.delenv(name)
        patch.setenv("COLUMNS", "80")
        yield folder


@checked
@given(arguments=command_lines())
def test_any_command_line_ends_as_it_should(arguments: list[str]) -> None:
    ended = Ended(arguments)
    assert ended.code in (0, 1, 2, 3, 4)
    assert "Traceback" not in ended.out + ended.err
    assert "\x1b" not in ended.out + ended.err  # it is no terminal that reads
    lines = ended.err.splitlines()
    assert all(line.startswith(("netsession", " ")) for line in lines)
    if ended.code:
        assert lines or ended.out.startswith("usage:")
