#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# A disk in a file, with trim, zero, flush and extents: what a client erases takes no room in the
# file, and clients that copy the disk skip its holes. Try it:
#
#   truncate -s 1G disk.img
#   ./nbdlab -U - sh examples/file.sh disk.img --run 'nbdinfo --map "$uri"'
#
# Parameter: [file=]PATH, a regular file.

: "${tmpdir:?is missing: this is a disk, nbdlab sh runs it}"

file() {
    cat "$tmpdir/file"
}

# Prints the file's holes and data from byte $2 to byte $3, as far as the file system tells them.
# perl because no small tool does this; on Debian it is always there.
print_extents() {
    perl -e '
        my ($path, $at, $end) = @ARGV;
        my ($seek_data, $seek_hole) = (3, 4);
        open(my $disk, "<", $path) or die "EIO $path: $!\n";
        while ($at < $end) {
            my $data = sysseek($disk, $at, $seek_data) // $end;
            printf "%d %d hole,zero\n", $at, $data - $at if $data > $at;
            last if $data >= $end;
            $at = sysseek($disk, $data, $seek_hole) // $end;
            printf "%d %d\n", $data, $at - $data;
        }' "$1" "$2" "$3"
}

# The server falls back to pwrite for ENOTSUP; stderr counts only if fallocate fails.
deallocate() {
    echo ENOTSUP >&2
    fallocate "$1" --keep-size --length "$2" --offset "$3" "$(file)" || exit 1
}

case "$1" in
    magic_config_key) echo file ;;
    thread_model) echo parallel ;;

    config)
        if [ "$2" != file ]; then
            echo "EINVAL unknown parameter '$2': this disk takes file=PATH" >&2
            exit 1
        fi
        # The server changes its directory later on, so the path is made absolute now.
        realpath "$3" >"$tmpdir/file"
        ;;
    config_complete)
        if [ ! -e "$tmpdir/file" ] || [ ! -f "$(file)" ]; then
            echo "EINVAL no file to serve: give file=PATH of a regular file" >&2
            exit 1
        fi
        ;;

    get_size) stat -L -c %s "$(file)" ;;
    can_write | can_flush | can_trim | can_zero | can_fast_zero | can_multi_conn) exit 0 ;;
    can_extents) command -v perl >/dev/null || exit 3 ;;
    # The server calls flush after a write, trim or zero that is to be on the disk at once.
    can_fua) echo emulate ;;

    pread)
        dd if="$(file)" iflag=skip_bytes,count_bytes skip="$4" count="$3" bs=1M ;;
    pwrite)
        dd of="$(file)" oflag=seek_bytes seek="$4" conv=notrunc bs=1M ;;
    flush)
        sync --data "$(file)" ;;
    trim)
        deallocate --punch-hole "$3" "$4" ;;
    zero)
        case "$5" in
            *may_trim*) deallocate --punch-hole "$3" "$4" ;;
            *) deallocate --zero-range "$3" "$4" ;;
        esac
        ;;
    extents)
        print_extents "$(file)" "$4" $(($4 + $3)) ;;

    *) exit 2 ;;
esac
