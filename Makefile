# boshgate: `make demo` to try it, `make test` for everything that CI runs.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
PURE := tests/xmpp tests/bosh

.PHONY: help demo test check mutants bench matrix conformance-table readme format clean servers

help:
	@echo "make demo     a playground: XMPP server, gateway and page"
	@echo "make test     install what is missing, then every check and every test"
	@echo "make check    format, lint, types, import rule, pure packages at full branch coverage"
	@echo "make mutants  prove that the properties of the BOSH session catch seeded bugs"
	@echo "make bench    CPU per message and memory per session, beside the server's own endpoints"
	@echo "make matrix   write the compliance matrix anew from the tests"
	@echo "make conformance-table  run the kit against four endpoints, and write its table in README.md"
	@echo "make readme   write the made parts of README.md anew"
	@echo "make format   format the code"

demo: $(VENV)/.installed static/vendor/.built
	$(BIN)/boshgate demo $(if $(PORT),--port $(PORT))

# The pure packages have been tested by `check`.
test: $(VENV)/.installed servers static/vendor/.built tests/e2e/node_modules/.installed check
	$(BIN)/pytest --ignore=tests/xmpp --ignore=tests/bosh --durations=15

check: $(VENV)/.installed
	$(BIN)/ruff format --check boshgate tests
	$(BIN)/ruff check boshgate tests
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_imports.py tests/test_readme.py
	$(BIN)/python -m tests.compliance --check
	$(BIN)/pytest -q --numprocesses auto $(PURE) --cov=boshgate.xmpp --cov=boshgate.bosh --cov-branch \
		--cov-report=term-missing:skip-covered --cov-fail-under=100

mutants: $(VENV)/.installed
	$(BIN)/python -m tests.bosh.mutants

bench: $(VENV)/.installed servers
	$(BIN)/python -m tests.bench $(BENCH)

matrix: $(VENV)/.installed
	$(BIN)/python -m tests.compliance

conformance-table: $(VENV)/.installed servers
	$(BIN)/python -m tests.conformance_kit.table

readme: $(VENV)/.installed
	$(BIN)/python -m tests.support.readme

format: $(VENV)/.installed
	$(BIN)/ruff format boshgate tests
	$(BIN)/ruff check --fix boshgate tests

clean:
	rm -rf $(VENV) static/vendor static/node_modules tests/e2e/node_modules
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage dist build

servers:
	@tests/support/install.sh servers

$(VENV)/.installed: pyproject.toml
	@PYTHON="$(PYTHON)" tests/support/install.sh venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[test]'
	@touch $@

static/vendor/.built: static/package-lock.json static/vendor.mjs
	@tests/support/install.sh page
	@[ ! -d $(@D) ] || touch $@

tests/e2e/node_modules/.installed: tests/e2e/package-lock.json
	@tests/support/install.sh clients
	@[ ! -d $(@D) ] || touch $@
