"""Names of servers: from the command line and from files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cli_process import on_terminal, only_line, run, run_here
from netsession.cli.exits import Stop
from netsession.cli.parser import Misuse
from netsession.cli.servers import chosen

pytest.importorskip("rich")

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")

NO_SCAN = "this tool asks servers it is told of; it scans no networks"


def names_in(content: bytes, folder: Path, *named: str, port: int | None = None) -> list[str]:
    file = folder / "servers.txt"
    file.write_bytes(content)
    return [each.name for each in chosen(named, str(file), port)]


@pytest.mark.parametrize(
    "content",
    [
        b"fs01\nfs02\n10.0.0.1\n",
        b"fs01\nfs02\n10.0.0.1",
        b"fs01\r\nfs02\r\n10.0.0.1\r\n",
        b"fs01\rfs02\r10.0.0.1\r",  # as old Macs had it
        b"\n\n# all of them\nfs01\n  \t\nfs02   # the second\n\t10.0.0.1\t#\n#end",
        b"\xef\xbb\xbffs01\r\nfs02\r\n10.0.0.1",
        b"\xef\xbb\xbf# c\r\nfs01\nfs02\n\xef\xbb\xbf10.0.0.1",  # cat a.txt b.txt
        "fs01\r\nfs02\r\n10.0.0.1\r\n".encode("utf-16"),
        "\ufefffs01\nfs02#\n10.0.0.1".encode("utf-16-be"),
        b"fs01\xc2\xa0\nfs02\n10.0.0.1\n",
    ],
)
def test_a_file_has_a_name_a_line(content: bytes, tmp_path: Path) -> None:
    assert names_in(content, tmp_path) == ["fs01", "fs02", "10.0.0.1"]


@pytest.mark.parametrize(
    "same",
    [
        ["fs01", "FS01", "\\\\fs01", "fs01:445", "//Fs01/share", "smb://fs01/x", "fs01."],
        ["fs01:445", "fs01"],
        ["fs01:1445", "\\\\FS01:1445", "smb://fs01:1445"],
        ["10.0.0.1", "\\\\10.0.0.1", "::ffff:10.0.0.1", "[::ffff:a00:1]:445"],
        ["2001:db8::5", "2001:DB8:0::0005", "[2001:db8::5]", "2001-db8--5.ipv6-literal.net"],
        ["fürst", "FÜRST", "xn--frst-0ra"],
    ],
)
def test_what_is_the_same_server_is_asked_once(same: list[str], tmp_path: Path) -> None:
    assert names_in("\n".join(same).encode(), tmp_path) == same[:1]
    assert [each.name for each in chosen(same, None, None)] == same[:1]
    # Named on the command line too: that comes first.
    assert names_in("\n".join([*same, "fs77"]).encode(), tmp_path, same[-1]) == [same[-1], "fs77"]


def test_other_ports_and_names_are_other_servers() -> None:
    names = ["fs01", "fs01:1445", "fs01.corp.example", "10.0.0.1", "strasse", "straße"]
    assert [each.name for each in chosen(names, None, None)] == names


def test_the_port_is_for_names_without_one() -> None:
    asked = chosen(["fs01", "fs02:1445", "fs02", "::1", "\\\\fs03\\data"], None, 2445)
    assert [each.address for each in asked] == [
        "fs01:2445", "fs02:1445", "fs02:2445", "[::1]:2445", "fs03:2445"
    ]  # fmt: skip
    # With it, a name that says it is the same.
    assert len(chosen(["fs01", "fs01:2445"], None, 2445)) == 1
    assert len(chosen(["fs01", "fs01:445"], None, 2445)) == 2


@pytest.mark.parametrize(
    "name",
    ["10.0.0.0/24", "10.0.0.0/255.0.0.0", "2001:db8::/32", "10.0.0.1-20", "10.0.0.1-10.0.0.9",
     "10.0-3.0.1", "10.0.0.*", "fs*", "fs?1", "fs[01-20]", "fs{1..9}", "fs{a,b}", "0/0"],
)  # fmt: skip
def test_networks_ranges_and_patterns_are_refused_with_the_reason(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / "servers.txt"
    file.write_text(f"# first\nfs01\n\n{name}  # all of them\n")
    for arguments in ([name, "fs02"], ["fs01", name], [name]):
        result = run_here("list", *arguments)
        assert result.code == 2
        assert name in only_line(result)
        assert NO_SCAN in only_line(result)
    result = run_here("list", "--servers-from", str(file))
    assert result.code == 2
    assert NO_SCAN in only_line(result)
    assert f"servers.txt, line 4: '{name}'" in only_line(result)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("fs01 fs02", "one server"),
        ("fs01,fs02", "one server"),
        ("fs01:99999", "a port is a number"),
        ("fs01:0", "a port is a number"),
        ("http://fs01", "not 'http'"),
        ("CORP\\fs01", "a path starts with"),
        ("\\\\", "there is no host"),
        ("\x1b[31mfs01", "no server's name"),
        ("x" * 300, "parts have 1 to 63"),
    ],
)
def test_other_lines_that_are_no_names(line: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=says) as caught:
        names_in(f"fs01\n{line}\n".encode(), tmp_path)
    assert ", line 2: " in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_password_beside_a_name_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="line 1") as caught:
        names_in(b"smb://me:Geh3im@fs01/data\n", tmp_path)
    assert "Geh3im" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"# nothing\n\r\n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_a_file_without_names_is_a_usage_error(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="no server's name in"):
        names_in(content, tmp_path)


@pytest.mark.parametrize(
    "content", [b"fs\xff01\n", "fs01\n".encode("utf-16-le"), b"\xff\xfef", b"PK\x03\x04\0\0", b"\0"]
)
def test_a_file_that_is_no_text_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(Stop, match="no text in UTF-8, or in UTF-16") as caught:
        names_in(content, tmp_path)
    assert caught.value.code == 2


@pytest.mark.parametrize("file", ["missing", "", ".", "x\0y"])
def test_a_file_that_cannot_be_read(file: str, tmp_path: Path) -> None:
    path = str(tmp_path / file) if file else ""
    result = run_here("list", "--servers-from", path)
    assert result.code == 2
    assert "servers-from needs" in only_line(result) if not file else "cannot read" in result.err


@posix
def test_a_file_without_end_is_not_read_to_it() -> None:
    result = run("list", "--servers-from", "/dev/zero")
    assert result.code == 2
    assert "too long" in only_line(result)


ASKED = """
from netsession.cli import fleet
from netsession.cli.exits import Stop
def tell(options, connection, asked, *more):
    raise Stop(0, " ".join(each.name for each in asked))
