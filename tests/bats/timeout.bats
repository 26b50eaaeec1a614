#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# --timeout: a client has so long for its whole handshake, whatever it does or leaves undone; one
# that ends it in time is never hit later, others are served meanwhile, and the log stays empty.
# And --connections: whoever waits for a place gets one of those that are held for nothing.

load common

# Python: TIMEOUT_S is what the servers here are given with --timeout=0.5.
PRELUDE='
TIMEOUT_S = 0.5
def expect_drop(client, start):
    """The server drops the client at the deadline, neither sooner nor much later."""
    client.ending()
    took_s = time.monotonic() - start
    assert TIMEOUT_S * 0.9 < took_s < TIMEOUT_S + 1.0 * SLOWER, "it took %.2f s" % took_s
'

timeout_py() {
    { echo "$PRELUDE"; cat; } | py "$@"
}

@test "half a handshake is dropped, wherever it stops; others are served meanwhile" {
    serve --timeout=0.5 memory 1M
    timeout_py <<'EOT'
start = time.monotonic()
silent, greeted, halfway, promised, informed = [connect() for _ in range(5)]
silent.greet(client_flags=None)
for client in (greeted, halfway, promised, informed):
    client.greet()
halfway.send(b"IHAVE")
promised.send_option(OPT_GO, go_query("")[:3], length=1000)
informed.inform(OPT_INFO)
ready().read(0, 512)
for client in (silent, greeted, halfway, promised, informed):
    expect_drop(client, start)
ready().read(0, 512)
EOT
    stop
    same "$(messages)" ""
}

@test "the time is for the whole handshake, however slowly or busily it goes on" {
    serve --timeout=500ms memory 1M
    timeout_py <<'EOT'
def drip():
    client.send(b"\0")
    select.select([client.sock], [], [], 0.05)
def flood():
    client.send(bytes(65536))
def haggle():
    client.ask(OPT_LIST)
    select.select([client.sock], [], [], 0.01)
for go_on, promised in (drip, 4000), (flood, 2 ** 32 - 1), (haggle, 0):
    start = time.monotonic()
    client = connect()
    client.greet()
    if promised:
        client.send_option(OPT_LIST, length=promised)
    try:
        while time.monotonic() < start + BOUND_S:
            go_on()
    except (Closed, ConnectionError):
        pass
    took_s = time.monotonic() - start
    assert TIMEOUT_S * 0.9 < took_s < TIMEOUT_S + 1.0 * SLOWER, "it took %.2f s" % took_s
EOT
    stop
}

@test "a client that does not read what the handshake says is dropped" {
    serve --timeout=0.5 eval get_size='echo 1M' pread='head -c $3 /dev/zero' \
        list_exports='echo NAMES; for n in $(seq 4000); do echo "export-$n"; done'
    timeout_py <<'EOT'
folder = "/proc/%s/fd" % os.environ["SERVER"]
before = len(os.listdir(folder))
deaf = connect()
deaf.greet()
for n in range(20):
    deaf.send_option(OPT_LIST)
until(lambda: len(os.listdir(folder)) == before, "the session to end")
EOT
    stop
}

@test "a client that ends the handshake in time is never hit later" {
    serve --timeout=0.5 memory 1M
    timeout_py <<'EOT'
client = ready()
half = ready()
half.send(struct.pack(">I", REQUEST_MAGIC))
same(select.select([client.sock, half.sock], [], [], TIMEOUT_S * 2)[0], [], "who was dropped")
client.write(0, b"late" * 128)
same(client.read(0, 512), b"late" * 128, "data")
client.disconnect()
EOT
    stop
    same "$(messages)" ""
}

@test "the end of the server does not wait for the deadline" {
    serve --timeout=1000 memory 1M
    py <<'EOT'
greeted = connect()
greeted.greet()
expect_prompt_end(lambda: os.kill(int(os.environ["SERVER"]), 15), clients=1)
EOT
    wait_exit
}

