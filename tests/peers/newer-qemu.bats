#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# qemu 10: extended headers, lengths of 64 bits, maps, conversions, error text.

load ../bats/common
load peers

@test "qemu-io: one request zeroes more than 4 GiB" {
    serve memory 16G
    run -0 bounded qemu-io -f raw -c 'write -P 7 5G 4k' -c 'write -P 8 7G 4k' -c 'write -zu -n 0 6G' \
        -c 'read -P 0 5G 4k' -c 'read -P 8 7G 4k' --trace nbd_send_request "$URI"
    contains "$output" ".len = 6442450944"
    not grep -qi fail <<<"$output"
    stop
}

@test "qemu-io: patterns, discards, flushes" {
    serve memory 64M
    run -0 bounded qemu-io -f raw -c 'write -P 1 12345 54321' -c 'read -P 1 12345 54321' \
        -c 'discard 0 1M' -c 'read -P 0 0 1M' -c 'write -f -P 2 2M 1k' -c flush -c 'read -P 2 2M 1k' \
        "$URI"
    not grep -qi fail <<<"$output"
    stop
}

@test "qemu-img: map" {
    serve memory 16G
    bounded qemu-io -f raw -c 'write -P 7 9G 64k' "$URI"
    run -0 bounded qemu-img map -f raw --output=json "$URI"
    /usr/bin/python3 -c 'import json, sys
extents = json.load(sys.stdin)
assert sum(e["length"] for e in extents) == 16 << 30, extents
data = [e for e in extents if e["data"]]
assert [e["start"] for e in data] == [9 << 30], extents
assert extents[0]["length"] == 9 << 30 and extents[0]["zero"], extents' <<<"$output"
    stop
}

@test "qemu-img: convert and compare" {
    serve memory 64M
    truncate -s 64M "$DIR/image"
    head -c 3M /dev/urandom | dd of="$DIR/image" bs=1M seek=7 conv=notrunc status=none
    bounded qemu-img convert -n -f raw -O raw "$DIR/image" "$URI"
    run -0 bounded qemu-img compare -f raw -F raw "$DIR/image" "$URI"
    bounded qemu-img convert -f raw -O qcow2 "$URI" "$DIR/copy"
    run -0 bounded qemu-img compare -f raw -F qcow2 "$DIR/image" "$DIR/copy"
    bounded qemu-io -f raw -c 'write -P 1 0 512' "$URI"
    run -1 bounded qemu-img compare -f raw -F raw "$DIR/image" "$URI"
    stop
}

# qemu-io itself prints no more than the errno; the chunk that it received has the text.
@test "qemu-io: an error comes with its text, and the connection goes on" {
    serve eval get_size='echo 1M' pread='
        [ "$4" = 0 ] || { echo "EIO torn at $4" >&2; exit 1; }
        head -c "$3" /dev/zero'
    run -1 bounded qemu-io -r -f raw -c 'read 64k 512' -c 'read 0 512' \
        --trace nbd_receive_reply_chunk_header "$URI"
    contains "$output" "read failed: Input/output error"
    contains "$output" "read 512/512 bytes at offset 0"
    [[ $output =~ "generic error), cookie = "[0-9]+", length = "([0-9]+) ]]
    [ "${BASH_REMATCH[1]}" -gt "$((6 + 13))" ]
    has "torn at 65536"
    stop
}
