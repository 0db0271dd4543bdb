# Needs Python 3.11 or newer, make and git; everything else is installed into .venv from requirements.lock.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LIFTWATCH := $(BIN)/liftwatch

.PHONY: install run test check format bench evaluate chaos fuzz openapi dashboards documents lock clean help

run: $(READY) ## start everything on this machine, with a simulated city
	@$(LIFTWATCH) run

install: $(READY) ## make .venv ready for all the others, which do it by themselves

test: $(READY) ## run every test, on all cores; name=entrapment runs those of that name
	@$(BIN)/pytest $(if $(name),-k '$(name)',--numprocesses auto --maxprocesses 4 --dist worksteal)

check: $(READY) ## lint, format, types, import contracts, tidiness; under a minute
	@echo 'ruff check' && $(BIN)/ruff check --quiet
	@echo 'ruff format' && $(BIN)/ruff format --check --quiet
	@echo 'mypy' && $(BIN)/mypy --no-error-summary
	@echo 'import contracts' && $(BIN)/lint-imports --no-logo
	@echo 'tidiness' && $(BIN)/pytest tests/tidy --quiet --no-header

format: $(READY) ## put the code into its one format
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

bench: $(READY) ## measure this machine against the recorded results
	@$(BIN)/python -m bench

chaos: $(READY) ## kill, cut and fill everything 200 times under load; prove that nothing is lost
	@$(BIN)/python -m tests.chaos $(if $(seed),--seed $(seed)) $(if $(faults),--faults $(faults))

evaluate: $(READY) ## judge every rule against a simulated city's truth
	@$(LIFTWATCH) evaluate --lifts 2000 --hours 6 --fault-rate 50 --near-miss-rate 10

fuzz: $(READY) ## attack the decoders with made-up messages for seconds=60; needs atheris
	@$(BIN)/python -c 'import atheris' 2> /dev/null || { \
		echo 'make fuzz needs atheris, which Liftwatch itself does not: $(BIN)/pip install atheris'; \
		echo 'It comes as a wheel for Linux. The same promises are tested without it in tests/fuzz, by every make test.'; \
		exit 1; \
	}
	@$(BIN)/python -m tests.fuzz.atheris_decoders build/fuzz --seconds $(or $(seconds),60)

openapi: $(READY) ## write docs/openapi.json anew
	@$(LIFTWATCH) openapi

dashboards: $(READY) ## write the Grafana dashboards anew
	@$(LIFTWATCH) dashboards build

documents: $(READY) ## write docs/settings.md and .env.example anew
	@$(LIFTWATCH) settings --documents

lock: ## choose newer versions for requirements.lock (needs uv)
	@command -v uv > /dev/null || { echo 'make lock needs uv: pip install uv'; exit 1; }
	@uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade --quiet \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --output-file requirements.lock

clean: ## remove what the tools made; keeps var/, where a running Liftwatch keeps its data
	@rm -rf $(VENV) build *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -not -path './console/*' -prune -exec rm -rf {} +

help: ## list these
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# A candidate counts only if it runs: a version manager's stand-in may be on the path without a Python behind it.
$(READY): requirements.lock
	@for python in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null && break; \
		python=; \
	done; \
	if [ -z "$$python" ]; then \
		echo 'Liftwatch needs Python 3.11 or newer, and none is on the path.'; \
		echo 'On Debian 12: apt-get install python3 python3-venv; elsewhere, name one: make PYTHON=/path/to/python3'; \
		exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2> /dev/null; then \
		echo "$$python cannot make virtual environments: its venv module is missing."; \
		echo 'On Debian 12: apt-get install python3-venv'; \
		exit 1; \
	fi; \
	echo "Installing what Liftwatch needs into $(VENV), with $$("$$python" --version) (a minute, once)"; \
	rm -rf $(VENV) && "$$python" -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
