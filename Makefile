# Greenroom's commands. They need Python 3.11 or newer (with venv) as `python3`, and nothing else:
# each makes the virtual environment `.venv` by itself, from the hashed lock, and again when the lock changes.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# Tests start many processes, each of which would compile everything anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo run check test chaos bench lock FORCE
.SUFFIXES:

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 14

# The demo never spends: HeyGen's variables stay out of its environment, and it reads neither .env nor any setting.
HEYGEN_VARIABLES := $(filter HEYGEN_% heygen_%,$(.VARIABLES))

demo: $(READY) ## Turn a photo into a talking video, for free; REAL=1 renders at HeyGen and asks first
ifeq ($(REAL),1)
	@$(BIN)/greenroom demo --real
else
	@env $(HEYGEN_VARIABLES:%=-u %) $(BIN)/greenroom demo
endif

run: $(READY) ## Serve on http://127.0.0.1:8080 with the settings of the environment and of .env
	@$(BIN)/greenroom serve

check: $(READY) ## Check format, lint, types, dependencies and the Dockerfile
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/deptry .
	$(BIN)/hadolint Dockerfile

# `loadgroup` keeps tests that share something expensive on one process. Tests wait as much as they compute: four processes
# keep two cores busy, and more would only start more PostgreSQLs.
# One half of the mutants or the other, as the seed falls: `make chaos` tries them all.
test: check ## Check, then run every test, on both databases, in random order
	MUTANTS=half $(BIN)/pytest -n 4 --dist loadgroup

chaos: $(READY) ## Break everything that can break, for twenty minutes; FULL=1 for a night
	@$(BIN)/python -W ignore -m tests.faults chaos

bench: $(READY) ## Measure what things cost: beside a million finished videos, with more replicas, with many tenants
	@$(BIN)/python -m tests.benchmarks.scale
	@$(BIN)/python -W ignore -m tests.benchmarks.replicas
	@$(BIN)/pytest -q -n 0 -p no:randomly -s tests/benchmarks/bench_fair_shares.py

# Versions that still fit are kept; UPGRADE=1 takes the newest. No file names a registry: hosts differ, hashes do not.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)
UV := .venv/uv/bin/uv

lock: $(UV) ## Refresh both lock files after a change of pyproject.toml; UPGRADE=1 takes the newest versions
	$(COMPILE) --output-file requirements.lock pyproject.toml
	$(COMPILE) --output-file requirements-dev.lock --constraints requirements.lock \
		--extra simulator --group dev pyproject.toml

$(UV):
	@echo "Making .venv/uv: uv, which writes the lock"
	@$(PYTHON) -m venv --clear .venv/uv
	@.venv/uv/bin/pip install --quiet --disable-pip-version-check uv

# An environment that was copied, moved, or lost its Python works on somebody else's files, or not at all.
define SOUND
[ "$$(cat $(READY))" = "$$(pwd -P)" ] && $(BIN)/python -c ''
endef

$(READY): requirements-dev.lock pyproject.toml $(shell { $(SOUND); } 2>/dev/null || echo FORCE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Greenroom needs Python 3.11 or newer as $(PYTHON)." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
		{ echo "Greenroom needs Python's venv module (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	@echo "Making .venv from requirements-dev.lock (a minute the first time)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@pwd -P > $@
