# The ways in. Nothing here writes outside this folder, except pip into its own cache.
# A machine needs make and Python 3.11 or newer; Node and the AWS CLI come as wheels into .venv.

VENV := .venv
# Tests mostly wait. Two run at a time, and those that look at the whole host one after another (tests/conftest.py).
WORKERS ?= 2
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test test-vm fuzz check bench bench-s3 soak kills operations protocols clean

help: ## What there is to type
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Make .venv with the command `cosset` in it
	@echo "Ready: $(BIN)/cosset up"

# Made again only when the dependencies changed. The first Python that is new enough wins.
$(STAMP): pyproject.toml
	@set -eu; if [ ! -x $(BIN)/python ]; then \
	  found=; for each in $${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14}; do \
	    if "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$each; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "Cosset needs Python 3.11 or newer, and here is: $$(python3 --version 2>&1 || echo none)." >&2; \
	    echo "  fix: install one, or name it: make install PYTHON=/path/to/python3.11" >&2; exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$("$$found" --version)"; \
	  if ! "$$found" -m venv $(VENV); then \
	    rm -rf $(VENV); echo "  fix: on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; \
	  fi; \
	fi
	@echo "Installing what pyproject.toml lists (a minute or two the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@$(BIN)/python -m compileall -q src  # a server without privileges could not keep what it compiles
	@touch $@

demo: $(STAMP) ## The main job, end to end, on real input
	$(BIN)/python demo/demo.py

test: $(STAMP) ## The whole suite with what this machine has; each skip names what is missing
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) $(ARGS)

fuzz: $(STAMP) ## 10,000 signed random calls and every violation of every constraint, on a server that must stay well
	COSSET_FUZZ_CALLS=10000 $(BIN)/python -m pytest tests/security/test_any_call.py tests/security/test_broken_params.py

test-vm: $(STAMP) ## In a virtual machine: cgroups of version 2, an ordinary user, the power going off (STAGES="power root")
	$(BIN)/python tests/vm/run.py $(STAGES)

check: $(STAMP) ## What CI checks without running anything: style, types, the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP) ## Figures, as ratios against a floor measured in the same run
	$(BIN)/python -m bench

bench-s3: $(STAMP) ## 5 GB through one bucket, and 10,000 files by `aws s3 sync` (GB=5 FILES=10000), some minutes
	$(BIN)/python -m bench.s3_clients $(or $(GB),5) $(or $(FILES),10000)

soak: $(STAMP) ## Half load for half an hour: what grows? (MINUTES=30)
	$(BIN)/python -m bench.soak $(or $(MINUTES),30)

kills: $(STAMP) ## kill -9, 200 times, under load through topics, queues, functions and destinations (KILLS=200)
	COSSET_CRASH_KILLS=$(or $(KILLS),200) $(BIN)/python -m pytest tests/crash/test_pipeline.py

operations: $(STAMP) ## Write docs/operations.md and docs/settings.md anew from the code
	$(BIN)/python -m cosset.cli.reference docs

protocols: $(STAMP) ## The wire room against the Smithy protocol tests (COSSET_PROTOCOLS=folder with input/ and output/)
	$(BIN)/python tests/protocols/check_smithy_cases.py

clean: ## Remove what was made here, .venv included
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .vm
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
