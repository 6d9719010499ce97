"""One iteration of a scan: who takes servers, who asks them, and who decides.

One thread decides (``_manage``) and owns all that changes; the others tell it what has happened
through a queue, and so does whoever reads the reports. So nothing here needs a lock, and an
exception in the reader's thread, Ctrl-C among them, leaves nothing locked. Another thread takes
the servers, whose iterable may be slow, and each server that is asked has one. None of them keeps
the interpreter from exiting.

Where memory is short a thread may end without a word: anything can raise MemoryError, telling what
has happened too. So whoever waits for a thread looks now and then whether there is still one.
"""

from __future__ import annotations

import contextvars
import sys
from collections import deque
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic

from ._logons import MOST, Logons
from ._process import Process
from ._question import Question, ask_elsewhere
from ._threads import called_off_at_end, start_new_thread
from .errors import NetApiError, error_from_status
from .fleet import ServerReport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor, Future
    from typing import Any

    from ._question import Asking
    from ._secret import Secret

#: How many more servers are taken than can be asked at once, so that none of the threads waits.
_AHEAD = 4
#: So long (seconds) connections may take to close after the reader has left, or at the end.
_FAREWELL = 0.8
#: The reader looks so often (seconds) whether Ctrl-C came: on Windows it does not end a wait.
_NEXT_LOOK = 0.25
#: The one that decides looks so often (seconds) whether the others are still there.
_NEXT_ROLL_CALL = 1.0
_LONGEST_WAIT = 1_000_000.0
_ERROR_NOT_ENOUGH_MEMORY = 8
_ERROR_PROCESS_ABORTED = 1067


class NoReportYet(Exception):
    """There is none; unlike queue.Empty the servers' own iterable cannot raise it."""


