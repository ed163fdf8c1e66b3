# Needs git, make and Python 3.11 or later with its headers; everything else goes into .venv, from the
# locks in requirements/. The first target does the set-up, the ones after it cost nothing.

PYTHON ?= python3
VENV   := .venv
BENCH  := .venv-bench
LOCKS  := requirements
SEEDS  ?= 20000
WORLDS ?= 4000
COUNT  ?= 10000

# Hashes for everything, wheels only; the one exception is built first, by the backend that build.txt
# locks, with the C compiler that is here or, if there is none, with one that is fetched for it.
INSTALL := -m pip --quiet --quiet --disable-pip-version-check --no-input install --no-build-isolation
LOCKED  := --require-hashes --only-binary :all:
HERE    := --no-deps --editable .

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint types layers bench soak drill fuzz mutants lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.dev ## make .venv and install all that is locked (every other target does what it needs)

demo: $(VENV)/.run ## an agent crosses trust zones on real data: sojourn demo (ARGS="--report desk.html")
	@$(VENV)/bin/sojourn demo $(ARGS)

test: $(VENV)/.dev ## the tests, as many at a time as there are processors (ARGS="-k quorum" for some of them)
	$(VENV)/bin/python -m pytest -n auto --dist worksteal $(ARGS)

check: lint types layers test ## exactly what CI runs: lint, types, layers, tests

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.dev
	$(VENV)/bin/mypy

layers: $(VENV)/.dev
	$(VENV)/bin/lint-imports --no-logo

bench: $(BENCH)/.bench ## measure, with the peers in the same run, in an environment of their own
	$(BENCH)/bin/python -m benchmarks $(ARGS)

soak: $(VENV)/.dev ## the tests that run for minutes; and SEEDS=20000 schedules of each profile, added to the total
	$(VENV)/bin/python -m pytest -m soak $(ARGS)
	$(VENV)/bin/sojourn sim --profile all --seeds +$(SEEDS) --add-to docs/simulated.toml $(SIM)
	$(VENV)/bin/python -m tests.itineraries --seeds +$(WORLDS) --add-to docs/itineraries.toml

drill: $(VENV)/.dev ## COUNT=10000 workflows in zones of real processes, which a nemesis kills (ARGS="--seed 7")
	$(VENV)/bin/python -m tests.drill --count $(COUNT) $(ARGS)

fuzz: $(VENV)/.dev ## search every decoder for half an hour, led by coverage (ARGS="--minutes 600")
	$(VENV)/bin/python -m tests.fuzz $(ARGS)

mutants: $(VENV)/.dev ## change the code in thousands of places: does a test notice? (ARGS=core/quorum for a part)
	$(VENV)/bin/python -m tests.mutation $(ARGS)

lock: $(VENV)/.lock ## write the locks anew (ARGS=--upgrade for the newest versions)
	$(VENV)/bin/python $(LOCKS)/lock.py $(ARGS)

clean: ## remove what make and its tools have made
	rm -rf $(VENV) $(BENCH) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks requirements -name __pycache__ -prune -exec rm -rf {} +

# Set-up, in stages. A stage that is done leaves a stamp; one that was cut short is done again.

%/.build: $(LOCKS)/build.txt
	@$(PYTHON) $(LOCKS)/preflight.py
	@echo "Setting up $* (once)"
	@$(PYTHON) -m venv $*
	@$*/bin/python $(INSTALL) $(LOCKED) -r $<
	@touch $@

%/.codec: $(LOCKS)/codec.txt %/.build
	@$*/bin/python $(LOCKS)/codec.py $(INSTALL) $(LOCKED) --no-binary cbrrr
	@touch $@

%/.run: $(LOCKS)/run.txt $(LOCKS)/regions.txt pyproject.toml %/.codec
	@$*/bin/python $(INSTALL) $(LOCKED) -r $<
	@$*/bin/python $(INSTALL) $(LOCKED) --no-deps --ignore-requires-python -r $(LOCKS)/regions.txt
	@$*/bin/python $(INSTALL) $(HERE)
	@touch $@

# The data of regions.txt names an old pydantic, which it does not use: pip need not warn of the one for tests.
%/.dev: $(LOCKS)/dev.txt %/.run
	@$*/bin/python $(INSTALL) $(LOCKED) --no-warn-conflicts -r $<
	@touch $@

# One peer's server comes by npm; without npm that peer is left out, and says so.
%/.bench: $(LOCKS)/bench.txt $(LOCKS)/restate/package-lock.json pyproject.toml %/.codec
	@$*/bin/python $(INSTALL) $(LOCKED) -r $<
	@$*/bin/python $(INSTALL) $(HERE)
	@mkdir -p $*/restate && cp $(LOCKS)/restate/*.json $*/restate
	@if command -v npm >/dev/null; then npm ci --prefix $*/restate --ignore-scripts --no-audit --no-fund --silent || echo "The server of Restate could not be installed: that peer will be left out"; fi
	@touch $@

%/.lock: $(LOCKS)/lock.txt %/.build
	@$*/bin/python $(INSTALL) $(LOCKED) -r $<
	@touch $@

.SECONDARY:
