#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# A generated disk: an ext2 file system made out of a folder when the server starts, read-only, as
# CI jobs hand files to a virtual machine. Neither root nor a mount is needed. Try it:
#
#   ./nbdlab -U - sh examples/image.sh /etc/apt \
#       --run 'nbdcopy "$uri" /tmp/apt.img && /sbin/debugfs -R "ls -p" /tmp/apt.img'
#
# Parameters: [dir=]FOLDER, and label=LABEL (NBDLAB), the name of the file system.

: "${tmpdir:?is missing: this is a disk, nbdlab sh runs it}"
PATH=$PATH:/usr/sbin:/sbin
image=$tmpdir/image

fail() {
    echo "$*" >&2
    exit 1
}

# Room for the files, a tenth more for what ext2 keeps about them, and some for small folders.
# mke2fs rounds the number of inodes down, by up to eight in each group of 8 MiB.
make_image() {
    folder=$(cat "$tmpdir/dir" 2>/dev/null) || fail "EINVAL give the folder: dir=FOLDER"
    files=$(find "$folder" -printf x | wc -c)
    kib=$(du -sk --apparent-size "$folder" | cut -f 1)
    kib=$((kib + kib / 10 + files * 3 + 256))
    mke2fs -q -t ext2 -b 1024 -m 0 -N $((files + kib / 1024 + 64)) -L "$(cat "$tmpdir/label")" \
        -d "$folder" "$image" "${kib}k" >"$tmpdir/log" 2>&1 ||
        fail "EIO mke2fs could not make the image: $(cat "$tmpdir/log")"
}

case "$1" in
    magic_config_key) echo dir ;;
    thread_model) echo parallel ;;
    load) echo NBDLAB >"$tmpdir/label" ;;
    config)
        case "$2" in
            dir)
                [ -d "$3" ] || fail "ENOTDIR dir=$3 is not a folder"
                realpath "$3" >"$tmpdir/dir"
                ;;
            label) echo "$3" >"$tmpdir/label" ;;
            *) fail "EINVAL unknown parameter '$2': this disk takes dir and label" ;;
        esac
        ;;
    # Errors in get_ready are still seen by who starts the server; then it goes to the background.
    get_ready) make_image ;;

    get_size) stat -c %s "$image" ;;
    can_multi_conn) exit 0 ;;
    pread) dd if="$image" iflag=skip_bytes,count_bytes skip="$4" count="$3" bs=1M ;;

    *) exit 2 ;;
esac