fleet._scan = tell
server = None
"""


def test_names_from_standard_input() -> None:
    result = run("list", "fs09", "--servers-from", "-", setup=ASKED, stdin="# c\r\nfs01\r\nFS09\n")
    assert only_line(result) == "fs09 fs01"
    empty = run("list", "--servers-from", "-", setup=ASKED, stdin="\n")
    assert empty.code == 2
    assert "no server's name in standard input" in only_line(empty)
    bad = run("list", "--servers-from", "-", setup=ASKED, stdin="fs01\n10.0.0.0/8\n")
    assert bad.code == 2
    assert "standard input, line 2: '10.0.0.0/8'" in only_line(bad)


@posix
def test_names_typed_on_a_terminal() -> None:
    """Until Ctrl-D; the terminal is there for the password then."""
    result = on_terminal(
        "list", "--servers-from", "-", setup=ASKED,
        answers={"Names of servers, one a line": "fs01\nfs02 # two\n\x04"},
    )  # fmt: skip
    assert b"netsession: fs01 fs02" in result.out


def test_standard_input_is_for_one_thing() -> None:
    arguments = ("--servers-from", "-", "--password-file", "-", "--auth-user", "me")
    result = run("list", *arguments, setup=ASKED, stdin="fs01\n")
    assert result.code == 2
    assert "--servers-from and --password-file" in only_line(result)


def test_demo_asks_no_servers(tmp_path: Path) -> None:
    for arguments in (["fs01", "fs02"], ["--servers-from", str(tmp_path / "missing")]):
        result = run_here("list", "--demo", *arguments)
        assert result.code == 2
        assert "--demo asks no server" in only_line(result)


@posix
@pytest.mark.parametrize("content", ["fs01\n10.0.0.0/24\n", "# nothing\n"])
def test_nobody_types_a_password_for_names_that_are_none(content: str, tmp_path: Path) -> None:
    file = tmp_path / "servers.txt"
    file.write_text(content)
    result = on_terminal("list", "--servers-from", str(file), "--auth-user", "me")
    assert result.code == 2
    assert "Password of" not in result.text
