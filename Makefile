# What one does with this repository. `make` alone lists it.
#
#   make demo DEMO_ARGS="--rows 10000 --wan"
#   make test TEST_ARGS="--test it replicas"
#   make bench BENCH_ARGS="--rounds 3 --seconds 3 --clients 1,16"
#   make bench BENCH_ARGS="--parts scatter --rounds 5 --rows 1000000"
#   make oracle QUERIES=100000 SEED=7
#   make fuzz TARGET=frames SECONDS=600

CARGO ?= cargo
DEMO_ARGS ?=
TEST_ARGS ?=
BENCH_ARGS ?=
SEED ?=
QUERIES ?=
QUERY ?=
VERBOSE ?=
TARGET ?=
SECONDS ?= 60
AUDIT_CHECKS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-clients oracle fuzz bench check audit format postgres prometheus pgbouncer clients

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: postgres ## four regions on this machine, with data, behind one connection string
	$(CARGO) run --release --locked -- demo $(DEMO_ARGS)

test: postgres prometheus clients ## every test, on real servers; installs PostgreSQL and Prometheus if they are missing
	$(CARGO) test --locked $(TEST_ARGS)
	@cat target/clients/*.missing 2>/dev/null | sed 's/^/clients skipped: /' || true

test-clients: postgres ## drivers and ORMs of Python, Node.js, Java and C, and their own suites, beside PostgreSQL; installs what is missing
	@scripts/ensure-clients
	CLIENTS=all $(CARGO) test --locked --test it clients:: -- --nocapture

bench: postgres pgbouncer ## compare with PgBouncer, a plain relay and no proxy; writes docs/benchmarks/ (half an hour)
	$(CARGO) bench --locked --bench proxies -- $(BENCH_ARGS)

oracle: postgres ## random statements on one PostgreSQL and over four regions: QUERIES, SEED, or one QUERY alone
	SEED=$(SEED) QUERIES=$(QUERIES) QUERY=$(QUERY) VERBOSE=$(VERBOSE) \
		$(CARGO) test --locked --test oracle -- --nocapture

fuzz: ## search with libFuzzer for inputs that break a promise: TARGET (all in turn without), SECONDS of each
	scripts/fuzz $(SECONDS) $(TARGET)

check: ## all that must pass before a change is merged: format, lints, documentation, tests
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items
	$(MAKE) test

audit: ## licences, sources and known weaknesses of what Meridian is built from (installs cargo-deny if it is missing)
	$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny --all-features check $(AUDIT_CHECKS)

format: ## format the sources
	$(CARGO) fmt

postgres:
	@scripts/ensure-postgres

prometheus:
	@scripts/ensure-prometheus

pgbouncer:
	@scripts/ensure-pgbouncer

clients:
	@scripts/ensure-clients --at-hand
