# Two commands do everything: `make run` and `make test`. They set .venv up from constraints.txt first.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# a tool's own command with our settings; both databases are set up here, or the first run would wait for that
SETTLED := $(BIN)/python -m tasks.environment

.PHONY: run test test-slow check base clean

run: .venv/installed            ## from the sample images to a registered adapter; then edit params.yaml
	@$(BIN)/dopsd run

test: .venv/installed-dev       ## all tests, a file to a process
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-slow: .venv/installed-dev  ## what takes longer: every pair of changes that the plan is tried with
	@$(BIN)/python -m pytest -m slow

check: .venv/installed-dev      ## style, types, direction of imports, dvc.yaml
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tasks.dvcfile --check

base: .venv/installed-dev       ## train the tiny models again, from nothing; takes hours on a CPU
	OMP_NUM_THREADS=1 $(BIN)/torchrun --nproc-per-node 2 -m recipes.tiny make

clean:                          ## forget what was made here, but for the registry
	rm -rf data runs .dvc/cache .dvc/tmp dvc.lock

# torch by itself and first: a resolver that may choose takes a build with gigabytes of CUDA
.venv/installed: constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	@echo "setting up .venv (some minutes, once)"
	@$(PYTHON) -m venv .venv
	@$(PIP) torch==2.13.0
	@$(PIP) --editable .
	@$(SETTLED) mlflow db upgrade sqlite:///mlflow.db
	@$(SETTLED) prefect server database upgrade --yes
	@touch $@

.venv/installed-dev: .venv/installed
	@$(PIP) --editable '.[dev]'
	@touch $@
