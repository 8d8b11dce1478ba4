# The verbs of the project. Everything is installed into .venv on first use; `make test` needs no other preparation.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := app.py costlens workers tests benchmarks migrations

.PHONY: run demo test check bench clean

run: .venv/server ## start CostLens on http://127.0.0.1:8787
	$(BIN)/costlens up

demo: .venv/server ## start it with the demo organization
	$(BIN)/costlens demo

test: .venv/dev ## checks and all tests
	$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

check: .venv/dev ## style, types, import contracts, templates
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint --check templates
	$(BIN)/djlint --lint templates

bench: .venv/server ## measure; benchmarks/README.md says what
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv build dist *.egg-info artifacts

.venv/server: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[server]'
	touch $@

.venv/dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ .venv/server
