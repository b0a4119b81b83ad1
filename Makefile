# Every target works in .venv, which is built on first use and again when pyproject.toml or
# constraints.txt change.

PYTHON ?= python3
BIN := .venv/bin
CHROMIUM := /usr/bin/chromium

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := help
.PHONY: help demo lab apps notebooks evidence test test-fast check bench demo-training demo-weights slurm tools clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) \
	  | while IFS='|' read -r target says; do printf '  make %-14s %s\n' "$$target" "$$says"; done

demo: .venv/runtime ## score the embedded demo study and write out/demo/report.html
	$(BIN)/cacnb demo --out out/demo

lab: .venv/runtime ## open JupyterLab
	$(BIN)/jupyter lab

out/demo/study/scores:
	$(MAKE) demo

APP ?= label
STUDY ?= out/demo/study
apps: .venv/runtime $(if $(filter out/demo/study,$(STUDY)),out/demo/study/scores) ## open an app: make apps APP=review STUDY=out/demo/study
	$(BIN)/cacnb serve $(APP) --study $(STUDY)

notebooks: .venv/dev out/demo/study/scores ## run the ten lessons and write them as a static site: out/notebooks/index.html
	$(BIN)/python -m notebooks.publishing --out out/notebooks

# People that no training, no threshold and no knob saw. The ablation needs the whole field of view
# through every network: it is shown on smaller scans of other people.
evidence: .venv/runtime ## every table and figure of the paper on 100 simulated pairs (about an hour)
	$(BIN)/cacnb simulate --pairs 100 --seed 3000 --out out/evidence/study
	$(BIN)/cacnb run --study out/evidence/study
	$(BIN)/cacnb evaluate --study out/evidence/study --out out/evidence
	$(BIN)/cacnb simulate --pairs 30 --seed 4000 --field heart --out out/evidence/ablation_study
	$(BIN)/cacnb run --study out/evidence/ablation_study
	$(BIN)/cacnb evaluate --study out/evidence/ablation_study --ablation --out out/evidence/ablation

test: .venv/dev tools check ## check everything and run every test
	$(BIN)/python -m pytest -q -rs -n 2 --dist loadfile --no-loadscope-reorder

test-fast: .venv/dev ## run the tests that take seconds and need no browser
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow and not browser"

check: .venv/dev ## check format, lint, types and the import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What trains from nothing takes over an hour: asked for by its own name.
bench: .venv/runtime ## run every benchmark but demo-training
	@set -e; for benchmark in $(filter-out benchmarks/demo_training.py,$(wildcard benchmarks/*.py)); do \
	  $(BIN)/python "$$benchmark"; done

demo-training: .venv/runtime ## train the demo recipes from nothing, three seeds, against the truth (hours)
	$(BIN)/python benchmarks/demo_training.py --work out/demo_training

demo-weights: .venv/runtime ## train the demo weights anew (long)
	$(BIN)/python -m cacnb.demo_weights

clean: ## remove all that these targets made
	rm -rf .venv out build dist cacnb.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find cacnb tests benchmarks notebooks -name __pycache__ -prune -exec rm -rf {} +

slurm: .venv/dev ## install SLURM (as root); score a study and train on a single-node cluster
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge > /dev/null
	CACNB_SLURM=1 $(BIN)/python -m pytest -q -rs tests/test_running_on_slurm.py

# What tests drive beside Python: a browser, a database server, a trace of system calls.
tools:
	@wanted=""; \
	[ -x $(CHROMIUM) ] || wanted="$$wanted chromium fonts-liberation"; \
	ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 || wanted="$$wanted postgresql"; \
	command -v strace > /dev/null || wanted="$$wanted strace"; \
	if [ -n "$$wanted" ] && [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	  echo "Installing for the tests:$$wanted"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	    --no-install-recommends $$wanted > /dev/null || true; \
	elif [ -n "$$wanted" ]; then echo "Not here, so their tests will be skipped:$$wanted"; fi

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "cacnb needs Python 3.11 or later: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

# `dev` holds the runtime too: a demo after a test installs nothing.
.venv/runtime: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing cacnb into .venv: a few minutes the first time"
	@$(BIN)/python -m pip install -qq -c constraints.txt -e '.[apps]'
	@touch $@

.venv/dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing cacnb and its tools into .venv: a few minutes the first time"
	@$(BIN)/python -m pip install -qq -c constraints.txt -e '.[dev]'
	@touch .venv/runtime $@
