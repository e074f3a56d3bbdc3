# `make train` and `make test` need nothing but Python 3.11 to 3.13 and the package index: each makes its own .venv.

# The first that runs: a name on the path may be a shim for a version that is not active. TensorFlow ends at 3.13.
USABLE := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(USABLE)' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
# A file stays on one process, for what its tests share; files start in order, so that the long ones are not the last.
PYTEST := -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# There is a process for each core, and more threads than that would wait for each other. What divides its work among
# threads itself is tested with all of them, too.
SHARED_BY_THREADS := tests/tensorflow_only/test_native_product.py tests/tensorflow_only/test_native_normalization.py

.PHONY: train test test-lower-bounds lint clean

train: .venv/installed
	$(BIN)/keras-sparse train

test: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	TF_NUM_INTRAOP_THREADS=1 KERAS_SPARSE_CLEAN_INSTALL=1 $(BIN)/python $(PYTEST)
	$(BIN)/python -m pytest -q $(SHARED_BY_THREADS)

# The suite once more, on the oldest versions that setup.cfg allows.
test-lower-bounds:
	$(PYTHON) -m venv .venv-lower
	.venv-lower/bin/python -m pip install --quiet $$(sed -n 's/^    \([A-Za-z_-]*\)>=\([0-9.]*\).*/\1==\2/p' setup.cfg)
	.venv-lower/bin/python -m pip install --quiet --no-deps --editable .
	.venv-lower/bin/python $(PYTEST)

lint: .venv/tested
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/installed: setup.cfg pyproject.toml
	@$(or $(PYTHON),false) -c '$(USABLE)' || { \
		echo "Python 3.11, 3.12 or 3.13 is needed, and '$(PYTHON)' is none. Name one: make PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/tested: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

clean:
	rm -rf .venv .venv-lower build dist *.egg-info .pytest_cache .ruff_cache
