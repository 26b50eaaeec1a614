#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Clients come and go, and the server's descriptors, threads and children stay as many as they
# were; a client that misbehaves harms neither others nor the end.

load common

# Python: what these tests share.
PRELUDE='
server = os.environ["SERVER"]
def children_of(task):
    try:
        with open(task + "/children") as children:
            return len(children.read().split())
    except (FileNotFoundError, ProcessLookupError):
        return 0  # the thread has ended since it was listed
def children():
    return sum(children_of(task) for task in task_folders())
def task_folders():
    return ["/proc/%s/task/%s" % (server, task) for task in os.listdir("/proc/%s/task" % server)]
def usage():
    return (len(os.listdir("/proc/%s/fd" % server)), len(task_folders()), children())
def warmed_up():
    """The usage after a first client: what the server makes once and keeps is there now."""
    same_since = [usage(), time.monotonic()]
    ready().disconnect()
    def is_stable():
        if usage() != same_since[0]:
            same_since[:] = [usage(), time.monotonic()]
        return time.monotonic() - same_since[1] > 0.1
    until(is_stable, "the usage to be stable")
    return usage()
def settled(before):
    def is_settled():
        return all(now <= then for now, then in zip(usage(), before))
    try:
        until(is_settled, "usage")
    except Silence:
        same(usage(), before, "descriptors, threads and children")
'

script_disk() {
    disk disk.sh <<'EOT'
#!/bin/sh
case $1 in
    thread_model) echo parallel ;;
    get_size) echo 1M ;;
    pread) head -c $3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
}

with() {
    serve "$@"
    { echo "$PRELUDE"; cat; } | py
    stop
}

@test "a thousand connections one after another" {
    with memory 1M <<'EOT'
before = warmed_up()
for n in range(1000):
    client = ready()
    client.read(0, 512)
    if n % 3 == 0:
        client.disconnect()
    elif n % 3 == 1:
        client.close()
    else:
        client.vanish()
settled(before)
EOT
}

@test "a thousand connections that never end their handshake" {
    with memory 1M <<'EOT'
before = warmed_up()
for n in range(1000):
    client = connect()
    if n % 2:
        client.greet()
        client.inform(OPT_INFO)
    client.close() if n % 3 else client.vanish()
settled(before)
EOT
}

# bats test_tags=tls
@test "fifty connections at once, with requests in parallel" {
    with -t 4 memory 16M <<'EOT'
before = warmed_up()
clients = [ready() for _ in range(50)]
for n, client in enumerate(clients):
    for k in range(8):
        client.send_write(65536 * ((8 * n + k) % 256), bytes([n]) * 65536)
for client in clients:
    same([reply.error for reply in client.replies(8).values()], [0] * 8, "errors")
for client in clients:
    client.disconnect()
settled(before)
EOT
}

@test "a hundred connections to a script, fifty at once" {
    script_disk
    with sh "$DIR/disk.sh" <<'EOT'
before = warmed_up()
for n in range(50):
    client = ready()
    client.read(0, 512)
    client.disconnect() if n % 2 else client.vanish()
clients = [ready() for _ in range(50)]
for client in clients:
    client.send_request(CMD_READ, 0, 4096)
for client in clients:
    same(client.reply().error, 0, "errno")
    client.disconnect()
settled(before)
EOT
}

@test "disconnects by the plugin leave nothing behind" {
    with "$BUILD/tests/plugins/told.so" log="$DIR/calls" when=pread do=forced <<'EOT'
before = warmed_up()
for n in range(200):
    client = ready(export="told")
    client.send_request(CMD_READ, 65536, 512)
    client.ending()
    client.close()
settled(before)
EOT
}

@test "clients that are refused leave nothing behind" {
    disk disk.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1M ;;
    open) case $3 in bad) exit 1 ;; esac ;;
    pread) head -c $3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    with sh "$DIR/disk.sh" <<'EOT'
before = warmed_up()
for n in range(50):
    client = connect()
    client.greet()
    client.refusal(OPT_GO, go_query("bad"))
    client.close()
settled(before)
EOT
}

# bats test_tags=tls
@test "a client that never reads its replies does not stop others" {
    with memory 64M <<'EOT'
before = warmed_up()
deaf = ready(structured=False)  # holes are sent in full
for n in range(64):
    deaf.send_request(CMD_READ, 0, 1 << 20)
for n in range(10):
    other = ready()
    other.read(0, 1 << 20)
    other.disconnect()
deaf.vanish()
settled(before)
EOT
}

# bats test_tags=tls
@test "a client that vanishes while its requests are in the plugin" {
    mkfifo "$DIR/gate"
    with "$BUILD/tests/plugins/told.so" log="$DIR/calls" gate="$DIR/gate" <<'EOT'
before = warmed_up()
directory = os.environ["DIR"]
def count(what):
    return sum(what in line for line in lines(directory + "/calls"))
for how in ("close", "vanish"):
    begun = count("begin pread")
    client = ready()
    client.send_request(CMD_READ, 131072, 512)
    until(lambda: count("begin pread") > begun, "the read to begin")
    getattr(client, how)()
    ready().read(0, 512)
    open_gate(directory + "/gate")
    until(lambda: count("end pread") == count("begin pread"), "the read to end")
settled(before)
EOT
}

@test "a client that vanishes in the middle of its payload" {
    with memory 64M <<'EOT'
before = warmed_up()
for n in range(50):
    client = ready()
    client.send_request(CMD_WRITE, 0, 32 << 20, data=bytes(100000))
    client.vanish() if n % 2 else client.close()
ready().disconnect()
settled(before)
EOT
}

@test "no zombies: every script is reaped" {
    script_disk
    with sh "$DIR/disk.sh" <<'EOT'
before = children()
client = ready()
for n in range(100):
    client.read(0, 512)
same(children(), before, "children while the client is connected")
EOT
}

@test "out of descriptors, the server goes on when there are some again" {
    (
        ulimit -n 64
        serve memory 1M
        echo "$SERVER" >"$DIR/server"
    )
    SERVER=$(cat "$DIR/server")
    export SERVER
    STARTED+=("$SERVER")
    { echo "$PRELUDE"; cat; } <<'EOT' | py
ready().disconnect()
clients = [connect() for _ in range(100)]
until(lambda: usage()[0] > 50, "the server to run out of descriptors")
for client in clients:
    client.close()
until(lambda: usage()[0] < 30, "the server to recover")
ready().read(0, 512)
EOT
    kill "$SERVER"
    wait_for not is_alive "$SERVER"
}
