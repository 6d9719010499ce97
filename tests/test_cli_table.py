"""Tables: in proportion to the reply, fitted to the terminal, harmless."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from cli_process import Result, on_terminal, run
from netsession.cli.text import visible
from table_replies import CASES, LONG, replies, size

pytest.importorskip("rich")

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")

# Bytes of output for a byte of reply, and what a table costs beside its rows.
MOST = 10
BESIDE = 4000

# Every session is shown, also by delete, whatever it was asked for.
SERVES = f"""
from netsession import DeletePlan
sys.path.insert(0, {str(Path(__file__).parent)!r})
from table_replies import replies
server = simulated_server(replies({{!r}}))
server.sessions = lambda **options: SimulatedServer.sessions(server)
server.plan_delete = lambda **options: DeletePlan(None, "u", [(None, "u")], list(server.sessions()))
"""
ASKS = [("list", "--demo"), ("delete", "--demo", "--dry-run", "--user", "u")]


def lines(result: Result) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", result.text).splitlines()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("arguments", ASKS)
def test_output_is_in_proportion_to_the_reply(case: str, arguments: tuple[str, ...]) -> None:
    sessions = replies(case)
    result = run(*arguments, setup=SERVES.format(case))
    assert result.code == 0
    assert len(result.out) <= MOST * size(sessions) + BESIDE
    assert len(result.text.splitlines()) == len(sessions) + 1


@posix
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("arguments", ASKS)
@pytest.mark.parametrize("width", [30, 80, 400])
def test_so_is_that_on_a_terminal(case: str, arguments: tuple[str, ...], width: int) -> None:
    from netsession.cli.cells import cell_width

    result = on_terminal(*arguments, setup=SERVES.format(case), env={"COLUMNS": str(width)})
    assert result.code == 0
    assert len(result.out) <= MOST * size(replies(case)) + BESIDE
    table = [line for line in lines(result) if not line.startswith("netsession: ")]
    assert max(map(cell_width, table)) <= width


def test_twice_the_reply_is_twice_the_output() -> None:
    """It was four times, while the longest name was the width of all."""
    sizes = []
    for count in (1000, 2000):
        setup = (
            f"server = simulated_server([{{'user_name': 'x' * {count} * 20}}]"
            f" + [{{'user_name': 'u'}}] * {count})"
        )
        sizes.append(len(run("list", "--demo", setup=setup).out))
    assert sizes[1] <= 2 * sizes[0]


def test_nothing_is_kept_of_the_pages_that_were_shown() -> None:
    """Records that are alive when a page is asked for: those of the page before, at most."""
    setup = """
import weakref
from netsession._simulator import Simulator
inner = SimulatedServer(Simulator(20000, 1000))
class Seen(list):
    pass
alive, most = weakref.WeakSet(), 0
class Query:
    level, _seen, _filter = 502, 20000, None
    def pages(self):
        global most
        for page in SimulatedServer.sessions(inner).pages():
            most = max(most, len(alive))
            part = Part(page)
            alive.add(part)
            yield part
            del part
class Part:
    def __init__(self, page): self.page = page
    def __iter__(self): return iter(self.page)
    def __len__(self): return len(self.page)
