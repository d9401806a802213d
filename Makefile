PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKSPACE ?= workspace
PORT ?= 5006

.PHONY: help install serve demo test check lint types screenshots clean

help:  ## List the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

install: $(STAMP)  ## Make the environment in .venv

serve: $(STAMP)  ## Open the demo at http://localhost:5006 (keeps what you label in ./workspace)
	$(BIN)/plumbline serve --with-demo --workspace $(WORKSPACE) --port $(PORT)

demo: $(STAMP)  ## Start over with a fresh demo workspace in ./workspace-demo
	$(BIN)/plumbline demo --fresh --workspace workspace-demo --port $(PORT)

test: $(STAMP)  ## Run every test (no GPU needed)
	$(BIN)/python -m pytest -n auto --maxprocesses=4 --dist=loadfile $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

screenshots: $(STAMP)  ## Take the pictures of README and docs anew
	$(BIN)/python docs/screenshots.py

check: lint types test  ## Lint, types and tests

clean:  ## Remove the environment and caches (workspaces are kept)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
