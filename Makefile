# Needs Python 3.11 or later with its venv module, and nothing else.
#   make demo [FILE=path]         move one file through an embedded fabric on this machine
#   make test [PYTHON=python3.13] run the whole test suite (JOBS=1: one test after another)
# The others: check, bench, docs, clean.

PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := .venv/$(VERSION)
BIN := $(VENV)/bin
JOBS ?= 3
PEERS := .peers/$(VERSION)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test check bench docs clean

help:
	@sed -n '1,4s/^# \{0,1\}//p' Makefile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; choose one with PYTHON=python3.x" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
		{ echo "$(PYTHON) lacks its venv module (Debian: apt install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run: $(BIN)/python pyproject.toml
	@echo "setting up $(VENV) (once)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/develop: $(BIN)/python pyproject.toml
	@echo "setting up $(VENV) with the tools for developers (once)"
	@$(PIP) --editable '.[test,check,docs,bench]'
	@touch $@ $(VENV)/run

# The published 0.1.x packages, which the tests and the benchmark talk to, in an environment of their own.
$(PEERS)/ready: tests/interop/peers.txt
	@echo "setting up $(PEERS) with the published 0.1.x packages (once)"
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement tests/interop/peers.txt
	@touch $@

demo: $(VENV)/run
	@$(BIN)/dxlft demo --home demo-home $(if $(FILE),"$(FILE)")

# Most tests wait for processes and connections, so there is one worker more than small machines have
# cores. In the given order, since the files with the longest tests come first then.
test: $(VENV)/develop $(PEERS)/ready
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile \
		--no-loadscope-reorder $(ARGS)

check: $(VENV)/develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/develop $(PEERS)/ready
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/develop
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

clean:
	rm -rf .venv .peers .cache build dist docs/_build demo-home *.egg-info
