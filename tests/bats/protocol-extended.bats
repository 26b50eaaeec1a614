#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Extended headers: their negotiation, requests and replies of 32 bytes, payloads, and effects on
# more than 4 GiB.

load common

# Python: what these tests share.
PRELUDE='
MIB, GIB = 1 << 20, 1 << 30
def greeted():
    client = connect()
    client.greet()
    return client
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

# A disk of SIZE that records its calls; ZERO is what its zero method does.
recording_disk() {
    disk recording.sh <<EOT
#!/bin/sh
case \$1 in
    get_size) echo $1 ;;
    can_write | can_trim | can_zero | can_flush | can_fast_zero | can_extents) exit 0 ;;
    can_cache | can_fua) echo native ;;
    pread) head -c \$3 /dev/zero ;;
    pwrite) cat >/dev/null ;;
    flush) ;;
    trim | cache | extents) echo "\$@" >>$DIR/calls
        if [ "\$1" = extents ]; then echo "\$4 \$3"; fi ;;
    zero) echo "\$@" >>$DIR/calls; ${2:-:} ;;
    *) exit 2 ;;
esac
EOT
}

@test "EXTENDED_HEADERS is acknowledged, before and after STRUCTURED_REPLY; data is invalid" {
    with memory 1M <<'EOT'
client = greeted()
same(client.refusal(OPT_EXTENDED_HEADERS, b"x"), REP_ERR_INVALID, "with data")
client.negotiate_structured()
client.negotiate_extended()
same(client.refusal(OPT_STRUCTURED_REPLY), REP_ERR_EXT_HEADER_REQD, "the way back")
same(client.refusal(OPT_STRUCTURED_REPLY, b"x"), REP_ERR_INVALID, "the way back with data")
client.negotiate_extended()
client.go()
client.read(0, 512)
client.disconnect()
client = greeted()
same(client.refusal(OPT_EXTENDED_HEADERS, b"x"), REP_ERR_INVALID, "with data")
client.go()
same(client.command(CMD_READ, 0, 512).is_structured, False, "after a refused option")
EOT
}

@test "EXPORT_NAME after EXTENDED_HEADERS ends the session, and the log says so" {
    with memory 1M <<'EOT'
client = greeted()
client.negotiate_extended()
client.send_option(OPT_EXPORT_NAME)
client.ending()
ready().read(0, 512)
EOT
    has "NBD_OPT_EXPORT_NAME after NBD_OPT_EXTENDED_HEADERS"
}

@test "with extended headers every command gets an extended reply, errors with text too" {
    with memory 1M <<'EOT'
client = ready(extended=True, meta=True)
assert client.flags & SEND_DF
client.write(512, b"e" * 512)
same(client.read(0, 1024), bytes(512) + b"e" * 512, "data")
for kind in (CMD_TRIM, CMD_CACHE, CMD_WRITE_ZEROES):
    same([kind for kind, _ in expect(client, 0, kind, 4096, 4096).chunks], [CHUNK_NONE], "chunks")
same(expect(client, 0, CMD_FLUSH).chunks, [(CHUNK_NONE, b"")], "chunks of a flush")
reply = expect(client, 0, CMD_READ, 0, 65536, flags=FLAG_DF)
same([kind for kind, _ in reply.chunks], [CHUNK_OFFSET_DATA], "chunks of a read with DF")
reply = expect(client, EINVAL, CMD_READ, MIB, 512)
same([kind for kind, _ in reply.chunks], [CHUNK_ERROR], "chunks of an error")
same(reply.text, "the range ends beyond the export's 1048576 bytes", "text")
reply = expect(client, EINVAL, 99, 12345, 512)
same(reply.text, "command 99 is unknown to this server", "text")
client.disconnect()
EOT
}

@test "a compact request, or another magic, ends a connection with extended headers" {
    with memory 1M <<'EOT'
for magic in (REQUEST_MAGIC, EXTENDED_REPLY_MAGIC, 0):
    client = ready(extended=True)
    client.send_request(CMD_READ, 0, 512, magic=magic)
    client.ending()
client = ready(extended=True)
client.send(struct.pack(">IHHQQI", REQUEST_MAGIC, 0, CMD_READ, 1, 0, 512))
client.ending()
client = ready()
client.send_request(CMD_READ, 0, 512, magic=EXTENDED_REQUEST_MAGIC)
client.ending()
EOT
}

@test "a write without PAYLOAD_LEN has a payload all the same, as qemu sends it; if not, EINVAL" {
    with memory 1M <<'EOT'
client = ready(extended=True)
fake = struct.pack(">IHHQQQ", EXTENDED_REQUEST_MAGIC, 0, CMD_DISC, 0, 0, 0) * 16
client.write(0, fake, payload_len=False)
same(client.read(0, 1024), fake + bytes(512), "data")
clients = [ready(extended=True) for _ in range(4)]
for client, length in zip(clients, (1, 512, MIB, 1 << 40)):
    client.send_request(CMD_WRITE, 0, length, payload_len=False)
for client in clients:
    reply = client.reply()
    same(reply.error, EINVAL, "error")
    assert "NBD_CMD_FLAG_PAYLOAD_LEN" in reply.text, reply.text
    same(client.read(0, 512), fake, "data")
client.write(0, b"w" * 512)
expect(client, EINVAL, CMD_WRITE, 0, 0)
expect(client, ENOSPC, CMD_WRITE, MIB - 511, 512, data=bytes(512))
client.disconnect()
EOT
}

