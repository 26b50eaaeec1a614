#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# A disk whose server ends when the last client leaves: for a job that is to clean up behind itself
# without anybody who stops the server. Try it:
#
#   ./nbdlab -U /tmp/last.sock -P /tmp/last.pid sh examples/lastclient.sh
#   nbdinfo 'nbd+unix:///?socket=/tmp/last.sock'
#   ls /tmp/last.pid        # the server is gone, and so are its socket and its pid file

: "${tmpdir:?is missing: this is a disk, nbdlab sh runs it}"
clients=$tmpdir/clients

case "$1" in
    get_ready) mkdir "$clients" ;;

    # The handle, $2 from here on, is a folder that stands for the client as long as it is there.
    open) mktemp -d "$clients/XXXXXX" ;;
    close)
        rmdir "$2"
        # A folder with something in it cannot be removed: then other clients are there.
        if rmdir "$clients" 2>/dev/null; then
            exit 4
        fi
        ;;

    get_size) echo 1M ;;
    pread) head -c "$3" /dev/zero ;;

    *) exit 2 ;;
esac
