#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The memory plugin, through real clients.

load common

# fails_with MESSAGE ARGS...: the memory plugin refuses ARGS at the start, and says so.
fails_with() {
    local message=$1
    shift
    run "$NBDLAB" -U - memory "$@" --run true
    [ "$status" -eq 1 ]
    contains "$output" "$message"
}

# patch_memory: builds the plugin so that its third page is one too many.
patch_memory() {
    cat >"$DIR/limit.c" <<'EOT'
#include <stdatomic.h>
#include <stdlib.h>
void *__real_malloc(size_t), *__real_calloc(size_t, size_t);
static atomic_int page_count;
static int is_too_many(size_t size)
{
    return size == 65536 && atomic_fetch_add(&page_count, 1) >= 2;
}
void *__wrap_malloc(size_t size)
{
    return is_too_many(size) ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size)
{
    return is_too_many(size) ? NULL : __real_calloc(count, size);
}
EOT
    cc -std=gnu11 -DNBDLAB_VERSION="\"test\"" -I "$TESTS/../include" -fPIC -shared -o "$DIR/limited.so" "$DIR/limit.c" \
        "$TESTS"/../plugins/memory/{memory,pages,packed_absent}.c -Wl,--wrap=malloc -Wl,--wrap=calloc
}

@test "memory: size and what is advertised" {
    serve memory size=100M
    run nbdinfo "$URI"
    [ "$status" -eq 0 ]
    contains "$output" "export-size: 104857600"
    for can in cache df fast_zero flush fua multi_conn trim zero; do
        contains "$output" "can_$can: true"
    done
    contains "$output" "is_read_only: false"
    contains "$output" "base:allocation"
    stop
}

@test "memory: reads as zeroes, keeps what is written, is shared by all clients" {
    serve memory 1G
    py <<'EOT'
one, two = libnbd(), libnbd()
same(one.pread(1 << 20, 12345), bytearray(1 << 20))
data = os.urandom(300000)
one.pwrite(data, 65536 * 3 - 1)
same(bytes(two.pread(300000, 65536 * 3 - 1)), data)
same(two.pread(2, 65536 * 3 - 3), bytearray(2))
same(two.pread(5, 65536 * 3 - 1 + 300000), bytearray(5))
EOT
    stop
}

@test "memory: the disk is gone when the server ends" {
    serve memory 1M
    qemu-io -f raw -c "write -P 5 0 64k" "$URI"
    stop
    serve memory 1M
    qemu-io -f raw -c "read -P 0 0 1M" "$URI"
    stop
}

@test "memory: only what was written is allocated" {
    serve memory 1G
    qemu-io -f raw -c "write -P 1 64k 64k" -c "write -P 2 512M 4k" "$URI"
    run nbdinfo --map "$URI"
    same "$(echo "$output" | awk '{ print $1, $2, $3 }')" "0 65536 3
65536 65536 0
131072 536739840 3
536870912 65536 0
536936448 536805376 3"
    stop
}

@test "memory: trim and zero give whole pages back and clear parts of pages" {
    serve memory 10M
    py <<'EOT'
h = libnbd(meta=True)
def allocated():
    found = []
    def see(context, offset, entries, error):
        for length, flags in zip(entries[::2], entries[1::2]):
            if not flags:
                found.append((offset, length))
            offset += length
    h.block_status(h.get_size(), 0, see)
    return found
K = 1024
for erase in (lambda n, at: h.trim(n, at), lambda n, at: h.zero(n, at),
              lambda n, at: h.zero(n, at, nbd.CMD_FLAG_FAST_ZERO)):
    h.pwrite(b"x" * 256 * K, 0)
    same(allocated(), [(0, 256 * K)])
    erase(128 * K, 32 * K)
    same(allocated(), [(0, 64 * K), (128 * K, 128 * K)])
    same(bytes(h.pread(256 * K, 0)), b"x" * 32 * K + bytes(128 * K) + b"x" * 96 * K)
    erase(256 * K, 0)
    same(allocated(), [])
EOT
    stop
}

@test "memory: zero with NO_HOLE leaves the range allocated" {
    serve memory 10M
    qemu-io -f raw -c "write -P 9 0 64k" -c "write -z 0 256k" -c "read -P 0 0 256k" "$URI"
    run nbdinfo --map "$URI"
    same "$(echo "$output" | awk '{ print $1, $2, $3 }')" "0 262144 0
262144 10223616 3"
    qemu-io -f raw -c "write -z -u 0 256k" "$URI"
    run nbdinfo --map "$URI"
    same "$(echo "$output" | awk '{ print $1, $2, $3 }')" "0 10485760 3"
    stop
}

@test "memory: a disk that ends inside a page is freed to its last byte" {
    serve memory 100001
    py <<'EOT'
h = libnbd(meta=True)
def types():
    found = []
    h.block_status(100001, 0, lambda c, o, entries, e: found.extend(entries))
    return found
h.pwrite(b"end", 99998)
same(bytes(h.pread(4, 99997)), b"\0end")
same(types(), [65536, 3, 100001 - 65536, 0])
h.trim(100001 - 65536, 65536)
same(types(), [100001, 3])
EOT
    stop
}

