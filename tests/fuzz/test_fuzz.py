"""The C files that need no Python, mutated and hammered under gcc's sanitizers.  ``make fuzz`` is
coverage-guided, and all targets; ``test_fuzz_corpus.py`` runs again what is kept of it.

NETSESSION_FUZZ_RUNS sets how many mutations are tried (default 200,000, some seconds).  Runs, not
seconds: the same inputs on every machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import fuzz_targets
from fuzz_targets import HERE, SOURCES, TARGETS

_RUNS = int(os.environ.get("NETSESSION_FUZZ_RUNS", "200000"))
_FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-g", "-O1", f"-I{SOURCES}"]
_PURE = [SOURCES / name for name in ("srvsvc_ndr.c", "session_level.c")]
_SANITIZED = ["gcc", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

Run = subprocess.CompletedProcess[str]


def _compile(compiler: list[str], sources: list[Path], program: Path) -> Path | None:
    """The program, or None where the compiler or its sanitizer is not installed."""
    if not shutil.which(compiler[0]):
        return None
    empty = program.with_suffix(".c")
    empty.write_text("int main(void) { return 0; }\n")
    if subprocess.run([*compiler, empty, "-o", program], capture_output=True).returncode != 0:
        return None
    done = subprocess.run(
        [*compiler, *_FLAGS, *sources, "-lpthread", "-o", program], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return program


def _run(command: list[str | Path], folder: Path) -> Run:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    return done


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Stubs of the vectors and of the kept corpus, a file each."""
    folder = tmp_path_factory.mktemp("corpus")
    for index, stub in enumerate([*fuzz_targets.vectors(), *TARGETS[0].kept()]):
        (folder / f"{index:04}").write_bytes(stub)
    files = sorted(folder.iterdir())
    assert len(files) > 100
    return files


def test_codec_with_mutations(tmp_path: Path, corpus: list[Path]) -> None:
    """Vectors with a few bytes changed, doubled or left out, by our own loop."""
    sources = [HERE / "fuzz_decode.c", *_PURE]
    program = _compile([*_SANITIZED, "-DSTANDALONE"], sources, tmp_path / "fuzz")
    if program is None:
        pytest.skip("no gcc with libasan and libubsan (Debian: gcc)")
    done = _run([program, str(_RUNS), "1", *corpus], tmp_path)
    assert done.stdout == f"{_RUNS} runs\n"


def test_the_sanitizers_would_tell(tmp_path: Path, corpus: list[Path]) -> None:
    """The guard of the other tests: with one check taken out of the codec they fail."""
    broken = (SOURCES / "srvsvc_ndr.c").read_text()
    check = "count > remaining(reader) / sizeof(utf16_unit)"
    assert check in broken
    (tmp_path / "broken.c").write_text(broken.replace(check, "count > 0x7FFFFFFF"))
    sources = [HERE / "fuzz_decode.c", tmp_path / "broken.c", _PURE[1]]
    program = _compile([*_SANITIZED, "-DSTANDALONE"], sources, tmp_path / "fuzz")
    if program is None:
        pytest.skip("no gcc with libasan and libubsan (Debian: gcc)")
    with pytest.raises(AssertionError, match="AddressSanitizer"):
        _run([program, "20000", "1", *corpus], tmp_path)


def test_simulator_with_threads(tmp_path: Path) -> None:
    simulator = [SOURCES / name for name in ("simulator.c", "session_level.c", "upcase.c")]
    sources = [HERE / "hammer_simulator.c", *simulator]
    program = _compile(["gcc", "-fsanitize=thread"], sources, tmp_path / "hammer")
    if program is None:
        pytest.skip("no gcc with libtsan (Debian: gcc)")
    done = _run([program], tmp_path)
    assert done.stdout == "0 outstanding, 0 bad frees\n"