server = inner
server.sessions = lambda **options: Query()
import atexit
atexit.register(lambda: print("MOST", most, file=sys.stderr))
"""
    result = run("list", "--demo", setup=setup)
    assert result.code == 0
    assert int(result.err.rpartition("MOST ")[2]) <= 2


def test_a_name_longer_than_a_line_is_cut_in_tables_and_whole_elsewhere() -> None:
    setup = SERVES.format("one long name")
    table = run("list", "--demo", setup=setup).text
    (line,) = [line for line in table.splitlines() if "xxx" in line]
    assert "x" * 100 in line
    assert "…" in line
    assert len(line) < 400
    for name in ("json", "jsonl", "csv"):
        assert "x" * LONG in run("list", "--demo", "--format", name, setup=setup).text


def test_a_line_is_measured_in_cells() -> None:
    from netsession.cli.cells import cell_width

    for name in ("\u4e2d" * 200, "\x1b" * 200, "e\u0301" * 100):
        setup = f"server = simulated_server([{{'user_name': {name!r}, 'client_type': 'end'}}])"
        row = run("list", "--demo", "--level", "2", setup=setup).text.splitlines()[1]
        assert cell_width(row) <= 255 + 60
        assert ("…" in row) == (name[0] != "e")


def test_delete_shows_every_legal_name_whole_and_says_how_long_others_are() -> None:
    legal, longer = "n" * 1022 + "1", "n" * 1023 + "1"
    setup = (
        f"server = simulated_server([{{'client_name': {legal!r}, 'user_name': 'u'}},"
        f" {{'client_name': {longer!r}, 'user_name': 'u'}}])"
    )
    arguments = ("delete", "--demo", "--dry-run", "--user", "u")
    for table in (run(*arguments, setup=setup).text, "".join(_names(arguments, setup))):
        assert legal in table
        assert "… (1,024 characters)" in table


def _names(arguments: tuple[str, ...], setup: str) -> list[str]:
    if sys.platform == "win32":
        return [run(*arguments, setup=setup).text]
    result = on_terminal(*arguments, setup=setup, env={"COLUMNS": "1100"})
    # Folded at the column's end: put together again.
    return [line.split("  ")[0] for line in lines(result)]


# --- on a terminal -------------------------------------------------------------------------------


@posix
def test_a_long_list_fits_a_terminal_as_a_short_one_does() -> None:
    for count in ("8", "3000"):
        shown = lines(on_terminal("list", "--demo", count, env={"COLUMNS": "80"}))
        table = [line for line in shown if not line.startswith("netsession: ")]
        assert len(table) <= int(count) + 4  # headings and rules; no row takes two lines
        assert max(map(len, table)) <= 80


@posix
def test_columns_that_are_empty_are_left_out_on_a_terminal() -> None:
    setup = "server = simulated_server([{'client_name': 'WS', 'user_name': 'me'}] * 2)"
    shown = lines(on_terminal("list", "--demo", setup=setup))
    (heading,) = [line for line in shown if line.startswith("CLIENT")]
    assert heading.split() == ["CLIENT", "USER", "OPENS", "ACTIVE", "IDLE"]
    # Whoever reads a pipe gets all of them.
    assert "TRANSPORT" in run("list", "--demo", setup=setup).text


@posix
def test_a_column_that_is_needed_later_brings_a_new_heading() -> None:
    setup = """
server = simulated_server(
    [{'client_name': 'WS', 'user_name': 'me'}] * 5
    + [{'client_name': 'WS', 'user_name': 'me', 'client_type': 'late'}] * 5, page_entries=5)
"""
    shown = lines(on_terminal("list", "--demo", setup=setup))
    headings = [line.split() for line in shown if line.startswith("CLIENT")]
    assert [len(heading) for heading in headings] == [5, 6]
    assert sum(line.endswith(" late") for line in shown) == 5


@posix
def test_a_server_cannot_have_headings_repeated() -> None:
    setup = """
server = simulated_server(
    [{'client_name': 'WS', ('client_type', 'transport')[i % 2]: 'x'} for i in range(100)],
    page_entries=1)
"""
    shown = lines(on_terminal("list", "--demo", setup=setup))
    assert sum(line.startswith("CLIENT") for line in shown) == 2


@posix
@pytest.mark.parametrize("width", [20, 40, 55, 60, 79])
def test_narrow_terminals_stay_readable(width: int) -> None:
    """No line is longer than the terminal, and names are whole or folded, never cut."""
    setup = """
server = simulated_server([
    {'client_name': '10.11.12.13', 'user_name': 'alexandrina.longname', 'num_opens': 7,
     'active_time': 90000, 'idle_time': 7, 'user_flags': 1, 'transport': 'Device'}] * 3)
"""
    shown = lines(on_terminal("list", "--demo", setup=setup, env={"COLUMNS": str(width)}))
    table = [line for line in shown if not line.startswith("netsession: ")]
    assert max(map(len, table)) <= width
    text = "".join(table).replace(" ", "")
    assert "alexandri" in text
    assert "…" not in "".join(line for line in table if "alex" in line).split("alex")[0]
    if width < 50:
        assert sum(line.startswith("CLIENT ") for line in table) == 3  # a card each


@posix
def test_what_an_ascii_terminal_gets_is_measured_as_it_is_printed() -> None:
    setup = """
server = simulated_server([
    {'client_name': 'WS1', 'user_name': 'zo\\xeb', 'transport': 'x' * 500, 'num_opens': 1},
    {'client_name': 'WS2', 'user_name': 'al', 'transport': 'y', 'num_opens': 1}])
