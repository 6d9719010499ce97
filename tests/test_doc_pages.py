"""What of docs/ is made from the code is current, and the reference has every public name."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import public_names
from netsession import _advice, _statuses, errors
from netsession.srvsvc.ntstatuses import NTSTATUSES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GENERATE = ROOT / "tools" / "docs" / "generate.py"
_MODULES = public_names.modules()

pytestmark = pytest.mark.skipif(not GENERATE.exists(), reason="needs the source tree")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that it is made into."""
    pytest.importorskip("rich")
    folder = tmp_path_factory.mktemp("docs")
    done = subprocess.run(
        [sys.executable, str(GENERATE), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(list(folder.rglob("*.*"))) == 5
    return folder


@pytest.mark.parametrize("page", ["errors.md", "cli-reference.md"])
def test_pages_are_current(made: Path, page: str) -> None:
    now, then = ((folder / page).read_text(encoding="utf-8") for folder in (made, DOCS))
    assert then == now, f"docs/{page} is old: make docs-pages"


def test_every_status_is_told_of() -> None:
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    told = {
        int(number, 0) for number in re.findall(r"(?:^\| |\()(0x[0-9A-F]{8}|\d+)[ )]", page, re.M)
    }
    known = {*_statuses.SYMBOLS, *errors._CLASS, *_advice._GENERAL, *NTSTATUSES} - {0}
    assert len(known) > 750
    assert not known - told


@pytest.mark.parametrize("picture", ["list", "scan", "watch"])
def test_pictures_are_current(made: Path, picture: str) -> None:
    """What stands in them: how it is drawn is rich's, which has versions."""
    name = f"pictures/{picture}.svg"
    now, then = (_text((folder / name).read_text(encoding="utf-8")) for folder in (made, DOCS))
    assert {"netsession", "alice"} <= set(re.findall(r"\w+", " ".join(now)))
    assert then == now, f"docs/{name} is old: make docs-pages"


def _text(picture: str) -> list[str]:
    return [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)", picture)]


def test_the_reference_has_every_public_name() -> None:
    told = set(re.findall(r"^::: (\S+)$", (DOCS / "reference.md").read_text("utf-8"), re.MULTILINE))
    objects = {id(_named(name)) for name in told if not name.startswith("_")}
    public = {
        f"{module}.{name}": getattr(import_module(module), name)
        for module in _MODULES
        for name in import_module(module).__all__
    }
    assert len(public) > 70
    assert not {name for name, value in public.items() if id(value) not in objects}
    assert not {name for name in told if not name.startswith("_")} - {
        *public,
        "netsession.win32net",
    }


def _named(name: str) -> object:
    if name in _MODULES:
        return import_module(name)
    module, _, last = name.rpartition(".")
    return getattr(import_module(module), last)


def test_every_public_name_has_a_docstring() -> None:
    silent = []
    for module in _MODULES:
        for name in import_module(module).__all__:
            value = getattr(import_module(module), name)
            if name != "__version__" and not getattr(value, "__doc__", None):
                silent.append(f"{module}.{name}")
    assert not silent