@test "memory: the largest disk, 2^63-1 bytes, up to its last byte" {
    serve memory $((2 ** 63 - 1))
    py <<'EOT'
h = libnbd(meta=True)
same(h.get_size(), 2 ** 63 - 1)
for at in (0, 2 ** 40, 2 ** 62 + 5, 2 ** 63 - 1 - 70000):
    h.pwrite(b"%20d" % at + bytes(70000 - 20), at)
for at in (0, 2 ** 40, 2 ** 62 + 5, 2 ** 63 - 1 - 70000):
    same(bytes(h.pread(20, at)), b"%20d" % at)
found = []
h.block_status(2 ** 32 - 65536, 2 ** 63 - 2 ** 32, lambda c, o, entries, e: found.extend(entries))
same(sum(found[::2]), 2 ** 32 - 65536)
same(found[1::2], [3, 0])
h.zero(2 ** 32 - 65536, 2 ** 63 - 2 ** 32)
same(bytes(h.pread(20, 2 ** 63 - 1 - 20)), bytes(20))
EOT
    stop
}

@test "memory: FUA, flush and cache succeed" {
    serve memory 1M
    py <<'EOT'
h = libnbd()
h.pwrite(b"fua", 5, nbd.CMD_FLAG_FUA)
h.trim(512, 1024, nbd.CMD_FLAG_FUA)
h.zero(512, 2048, nbd.CMD_FLAG_FUA)
h.flush()
h.cache(1 << 20, 0)
same(bytes(h.pread(3, 5)), b"fua")
EOT
    stop
}

@test "memory: -r makes it read-only" {
    serve -r memory 1M
    run nbdinfo "$URI"
    contains "$output" "is_read_only: true"
    run qemu-io -f raw -c "write 0 512" "$URI"
    [ "$status" -ne 0 ]
    stop
}

@test "memory: nbdcopy and qemu-img, in, out and compare" {
    head -c 16M /dev/urandom >"$DIR/in"
    truncate -s 40M "$DIR/in"
    head -c 1M /dev/urandom | dd of="$DIR/in" bs=1M seek=30 conv=notrunc status=none
    serve memory 40M
    nbdcopy "$DIR/in" "$URI"
    nbdcopy "$URI" "$DIR/out"
    cmp "$DIR/in" "$DIR/out"
    qemu-img convert -n -f raw -O raw "$DIR/in" "$URI"
    qemu-img compare -f raw -F raw "$DIR/in" "$URI"
    run qemu-img map -f raw --output=json "$URI"
    contains "$output" '"start": 0, "length": 16777216'
    contains "$output" '"start": 31457280, "length": 1048576'
    stop
}

@test "memory: many connections at once, on pages of their own and on shared ones" {
    serve memory 64M
    py <<'EOT'
import threading
failures = []
def work(number):
    try:
        h = libnbd()
        mine, base = bytes([number]) * 100000, number * 4 << 20
        for turn in range(60):
            at = base + turn * 30000
            h.pwrite(mine, at)
            same(bytes(h.pread(100000, at)), mine)
            h.pwrite(mine[:70000], 48 << 20)
            h.pread(70000, (48 << 20) + 10000)
            (h.trim if turn % 2 else h.zero)(65536, 48 << 20)
        h.zero(4 << 20, base)
        same(h.pread(4 << 20, base), bytearray(4 << 20))
    except BaseException as failure:
        failures.append(failure)
threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 7)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
same(failures, [])
EOT
    stop
}

@test "memory: allocator=malloc has no holes and takes writes, trim and zero" {
    serve memory size=3M allocator=malloc
    py <<'EOT'
h = libnbd(meta=True)
h.pwrite(b"y" * 200000, 1000)
h.trim(100000, 1000)
h.zero(50000, 101000)
same(bytes(h.pread(202000, 0)), bytes(151000) + b"y" * 50000 + bytes(1000))
found = []
h.block_status(3 << 20, 0, lambda c, o, entries, e: found.extend(entries))
same(found, [3 << 20, 0])
EOT
    stop
}

