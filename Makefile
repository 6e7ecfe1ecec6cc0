# Sopwith: every command of the house. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help demo test check format proto proto-check lock simulate crash kills clock-changes self-updates clauses fuzz bench docs docs-check agent-deb agent-deb-test build system-tools clean

PYTHON ?= python3
BIN := .venv/bin
PROTOS := $(sort $(wildcard proto/sopwith/v1/*.proto))
WORKERS ?= auto
SEED ?= 1
SEEDS ?= 50
COMPUTERS ?= 50
DOCUMENTS ?= 1000
COUNT ?= 20
JOBS ?= 0

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Sopwith needs Python 3.11 or newer. On Debian: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Sopwith needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "This Python cannot make virtual environments. On Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python requirements/all.lock pyproject.toml
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/all.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@$(BIN)/python -m compileall -q agent certs controller formats proto/gen
	@touch $@

.venv/.developed: .venv/.installed requirements/dev.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

demo: .venv/.installed ## Show one whole update on real parts, in a minute
	$(BIN)/sopwith demo $(DEMO_OPTIONS)

test: check ## Check, then run every test
	@# What fails beside others on a noisy machine is run once more, alone and with its reasons shown; failing twice fails.
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder $(TEST_OPTIONS) || \
	  { [ $$? = 1 ] && echo "Once more, alone: what failed" && $(BIN)/python -m pytest --last-failed --last-failed-no-failures none $(TEST_OPTIONS); }
	$(BIN)/python -m tests.architecture.domain_coverage

check: .venv/.developed ## Lint, types, layers, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory proto-check docs-check

format: .venv/.developed ## Format and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

proto: .venv/.developed ## Generate Python from the .proto files
	rm -rf proto/gen && mkdir -p proto/gen
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I proto \
	  --python_out=proto/gen --grpc_python_out=proto/gen \
	  --mypy_out=quiet:proto/gen --mypy_grpc_out=quiet:proto/gen \
	  $(PROTOS:proto/%=%)
	find proto/gen -mindepth 1 -type d -exec touch {}/__init__.py \;
	touch proto/gen/sopwith/py.typed

proto-check: .venv/.developed ## Fail if the committed generated code is stale
	$(BIN)/python -m tests.architecture.proto_freshness

docs: .venv/.developed ## Write the pages that are made from the code
	$(BIN)/python -m tests.architecture.state_machines --write
	$(BIN)/python -m tests.architecture.clock_changes --write
	$(BIN)/python -m tests.architecture.document_schemas --write
	$(BIN)/python -m tests.simulation.promises --write
	$(BIN)/python -m tests.faults.catalogue --write
	$(BIN)/python -m tests.clauses.page --write
	$(BIN)/python -m tests.clauses.gates --write
	$(BIN)/python -m tests.architecture.kpi_page --write

docs-check: .venv/.developed ## Fail if a page that is made from the code is stale
	$(BIN)/python -m tests.architecture.state_machines
	$(BIN)/python -m tests.architecture.clock_changes
	$(BIN)/python -m tests.architecture.document_schemas
	$(BIN)/python -m tests.simulation.promises
	$(BIN)/python -m tests.faults.catalogue
	$(BIN)/python -m tests.clauses.page
	$(BIN)/python -m tests.clauses.gates
	$(BIN)/python -m tests.architecture.kpi_page

lock: .venv/.developed ## Resolve the dependencies anew
	rm -f requirements/*.lock
	$(BIN)/uv pip compile $(LOCK_OPTIONS) pyproject.toml --extra all --group dev -o requirements/dev.lock
	$(BIN)/uv pip compile $(LOCK_OPTIONS) pyproject.toml --extra all -o requirements/all.lock -c requirements/dev.lock
	$(BIN)/uv pip compile $(LOCK_OPTIONS) pyproject.toml --extra agent -o requirements/agent.lock -c requirements/dev.lock

LOCK_OPTIONS := -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate

simulate: .venv/.developed ## Run a whole fleet by a seed: SEED= SEEDS= COMPUTERS= JOBS=
	$(BIN)/python -m tests.simulation --seed $(SEED) --seeds $(SEEDS) --computers $(COMPUTERS) --jobs $(JOBS)

crash: .venv/.developed ## Kill the agent at every call and cut its power, in half an hour
	$(BIN)/python -m tests.faults.crash $(CRASH_OPTIONS)

kills: .venv/.developed ## Kill the controller at every commit and send of a rollout on SQLite, in a quarter of an hour
	SOPWITH_EVERY_KILL=1 $(BIN)/python -m pytest -q -s --timeout 3600 tests/faults/test_controller_kills.py

clock-changes: .venv/.developed ## Try windows on every day of every clock, 2026 to 2036, in minutes
	SOPWITH_EVERY_DAY=1 $(BIN)/python -m pytest -q --timeout 3600 tests/controller/domain/test_clock_changes.py

clauses: .venv/.developed ## Run the tests that show the SOP's clauses, and record what they say
	$(BIN)/python -m tests.clauses.results $(TEST_OPTIONS)
	$(BIN)/python -m tests.clauses.page --write

self-updates: .venv/.developed ## Ship a broken agent to twenty computers, and look that each runs the old one again
	SOPWITH_SELF_UPDATES=$(COUNT) $(BIN)/python -m pytest -q --timeout 3600 tests/system/test_self_update.py

fuzz: .venv/.developed ## Lint mutated SOPs: SEED= DOCUMENTS=
	$(BIN)/python -m tests.formats.mutated_sops --seed $(SEED) --documents $(DOCUMENTS)

bench: .venv/.developed ## Measure beside limits and peers, in a quarter of an hour
	$(BIN)/python -m bench $(BENCHES)

agent-deb: .venv/.installed ## Build the agent's Debian package with its own interpreter, into dist/
	$(BIN)/python deploy/agent_deb.py dist

agent-deb-test: .venv/.developed ## Install, upgrade, remove and purge that package on a computer without Python (root, minutes)
	rm -rf build/agent-debs
	$(BIN)/python deploy/agent_deb.py build/agent-debs --quick
	$(BIN)/python deploy/agent_deb.py build/agent-debs --quick --version 0.1.999
	SOPWITH_AGENT_DEBS=$(CURDIR)/build/agent-debs $(BIN)/python -m pytest -q tests/system/test_agent_package.py

build: .venv/.developed ## Build the wheel and the source distribution
	$(BIN)/uv build -q

system-tools: ## Install the system programs that some tests need (Debian, root)
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends libharfbuzz-subset0 libpangoft2-1.0-0 chromium dbus faketime gpg gpg-agent openssh-client python3-venv rpm strace e2fsprogs mount mmdebstrap patchelf

clean: ## Remove what the other targets made
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
