# SPDX-License-Identifier: BSD-3-Clause
# The crate that plugins in Rust are written with, and what its tests load. The system's cargo is
# used where there is one, with the compiler beside it; CARGO, RUSTC and RUSTDOC name others.
CARGO ?= $(firstword $(wildcard /usr/bin/cargo) cargo)
RUSTC ?= $(firstword $(wildcard /usr/bin/rustc) rustc)
RUSTDOC ?= $(firstword $(wildcard /usr/bin/rustdoc) rustdoc)

rust_HERE := $(call found,rust,{ $(CARGO) --version && $(RUSTC) --edition 2021 --print sysroot; },cargo and rustc)
ifeq ($(rust_HERE),1)
# One folder for all builds: sanitizers make no difference here.
rust_B = build/rust
rust_RUN = CARGO_TARGET_DIR=$(abspath $(rust_B)) CARGO_HOME=$(abspath $(rust_B))/home \
           RUSTC=$(RUSTC) RUSTDOC=$(RUSTDOC) $(CARGO)
rust_SOURCES = $(wildcard plugins/rust/Cargo.* plugins/rust/src/*.rs plugins/rust/src/*/*.rs)
rust_EXAMPLES = $(wildcard plugins/rust/examples/*.rs)

EXTRA_TESTS += $(rust_EXAMPLES:plugins/rust/examples/%.rs=$(B)/examples/rust-%.so) \
               $(B)/tests/contract/rust.so $(B)/tests/plugins/rusty.so $(B)/tests/rust.env
EXTRA_BENCH += $(B)/examples/rust-ramdisk.so
EXTRA_INSTALLS += install-rust

$(rust_B)/built: $(rust_SOURCES) $(rust_EXAMPLES)
	$(call say,RUST)
	$(Q)$(rust_RUN) build --offline --quiet --release --lib --examples \
	 --manifest-path plugins/rust/Cargo.toml
	@touch $@

$(B)/examples/rust-%.so: $(rust_B)/built
	@mkdir -p $(@D)
	$(Q)cp $(rust_B)/release/examples/lib$*.so $@

$(B)/tests/contract/rust.so: tests/contract/contract.rs
$(B)/tests/plugins/rusty.so: tests/plugins/rusty.rs
$(B)/tests/contract/rust.so $(B)/tests/plugins/rusty.so: $(rust_B)/built
	@mkdir -p $(@D)
	$(call say,RUST)
	$(Q)$(RUSTC) --edition 2021 -O -D warnings --crate-type cdylib --crate-name $(notdir $(@:.so=)) \
	 --extern nbdkit=$(rust_B)/release/libnbdkit.rlib -o $@ $(filter %.rs,$^)

# What the tests run, so that it is what was built with.
$(B)/tests/rust.env: plugins/rust/rules.mk
	@mkdir -p $(@D)
	@printf 'export %s\n' CARGO_TARGET_DIR=$(abspath $(rust_B)) CARGO_HOME=$(abspath $(rust_B))/home \
	 RUSTC=$(RUSTC) RUSTDOC=$(RUSTDOC) CARGO=$(CARGO) >$@

.PHONY: install-rust
rust_FOLDER = $(DESTDIR)$(PREFIX)/share/nbdlab/rust
install-rust:
	install -d $(rust_FOLDER)/src/tests $(rust_FOLDER)/examples
	install -m 644 plugins/rust/Cargo.toml $(rust_FOLDER)
	install -m 644 plugins/rust/src/*.rs $(rust_FOLDER)/src
	install -m 644 plugins/rust/src/tests/*.rs $(rust_FOLDER)/src/tests
	install -m 644 $(rust_EXAMPLES) $(rust_FOLDER)/examples
endif
