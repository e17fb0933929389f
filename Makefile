# `make run` starts a server to try; `make test` runs every check that a change has to pass.

CARGO ?= cargo
IMAGE ?= latchkey
# Seconds for each fuzz target.
TIME  ?= 30
MUSL  ?= $(shell uname -m)-unknown-linux-musl

# The browser that looks at the pages, by whatever name it goes here.
export CHROMIUM ?= $(or $(firstword $(shell command -v chromium google-chrome chromium-browser)),/usr/bin/chromium)

.DEFAULT_GOAL := help
.PHONY: help run test tools fmt lint unit test-cluster test-sentinel test-valkey faults-quick faults model clients
.PHONY: fuzz fuzz-smoke loop deny coverage bench deploy-check compose-check image static clean

help: ## List what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: ## Build and start a server with an in-memory store on http://localhost:5000
	$(CARGO) build --release --locked
	target/release/latchkey serve

test: tools fmt lint unit test-cluster test-sentinel deploy-check faults-quick fuzz-smoke ## Everything a change has to pass; installs what is missing

tools:
	@.ci/need redis-server redis-cli chromium node npm openssl curl libfaketime
	@.ci/npm tests/clients tests/pages

fmt:
	$(CARGO) fmt --check

lint:
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --test faults -- -D warnings

unit:
	$(CARGO) test --locked

faults-quick:
	$(CARGO) test --locked --test faults -- --set quick $(F)

faults: ## Breaks servers and redis on purpose, for an hour or so: F=F06,F07 for some of it, SET=quick for less
	@.ci/need redis-server redis-cli openssl libfaketime
ifeq ($(SET),quick)
	$(MAKE) faults-quick
else
	$(CARGO) build --release --locked
	LATCHKEY_BIN=$(CURDIR)/target/release/latchkey $(CARGO) test --locked --test faults -- --set long $(F)
endif

test-cluster: tools ## The tests that use Redis, on a cluster of three primaries
	CARGO=$(CARGO) .ci/redis-as cluster

test-sentinel: tools ## The same on a primary with two replicas and three sentinels
	CARGO=$(CARGO) .ci/redis-as sentinel

test-valkey: ## The tests that use Redis and the quick faults, on Valkey 9.1, or V=8.1
	@.ci/need redis-cli python3 openssl libfaketime
	CARGO=$(CARGO) .ci/valkey $(or $(V),9.1) $(F)

fuzz: ## Fuzz with libFuzzer: all targets, or one: make fuzz T=params TIME=60
	@CARGO="$(CARGO)" fuzz/run $(TIME) $(T)

# It takes longer to build than to run, so it is built in haste. The same inputs each time: what this looks
# for is a target that does not work any more; what nobody has thought of is for `make fuzz`.
fuzz-smoke: ## Every fuzz target for a moment, where the compiler can instrument
	@CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_DEBUG=false CARGO="$(CARGO)" IF_POSSIBLE=1 SEED=1 RUNS=1000 fuzz/run 10

loop: ## What a developer waits after one changed file, against the figures in CONTRIBUTING: SLACK=2 times them at most
	@CARGO="$(CARGO)" SLACK="$(or $(SLACK),2)" .ci/loop

deny: ## Licences, advisories and sources of the dependencies (deny.toml)
	@command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --locked
	$(CARGO) deny check

model: ## More traces against the model: CASES=500 of them for each store, SEED=7 for others
	@.ci/need redis-server
	MODEL_CASES=$(CASES) MODEL_SEED=$(SEED) $(CARGO) test --locked --test it model::

clients: ## Real programs (Spring Boot, Synapse, Dovecot …) against the server: N=dovecot for one; installs what is missing
	@.ci/need node npm python3 go java mvn dovecot
	# Beside a test, so that its dependencies are those that `make test` has compiled already.
	$(CARGO) build --locked --bin latchkey --test faults
	.ci/clients $(N)

coverage: tools ## Line coverage of the tests, into lcov.info
	@command -v cargo-llvm-cov >/dev/null || $(CARGO) install cargo-llvm-cov --locked
	$(CARGO) llvm-cov --locked --lcov --output-path lcov.info
	$(CARGO) llvm-cov report --summary-only

bench: ## The benchmarks
	$(CARGO) bench --locked

deploy-check: ## The image's sources, and deploy/ by running what it runs, without containers; installs what is missing
	@.ci/need redis-server redis-sentinel nginx openssl curl python3
	CARGO=$(CARGO) .ci/build-context
	# Beside a test, so that its dependencies are those that `make test` has compiled already.
	$(CARGO) build --locked --bin latchkey --test faults
	.ci/deploy

compose-check: ## The image and all three Compose files, with a real Docker engine; STAND_IN=1 where no registry is reached
	.ci/compose-check

static: ## One static binary without any library, for any Linux
	@.ci/need musl-gcc
	rustup target add $(MUSL)
	$(CARGO) build --release --locked --target $(MUSL)
	@ls -l target/$(MUSL)/release/latchkey

image: ## The container image
	DOCKER_BUILDKIT=1 docker build --tag $(IMAGE) .

clean: ## Remove what was built
	$(CARGO) clean
