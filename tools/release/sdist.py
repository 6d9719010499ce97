"""The sdist, the same bytes from the same commit.

    python tools/release/sdist.py [FOLDER]

setuptools makes it; what it took from this machine (times, owners, modes, the order of a folder) is
then replaced.  Times become SOURCE_DATE_EPOCH, without it the commit's.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: What setuptools adds, and would list were it there before.
_OF_AN_SDIST = ("PKG-INFO", "setup.cfg")


def epoch() -> int:
    """SOURCE_DATE_EPOCH, or when this commit was made."""
    told = os.environ.get("SOURCE_DATE_EPOCH")
    if told:
        return int(told)
    if _is_clone():
        return int(_git("log", "-1", "--format=%ct"))
    return int((ROOT / "pyproject.toml").stat().st_mtime)


def _is_clone() -> bool:
    return (ROOT / ".git").exists()


def _git(*arguments: str) -> str:
    # In a container the clone may be another user's.
    command = ["git", "-C", str(ROOT), "-c", f"safe.directory={ROOT}", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def build(output: Path) -> Path:
    """Make the sdist of what git has committed or staged; its path in `output`."""
    with tempfile.TemporaryDirectory(prefix="netsession-sdist-") as scratch:
        source, built = Path(scratch, "source"), Path(scratch, "built")
        _export(source)
        command = [sys.executable, "-m", "build", "--sdist", "--no-isolation"]
        command += ["--outdir", str(built), str(source)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"no sdist:\n{done.stdout}{done.stderr}")
        (made,) = built.glob("*.tar.gz")
        output.mkdir(parents=True, exist_ok=True)
        return _normalized(made, output / made.name, epoch())


def unpack(sdist: Path, folder: Path) -> Path:
    """The folder of an sdist's files, below `folder`."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / sdist.name.removesuffix(".tar.gz")


def _export(folder: Path) -> None:
    """The files that git knows, as they are now: nothing else of a working copy is published."""
    if not _is_clone():  # an unpacked archive: all but what builds and tests leave
        left = [line.strip("/") for line in (ROOT / ".gitignore").read_text().split()]
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*left, *_OF_AN_SDIST))
        return
    for name in filter(None, _git("ls-files", "-z").split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)


def _normalized(made: Path, output: Path, when: int) -> Path:
    plain = io.BytesIO()
    with tarfile.open(made) as old, tarfile.open(fileobj=plain, mode="w") as new:
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime, member.pax_headers = when, {}
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    with output.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=when) as packed:
        packed.write(plain.getvalue())
    return output


if __name__ == "__main__":
    print(build(Path(*sys.argv[1:2] or ["dist"])))
