"""``make fuzz``: every target with libFuzzer, then what its kept corpus covers.

    python tests/fuzz/run.py [--seconds 30] [--keep] [TARGET ...]

``--seconds`` (or NETSESSION_FUZZ_SECONDS) is for all targets together; ``--keep`` puts what was
found into the kept corpus, minimised.  A crash ends it with 1 and names the input.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fuzz_targets import (
    CACHE,
    HERE,
    ROOT,
    SOURCES,
    TARGETS,
    MissingError,
    Target,
    covering,
    environment,
    fuzzing,
    program,
)  # fmt: skip

_SEED = 1


def _corpus(target: Target) -> Path:
    """A folder with the kept inputs and the seeds; what is found is added there."""
    folder = CACHE / "corpus" / target.name
    folder.mkdir(parents=True, exist_ok=True)
    for index, data in enumerate([*target.kept(), *target.seeds()]):
        (folder / f"seed-{index:04}").write_bytes(data)
    return folder


def _options(target: Target) -> list[str]:
    crashes = CACHE / "crashes"
    crashes.mkdir(parents=True, exist_ok=True)
    dictionary = HERE / "dictionaries" / f"{target.name}.dict"
    return [
        *([f"-dict={dictionary}"] if dictionary.exists() else []),
        *(f"-max_len={target.longest}", f"-seed={_SEED}", "-timeout=60", "-rss_limit_mb=3000"),
        *(f"-artifact_prefix={crashes}/{target.name}-", "-print_final_stats=1"),
        f"-detect_leaks={0 if target.is_python else 1}",
    ]


def fuzz(target: Target, seconds: float) -> str | None:
    """Fuzz for so long; what came of it, or None where something was found, which is printed."""
    command = [fuzzing().program(target), *_options(target), f"-max_total_time={seconds:.0f}"]
    done = subprocess.run(
        [*command, _corpus(target)], env=environment(target), cwd=CACHE, capture_output=True,
        text=True, errors="replace",
    )  # fmt: skip
    if done.returncode != 0:
        print(f"{target.name}: FAILED\n{done.stdout[-2000:]}{done.stderr[-8000:]}")
        return None
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    # "cov" counts edges of C, which a target of Python alone has none of.
    last = re.findall(r"(?:cov: (\d+) )?ft: (\d+) corp: (\d+)", done.stderr)[-1]
    assert runs is not None, done.stderr
    edges, features, inputs = (f"{int(number or 0):,}" for number in last)
    return f"{int(runs[1]):,} executions, {edges} edges, {features} features, {inputs} inputs"


def keep(target: Target) -> None:
    """The corpus as few inputs that reach the same edges."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [fuzzing().program(target), *_options(target), "-merge=1", "-use_counters=0"]
        subprocess.run(
            [*command, scratch, _corpus(target)], env=environment(target), cwd=CACHE, check=True,
            capture_output=True,
        )  # fmt: skip
        target.keep([path.read_bytes() for path in Path(scratch).iterdir()])
    shutil.rmtree(CACHE / "corpus" / target.name)


# --- coverage -----------------------------------------------------------------------------------


def coverage(target: Target) -> dict[str, tuple[int, int]]:
    """Of each of the target's files: lines that the kept corpus reaches, and all."""
    with tempfile.TemporaryDirectory() as scratch:
        inputs = []
        for index, data in enumerate(target.kept()):
            inputs.append(Path(scratch, f"{index:04}"))
            inputs[-1].write_bytes(data)
        if target.traced:
            return _python_coverage(target, inputs)
        build = covering()
        made = build.program(target)
        for old in build.folder.glob("*.gcda"):
            old.unlink()
        subprocess.run([made, *inputs], env=environment(target), check=True, cwd=CACHE)
        return {name: _gcov(build.folder, name) for name in target.files}


def _gcov(folder: Path, name: str) -> tuple[int, int]:
    command = ["gcov", "--json-format", "--stdout", folder / Path(name).with_suffix(".o").name]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    for file in json.loads(done.stdout)["files"]:
        if Path(file["file"]).resolve() == (SOURCES / name).resolve():
            counts: dict[int, int] = {}
            for line in file["lines"]:
                number = line["line_number"]
                counts[number] = counts.get(number, 0) + line["count"]
            return sum(count > 0 for count in counts.values()), len(counts)
    raise AssertionError(f"gcov says nothing of {name}")


def _python_coverage(target: Target, inputs: list[Path]) -> dict[str, tuple[int, int]]:
    """Lines inside functions; those of modules and classes run when they are imported."""
    run = program(target.name).run
    seen: dict[str, set[int]] = {str(ROOT / "netsession" / name): set() for name in target.files}

    def trace(frame: object, what: str, _: object) -> object:
        lines = seen.get(frame.f_code.co_filename)
        if lines is None:
            return None
        lines.add(frame.f_lineno)
        return trace

    sys.settrace(trace)  # type: ignore[arg-type]
    for path in inputs:
        run(path.read_bytes())
    sys.settrace(None)
    return {
        name: (len(lines & all_lines), len(all_lines))
        for name in target.files
        for path in [ROOT / "netsession" / name]
        for lines, all_lines in [(seen[str(path)], _lines_of(path))]
    }


def _lines_of(path: Path) -> set[int]:
    """The lines of all functions of a file."""
    found: set[int] = set()
    waiting = [compile(path.read_text(), str(path), "exec")]
    while waiting:
        code = waiting.pop()
        waiting += [part for part in code.co_consts if isinstance(part, type(code))]
        if code.co_flags & 0x02:  # CO_NEWLOCALS: a function, not a module or class
            found |= {
                line for _, _, line in code.co_lines() if line and line != code.co_firstlineno
            }
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    seconds = float(os.environ.get("NETSESSION_FUZZ_SECONDS", "30"))
    parser.add_argument("--seconds", type=float, default=seconds)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    options = parser.parse_args()
    chosen = [one for one in TARGETS if not options.targets or one.name in options.targets]
    failed = False
    for target in chosen:
        try:
            found = fuzz(target, max(1, options.seconds / len(chosen)))
            if found is not None and options.keep:
                keep(target)
            print(f"{target.name}: {found or 'FAILED, see above'}", flush=True)
            failed |= found is None
            for name, (reached, lines) in coverage(target).items():
                share = 100 * reached / lines
                print(f"    {name}: {share:.1f} % of {lines} lines by the kept corpus", flush=True)
        except MissingError as missing:
            print(f"{target.name}: skipped, {missing}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
