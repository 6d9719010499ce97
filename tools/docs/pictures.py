"""Pictures of the command at work, for README and guide. Run by generate.py.

What is asked is simulated: the servers of the documents' examples (tests/doc_stage.py). The command
itself draws; rich makes SVG of it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from rich import _export_format
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import doc_stage
from netsession.cli.live import LiveTable
from netsession.cli.sink import Sink
from netsession.cli.watch import News
from netsession.testing import simulated_server

_WIDTH = 88
_TERMINAL = {"COLUMNS": str(_WIDTH), "TERM": "xterm-256color", "NETSESSION_PASSWORD": "simulated"}
# rich's, without the fonts that it would have browsers load from elsewhere.
_FORMAT = re.sub(r" *@font-face \{\{.*?\}\}\n", "", _export_format.CONSOLE_SVG_FORMAT, flags=re.S)


def _listed() -> str:
    return _of_command("list fs01 --auth-user 'CORP\\me'", "one server")


def _scanned() -> str:
    return _of_command(
        "list fs01 fs02 fs03 fs04 fs05 --columns server,client,user,opens,active,idle --sort -idle",
        "many servers",
    )


def _of_command(line: str, title: str) -> str:
    import shlex

    _, shown = doc_stage.command(shlex.split(line))
    return _svg(Text.from_ansi(f"$ netsession {line}\n{shown}".rstrip()), title)


def _watched() -> str:
    """The live table, some lists after the first."""
    server = simulated_server(map(doc_stage.session, doc_stage.SERVERS["fs01"]), name="fs01")
    watch = server.watch()
    table = LiveTable(Sink(doc_stage.Screen(), "a picture"), ["fs01"], every=5.0)
    for happens in (
        lambda: None,
        lambda: server.connect_session("WS21", "carol", num_opens=4, transport=doc_stage.TCP),
        lambda: server.change_session("\\\\WS17", "alice", num_opens=3),
        lambda: server.end_session("\\\\WS17", "bob"),
    ):
        happens()
        board = table._boards["fs01"]
        board.take(News("fs01", watch.poll(), watch))
        board.at = datetime(2026, 11, 30, 9, 15, 5)
        server.advance(5)
    text = Text("$ netsession watch fs01\n")
    for line, style in table.lines(_WIDTH, 25):
        text.append(line + "\n", style or None)
    text.rstrip()
    return _svg(text, "watching a server")


def _svg(text: Text, title: str) -> str:
    console = Console(
        record=True, width=_WIDTH, file=open(os.devnull, "w"), color_system="256",  # noqa: SIM115
        force_terminal=True, highlight=False,
    )  # fmt: skip
    console.print(text)
    made = console.export_svg(
        title=f"netsession: {title} (simulated)",
        theme=DIMMED_MONOKAI,
        code_format=_FORMAT,
        unique_id="picture",
    )
    return re.sub(r"[ \t]+$", "", made, flags=re.MULTILINE) + "\n"


def _on_stage(picture: Callable[[], str]) -> Callable[[], str]:
    def drawn() -> str:
        os.environ.update(_TERMINAL)
        for name in ("NO_COLOR", "COLORTERM", "FORCE_COLOR"):
            os.environ.pop(name, None)
        doc_stage.simulate()
        return picture()

    return drawn


ALL: dict[str, Callable[[], str]] = {
    "watch": _watched,  # before the stage is set, where watches are short
    "list": _on_stage(_listed),
    "scan": _on_stage(_scanned),
}
