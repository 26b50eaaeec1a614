#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Holes in the replies to reads: when they are sent as such, and that the data is right in any case.

load common

# Python: what these tests share.
PRELUDE='
import threading
KIB, MIB = 1 << 10, 1 << 20
def calls():
    return [line.split()[0] for line in lines(os.environ["DIR"] + "/calls")]
def pieces(client, offset, length, **raw):
    """The content chunks of a read as (length, "d" or "h"), and its data."""
    reply = client.command(CMD_READ, offset, length, **raw)
    same(reply.error, 0, "errno")
    same([flags & CHUNK_DONE for flags in reply.flags], [0] * (len(reply.flags) - 1) + [1], "DONE")
    found = [(struct.unpack(">I", payload[8:])[0], "h") if kind == CHUNK_OFFSET_HOLE
             else (len(payload) - 8, "d") for kind, payload in reply.chunks]
    return found, reply.data
'

# with PLUGIN ARGS...: the Python on standard input against it.
with() {
    serve "$@" </dev/null
    { echo "$PRELUDE"; cat; } | py
    stop
}

@test "a read of 64 KiB or more tells holes, with structured replies and extended headers" {
    with memory 16M <<'EOT'
for extended in (False, True):
    client = ready(extended=extended)
    same(pieces(client, 0, 64 * KIB), ([(64 * KIB, "h")], bytes(64 * KIB)), "a hole")
    same(pieces(client, 5, 10 * MIB)[0], [(10 * MIB, "h")], "a long hole")
    client.write(4 * MIB + 5, b"data")
    found, data = pieces(client, MIB, 8 * MIB)
    same(found, [(3 * MIB, "h"), (64 * KIB, "d"), (5 * MIB - 64 * KIB, "h")], "pieces")
    same(data, bytes(3 * MIB + 5) + b"data" + bytes(5 * MIB - 9), "data")
    found, data = pieces(client, 4 * MIB + 3, 2 * MIB)
    same((data[:8], data.count(0)), (b"\0\0data\0\0", 2 * MIB - 4), "data")
    same(pieces(client, 0, 64 * KIB - 1)[0], [(64 * KIB - 1, "d")], "a short read")
    same(client.errno(CMD_TRIM, 4 * MIB, 64 * KIB), 0, "trim")
EOT
}

@test "a read with DF is one chunk, and a simple reply has all the zeroes" {
    with memory 16M <<'EOT'
client = ready()
client.write(MIB, b"x")
for flags, wanted in ((FLAG_DF, [(4 * MIB, "d")]), (FLAG_FUA | FLAG_DF, [(4 * MIB, "d")])):
    found, data = pieces(client, 0, 4 * MIB, flags=flags)
    same((found, data.count(0)), (wanted, 4 * MIB - 1), "pieces and zeroes")
same(ready(structured=False).read(0, 4 * MIB), bytes(MIB) + b"x" + bytes(3 * MIB - 1), "data")
EOT
}

# A disk of 64 MiB that records its calls. Its data are the 3 MiB from 1 MiB on; EXTENTS says so.
recording_disk() {
    disk recording.sh <<EOT
#!/bin/sh
case \$1 in
    get_size) echo 64M ;;
    can_extents) exit ${2:-0} ;;
    pread) echo "pread \$3 \$4" >>$DIR/calls
        { head -c 1M /dev/zero; head -c 3M /dev/zero | tr '\0' d; head -c 60M /dev/zero; } |
            tail -c +\$((\$4 + 1)) | head -c \$3 ;;
    extents) echo extents >>$DIR/calls; $1 ;;
    *) exit 2 ;;
esac
EOT
}

@test "a script is asked for holes by reads of 1 MiB or more only" {
    recording_disk 'echo 0 1M hole,zero; echo 1M 3M; echo 4M 60M hole,zero'
    with sh "$DIR/recording.sh" <<'EOT'
client = ready()
wanted = bytes(MIB) + b"d" * (3 * MIB) + bytes(4 * MIB)
same(pieces(client, 0, 8 * MIB), ([(MIB, "h"), (3 * MIB, "d"), (4 * MIB, "h")], wanted), "pieces")
same(calls(), ["extents", "pread"], "calls")
same(pieces(client, 0, MIB)[0], [(MIB, "h")], "pieces of a hole")
same(calls(), ["extents", "pread", "extents"], "calls")
same(pieces(client, 0, MIB - 1)[0], [(MIB - 1, "d")], "pieces of a shorter read")
same(pieces(client, 0, 8 * MIB, flags=FLAG_DF), ([(8 * MIB, "d")], wanted), "pieces with DF")
same(calls(), ["extents", "pread", "extents", "pread", "pread"], "calls")
EOT
}

