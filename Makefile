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
.PHONY: help setup demo test lint ui scores warehouse clean

help:
	@echo "make demo       synthesize, filter, tune and measure one batch of every ability"
	@echo "                PROFILE=local-llm: prompts and dialogues from a small chat model on this machine"
	@echo "make test       run the test suite"
	@echo "make ui         open the Dagster UI on http://localhost:3000; UI_PORT=3001: on another port"
	@echo "make scores     print the table of abilities again"
	@echo "make warehouse  rebuild data/warehouse.duckdb from the Parquet tables"
	@echo "make lint       ruff and mypy"
	@echo "make clean      delete everything the pipeline made"

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt .ci/install
	@PYTHON=$(PYTHON) .ci/install $(VENV)
	@touch $@

demo: setup
	@$(BIN)/stablellava demo

test: setup
	@.ci/browser $(BIN)/python
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

ui: setup
	@$(BIN)/dagster instance migrate >/dev/null 2>&1
	@$(BIN)/dagster dev $(if $(UI_PORT),--port $(UI_PORT))

scores: setup
	@$(BIN)/stablellava scores

warehouse: setup
	@$(BIN)/stablellava rebuild-warehouse

clean:
	@find data -mindepth 1 ! -name README.md -delete
