#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# nbdkit_disconnect(): soft, new commands fail with ESHUTDOWN and those in flight are answered;
# forced, nothing more is sent.  Others notice neither.  From a C plugin and from scripts.

load common

serve_told_plugin() {
    mkfifo "$DIR/gate"
    serve "$BUILD/tests/plugins/told.so" log="$DIR/calls" gate="$DIR/gate" "$@"
}

# Python: what these tests share.
PRELUDE='
directory = os.environ["DIR"]
def begun(method):
    return sum(line.startswith("begin %s <told" % method) for line in lines(directory + "/calls"))
def closed():
    return begun("close")
def slow_read(client):
    before = begun("pread")
    cookie = client.send_request(CMD_READ, 131072, 512)
    until(lambda: begun("pread") > before, "the slow read to begin")
    return cookie
def expect_last_is_close():
    until(lambda: "end close <told-1>" in lines(directory + "/calls"), "close to be called")
    same(closed(), 1, "times that close was called")
    told = [line for line in lines(directory + "/calls") if "<told-1>" in line]
    same(told[-2:], ["begin close <told-1>", "end close <told-1>"], "last callbacks")
'

disconnect_py() {
    { echo "$PRELUDE"; cat; } | py "$@"
}

# bats test_tags=tls
@test "soft: commands in flight are answered, new ones get ESHUTDOWN, the plugin is not called" {
    serve_told_plugin when=pread do=soft
    disconnect_py <<'EOT'
client = ready(export="told")
other = libnbd(export="other")
slow = slow_read(client)
same(client.errno(CMD_READ, 65536, 512), 0, "errno of the call that disconnects")
calls = len(lines(directory + "/calls"))
same(client.errno(CMD_READ, 0, 512), ESHUTDOWN, "read")
same(client.errno(CMD_WRITE, 0, 512, data=bytes(512)), ESHUTDOWN, "write")
same(client.errno(CMD_FLUSH), ESHUTDOWN, "flush")
same(client.errno(CMD_WRITE_ZEROES, 0, 512), ESHUTDOWN, "write zeroes")
same(len(lines(directory + "/calls")), calls, "callbacks")
open_gate(directory + "/gate")
reply = client.reply()
same((reply.cookie, reply.error, reply.data), (slow, 0, bytes(512)), "the slow read")
same(client.errno(CMD_READ, 0, 512), ESHUTDOWN, "a later read")
same(closed(), 0, "times that close was called")
client.disconnect()
expect_last_is_close()
same(len(other.pread(512, 0)), 512, "bytes of another client")
EOT
    stop
}

# bats test_tags=tls
@test "soft in a callback that fails: the client gets its error" {
    serve_told_plugin when=pwrite do=soft result=fail
    disconnect_py <<'EOT'
client = ready(export="told")
same(client.errno(CMD_WRITE, 65536, 512, data=bytes(512)), ENOSPC, "the told write")
same(client.errno(CMD_WRITE, 0, 512, data=bytes(512)), ESHUTDOWN, "the next write")
same(begun("pwrite"), 1, "writes that reached the plugin")
client.disconnect()
expect_last_is_close()
EOT
    stop
}

# bats test_tags=tls
@test "soft: requests that were sent before the disconnect but not begun get ESHUTDOWN" {
    serve_told_plugin -t 1 when=pread do=soft
    disconnect_py <<'EOT'
client = ready(export="told")
slow_read(client)
told = client.send_request(CMD_READ, 65536, 512)
late = [client.send_request(CMD_READ, 4096 * n, 512) for n in range(8)]
client.send_write(0, bytes(100000))
open_gate(directory + "/gate")
replies = client.replies(11)
same(replies[told].error, 0, "the told read")
for cookie in late:
    same(replies[cookie].error, ESHUTDOWN, "a request behind it")
same((begun("pread"), begun("pwrite")), (2, 0), "calls of the plugin")
client.disconnect()
EOT
    stop
}

# bats test_tags=tls
@test "soft: a client that just hangs up is closed as well" {
    serve_told_plugin when=flush do=soft
    disconnect_py <<'EOT'
client = ready(export="told")
same(client.errno(CMD_FLUSH), 0, "flush")
client.close()
expect_last_is_close()
EOT
    stop
}

# bats test_tags=tls
@test "soft: in open the handshake ends, then every command but DISC gets ESHUTDOWN" {
    serve_told_plugin when=open do=soft
    disconnect_py <<'EOT'
client = ready(export="told")
same(client.errno(CMD_READ, 0, 512), ESHUTDOWN, "read")
same(client.errno(CMD_FLUSH), ESHUTDOWN, "flush")
client.disconnect()
expect_last_is_close()
EOT
    stop
}