class _End:
    """What comes after the last report: an exception of the servers' iterable, or nothing."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Run:
    """One iteration: :meth:`start`, then reports until None, and :meth:`leave` in any case.

    ``taken`` is how many servers were taken (int), ``in_flight`` how many are being asked (int).
    """

    def __init__(
        self,
        servers: Iterable[object],
        asking: Asking,
        workers: int,
        executor: Executor | None,
        left_behind: set[object],
        keep_going: bool,
    ) -> None:
        self._servers = servers
        self._asking = asking
        self._workers = workers
        self._executor = executor
        self._left_behind = left_behind
        self._most_refused = float("inf") if keep_going else MOST
        self._process = Process()
        self._began = 0.0
        self._started = False
        self._reports: SimpleQueue[ServerReport | _End] = SimpleQueue()
        self._events: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._wanted: SimpleQueue[bool] = SimpleQueue()  # for the taker: another one, or no more
        self.notify: Callable[[], object] = int  # after each report; does nothing
        self.taken: int = 0
        self._is_taking = False
        self._source_is_over = False
        self._source_error: BaseException | None = None
        self._pending: deque[Question] = deque()  # taken, and not begun
        self._in_flight: dict[Question, Future[Any] | None] = {}  # in the order of their beginning
        self._closing: set[Question] = set()  # reported, and their connections being closed
        self._unread = 0  # reports that the reader has not taken
        self._stuck_since: float | None = None
        self._until: float | None = None  # leaving: so long closing may take
        self._has_left = False
        self._logons: dict[tuple[str | None, Secret | None], Logons] = {}
        self._taker: Callable[[], object | None] = _there  # these are of threads: see _spawn()
        self._decider: Callable[[], object | None] = _there
        self._askers: dict[Question, Callable[[], object | None]] = {}

    # -- for the reader ------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """How many servers are being asked (int)."""
        return len(self._in_flight)

    @property
    def elapsed(self) -> float:
        """Seconds since it began (float)."""
        return monotonic() - self._began

    @property
    def stopped(self) -> str | None:
        """Why some credentials are not used any more (str), None where all are."""
        return next((why for each in tuple(self._logons.values()) if (why := each.stopped)), None)

    def start(self) -> None:
        """Begins. Raises NetApiError (8) where no thread can be started."""
        if self._executor is not None:
            _start_processes(self._executor)
        self._began = monotonic()
        self._want_more()
        self._started = True  # first: whoever is interrupted here leaves as well
        try:
            self._taker = self._spawn(self._take)
            self._decider = self._spawn(self._manage_to_the_end)
        except RuntimeError as error:
            self._started = False
            self._wanted.put(False)
            raise error_from_status(
                _ERROR_NOT_ENOUGH_MEMORY,
                "NetSessionEnum",
                detail=f"no thread could be started ({error}); nothing was asked",
            ) from error

    def next_report(self) -> ServerReport[Any] | None:
        """Waits for the next report; None after the last one. Raises what the servers raised."""
        while True:
            with suppress(NoReportYet):
                return self._next(_NEXT_LOOK)

    def next_now(self) -> ServerReport[Any] | None:
        """The same without waiting. Raises NoReportYet where none has come."""
        return self._next(0.0)

    def _next(self, seconds: float) -> ServerReport[Any] | None:
        if not self._process.is_here():
            raise RuntimeError(
                "this scan is at work in the process that began it, not in one that was forked "
                "off: call scan() again here"
            )
        is_over = self._decider() is None  # before looking: then all that it said has come
        try:
            got = self._reports.get(timeout=seconds) if seconds else self._reports.get_nowait()
        except Empty:
            if is_over:
                self._started = False
                raise MemoryError("no memory was left for the scan; it has ended") from None
            raise NoReportYet from None
        return self._read(got)

    def _read(self, got: ServerReport | _End) -> ServerReport | None:
        if isinstance(got, _End):
            self._started = False
            if got.error is not None:
                raise got.error
            return None
        self._post(self._on_read)
        return got

    # Where an iteration outlives the modules (see Process), their names are None: it needs none.
    def leave(
        self, *, wait: bool = True, is_finalizing: Callable[[], bool] = sys.is_finalizing
    ) -> None:
        """Calls off what is under way; waits, within a second, until connections are closed."""
        if not self._started or not self._process.is_here() or is_finalizing():
            return  # over, never begun, or without threads: a forked child, an interpreter's end
        try:
            self._post(self._on_leave)
        finally:
            self._wanted.put(False)  # the taker may be there without the thread that decides
        self._started = False
        if wait and self._decider() is not None:
            self._wait_for_the_end(monotonic() + _FAREWELL)

    def _wait_for_the_end(self, latest: float) -> None:
        with suppress(Empty):
            while not isinstance(self._reports.get(timeout=max(0.0, latest - monotonic())), _End):
                pass

    # -- threads -------------------------------------------------------------------------------

    def _spawn(
        self, work: Callable[..., object], *arguments: object
    ) -> Callable[[], object | None]:
        """Starts a thread. What is returned gives None once it has ended, whatever ended it."""
        return start_new_thread(contextvars.copy_context().run, work, *arguments)

    def _post(self, event: Callable[..., object], *arguments: object) -> None:
        self._events.put(partial(event, *arguments) if arguments else event)

    def _take(self) -> None:
        """The taker: gets servers, one whenever one is wanted."""
        error: BaseException | None = None
        try:
            iterator = iter(self._servers)
            while self._wanted.get():
                self._post(self._on_taken, next(iterator))
        except StopIteration:
            pass
        except BaseException as raised:
            error = raised
        self._post(self._on_source_over, error)

    def _ask(self, question: Question, logons: Logons) -> None:
        """One server's thread."""
        report = question.ask(logons)
        over = question.leaves_nothing
        self._post(self._on_report, question, report, not over)
        del report
        if not over:
            question.close()
            self._post(self._on_closed, question)
        question.finished = True
        if question in self._left_behind:
            self._left_behind.discard(question)
            self._post(int)  # another one may begin

    # -- what happens; from here on in the one thread that decides -------------------------------

    def _manage_to_the_end(self) -> None:
        with called_off_at_end(partial(self._post, self._on_leave)):
            self._manage()

    def _manage(self) -> None:
        error: BaseException | None = None
        try:
            while not self._is_over():
                self._wait_for_events()
                self._call_the_roll()
                self._give_up_late()
                self._begin_what_can()
                self._want_more()
            error = self._source_error
        except BaseException as raised:  # a fault of this module: the reader is told
            error = raised
            self._on_leave()
        finally:
            # What comes late stays in our queue and holds us until the next garbage collection;
            # the servers may be a generator, which ends as soon as nobody holds it.
            self._servers = ()
            try:
                self._wanted.put(False)
            finally:
                self._reports.put(_End(error))
                self.notify()

    def _is_over(self) -> bool:
        through = self._source_is_over and not self._pending and not self._in_flight
        if not (through or self._has_left):
            return False
        if self._until is None:
            self._until = monotonic() + _FAREWELL
        return not self._closing or monotonic() >= self._until

    def _wait_for_events(self) -> None:
        with suppress(Empty):
            self._events.get(timeout=self._patience())()
        self._hear_all()

    def _hear_all(self) -> None:
        """All that has come meanwhile."""
        with suppress(Empty):
            while True:
                self._events.get_nowait()()

    def _call_the_roll(self) -> None:
        """Speaks for threads that have ended without a word."""
        taker_is_gone = not self._source_is_over and self._taker() is None
        gone = [question for question, there in self._askers.items() if there() is None]
        if not gone and not taker_is_gone:
            return
        self._hear_all()  # what they said before they ended
        if taker_is_gone and not self._source_is_over:
            self._on_source_over(MemoryError("no memory was left to take more servers"))
        for question in gone:
            self._askers.pop(question, None)
            self._closing.discard(question)
            self._left_behind.discard(question)
            if question in self._in_flight:
                del self._in_flight[question]
                self._logons_of(question).drop(question)
                self._deliver(question.failed(MemoryError("no memory was left to ask it")))

    def _patience(self) -> float:
        """How long nothing may happen before there is something to be done."""
        now = monotonic()
        ends = [now + (_LONGEST_WAIT if self._executor else _NEXT_ROLL_CALL)]
        ends += [end for each in self._in_flight if (end := _end_of(each)) is not None]
        if self._until is not None:
            ends.append(self._until)
        if self._pending:
            if self._stuck_since is not None:
                ends.append(self._stuck_since + (self._asking.timeout or 0.0))
            chances = [logons.next_chance() for logons in self._logons.values()]
            ends += [chance for chance in chances if chance is not None]
        return max(0.0, min(ends) - now)

    def _on_taken(self, item: object) -> None:
        self._is_taking = False
        self.taken += 1
        if self._has_left:
            return
        question = Question(self._asking, item)
        report = self._prepared(question)
        if report is None:
            self._pending.append(question)
        else:
            self._deliver(report)

    def _prepared(self, question: Question) -> ServerReport | None:
        """The report of what cannot be asked."""
        if self._executor is None:
            return question.prepare()
        if not question.can_be_sent:
            return question.failed(
                TypeError("an executor takes names of servers (str), no Server objects")
            )
        return question.check()

    def _on_source_over(self, error: BaseException | None) -> None:
        self._is_taking = False
        self._source_is_over = True
        self._source_error = error

    def _on_report(self, question: Question, report: ServerReport, closing: bool) -> None:
        if question not in self._in_flight:  # it was given up, or nobody reads any more
            if not closing:
                self._closing.discard(question)
            return
        del self._in_flight[question]
        if closing:
            self._closing.add(question)
        self._deliver(report)

    def _on_closed(self, question: Question) -> None:
        self._closing.discard(question)

    def _on_future(self, question: Question, future: Future[Any]) -> None:
        """An executor's job has ended, one way or another."""
        self._closing.discard(question)
        if question not in self._in_flight:
            return
        del self._in_flight[question]
        report, is_left_behind = _result(question, future)
        question.settle(self._logons_of(question), report.error)
        if is_left_behind:
            self._left_behind.add(question)
        self._deliver(report)

    def _on_read(self) -> None:
        self._unread -= 1

    def _on_leave(self) -> None:
        if self._has_left:
            return
        self._has_left = True
        self._pending.clear()
        for future in self._in_flight.values():
            if future is not None:
                future.cancel()
        # Once none can begin in the place of one that ends.
        for question, future in self._in_flight.items():
            question.call_off()
            if future is None and question.is_native:
                self._leave_behind(question)
            elif future is None or question.began is not None:  # it is in this process
                self._closing.add(question)
        self._in_flight.clear()

    def _deliver(self, report: ServerReport) -> None:
        if not self._has_left:
            self._unread += 1
            self._reports.put(report)
            self.notify()

    # -- what is done --------------------------------------------------------------------------

    def _want_more(self) -> None:
        """Has the next server taken, where there is room for it."""
        if self._is_taking or self._source_is_over or self._has_left:
            return
        held = len(self._pending) + len(self._in_flight) + self._unread
        if held < self._workers + _AHEAD and len(self._pending) < _AHEAD:
            self._is_taking = True
            self._wanted.put(True)

    def _begin_what_can(self) -> None:
        for question in tuple(self._pending):
            logons = self._logons_of(question)
            why = logons.stopped or self._why_never(question)
            if why is None and not self._may_begin(question, logons):
                continue
            self._pending.remove(question)
            if why is not None:
                self._deliver(question.not_asked(why))
            else:
                self._begin(question, logons)

    def _logons_of(self, question: Question) -> Logons:
        credentials = question.credentials
        if credentials not in self._logons:
            who = credentials[0] or "the current user"
            self._logons[credentials] = Logons(who, self._most_refused)
        return self._logons[credentials]

    def _may_begin(self, question: Question, logons: Logons) -> bool:
        if len(self._in_flight) + len(self._closing) >= self._workers:
            return False
        if self._executor is not None:
            return logons.may_begin(question, float("inf"))
        if not question.is_native:
            return True  # it is the logon that waits for its turn
        return self._risk() < self._workers and logons.may_begin(question, question.patience)

    def _risk(self) -> int:
        """How many threads are left behind, or may have to be: each is for good, perhaps."""
        if not self._left_behind:
            return 0
        return len(self._left_behind) + sum(question.is_native for question in self._in_flight)

    def _why_never(self, question: Question) -> str | None:
        """Why it cannot be asked: all threads are stuck, and have been so for a time-out."""
        if not question.is_native:
            return None
        stuck = (
            not any(each.is_native for each in self._in_flight)
            and len(self._left_behind) >= self._workers
        )
        if not stuck:
            self._stuck_since = None
            return None
        now = monotonic()
        if self._stuck_since is None:
            self._stuck_since = now
        if now < self._stuck_since + (self._asking.timeout or 0.0):
            return None
        return (
            f"all {self._workers} threads are held by calls of netapi32.dll that do not return, "
            "and none came back within another time-out (workers= allows more)"
        )

    def _begin(self, question: Question, logons: Logons) -> None:
        self._in_flight[question] = None
        if self._executor is not None:
            self._submit(self._executor, question, logons)
            return
        question.began = monotonic()
        try:
            self._askers[question] = self._spawn(self._ask, question, logons)
        except RuntimeError as error:  # no thread is left
            del self._in_flight[question]
            logons.drop(question)
            if self._in_flight or self._closing:
                self._pending.appendleft(question)  # when one of them ends
                return
            detail = f"no thread could be started ({error}); nothing was asked"
            self._deliver(
                question.failed(
                    error_from_status(
                        _ERROR_NOT_ENOUGH_MEMORY, "NetSessionEnum", question.name, detail=detail
                    )
                )
            )

    def _submit(self, executor: Executor, question: Question, logons: Logons) -> None:
        try:
            future = executor.submit(ask_elsewhere, question)
        except Exception as error:
            del self._in_flight[question]
            logons.drop(question)
            detail = f"the executor takes no more ({type(error).__name__}: {error})"
            self._deliver(question.not_asked(detail))
            return
        self._in_flight[question] = future
        future.add_done_callback(partial(self._post, self._on_future, question))

    def _give_up_late(self) -> None:
        if self._executor is not None:
            return  # whoever asks looks after that
        now = monotonic()
        for question in [each for each in self._in_flight if (_end_of(each) or now + 1) <= now]:
            del self._in_flight[question]
            question.call_off()
            self._logons_of(question).drop(question)
            self._leave_behind(question)
            self._deliver(question.given_up())

    def _leave_behind(self, question: Question) -> None:
        self._left_behind.add(question)
        if question.finished:  # looked at afterwards: its thread marks first
            self._left_behind.discard(question)


