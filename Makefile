# The project's commands under their usual names. `make` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

COMPOSE := docker compose -f compose/compose.yaml
BIN := .venv/bin

# Which environment the terraform targets work on: localstack or aws.
ENV ?= localstack
TERRAFORM := terraform -chdir=terraform/environments/$(ENV)
# More words for terraform: AWS wants ARGS=-backend-config=backend.hcl with init; the others read terraform.tfvars there.
ARGS ?=

# The port of api-local, and how many leads seed makes up.
PORT ?= 8000
LEADS ?= 100000

# $(call need,VARIABLE,why): fail with a message unless the variable is set.
need = if [ -z "$${$(1):-}" ]; then echo "make $@: set $(1) $(2)" >&2; exit 1; fi

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s%s\n", $$1, $$2 }' Makefile

.PHONY: setup run test test-integration bench chaos clean
setup: ## make .venv with everything in requirements.lock
	scripts/setup

run: ## start everything on this machine and bill the sample leads
	scripts/run

test: ## run every check and the quick tests
	scripts/test

test-integration: ## run every check and every test, the slow ones too
	scripts/test --all

bench: ## measure what Leadger can take
	scripts/bench

chaos: ## kill, freeze and cut off parts under load, and count what it cost
	scripts/chaos

clean: ## remove caches and what tools leave; data in .leadger and the .venv stay
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	rm -rf terraform/environments/*/.terraform

.PHONY: seed report api-local migrate migrate-down migrate-create
seed: setup ## fill a running Leadger with made-up leads
	$(BIN)/leadger seed --leads $(LEADS)

report: setup ## print the reports of a running Leadger
	$(BIN)/leadger report

api-local: setup ## start the API alone, on servers of yours (DATABASE_URL, REDIS_URL)
	@$(call need,DATABASE_URL,to a PostgreSQL of yours; make run brings one.)
	@$(call need,REDIS_URL,to a Redis of yours; make run brings one.)
	GRANIAN_HOST=127.0.0.1 GRANIAN_PORT=$(PORT) LEADGER_HOME="$${LEADGER_HOME:-.leadger}" PATH="$(CURDIR)/$(BIN):$$PATH" compose/start api

migrate: setup ## bring the database of DATABASE_URL to the newest schema
	@$(call need,DATABASE_URL,to the database to migrate; make run migrates its own.)
	$(BIN)/alembic upgrade head

migrate-down: setup ## take the newest migration of DATABASE_URL back
	@$(call need,DATABASE_URL,to the database to migrate.)
	$(BIN)/alembic downgrade -1

migrate-create: setup ## make a new migration: make migrate-create name="what it does"
	@$(call need,name,to what the migration does: make migrate-create name='add a column'.)
	$(BIN)/alembic revision --message "$$name"

.PHONY: docker-build docker-up docker-down
docker-build: ## build the image
	$(COMPOSE) build api

docker-up: ## build the image and start everything in containers
	$(COMPOSE) up --build --detach --wait

docker-down: ## stop the containers; their data stay
	$(COMPOSE) down

.PHONY: terraform-init terraform-plan terraform-apply terraform-destroy deploy-local
terraform-init: ## fetch the provider for ENV, localstack or aws (aws: ARGS=-backend-config=…)
	$(TERRAFORM) init $(ARGS)

terraform-plan: ## show what would change in ENV; ARGS: more words, like -var-file=…
	$(TERRAFORM) plan $(ARGS)

terraform-apply: ## change ENV, after a question; ARGS as above
	$(TERRAFORM) apply $(ARGS)

terraform-destroy: ## remove everything in ENV, after a question; ARGS as above
	$(TERRAFORM) destroy $(ARGS)

deploy-local: setup ## deploy to LocalStack and bill the sample leads there
	scripts/deploy-local
