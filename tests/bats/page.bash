# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Examples of manual pages. A literal block of a page that a test uses has a mark before it, the
# comment "run: NAME".

# block PAGE NAME: prints that block of man/PAGE.
block() {
    awk -v mark="run: $2" '
        substr($0, 1, 3) == ".\\\"" && substr($0, 5) == mark { is_mine = 1; next }
        is_mine && /^\.Bd -literal/ { inside = 1; next }
        inside && /^\.Ed/ { found = 1; exit }
        inside { print }
        END { exit !found }' "$TESTS/../man/$1" | sed 's/\\e/\\/g; s/^\\&//'
    return "${PIPESTATUS[0]}"
}

# run_block PAGE NAME: runs the commands of that block in a shell, nbdlab being the server that is
# tested; they must all succeed.
run_block() {
    mkdir -p "$DIR/bin"
    ln -sfn "$NBDLAB" "$DIR/bin/nbdlab"
    block "$1" "$2" >"$DIR/block.sh"
    PATH=$DIR/bin:$PATH run -0 timeout "$((3 * BOUND_S))" bash -e "$DIR/block.sh" 3>&- 4>&-
}
