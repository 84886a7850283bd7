# `make demo` and `make test` each work alone in a fresh clone: they make .venv themselves.
#
#   make demo [DATA=DIR] [OUT=DIR]   run the whole flow on real data, draw what it found
#   make test [PYTEST_ARGS=...]      the tests, the doctests and the README's code
#   make lint types                  what continuous integration checks besides
#   make docs                        the documentation, docs/_build/html, its gallery run
#   make test-long                   the tests that take minutes
#   make test-oldest, test-latest    the tests on the two ends of the dependency ranges
#   make dist                        the sdist and the wheel, in dist/, built and checked
#   make test-dist                   the same, and the demo on the wheel alone, elsewhere
#   make import-time                 what `import hierlearn` costs
#   make clean                       remove the environments and caches
#
# Options of every target:
#   PYTHON=python3.12   the interpreter of a new .venv (default: the first of 3.11 or later found)
#   CUDA=1              the default torch wheel of the platform; otherwise its CPU-only wheel
#   TORCH_INDEX=URL     where the CPU-only wheel is looked for besides the configured index
#   CONSTRAINTS=FILE    versions to install (default: the tested ones; empty: the newest)
# pip's own settings (PIP_INDEX_URL, PIP_CONSTRAINT, PIP_FIND_LINKS, ...) are respected.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
VENV ?= .venv
CONSTRAINTS ?= requirements/tested.txt
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
OUT ?= out

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install $(addprefix --constraint ,$(CONSTRAINTS))
# The index is only asked for torch, and only briefly: where it cannot be reached, pip goes on
# with the wheels it finds elsewhere.
ifndef CUDA
ifneq ($(TORCH_INDEX),)
TORCH_SOURCE := --extra-index-url $(TORCH_INDEX) --retries 2
endif
endif

# One thread a test process: the processes already fill the cores.
PYTEST := OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest --quiet

.PHONY: demo test test-long test-oldest test-latest docs lint types import-time install-dev clean

demo: $(VENV)/.installed-demo
	$(BIN)/python benchmarks/demo.py --out "$(OUT)" $(if $(DATA),--data "$(DATA)")

test: $(VENV)/.installed-test
	$(PYTEST) --numprocesses auto --maxprocesses 4 $(PYTEST_ARGS)

test-long: $(VENV)/.installed-test
	$(PYTEST) -m long $(PYTEST_ARGS)

test-oldest:
	$(MAKE) test VENV=.venv-oldest CONSTRAINTS=requirements/oldest.txt

test-latest:
	$(MAKE) test VENV=.venv-latest CONSTRAINTS=

# Warnings are errors. SPHINXOPTS=-q prints nothing else; -D plot_gallery=0 leaves examples unrun.
docs: $(VENV)/.installed-docs
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m sphinx -b html -W --keep-going \
		-d docs/_build/doctrees $(SPHINXOPTS) docs docs/_build/html

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

import-time: $(VENV)/.installed-demo
	$(BIN)/python benchmarks/import_time.py

.PHONY: dist test-dist
dist: .venv-dist/.installed
	rm -rf dist
	.venv-dist/bin/python -m build --outdir dist .
	.venv-dist/bin/python -m twine check --strict dist/*

test-dist: dist
	MAKE="$(MAKE)" CONSTRAINTS="$(CONSTRAINTS)" bash .ci/test-dist

install-dev: $(VENV)/.installed-dev

$(VENV)/.torch: $(CONSTRAINTS)
	@test -n "$(PYTHON)" || { \
	echo "hierlearn needs Python 3.11 or later: name one with make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-deps $(TORCH_SOURCE) torch
	@touch $@

$(VENV)/.installed-%: pyproject.toml $(CONSTRAINTS) $(VENV)/.torch
	$(PIP) --editable ".[$*]"
	@touch $@

.venv-dist/.installed: requirements/release.txt
	$(PYTHON) -m venv .venv-dist
	.venv-dist/bin/python -m pip --disable-pip-version-check install --requirement $<
	@touch $@

clean:
	rm -rf .venv-dist
	rm -rf .venv .venv-oldest .venv-latest build dist
	rm -rf docs/_build docs/auto_examples docs/api/backreferences docs/api/generated
	rm -rf .mypy_cache .pytest_cache .ruff_cache
