# Corral. `make help` lists what can be made.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(firstword $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p"; done) python3)
ENV := .venv
RUN := $(ENV)/bin/python
DATA ?=
ARGS ?=
# Two, however many cores there are: each worker has a mongod, a RabbitMQ and guests of its own. What
# shares fixtures stays with one worker, and goes there in pytest's order, which puts chaos and e2e,
# the long ones, first.
WORKERS ?= --numprocesses=2 --dist=loadscope --no-loadscope-reorder --maxprocesses=2
QEMU ?= yes
MINUTES ?= 10

SETUP := deploy/setup
MEMBERS := libs/contracts libs/chassis libs/client services/api-gateway services/scheduler \
	services/registry services/event-pusher services/node-agent deploy/embedded
SOURCES := $(addsuffix /src,$(MEMBERS))
QEMU_PACKAGES := qemu-system-x86 qemu-utils e2fsprogs zstd
HOUSE_RULES := tests/unit/embedded/test_house_rules.py
WITH_DATA := $(if $(DATA),--data "$(DATA)")

.PHONY: help setup run stop test test-programs check e2e fuzz messages metrics calls dashboards \
	requirements clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-zA-Z0-9%-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make the environment in .venv, with the tools for tests
	@$(SETUP)/environment.sh "$(PYTHON)" $(ENV) requirements-dev.txt

run: ## run everything in one process (DATA=folder, QEMU=no: simulated VMs, nothing installed)
	@$(SETUP)/environment.sh "$(PYTHON)" $(ENV) requirements.txt
	@$(SETUP)/libraries.sh $(ENV)
ifeq ($(QEMU),no)
	@CORRAL_DRIVER=$${CORRAL_DRIVER-simulated} exec $(RUN) -m embedded $(WITH_DATA) $(ARGS)
else
	@$(SETUP)/packages.sh "real VMs (QEMU=no declines)" $(QEMU_PACKAGES) || echo "setup: going on without"
	@$(SETUP)/package-lists.sh "$(or $(DATA),$${XDG_DATA_HOME:-$$HOME/.local/share}/corral)/demo/packages"
	@exec $(RUN) -m embedded $(WITH_DATA) $(ARGS)
endif

stop: ## end what `make run` started, and its VMs (DATA=folder)
	@[ -x $(RUN) ] || { echo "nothing was ever run here"; exit 0; }; \
		exec $(RUN) -m embedded stop $(WITH_DATA)

test: test-programs ## all tests, after fetching what they need (ARGS="-k …")
	@exec $(RUN) -m pytest $(WORKERS) $(ARGS)

test-programs: setup ## fetch what tests and measurements need: QEMU, skopeo, RabbitMQ, Prometheus
	@$(SETUP)/libraries.sh $(ENV)
	@$(SETUP)/packages.sh "the tests with real VMs" $(QEMU_PACKAGES)
	@$(SETUP)/packages.sh "the tests of the registry" skopeo
	@$(SETUP)/package-lists.sh .local/guest-packages
	@$(SETUP)/unpack-rabbitmq.sh .local/rabbitmq
	@$(SETUP)/unpack.sh .local/prometheus prometheus

check: setup ## format, lint, types, import rules, size of files
	@$(ENV)/bin/ruff format --check --quiet . || { echo "remedy: $(ENV)/bin/ruff format"; exit 1; }
	@$(ENV)/bin/ruff check --quiet .
	@$(ENV)/bin/mypy --no-error-summary $(SOURCES)
	@$(ENV)/bin/lint-imports --no-logo
	@$(RUN) -m pytest --quiet --no-header $(HOUSE_RULES)

e2e: test-programs ## only the tests of the whole, as a user runs it
	@exec $(RUN) -m pytest tests/e2e $(ARGS)

fuzz: test-programs ## calls by chance, new ones each time, for MINUTES (10); ARGS for pytest
	@CORRAL_FUZZ_SECONDS=$$(( $(MINUTES) * 60 )) exec $(RUN) -m pytest tests/fuzz --capture=no $(ARGS)

bench-%: test-programs ## one measurement (ARGS="…"), see tests/bench
	@exec $(RUN) -m tests.bench.$* $(ARGS)

messages: setup ## write the message table of ARCHITECTURE.md anew
	@$(RUN) -m embedded.message_table ARCHITECTURE.md

metrics: setup ## write the table of docs/metrics.md anew
	@$(RUN) -m embedded.metrics_table docs/metrics.md

calls: setup ## write the table of docs/calls.md anew
	@$(RUN) -m tests.golden.table

dashboards: setup ## write the dashboards for Grafana anew
	@$(RUN) deploy/grafana/dashboards.py

requirements: setup ## resolve requirements*.txt anew (needs uv; ARGS=--upgrade)
	@PATH="$(CURDIR)/$(ENV)/bin:$$PATH" $(RUN) $(SETUP)/requirements.py $(ARGS)

clean: ## remove the environment and everything fetched or cached (not the data of `make run`)
	rm -rf $(ENV) .local .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
