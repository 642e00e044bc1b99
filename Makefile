# `make demo` and `make test` set everything up on a machine with Python 3.11+, git and make.
# `make pictures` trains a second model, which writes pictures too (docs/drawing.md).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
export TOKENIZERS_PARALLELISM := false
export HF_HUB_OFFLINE := 1

.PHONY: demo pictures test check format clean

demo: $(READY)
	$(BIN)/unified-vl demo --output runs/demo

pictures: $(READY)
	$(BIN)/unified-vl demo --run task_specs/runs/emoji_pictures.yaml --output runs/pictures

test: export OMP_NUM_THREADS := 1
test: $(READY)
	$(BIN)/python -m pytest -q --numprocesses auto --maxprocesses 8 --dist loadfile

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch setuptools
	$(BIN)/python -m pip install --quiet --constraint constraints.txt \
		--config-settings editable_mode=compat --editable '.[dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
