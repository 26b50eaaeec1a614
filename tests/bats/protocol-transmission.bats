#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The transmission phase as the NBD protocol document wants it: what is refused, with which error,
# and that the connection is as good as before.

load common

# Python: what these tests share.
PRELUDE='
MIB = 1 << 20
def expect(client, error, kind, offset=0, length=0, **raw):
    reply = client.command(kind, offset, length, **raw)
    what = "command %d offset %d length %d %r" % (kind, offset, length,
        {key: raw[key] for key in raw if key != "data"})
    same(reply.error, error, what)
    return reply
def calls():
    return lines(os.environ["DIR"] + "/calls")
'

# with PLUGIN ARGS...: the Python on standard input against it.
with() {
    serve "$@" </dev/null
    { echo "$PRELUDE"; cat; } | py
    stop
}

@test "flags of a disk that can do everything, with and without -r" {
    with memory 1M <<'EOT'
client = ready()
wanted = HAS_FLAGS | SEND_FLUSH | SEND_FUA | SEND_TRIM | SEND_WRITE_ZEROES | SEND_DF
same(client.flags & (wanted | READ_ONLY), wanted, "flags")
same(ready(structured=False).flags & SEND_DF, 0, "DF without structured replies")
EOT
    with -r memory 1M <<'EOT'
client = ready()
same(client.flags & (HAS_FLAGS | READ_ONLY), HAS_FLAGS | READ_ONLY, "flags")
same(client.flags & (SEND_TRIM | SEND_WRITE_ZEROES | SEND_FUA), 0, "flags of a writable disk")
EOT
}

@test "simple replies where structured ones were not negotiated" {
    with memory 1M <<'EOT'
client = ready(structured=False)
client.write(0, b"a" * 1000)
reply = client.command(CMD_READ, 0, 1000)
same((reply.is_structured, reply.data), (False, b"a" * 1000), "read")
for kind in (CMD_WRITE_ZEROES, CMD_TRIM):
    same(expect(client, 0, kind, 0, 512).is_structured, False, "structured")
same(expect(client, 0, CMD_FLUSH).is_structured, False, "structured")
same(expect(client, EINVAL, CMD_READ, MIB, 1).is_structured, False, "structured")
expect(client, EINVAL, CMD_BLOCK_STATUS, 0, 512)
expect(client, EINVAL, CMD_READ, 0, 512, flags=FLAG_DF)
client.disconnect()
EOT
}

@test "structured replies: one content chunk with DF, error chunks for errors" {
    with memory 1M <<'EOT'
client = ready()
client.write(0, b"a" * 4096)
same(client.read(0, 65536), b"a" * 4096 + bytes(61440), "read")
reply = expect(client, 0, CMD_READ, 0, 65536, flags=FLAG_DF)
same([chunk for chunk, _ in reply.chunks if chunk != CHUNK_NONE], [CHUNK_OFFSET_DATA], "chunks")
reply = expect(client, EINVAL, CMD_READ, MIB, 512)
same([chunk & 0x8000 for chunk, _ in reply.chunks if chunk != CHUNK_NONE], [0x8000], "chunks")
EOT
}

@test "a wrong request magic ends the connection, and others live on" {
    with memory 1M <<'EOT'
other = ready()
for magic in (0, SIMPLE_REPLY_MAGIC, REQUEST_MAGIC + 1):
    client = ready()
    client.send_request(CMD_READ, 0, 512, magic=magic)
    client.ending()
other.read(0, 512)
EOT
}

@test "unknown commands and unknown flags are EINVAL" {
    with memory 1M <<'EOT'
client = ready(meta=True)
for kind in (CMD_RESIZE, 9, 99, 0x7fff, 0xffff):
    expect(client, EINVAL, kind, 0, 512)
for flag in (FLAG_PAYLOAD_LEN, 64, 0x100, 0x8000):
    for kind in (CMD_READ, CMD_TRIM, CMD_WRITE_ZEROES, CMD_BLOCK_STATUS):
        expect(client, EINVAL, kind, 0, 512, flags=flag)
    expect(client, EINVAL, CMD_FLUSH, flags=flag)
    expect(client, EINVAL, CMD_WRITE, 0, 512, flags=flag, data=b"b" * 512)
same(client.read(0, 512), bytes(512), "what the refused writes left")
client.disconnect()
EOT
}