@test "without extents, or with can_extents no, nobody asks" {
    recording_disk 'echo 0 64M hole,zero' 3
    with sh "$DIR/recording.sh" <<'EOT'
same(pieces(ready(), 0, 8 * MIB)[0], [(8 * MIB, "d")], "pieces")
same(calls(), ["pread"], "calls")
EOT
}

@test "a failing extents is no failing read, and one connection asks once" {
    for extents in 'echo EIO broken >&2; exit 1' 'echo nonsense' ':' 'echo 5M 1M hole'; do
        rm -f "$DIR/calls"
        recording_disk "$extents"
        with sh "$DIR/recording.sh" <<'EOT'
client = ready()
for n in range(3):
    found, data = pieces(client, 0, 2 * MIB)
    same((found, data), ([(2 * MIB, "d")], bytes(MIB) + b"d" * MIB), "pieces and data")
same(calls(), ["extents"] + 3 * ["pread"], "calls")
EOT
    done
}

@test "only what reads as zeroes becomes a hole" {
    recording_disk 'echo 0 1M hole; echo 1M 3M zero; echo 4M 4M hole,zero'
    with sh "$DIR/recording.sh" <<'EOT'
same(pieces(ready(), 0, 8 * MIB)[0], [(MIB, "d"), (7 * MIB, "h")], "pieces")
EOT
}

@test "an error in the data behind a hole is the error of the read" {
    recording_disk 'echo 0 1M hole,zero; echo 1M 63M'
    sed -i 's/^    pread)/    pread) echo ENOSPC no such luck >\&2; exit 1 ;;\n    no)/' "$DIR/recording.sh"
    with sh "$DIR/recording.sh" <<'EOT'
for extended in (False, True):
    reply = ready(extended=extended).command(CMD_READ, 0, 2 * MIB)
    same((reply.error, [kind for kind, _ in reply.chunks]), (ENOSPC, [CHUNK_ERROR]), "reply")
    assert "no such luck" in reply.text, reply.text
EOT
}

@test "holes of a file, with its last bytes beyond a sector" {
    truncate -s 3000001 "$DIR/image"
    printf x | dd of="$DIR/image" bs=1 seek=3000000 conv=notrunc status=none
    with file "$DIR/image" <<'EOT'
client = ready()
found, data = pieces(client, 0, 3000001)
same((found[0][1], found[-1][1]), ("h", "d"), "pieces")
same((data.count(0), data[-1:]), (3000000, b"x"), "data")
EOT
}

@test "reads that race with writes give what was there before or after, block by block" {
    with memory 8M <<'EOT'
client, writer = ready(), ready()
end = threading.Event()
def write():
    while not end.is_set():
        writer.write(2 * MIB, b"w" * MIB)
        same(writer.errno(CMD_TRIM, 2 * MIB, MIB), 0, "trim")
thread = threading.Thread(target=write)
thread.start()
try:
    for n in range(60):
        data = client.read(0, 8 * MIB)
        same(data[:2 * MIB].count(0) + data[3 * MIB:].count(0), 7 * MIB, "zeroes around it")
        middle = data[2 * MIB:3 * MIB]
        same(middle.count(0) + middle.count(b"w"), MIB, "bytes that are either")
finally:
    end.set()
    thread.join()
writer.write(2 * MIB, b"w" * MIB)
same(client.read(0, 8 * MIB).count(b"w"), MIB, "what was written before the read")
EOT
}

@test "libnbd and qemu read sparse disks whole" {
    serve memory 8M
    py <<'EOT'
handle = libnbd()
handle.pwrite(b"l" * 512, 5 << 20)
chunks = []
data = handle.pread_structured(8 << 20, 0, lambda part, offset, kind, error:
                               chunks.append((len(part), kind)))
same(data, bytes(5 << 20) + b"l" * 512 + bytes((3 << 20) - 512), "data")
same(chunks, [(5 << 20, nbd.READ_HOLE), (65536, nbd.READ_DATA),
              ((3 << 20) - 65536, nbd.READ_HOLE)], "chunks")
EOT
    qemu-io -r -f raw -c 'read -P 0 0 5M' -c 'read -P 108 5M 512' -c 'read -P 0 6M 2M' "$URI"
    nbdcopy --no-extents "$URI" "$DIR/copy"
    same "$(tr -d '\0' <"$DIR/copy" | wc -c)" 512
    stop
}
