# `make help` says what there is: the line before each target that begins with ##.

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

.PHONY: help demo test test-python test-windows test-interpreters interpreters test-dependencies asan tsan leaks fuzz \
	hostile mutants mutants-c mutants-python coverage bench bench-fleet lint lint-workflows format docs docs-links \
	docs-pages wheel wheels changelog clean

.DEFAULT_GOAL := demo

## this list
help:
	@awk '/^## / { told = substr($$0, 4); next } \
		told && /^[a-z-]+:/ { sub(":.*", ""); printf "%-18s %s\n", $$0, told; told = "" }' $(MAKEFILE_LIST)

## list a simulated server, in a virtual environment of its own
demo: $(VENV)/.demo
	@$(BIN)/netsession list --demo $(DEMO_SESSIONS)
	@echo
	@echo "These sessions were simulated. For those of a real server:"
	@echo "    $(BIN)/netsession list SERVER --auth-user USER"

## all tests that this machine can run
test: test-python test-windows

# Against smbd and in a domain where Samba is installed; skipped with the package's name where not.
# Three files at a time (pytest-xdist): much of it is waiting. In the order of their names, which
# begins with those that take long; by the number of tests, which is usual, some came last.
## of those, what runs in this Python
test-python: $(VENV)/.test $(KERBEROS)
	$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder

# WINDOWS=--suite-once: the native calls on each, all the rest on one. Skipped like Samba.
## of those, what runs in the official Windows CPython, under Wine
test-windows: $(VENV)/.test
	$(BIN)/python tools/windows/run_tests.py $(WINDOWS)

# 3.14, 3.15, free-threaded and debug ones are built for it.
## the core tests in every CPython from 3.11 to 3.15 (INTERPRETERS='3.12 3.14t': only those)
test-interpreters: $(VENV)/.test
	$(BIN)/python tools/interpreters/run.py $(INTERPRETERS:%=--only %)

## those of them that have to be built, which needs no virtual environment
interpreters:
	$(PYTHON) tools/interpreters/run.py --no-tests $(INTERPRETERS:%=--only %)

## all tests that run C of ours under AddressSanitizer and UndefinedBehaviorSanitizer
asan: $(VENV)/.test
	$(BIN)/python tools/interpreters/sanitize.py

## sixteen threads at each object under ThreadSanitizer, in a free-threaded CPython built for it
tsan: $(VENV)/.test
	$(BIN)/python tools/interpreters/races.py

## what each public call leaves behind, in this Python and in a debug build (ROUNDS=200)
leaks: $(VENV)/.test
	$(BIN)/python tools/interpreters/count_leaks.py $(ROUNDS)

## the real-server tier with the oldest dependencies allowed, and the newest (DEPENDENCIES=oldest)
test-dependencies: $(VENV)/.test
	$(BIN)/python tools/dependencies.py $(DEPENDENCIES)

## coverage-guided, from the corpus that is kept: FUZZ_SECONDS=30 for all targets together
fuzz: $(VENV)/.test
	$(BIN)/python tests/fuzz/run.py --seconds $(FUZZ_SECONDS)

## an SMB server that misbehaves in every way that the tests know, everywhere: ten minutes
hostile: $(VENV)/.test
	$(BIN)/python tests/hostile/everything.py $(or $(EVERY),1)

## speed, beside the peers, each in an environment of its own
bench: $(VENV)/.test
	$(BIN)/python benchmarks/run.py

## what a server of a scan costs, and how scans scale: a quarter of an hour
bench-fleet: $(VENV)/.test
	$(BIN)/python benchmarks/fleet.py

# A sample: make mutants-python MUTANTS='--every 20', one module: MUTANTS=_names.py.
## do the tests notice when the Python of names, deletes, the wire and watch is changed? Hours
mutants-python: $(VENV)/.test
	$(BIN)/python tools/mutants/run_python.py $(MUTANTS)

## how much of the C and the Python the tests of this machine run; below 95 % is a failure
coverage: $(VENV)/.test
	$(BIN)/python -m pip -q install --group coverage
	$(BIN)/python tools/coverage/run.py $(COVERAGE)

## style, types, C format, workflows
lint: $(VENV)/.lint lint-workflows
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest --mypy-config-file pyproject.toml \
		netsession._netsession netsession._simulator netsession.records
	NETSESSION_REQUIRE_TYPES=1 $(BIN)/python -m pytest -q tests/test_typing.py
	$(BIN)/clang-format --dry-run -Werror $(C_FILES)

# No machine of ours can run them: so they are linted, and what cibuildwheel would build is compared
# with README's list. zizmor would ask GitHub for more.
## the hosted workflows, and what they would build and publish
lint-workflows: $(VENV)/.workflows
	$(BIN)/actionlint
	$(BIN)/zizmor --offline --quiet .github/workflows
	NETSESSION_REQUIRE_RELEASE=1 $(BIN)/python -m pytest -q tests/test_release.py

## what can be put right of that
format: $(VENV)/.lint
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(C_FILES)

## the guide as a site in build/site; what a link or a page lacks is an error
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(BIN)/python tools/docs/links.py
	@echo "The guide is in build/site: open build/site/index.html, or: $(BIN)/mkdocs serve"

# A test wants it to be current.
## write what of docs/ is made from the code: commands, errors, pictures
docs-pages: $(VENV)/.test
	$(BIN)/python tools/docs/generate.py

## look whether links to other sites work, too; needs a network
docs-links: $(BIN)/python
	$(BIN)/python tools/docs/links.py --external

## both of these: every change of the code must fail a test
mutants: mutants-c mutants-python

## do the tests notice when the C is changed? MUTANTS=utf16 tries some
mutants-c: $(VENV)/.test
	$(BIN)/python tools/mutants/run_c.py $(MUTANTS)

## the wheel for this Python, in dist/
wheel: $(VENV)/.demo
	$(BIN)/python -m pip -q wheel --no-deps -w dist .

# WHEELS='--only 3.11 --no-windows': only those, WHEELS=tests/test_ndr.py: other tests in them.
## the sdist, wheels from it for every CPython here and for Windows, each tested, in dist/
wheels: $(VENV)/.release
	$(BIN)/python tools/release/make_wheels.py $(WHEELS)

## the next version's part of CHANGELOG.md, from changelog.d/ (VERSION=1.2.3)
changelog: $(VENV)/.release
	$(BIN)/towncrier build --yes --version $(VERSION)

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

$(VENV)/.workflows: $(VENV)/.test
	$(BIN)/python -m pip -q install --group workflows
	@touch $@

$(VENV)/.release: $(VENV)/.test
	$(BIN)/python -m pip -q install --group release
	@touch $@

## remove what was made, but not .cache
clean:
	rm -rf $(VENV) build dist *.egg-info netsession/*.so .mypy_cache .pytest_cache .ruff_cache
