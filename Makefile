# One list of commands for people, hooks and CI. `make help` reads the comments behind `##`.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# the files name every package with every dependency, so none is looked up: an extra of a newer release would be taken for unpinned
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes
NAME ?= all
SEEDS ?= 2000

.DEFAULT_GOAL := help
.PHONY: help demo test check fix bench chaos kill-points soak dist installed release licences docs lock clean

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.core ## install into .venv and run the main job on the simulator and a sample HR database
	@$(BIN)/scimsync demo

# Everything beside everything: two cores have more than an hour of tests between them, while packages come over the
# network. What needs an installation of its own is played once that is there; of three tests one waits for a server.
# The tests start many commands, and each would compile the package anew where nothing may be kept
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --dist worksteal
GUESTS := $(shell grep -rlE 'tests[.]providers|tests/sdks|"sdks"' tests --include='test_*.py')

test: ## install what tests need; format, lint, types, import contracts and all tests
	@$(MAKE) --no-print-directory --jobs=2 $(VENV)/.dev
	@$(MAKE) --no-print-directory --jobs=4 --keep-going check tests tests-of-guests

.PHONY: tests tests-of-guests
tests: $(VENV)/.dev $(VENV)/.system
	@$(PYTEST) -n 3 $(GUESTS:%=--ignore=%)

tests-of-guests: $(VENV)/.sdks $(VENV)/.providers
	@$(PYTEST) -n 2 $(GUESTS)

check: $(VENV)/.dev ## format, lint, types and import contracts, without the tests
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@said=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$said"; exit 1; }
	@$(BIN)/python tools/licences.py >/dev/null

fix: $(VENV)/.dev ## format the code and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.dev ## run the benchmarks; NAME=plan for one, PEOPLE=1000 for a quick look
	@$(BIN)/python -m benchmarks $(NAME)

chaos: $(VENV)/.dev ## runs under fire on virtual time; SEEDS=2000, SEED=n replays one, MUTANT=name puts a bug into the engine
	@$(BIN)/python -m tests.chaos --seeds $(SEEDS) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY)) \
	  $(if $(MUTANT),--mutant $(MUTANT))

kill-points: $(VENV)/.dev $(VENV)/.system ## kill a real process at every durable write and request, on SQLite and PostgreSQL; SCENE=undo for one
	@$(BIN)/python -m tests.killing $(if $(SCENE),--scene "$(SCENE)")

soak: $(VENV)/.release $(VENV)/.docs $(VENV)/.dev $(VENV)/.system $(VENV)/.sdks $(VENV)/.providers ## what takes longer than CI allows: all tests, each as long as it can; fuzzing; crashes 200 times under load
	@SCIMSYNC_DAYS_TIMES=10 $(PYTEST) -n 2
	@$(BIN)/python -m tests.killing
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(VENV)/fuzzing atheris==3.0.0
	@PYTHONPATH=$(VENV)/fuzzing $(BIN)/python -m tests.fuzzing 300
	@tools/soak-crashes $(BIN)/python 200
	@$(MAKE) --no-print-directory installed

dist: $(VENV)/.core ## build the wheel and the sdist into dist: the same bytes each time
	@rm -rf dist
	@$(BIN)/python -m hatchling build

installed: dist ## install the wheel as a stranger would, on each Python that is there, and play the demo
	@tools/installed dist/*.whl

release: $(VENV)/.core $(VENV)/.release ## VERSION=1.2.3 KEY=release.pem: commit, tag, wheel, sdist, SBOM, checksums, signature, in dist
	@SBOM=$(VENV)/release/bin/cyclonedx-py KEY=$(KEY) tools/release $(BIN)/python $(VERSION)

licences: $(VENV)/.dev ## print the licence of each library; fail where one would bind whoever uses us
	@$(BIN)/python tools/licences.py

docs: $(VENV)/.docs ## build the pages in docs into build/site: to be read from the disk, with a search
	@tools/docs $(VENV)/docs/bin $(BIN)/python

lock: $(VENV)/.dev ## pin the dependencies anew, with hashes and without addresses
	@tools/lock $(BIN)/python

clean: ## remove .venv and build products
	rm -rf $(VENV) build dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("scimsync needs Python 3.11 or newer; say which with PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing scimsync into $(VENV) ..."
	@$(PIP) -r constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# python-ldap is built here, and wants the headers of .system
$(VENV)/.dev: $(VENV)/.core constraints-dev.txt | $(VENV)/.system
	@echo "installing what the tests need into $(VENV) ..."
	@$(PIP) --no-compile -r constraints-dev.txt  # of large packages little is imported, and that is compiled then
	@touch $@

# tools of one target each, in rooms of their own, so that tests and users install none of them
$(VENV)/.release: tools/release.txt | $(VENV)/bin/python
	@$(BIN)/python -m venv $(VENV)/release
	@$(VENV)/release/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tools/release.txt
	@touch $@

$(VENV)/.docs: tools/docs.txt | $(VENV)/bin/python
	@$(BIN)/python -m venv $(VENV)/docs
	@$(VENV)/docs/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tools/docs.txt
	@touch $@

# large (100 MB), and of no use to anything but one test
$(VENV)/.sdks: tools/sdks tests/sdks/requirements.txt tests/sdks/package-lock.json | $(VENV)/.dev $(VENV)/.system
	@echo "installing the SDKs of Genesys Cloud into $(VENV)/sdks ..."
	@tools/sdks $(BIN)/python $(VENV)/sdks
	@touch $@

# other people's servers, each in a room of its own: what they need would clash with what we need
$(VENV)/.providers: tools/providers $(wildcard tests/providers/*/requirements.txt tests/providers/*/package-lock.json) \
  | $(VENV)/.dev $(VENV)/.system
	@echo "installing servers of other people into $(VENV)/providers ..."
	@tools/providers $(BIN)/python $(VENV)/providers
	@touch $@

$(VENV)/.system: tools/system-packages | $(VENV)/bin/python
	@tools/system-packages
	@touch $@
