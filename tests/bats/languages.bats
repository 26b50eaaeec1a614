#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Building what plugins in other languages need, where the tools are there and where they are not.

load common

setup() {
    common_setup
    SOURCES=$(cd "$TESTS/.." && pwd)
    mkdir "$DIR/bin"
}

# without TOOL ARGUMENT: from now on the tool fails where an argument is that one.
without() {
    cat >"$DIR/bin/$1" <<EOT
#!/bin/sh
case " \$* " in *" $2 "*) echo "$1: there is no $2" >&2; exit 1 ;; esac
exec $(command -v "$1") "\$@"
EOT
    chmod +x "$DIR/bin/$1"
}

# planned ARGS...: what make would do.
planned() {
    PATH=$DIR/bin:$PATH run -0 timeout "$((6 * BOUND_S))" \
        make -n -C "$SOURCES" B="$DIR/build" "$@" tests 3>&- 4>&-
}

@test "with all tools, all languages are built and nothing is said" {
    planned
    not contains "$output" "There will be no"
    for product in nbdkit-python-plugin.so contract/ocaml.so contract/rust.so; do
        contains "$output" "$product"
    done
}

@test "a language whose tool is missing is left out, with one line that says what to install" {
    without ocamlopt -version
    without pkg-config python3-embed
    planned CARGO=/nonexistent/cargo
    same "$(grep -c "There will be no" <<<"$output")" 3
    for line in "plugins in python: \`pkg-config --atleast-version=3.9 python3-embed\` fails (Debian has libpython3-dev)" \
        "plugins in ocaml: \`ocamlopt -version\` fails (Debian has ocaml-nox)" \
        "(Debian has cargo and rustc)"; do
        contains "$output" "$line"
    done
    not contains "$output" "-o $DIR/build/plugins/nbdkit-python-plugin.so"
    not contains "$output" "contract/ocaml.so"
    not contains "$output" "contract/rust.so"
    contains "$output" "nbdkit-memory-plugin.so"
}

@test "without libzstd, the memory plugin is built without it, and one line says so" {
    planned
    contains "$output" "memory/packed.c"
    without pkg-config libzstd
    planned
    same "$(grep -c "libzstd" <<<"$output")" 1
    contains "$output" "(Debian's libzstd-dev), so there will be no allocator=zstd"
    contains "$output" "memory/packed_absent.c"
    not contains "$output" "lzstd"
}

@test "languages that are not wanted are left out without a word" {
    without ocamlopt -version
    planned LANGUAGES=python
    not contains "$output" "There will be no"
    not contains "$output" "contract/ocaml.so"
    not contains "$output" "contract/rust.so"
    contains "$output" "-o $DIR/build/plugins/nbdkit-python-plugin.so"
}
