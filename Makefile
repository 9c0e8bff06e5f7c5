# What one does with this repository. `make` alone lists it.
#
#   make demo DEMO_ARGS="--rows 10000 --wan"
#   make test TEST_ARGS="--test it replicas"
#   make bench BENCH_ARGS="--rounds 3 --seconds 3 --clients 1,16"
#   make bench BENCH_ARGS="--parts scatter --rounds 5 --rows 1000000"
#   make oracle QUERIES=100000 SEED=7

CARGO ?= cargo
DEMO_ARGS ?=
TEST_ARGS ?=
BENCH_ARGS ?=
SEED ?=
QUERIES ?=
QUERY ?=
VERBOSE ?=

.DEFAULT_GOAL := help
.PHONY: help demo test oracle bench check format postgres prometheus pgbouncer

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: postgres ## four regions on this machine, with data, behind one connection string
	$(CARGO) run --release --locked -- demo $(DEMO_ARGS)

test: postgres prometheus ## every test, on real servers; installs PostgreSQL and Prometheus if they are missing
	$(CARGO) test --locked $(TEST_ARGS)

bench: postgres pgbouncer ## compare with PgBouncer, a plain relay and no proxy; writes docs/benchmarks/ (half an hour)
	$(CARGO) bench --locked --bench proxies -- $(BENCH_ARGS)

oracle: postgres ## random statements on one PostgreSQL and over four regions: QUERIES, SEED, or one QUERY alone
	SEED=$(SEED) QUERIES=$(QUERIES) QUERY=$(QUERY) VERBOSE=$(VERBOSE) \
		$(CARGO) test --locked --test oracle -- --nocapture

check: ## all that must pass before a change is merged: format, lints, documentation, tests
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items
	$(MAKE) test

format: ## format the sources
	$(CARGO) fmt

postgres:
	@scripts/ensure-postgres

prometheus:
	@scripts/ensure-prometheus

pgbouncer:
	@scripts/ensure-pgbouncer
