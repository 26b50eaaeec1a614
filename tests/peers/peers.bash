# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# For tests with clients that are newer than the system's; load it after common.  $PEERS/bin has
# them.  They run as root in a system of their own that shares /tmp with this one, so sockets and
# files of the tests have the same path there.  That folder must not be on the PATH: where it is
# shared too, the programs would find themselves instead of what they stand for.
#
#   bounded PROGRAM ARG...          one of the newer clients, ended after a while
#   nbdsh_new [OPTION...] <<'EOT'   Python with the handle h, connected to $URI

bounded() {
    timeout "$((3 * BOUND_S))" "$PEERS/bin/$1" "${@:2}"
}

nbdsh_new() {
    bounded nbdsh "$@" -u "$URI" -c -
}