"""
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "COLUMNS": "60"}
    shown = lines(on_terminal("list", "--demo", setup=setup, env=ascii_only))
    heading, rule, first, second = [x for x in shown if not x.startswith("netsession: ")]
    assert max(map(len, shown[1:5])) <= 60
    assert set(rule) == {"-"}
    assert "zo\\xeb" in first
    assert first.endswith("...")
    end = heading.index("OPENS") + len("OPENS")
    assert first[:end].endswith(" 1")
    assert second[:end].endswith(" 1")


@posix
def test_wide_names_are_aligned() -> None:
    from netsession.cli.cells import cell_width

    setup = """
server = simulated_server([
    {'client_name': 'WS', 'user_name': '\\u4e2d\\u6587', 'num_opens': 1},
    {'client_name': 'WS', 'user_name': 'e\\u0301a', 'num_opens': 1},
    {'client_name': 'WS', 'user_name': '\\u0645\\u06cc\\u200c\\u062e', 'num_opens': 1}])
"""
    for shown in (run("list", "--demo", setup=setup).text.splitlines(),
                  lines(on_terminal("list", "--demo", setup=setup))):  # fmt: skip
        found = [line for line in shown if line.startswith("WS")]
        assert len({cell_width(line[: line.index(" 1 ")]) for line in found}) == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),  # Persian: non-joiner
        ("\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"),  # Hindi: joiner after a mark
        ("al\u200cice", "al\\u200cice"),  # not how Latin is written
        ("\u200c\u0645", "\\u200c\u0645"),
        ("\u0645\u200c", "\u0645\\u200c"),
        ("\u0645\u200c\u200c\u062e", "\u0645\\u200c\\u200c\u062e"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\\u200d\U0001f469"),  # no letters: width varies
    ],
)
def test_joiners_stay_between_letters(name: str, shown: str) -> None:
    assert visible(name) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("alice\ufe0f", "alice\\ufe0f"),
        ("\u00e9\ufe0f", "\u00e9\\ufe0f"),
        ("\u845b\U000e0100\u57ce", "\u845b\U000e0100\u57ce"),  # a form of that character
        ("\u2764\ufe0f", "\u2764\ufe0f"),
        ("\ufe0f", "\\ufe0f"),
        ("al\u034fice", "al\\u034fice"),
        ("\u3164", "\\u3164"),
        ("\u1820\u180e", "\u1820\\u180e"),
        ("ali\u2800ce", "ali\\u2800ce"),
        ("alice ", "alice\\x20"),
        ("  al ice", "\\x20\\x20al ice"),
        (" ", "\\x20"),
        ("", ""),
    ],
)
def test_what_shows_nothing_is_escaped(name: str, shown: str) -> None:
    """So that it does not look like another name."""
    assert visible(name) == shown


def test_what_python_prints_and_no_terminal_shows_is_escaped() -> None:
    """All that Unicode 15 ignores by default where nothing is known of it, of what is printable."""
    ignored = (
        *("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0", "\u180b\u180c\u180d\u180f"),
        *(map(chr, range(0xFE00, 0xFE10)), map(chr, range(0xE0100, 0xE01F0))),
    )
    assert not [char for group in ignored for char in group if visible(f"a{char}") == f"a{char}"]


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("\u4e2d\u6587\u4e2d", 6, "\u4e2d\u6587\u4e2d"),
        ("\u4e2d\u6587\u4e2d", 5, "\u4e2d\u6587…"),
        ("\u4e2d\u6587\u4e2d", 4, "\u4e2d…"),
        ("e\u0301" * 3, 3, "e\u0301" * 3),
        ("e\u0301" * 4, 3, "e\u0301" * 2 + "…"),
        ("abc", 1, "…"),
        ("", 0, ""),
    ],
)
def test_cutting(text: str, width: int, expected: str) -> None:
    from netsession.cli.cells import cut

    assert cut(text, width, "…") == expected


@pytest.mark.parametrize("text", ["", "a" * 10, "\u4e2d" * 7, "a\u0301" * 9, "\u0301" * 50])
@pytest.mark.parametrize("width", [1, 2, 3, 8])
def test_folding_loses_nothing(text: str, width: int) -> None:
    from netsession.cli.cells import cell_width, folded

    pieces = folded(text, width)
    assert "".join(pieces) == text
    assert all(cell_width(piece) <= max(width, 2) for piece in pieces)
