"""What the site has that its pages, as they are read in the repository, have not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

_ROOT = Path(__file__).parents[2]
_CONTRIBUTING = "contributing.md"  # in the root, where people and GitHub look for it
_OUTSIDE = re.compile(r"(\]\()\.\./([^)\s]+)\)")
_FROM_THE_ROOT = re.compile(r"(\]\()(?:docs/|(?![a-z]+:|#|/))([^)\s]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """A page for those who contribute."""
    page = _ROOT / "CONTRIBUTING.md"
    if not page.exists():
        return files
    text = page.read_text(encoding="utf-8")
    files.append(File.generated(config, _CONTRIBUTING, content=_FROM_THE_ROOT.sub(_in_docs, text)))
    return files


def _in_docs(link: re.Match[str]) -> str:
    """A link of a page in the root, as pages in docs/ have it."""
    return f"{link[1]}{'' if link[0].startswith('](docs/') else '../'}{link[2]})"


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links to files beside docs/ lead to the repository."""

    def of_site(link: re.Match[str]) -> str:
        if link[2] == "CONTRIBUTING.md":
            return f"{link[1]}{_CONTRIBUTING})"
        return f"{link[1]}{config.repo_url.rstrip('/')}/blob/main/{link[2]})"

    return _OUTSIDE.sub(of_site, markdown)
