"""The links of the documents: what they lead to within the repository has to be there.

python tools/docs/links.py              those within the repository
python tools/docs/links.py --external   those to other sites too, which needs a network
"""

from __future__ import annotations

import re
import sys
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCES = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(
    r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)|^\[[^\]]+\]: (\S+)|(?:src|href)=\"([^\"]+)\"", re.M
)
_HEADING = re.compile(r"^#+ +(.+?) *#*$", re.MULTILINE)
_ID = re.compile(r"(?:id=\"|\{ ?#)([\w.-]+)")
_SOURCE: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Source"]
_SITE = f"{_SOURCE}/blob/main/"
_RAW = f"{_SOURCE.replace('github.com', 'raw.githubusercontent.com')}/main/"
_PATIENCE = 20  # seconds


def pages() -> list[Path]:
    """All documents."""
    names = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
    roots = [ROOT / name for name in names if (ROOT / name).exists()]
    return [*roots, *sorted((ROOT / "docs").rglob("*.md"))]


def links(page: Path) -> Iterator[str]:
    """Where a page's links lead, code left out."""
    text = _CODE.sub("", _FENCES.sub("", page.read_text(encoding="utf-8")))
    for found in _LINK.finditer(text):
        yield next(filter(None, found.groups()))


def wrong(page: Path) -> list[str]:
    """Those of a page's links within the repository that lead nowhere."""
    return [link for link in links(page) if not _is_right(page, link)]


def external() -> list[str]:
    """All that lead elsewhere, once each."""
    every = {link for page in pages() for link in links(page) if _is_external(link)}
    return sorted(link for link in every if _within(link) is None)


def _is_external(link: str) -> bool:
    return re.match(r"[a-z]+:", link) is not None


def _within(link: str) -> str | None:
    """The path of a link to this repository at its site; such files are looked for here."""
    for site in (_SITE, _RAW):
        if link.startswith(site):
            return link.removeprefix(site)
    return None


def _is_right(page: Path, link: str) -> bool:
    within = _within(link)
    if _is_external(link) and within is None:
        return True
    path, _, anchor = (within or link).partition("#")
    base = ROOT if within else page.parent
    target = (base / urllib.parse.unquote(path)).resolve() if path else page.resolve()
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or target.suffix != ".md" or anchor in _anchors(target)


@cache
def _anchors(page: Path) -> set[str]:
    """Those that GitHub and the site have, both."""
    text = _FENCES.sub("", page.read_text(encoding="utf-8"))
    headings = [re.sub(r"[`*]|\]\([^)]*\)|\[", "", found) for found in _HEADING.findall(text)]
    github = _numbered([_plain(each).replace(" ", "-") for each in headings], "-")
    site = _numbered([re.sub(r"[-\s]+", "-", _plain(each)) for each in headings], "_")
    return (github & site) | set(_ID.findall(text))


def _plain(heading: str) -> str:
    return re.sub(r"[^\w\s-]", "", heading).strip().lower()


def _numbered(names: list[str], mark: str) -> set[str]:
    """With those that come again, as both number them."""
    seen: dict[str, int] = {}
    found = set()
    for name in names:
        count = seen[name] = seen.get(name, -1) + 1
        found.add(f"{name}{mark}{count}" if count else name)
    return found


def _answers(link: str) -> str | None:
    """None where somebody answers well; else what is wrong."""
    request = urllib.request.Request(link, headers={"User-Agent": "Mozilla/5.0 (netsession docs)"})
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE):
            return None
    except urllib.error.HTTPError as error:
        return None if error.code in (403, 405, 429) else str(error)  # it is there, for people
    except OSError as error:
        return str(error)


def main() -> int:
    found = [f"{page.relative_to(ROOT)}: {link}" for page in pages() for link in wrong(page)]
    if "--external" in sys.argv[1:]:
        for link in external():
            trouble = _answers(link)
            print(f"{'ok  ' if trouble is None else 'FAIL'} {link} {trouble or ''}".rstrip())
            found += [] if trouble is None else [f"{link}: {trouble}"]
    for each in found:
        print(each, file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
