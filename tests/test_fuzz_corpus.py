"""What ``make fuzz`` has found worth keeping runs again, in this interpreter, whichever it is.

The programs (tests/fuzz/programs) check what they do against models, and call back into what calls
them.
"""

from __future__ import annotations

import gc
from typing import Any

import pytest

# The tests for Windows come without tests/fuzz.
fuzz_targets = pytest.importorskip("fuzz_targets", reason="tests/fuzz is not here")

_PROGRAMS = [target for target in fuzz_targets.TARGETS if target.is_python]


@pytest.mark.parametrize("target", _PROGRAMS, ids=lambda target: target.name)
def test_what_is_kept_of_fuzzing(target: Any) -> None:
    program = fuzz_targets.program(target.name)
    inputs = [*target.kept(), *target.seeds()]
    assert len(inputs) > 30
    try:
        for data in inputs:
            program.run(data)
    finally:
        gc.enable()  # which a program turns off, where it does not collect itself
