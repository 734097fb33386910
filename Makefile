# Each target sets up what it needs. The virtual environment in .venv belongs to this file.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SPECTRAL := $(VENV)/node/node_modules/.bin/spectral

.PHONY: run test test-chaos lint bench clean openapi

run: $(VENV)/.runtime
	@exec $(BIN)/python -m rudderproxy.development

# Side by side what can be, as many of the tests mostly wait; then what measures time.
# The MCP clients that are written for Node are tried where there is npm.
test: $(VENV)/.tests
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(VENV)/.node-mcp; \
	elif [ -n "$$CI" ]; then echo "test: npm is missing, and CI skips nothing" >&2; exit 1; fi
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not alone"
	$(BIN)/python -m pytest -m alone

# Kills, full load and fuzzing at length, at random: over an hour. A failure prints how to reproduce it.
test-chaos: $(VENV)/.tests
	$(BIN)/python -m pytest -m chaos

lint: $(VENV)/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.tools.run_manage makemigrations --check --dry-run
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(SPECTRAL) && $(SPECTRAL) lint docs/openapi.json --fail-severity hint; \
	elif [ -n "$$CI" ]; then echo "lint: npm is missing, and CI skips nothing" >&2; exit 1; \
	else echo "lint: npm is missing, so docs/openapi.json was not linted (apt-get install npm)"; fi

# Measures the gateway beside other ways of doing the same, and writes docs/performance.md. QUICK=1: seconds only, nothing written.
# BENCH="audited-postgresql small 32": only these; `make bench BENCH=help` lists the names. BENCH=jobs: jobs alone; BENCH="jobs help" lists theirs.
bench: $(VENV)/.tests $(VENV)/.bench
	@$(if $(filter jobs,$(BENCH)),,$(BIN)/python -m tests.bench $(if $(QUICK),--quick) $(BENCH))
	@$(if $(and $(BENCH),$(filter-out jobs,$(firstword $(BENCH)))),,$(BIN)/python -m tests.bench.jobs $(if $(QUICK),--quick) $(filter-out jobs,$(BENCH)))

# Writes the committed copy of the OpenAPI document anew.
openapi: $(VENV)/.tests
	$(BIN)/python -m tests.tools.write_openapi

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is missing (apt-get install python3 python3-venv)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Python 3.11 or later is needed; set PYTHON=" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: Python's venv is missing (apt-get install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.txt | $(VENV)/bin/python
	@echo "installing what requirements.txt names into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.tests: tests/requirements.txt $(VENV)/.runtime
	@echo "installing what tests/requirements.txt names into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

# The baseline is no dependency, so it lies apart; beside it the same packages as in $(VENV).
$(VENV)/.bench: tests/bench/requirements.txt $(VENV)/.runtime
	@echo "installing what tests/bench/requirements.txt names into $(VENV)/bench ..."
	@$(BIN)/python -m venv $(VENV)/bench
	@$(BIN)/python -m pip freeze --disable-pip-version-check > $(VENV)/bench/constraints.txt
	@$(VENV)/bench/bin/python -m pip install --quiet --disable-pip-version-check -c $(VENV)/bench/constraints.txt \
		-r requirements.txt -r tests/bench/requirements.txt
	@touch $@

$(SPECTRAL):
	@npm install --silent --no-fund --no-audit --prefix $(VENV)/node @stoplight/spectral-cli@6.16.3

$(VENV)/.node-mcp: tests/package.json | $(VENV)/bin/python
	@echo "installing what tests/package.json names into $(VENV)/node-mcp ..."
	@mkdir -p $(VENV)/node-mcp
	@cp tests/package.json $(VENV)/node-mcp
	@npm install --silent --no-fund --no-audit --no-package-lock --prefix $(VENV)/node-mcp
	@touch $@
