# The commands of Tunery. `make demo` and `make test` are all a newcomer needs; both install what they use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup demo test check hostile chaos sequences docs fix clean compiler bench-data bench-engine soak

help:
	@echo "make demo    the whole product in one command: import, train, evaluate, publish, ask, console"
	@echo "make test    everything that continuous integration runs"
	@echo "make check   the fast part: format, lint, imports, types, quick tests"
	@echo "make hostile hostile files against the check of data; leaves hostile-report.json"
	@echo "make chaos   200 runs while processes are killed, stopped and restarted; leaves chaos-report.json"
	@echo "make sequences 1,000 random sequences of what happens to a run, on SQLite and on PostgreSQL"
	@echo "make docs    write the reference from the code"
	@echo "make bench-data   how fast a file becomes a dataset, beside the datasets library"
	@echo "make bench-engine how fast training is, beside TRL and LLaMA-Factory"
	@echo "make soak    the same at 1 GB and with 10 million rows, and an upload of 10 GB"
	@echo "make fix     format, and fix what the linter can"

setup: $(STAMP)

# The lock is the constraints file; torch is pinned to a release that resolves to a CPU build.
$(STAMP): pyproject.toml constraints.txt tools/compile.py $(wildcard src/tunery/*/_*.[ch])
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	@touch $(STAMP)

demo: setup
	$(BIN)/tunery demo

test: compiler setup
	$(BIN)/python tools/browser.py
	$(BIN)/python tools/postgres.py
	$(MAKE) --no-print-directory lint
	$(BIN)/pytest -n 2 --dist loadfile --durations 40 || $(BIN)/python tools/again.py

compiler:
	$(PYTHON) tools/compiler.py

bench-data: setup
	$(BIN)/python -m bench.data

bench-engine: setup
	$(BIN)/python -m bench.engine

soak: setup
	$(BIN)/python -m bench.soak

.PHONY: lint
lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright

check: setup lint
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow and not e2e"

hostile: setup
	$(BIN)/python -m bench.hostile

chaos: setup
	$(BIN)/python tools/postgres.py
	$(BIN)/python -m tests.chaos

sequences: setup
	$(BIN)/python tools/postgres.py
	TUNERY_TEST_SEQUENCES=1000 $(BIN)/pytest -n0 -o timeout=7200 tests/jobs/test_sequences.py

docs: setup
	$(BIN)/python -m tools.reference

fix: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
