#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The rules of the protocol (tests/rules.py), tried on a server that runs already; and programs of
# the tests whose reader does not want to know all.

load common

@test "a good server with a small disk breaks no rule: those that need more are skipped" {
    serve memory 512
    run -0 /usr/bin/python3 "$TESTS/rules.py" --socket "$SOCK"
    contains "$output" "# SKIP needs a disk of 524288 bytes; this one has 512"
    case $output in *"not ok"*) false ;; esac
    stop
}

@test "programs whose output is cut short end without a traceback" {
    local program
    for program in 'rules.py --list' rules.py exit_status.py each_option.py; do
        # shellcheck disable=SC2086
        { /usr/bin/python3 $TESTS/$program 2>"$DIR/errors" || echo "$?" >"$DIR/status"; } |
            head -n 1 >"$DIR/first"
        same "$(cat "$DIR/status")" 141
        same "$(cat "$DIR/errors")" ""
        rm "$DIR/status"
    done
}
