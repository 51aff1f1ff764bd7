# Everything a checkout can do. `make` alone lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What the checks look at; folders that do not exist yet are left out.
PACKAGES := $(wildcard postroom producers worker simulator)
# The tests wait more than they work. A file stays with one process: its tests share a stack; the
# longest files go first (tests/conftest.py), so that the last is not waited for alone.
PARALLEL := -n 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo check test test-all mutants chaos lint types bench worker producer flower up lock

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Set up .venv from requirements.lock (PYTHON=python3.12 chooses another Python)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "postroom: Python 3.11 or newer is needed and $(PYTHON) is not; try make PYTHON=python3.12" >&2; \
	    exit 2; }
	@if test -e $(VENV) && ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	    echo "postroom: $(VENV) is not whole; making it anew"; rm -rf $(VENV); fi
	@test -e $(VENV) || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "postroom: $(PYTHON) cannot make virtual environments; on Debian: apt install python3-venv" >&2; \
	    exit 2; }
	@test -e $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## Send a sample campaign through a local stack: no AWS, no Docker, no root
	@$(BIN)/postroom demo

check: lint types ## Linter, formatter, types and unit tests: some seconds, for the inner loop
	$(BIN)/python -m pytest -q tests/unit tests/test_house_rules.py

test: lint types ## Everything CI checks: linter, formatter, types, tests
	$(BIN)/python -m pytest -m "not slow" $(PARALLEL)

test-all: lint types ## The same with the tests that take minutes
	$(BIN)/python -m pytest --hypothesis-profile=thorough $(PARALLEL)

mutants: setup ## Whether the fast tests notice each mutation of tests/mutants (ONLY=name tries one)
	$(BIN)/python -m tests.mutants $(ONLY)

chaos: setup ## Kill, stop, cut and freeze everything while campaigns are sent (SEED=n has a run again)
	$(BIN)/python -m tests.chaos $(SEED)

lint: setup ## Linter and formatter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## Type checker
	$(BIN)/mypy $(PACKAGES)

bench: setup ## Measure the figures of benchmarks/README.md
	$(BIN)/python -m benchmarks

worker: setup ## Run one worker (POSTROOM_REDIS_URL, POSTROOM_CONFIG)
	@PATH="$(CURDIR)/$(BIN):$$PATH" exec deploy/entrypoint.sh worker

producer: setup ## Run one producer
	@PATH="$(CURDIR)/$(BIN):$$PATH" exec deploy/entrypoint.sh producer

flower: setup ## Run Flower, read-only, on this machine alone (FLOWER_ADDRESS, FLOWER_PORT, FLOWER_BASIC_AUTH)
	@PATH="$(CURDIR)/$(BIN):$$PATH" exec deploy/entrypoint.sh flower

up: setup ## Start a local stack (Redis, simulator, producer, worker) until Ctrl-C; KEEP=1 keeps its data
	@exec $(BIN)/postroom up $(if $(KEEP),--keep)

# The locks serve every Python from 3.11 on and every platform, and name no package index.
# requirements-runtime.lock is what the image installs: no test tools, the same versions.
LOCK = "$$uv" pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --quiet

lock: ## Pin every dependency with hashes anew (wants uv; fetches one when there is none)
	@if command -v uv >/dev/null; then uv=uv; else \
	    uv_home=$$(mktemp -d); trap 'rm -rf "$$uv_home"' EXIT; \
	    $(PYTHON) -m venv "$$uv_home" && "$$uv_home/bin/pip" install --quiet uv; uv="$$uv_home/bin/uv"; fi; \
	$(LOCK) --all-extras --group dev -o requirements.lock && \
	$(LOCK) --extra cli --extra producer --extra worker --extra flower --extra simulator \
	    --constraint requirements.lock -o requirements-runtime.lock
