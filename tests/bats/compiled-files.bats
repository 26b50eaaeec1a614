#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The compiled plugins of Debian's nbdkit that make their disk of files, unchanged: each serves
# the same disk under nbdlab as under nbdkit.

load common
load twins

setup() {
    twins_setup
}

# patch_file FILE OFFSET TEXT
patch_file() {
    printf %s "$3" | dd of="$1" oflag=seek_bytes seek="$2" conv=notrunc status=none
}

@test "file" {
    same_dump file
    same_help file
    each truncate -s 3M image
    each patch_file image 1M hello
    twins file image
    compare <<'EOT'
assert (2 << 20, 3) not in extents("nbdlab", "")  # the data in the middle
data = same_disk(maps=1)
same(data[1 << 20:(1 << 20) + 5], b"hello", "data")
EOT
    stop_twins
    cmp "$DIR/nbdkit/image" "$DIR/nbdlab/image"
    twins file file=image cache=none fadvise=sequential
    compare <<<'same_disk(maps=1)'
    stop_twins
    cmp "$DIR/nbdkit/image" "$DIR/nbdlab/image"
    twins -r file image
    compare <<<'same_disk()'
    stop_twins
    each chmod 444 image
    twins -r file image
    compare <<<'same_disk()'
    stop_twins
    both_refuse file no-such-file
    both_refuse file
    both_refuse file image cache=sometimes
}

@test "file: a folder with an export for each file" {
    each mkdir folder
    each truncate -s 100001 folder/one folder/two
    each cp /etc/os-release "folder/a b"
    twins file dir=folder
    compare <<'EOT'
same_disk(["one", "two", "a b"], maps=1)
same([e["export-name"] for e in nbdinfo("nbdlab")["exports"]], ["a b", "one", "two"], "exports")
both(lambda side: nbd_errno(connect, side, "no such file") != 0)
both(lambda side: nbd_errno(connect, side, "../image") != 0)
EOT
    stop_twins
    both_refuse file dir=no-such-folder
}

@test "split" {
    same_dump split
    same_help split
    each cp /etc/os-release a
    each truncate -s 1000001 b
    each truncate -s 7 c
    # Asked to cache what is in several files, the plugin of 1.32 never ends, and asked for the map
    # of a part of the disk that ends within a hole, it crashes, whatever serves it.
    twins split a b c
    compare <<<'same_disk(left_out=["cache"], maps=1, piece=32768)'
    stop_twins
    for file in a b c; do
        cmp "$DIR/nbdkit/$file" "$DIR/nbdlab/$file"
    done
    twins -r split file=c file=a
    compare <<<'same_disk(left_out=["cache"], maps=1, piece=32768)'
    stop_twins
    both_refuse split a missing
}

@test "split: long reads that end within a hole" {
    head -c 1536001 /dev/urandom >"$DIR/data"
    truncate -s 1M "$DIR/hole"
    serve "$PLUGINS/nbdkit-split-plugin.so" "$DIR/data" "$DIR/hole"
    nbdcopy "$URI" "$DIR/copy"
    cat "$DIR/data" "$DIR/hole" | cmp - "$DIR/copy"
    stop
}

@test "partitioning" {
    same_dump partitioning
    same_help partitioning
    each truncate -s 1M one
    each truncate -s 700001 two
    local type
    for type in mbr gpt; do
        each patch_file one 0 'in the partition'
        # The GUIDs are random, but come from the time.
        twins_at_once -r partitioning partition-type=$type one mbr-id=0x83 \
            type-guid=0FC63DAF-8483-4772-8E79-3D69D8477DE4 alignment=1M two
        compare <<<'same_disk()'
        stop_twins
        twins_at_once partitioning one partition-type=$type
        compare <<'EOT'
total = both(size, "")
same_contents()
both(extents, "")
at = same_contents().index(b"in the partition")
for side in "nbdkit", "nbdlab":
    connect(side).pwrite(b"IN", at)
    same(bytes(connect(side).pread(6, at)), b"IN the", "data")
# The table around the file cannot be changed, whichever server it is.
assert both(lambda side: nbd_errno(connect(side).pwrite, b"x" * 512, 0))
EOT
        stop_twins
        cmp "$DIR/nbdkit/one" "$DIR/nbdlab/one"
    done
    both_refuse partitioning
    both_refuse partitioning missing
}

@test "floppy" {
    same_dump floppy
    same_help floppy
    mkdir -p "$DIR/folder/sub"
    echo "hello from a floppy" >"$DIR/folder/hello.txt"
    cp /etc/os-release "$DIR/folder/sub/A long name.text"
    twins floppy "$DIR/folder" label=LAB
    compare <<'EOT'
data = same_disk()
assert b"hello from a floppy" in data and b"LAB" in data
same(data[510:512], b"\x55\xaa", "the end of the boot sector")
EOT
    stop_twins
    both_refuse floppy "$DIR/no-such-folder"
    both_refuse floppy
}

