# Every target sets up what it needs on a machine with Python 3.11+, git and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
export TOKENIZERS_PARALLELISM := false
export HF_HUB_OFFLINE := 1

.PHONY: help install demo pictures test check format bench bench-gpu clean

help:
	@echo "make install    fill .venv; then: source .venv/bin/activate"
	@echo "make demo       train a model on five tasks in 14 languages (20 to 30 minutes on 2 cores)"
	@echo "make pictures   train a model that draws, too (about 35 minutes on 2 cores)"
	@echo "make test       run the tests"
	@echo "make check      format, lint and types"
	@echo "make format     mend format and lint"
	@echo "make bench      speed beside its peers (about 20 minutes on 2 cores that do nothing else)"
	@echo "make bench-gpu  training and answering on a GPU"
	@echo "make clean      remove .venv and caches"

install: $(READY)
	@echo "ready; now: source $(VENV)/bin/activate"

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

bench: $(READY)
	$(BIN)/python benchmarks/bench.py

bench-gpu: $(READY)
	$(BIN)/python benchmarks/gpu.py

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
