# Everything sets itself up: Python 3.11, make, a C compiler and a package index are enough.
# The first `make demo` takes minutes, later ones seconds.

PYTHON ?= python3.11
CONFIG ?= configs/local.yaml
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
NEEDS_DEBIAN := interop or browser

export VOICE_AGENT_CONFIG := $(CONFIG)

.DEFAULT_GOAL := help
.PHONY: help demo serve bench test test-all test-vllm lint models setup setup-dev lock clean

help: ## Show what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: models ## Ring the agent once over SIP, show the conversation and its timings
	@$(BIN)/voice-agent demo

serve: models ## Keep everything running; prints the page's URL and the number to dial
	@$(BIN)/voice-agent serve

bench: models ## Measure how long callers wait here; QUICK=1: in 4 minutes; MINUTES=, SPEECH=, …
	@$(BIN)/voice-agent bench $(if $(MINUTES),--minutes $(MINUTES)) $(foreach folder,$(SPEECH),--speech $(folder)) \
	  $(foreach folder,$(PAUSES),--pauses $(folder)) \
	  $(foreach folder,$(DOCUMENTS),--documents $(folder))

test: setup-dev ## Run every test that needs nothing beyond Python packages
	$(BIN)/python -m pytest -m "not ($(NEEDS_DEBIAN))"

test-all: setup-dev ## Also those against Debian's sip-tester, baresip and Chromium
	$(BIN)/python -m pytest

test-vllm: setup-dev ## Hold the language-model client to vLLM itself, in an environment of its own
	$(BIN)/python -m evals.vllm_cpu test

lint: $(VENV)/.installed-dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What runs processes builds the sample knowledge itself, while the engines load.
models: $(VENV)/.installed
	@$(BIN)/voice-agent models pull

setup: models ## Install, fetch models, build the sample knowledge
	@$(BIN)/voice-agent knowledge build

setup-dev: setup $(VENV)/.installed-dev
	@$(BIN)/voice-agent models pull whisper-tiny.en

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) is not installed; set PYTHON=/path/to/python3.11"; exit 2; }
	@echo "== creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.lock pyproject.toml | $(BIN)/python
	@echo "== installing locked dependencies into $(VENV)"
	@$(PIP) install --no-cache-dir --require-hashes -r requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "== installing development tools into $(VENV)"
	@$(PIP) install --no-cache-dir --require-hashes -r requirements-dev.lock
	@touch $@

lock: ## Resolve dependencies anew (needs uv)
	printf 'setuptools>=77\n' > build-requirements.in
	for extra in "" dev gpu; do \
	  uv pip compile --quiet --generate-hashes --python-version 3.11 --no-annotate \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	    $${extra:+--extra $$extra} pyproject.toml build-requirements.in \
	    -o requirements$${extra:+-$$extra}.lock || exit 1; \
	done
	rm build-requirements.in

clean: ## Remove everything that was built or fetched
	rm -rf $(VENV) var build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
