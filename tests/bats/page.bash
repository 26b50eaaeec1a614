# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Examples of the manual page $PAGE. A literal block that a test uses has a mark before it, the
# comment "run: NAME".

# block NAME: prints that block, as it is seen on a terminal.
block() {
    awk -v mark="run: $1" '
        substr($0, 1, 3) == ".\\\"" && substr($0, 5) == mark { is_mine = 1; next }
        is_mine && /^\.Bd -literal/ { inside = 1; next }
        inside && /^\.Ed/ { found = 1; exit }
        inside { print }
        END { exit !found }' "$PAGE" |
        sed 's/\\e/\\/g; s/^\\&//; s/\\-/-/g; s/\\(dq/"/g; s/\\(aq/'"'/g"
    return "${PIPESTATUS[0]}"
}

# run_block NAME: runs the commands of that block in a shell, nbdlab being the server that is
# tested; they must all succeed.
run_block() {
    mkdir -p "$DIR/bin"
    ln -sfn "$NBDLAB" "$DIR/bin/nbdlab"
    block "$1" >"$DIR/block.sh"
    PATH=$DIR/bin:$PATH run -0 timeout "$((3 * BOUND_S))" bash -e "$DIR/block.sh" 3>&- 4>&-
}

# seen_by_clients BYTES ARGS...: nbdinfo and qemu-img see the disk that ARGS serve.
seen_by_clients() {
    # shellcheck disable=SC2016 # the server's shell expands it
    run -0 timeout "$((3 * BOUND_S))" "$NBDLAB" -U - "${@:2}" \
        --run 'nbdinfo "$uri"; qemu-img info "$uri"' 3>&- 4>&-
    contains "$output" "export-size: $1"
    contains "$output" "virtual size: $(($1 >> 20)) MiB ($1 bytes)"
}
