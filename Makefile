# Run `make` for the list of targets.
# The newest Python at hand that the project takes; `make PYTHON=...` names another one, once, before .venv exists.
PYTHON ?= $(or $(firstword $(foreach v,3.13 3.12 3.11 3.10,$(shell python$v -c "print('python$v')" 2>/dev/null))),python3)
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

COMPUTES := $(addprefix tests/,policy collect model learner training/test_loop.py \
	test_train.py::test_a_run_that_is_stopped_and_resumed_three_times_ends_with_the_same_bits)

.DEFAULT_GOAL := help
.PHONY: help train evaluate watch viewer lint-viewer export test test-native test-slow test-gpu test-narrow validate bench learncheck lint format tensorboard clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

train: .venv/installed .venv/native ## Train a bot; settings in ARGS, e.g. make train ARGS="experiment=debug seed=1"
	$(BIN)/python -m rlbot.train $(ARGS)

export: .venv/installed ## Put a bot into the game, e.g. make export ARGS="checkpoint=latest"
	$(BIN)/python -m rlbot.export $(ARGS)

evaluate: .venv/installed .venv/native ## Measure how good a bot is, e.g. make evaluate ARGS="checkpoint=latest opponent=idle"
	$(BIN)/python -m rlbot.evaluate $(ARGS)

watch: .venv/installed .venv/native ## See it play in a browser, e.g. make watch ARGS="checkpoint=latest opponent=random"
	$(BIN)/python -m rlbot.watch $(ARGS)

viewer: viewer/node_modules/installed ## Check and bundle the page of rlbot.watch again; needs Node
	cd viewer && npm run lint && npm run build

test: .venv/installed-dev .venv/native ## Run the tests, the slow ones left out
	@if [ -e .venv/native ] && command -v cargo >/dev/null; then $(MAKE) --no-print-directory test-native; fi
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

test-native: ## Run the tests of native/ in Rust; they need neither Python nor the collision meshes
	cargo test --lib --quiet --locked --no-default-features --manifest-path native/Cargo.toml

test-slow: .venv/installed-dev .venv/native ## Run the slow tests
	$(BIN)/python -m pytest -m slow $(ARGS)

test-narrow: .venv/installed-dev .venv/native ## Run the quick tests of what computes as on a processor without AVX
	$(BIN)/python -m tests.narrow -m "not slow" $(COMPUTES) $(ARGS)

test-gpu: .venv/installed-dev .venv/native ## Run the tests that need a GPU, and no others
	$(BIN)/python -m pytest -m gpu $(ARGS)

validate: .venv/installed .venv/native ## Check that everything works on this machine
	$(BIN)/python -m rlbot.validate $(ARGS)

bench: .venv/installed-dev .venv/native ## Measure how fast this machine plays and learns; settings in ARGS
	$(BIN)/python -m rlbot.bench $(ARGS)

learncheck: .venv/installed .venv/native ## Train a recipe with several seeds and draw how it learns; settings in ARGS
	$(BIN)/python -m rlbot.learncheck $(ARGS)

lint: .venv/installed-dev ## Check style, types and which package imports which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if command -v npm >/dev/null && $(MAKE) --no-print-directory viewer/node_modules/installed; \
	then $(MAKE) --no-print-directory lint-viewer; else echo "[WARN] viewer/ is not checked: no Node, or no packages"; fi

lint-viewer: viewer/node_modules/installed
	cd viewer && npm run --silent lint && npm run --silent check

format: .venv/installed-dev ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

tensorboard: .venv/installed ## Show the curves of all runs in a browser
	$(BIN)/tensorboard --logdir outputs $(ARGS)

clean: ## Remove caches and build products; runs and .venv stay
	rm -rf build dist native/target *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find rlbot tests -type d -name __pycache__ -prune -exec rm -rf {} +

.venv/pyvenv.cfg:
	$(PYTHON) -m venv .venv

# Stamps: installation is repeated only where the requirements changed.
.venv/installed: .venv/pyvenv.cfg pyproject.toml constraints.txt
	@echo "[START] Installing into .venv; the first time takes some minutes"
	$(INSTALL) -e .
	-$(BIN)/python -m rlbot.meshes
	@touch $@

viewer/node_modules/installed: viewer/package-lock.json
	cd viewer && npm ci --silent --no-fund --no-audit
	@touch $@

.venv/installed-dev: .venv/installed
	@echo "[START] Installing what the tests need"
	$(INSTALL) -e ".[dev,notify]"
	@touch $@

# RocketSim v3 is an extension in Rust. Where it cannot be built, all that follows works on v2: so nothing here fails.
NATIVE := $(wildcard native/src/*.rs) native/Cargo.toml native/Cargo.lock native/pyproject.toml

.venv/native: .venv/installed $(NATIVE)
	@if ! command -v cargo >/dev/null 2>&1; then \
		echo "[WARN] RocketSim v3, about three times as fast as v2, is not built: that needs Rust (https://rustup.rs), then make again"; \
	elif echo "[START] Building RocketSim v3; the first time takes one to three minutes" && \
		$(INSTALL) maturin && \
		env -u CONDA_PREFIX VIRTUAL_ENV="$(CURDIR)/.venv" $(BIN)/maturin develop --release -m native/Cargo.toml; then \
		touch $@; \
	else \
		echo "[WARN] RocketSim v3 could not be built (see above; it needs Rust 1.95 or newer: rustup update); playing on v2"; \
	fi
