#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The smallest disk: 1 MiB that says the same thing over and over. Try it:
#   ./nbdlab -U - sh examples/hello.sh --run 'nbdcopy "$uri" - | tail -n 3'

case "$1" in
    get_size) echo 1M ;;
    pread) yes 'hello, NBD user' |
        dd iflag=fullblock,skip_bytes,count_bytes skip="$4" count="$3" ;;
    *) exit 2 ;;
esac