@test "a payload where none belongs is consumed, and EINVAL" {
    with memory 1M <<'EOT'
client = ready(extended=True)
for kind in (CMD_READ, CMD_TRIM, CMD_WRITE_ZEROES, CMD_CACHE, CMD_FLUSH, CMD_BLOCK_STATUS, 8, 99):
    for length in (0, 1, 12, 512, MIB):
        expect(client, EINVAL, kind, 0, length, payload_len=True, data=b"p" * length)
same(client.read(0, 512), bytes(512), "data")
client.disconnect()
EOT
}

@test "a payload of more than the maximum ends the connection, up to it it is consumed" {
    disk small.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1G ;;
    block_size) echo 1 4096 65536 ;;
    can_write) exit 0 ;;
    pread) head -c $3 /dev/zero ;;
    pwrite) cat >/dev/null ;;
    *) exit 2 ;;
esac
EOT
    with sh "$DIR/small.sh" <<'EOT'
client = ready(extended=True)
expect(client, EINVAL, 99, 0, 64 * MIB, data=bytes(64 * MIB), payload_len=True)
client.write(0, bytes(65536))
for kind in (CMD_WRITE, CMD_READ, 99):
    for length in (64 * MIB + 1, 1 << 32, (1 << 64) - 1):
        client = ready(extended=True)
        client.send_request(kind, 0, length, payload_len=True)
        client.ending()
EOT
    has "the header of a payload that is larger than the maximum"
}

@test "BLOCK_STATUS_PAYLOAD is offered with extended headers and a context, and only then" {
    with memory 1M <<'EOT'
for extended, meta, offered in ((True, True, True), (True, False, False), (False, True, False)):
    client = ready(extended=extended, meta=meta)
    same(bool(client.flags & BLOCK_STATUS_PAYLOAD), offered, "offered")
client = greeted()
client.negotiate_extended()
client.set_meta("other", "base:allocation")
client.go()
same(client.flags & BLOCK_STATUS_PAYLOAD, 0, "for another export")
expect(client, EINVAL, CMD_BLOCK_STATUS, 0, 512)
EOT
}

@test "a block status with a payload: its length and its contexts count" {
    with memory 8G <<'EOT'
client = ready(extended=True, meta=True)
client.write(6 * GIB, b"d" * 65536)
def filtered(length, *ids, **raw):
    data = struct.pack(">Q%dI" % len(ids), length, *ids)
    return client.command(CMD_BLOCK_STATUS, raw.pop("offset", 0), len(data), payload_len=True,
                          data=data, **raw)
mine = client.context_id
wanted = [(mine, [(6 * GIB, 3), (65536, 0), (2 * GIB - 65536, 3)])]
same(filtered(8 * GIB, mine).extents, wanted, "extents")
same(filtered(4096, mine, offset=6 * GIB).extents, [(mine, [(4096, 0)])], "extents")
same(filtered(8 * GIB, mine, flags=FLAG_REQ_ONE).extents[0][1][0], (6 * GIB, 3), "extents")
for ids in ((), (mine + 1,), (mine, mine), (mine, mine + 1), (mine + 1, mine), range(1000)):
    same(filtered(8 * GIB, *ids).error, EINVAL, "ids %r" % (ids,))
for length in (0, 8 * GIB + 1, 1 << 63, (1 << 64) - 1):
    same(filtered(length, mine).error, EINVAL, "length %d" % length)
for length in (1, 7, 8, 9, 11, 13, 14, 15, 17):
    expect(client, EINVAL, CMD_BLOCK_STATUS, 0, length, payload_len=True, data=bytes(length))
same(client.block_status(0, 4096), [(4096, 3)], "extents without a payload")
client.disconnect()
EOT
}

@test "block status, trim, zero and cache over more than 4 GiB in one request" {
    with memory 1T <<'EOT'
client = ready(extended=True, meta=True)
for offset in (5 * GIB - 1, 600 * GIB, 1024 * GIB - 1):
    client.write(offset, b"x")
page = 65536
same([extent for extent in client.block_status(0, 64 * GIB) if extent[1] == 0],
     [(page, 0)], "data in the first 64 GiB")
expect(client, 0, CMD_CACHE, 0, 1024 * GIB)
expect(client, 0, CMD_WRITE_ZEROES, 0, 5 * GIB)
same(client.read(5 * GIB - 1, 1), b"\0", "zeroed")
same(client.read(600 * GIB, 1), b"x", "not zeroed")
expect(client, 0, CMD_TRIM, 1, 1024 * GIB - 1)
for offset in (600 * GIB, 1024 * GIB - 1):
    same(client.read(offset, 1), b"\0", "trimmed")
for kind in (CMD_TRIM, CMD_CACHE, CMD_BLOCK_STATUS):
    expect(client, EINVAL, kind, 1, 1024 * GIB)
    expect(client, EINVAL, kind, 0, (1 << 64) - 1)
expect(client, ENOSPC, CMD_WRITE_ZEROES, 1, 1024 * GIB)
expect(client, EINVAL, CMD_READ, 0, 5 * GIB)
EOT
}