@test "memory: each allocator keeps what is written, zeroed and trimmed, on all parts of pages" {
    for allocator in sparse malloc malloc,mlock=false zstd; do
        serve memory 1M allocator=$allocator
        py <<'EOT'
import random
random.seed(1)
h = libnbd()
size = 1 << 20
want = bytearray(size)
for i in range(150):
    # Page boundaries are met more often than chance would have it.
    offset = min(random.randrange(17) * 65536 + random.choice((0, 0, -3, 7)), size - 1) % size
    count = min(random.choice((1, 10, 65536, 65536 * 2 + 5)), size - offset)
    action = random.randrange(5)
    if action < 2:
        data = (b"some text " * (count // 10 + 1))[:count] if action else random.randbytes(count)
        h.pwrite(data, offset)
    else:
        data = bytes(count)
        if action == 2:
            h.zero(count, offset, nbd.CMD_FLAG_NO_HOLE)
        elif action == 3:
            h.zero(count, offset)
        else:
            h.trim(count, offset)
    want[offset:offset + count] = data
    if i % 10 == 9:
        start = random.randrange(size - 70000)
        same(h.pread(70000, start), want[start:start + 70000])
same(h.pread(size, 0), want)
EOT
        stop
    done
}

@test "memory: allocator=zstd takes less memory than what is written, and has holes" {
    contains "$("$NBDLAB" memory --dump-plugin)" "zstd=yes"
    serve memory 1T allocator=zstd
    py <<'EOT'
def memory_kib():
    for line in open("/proc/%s/status" % os.environ["SERVER"]):
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
h = libnbd()
text = b"%015d\n"
data = b"".join(text % i for i in range(1 << 18))
before = memory_kib()
for i in range(16):
    h.pwrite(data, i << 22)
same(h.pread(len(data), 5 << 22), bytearray(data))
assert os.environ.get("SANITIZE") or memory_kib() - before < 48 << 10, memory_kib() - before
EOT
    same "$(nbdinfo --map "$URI" | awk '{ print $1, $2, $3 }')" "0 67108864 0
67108864 1099444518912 3"
    stop
}

@test "memory: allocator=malloc,mlock locks the disk in memory, in the background too" {
    contains "$("$NBDLAB" memory --dump-plugin)" "mlock=yes"
    for value in mlock mlock=true; do
        "$NBDLAB" -U "$SOCK" -P "$PIDFILE" memory 1M allocator=malloc,$value 3>&- 4>&-
        SERVER=$(<"$PIDFILE")
        STARTED+=("$SERVER")
        # A sanitizer makes mlock(2) do nothing.
        [ -n "${SANITIZE:-}" ] || [ "$(awk '/^VmLck:/ { print $2 }' "/proc/$SERVER/status")" -ge 1024 ]
        kill "$SERVER"
        wait_for not is_alive "$SERVER"
    done
    [ -z "${SANITIZE:-}" ] || return 0
    local user=""
    [ "$(id -u)" != 0 ] || user="-u daemon"
    ulimit -l 64
    # shellcheck disable=SC2086
    run -1 "$NBDLAB" $user -U - memory 1M allocator=malloc,mlock --run true
    contains "$output" "memory: cannot lock 1048576 bytes in memory: Cannot allocate memory: raise the limit"
}

@test "memory: without zstd, allocator=zstd is refused" {
    cc -std=gnu11 -DNBDLAB_VERSION="\"test\"" -I "$TESTS/../include" -fPIC -shared -o "$DIR/plain.so" \
        "$TESTS"/../plugins/memory/{memory,pages,packed_absent}.c
    run -1 "$NBDLAB" "$DIR/plain.so" 1M allocator=zstd --run true
    contains "$output" "memory: allocator=zstd: this nbdlab was built without zstd"
    contains "$("$NBDLAB" "$DIR/plain.so" --dump-plugin)" zstd=no
}

@test "memory: a disk without memory left is full (ENOSPC), and the server lives on" {
    patch_memory
    serve "$DIR/limited.so" 10M
    py <<'EOT'
h = libnbd()
h.pwrite(b"a" * 131072, 0)
same(nbd_errno(h.pwrite, b"b", 1 << 20), errno_module.ENOSPC)
same(nbd_errno(h.zero, 65536, 2 << 20, nbd.CMD_FLAG_NO_HOLE), errno_module.ENOSPC)
h.zero(65536, 2 << 20)
h.trim(65536, 2 << 20)
same(bytes(h.pread(131072, 0)), b"a" * 131072)
same(bytes(h.pread(10, 1 << 20)), bytes(10))
h.pwrite(b"c" * 131072, 0)
EOT
    has "no memory left for 1 byte at offset 1048576: trim the disk"
    stop
}

@test "memory: errors at the start" {
    fails_with "memory: the disk's size is missing: give one, for example size=1G"
    fails_with 'size: "1X" has an unknown suffix' size=1X
    fails_with "memory: unknown parameter 'colour': it takes size and allocator" 1M colour=red
    fails_with "memory: allocator=lzma is not supported: use sparse, malloc, malloc,mlock or zstd" 1M allocator=lzma
    fails_with "memory: allocator=sparse,mlock=true: there is malloc,mlock=true" \
        1M allocator=sparse,mlock=true
    fails_with "memory: allocator=malloc,lock: there is malloc,mlock=true" 1M allocator=malloc,lock
    fails_with '"maybe"' 1M allocator=malloc,mlock=maybe
    fails_with "memory: size=2M: size was given before, it can be given only once" 1M 2M 3M
    fails_with "memory: size=1M: size was given before" 1M size=1M
    fails_with "memory: allocator=zstd: allocator was given before" 1M allocator=malloc allocator=zstd
    fails_with "memory: no memory for a disk of 9223372036854775807 bytes" \
        $((2 ** 63 - 1)) allocator=malloc
}
