# No set-up is needed before `make sweep` or `make test`: each creates a missing .venv.

PYTHON ?= python3
BIN := .venv/bin
DATA_DIR ?= $(wildcard ../shared/data)
PIP = -m pip install --disable-pip-version-check --progress-bar off
INSTALL = $(BIN)/python $(PIP) --constraint requirements.lock
LOG = .venv/pip.log
OR_SAY_WHY = > $(LOG) 2>&1 || { tail -n 30 $(LOG) >&2; echo "pip failed; its full output: $(LOG)" >&2; exit 1; }
# One worker per core, at most eight, since each loads torch. Idle workers take over tests of others.
WORKERS = -n auto --maxprocesses 8 --dist worksteal
PYTEST = GRADREACH_DATA_DIR="$(DATA_DIR)" $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help install install-dev sweep tables tables-check test test-fast openwandb axe test-slow bench gpu-check lint format site lock clean

help: ## show the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | column -t -s '|'

install: .venv/installed ## make .venv and install gradreach, versions from requirements.lock

install-dev: .venv/installed-dev ## also install what tests and lint need

sweep: .venv/installed ## run the default sweep on real data, then write and print its tables
	@echo "== the default sweep: python run.py -m experiment=quickstart"
	@$(BIN)/python run.py -m experiment=quickstart
	@$(BIN)/gradreach tables quickstart

tables: .venv/installed ## rebuild all tables and figures from records, without training
	@$(BIN)/gradreach tables

# Not before installed-dev: pip would replace gradreach beneath it.
tables-check: .venv/installed-dev ## check that all tables and figures are what their records give
	@$(BIN)/gradreach tables --check

test: .venv/installed-dev ## run the tests (those that take minutes: make test-slow)
	@echo "== tests"
	@$(PYTEST) -m "not slow" $(WORKERS)

test-fast: .venv/installed-dev ## run one quick case of each test: half a minute, between two edits
	@$(PYTEST) -m "not slow" --fast --quiet $(WORKERS)

openwandb: .venv/openwandb/installed ## install the server that some tests of W&B need (its licence: non-commercial use only)

axe: .venv/axe/installed ## install axe-core, which checks whether report.html works with keyboard and screen reader

test-slow: .venv/installed-slow ## run the tests that take minutes; installs the extras: ray, slurm, optuna, examples, site
	@$(PYTEST) -m slow

bench: .venv/installed ## measure gradreach's overhead over a hand-written loop (25 minutes on a quiet machine)
	@$(BIN)/python -m benchmarks
	@$(BIN)/python benchmarks/model_speed.py
	@$(BIN)/python benchmarks/watch_cost.py

gpu-check: .venv/installed ## check that everything works on a GPU, and how fast (eight minutes at most)
	@$(BIN)/python -m benchmarks.gpu_check

lint: .venv/installed-dev ## check format, style, types, and which package may import which
	@echo "== ruff, mypy, import-linter"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/installed-dev ## format the code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

site: .venv/installed-site ## build the site into build/site: pages in two languages, API, report; a warning is an error
	@rm -rf build/site build/doctrees
	@$(BIN)/python -m sphinx --fail-on-warning --quiet -c docs/site -d build/doctrees . build/site
	@echo "the site: build/site/index.html"

lock: .venv/installed ## update requirements.lock
	@$(INSTALL) uv $(OR_SAY_WHY)
	@echo "torch==2.13.0" > .venv/pinned.txt
	@{ echo '# Every version that set-up may install; pip reads this file as its constraints. Made by `make lock`.'; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --strip-extras --no-header \
	  --no-annotate --constraint .venv/pinned.txt pyproject.toml; } > .venv/requirements.lock
	@mv .venv/requirements.lock requirements.lock

clean: ## remove .venv and caches; results stay
	@rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis

.venv/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "gradreach needs Python 3.11 or newer, found: $$($(PYTHON) --version 2>&1); try make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "== creating .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: .venv/created pyproject.toml requirements.lock
	@echo "== installing gradreach and what it needs into .venv (torch is large: minutes the first time, never again)"
	@$(INSTALL) --editable '.[bench]' $(OR_SAY_WHY)
	@touch $@

.venv/installed-dev: .venv/installed
	@echo "== installing what tests and lint need into .venv"
	@$(INSTALL) --editable '.[dev]' $(OR_SAY_WHY)
	@touch $@

.venv/installed-site: .venv/installed
	@echo "== installing what the site needs into .venv"
	@$(INSTALL) --editable '.[site]' $(OR_SAY_WHY)
	@touch $@

.venv/installed-slow: .venv/installed-dev
	@echo "== installing the extras ray, slurm, optuna, examples and site into .venv, and uv, which resolves the lock"
	@$(INSTALL) --editable '.[dev,ray,slurm,optuna,examples,site]' uv $(OR_SAY_WHY)
	@touch $@

.venv/openwandb/installed: LOG = .venv/openwandb/pip.log
.venv/openwandb/installed: .venv/created tests/tracking/openwandb.txt
	@echo "== installing openwandb into a folder of its own, .venv/openwandb"
	@$(PYTHON) -m venv .venv/openwandb
	@.venv/openwandb/bin/python $(PIP) --requirement tests/tracking/openwandb.txt $(OR_SAY_WHY)
	@touch $@

# The package brings axe-core (MPL 2.0) as one file; what it needs to drive a browser is not installed: selenium does that.
.venv/axe/installed: LOG = .venv/axe/pip.log
.venv/axe/installed: .venv/created tests/analysis/axe.txt
	@echo "== installing axe-core into a folder of its own, .venv/axe"
	@mkdir -p .venv/axe
	@$(BIN)/python $(PIP) --no-deps --upgrade --target .venv/axe --requirement tests/analysis/axe.txt $(OR_SAY_WHY)
	@touch $@
