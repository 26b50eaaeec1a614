#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The memory that requests may hold: --bytes-in-flight for the server, a quarter of it for one
# connection, and clients that hold it without need.

load common

# Python: what these tests share.
PRELUDE='
import threading
MIB = 1 << 20
LONGEST = 64 * MIB
# Sanitizers need memory of their own: with them (SLOWER), how much it is says nothing.
def memory_kib(which):
    status = open("/proc/%s/status" % os.environ["SERVER"]).read()
    return int(status.split(which + ":")[1].split()[0])
def log():
    return open(os.environ["LOG"]).read()
def hold_all():
    """Four clients that have asked for all the memory there is, and read nothing."""
    holders = [ready() for _ in range(4)]
    for holder in holders:
        holder.send_request(CMD_READ, 0, LONGEST, flags=FLAG_DF)
        assert holder.is_readable(BOUND_S), "no reply begins"
    return holders
def is_asleep():
    tasks = "/proc/%s/task/" % os.environ["SERVER"]
    return all(open(tasks + task + "/stat").read().rpartition(")")[2].split()[0] == "S"
               for task in os.listdir(tasks))
def is_taken(client):
    """The server has received all that was sent (SIOCOUTQ)."""
    return fcntl.ioctl(client.sock, 0x5411, bytes(4)) == bytes(4)
'

# with ARGS...: the Python on standard input against a disk of 1 GiB.
with() {
    serve "$@" memory 1G </dev/null
    { echo "$PRELUDE"; cat; } | py
    stop
}

@test "many long reads by one client hold a quarter of the limit, and no other client waits" {
    with --bytes-in-flight=256M <<'EOT'
greedy, other = ready(), ready()
other.read(0, 512)
before = memory_kib("VmHWM")
for n in range(5):
    greedy.send_request(CMD_READ, 0, LONGEST, flags=FLAG_DF)
assert greedy.is_readable(BOUND_S), "no reply begins"
for n in range(10):
    same(len(other.read(n * MIB, MIB)), MIB, "bytes")
grown = memory_kib("VmHWM") - before
assert SLOWER > 1 or grown < 100 * 1024, "memory grew by %d KiB" % grown
for n in range(5):
    same(len(greedy.reply().data), LONGEST, "bytes of a reply")
greedy.disconnect()
EOT
    lacks "dropping it"
}

@test "clients that do not take their replies are dropped once others need the memory" {
    with --bytes-in-flight=256M <<'EOT'
holders = hold_all()
other = ready()
start = time.monotonic()
other.write(MIB, b"o" * 512)
took_s = time.monotonic() - start
assert 4 < took_s < 9 * SLOWER, "it took %.1f s" % took_s
# Whoever got stuck a moment later may be spared: there is room by then.
dropped = 0
for holder in holders:
    try:
        same(len(holder.reply().data), LONGEST, "bytes for one that was not dropped")
    except Closed:
        dropped += 1
assert dropped > 0, "nobody was dropped"
until(lambda: log().count("does not take its replies") == dropped, "a message for each")
same(len(other.read(0, LONGEST)), LONGEST, "bytes")
EOT
}

@test "clients that do not send what they announced are dropped once others need the memory" {
    with --bytes-in-flight=256M <<'EOT'
holders = [ready() for _ in range(4)]
for holder in holders:
    holder.send_request(CMD_WRITE, 0, LONGEST, data=b"part")
until(lambda: all(map(is_taken, holders)) and is_asleep(), "the server to wait for the rest")
before = memory_kib("VmRSS")
assert SLOWER > 1 or before < 100 * 1024, "%d KiB" % before
other = ready()
other.read(MIB, 512)
gone = select.select([holder.sock for holder in holders], [], [], 0)[0]
assert gone, "nobody was dropped"
until(lambda: log().count("does not send its data") == len(gone), "a message for each")
same(other.read(0, 512), bytes(512), "data")
EOT
}

@test "a client that takes its reply bit by bit is not dropped" {
    with --bytes-in-flight=256M <<'EOT'
holders = hold_all()
other = ready()
other.send_request(CMD_READ, 0, 512)
# 8 MiB at a time, from each, for longer than a client may do nothing.
for taken in range(7):
    for holder in holders:
        holder.receive(8 * MIB)
    assert not other.is_readable(1), "somebody was dropped, or memory was not short"
for holder in holders:
    holder.receive(20 + 8 + LONGEST - 7 * 8 * MIB)
same(len(other.reply().data), 512, "bytes")
EOT
    lacks "dropping it"
}

