#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Stands in for the server, $REAL_NBDLAB, under the name that it is called by: adds
# sh.process=worker to a command line that serves a script which can have it, or fragments. So a
# suite that knows nothing of workers tests them.

# can_have_workers SCRIPT: its #! line names one of the shells, or it has none.
can_have_workers() {
    local line
    [ -f "$1" ] || return 1
    IFS= read -r line <"$1" 2>/dev/null
    case $line in
        '#!'*/sh | '#!'*/dash | '#!'*/bash | '#!'*/ksh | '#!'*/zsh) return 0 ;;
        '#!'*) return 1 ;;
    esac
    ! grep -qI '[^[:print:][:space:]]' <<<"$line"
}

args=()
plugin=
for arg; do
    args+=("$arg")
    case $plugin:$arg in
        *:sh.process=*) exec -a "$0" "$REAL_NBDLAB" "$@" ;;
        :*.so) plugin='another' ;;
        :sh) plugin='sh' ;;
        :eval) plugin='eval' ;;
        eval:*=*) args+=(sh.process=worker) plugin='found' ;;
        sh:-?*) ;;
        sh:* | :*/*.sh)
            if can_have_workers "${arg#script=}"; then args+=(sh.process=worker); fi
            plugin='found' ;;
    esac
done
exec -a "$0" "$REAL_NBDLAB" "${args[@]}"
