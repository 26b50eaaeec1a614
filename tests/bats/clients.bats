#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Real clients against the memory plugin, the file plugin and a script, over Unix and TCP sockets.

load common

IMAGE_MIB=64

# serve_kind KIND SIZE [OPTION...]: memory, file or script; a writable disk of that size.
serve_kind() {
    local kind=$1 size=$2
    shift 2
    case $kind in
        memory) serve "$@" memory "$size" ;;
        file)
            truncate -s "$size" "$DIR/served"
            serve "$@" file "$DIR/served"
            ;;
        script)
            truncate -s "$size" "$DIR/served"
            script_disk
            serve "$@" sh "$DIR/disk.sh"
            ;;
    esac
}

script_disk() {
    disk disk.sh <<EOT
#!/bin/sh
f=$DIR/served
case \$1 in
    thread_model) echo parallel ;;
    get_size) stat -c %s \$f ;;
    block_size) echo 1 64k 32M ;;
    pread) dd if=\$f iflag=skip_bytes,count_bytes,fullblock bs=64k skip=\$4 count=\$3 status=none ;;
    pwrite) dd of=\$f oflag=seek_bytes iflag=fullblock bs=64k seek=\$4 conv=notrunc status=none ;;
    flush) sync -d \$f ;;
    trim | zero) fallocate -p -o \$4 -l \$3 -n \$f ;;
    can_extents) exit 3 ;;
    can_fua) echo emulate ;;
    can_cache) echo none ;;
    can_*) ;;
    *) exit 2 ;;
esac
EOT
}

# serve_tcp ADDRESS PLUGIN ARGS...: serves on a free TCP port; sets URI and PORT.
serve_tcp() {
    local address=$1 host=$1
    shift
    rm -f "$PIDFILE"
    start_bare -f -p 0 -i "$address" -P "$PIDFILE" "$@"
    wait_ready
    PORT=$(head -n 1 "$DIR/out")
    case $address in *:*) host="[$address]" ;; esac
    URI="nbd://$host:$PORT"
}

# An image with data, zeroes and holes, made once for all tests of the file.
setup_file() {
    export IMAGE=$BATS_FILE_TMPDIR/image
    /usr/bin/python3 - "$IMAGE" "$IMAGE_MIB" <<'EOT'
import random, sys
random.seed(7)
size = int(sys.argv[2]) << 20
with open(sys.argv[1], "wb") as image:
    image.truncate(size)
    for offset in range(0, size, 4 << 20):
        image.seek(offset)
        image.write(random.randbytes(1 << 20))
        image.write(bytes(1 << 20))
    image.seek(size - 1000)
    image.write(random.randbytes(1000))
EOT
}

copy_in_and_out() {
    nbdcopy "$IMAGE" "$URI"
    nbdcopy "$URI" "$DIR/copy"
    cmp "$IMAGE" "$DIR/copy"
}

@test "nbdinfo: size, flags, block sizes, extents" {
    for kind in memory file script; do
        serve_kind $kind 10M
        run -0 nbdinfo "$URI"
        contains "$output" "newstyle-fixed without TLS, using structured packets"
        contains "$output" "export-size: 10485760 (10M)"
        contains "$output" "is_read_only: false"
        contains "$output" "can_flush: true"
        contains "$output" "can_zero: true"
        same "$(nbdinfo --size "$URI")" 10485760
        nbdinfo --map "$URI"
        nbdinfo --json "$URI" | /usr/bin/python3 -m json.tool >/dev/null
        nbdinfo --list "$URI"
        stop
    done
}

@test "nbdinfo --map shows what was written" {
    for kind in memory file; do
        serve_kind $kind 3M
        py <<<'ready().write(1 << 20, b"d" * (1 << 20))'
        run -0 nbdinfo --map --totals "$URI"
        contains "$output" "1048576"
        run -0 nbdinfo --map "$URI"
        same "$(awk '{ print $1, $2, $3 }' <<<"$output" | tr '\n' ';')" \
            "0 1048576 3;1048576 1048576 0;2097152 1048576 3;"
        stop
    done
}

@test "nbdcopy in and out of memory" {
    serve_kind memory "${IMAGE_MIB}M"
    copy_in_and_out
    stop
}

@test "nbdcopy in and out of a file" {
    serve_kind file "${IMAGE_MIB}M"
    copy_in_and_out
    stop
    cmp "$IMAGE" "$DIR/served"
}

@test "nbdcopy in and out of a script, 64 MiB" {
    serve_kind script "${IMAGE_MIB}M"
    copy_in_and_out
    stop
    cmp "$IMAGE" "$DIR/served"
}

@test "nbdcopy with many connections and requests, and from server to server" {
    serve_kind memory "${IMAGE_MIB}M" -t 32
    nbdcopy --connections=4 --requests=64 --threads=2 "$IMAGE" "$URI"
    local source=$URI source_server=$SERVER
    SOCK=$DIR/sock2 PIDFILE=$DIR/pid2 URI="nbd+unix:///?socket=$DIR/sock2"
    serve_kind file "${IMAGE_MIB}M"
    nbdcopy "$source" "$URI"
    nbdcopy --synchronous --allocated "$URI" "$DIR/copy"
    cmp "$IMAGE" "$DIR/copy"
    cmp "$IMAGE" "$DIR/served"
    stop
    kill "$source_server"
    wait_exit "$source_server"
}