@test "without need nobody is dropped" {
    with --bytes-in-flight=512M <<'EOT'
holders = hold_all()
other = ready()
same(len(other.read(0, LONGEST)), LONGEST, "bytes")
assert not other.is_readable(6), "bytes that nobody asked for"
same(len(other.read(0, LONGEST)), LONGEST, "bytes")
for holder in holders:
    same(len(holder.reply().data), LONGEST, "bytes of a reply that was left for some time")
EOT
    lacks "dropping it"
}

@test "small requests get their turn, and in order, where memory is short" {
    with --bytes-in-flight=256M <<'EOT'
def work(failures, n):
    try:
        client = ready()
        for i in range(4):
            length = LONGEST if (i + n) % 3 == 0 else 512
            pattern = bytes([n + 1]) * 512
            client.write(512 * n, pattern)
            data = client.read(512 * n, length)
            same((len(data), data[:512]), (length, pattern), "data")
        client.disconnect()
    except BaseException as error:
        failures.append(error)
        raise
failures = []
threads = [threading.Thread(target=work, args=(failures, n)) for n in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
same(failures, [], "failures")
EOT
    lacks "dropping it"
}

@test "the server stops while clients wait for memory" {
    serve --bytes-in-flight=256M memory 1G
    { echo "$PRELUDE"; cat; } <<'EOT' | py
holders = hold_all()
waiting = [ready() for _ in range(3)]
for client in waiting[:2]:
    client.send_request(CMD_READ, 0, LONGEST, flags=FLAG_DF)
waiting[2].send_request(CMD_WRITE, 0, LONGEST, data=b"part")
until(lambda: all(map(is_taken, waiting)) and is_asleep(), "the requests to wait")
os.kill(int(os.environ["SERVER"]), signal.SIGTERM)
for client in waiting[:2]:
    same(client.reply().error, ESHUTDOWN, "error")
for client in waiting:
    client.ending()
for holder in holders:
    holder.close()
EOT
    wait_exit
}

@test "a client that waits for memory and leaves is forgotten" {
    with --bytes-in-flight=256M <<'EOT'
holders = hold_all()
for n in range(3):
    leaver = ready()
    leaver.send_request(CMD_READ, 0, LONGEST, flags=FLAG_DF)
    leaver.vanish()
for holder in holders:
    same(len(holder.reply().data), LONGEST, "bytes")
same(len(ready().read(0, LONGEST)), LONGEST, "bytes")
EOT
}

# The plugin allows requests of up to 256 MiB.
large_disk() {
    disk large.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1G ;;
    block_size) echo 4096 65536 268435456 ;;
    can_write) exit 0 ;;
    pread) head -c $3 /dev/zero ;;
    pwrite) cat >/dev/null ;;
    *) exit 2 ;;
esac
EOT
}

@test "a plugin may allow more than 64 MiB, as far as one connection gets so much memory" {
    large_disk
    for limit in 1G:268435456 512M:134217728 300000001:75000000; do
        serve "--bytes-in-flight=${limit%:*}" sh "$DIR/large.sh"
        MAXIMUM=${limit#*:} py <<'EOT'
wanted = int(os.environ["MAXIMUM"])
wanted -= wanted % 4096
for extended in (False, True):
    client = connect()
    client.greet()
    if extended:
        client.negotiate_extended()
    info = client.go("", INFO_BLOCK_SIZE)
    maximum = struct.unpack(">III", info[INFO_BLOCK_SIZE])[2]
    assert wanted - 4096 * 1024 < maximum <= wanted, "maximum %d, not %d" % (maximum, wanted)
    same(maximum % 4096, 0, "rest of the maximum")
    same(client.errno(CMD_READ, 0, maximum + 4096), EINVAL, "errno beyond the maximum")
if maximum < 128 * 1024 * 1024:
    same(len(client.read(0, maximum)), maximum, "bytes")
    client.write(0, bytes(maximum))
EOT
        stop
    done
}

@test "requests for 2^32-1 bytes cost nothing before they are refused" {
    with <<'EOT'
client = ready()
client.read(0, 512)
before = memory_kib("VmHWM")
for n in range(50):
    for m in range(20):
        client.send_request(CMD_READ, 0, 0xffffffff)
    same({reply.error for reply in client.replies(20).values()}, {EINVAL}, "errors")
grown = memory_kib("VmHWM") - before
assert SLOWER > 1 or grown < 2048, "memory grew by %d KiB" % grown
EOT
}
