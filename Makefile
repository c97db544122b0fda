# Everything one does with a clone. Nothing here writes outside it: the environment is .venv, pip
# keeps no cache, and the caches of the tools stand beside the code (see .gitignore).

VENV ?= .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.namestore-installed
# Scratch directories of tests stay inside the clone, apart from those of another run beside this.
PYTEST := mkdir -p .pytest_tmp && $(PYTHON) -m pytest --basetemp=.pytest_tmp/$$$$
FAST_TESTS := $(wildcard tests/unit tests/properties tests/contract tests/golden tests/benchmarks)
# Of `simulate`: how many runs, the first of them, and in how many processes.
SEEDS ?= 200
FIRST_SEED ?= 1
JOBS ?= 2
# Of `torture`: for how long, on how many nodes, and what is drawn from; no SEED: a new one.
MINUTES ?= 20
NODES ?= 3

export PIP_NO_CACHE_DIR := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help env protos check-protos lint format check test simulate simulate-coverage torture bench demo clean
.NOTPARALLEL:

help: ## Say what can be made (this is what plain `make` does)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' Makefile

env: $(STAMP) ## Create .venv with namestore and all its tools, or bring it up to date

$(STAMP): pyproject.toml tools/make_env.sh
	@bash tools/make_env.sh "$(VENV)"
	@touch "$@"

protos: env ## Write namestore/v1/ anew from protos/
	$(PYTHON) tools/protos.py write

check-protos: env ## Fail when namestore/v1/ is not what protos/ gives
	$(PYTHON) tools/protos.py check

format: env ## Bring the code into the one format, and mend what ruff can mend
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

lint: env check-protos ## Style, format, types, and the direction of imports
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy --strict namestore
	$(VENV)/bin/lint-imports --no-logo

check: lint ## Everything that is fast: lint, and tests without processes or sockets
	$(PYTEST) $(FAST_TESTS)

test: lint ## Every check and every test; some start real clusters on loopback
	$(PYTEST)

simulate: env ## Whole clusters on simulated time, disks and network; SEEDS= FIRST_SEED= JOBS=
	$(PYTHON) -m tests.simulation run --seeds $(SEEDS) --first $(FIRST_SEED) --jobs $(JOBS)

torture: env ## Real nodes, each in a network of its own, under faults; MINUTES= SEED= NODES=3|5
	$(PYTHON) -m tests.torture --minutes $(MINUTES) --nodes $(NODES) $(if $(SEED),--seed $(SEED))

bench: $(VENV)/.namestore-bench ## namestore beside etcd, ZooKeeper, PostgreSQL, Redis; ARGS=--quick
	$(PYTHON) -m benchmarks $(ARGS)

$(VENV)/.namestore-bench: $(STAMP)
	@echo "installing the other systems' Python clients into $(VENV), and nothing elsewhere"
	@$(PYTHON) -m pip install --quiet --editable '.[bench]'
	@touch "$@"

simulate-coverage: env ## Lines and branches of the engine and the core that a simulation reaches
	$(PYTHON) -m tests.simulation coverage --seeds $(SEEDS) --first $(FIRST_SEED) --jobs $(JOBS)

demo: env ## Three nodes on this machine, shown at work, with words to go with it
	@$(PYTHON) examples/demo.py

clean: ## Remove everything the other targets made, the environment included
	rm -rf "$(VENV)" .namestore .torture build dist ./*.egg-info .hypothesis .coverage .coverage.*
	rm -rf .mypy_cache .pytest_cache .pytest_tmp .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