@test "qemu-img info, convert, compare and map" {
    for kind in memory file script; do
        rm -f "$DIR/copy"
        serve_kind $kind "${IMAGE_MIB}M"
        run -0 qemu-img info --output=json -f raw "$URI"
        contains "$output" "\"virtual-size\": $((IMAGE_MIB << 20))"
        qemu-img convert -n -f raw -O raw "$IMAGE" "$URI"
        qemu-img compare -f raw -F raw "$IMAGE" "$URI"
        qemu-img convert -f raw -O qcow2 "$URI" "$DIR/copy"
        qemu-img compare -f raw -F qcow2 "$IMAGE" "$DIR/copy"
        run -0 qemu-img map --output=json -f raw "$URI"
        /usr/bin/python3 -c 'import json, sys
extents = json.load(sys.stdin)
assert sum(e["length"] for e in extents) == int(sys.argv[1]) << 20, extents
assert any(e["data"] for e in extents), extents' "$IMAGE_MIB" <<<"$output"
        stop
    done
}

@test "qemu-img convert with many requests in parallel, out of order" {
    serve_kind script "${IMAGE_MIB}M"
    qemu-img convert -n -W -m 8 -f raw -O raw "$IMAGE" "$URI"
    qemu-img compare -f raw -F raw "$IMAGE" "$URI"
    stop
}

@test "qemu-io: patterns written and read back, zeroes, discards, flushes, unaligned requests" {
    for kind in memory file script; do
        serve_kind $kind 8M
        run -0 qemu-io -f raw -c 'write -P 0x5a 1M 1M' -c 'read -P 0x5a 1M 1M' \
            -c 'write -z 1500000 4096' -c 'read -P 0 1500000 4096' \
            -c 'write -f -P 3 4000001 777' -c 'read -P 3 4000001 777' \
            -c 'discard 2M 1M' -c 'flush' -c 'read -P 0x5a 1M 4k' \
            -c 'write -u -z 4M 1M' -c 'read -P 0 4M 1M' "$URI"
        not grep -qi -e fail -e error <<<"$output"
        stop
    done
}

@test "qemu-io with asynchronous requests" {
    serve_kind script 8M
    run -0 qemu-io -f raw -c 'aio_write -P 1 0 64k' -c 'aio_write -P 2 64k 64k' \
        -c 'aio_write -P 3 128k 64k' -c 'aio_flush' -c 'read -P 1 0 64k' -c 'read -P 2 64k 64k' \
        -c 'read -P 3 128k 64k' "$URI"
    not grep -qi -e fail -e 'error' <<<"$output"
    stop
}

# fio_verify SIZE DEPTH: random writes, read back and verified.
fio_verify() {
    cd "$DIR"
    fio --name=verify --ioengine=nbd --uri="$URI" --rw=randwrite --bsrange=512-64k --bs_unaligned=1 \
        --size="$1" --iodepth="$2" --verify=crc32c --verify_state_save=0 --do_verify=1 \
        --randseed=7 --group_reporting --output="$DIR/fio.out" \
        || { cat "$DIR/fio.out"; return 1; }
    grep -q 'err= 0' "$DIR/fio.out"
}

@test "fio verifies random writes to memory and a file" {
    for kind in memory file; do
        serve_kind $kind 32M
        fio_verify 32M 16
        stop
    done
}

@test "fio verifies random writes to a script" {
    serve_kind script 4M
    fio_verify 4M 8
    stop
}

@test "libnbd, asynchronous: a hundred requests in flight" {
    serve_kind memory 4M -t 8
    py <<'EOT'
handle = libnbd()
buffers = [nbd.Buffer.from_bytearray(bytearray(struct.pack(">I", n) * 1024)) for n in range(100)]
for n, buffer in enumerate(buffers):
    handle.aio_pwrite(buffer, n * 4096)
while handle.aio_in_flight():
    handle.poll(-1)
for n in range(100):
    same(handle.pread(4096, n * 4096), buffers[n].to_bytearray(), "block %d" % n)
handle.shutdown()
EOT
    stop
}

@test "TCP over IPv4: nbdinfo, nbdcopy, qemu-img, fio" {
    serve_tcp 127.0.0.1 memory "${IMAGE_MIB}M"
    same "$(nbdinfo --size "$URI")" "$((IMAGE_MIB << 20))"
    copy_in_and_out
    qemu-img compare -f raw -F raw "$IMAGE" "$URI"
    fio_verify 8M 16
    stop
}

@test "TCP over IPv6: nbdinfo, nbdcopy, qemu-img" {
    [ -e /proc/net/if_inet6 ] && grep -q '^0\{31\}1 ' /proc/net/if_inet6 ||
        skip "there is no IPv6 loopback here"
    serve_tcp ::1 memory "${IMAGE_MIB}M"
    same "$(nbdinfo --size "$URI")" "$((IMAGE_MIB << 20))"
    copy_in_and_out
    qemu-img compare -f raw -F raw "$IMAGE" "$URI"
    stop
}

@test "TCP without -i listens on every interface" {
    rm -f "$PIDFILE"
    start_bare -f -p 0 -P "$PIDFILE" memory 1M
    wait_ready
    PORT=$(head -n 1 "$DIR/out")
    same "$(nbdinfo --size "nbd://127.0.0.1:$PORT")" 1048576
    if [ -e /proc/net/if_inet6 ] && grep -q '^0\{31\}1 ' /proc/net/if_inet6; then
        same "$(nbdinfo --size "nbd://[::1]:$PORT")" 1048576
    fi
    stop
}

@test "a script over TCP, exactly" {
    truncate -s 8M "$DIR/served"
    script_disk
    serve_tcp 127.0.0.1 sh "$DIR/disk.sh"
    head -c 8M "$IMAGE" >"$DIR/small"
    nbdcopy "$DIR/small" "$URI"
    nbdcopy "$URI" "$DIR/copy"
    cmp "$DIR/small" "$DIR/copy"
    stop
    cmp "$DIR/small" "$DIR/served"
}