@test "-s over pipes" {
    py <<'EOT'
process = subprocess.Popen([NBDLAB, "-s", "-v", "--timeout=0.5", "memory", "1M"],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
same(process.wait(BOUND_S), 0, "exit status")
text = process.stderr.read().decode()
same(text.count("the handshake took longer than --timeout"), 1, "lines about it in " + text)
EOT
}

@test "with -v there is a line about a client that was dropped" {
    serve -v --timeout=0.5 memory 1M
    py <<'EOT'
client = connect()
client.greet()
client.ending()
EOT
    stop
    same "$(grep -c "the handshake took longer than --timeout, dropping the client" "$LOG")" 1
    lacks "error:"
}

@test "the time that the plugin takes is not the client's" {
    serve --timeout=0.5 eval get_size='echo 1M' pread='head -c $3 /dev/zero' \
        list_exports='sleep 0.7; echo a' open='sleep 0.7'
    py <<'EOT'
client = connect()
client.greet()
client.ask(OPT_LIST)
client.inform(OPT_INFO)
client.go("")
client.read(0, 512)
client.disconnect()
EOT
    stop
    same "$(messages)" ""
}

@test "at --connections, who began something and leaves it at that makes room; the handshake has 10 s" {
    py <<'EOT'
import threading

SIZE = 1 << 16
memory = ["memory", "64M"]
one_only = ["eval", "thread_model=echo serialize_connections", "get_size=echo 1M", "pread=head -c $3"]

def half_header(sock):
    client = ready(sock)
    client.send(struct.pack(">I", REQUEST_MAGIC))
    return client

def half_payload(sock):
    client = ready(sock)
    client.send_request(CMD_WRITE, 0, SIZE)
    client.send(bytes(100))
    return client

def deaf(sock):
    client = ready(sock, structured=False)
    for _ in range(40):
        client.send_request(CMD_READ, 0, 1 << 20)
    return client

def halfway(sock):
    client = connect(sock)
    client.greet()
    client.send(b"IHAVE")
    return client

def half_tls(sock):
    client = connect(sock)
    client.greet()
    client.ask(OPT_STARTTLS)
    client.send(b"\x16\x03")
    return client

def fail_together(clients):
    # The newest is the first to be dropped; the others are next, one by one.
    clients[-1].ending()
    for client in clients[-2::-1]:
        try:
            client.sock.send(bytes(100))
        except OSError:
            pass

with open(os.environ["DIR"] + "/keys", "w") as file:
    file.write("alice:00112233\n")
psk = ["--tls=on", "--tls-psk=" + file.name]
with Server("--connections=7", "--timeout=0", *psk, *memory).start() as full, \
        Server("--connections=60", "--timeout=0", *psk, *memory).start() as crowded, \
        Server("--connections=1", *memory).start() as quiet, \
        Server(*one_only).start() as single, Server(*memory).start() as default:
    start = time.monotonic()
    silent = connect(default.sock)
    silent.greet(client_flags=None)
    patient = half_payload(quiet.sock)
    stuck = [half_header(full.sock), half_payload(full.sock), deaf(full.sock), halfway(full.sock),
             half_tls(full.sock), half_header(single.sock)]
    idle, slow = ready(full.sock), half_payload(full.sock)
    # Handshakes that fail while the server ends them.
    crowd = [half_tls(crowded.sock) for _ in range(60)]
    threading.Thread(target=fail_together, args=(crowd,)).start()
    waiting = [connect(server.sock) for server in [full] * 5 + [single, crowded]]
    sent = 100
    while time.monotonic() < start + BOUND_S and not all(one.is_readable() for one in waiting):
        slow.send(bytes(1))
        sent += 1
        select.select([], [], [], 0.2)
    took_s = time.monotonic() - start
    assert 4.9 < took_s, "somebody was dropped after %.1f s" % took_s
    for client in stuck[:2] + stuck[3:]:
        client.ending()
    for client in waiting:
        client.greet()
        client.go("")
    idle.read(0, 512)
    slow.send(bytes(SIZE - sent))
    same(slow.reply().error, 0, "what a slow client's write says")
    said = [line.partition(" warning: client ")[2].partition(" for 5 seconds, and others")[0]
            for line in full.log.splitlines() if "others wait for its place" in line]
    same(sorted(said), ["1 has sent no more of what it began",
                        "2 has sent no more of what it began",
                        "3 has taken none of its replies", "4 has sent no more of what it began",
                        "5 has sent no more of what it began"])
    assert "client 1 has sent no more" in single.log, single.log
    # Nobody waits for its place.
    patient.send(bytes(SIZE - 100))
    same(patient.reply().error, 0, "what the write of a client that rested says")
    silent.ending()
    took_s = time.monotonic() - start
    assert 9.9 < took_s < 11 + SLOWER, "the default took %.1f s" % took_s
    same(default.log.count("timeout"), 0)
EOT
}

@test "times that are none" {
    for time in -1 soon "" 1h 99999999999; do
        run -1 "$NBDLAB" -f -U "$SOCK" --timeout="$time" memory 1M
        case $output in *--timeout*) ;; *) echo "$time: $output"; return 1 ;; esac
    done
}