@test "flags of one command are EINVAL on another" {
    with memory 1M <<'EOT'
client = ready(meta=True)
valid = {CMD_READ: FLAG_DF, CMD_WRITE: 0, CMD_TRIM: 0, CMD_CACHE: 0,
         CMD_WRITE_ZEROES: FLAG_NO_HOLE | FLAG_FAST_ZERO, CMD_BLOCK_STATUS: FLAG_REQ_ONE}
for kind in valid:
    for flag in (FLAG_NO_HOLE, FLAG_DF, FLAG_REQ_ONE, FLAG_FAST_ZERO):
        if not flag & valid[kind]:
            data = b"b" * 512 if kind == CMD_WRITE else b""
            expect(client, EINVAL, kind, 0, 512, flags=flag, data=data)
for flag in (FLAG_NO_HOLE, FLAG_DF, FLAG_REQ_ONE, FLAG_FAST_ZERO):
    expect(client, EINVAL, CMD_FLUSH, flags=flag)
same(client.read(0, 512), bytes(512), "what the refused writes left")
EOT
}

@test "FUA is accepted on every command where it is offered" {
    with memory 1M <<'EOT'
client = ready(meta=True)
assert client.flags & SEND_FUA
for kind in (CMD_READ, CMD_TRIM, CMD_WRITE_ZEROES, CMD_BLOCK_STATUS):
    expect(client, 0, kind, 0, 512, flags=FLAG_FUA)
expect(client, 0, CMD_FLUSH, flags=FLAG_FUA)
expect(client, 0, CMD_WRITE, 0, 512, flags=FLAG_FUA, data=b"f" * 512)
same(client.read(0, 512), b"f" * 512, "what was written")
EOT
}

# A disk that records its calls and can do nothing but what its parameters CAN name.
recording_disk() {
    disk recording.sh <<EOT
#!/bin/sh
case \$1 in
    get_size) echo ${2:-1M} ;;
    $1) exit 0 ;;
    can_fua) echo none ;;
    can_cache) echo none ;;
    pread) echo "\$@" >>$DIR/calls; head -c \$3 /dev/zero ;;
    pwrite) echo "\$@" >>$DIR/calls; cat >/dev/null ;;
    flush | trim | zero | cache | extents) echo "\$@" >>$DIR/calls ;;
    *) exit 2 ;;
esac
EOT
}

@test "what is not offered is EINVAL and does not reach the plugin" {
    recording_disk can_write
    with sh "$DIR/recording.sh" <<'EOT'
client = ready(meta=True)
same(client.flags & (SEND_FLUSH | SEND_FUA | SEND_TRIM | SEND_CACHE), 0, "flags")
expect(client, EINVAL, CMD_FLUSH)
expect(client, EINVAL, CMD_TRIM, 0, 512)
expect(client, EINVAL, CMD_CACHE, 0, 512)
expect(client, EINVAL, CMD_READ, 0, 512, flags=FLAG_FUA)
expect(client, EINVAL, CMD_WRITE, 0, 512, flags=FLAG_FUA, data=bytes(512))
same(calls(), [], "calls of the script")
client.write(0, bytes(512))
same(len(calls()), 1, "calls of the script")
EOT
}

@test "writes to a read-only disk are EPERM, their payload is skipped" {
    recording_disk none
    with sh "$DIR/recording.sh" <<'EOT'
client = ready()
assert client.flags & READ_ONLY
for size in (1, 512, MIB):
    expect(client, EPERM, CMD_WRITE, 0, size, data=bytes(size))
expect(client, EPERM, CMD_WRITE_ZEROES, 0, 512)
expect(client, EPERM, CMD_TRIM, 0, 512)
same(calls(), [], "calls of the script")
client.read(0, 512)
client.disconnect()
EOT
    with -r memory 1M <<'EOT'
client = ready()
expect(client, EPERM, CMD_WRITE, 0, 512, data=b"x" * 512)
same(client.read(0, 512), bytes(512), "data")
EOT
}

@test "beyond the end: ENOSPC for writes, EINVAL for the rest, and the plugin is not called" {
    recording_disk 'can_write | can_trim | can_zero | can_flush | can_extents' 1000000
    sed -i 's/can_cache) echo none/can_cache) echo native/' "$DIR/recording.sh"
    with sh "$DIR/recording.sh" <<'EOT'
client = ready(meta=True)
size = 1000000
same(client.size, size, "size")
for offset, length in ((size, 1), (size - 1, 2), (size - 511, 512), (1 << 40, 512), (0, size + 1),
                       ((1 << 64) - 1, 1), ((1 << 64) - 256, 512), ((1 << 63), 512)):
    expect(client, ENOSPC, CMD_WRITE, offset, length, data=bytes(length))
    expect(client, ENOSPC, CMD_WRITE_ZEROES, offset, length)
    for kind in (CMD_READ, CMD_TRIM, CMD_CACHE, CMD_BLOCK_STATUS):
        expect(client, EINVAL, kind, offset, length)
for kind in (CMD_TRIM, CMD_CACHE, CMD_BLOCK_STATUS):
    expect(client, EINVAL, kind, 1, 0xffffffff)
same(calls(), [], "calls of the script")
client.read(size - 1, 1)
client.write(size - 1, b"x")
same(len(calls()), 2, "calls of the script")
EOT
}

