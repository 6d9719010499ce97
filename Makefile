# make demo    list a simulated server, in a virtual environment of its own
# make test    all tests that this machine can run
# See README.md for the rest.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := $(wildcard src/*.c src/*.h) setup.py pyproject.toml
C_FILES := $(wildcard src/*.c src/*.h)
DEMO_SESSIONS ?= 12
# The domain tier needs root and Kerberos, which is compiled (a minute): only where both can be.
KERBEROS := $(if $(filter 0,$(shell id -u)),$(if $(shell command -v krb5-config 2>/dev/null),$(VENV)/.domain))

.PHONY: demo test test-python test-windows test-interpreters asan tsan leaks bench bench-fleet lint format wheel clean

demo: $(VENV)/.demo
	@$(BIN)/netsession list --demo $(DEMO_SESSIONS)
	@echo
	@echo "These sessions were simulated. For those of a real server:"
	@echo "    $(BIN)/netsession list SERVER --auth-user USER"

test: test-python test-windows

# Against smbd and in a domain where Samba is installed; skipped with the package's name where not.
# Two files at a time (pytest-xdist): much of it is waiting.
test-python: $(VENV)/.test $(KERBEROS)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

# The wheel, in the official Windows CPython under Wine; skipped like Samba.
test-windows: $(VENV)/.test
	$(BIN)/python tools/windows/run_tests.py

# Every CPython of this machine, a free-threaded and a debug one that are built for it.
test-interpreters: $(VENV)/.test
	$(BIN)/python tools/interpreters/run.py

# All tests that run C of ours under AddressSanitizer and UndefinedBehaviorSanitizer.
asan: $(VENV)/.test
	$(BIN)/python tools/interpreters/sanitize.py

# Sixteen threads at each object under ThreadSanitizer; a free-threaded CPython is built for it.
tsan: $(VENV)/.test
	$(BIN)/python tools/interpreters/races.py

# What each public call leaves behind: ROUNDS=200, in this Python and in a debug build.
leaks: $(VENV)/.test
	$(BIN)/python tools/interpreters/count_leaks.py $(ROUNDS)

# Beside the peers, each in an environment of its own.
bench: $(VENV)/.test
	$(BIN)/python benchmarks/run.py

# What a server of a scan costs, and how scans scale: a quarter of an hour.
bench-fleet: $(VENV)/.test
	$(BIN)/python benchmarks/fleet.py

lint: $(VENV)/.lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest --mypy-config-file pyproject.toml \
		netsession._netsession netsession._simulator netsession.records
	$(BIN)/clang-format --dry-run -Werror $(C_FILES)

format: $(VENV)/.lint
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(C_FILES)

wheel: $(VENV)/.demo
	$(BIN)/python -m pip -q wheel --no-deps -w dist .

# --- virtual environment -------------------------------------------------------------------

$(BIN)/python:
	sh tools/venv.sh $(PYTHON) $(VENV)

$(VENV)/.demo: $(BIN)/python $(SOURCES)
	PYTHONWARNINGS=ignore $(BIN)/python -m pip -q install -e '.[all]'
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	$(BIN)/python -m pip -q install --group test --group fleet
	@touch $@

$(VENV)/.domain: $(VENV)/.test
	@$(BIN)/python -m pip -q install --group domain && touch $@ || \
		echo "Kerberos could not be compiled (see above); the domain tier will say what it needs"

$(VENV)/.lint: $(VENV)/.test
	$(BIN)/python -m pip -q install --group lint
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info netsession/*.so .mypy_cache .pytest_cache .ruff_cache