# bats test_tags=tls
@test "soft: in get_size too" {
    serve_told_plugin when=get_size do=soft
    disconnect_py <<'EOT'
client = ready(export="told")
same(client.errno(CMD_READ, 0, 512), ESHUTDOWN, "read")
client.disconnect()
expect_last_is_close()
EOT
    stop
}

# bats test_tags=tls
@test "forced: nothing more is sent, calls in flight included, and close comes after them" {
    serve_told_plugin when=pread do=forced
    disconnect_py <<'EOT'
client = ready(export="told")
other = libnbd(export="other")
slow_read(client)
client.send_request(CMD_READ, 65536, 512)
client.ending()
same(closed(), 0, "times that close was called while a read still runs")
open_gate(directory + "/gate")
expect_last_is_close()
same(len(other.pread(512, 0)), 512, "bytes of another client")
EOT
    stop
}

# bats test_tags=tls
@test "forced in a callback that fails, in pwrite, flush and close" {
    for method in pwrite flush close; do
        rm -f "$DIR/gate" "$DIR/calls"
        serve_told_plugin when="$method" do=forced result=fail
        disconnect_py "$method" <<'EOT'
client = ready(export="told")
if sys.argv[1] == "pwrite":
    client.send_write(65536, bytes(512))
elif sys.argv[1] == "flush":
    client.send_request(CMD_FLUSH)
else:
    client.send_request(CMD_DISC)
client.ending()
expect_last_is_close()
ready(export="other").read(0, 512)
EOT
        stop
    done
}

# bats test_tags=tls
@test "forced in open and in get_size aborts the handshake" {
    for method in open get_size; do
        rm -f "$DIR/gate" "$DIR/calls"
        serve_told_plugin when="$method" do=forced
        disconnect_py "$method" <<'EOT'
client = connect()
client.enter()
client.send_option(OPT_GO, go_query("told"))
client.ending()
expect_last_is_close()
ready(export="other").read(0, 512)
EOT
        stop
    done
}

# bats test_tags=tls
@test "forced beats soft, and soft after forced changes nothing" {
    disk both.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1M ;;
    thread_model) echo parallel ;;
    pread)
        head -c $3 /dev/zero
        case $4 in 65536) exit 7 ;; esac
        exit 0 ;;
    flush) exit 6 ;;
    can_flush) exit 0 ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/both.sh"
    py <<'EOT'
client = ready()
same(client.errno(CMD_READ, 65536, 512), 0, "errno of the soft disconnect")
same(client.errno(CMD_FLUSH), ESHUTDOWN, "flush does not reach the script any more")
client.disconnect()
client = ready()
client.send_request(CMD_FLUSH)
client.ending()
EOT
    stop
}

# bats test_tags=tls
@test "a disconnected client may come back, many times" {
    serve_told_plugin when=flush do=forced
    disconnect_py <<'EOT'
for n in range(20):
    client = ready(export="told")
    client.read(0, 512)
    client.send_request(CMD_FLUSH)
    client.ending()
until(lambda: closed() == 20, "every connection to be closed")
EOT
    stop
}

# bats test_tags=tls
@test "nbdkit_disconnect outside a connection does nothing" {
    serve_told_plugin when=get_ready do=forced
    disconnect_py <<'EOT'
ready(export="told").read(0, 512)
EOT
    stop
}

# bats test_tags=tls
@test "libnbd sees ESHUTDOWN after a soft, a dead connection after a forced disconnect" {
    for action in soft forced; do
        rm -f "$DIR/gate" "$DIR/calls"
        serve_told_plugin when=pread do="$action"
        disconnect_py "$action" <<'EOT'
handle = libnbd(export="told")
error = nbd_errno(handle.pread, 512, 65536)
if sys.argv[1] == "soft":
    same(error, 0, "the told read")
    same(nbd_errno(handle.pread, 512, 0), ESHUTDOWN, "the next read")
    handle.shutdown()
else:
    assert error != 0 and (handle.aio_is_dead() or handle.aio_is_closed())
expect_last_is_close()
EOT
        stop
    done
}

# bats test_tags=tls
@test "a script throws one of five clients out, the other four copy on" {
    disk five.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1M ;;
    thread_model) echo parallel ;;
    open) echo "$3" ;;
    pread)
        head -c $3 /dev/zero
        if [ "$2" = out ]; then exit 6; fi ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/five.sh"
    py <<'EOT'
others = [ready(export="in") for _ in range(4)]
cookies = [other.send_request(CMD_READ, 4096 * n, 4096) for n in range(8) for other in others]
out = ready(export="out")
out.send_request(CMD_READ, 0, 512)
out.ending()
for other in others:
    same([reply.error for reply in other.replies(8).values()], [0] * 8, "errors of another client")
    other.disconnect()
EOT
    stop
}
