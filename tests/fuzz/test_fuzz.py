"""The C files that need no Python, fuzzed and hammered under sanitizers.

NETSESSION_FUZZ_RUNS sets how many inputs are tried (default 200,000, some seconds).  Runs, not
seconds: the same inputs on every machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_SOURCES = _HERE.parents[1] / "src"
_VECTORS = _HERE.parent / "data" / "vectors.json"
_RUNS = int(os.environ.get("NETSESSION_FUZZ_RUNS", "200000"))
_FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-g", "-O1", f"-I{_SOURCES}"]
_PURE = [_SOURCES / name for name in ("srvsvc_ndr.c", "session_level.c")]

Run = subprocess.CompletedProcess[str]


def _compile(compiler: list[str], sources: list[Path], program: Path) -> Path | None:
    """The program, or None where the compiler or its sanitizer is not installed."""
    if not shutil.which(compiler[0]):
        return None
    empty = program.with_suffix(".c")
    empty.write_text("int main(void) { return 0; }\n")
    plain = [flag for flag in compiler if "fuzzer" not in flag]
    probe: list[str | Path] = [*plain, empty, "-o", program]
    if plain != compiler:  # libFuzzer brings its own main()
        probe.insert(1, "-fsanitize=address")
    if subprocess.run(probe, capture_output=True).returncode != 0:
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
    """Every stub of the vectors as a file, requests too: they are replies gone wrong."""
    folder = tmp_path_factory.mktemp("corpus")
    for vector in json.loads(_VECTORS.read_text()):
        if "stub" in vector["kind"]:
            (folder / vector["name"]).write_bytes(bytes.fromhex(vector["hex"]))
    files = sorted(folder.iterdir())
    assert len(files) > 100
    return files


def test_codec_with_libfuzzer(tmp_path: Path, corpus: list[Path]) -> None:
    """Inputs that follow the code's branches, found by clang's fuzzer."""
    clang = next(filter(shutil.which, ("clang", "clang-19", "clang-16", "clang-14")), "clang")
    compiler = [clang, "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
    program = _compile(compiler, [_HERE / "fuzz_decode.c", *_PURE], tmp_path / "fuzz")
    if program is None:
        pytest.skip("no clang with libFuzzer (Debian: clang-14 libclang-rt-14-dev)")
    found = tmp_path / "found"
    found.mkdir()
    options = [f"-runs={_RUNS}", "-seed=1", "-max_len=4096", "-timeout=60"]
    done = _run([program, *options, found, corpus[0].parent], tmp_path)
    assert f"Done {_RUNS} runs" in done.stderr


def test_codec_with_mutations(tmp_path: Path, corpus: list[Path]) -> None:
    """Vectors with a few bytes changed, doubled or left out, by our own loop."""
    compiler = ["gcc", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    program = _compile(
        [*compiler, "-DSTANDALONE"], [_HERE / "fuzz_decode.c", *_PURE], tmp_path / "fuzz"
    )
    if program is None:
        pytest.skip("no gcc with libasan and libubsan (Debian: gcc)")
    done = _run([program, str(_RUNS), "1", *corpus], tmp_path)
    assert done.stdout == f"{_RUNS} runs\n"


def test_the_sanitizers_would_tell(tmp_path: Path, corpus: list[Path]) -> None:
    """The guard of the other tests: with one check taken out of the codec they fail."""
    broken = (_SOURCES / "srvsvc_ndr.c").read_text()
    check = "count > remaining(reader) / sizeof(utf16_unit)"
    assert check in broken
    (tmp_path / "broken.c").write_text(broken.replace(check, "count > 0x7FFFFFFF"))
    compiler = ["gcc", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DSTANDALONE"]
    sources = [_HERE / "fuzz_decode.c", tmp_path / "broken.c", _PURE[1]]
    program = _compile(compiler, sources, tmp_path / "fuzz")
    if program is None:
        pytest.skip("no gcc with libasan and libubsan (Debian: gcc)")
    with pytest.raises(AssertionError, match="AddressSanitizer"):
        _run([program, "20000", "1", *corpus], tmp_path)


def test_simulator_with_threads(tmp_path: Path) -> None:
    simulator = [_SOURCES / name for name in ("simulator.c", "session_level.c", "upcase.c")]
    sources = [_HERE / "hammer_simulator.c", *simulator]
    program = _compile(["gcc", "-fsanitize=thread"], sources, tmp_path / "hammer")
    if program is None:
        pytest.skip("no gcc with libtsan (Debian: gcc)")
    done = _run([program], tmp_path)
    assert done.stdout == "0 outstanding, 0 bad frees\n"