@test "a long request reaches the plugin in pieces that end at multiples of 2 GiB" {
    recording_disk 16G
    with sh "$DIR/recording.sh" <<'EOT'
client = ready(extended=True, meta=True)
def pieces():
    found = [call.split(" ") for call in calls()]
    os.unlink(os.environ["DIR"] + "/calls")
    return [(int(call[3]), int(call[2])) for call in found]
for kind in (CMD_TRIM, CMD_WRITE_ZEROES, CMD_CACHE):
    expect(client, 0, kind, 512, 7 * GIB)
    same(pieces(), [(512, 2 * GIB - 512), (2 * GIB, 2 * GIB), (4 * GIB, 3 * GIB + 512)], "pieces")
    expect(client, 0, kind, 512, 0xffffffff)
    same(pieces(), [(512, 0xffffffff)], "what fits into one call")
same(client.block_status(512, 6 * GIB), [(6 * GIB, 0)], "extents")
step = (1 << 32) - 65536
same(pieces(), [(512, step), (512 + step, 6 * GIB - step)], "pieces")
same(client.block_status(512, 6 * GIB, flags=FLAG_REQ_ONE), [(6 * GIB, 0)], "one extent")
same(pieces(), [(512, step), (512 + step, 6 * GIB - step)], "pieces for one extent")
same(client.block_status(0, 16 * GIB - 1), [(16 * GIB - 1, 0)], "extents")
EOT
}

@test "a long request stops at the first piece that fails" {
    recording_disk 16G "[ \$4 -lt 4294967296 ] || { echo ENOSPC full >&2; exit 1; }"
    with sh "$DIR/recording.sh" <<'EOT'
client = ready(extended=True)
reply = expect(client, ENOSPC, CMD_WRITE_ZEROES, 0, 8 * GIB)
assert "full" in reply.text, reply.text
same(len(calls()), 3, "calls")
EOT
}

@test "a long fast zero that is refused at once has changed nothing" {
    recording_disk 16G "case \$5 in *fast*) echo ENOTSUP slow >&2; exit 1 ;; esac"
    with sh "$DIR/recording.sh" <<'EOT'
client = ready(extended=True)
expect(client, ENOTSUP, CMD_WRITE_ZEROES, 0, 8 * GIB, flags=FLAG_FAST_ZERO)
same(len(calls()), 1, "calls")
expect(client, 0, CMD_WRITE_ZEROES, 0, 5 * GIB)
EOT
}

@test "32-bit clients: a status of the longest range, on a disk of 2^63-1 bytes" {
    with memory 9223372036854775807 <<'EOT'
client = ready(meta=True)
same(client.size, (1 << 63) - 1, "size")
for offset in (0, 1 << 62, (1 << 63) - (1 << 32)):
    same(client.block_status(offset, 0xffffffff), [(0xffffffff, 3)], "extents at %d" % offset)
client = ready(meta=True, extended=True)
size = client.size
assert sum(length for length, _ in client.block_status(0, size)) >= 1 << 32
client.write(size - 1, b"z")
same(client.read(size - 1, 1), b"z", "the last byte")
expect(client, 0, CMD_TRIM, size - 5 * GIB, 5 * GIB)
same(client.read(size - 1, 1), b"\0", "the last byte")
expect(client, EINVAL, CMD_READ, size, 1)
expect(client, ENOSPC, CMD_WRITE, size, 1, data=b"x")
EOT
}

@test "a stop does not wait for the rest of a request for the whole of a huge disk" {
    recording_disk 4611686018427387904
    serve sh "$DIR/recording.sh"
    py <<'EOT'
client = ready(extended=True)
client.send_request(CMD_TRIM, 0, 1 << 62)
until(lambda: len(lines(os.environ["DIR"] + "/calls")) > 3, "calls")
os.kill(int(os.environ["SERVER"]), signal.SIGTERM)
same(client.reply().error, ESHUTDOWN, "error")
EOT
    wait_exit
}

@test "a client that leaves behind a huge request does not keep the server busy" {
    recording_disk 4611686018427387904
    sed -i "1a [ \$1 != close ] || echo close >>$DIR/calls" "$DIR/recording.sh"
    serve sh "$DIR/recording.sh"
    py <<'EOT'
calls = lambda: lines(os.environ["DIR"] + "/calls")
for leave in ("close", "vanish"):
    client = ready(extended=True)
    client.send_request(CMD_TRIM, 0, 1 << 62)
    until(lambda: "trim" in calls()[-1:][0] if calls() else False, "a trim")
    if leave == "close":
        client.send_request(CMD_DISC)
    getattr(client, leave)()
    until(lambda: calls()[-1] == "close", "the export to be closed")
EOT
    stop
}
