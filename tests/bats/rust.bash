# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the tests of plugins in Rust share.

setup() {
    [ -e "$BUILD/tests/rust.env" ] || skip "cargo or rustc is not there"
    common_setup
    ROOT=$(cd "$TESTS/.." && pwd)
    CRATE=$ROOT/plugins/rust
    CONTRACT=$BUILD/tests/contract/rust.so
    RUSTY=$BUILD/tests/plugins/rusty.so
    export CRATE CONTRACT RUSTY
    PAGE=$ROOT/man/nbdlab-rust-plugin.3
    # shellcheck disable=SC1091
    . "$BUILD/tests/rust.env"
    unset RUST_BACKTRACE
    # What is not instrumented has locks that the sanitizer does not see.
    export TSAN_OPTIONS="ignore_noninstrumented_modules=1:${TSAN_OPTIONS:-}"
}

# cargo ARGS...: bounded, and without a network.
cargo() {
    timeout "$((30 * BOUND_S))" "$CARGO" "$1" --offline "${@:2}" 3>&- 4>&-
}

# count TEXT: in how many lines of the log it is.
count() {
    grep -cF -e "$1" "$LOG" || :
}