@test "requests of zero bytes are answered, and the plugin is not called" {
    recording_disk 'can_write | can_trim | can_zero | can_extents'
    with sh "$DIR/recording.sh" <<'EOT'
client = ready(meta=True)
for offset in (0, 512, MIB):
    for kind in (CMD_READ, CMD_WRITE, CMD_TRIM, CMD_WRITE_ZEROES, CMD_BLOCK_STATUS):
        expect(client, EINVAL, kind, offset, 0)
same(calls(), [], "calls of the script")
client.read(0, 512)
client.disconnect()
EOT
}

@test "a flush with an offset or a length is EINVAL" {
    with memory 1M <<'EOT'
client = ready()
expect(client, EINVAL, CMD_FLUSH, 512, 0)
expect(client, EINVAL, CMD_FLUSH, 0, 512)
expect(client, 0, CMD_FLUSH)
EOT
}

@test "reads and writes of up to 64 MiB are good, of more they are refused at no cost" {
    with memory 8G <<'EOT'
def resident_kib():
    status = open("/proc/%s/status" % os.environ["SERVER"]).read()
    return int(status.split("VmHWM:")[1].split()[0])
client = ready()
client.read(0, 512)
before = resident_kib()
for length in (64 * MIB + 1, 1 << 31, 0xffffffff):
    expect(client, EINVAL, CMD_READ, 0, length)
    assert expect(client, EINVAL, CMD_READ, MIB, length).data == b""
piece = bytes(MIB)
cookie = client.send_request(CMD_WRITE, 0, 128 * MIB)
for n in range(128):
    client.send(piece)
reply = client.reply()
same((reply.cookie, reply.error), (cookie, EINVAL), "a write of 128 MiB")
grown = resident_kib() - before
assert grown < 16384, "memory grew by %d KiB" % grown
same(len(client.read(0, 64 * MIB)), 64 * MIB, "the longest read")
client.write(64 * MIB, b"y" * (64 * MIB))
same(client.read(64 * MIB - 1, 3), b"\0yy", "data around the longest write")
for kind in (CMD_WRITE_ZEROES, CMD_TRIM):
    expect(client, 0, kind, 0, 0xfffff000)
same(client.read(64 * MIB, 512), bytes(512), "after zeroes over 4 GiB")
EOT
}

@test "the plugin's block sizes bind the client" {
    disk blocks.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 10240 ;;
    block_size) echo 4096 4096 8192 ;;
    can_write) exit 0 ;;
    pread) head -c $3 /dev/zero ;;
    pwrite) cat >/dev/null ;;
    *) exit 2 ;;
esac
EOT
    with sh "$DIR/blocks.sh" <<'EOT'
client = ready()
for offset, length in ((0, 512), (512, 4096), (0, 4097), (4096, 1), (0, 8193)):
    expect(client, EINVAL, CMD_READ, offset, length)
    expect(client, EINVAL, CMD_WRITE, offset, length, data=bytes(length))
client.read(0, 10240)
client.read(0, 8192)
client.read(8192, 2048)
EOT
}

@test "what is longer than the plugin's largest block size reaches it in parts" {
    disk blocks.sh <<'EOT'
#!/bin/sh
echo "$@" >>"$DIR/calls"
case $1 in
    get_size) echo 10M ;;
    block_size) echo 512 4096 64k ;;
    can_write) ;;
    can_fua) echo ${FUA:-native} ;;
    can_flush | flush) ;;
    can_extents) ;;
    extents) printf '%s\n' '0 64k' '64k 128k hole,zero' '192k 10M' ;;
    open) ;;
    pread) dd iflag=skip_bytes,count_bytes,fullblock skip="$4" count="$3" if="$DIR/disk" ;;
    pwrite) [ "$4" != 1179648 ] || { echo ENOSPC full >&2; exit 1; }
        dd oflag=seek_bytes conv=notrunc seek="$4" of="$DIR/disk" ;;
    *) exit 2 ;;
