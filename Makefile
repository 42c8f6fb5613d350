PYTHON ?= python3
# The first that runs: a name on PATH may be a shim of pyenv for a version that is not chosen.
find = $(shell for v in $(1); do for p in python$$v "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$v.*/bin/python; do \
	"$$p" -c "" 2>/dev/null && echo "$$p" && exit; done; done)
NEWEST ?= $(call find,3.13 3.12)
LOWEST ?= $(call find,3.11)
QUICK := -n 2 --dist loadfile --no-loadscope-reorder --no-annotations -m "not experiment and not thorough"
VENV := .venv
BIN := $(VENV)/bin
export JAX_PLATFORMS ?= cpu
# Without bytecode each process, and tests start dozens, compiles whatever it imports, for longer than all else.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: all demo test test-newest test-lowest check docs bench clean
all: demo

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"  # the first that knows groups
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e . --group dev
	touch $@

demo: $(VENV)/.installed
	$(BIN)/numdl demo --out demo

test: $(VENV)/.installed
	$(BIN)/python -m pytest $(QUICK)

test-newest:
	@test -n "$(NEWEST)" || { echo "make test-newest: no python3.13 or python3.12 was found on PATH or among the \
	versions of pyenv; install one, or say where it is: make test-newest NEWEST=/path/to/python."; exit 1; }
	rm -f .venv-newest/.installed
	PIP_UPGRADE=1 PIP_UPGRADE_STRATEGY=eager $(MAKE) test VENV=.venv-newest PYTHON="$(NEWEST)"

test-lowest:
	@test -n "$(LOWEST)" || { echo "make test-lowest: no python3.11 was found on PATH or among the versions of \
	pyenv; install one, or say where it is: make test-lowest LOWEST=/path/to/python."; exit 1; }
	test -x .venv-lowest/bin/python || "$(LOWEST)" -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv-lowest/bin/uv pip compile --quiet --resolution lowest-direct --python .venv-lowest/bin/python \
		--output-file .venv-lowest/lowest.txt pyproject.toml
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python \
		--requirement .venv-lowest/lowest.txt --editable . --group dev
	.venv-lowest/bin/python -m pytest $(QUICK)

check: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/python -m pytest -n 2 --dist loadfile
	set -e; for f in examples/*.py; do echo $$f; $(BIN)/python $$f; done

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e . --group docs
	touch $@

# It runs the small version of each experiment, and each example, whose picture is missing or older: at first some minutes.
docs: $(VENV)/.docs
	$(BIN)/python -m docs.make --pictures

$(VENV)/.bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e . --group bench
	touch $@

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks all

clean:
	rm -rf .venv .venv-newest .venv-lowest demo build
