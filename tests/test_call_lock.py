"""CallLock: whatever happens, it is held while its callable runs and not a moment longer."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

from forking import forked, in_a_fork, needs_fork
from gil import counting_beside
from interrupting import Interrupted, raising
from leaks import NOISE, leaked
from netsession._netsession import CallLock

PATIENCE = 60.0  # a hang guard


def wait_long() -> float:
    return PATIENCE


def fail(error: BaseException) -> Callable[[], NoReturn]:
    def function() -> NoReturn:
        raise error

    return function


def test_what_the_callable_returns() -> None:
    lock = CallLock()
    assert lock.run(lambda: "result", wait_long) == "result"
    assert lock.try_run(lambda: None)


def in_threads(function: Callable[[], object], number: int) -> None:
    threads = [threading.Thread(target=function) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt("x"), SystemExit("x")])
def test_an_exception_gives_the_lock_back(error: BaseException) -> None:
    lock = CallLock()
    with pytest.raises(type(error), match="x"):
        lock.run(fail(error), wait_long)
    with pytest.raises(type(error), match="x"):
        lock.try_run(fail(error))
    assert lock.try_run(lambda: None)


def test_remaining_is_not_asked_where_nobody_holds_it() -> None:
    assert CallLock().run(lambda: 7, fail(AssertionError())) == 7


def test_one_at_a_time() -> None:
    lock = CallLock()
    inside = most = 0

    def work() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        inside -= 1

    def often() -> None:
        for _ in range(200):
            lock.run(work, wait_long)

    in_threads(often, 8)
    assert most == 1


def test_who_gave_it_back_is_not_taken_for_its_holder() -> None:
    """Where another thread has just got it, and cannot say so yet for want of the GIL."""
    lock = CallLock()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # nobody is made to yield the GIL
    try:
        for _ in range(20):
            asked = threading.Event()

            def wait(asked: threading.Event = asked) -> float:
                asked.set()
                return PATIENCE

            waits = threading.Thread(target=lock.run, args=(int, wait))
            lock.run(lambda waits=waits, asked=asked: (waits.start(), asked.wait(PATIENCE)), wait)
            for _ in range(100_000):
                if not lock.try_run(int):  # it has got it
                    break
            lock.run(int, wait_long)
            waits.join(PATIENCE)
    finally:
        sys.setswitchinterval(interval)


@contextlib.contextmanager
def held_elsewhere(lock: CallLock) -> Iterator[None]:
    """Within it another thread has the lock."""
    held, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=lock.run, args=(lambda: (held.set(), done.wait(PATIENCE)),
                                                     wait_long))  # fmt: skip
    thread.start()
    try:
        assert held.wait(PATIENCE)
        yield
    finally:
        done.set()
        thread.join(PATIENCE)


def test_waiting_ends_with_what_remaining_raises() -> None:
    """It is asked again and again, so that a call can be called off while it waits."""
    lock = CallLock()
    answers = iter((0.001, 0.0, -1.0, 0.002))

    def remaining() -> float:
        for answer in answers:
            return answer
        raise TimeoutError("over")

    with held_elsewhere(lock):
        assert not lock.try_run(fail(AssertionError()))
        with pytest.raises(TimeoutError, match="over"):
            lock.run(fail(AssertionError()), remaining)
        with pytest.raises(TypeError):
            lock.run(fail(AssertionError()), lambda: "soon")  # type: ignore[arg-type,return-value]
    assert lock.run(lambda: 1, wait_long) == 1


def test_who_waits_lets_others_work() -> None:
    """Another thread gets on meanwhile, though nobody is made to yield the GIL."""
    lock = CallLock()

    def wait_shortly() -> None:
        answers = iter((0.05,))
        with pytest.raises(StopIteration):
            lock.run(fail(AssertionError()), answers.__next__)

    with held_elsewhere(lock), counting_beside() as counted:
        most, end = 0, time.monotonic() + 30
        while most == 0 and time.monotonic() < end:
            before = counted()
            wait_shortly()
            most = counted() - before
        assert most > 0


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that sends signals")
def test_a_signal_ends_a_wait_in_which_no_bytecode_runs() -> None:
    """What says how long to wait yet may be C too: the lock itself looks for Ctrl-C."""

    lock = CallLock()
    answers = iter([0.01] * 1000)
    with held_elsewhere(lock), raising(signal.SIGALRM), pytest.raises(Interrupted):
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.05)
        try:
            lock.run(fail(AssertionError()), answers.__next__)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    assert next(answers, None) is not None  # a handler runs in the end, whoever looks


def test_the_same_thread_does_not_wait_for_itself() -> None:
    lock = CallLock()

    def again() -> None:
        assert not lock.try_run(fail(AssertionError()))
        with pytest.raises(RuntimeError, match="this thread is in a call of this Server already"):
            lock.run(fail(AssertionError()), fail(AssertionError()))

    lock.run(again, wait_long)
    assert lock.try_run(lambda: None)


@needs_fork
def test_a_fork_does_not_wait_for_threads_that_it_has_not() -> None:
    lock = CallLock()

    def used() -> bool:
        ran = lock.run(lambda: "ran", wait_long) == "ran" and lock.try_run(lambda: None)
        with held_elsewhere(lock):  # which it still is among its own threads
            return ran and not lock.try_run(fail(AssertionError()))

    with held_elsewhere(lock):
        in_a_fork(used)
        in_a_fork(lambda: lock.try_run(lambda: None))
        assert not lock.try_run(fail(AssertionError()))  # the parent's is as it was
    assert lock.run(lambda: 1, wait_long) == 1


@needs_fork
def test_a_thread_that_forks_with_the_lock_has_it_there_too() -> None:
    lock = CallLock()

    def holds() -> bool:
        with pytest.raises(RuntimeError, match="already"):
            lock.run(fail(AssertionError()), wait_long)
        return not lock.try_run(fail(AssertionError()))

    lock.run(lambda: in_a_fork(holds), wait_long)
    assert lock.try_run(lambda: None)


@needs_fork
def test_a_fork_while_it_waits() -> None:
    lock = CallLock()

    def remaining() -> float:
        if child := forked():
            assert os.waitpid(child, 0)[1] == 0
            raise TimeoutError
        return PATIENCE

    with held_elsewhere(lock), pytest.raises(TimeoutError):
        lock.run(lambda: os._exit(0), remaining)  # in the child alone


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm, as Linux has it")
def test_nothing_leaks() -> None:
    lock = CallLock()

    def go() -> None:
        for _ in range(10):
            CallLock()
            lock.try_run(lambda: [lock])

    def wait() -> None:
        for _ in range(10):
            answers = map(float, ("1e-6",))  # a new number
            with contextlib.suppress(StopIteration):
                lock.run(fail(AssertionError()), answers.__next__)

    assert leaked(go) <= NOISE
    with held_elsewhere(lock):
        assert leaked(wait) <= NOISE


@needs_fork
def test_a_new_thread_of_a_fork_is_not_the_one_that_stayed_behind() -> None:
    """It mostly has its identifier: glibc uses the stacks of those that stayed behind first."""
    lock = CallLock()
    done: list[int] = []

    def works() -> bool:
        in_threads(lambda: lock.run(lambda: done.append(1), wait_long), 4)
        return len(done) == 4

    with held_elsewhere(lock):
        in_a_fork(works)


@needs_fork
def test_a_fork_within_the_call_gives_back_only_what_it_took() -> None:
    """A thread of the new process may have made a lock for itself meanwhile."""
    lock = CallLock()

    def fork() -> int:
        child = forked()
        if not child:
            in_threads(lambda: lock.try_run(lambda: None), 1)
        return child

    child = lock.run(fork, wait_long)
    if not child:
        with contextlib.suppress(BaseException):
            os._exit(int(lock.run(lambda: lock.try_run(lambda: None), wait_long)))
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_arguments() -> None:
    with pytest.raises(TypeError):
        CallLock(1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        CallLock().run(wait_long)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        type("Sub", (CallLock,), {})  # type: ignore[misc]
