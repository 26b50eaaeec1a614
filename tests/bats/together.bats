#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Requests that come together are done and answered together; and still, none waits for another
# that takes long.

load common

# Python: what these tests share. Requests sent in one piece are read in one piece.
PRELUDE='
MEGABYTE = 1 << 20
def together(client, *requests):
    parts = []
    client.send = parts.append
    cookies = [client.send_request(CMD_READ, offset, 512) for offset in requests]
    del client.send
    client.send(b"".join(parts))
    return cookies
# So many that the server takes the reads of this disk for quick.
def hurry(client, count=2000):
    for i in range(count // 100):
        cookies = together(client, *[512 * j for j in range(100)])
        replies = client.replies(100)
        for j, cookie in enumerate(cookies):
            same((replies[cookie].error, replies[cookie].data), (0, bytes([j]) * 512), "a read")
# The replies, by cookie. Only the last request is sure to find others in the plugin; when it
# is answered, whoever began after it is let go by another client.
def collect(client, cookies, other):
    replies = {}
    while len(replies) < len(cookies):
        while cookies[-1] in replies and not client.is_readable(0.2):
            other.read(0, 512)
        reply = client.reply()
        replies[reply.cookie] = reply
    return replies
def threads():
    return len(os.listdir("/proc/%d/task" % int(os.environ["SERVER"])))
'

serve_gates() {
    serve "$BUILD/tests/plugins/gates.so" release="$DIR/released" "$@"
    export SERVER
}

together_py() {
    { echo "$PRELUDE"; cat; } | py "$@"
}

# The plugin itself measures how long it is alone; other load of the machine only adds to that.
# bats test_tags=tls
@test "after many quick calls the first slow one holds others up for less than 10 ms" {
    serve_gates
    together_py <<'EOT'
client, other = ready(), ready()
waits_ms = []
for i in range(20):
    hurry(client)
    slow, quick = cookies = together(client, MEGABYTE, 0)
    replies = collect(client, cookies, other)
    same([replies[slow].error, replies[quick].error], [0, 0], "errors")
    waits_ms.append(struct.unpack("=q", replies[slow].data[:8])[0] / 1e6)
assert min(waits_ms) < 10, "alone for %s ms" % waits_ms
EOT
}

# bats test_tags=tls
@test "a request that comes later goes on while a call is slow for the first time" {
    serve_gates
    together_py <<'EOT'
client = ready()
hurry(client)
slow, = together(client, 4 * MEGABYTE)
for i in range(10):
    same(client.read(512 * i, 512), bytes([i]) * 512, "another read")
open(os.environ["DIR"] + "/released", "w").close()
reply = client.reply()
same((reply.cookie, reply.error), (slow, 0), "the slow read")
EOT
}

# bats test_tags=tls
@test "requests that wait for each other do not deadlock, in either order, nor over and over" {
    serve_gates
    together_py <<'EOT'
for order in ((2, 3), (3, 2)):
    client = ready()
    hurry(client)
    together(client, *[megabyte * MEGABYTE for megabyte in order])
    same([reply.error for reply in client.replies(2).values()], [0, 0], "errors")
client = ready()
hurry(client)
# Each waits for the next one, so as many as there are threads are in the plugin at once.
cookies = together(client, *[MEGABYTE] * 15, 0)
same(sorted(collect(client, cookies, ready())), sorted(cookies), "answered")
EOT
}

# What is done is told to the client, whoever waits in the plugin.
# bats test_tags=tls
@test "a reply does not wait for a later request that is slow, in any thread model" {
    for model in 0 1 2 3; do
        serve_gates model=$model
        together_py <<'EOT'
path = os.environ["DIR"] + "/released"
client = ready()
hurry(client)
for repeat in range(2):
    cookies = together(client, 0, 512, 1024, 4 * MEGABYTE)
    same([client.reply().cookie for i in range(3)], cookies[:3], "the quick reads")
    open(path, "w").close()
    reply = client.reply()
    same((reply.cookie, reply.error), (cookies[3], 0), "the slow read")
    os.unlink(path)
    hurry(client)
client.disconnect()
EOT
        stop
    done
}

@test "with -t 1 a reply does not wait for a later request that is slow" {
    serve_gates -t 1
    together_py <<'EOT'
client = ready()
hurry(client)
cookies = together(client, 0, 4 * MEGABYTE)
same(client.reply().cookie, cookies[0], "the quick read")
open(os.environ["DIR"] + "/released", "w").close()
reply = client.reply()
same((reply.cookie, reply.error), (cookies[1], 0), "the slow read")
EOT
}

# bats test_tags=tls
@test "a client that is thrown out has the replies to what was done before" {
    serve_gates model=2
    together_py <<'EOT'
for i in range(20):
    client = ready()
    hurry(client, 400)
    cookies = together(client, *[512] * 8, 5 * MEGABYTE, 0)
    same([client.reply().cookie for i in range(8)], cookies[:8], "answered")
    try:
        client.receive(1)
        raise AssertionError("more came")
    except Closed:
        pass
EOT
}

# bats test_tags=tls
@test "writes of any length get their data, in a buffer that is aligned" {
    serve_gates
    together_py <<'EOT'
client = ready()
for count in list(range(1, 40)) + [511, 4096, 32768, 32769, 65536, 300000]:
    for repeat in range(3):
        parts = []
        client.send = parts.append
        for block in range(40):
            client.send_write(512 * block, bytes([block]) * count)
        del client.send
        client.send(b"".join(parts))
        same([reply.error for reply in client.replies(40).values()], [0] * 40, "%d bytes" % count)
        # Another alignment of what follows.
        client.send_request(CMD_READ, 0, 1 + repeat)
        client.reply()
EOT
}

@test "a connection that nobody uses has one thread" {
    serve_gates
    together_py <<'EOT'
before = threads() + 1
clients = [ready() for i in range(5)]
other = ready()
for client in clients:
    client.read(0, 512)
    collect(client, together(client, *[MEGABYTE] * 15, 0), other)
assert threads() > before + len(clients), "the slow reads had no threads of their own"
# One more: that which looks at what takes long.
until(lambda: threads() <= before + len(clients) + 1, "threads to end")
for client in clients:
    same(client.read(512, 512), bytes([1]) * 512, "a read after a pause")
    client.disconnect()
until(lambda: threads() <= before + 1, "threads to end")
EOT
}
