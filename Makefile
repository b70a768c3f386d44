# One way to do each thing. `make demo` and `make test` need Python 3.11+, git and make; they fetch the rest themselves.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready
SOURCES := kamu_assets kamu_gateway kamu_api tests deployment

export KAMU_NODE_HOME ?= $(CURDIR)/.node

.PHONY: help setup fmt lint test faults conformance bench peers demo up down

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

setup: $(READY)  ## the environment, from the lock file

$(READY): pyproject.toml uv.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none was found. Set PYTHON=/path/to/python3."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "Python's venv module is needed (Debian: apt-get install python3-venv)."; exit 1; }
	@test -x $(BIN)/uv || $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --upgrade >/dev/null
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv sync --quiet --frozen --all-groups --inexact --compile-bytecode
	@touch $@

fmt: $(READY)  ## format the code
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

lint: $(READY)  ## the lock file, style, types, import contracts, what Dagster loads
	$(BIN)/uv lock --quiet --check --offline
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	DAGSTER_HOME= VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/dg check defs

test: $(READY)  ## every test, real neighbours included
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(ARGS)

faults: $(READY)  ## kills, power cuts, races, full and rotten disks, poison: the long form, with figures
	$(BIN)/pytest -n 2 --dist load --maxschedchunk 1 --max-worker-restart 0 -m 'faults or fault_matrix' $(or $(ARGS),tests/faults tests/integration tests/scenarios/test_recovery.py tests/scenarios/test_outages.py)

conformance: $(READY)  ## ODF vectors and recordings of a real kamu [VECTORS=folder] [RECORDED=folder]
	$(BIN)/python -m tests.conformance $(if $(VECTORS),--vectors $(VECTORS)) $(if $(RECORDED),--recorded $(RECORDED))

PEERS := .venv-peers/.ready

bench: $(READY) peers  ## measure [ONLY=workload or group]
	$(BIN)/python -m tests.bench $(if $(ONLY),--only $(ONLY))

# Without a network the measurements go on: peers that are not there are reported as missing.
peers: $(READY)
	@test $(PEERS) -nt tests/bench/peers/requirements.txt || { \
	  $(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-peers && \
	  $(BIN)/uv pip install --quiet --python .venv-peers/bin/python -r tests/bench/peers/requirements.txt && \
	  touch $(PEERS); } || echo "peers cannot be installed: they will be reported as missing"

demo: $(READY)  ## a node with real data that goes on running [DETACH=1]
	$(BIN)/python -m deployment.demo $(if $(DETACH),--detach)

up: $(READY)  ## an empty node [DETACH=1]
	$(BIN)/kamu-node up $(if $(DETACH),--detach)

down: $(READY)  ## stop what `make demo DETACH=1` or `make up DETACH=1` started
	$(BIN)/kamu-node down
