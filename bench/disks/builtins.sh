#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# The disk of the benchmark's rows "builtins": blank, and no program is run to read it.

case "$1" in
    thread_model) echo parallel ;;
    get_size) echo 4M ;;
    can_multi_conn) exit 0 ;;
    pread) printf "%${3}s" '' ;;
    *) exit 2 ;;
esac