esac
EOT
    head -c 10M /dev/urandom >"$DIR/disk"
    dd if=/dev/zero of="$DIR/disk" bs=64k seek=1 count=2 conv=notrunc status=none
    cp "$DIR/disk" "$DIR/copy"
    with sh "$DIR/blocks.sh" <<'EOT'
import threading
copy = open(os.environ["DIR"] + "/copy", "rb").read()

def calls(name):
    words = [line.split() for line in lines(os.environ["DIR"] + "/calls")]
    os.truncate(os.environ["DIR"] + "/calls", 0)
    return [" ".join(one[1:]) for one in words if one[0] == name]

for options in {}, {"extended": True}, {"structured": False}:
    client = ready(**options)
    calls("")
    same(client.read(200 << 10, 200 << 10) == copy[200 << 10:400 << 10], True, "data")
    same(calls("pread"), ["65536 204800", "65536 270336", "65536 335872", "8192 401408"], "reads")
    client.write(0, copy[:100000 // 512 * 512], flags=FLAG_FUA)
    same(calls("pwrite"), ["65536 0 fua", "34304 65536 fua"], "writes")
    for kind in CMD_READ, CMD_WRITE:
        expect(client, EINVAL, kind, 0, 100001, data=bytes(100001) if kind == CMD_WRITE else b"")
        expect(client, EINVAL, kind, 1, 131072, data=bytes(131072) if kind == CMD_WRITE else b"")
    same(calls("pread") + calls("pwrite"), [], "unaligned ones")
    same(client.errno(CMD_WRITE, 1 << 20, 1 << 20, data=copy[:1 << 20]), ENOSPC, "a full disk")
    same(calls("pwrite"), ["65536 1048576", "65536 1114112", "65536 1179648"], "up to there")
    client.write(1 << 20, copy[1 << 20:(1 << 20) + 131072])
client = ready()
sparse = client.command(CMD_READ, 0, 1 << 20)
same(sparse.data == copy[:1 << 20], True, "a sparse read")
assert CHUNK_OFFSET_HOLE in [kind for kind, _ in sparse.chunks], sparse
same(client.command(CMD_READ, 0, 1 << 20, flags=FLAG_DF).data == copy[:1 << 20], True, "whole")
cookies = [client.send_request(CMD_READ, n << 19, 1 << 19) for n in range(4, 12)]
got = client.replies(8)
for n, cookie in zip(range(4, 12), cookies):
    same(got[cookie].data == copy[n << 19:(n + 1) << 19], True, "one of several at once")
EOT
    serve sh "$DIR/blocks.sh"
    nbdcopy "$URI" "$DIR/out"
    cmp "$DIR/out" "$DIR/copy"
    [ -z "$(awk '($1 == "pread" || $1 == "pwrite") && $2 > 65536' "$DIR/calls")" ]
    stop
    FUA=emulate serve sh "$DIR/blocks.sh"
    true >"$DIR/calls"
    py <<<'ready().write(0, bytes(131072), flags=FLAG_FUA)'
    same "$(grep -E '^(pwrite|flush)' "$DIR/calls" | paste -sd ';')" \
        "pwrite  65536 0 ;pwrite  65536 65536 ;flush "
    stop
}

@test "the largest block size that is told is one that is served" {
    disk blocks.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1G ;;
    block_size) echo 1 4096 4294967295 ;;
    pread) head -c $3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    with sh "$DIR/blocks.sh" <<'EOT'
client = connect()
client.greet()
info = client.go("", INFO_BLOCK_SIZE)
minimum, preferred, maximum = struct.unpack(">III", info[INFO_BLOCK_SIZE])
same((minimum, preferred, maximum), (1, 4096, 64 * MIB), "block sizes")
same(len(client.read(0, maximum)), maximum, "bytes of the largest read")
EOT
}

@test "BLOCK_STATUS: extents, REQ_ONE, and never more than was asked" {
    with memory 10M <<'EOT'
client = ready(meta=True)
client.write(MIB, b"d" * MIB)
hole = client.block_status(0, 10 * MIB)
same(sum(length for length, _ in hole), 10 * MIB, "length that the extents cover")
same([(length, flags) for length, flags in hole], [(MIB, 3), (MIB, 0), (8 * MIB, 3)], "extents")
same(client.block_status(0, 10 * MIB, flags=FLAG_REQ_ONE), [(MIB, 3)], "one extent")
same(client.block_status(MIB + 5, 100), [(100, 0)], "a part of an extent")
same(client.block_status(MIB - 5, 10), [(5, 3), (5, 0)], "parts of two extents")
EOT
}