@test "iso" {
    same_dump iso
    same_help iso
    mkdir "$DIR/folder"
    cp /etc/os-release "$DIR/folder/release"
    export SOURCE_DATE_EPOCH=1000000000
    twins iso "$DIR/folder" params='-V LAB -r'
    compare <<'EOT'
data = same_disk()
same(data[32769:32774], b"CD001", "the volume descriptor")
assert b"LAB" in data[32768:34816]
EOT
    nbdcopy "$URI" "$DIR/image"
    xorriso -osirrox on -indev "$DIR/image" -extract /release "$DIR/release" 2>/dev/null
    cmp "$DIR/release" /etc/os-release
    stop_twins
    disk mkiso <<<'#!/bin/sh
shift 2
exec genisoimage "$@"'
    twins iso "$DIR/folder" prog="$DIR/mkiso"
    compare <<'EOT'
both(nbdinfo)
both(size, "")
EOT
    stop_twins
    both_refuse iso
    both_refuse iso "$DIR/folder" prog=false
}

# is_ext TYPE LABEL: what $URI serves is a sound file system of this kind.
is_ext() {
    nbdcopy "$URI" "$DIR/image"
    e2fsck -fn "$DIR/image"
    run -0 blkid -p -o export "$DIR/image"
    contains "$output" "TYPE=$1"
    contains "$output" "LABEL=$2"
}

@test "linuxdisk" {
    same_dump linuxdisk
    same_help linuxdisk
    mkdir -p "$DIR/folder/sub"
    cp /etc/os-release "$DIR/folder/sub/release"
    ln -s sub/release "$DIR/folder/link"
    twins linuxdisk "$DIR/folder" label=LAB type=ext4 size=+4M
    nbdcopy --flush "$URI" "$DIR/image"
    dd if="$DIR/image" of="$DIR/part" bs=512 skip=2048 status=none
    stop_twins
    debugfs -R 'cat /sub/release' "$DIR/part" | cmp - /etc/os-release
    export E2FSPROGS_FAKE_TIME=1000000000
    twins linuxdisk "$DIR/folder" label=LAB type=ext2 size=16M
    compare <<'EOT'
import hashlib
both(nbdinfo)
both(extents, "")

def without_random_ids(side):
    data = contents(side, "")
    superblock = (2048 * 512) + 1024
    for at in 104, 236:  # the file system's UUID and the seed of its hashes
        data = data.replace(data[superblock + at:superblock + at + 16], bytes(16))
    return hashlib.sha256(data).hexdigest()

both(without_random_ids)
both(work, "")
EOT
    stop_twins
    both_refuse linuxdisk
    both_refuse linuxdisk "$DIR/no-such-folder"
}

@test "tmpdisk" {
    same_dump tmpdisk
    same_help tmpdisk
    PATH=$PATH:/usr/sbin:/sbin
    twins tmpdisk 16M label=LAB
    is_ext ext4 LAB
    compare <<'EOT'
both(nbdinfo)
both(size, "")
# Each client has a disk of its own, without what others wrote.
first, second = connect("nbdlab"), connect("nbdlab")
first.pwrite(b"mine" * 1024, 8 << 20)
same(bytes(first.pread(4, 8 << 20)), b"mine", "data of the client that wrote")
same(bytes(second.pread(4, 8 << 20)), bytes(4), "data of another client")
EOT
    stop_twins
    twins tmpdisk size=4M more=7 command='truncate -s $size "$disk"; printf "%s $more" >>"$disk"'
    compare <<'EOT'
both(nbdinfo)
both(size, "")
both(contents, "")
both(work, "")
EOT
    stop_twins
    twins tmpdisk 1M command='echo does not work >&2; exit 1'
    compare <<'EOT'
both(lambda side: nbd_errno(connect, side) != 0)
EOT
    stop_twins
    both_refuse tmpdisk
}

@test "ondemand" {
    same_dump ondemand
    same_help ondemand
    PATH=$PATH:/usr/sbin:/sbin
    each mkdir folder
    twins ondemand dir=folder size=4M wait=true command='truncate -s $size $disk; echo made >$disk.note'
    compare <<'EOT'
same_disk(["new", ""], maps=1)
both(lambda side: nbd_errno(connect, side, "../escape") != 0)
for side in "nbdkit", "nbdlab":
    look_closer(side, "kept").pwrite(b"kept", 0)
    same(bytes(look_closer(side, "kept").pread(4, 0)), b"kept", "data for a second client")
leave()
both(nbdinfo)
EOT
    stop_twins
    cmp "$DIR/nbdkit/folder/new" "$DIR/nbdlab/folder/new"
    same "$(ls "$DIR/nbdlab/folder")" "$(ls "$DIR/nbdkit/folder")"
    each mkdir filesystems
    twins ondemand dir=filesystems 16M label=LAB
    is_ext ext4 LAB
    stop_twins
    both_refuse ondemand size=1M
    both_refuse ondemand dir=no-such-folder size=1M
}
