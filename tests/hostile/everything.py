"""``make hostile``: every misbehaviour at every place, listing and ending; every byte cut.

``make hostile EVERY=7`` cuts at every seventh byte only.
Prints a line for each group, with how the attempts ended; fails where one did not as it must.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from attempts import Lab, attempt, lab
from cuts import attempt_cut, recorded
from misbehaviours import GROUPS, Misbehaviour

#: An attempt: what it is called, and what it does.
Attempt = tuple[str, Callable[[], None]]


def attempts(lab: Lab, bad: Misbehaviour) -> Iterator[Attempt]:
    """Everywhere that it is tried. What answers a delete is too short for a READ."""
    for place in bad.places:
        for delete in (False, True):
            if bad.delete and place != "read" if delete else bad.list:
                name = f"{bad.name}, {place}, {'delete' if delete else 'list'}"
                yield (
                    name,
                    lambda place=place, delete=delete: attempt(  # type: ignore[misc]
                        lab, bad, place, delete=delete, memory=True
                    ),
                )


def cuts(lab: Lab, every: int, *, delete: bool, reset: bool) -> Iterator[Attempt]:
    """After each byte of the server's, the first and the last too."""
    for count in range(0, sum(recorded(lab, delete=delete)) + 1, every):
        yield (
            f"after {count} bytes",
            lambda count=count: attempt_cut(  # type: ignore[misc]
                lab, count, delete=delete, reset=reset
            ),
        )


def run(lab: Lab, name: str, kinds: int, every: Iterator[Attempt]) -> bool:
    """Tries all; whether each ended as it must."""
    began, failed = time.process_time(), []
    for what, work in every:
        try:
            work()
        except Exception:
            failed.append(f"{name}: {what}\n{traceback.format_exc(limit=-1)}")
            lab.liar.lie = None
    ends = ", ".join(f"{count} {how}" for how, count in sorted(lab.ends.items()))
    seconds = time.process_time() - began
    print(f"{name}: {kinds} misbehaviours, {lab.attempts} attempts: {ends} ({seconds:.0f} s CPU)")
    for each in failed:
        print(each)
    sys.stdout.flush()
    return not failed


def main(every: int) -> int:
    good, kinds, count = True, 0, 0
    for name, rows in GROUPS.items():
        with lab() as made:
            good &= run(
                made, name, len(rows), (each for row in rows for each in attempts(made, row))
            )
        kinds, count = kinds + len(rows), count + made.attempts
    for delete, reset in ((False, True), (False, False), (True, True), (True, False)):
        with lab() as made:
            name = f"{'a reset' if reset else 'the end'} at every byte of "
            name += "a delete" if delete else "a list"
            good &= run(made, name, 1, cuts(made, every, delete=delete, reset=reset))
        kinds, count = kinds + 1, count + made.attempts
    print(f"in all {kinds} misbehaviours, {count} attempts: {'good' if good else 'FAILED'}")
    return not good


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
