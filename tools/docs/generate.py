"""Writes what of docs/ is made from the code (make docs-pages). A test wants it to be current.

python tools/docs/generate.py [FOLDER]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import cli_page
import errors_page
import pictures

DOCS = Path(__file__).parents[2] / "docs"

#: What is written, by its path in docs/.
MADE: dict[str, Callable[[], str]] = {
    "cli-reference.md": cli_page.page,
    "errors.md": errors_page.page,
    **{f"pictures/{name}.svg": picture for name, picture in pictures.ALL.items()},
}


def main() -> None:
    folder = Path(sys.argv[1]) if sys.argv[1:] else DOCS
    for path, made in MADE.items():
        file = folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(made(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
