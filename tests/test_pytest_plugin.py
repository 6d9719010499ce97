"""The fixtures for users' own tests: pytest in a process of its own, every warning an error."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import _netsession_pytestplugin

pytest_plugins = ["pytester"]

#: In tests of interpreters the sources are not installed: there is no entry point to load it.
INSTALLED = any(importlib.metadata.distributions(name="netsession"))
_NAMED = "_netsession_pytestplugin"
_AT = str(Path(_netsession_pytestplugin.__file__).parent)

needs_entry_point = pytest.mark.skipif(not INSTALLED, reason="netsession is not installed")

#: What this project's tests are run with is more than half of what starting pytest takes.
#: And these tests themselves may be run in a random order, theirs stay in the one they have.
_LEFT_OUT = ("-p", "no:benchmark", "-p", "no:hypothesispytest", "-p", "no:randomly")

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a test module; warnings are errors."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    if not INSTALLED:
        monkeypatch.setenv("PYTHONPATH", _AT)

    def run(module: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(test_module=module)
        loaded = () if INSTALLED else ("-p", _NAMED)
        return pytester.runpytest_subprocess(
            *(*loaded, *_LEFT_OUT, "-W", "error", "--strict-markers", "--strict-config", *options)
        )

    return run


_BOTH = """
def test_server(netsession_server):
    assert "simulator" in repr(netsession_server)
    assert len(list(netsession_server.sessions())) == 100

def test_fleet(netsession_fleet):
    dead, well = sorted(netsession_fleet(2, sessions=5, dead=1), key=lambda s: s.condition)
    assert (dead.condition, len(list(well.sessions()))) == ("dead", 5)
"""


def test_fixtures(run: Run) -> None:
    run(_BOTH).assert_outcomes(passed=2)


def test_with_xdist(run: Run) -> None:
    pytest.importorskip("xdist")
    run(_BOTH, "-n", "2").assert_outcomes(passed=2)


@needs_entry_point
def test_where_plugins_are_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    run(_BOTH, "-p", "netsession").assert_outcomes(passed=2)
    run(_BOTH).assert_outcomes(errors=2)


@needs_entry_point
def test_where_it_is_not_wanted(run: Run) -> None:
    run("def test_other(): pass", "-p", "no:netsession").assert_outcomes(passed=1)
    told = run(_BOTH, "-p", "no:netsession")
    told.assert_outcomes(errors=2)
    told.stdout.fnmatch_lines(["*fixture 'netsession_server' not found*"])


def test_nothing_of_netsession_is_imported_before_a_test_asks(
    run: Run, pytester: pytest.Pytester
) -> None:
    """Or coverage, which begins when pytest does, would miss what an import runs."""
    pytester.makeconftest(
        """
import sys

def ours():
    return [name for name in sys.modules if name.startswith("netsession")]

assert not ours()

def pytest_sessionfinish():
    print("at the end:", ours())
"""
    )
    module = """
import sys
def test_other():
    assert not [name for name in sys.modules if name.startswith("netsession")]
"""
    told = run(module, "-s")
    told.assert_outcomes(passed=1)
    told.stdout.fnmatch_lines(["*at the end: []*"])
    asks = "\ndef test_it(netsession_server): assert 'netsession.testing' in sys.modules\n"
    run(module + asks).assert_outcomes(passed=2)


def test_loading_it_is_cheap() -> None:
    """It imports nothing that pytest does not."""
    code = f"import sys; sys.path.insert(0, {_AT!r}); import pytest; before = set(sys.modules); "
    code += f"import {_NAMED}; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"['{_NAMED}']"


def test_who_has_imported_netsession_before(run: Run, pytester: pytest.Pytester) -> None:
    """pytest asks plugins' packages whether it may rewrite them, and warns where it is too late.

    It asks a wheel; here it is asked to.
    """
    pytester.makeconftest("import netsession, pytest\npytest.register_assert_rewrite('netsession')")
    run(_BOTH).assert_outcomes(passed=2)
    code = "import sys, netsession, pytest; sys.exit(pytest.main(sys.argv[1:]))"
    plugin = "netsession" if INSTALLED else _NAMED
    done = subprocess.run(
        [sys.executable, "-c", code, *_LEFT_OUT, "-W", "error", "-p", plugin],
        cwd=pytester.path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_each_test_has_a_server_of_its_own(run: Run) -> None:
    one = """
import pytest

@pytest.mark.parametrize("time", [1, 2])
def test_it(netsession_server, time):
    netsession_server.connect_session("ws1", "alice")
    assert netsession_server.session_count == 101
"""
    run(one).assert_outcomes(passed=2)


def test_another_server_by_indirect_parametrisation(run: Run) -> None:
    run(
        """
import pytest

@pytest.mark.parametrize(
    "netsession_server",
    [{"sessions": 3, "name": "fs01"}, {"sessions": [{"client_name": "c"}] * 3, "name": "fs01"}],
    indirect=True,
)
def test_it(netsession_server):
    assert (netsession_server.name, netsession_server.session_count) == ("fs01", 3)

@pytest.mark.parametrize("netsession_server", [{"sessions": -1}], indirect=True)
def test_mistake(netsession_server):
    pass
"""
    ).assert_outcomes(passed=2, errors=1)


def test_no_call_hangs_after_the_test(run: Run) -> None:
    """Whether the test passed or not, and however often the factory was called."""
    run(
        """
import threading
import time
import pytest

threads = []

def ask(server):
    def listing():
        with pytest.raises(OSError):
            list(server.sessions())
    threads.append(threading.Thread(target=listing, daemon=True))
    threads[-1].start()
    while not server.calls():
        time.sleep(0.001)

def test_server(netsession_server):
    netsession_server.hang(None)
    ask(netsession_server)

def test_fleet(netsession_fleet):
    for _ in range(2):
        (server,) = netsession_fleet(1, dead=1, dead_latency=None)
        ask(server)
    assert False

def test_threads_are_over():
    assert len(threads) == 3
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
"""
    ).assert_outcomes(passed=2, failed=1)


def test_what_pytest_says_of_them(run: Run) -> None:
    told = run("", "--fixtures")
    told.stdout.fnmatch_lines(["netsession_server *", "*A simulated server*"])
    told.stdout.fnmatch_lines(["netsession_fleet *", "*simulated_fleet()*"])


@needs_entry_point
def test_it_is_loaded_by_itself(run: Run) -> None:
    (entry,) = (
        each
        for each in importlib.metadata.entry_points(group="pytest11")
        if each.name == "netsession"
    )
    assert entry.value == _NAMED
    told = run("def test_other(): pass", "--trace-config")
    told.stdout.fnmatch_lines([f"*{_NAMED}*{os.sep}{_NAMED}.py*"])
