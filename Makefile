# Two commands: `make run` talks, `make test` checks everything. Both set up .venv first (no root, no apt).
PYTHON ?= python3
EDGEOS := .venv/bin/edgeos

.PHONY: run test lint bench clean

run: .venv/.run
	@$(EDGEOS) pull
	@$(EDGEOS) demo

test: .venv/.test
	@$(EDGEOS) pull
	@bash scripts/test

lint: .venv/.test
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

bench: .venv/.bench
	@$(EDGEOS) pull
	.venv/bin/python benchmarks/all.py

.venv/.run: pyproject.toml constraints.txt scripts/install.py
	@$(PYTHON) scripts/install.py voice
	@touch $@

.venv/.test: pyproject.toml constraints.txt scripts/install.py
	@$(PYTHON) scripts/install.py voice quantize dev
	@touch .venv/.run $@

.venv/.bench: pyproject.toml constraints.txt scripts/install.py
	@$(PYTHON) scripts/install.py voice quantize dev bench
	@touch .venv/.run .venv/.test $@

clean:
	rm -rf .venv demo answer.wav
