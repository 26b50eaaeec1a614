#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# A disk in a file, with a bad sector, a slow region, and a place that throws out whoever reads or
# writes there. The script says so once, in a map; the server moves the data. Try it:
#
#   truncate -s 16M disk.img
#   ./nbdlab -U - sh examples/patchwork.sh disk.img \
#       --run 'qemu-io -f raw -c "read 0 4k" -c "read 1M 4k" -c "read 2M 4k" -c "read 3M 4k" "$uri"'
#
# Parameter: [file=]PATH, a regular file of more than 4 MiB. A server that asks for no map, such as
# nbdkit, calls pread and pwrite instead, and the disk is a good one.

: "${tmpdir:?is missing: this is a disk, nbdlab sh runs it}"

# A link of a name without blanks or quotes, whatever the user's file is called.
file=$tmpdir/file

fail() {
    echo "$*" >&2
    exit 1
}

get_size() {
    stat -L -c %s "$file"
}

case "$1" in
    magic_config_key) echo file ;;
    thread_model) echo parallel ;;

    config)
        [ "$2" = file ] || fail "EINVAL unknown parameter '$2': this disk takes file=PATH"
        ln -s "$(realpath "$3")" "$file"
        ;;
    config_complete)
        if [ ! -f "$file" ] || [ "$(get_size)" -le 4194304 ]; then
            fail "EINVAL no file to serve: give file=PATH of a regular file of more than 4 MiB"
        fi
        ;;

    get_size) get_size ;;
    can_write | can_flush | can_multi_conn) exit 0 ;;

    map)
        cat <<END
# OFFSET  LENGTH                     TARGET
0         1M                         file $file
1M        4K                         error EIO             # a bad sector
1028K     1020K                      file $file 1028K
2M        1M                         delay 200 file $file 2M
3M        4K                         disconnect force
3076K     $(($(get_size) - 3149824)) file $file 3076K
END
        ;;

    pread)
        dd if="$file" iflag=skip_bytes,count_bytes skip="$4" count="$3" bs=1M ;;
    pwrite)
        dd of="$file" oflag=seek_bytes seek="$4" conv=notrunc bs=1M ;;
    flush)
        sync --data "$file" ;;

    *) exit 2 ;;
esac
