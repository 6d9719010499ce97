"""Is a folder of an sdist and wheels fit to be published?

    python tools/release/check_dist.py [--tag v1.2.3] [--complete] FOLDER

With --tag the version must be the tag's, with --complete every wheel that README.md lists be there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import wheel_list

#: Bytes of a wheel, and of its extension modules in it. Measured on x86-64: 330,000 and 73,000
#: (609,000 and 353,000 with debug information). The largest are zig's for win32, 393,000 and
#: 137,000: it puts MinGW's C library into each module.
LARGEST_WHEEL = 420_000
LARGEST_EXTENSIONS = 150_000

_EXTENSIONS = (".so", ".pyd")
#: Names of sections in ELF, PE and Mach-O.
_DEBUG_SECTIONS = (b".debug_info", b".symtab", b"__debug_info")


class UnfitError(Exception):
    """What must not be published; the text says why."""


@dataclass(frozen=True)
class Sizes:
    """Bytes of a wheel: of the file, and of the extension modules as they are packed in it."""

    wheel: int
    extensions: int


def sizes(wheel: Path) -> Sizes:
    """Measured and compared with what is allowed; debug information is looked for."""
    extensions = 0
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(_EXTENSIONS):
                extensions += entry.compress_size
                code = archive.read(entry)
                for section in _DEBUG_SECTIONS:
                    _require(section not in code, f"{wheel.name}: {section.decode()} is left")
    size = wheel.stat().st_size
    _require(size <= LARGEST_WHEEL, f"{wheel.name}: {size} bytes, over {LARGEST_WHEEL}")
    _require(
        0 < extensions <= LARGEST_EXTENSIONS,
        f"{wheel.name}: {extensions} bytes of extension modules, over {LARGEST_EXTENSIONS}",
    )
    return Sizes(size, extensions)


def check(folder: Path) -> list[str]:
    """All checks of all files, a line for each that passed.  UnfitError for what fails."""
    wheels = sorted(folder.glob("*.whl"))
    (sdist,) = folder.glob("*.tar.gz")
    _require(bool(wheels), f"no wheel in {folder}")
    largest = max(sizes(wheel).wheel for wheel in wheels)
    told = [f"{len(wheels)} wheels, the largest {largest:,} bytes, none with debug information"]
    _tool("twine", "check", "--strict", sdist, *wheels)
    told.append(f"twine check --strict: {len(wheels) + 1} files passed")
    _tool("check_wheel_contents", *wheels)
    told.append(f"check-wheel-contents: {len(wheels)} wheels OK")
    rating = _tool("pyroma", "-n", "10", sdist)
    _require("Final rating: 10/10" in rating, f"pyroma:\n{rating}")
    told.append("pyroma: 10/10")
    abi3 = [wheel for wheel in wheels if "-abi3-" in wheel.name]
    if abi3:
        _tool("abi3audit", "--strict", *abi3)
        told.append(f"abi3audit: {len(abi3)} wheels OK")
    else:
        told.append("abi3audit: does not apply, no wheel is abi3 (each is for one CPython)")
    return told


def _tool(name: str, *arguments: str | Path) -> str:
    """What a tool printed.  UnfitError if it found something."""
    done = subprocess.run(
        [sys.executable, "-m", name, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    _require(done.returncode == 0, f"{name}:\n{done.stdout}")
    return done.stdout


def _complete(folder: Path) -> None:
    there = {wheel_list.identifier(wheel.name) for wheel in folder.glob("*.whl")}
    listed = wheel_list.listed((wheel_list.ROOT / "README.md").read_text(encoding="utf-8"))
    _require(there == listed, f"missing or too many: {sorted(there ^ listed)}")


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise UnfitError(what)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tag", help="the release's, such as v1.2.3")
    parser.add_argument("--complete", action="store_true", help="every wheel must be there")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    try:
        if options.tag:
            for file in options.folder.iterdir():
                version = file.name.removesuffix(".tar.gz").split("-")[1]
                _require(f"v{version}" == options.tag, f"{file.name} is not {options.tag}")
        if options.complete:
            _complete(options.folder)
        print("\n".join(check(options.folder)))
    except UnfitError as error:
        print(f"not fit: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
