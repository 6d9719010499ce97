"""What ``make fuzz`` has found worth keeping runs again, in this interpreter, whichever it is.

The programs (tests/fuzz/programs) check what they do against models, and call back into what calls
them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

_FUZZ = Path(__file__).parent / "fuzz"
if not _FUZZ.is_dir():  # the tests for Windows come without it
    pytest.skip("tests/fuzz is not here", allow_module_level=True)
sys.path.append(str(_FUZZ))

from fuzz_targets import TARGETS, Target, program

_PROGRAMS = [target for target in TARGETS if target.is_python]


@pytest.mark.parametrize("target", _PROGRAMS, ids=lambda target: target.name)
def test_what_is_kept_of_fuzzing(target: Target) -> None:
    run = program(target.name)
    inputs = [*target.kept(), *target.seeds()]
    assert len(inputs) > 100
    for data in inputs:
        run.run(data)  # type: ignore[attr-defined]
