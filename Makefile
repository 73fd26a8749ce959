# Everything a person types. `make demo` and `make test` set up what they need by themselves.
.DEFAULT_GOAL := help
SHELL := /bin/bash

# The first Python that is 3.11 to 3.13; set PYTHON to choose another one.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
APP := .venv/.installed
ML := .venv-ml/.installed
OTHERS := .venv-bench/.installed
NODE := node_modules/.installed
SOURCES := function_app.py functions shared local tests bench tools

.PHONY: dataset-is-there help install fmt lint type test test-e2e test-faults test-load infra check demo local bench bench-table cover clean worker

help: ## Show this list
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(APP): requirements.txt requirements-local.txt requirements-dev.txt constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 with venv was found. Install one, or: make PYTHON=/path/to/python"; exit 1; }
	@echo "Installing the app and its tools into .venv ..."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(ML): requirements-ml.txt constraints-ml.txt tools/install_ml.py
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 with venv was found. Install one, or: make PYTHON=/path/to/python"; exit 1; }
	@echo "Installing what trains and serves into .venv-ml (about 1.3 GB) ..."
	@.venv-ml/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv-ml
	@.venv-ml/bin/python tools/install_ml.py
	@touch $@

$(OTHERS): requirements-bench.txt constraints-bench.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 with venv was found. Install one, or: make PYTHON=/path/to/python"; exit 1; }
	@echo "Installing what benchmarks compare with into .venv-bench (about 700 MB) ..."
	@.venv-bench/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv-bench
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch $@

$(NODE): package.json package-lock.json
	@command -v npm >/dev/null || { echo "npm was not found. Install Node.js 18 or newer."; exit 1; }
	@echo "Installing Azurite into node_modules ..."
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

install: $(APP) $(ML) $(NODE) ## Install everything into .venv, .venv-ml and node_modules

fmt: $(APP) ## Format the code
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix-only $(SOURCES)

lint: $(APP) ## Check style and the direction of imports
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/lint-imports --no-cache

type: $(APP) ## Check types
	$(BIN)/mypy

test: install ## Run unit and functional tests
	$(BIN)/pytest -m "not e2e and not faults and not load" -n 4 --dist loadfile

test-e2e: install ## Run the whole story in processes of its own
	$(BIN)/pytest -m e2e -n 2

test-faults: install ## Hundreds of runs under faults and kills (5 minutes); ARGS="--seed 7 --runs 50" replays one storm
	$(BIN)/pytest tests/faults -m faults $(ARGS)

test-load: install ## A thousand files, a rollout under steady requests, a thousand endpoints, two hundred sweeps (4 minutes)
	$(BIN)/pytest tests/faults -m load -n 2 --dist loadfile $(ARGS)

worker: $(APP) ## Index the app with Microsoft's real worker, where a Python 3.13 is there
	$(BIN)/python tests/tools/index_with_real_worker.py

infra: $(APP) ## Hold infra/ against the code; build, measure and import the deployment package
	$(BIN)/python -m tools.infra --package

check: lint type test test-e2e worker infra test-faults test-load ## What CI runs

demo: dataset-is-there install ## Watch the whole story on this machine; DATASET=file for a dataset of your own
	@$(BIN)/python -m local demo $(if $(DATASET),--dataset "$(DATASET)")

dataset-is-there:
	@test -z "$(DATASET)" || test -f "$(DATASET)" || { echo "make demo: there is no file $(DATASET)"; exit 1; }

local: install ## Start Azure on this machine and keep it running; ARGS="--auth --engine fast" for options
	@$(BIN)/python -m local up $(ARGS)

bench: $(APP) $(NODE) $(OTHERS) ## Measure (about 12 minutes); writes bench/results.json; ARGS="--mb 50 --large-mb 0" for less
	$(BIN)/python -m bench $(ARGS)

bench-table: $(APP) ## Put bench/results.json into docs/performance.md
	$(BIN)/python -m bench.table

cover: install ## Run the tests with coverage
	$(BIN)/coverage run -m pytest -m "not e2e and not faults and not load" && $(BIN)/coverage report --include 'shared/*,functions/*,local/*'

clean: ## Remove what the local Azure has kept, except installed packages and base models
	rm -rf .local/state .local/demo .local/demo-report.json
