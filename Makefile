# Set-up, the main job, tests and checks. PYTHON may name another interpreter (3.11 or newer).
PYTHON ?= python3
# Test files run in so many processes: many of them wait for Ray.
WORKERS ?= 2
BIN := .venv/bin
CORPUS = $(shell $(PYTHON) -c "import sysconfig; print(sysconfig.get_path('stdlib'))")

.PHONY: setup demo browser test test-quick test-thorough lint docs lock clean

setup: .venv/.done

.venv/.done: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: setup
	$(BIN)/python examples/02_build_and_recall.py $(CORPUS)

# What tests the page; without it they say that they did not.
browser:
	@if command -v chromium >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; then :; \
	else echo "NO BROWSER: chromium is not installed and cannot be; the page will not be tested" >&2; fi

test: setup browser lint docs
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-quick: setup
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow"

test-thorough: setup browser
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --thorough

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks examples

docs: setup
	$(BIN)/python -m mkdocs build --strict --quiet

# Pins every version by number and hash; names no address.
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet uv
	.venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--no-header --no-emit-index-url --extra all --extra dev pyproject.toml -o requirements.lock
	rm -rf .venv-lock

clean:
	rm -rf .venv .venv-lock build dist
