#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Many disks in one server: lists the files of a folder as exports, and serves, read-only, the one
# that the client names. Try it:
#
#   ./nbdlab -U - sh examples/exports.sh /usr/share/common-licenses --run 'nbdinfo --list "$uri"'
#   ./nbdlab -U - -e GPL-3 sh examples/exports.sh /usr/share/common-licenses \
#       --run 'nbdcopy "$uri" - | tail -n 3'
#
# Parameter: [dir=]FOLDER. Symbolic links and hidden files are left out: nothing outside of the
# folder can be reached.

: "${tmpdir:?is missing: this is a disk, nbdlab sh runs it}"

fail() {
    echo "$*" >&2
    exit 1
}

folder() {
    cat "$tmpdir/folder"
}

# The name comes from the network: it must be that of a file, and not a way to one.
check_name() {
    case "$1" in
        "") fail "ENOENT name an export: this server has one for each file of a folder" ;;
        */* | .*) fail "EPERM no such export" ;;
    esac
    if [ -L "$(folder)/$1" ] || [ ! -f "$(folder)/$1" ]; then
        fail "ENOENT no such export"
    fi
}

case "$1" in
    magic_config_key) echo dir ;;
    thread_model) echo parallel ;;
    config)
        [ "$2" = dir ] || fail "EINVAL unknown parameter '$2': this disk takes dir=FOLDER"
        [ -d "$3" ] || fail "ENOTDIR dir=$3 is not a folder"
        realpath "$3" >"$tmpdir/folder"
        ;;
    config_complete) [ -e "$tmpdir/folder" ] || fail "EINVAL give the folder: dir=FOLDER" ;;

    # The first line says that names follow, one a line; a name with a newline does not fit in.
    list_exports)
        echo NAMES
        find "$(folder)" -mindepth 1 -maxdepth 1 -type f ! -name '.*' ! -name '*
*' -printf '%f\n' | sort
        ;;

    # The path of the file is the handle, $2 from here on.
    open)
        check_name "$3"
        echo "$(folder)/$3"
        ;;
    get_size) stat -c %s "$2" ;;
    can_multi_conn) exit 0 ;;
    pread) dd if="$2" iflag=skip_bytes,count_bytes skip="$4" count="$3" bs=1M ;;

    *) exit 2 ;;
esac
