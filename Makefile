# make demo    list a simulated server, in a virtual environment of its own
# make test    all tests that this machine can run
# See README.md for the rest.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := $(wildcard src/*.c src/*.h) setup.py pyproject.toml
C_FILES := $(wildcard src/*.c src/*.h)
DEMO_SESSIONS ?= 12
# What is compiled once is kept: thousands of processes of the tests import the same modules.
unexport PYTHONDONTWRITEBYTECODE
# The domain tier needs root and Kerberos, which is compiled (a minute): only where both can be.
KERBEROS := $(if $(filter 0,$(shell id -u)),$(if $(shell command -v krb5-config 2>/dev/null),$(VENV)/.domain))

FUZZ_SECONDS ?= 30

.PHONY: demo test test-python test-windows test-interpreters interpreters test-dependencies asan tsan leaks fuzz \
	hostile mutants mutants-c mutants-python coverage bench bench-fleet lint format docs docs-links docs-pages wheel clean

demo: $(VENV)/.demo
	@$(BIN)/netsession list --demo $(DEMO_SESSIONS)
	@echo
	@echo "These sessions were simulated. For those of a real server:"
	@echo "    $(BIN)/netsession list SERVER --auth-user USER"

test: test-python test-windows

# Against smbd and in a domain where Samba is installed; skipped with the package's name where not.
# Three files at a time (pytest-xdist): much of it is waiting. In the order of their names, which
# begins with those that take long; by the number of tests, which is usual, some came last.
test-python: $(VENV)/.test $(KERBEROS)
	$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder

# The wheel, in the official Windows CPython under Wine; skipped like Samba.
# WINDOWS=--suite-once: the native calls on each, all the rest on one.
test-windows: $(VENV)/.test
	$(BIN)/python tools/windows/run_tests.py $(WINDOWS)

# Every CPython of this machine; 3.14, 3.15, free-threaded and debug ones are built for it.
# INTERPRETERS='3.12 3.14t': only those.
test-interpreters: $(VENV)/.test
	$(BIN)/python tools/interpreters/run.py $(INTERPRETERS:%=--only %)

# Only those that have to be built for it, which needs no virtual environment.
interpreters:
	$(PYTHON) tools/interpreters/run.py --no-tests $(INTERPRETERS:%=--only %)

# All tests that run C of ours under AddressSanitizer and UndefinedBehaviorSanitizer.
asan: $(VENV)/.test
	$(BIN)/python tools/interpreters/sanitize.py

# Sixteen threads at each object under ThreadSanitizer; a free-threaded CPython is built for it.
tsan: $(VENV)/.test
	$(BIN)/python tools/interpreters/races.py

# What each public call leaves behind: ROUNDS=200, in this Python and in a debug build.
leaks: $(VENV)/.test
	$(BIN)/python tools/interpreters/count_leaks.py $(ROUNDS)

# The real-server tier with the oldest dependencies that pyproject.toml allows, and the newest.
# DEPENDENCIES=oldest: only those.
test-dependencies: $(VENV)/.test
	$(BIN)/python tools/dependencies.py $(DEPENDENCIES)

# Coverage-guided, from the corpus that is kept: FUZZ_SECONDS for all targets together.
fuzz: $(VENV)/.test
	$(BIN)/python tests/fuzz/run.py --seconds $(FUZZ_SECONDS)

# An SMB server that misbehaves in every way that the tests know, everywhere: ten minutes.
hostile: $(VENV)/.test
	$(BIN)/python tests/hostile/everything.py $(or $(EVERY),1)

# Beside the peers, each in an environment of its own.
bench: $(VENV)/.test
	$(BIN)/python benchmarks/run.py

# What a server of a scan costs, and how scans scale: a quarter of an hour.
bench-fleet: $(VENV)/.test
	$(BIN)/python benchmarks/fleet.py

# Do the tests notice when the Python of names, deletes, the wire and watch is changed? Hours; a
# sample: make mutants-python MUTANTS='--every 20', one module: MUTANTS=_names.py.
mutants-python: $(VENV)/.test
	$(BIN)/python tools/mutants/run_python.py $(MUTANTS)

# How much of the C and the Python the tests of this machine run; below 95 % is a failure.
coverage: $(VENV)/.test
	$(BIN)/python -m pip -q install --group coverage
	$(BIN)/python tools/coverage/run.py $(COVERAGE)

lint: $(VENV)/.lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest --mypy-config-file pyproject.toml \
		netsession._netsession netsession._simulator netsession.records
	NETSESSION_REQUIRE_TYPES=1 $(BIN)/python -m pytest -q tests/test_typing.py
	$(BIN)/clang-format --dry-run -Werror $(C_FILES)

format: $(VENV)/.lint
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(C_FILES)

# The guide, as a site in build/site; what a link or a page lacks is an error.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(BIN)/python tools/docs/links.py
	@echo "The guide is in build/site: open build/site/index.html, or: $(BIN)/mkdocs serve"

# What of docs/ is made from the code: commands, errors, pictures. A test wants it to be current.
docs-pages: $(VENV)/.test
	$(BIN)/python tools/docs/generate.py

# The links to other sites too, which needs a network.
docs-links: $(BIN)/python
	$(BIN)/python tools/docs/links.py --external

# Every mutation of the code must fail a test; `make mutants-c MUTANTS=utf16` tries some.
mutants: mutants-c mutants-python

mutants-c: $(VENV)/.test
	$(BIN)/python tools/mutants/run_c.py $(MUTANTS)

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

$(VENV)/.docs: $(VENV)/.demo
	@$(BIN)/python -m pip -q install --group docs
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info netsession/*.so .mypy_cache .pytest_cache .ruff_cache