def _there() -> object:
    """Of a thread that has not been started."""
    return _there


def _end_of(question: Question) -> float | None:
    """When it is given up (monotonic)."""
    limit = question.limit
    return None if limit is None or question.began is None else question.began + limit


def _result(question: Question, future: Future[Any]) -> tuple[ServerReport, bool]:
    """What an executor's job has brought: a report in any case, and whether a thread is left."""
    from concurrent.futures import CancelledError  # there already, with the executor

    try:
        error = future.exception()
    except CancelledError as cancelled:
        error = cancelled
    if error is None:
        match future.result():
            case ServerReport() as report, bool(is_left_behind):
                return report, is_left_behind
            case other:
                error = TypeError(f"it returned a {type(other).__name__}")
    detail = f"the executor lost the job that asked it ({type(error).__name__}: {error})"
    lost = NetApiError(_ERROR_PROCESS_ABORTED, "NetSessionEnum", question.name, detail=detail)
    return question.failed(lost), False


def _ready() -> None:
    """Does nothing: see _start_processes()."""


def _start_processes(executor: Executor) -> None:
    """Lets a pool of processes fork before we have threads of our own."""
    module: Any = sys.modules.get("concurrent.futures.process")
    if module is not None and isinstance(executor, module.ProcessPoolExecutor):
        with suppress(RuntimeError):  # broken, or shut down: each server's report will say so
            executor.submit(_ready)