@test "BLOCK_STATUS: a disk without extents is all data; one of 5 GiB too" {
    recording_disk can_write 5G
    with sh "$DIR/recording.sh" <<'EOT'
client = ready(meta=True)
same(client.block_status(0, 0xffffffff), [(0xffffffff, 0)], "extents")
same(client.block_status(5 * 1024 * MIB - 100, 100), [(100, 0)], "the last extent")
same(calls(), [], "calls of the script")
EOT
}

@test "BLOCK_STATUS without negotiation is EINVAL" {
    with memory 1M <<'EOT'
for structured in (False, True):
    client = ready(structured=structured)
    expect(client, EINVAL, CMD_BLOCK_STATUS, 0, 512)
    client.read(0, 512)
EOT
}

@test "cookies come back as they were sent" {
    with memory 1M <<'EOT'
client = ready()
cookies = [0, 1, (1 << 64) - 1, 1 << 63, 0x0102030405060708]
for cookie in cookies:
    client.send_request(CMD_READ, 0, 512, cookie=cookie)
same(sorted(client.replies(len(cookies))), sorted(cookies), "cookies")
EOT
}

# Not over TLS: Python's ssl allows no two threads in one connection; tls.bats has other clients.
@test "a thousand requests in one go are all answered, and rightly" {
    with memory 4M <<'EOT'
import threading
client = ready()
def send_all():
    for n in range(1024):
        client.send_write(n * 4096, struct.pack(">I", n) * 1024)
sender = threading.Thread(target=send_all)
sender.start()
same([r.error for r in client.replies(1024).values()], [0] * 1024, "errors of the writes")
sender.join()
wanted = {client.send_request(CMD_READ, n * 4096, 4096): n for n in range(32)}
for cookie, reply in client.replies(32).items():
    same(reply.data, struct.pack(">I", wanted[cookie]) * 1024, "block %d" % wanted[cookie])
EOT
}

# bats test_tags=tls
@test "a client that sends half a request or half a payload and leaves harms nobody" {
    recording_disk can_write
    with sh "$DIR/recording.sh" <<'EOT'
other = ready()
whole = struct.pack(">IHHQQI", REQUEST_MAGIC, 0, CMD_WRITE, 1, 0, 512) + bytes(512)
for length in (1, 4, 27, 28, 29, 539):
    for how in ("close", "vanish"):
        client = ready()
        client.send(whole[:length])
        getattr(client, how)()
        other.read(0, 512)
same([call for call in calls() if "pwrite" in call], [], "writes that reached the script")
EOT
}

# bats test_tags=tls
@test "DISC: requests before it are answered, the server hangs up, the export is closed" {
    recording_disk can_write
    sed -i "s,^    can_fua,    close) echo close >>$DIR/calls ;;\n&," "$DIR/recording.sh"
    with sh "$DIR/recording.sh" <<'EOT'
client = ready()
cookies = [client.send_request(CMD_READ, 512 * n, 512) for n in range(8)]
client.send_request(CMD_DISC)
same(sorted(client.replies(8)), cookies, "cookies")
same(client.ending(), "eof", "how the server hangs up")
until(lambda: calls()[-1:] == ["close"], "close to be called")
EOT
}

@test "errors of a script, as the client sees them" {
    disk errors.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1M ;;
    open) echo "$3" ;;
    pread) echo "$2 because" >&2; exit 1 ;;
    *) exit 2 ;;
esac
EOT
    with sh "$DIR/errors.sh" <<'EOT'
for word, error in (("EPERM", EPERM), ("EIO", EIO), ("ENOMEM", ENOMEM), ("EINVAL", EINVAL),
                    ("ENOSPC", ENOSPC), ("EOVERFLOW", EINVAL), ("ENOTSUP", EINVAL),
                    ("EOPNOTSUPP", EINVAL), ("ESHUTDOWN", ESHUTDOWN), ("EROFS", EPERM),
                    ("EDQUOT", ENOSPC), ("EFBIG", ENOSPC), ("enospc", ENOSPC), ("EnoSpc", ENOSPC),
                    ("EINVALID", EIO), ("EIOX", EIO), ("oops", EIO), ("ENOSPC:", EIO)):
    client = ready(export=word)
    same(client.errno(CMD_READ, 0, 512), error, word)
    client.disconnect()
EOT
}
