# Two commands do everything on a fresh machine: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# An activated checkout exports it, and it would keep the services of `dagster dev` from starting.
unexport DAGSTER_MODULE_NAME
export DAGSTER_HOME := $(CURDIR)
# Another profile for any of the targets: make demo PROFILE=local-llm
ifdef PROFILE
export STABLELLAVA_PROFILE := $(PROFILE)
endif
export PYTHONWARNINGS := ignore:Function `asset_materialize_command` is superseded,ignore:Function `dev_command` is superseded

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format ui scores warehouse clean

# Targets with a comment behind two hashes, in the order of this file.
help: ## list the targets and their variables
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "Variables, as in \`make ui UI_PORT=3001\`:"
	@echo "PYTHON=python3.12      setup: interpreter that creates .venv (Python 3.11 or newer)"
	@echo "PROFILE=local-llm      demo, ui, scores, warehouse: built-in profile, or path of a YAML file"
	@echo "TESTS=PATH             test: test files or folders to run instead of the whole suite"
	@echo "UI_PORT=3001           ui: port of the Dagster UI instead of 3000"
	@echo "STABLELLAVA_DATA=PATH  demo, ui, scores, warehouse: data folder instead of data/"

setup: $(VENV)/.dev ## create .venv with pinned dependencies; the other targets install what they need

# What runs need, without what tests, linters and the local chat model need beside it.
$(VENV)/.ready: pyproject.toml constraints.txt .ci/install
	@PYTHON=$(PYTHON) .ci/install $(VENV)
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt .ci/install
	@PYTHON=$(PYTHON) .ci/install $(VENV) dev
	@touch $(VENV)/.ready $@

demo: $(VENV)/$(if $(filter local-llm,$(PROFILE) $(STABLELLAVA_PROFILE)),.dev,.ready) ## synthesize, filter, tune and score one batch of every ability
	@$(BIN)/stablellava demo

# Where Python may not keep what it compiled, every process that a test starts compiles the project again.
test: setup ## run the test suite
	@.ci/browser $(BIN)/python
	@.ci/servers $(BIN)/python
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(TESTS)

lint: setup ## ruff check, ruff format --check and mypy, as CI runs them
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup ## apply ruff's fixes and formatting
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

ui: $(VENV)/.ready ## open the Dagster UI on http://localhost:3000
	@$(BIN)/dagster instance migrate >/dev/null 2>&1
	@$(BIN)/dagster dev $(if $(UI_PORT),--port $(UI_PORT))

scores: $(VENV)/.ready ## print the scores of the current checkpoint
	@$(BIN)/stablellava scores

warehouse: $(VENV)/.ready ## rebuild data/warehouse.duckdb from the Parquet tables
	@$(BIN)/stablellava rebuild-warehouse

clean: ## delete the contents of data/, the product of every run
	@find data -mindepth 1 ! -name README.md -delete
