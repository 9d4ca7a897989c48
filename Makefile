# make demo   the whole loop on the embedded AWS            make lint   ruff, mypy, cfn-lint, cdk-nag
# make test   every test                                    make bench  every benchmark (long)
# Each installs what it needs into the checkout (.venv, node_modules, .venvs), from the pins, once.

PYTHON ?= python3
BIN    := .venv/bin
# A run starts hundreds of Pythons: they read what the first one has compiled, whatever the machine's own setting is.
export PYTHONDONTWRITEBYTECODE :=
# Tests wait more than they compute, so more workers than cores pay off.
WORKERS ?= 4
# In units that tests/conftest.py makes, longest first.
SPREAD   = -n $(WORKERS) --dist loadscope

.DEFAULT_GOAL := help
.PHONY: help install demo test test-unit test-synth test-local lint format bench pins clean

help:
	@sed -n 's/^# \(make.*\)/\1/p' Makefile

# A stamp of an installation is newer than the pins it was made from.
.venv/main.stamp: requirements/main.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ratchet needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Say which to use: make demo PYTHON=python3.11")'
	@echo "install: Python packages (once, about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/main.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.venv/dev.stamp: requirements/dev.txt .venv/main.stamp
	@echo "install: what the tests need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	@touch $@

node_modules/.stamp: package-lock.json .venv/main.stamp
	@echo "install: the cdk command"
	@$(BIN)/npm ci >.venv/npm.log 2>&1 || { cat .venv/npm.log; echo "install: npm ci failed, as above; it fetches from the registry of npm_config_registry or .npmrc"; exit 1; }
	@touch $@

.venvs/sdk/stamp: requirements/sdk.txt
	@echo "install: the aws command and the SageMaker SDK, for the tests, in an environment of their own"
	@test -x .venvs/sdk/bin/python || $(PYTHON) -m venv .venvs/sdk
	@.venvs/sdk/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/sdk.txt
	@touch $@

.venvs/serving/stamp: requirements/serving.txt .venv/main.stamp
	@echo "install: AWS's serving code for PyTorch, for the tests, in a folder of its own"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target .venvs/serving --upgrade -r requirements/serving.txt
	@touch $@

.venvs/toolkits/stamp: requirements/toolkits.txt
	@echo "install: the code of AWS's training containers, for the tests, in an environment of its own"
	@test -x .venvs/toolkits/bin/python || $(PYTHON) -m venv .venvs/toolkits
	@.venvs/toolkits/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements/toolkits.txt
	@touch $@

install: .venv/main.stamp node_modules/.stamp

demo: install
	@$(BIN)/python -m demo

test: .venv/dev.stamp node_modules/.stamp .venvs/sdk/stamp .venvs/toolkits/stamp .venvs/serving/stamp
	@$(BIN)/python -m pytest tests $(SPREAD)

test-unit test-synth test-local: test-%: .venv/dev.stamp node_modules/.stamp
	@$(BIN)/python -m pytest tests/$* $(SPREAD)

lint: .venv/dev.stamp node_modules/.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m infra.lint

format: .venv/dev.stamp
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: install
	@$(BIN)/python bench/platform.py
	@$(BIN)/python bench/cycle.py
	@$(BIN)/python bench/stop.py
	@$(BIN)/python bench/probe.py
	@$(BIN)/python bench/rules.py
	@$(BIN)/python -m bench.results

# Compiled with uv (pip install uv): pins in requirements form hold no registry's address.
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --custom-compile-command "make pins"
pins:
	$(COMPILE) pyproject.toml --output-file requirements/main.txt
	$(COMPILE) pyproject.toml --extra dev --output-file requirements/dev.txt
	$(COMPILE) requirements/sdk.in --output-file requirements/sdk.txt
	$(COMPILE) requirements/toolkits.in --override requirements/toolkits-overrides.in --output-file requirements/toolkits.txt

clean:
	@test ! -x $(BIN)/ratchet || $(BIN)/ratchet down --wipe
	rm -rf .venv .venvs .ratchet node_modules cdk.out
