# `make` alone says what there is. All that is built goes to target/, or where CARGO_TARGET_DIR says.

SHELL := /bin/bash
PREFIX ?= /usr/local
DESTDIR ?=

# The servers and tools that the tests start, as COMMAND:PACKAGES of Debian.
NEEDED := mariadbd:mariadb-server postfix:postfix saslpasswd2:sasl2-bin,libsasl2-modules \
          curl:curl python3:python3 ip:iproute2 faketime:faketime cc:gcc,libc6-dev

# Tools of cargo are built without optimising: they run for seconds, and that saves minutes.
INSTALL_TOOL := CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off \
                CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 cargo install --locked --quiet

# Postfix starts as root only: of anybody else the tests are built as that user and run through sudo.
AS_ROOT := $(if $(filter-out 0,$(shell id -u)),CARGO_TARGET_$(shell rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')_RUNNER='sudo -E')

BUILT := $(or $(CARGO_TARGET_DIR),target)
SKYPUNCH := $(BUILT)/debug/skypunch --state-dir target/run

.PHONY: help run build release test test-faults check ci bench fuzz bless fmt deps packages tools nextest previous install clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 14

run: build ## Run it here, with three sample targets if there are none; Ctrl-C stops it
	@$(SKYPUNCH) migrate
	@if [ "$$($(SKYPUNCH) --json targets 2>/dev/null | tr -d '[:space:]')" = '[]' ]; then \
	  $(SKYPUNCH) add target 'skypunch itself' http://127.0.0.1:8900/healthz --frequency 5 && \
	  $(SKYPUNCH) add target 'Example' https://example.org/ --frequency 30 && \
	  $(SKYPUNCH) add target 'Nobody listens' http://127.0.0.1:9/ --frequency 10; \
	fi
	@exec $(SKYPUNCH) run

build: ## Build it for development
	cargo build

release: ## Build it for use
	cargo build --release --locked

test: packages nextest ## Run all tests; installs the servers they need
	$(AS_ROOT) cargo nextest run --workspace
	cargo test --workspace --doc --quiet

test-faults: packages nextest previous ## Break everything for as long as it takes to be sure: an hour
	SKYPUNCH_TEST_FAULTS=long SKYPUNCH_TEST_PREVIOUS='$(CURDIR)/target/previous/build/debug/skypunch' \
	  $(AS_ROOT) cargo nextest run --workspace --profile faults

previous: # The commit before this one, whose state this one must take over.
	@git worktree prune
	@[ -d target/previous/source ] || git worktree add --force --detach target/previous/source HEAD~1
	git -C target/previous/source checkout --quiet --detach "$$(git rev-parse HEAD~1)"
	cargo build --manifest-path target/previous/source/Cargo.toml --target-dir target/previous/build

check: tools ## Look at the code without running it
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo deny check licenses bans sources
	cargo machete
	RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' cargo doc --workspace --no-deps --document-private-items --quiet

ci: deps check test ## All that must pass before a change is taken

bench: packages ## Measure it under load, or as ARGS says; see docs/performance.md
	cargo bench --bench load -- $(ARGS)

fuzz: ## Look for what makes the parsers panic, ten minutes each
	@command -v cargo-fuzz >/dev/null || { echo 'installing cargo-fuzz'; $(INSTALL_TOOL) cargo-fuzz; }
	@# What the sanitizers need is not stable: the variable has any toolchain take it.
	@for target in row answer keystone dns journal control; do \
	  mkdir -p target/fuzz/found/"$$target"; \
	  RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir tests/fuzz "$$target" --target-dir target/fuzz target/fuzz/found/"$$target" tests/fuzz/corpus/"$$target" \
	    -- -max_total_time=600 || exit 1; \
	done

bless: ## Accept the snapshots as the tests make them now
	INSTA_UPDATE=always INSTA_FORCE_PASS=1 cargo test --workspace --quiet

fmt: ## Format the code
	cargo fmt --all

deps: packages tools ## Install what tests and checks need: Debian packages and tools of cargo

packages:
	@missing=''; \
	for needed in $(NEEDED); do \
	  PATH="$$PATH:/usr/sbin" command -v "$${needed%%:*}" >/dev/null || missing="$$missing $${needed#*:}"; \
	done; \
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	missing="$${missing//,/ }"; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ]; then sudo=env; elif sudo -n true 2>/dev/null; then sudo=sudo; else \
	    echo "As root, run: apt-get install$$missing" >&2; exit 1; fi; \
	  $$sudo apt-get update -qq && \
	  $$sudo DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $$missing; \
	fi

tools: nextest
	@command -v cargo-deny >/dev/null || $(INSTALL_TOOL) cargo-deny@0.20.2
	@command -v cargo-machete >/dev/null || $(INSTALL_TOOL) cargo-machete@0.9.2

nextest:
	@command -v cargo-nextest >/dev/null || $(INSTALL_TOOL) cargo-nextest@0.9.143

install: ## Install what `make release` built below PREFIX (/usr/local), for systemd; keeps your configuration
	@[ -x '$(BUILT)/release/skypunch' ] || { echo 'First, run: make release' >&2; exit 1; }
	install -D -m 755 '$(BUILT)/release/skypunch' '$(DESTDIR)$(PREFIX)/bin/skypunch'
	install -d '$(DESTDIR)$(PREFIX)/lib/systemd/system'
	sed 's|/usr/local/bin|$(PREFIX)/bin|' conf/skypunch.service > '$(DESTDIR)$(PREFIX)/lib/systemd/system/skypunch.service'
	@for file in skypunch.toml log4rs.yaml; do \
	  [ -e "$(DESTDIR)/etc/skypunch/$$file" ] || install -v -D -m 644 "conf/$$file" "$(DESTDIR)/etc/skypunch/$$file"; \
	done

clean: ## Remove all that was built
	cargo clean
