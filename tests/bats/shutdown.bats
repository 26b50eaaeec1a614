#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The server ends when it is told to, in time, with status 0, and leaves nothing behind.  The
# times are promises of the product: one second when nothing hangs, sh.grace and two seconds when
# a script does.

load common

# The server ended with status 0 and cleaned up after itself.
ended_well() {
    wait_exit
    [ ! -e "$SOCK" ]
    [ ! -e "$PIDFILE" ]
    same "$(ls -A "$TMPDIR")" ""
}

serve_told_plugin() {
    serve "$BUILD/tests/plugins/told.so" log="$DIR/calls" "$@"
}

unload_was_last() {
    same "$(tail -n 4 "$DIR/calls")" "begin cleanup <>
end cleanup <>
begin unload <>
end unload <>"
    same "$(grep -c 'begin unload' "$DIR/calls")" 1
}

signal_with_idle_clients() {
    serve_told_plugin
    py "$1" <<'EOT'
expect_prompt_end(lambda: os.kill(int(os.environ["SERVER"]), int(sys.argv[1])))
EOT
    ended_well
    unload_was_last
    same "$(grep -c 'begin close' "$DIR/calls")" 10
}

# bats test_tags=tls
@test "SIGTERM with ten idle clients" {
    signal_with_idle_clients 15
}

@test "SIGINT with ten idle clients" {
    signal_with_idle_clients 2
}

@test "SIGHUP with ten idle clients" {
    signal_with_idle_clients 1
}

@test "SIGQUIT with ten idle clients" {
    signal_with_idle_clients 3
}

# bats test_tags=tls
@test "nbdkit_shutdown in pread with ten idle clients" {
    serve_told_plugin when=pread do=shutdown
    py <<'EOT'
client = ready(export="told")
def trigger():
    same(client.errno(CMD_READ, 65536, 512), 0, "errno of the read that ends the server")
    same(client.ending(), "eof", "how the connection ends")
expect_prompt_end(trigger)
EOT
    ended_well
    unload_was_last
    same "$(grep -c 'begin close' "$DIR/calls")" 11
}

@test "nbdkit_shutdown in a callback that fails: the error still goes out" {
    serve_told_plugin when=pread do=shutdown result=fail
    py <<'EOT'
client = ready(export="told")
expect_prompt_end(lambda: same(client.errno(CMD_READ, 65536, 512), ENOSPC, "errno"))
EOT
    ended_well
    unload_was_last
}

# bats test_tags=tls
@test "nbdkit_shutdown in flush, close, preconnect, open and get_size" {
    for method in flush close open get_size preconnect; do
        rm -f "$DIR/calls"
        serve_told_plugin when="$method" do=shutdown
        py "$method" <<'EOT'
def trigger():
    try:
        client = ready(export="told")
        client.send_request(CMD_FLUSH)
        client.send_request(CMD_DISC)
    except (Closed, ConnectionError):
        pass
    except OptionError as error:
        same(error.code, REP_ERR_SHUTDOWN, "how the export is refused")
expect_prompt_end(trigger, clients=0 if sys.argv[1] == "preconnect" else 10)
EOT
        ended_well
        unload_was_last
        same "$(grep -c 'begin close' "$DIR/calls")" "$(grep -c 'end open' "$DIR/calls")"
    done
}

@test "nbdkit_shutdown in get_ready and in after_fork ends the server at once with status 0" {
    for method in get_ready after_fork; do
        rm -f "$DIR/calls"
        start "$BUILD/tests/plugins/told.so" log="$DIR/calls" when="$method" do=shutdown
        ended_well
        unload_was_last
        same "$(grep -c 'begin after_fork' "$DIR/calls")" 1
    done
}

# serve_telling STATUS: a script whose reads at 64 KiB exit with it; unload leaves a mark.
serve_telling() {
    disk telling.sh <<EOT
#!/bin/sh
case \$1 in
    get_size) echo 1M ;;
    pread)
        if [ \$4 -eq 65536 ]; then head -c \$3 /dev/zero; exit $1; fi
        head -c \$3 /dev/zero ;;
    unload) echo unload >>$DIR/calls ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/telling.sh"
}

# bats test_tags=tls
@test "exit 4 of a script with ten idle clients: success, and the end" {
    serve_telling 4
    py <<'EOT'
client = ready()
expect_prompt_end(lambda: same(client.errno(CMD_READ, 65536, 512), 0, "errno"))
EOT
    ended_well
    same "$(cat "$DIR/calls")" unload
}

# bats test_tags=tls
@test "exit 5 of a script with ten idle clients: ESHUTDOWN, and the end" {
    serve_telling 5
    py <<'EOT'
client = ready()
expect_prompt_end(lambda: same(client.errno(CMD_READ, 65536, 512), ESHUTDOWN, "errno"))
EOT
    ended_well
    same "$(cat "$DIR/calls")" unload
}

@test "clients in the middle of the handshake do not delay the end" {
    serve_telling 0
    py <<'EOT'
silent = connect()
greeted = connect()
greeted.greet()
halfway = connect()
halfway.greet()
halfway.send(b"IHAVE")
def trigger():
    os.kill(int(os.environ["SERVER"]), 15)
expect_prompt_end(trigger)
for client in (greeted, halfway):
    client.ending()
EOT
    ended_well
}

# bats test_tags=tls
@test "a client that does not finish its write does not delay the end" {
    serve memory 64M
    py <<'EOT'
half = ready()
half.send_request(CMD_WRITE, 0, 1 << 20, data=bytes(1000))
expect_prompt_end(lambda: os.kill(int(os.environ["SERVER"]), 15))
EOT
    ended_well
}

@test "a client that reads slowly is given up after five seconds too" {
    serve memory 64M
    py <<'EOT'
import threading
slow = ready(structured=False)  # holes are sent in full
slow.send_request(CMD_READ, 0, 64 << 20)
slow.receive(1 << 20)
is_over = threading.Event()
def read_slowly():
    while not is_over.wait(0.2):
        try:
            slow.receive(65536)
        except Closed:
            return
reader = threading.Thread(target=read_slowly)
reader.start()
try:
    expect_prompt_end(lambda: os.kill(int(os.environ["SERVER"]), 15), 7.0)
finally:
    is_over.set()
    reader.join()
EOT
    ended_well
}

# bats test_tags=tls
@test "a client that does not read its replies is given up after five seconds" {
    serve memory 64M
    py <<'EOT'
deaf = ready(structured=False)  # holes are sent in full
for n in range(64):
    deaf.send_request(CMD_READ, 0, 1 << 20)
expect_prompt_end(lambda: os.kill(int(os.environ["SERVER"]), 15), 7.0)
EOT
    ended_well
}

# serve_hanging: reads at 64 KiB never end, nor does their child; both leave their pid.
serve_hanging() {
    disk hanging.sh <<EOT
#!/bin/sh
case \$1 in
    get_size) echo 1M ;;
    thread_model) echo parallel ;;
    can_write) exit 0 ;;
    pread)
        if [ \$4 -eq 65536 ]; then
            $HANG_PREFIX
            sleep 1000 &
            echo \$! >>$DIR/pids
            echo \$\$ >>$DIR/pids
            while :; do wait; sleep 1000; done
        fi
        head -c \$3 /dev/zero ;;
    unload) echo unload >>$DIR/calls ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/hanging.sh" sh.grace=1
}

# Ends the server while two reads hang; the bound is sh.grace plus two seconds.
expect_end_of_hanging() {
    py "$1" <<'EOT'
client = ready()
for n in range(2):
    client.send_request(CMD_READ, 65536, 512)
pids = os.environ["DIR"] + "/pids"
until(lambda: len(lines(pids)) == 4, "the scripts to hang")
expect_prompt_end(lambda: os.kill(int(os.environ["SERVER"]), int(sys.argv[1])), 3.0)
until(lambda: not any(is_alive(pid) for pid in lines(pids)), "the scripts to be gone", 1)
EOT
    ended_well
    same "$(cat "$DIR/calls")" unload
}

@test "SIGTERM with a script that hangs" {
    HANG_PREFIX=: serve_hanging
    expect_end_of_hanging 15
}

@test "SIGINT with a script that hangs" {
    HANG_PREFIX=: serve_hanging
    expect_end_of_hanging 2
}

@test "SIGHUP with a script that hangs" {
    HANG_PREFIX=: serve_hanging
    expect_end_of_hanging 1
}

@test "SIGTERM with a script and a child that ignore SIGTERM, SIGINT and SIGHUP" {
    HANG_PREFIX="trap '' TERM INT HUP" serve_hanging
    expect_end_of_hanging 15
}

@test "a second signal does not make things worse" {
    HANG_PREFIX=: serve_hanging
    py <<'EOT'
client = ready()
client.send_request(CMD_READ, 65536, 512)
pids = os.environ["DIR"] + "/pids"
until(lambda: len(lines(pids)) == 2, "the script to hang")
def trigger():
    for number in (15, 15, 2, 15):
        os.kill(int(os.environ["SERVER"]), number)
expect_prompt_end(trigger, 3.0)
until(lambda: not any(is_alive(pid) for pid in lines(pids)), "the scripts to be gone", 1)
EOT
    ended_well
}

@test "exit 4 while another read of the same client hangs" {
    disk both.sh <<EOT
#!/bin/sh
case \$1 in
    get_size) echo 1M ;;
    thread_model) echo parallel ;;
    pread)
        case \$4 in
            65536) echo \$\$ >$DIR/pids; exec sleep 1000 ;;
            131072) head -c \$3 /dev/zero; exit 4 ;;
        esac ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/both.sh" sh.grace=1
    py <<'EOT'
client = ready()
client.send_request(CMD_READ, 65536, 512)
pids = os.environ["DIR"] + "/pids"
until(lambda: lines(pids), "the script to hang")
expect_prompt_end(lambda: client.send_request(CMD_READ, 131072, 512), 3.0)
until(lambda: not is_alive(lines(pids)[0]), "the script to be gone", 1)
EOT
    ended_well
}

# bats test_tags=tls
@test "a script in a short call may finish, and its reply goes out" {
    mkfifo "$DIR/gate"
    disk short.sh <<EOT
#!/bin/sh
case \$1 in
    get_size) echo 1M ;;
    thread_model) echo parallel ;;
    pread)
        echo begun >>$DIR/begun
        read -r _ <$DIR/gate
        head -c \$3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/short.sh"
    py <<'EOT'
directory = os.environ["DIR"]
server = int(os.environ["SERVER"])
idle = ready()
client = ready()
client.send_request(CMD_READ, 0, 512)
until(lambda: lines(directory + "/begun"), "the script to begin")
os.kill(server, 15)
same(idle.ending(), "eof", "how the idle client sees that the server has noticed")
open_gate(directory + "/gate")
same(client.reply().error, 0, "errno of the read in flight")
same(client.ending(), "eof", "how the connection ends")
EOT
    ended_well
}

both_pids_are_known() {
    [ -e "$DIR/pids" ] && [ "$(wc -l <"$DIR/pids")" -eq 2 ]
}

# bats test_tags=tls
@test "a reply goes out although the stop cuts another request in half" {
    mkfifo "$DIR/gate"
    serve_told_plugin gate="$DIR/gate"
    py <<'EOT'
directory = os.environ["DIR"]
idle = ready()
client = ready()
slow = client.send_request(CMD_READ, 131072, 512)
until(lambda: any("begin pread" in line for line in lines(directory + "/calls")), "the read")
client.send_request(CMD_WRITE, 0, 4096, data=bytes(100))
os.kill(int(os.environ["SERVER"]), 15)
same(idle.ending(), "eof", "how the idle client sees that the server has noticed")
open_gate(directory + "/gate")
reply = client.reply()
same((reply.cookie, reply.error), (slow, 0), "the read in flight")
EOT
    ended_well
    unload_was_last
}

@test "two signals in a row while a script hangs at start-up leave nothing behind" {
    for method in config get_ready; do
        rm -f "$DIR/pids"
        config_hangs "$method"
        py <<'EOT'
server = int(os.environ["SERVER"])
def trigger():
    os.kill(server, 15)
    os.kill(server, 2)
assert time_to_end(server, trigger) < 2.3 * SLOWER
pids = lines(os.environ["DIR"] + "/pids")
until(lambda: not any(is_alive(pid) for pid in pids), "the scripts to be gone", 1)
EOT
        same "$(ls -A "$TMPDIR")" ""
    done
}

@test "a server whose parent ignores SIGCHLD and blocks SIGTERM works and can be stopped" {
    disk disk.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1M ;;
    pread) head -c $3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    export REAL=$NBDLAB
    disk odd-parent <<'EOT'
#!/usr/bin/python3
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGCHLD])
os.execv(os.environ["REAL"], sys.argv)
EOT
    NBDLAB=$DIR/odd-parent serve sh "$DIR/disk.sh"
    py <<'EOT'
ready().read(0, 512)
expect_prompt_end(lambda: os.kill(int(os.environ["SERVER"]), 15), clients=1)
EOT
    ended_well
}

# config_hangs WHEN: start a script whose method WHEN hangs, wait until it does.
config_hangs() {
    disk config.sh <<EOT
#!/bin/sh
case \$1 in
    $1) sleep 1000 & echo \$! >>$DIR/pids; echo \$\$ >>$DIR/pids; wait ;;
    config) ;;
    get_size) echo 1M ;;
    *) exit 2 ;;
esac
EOT
    start sh "$DIR/config.sh" sh.grace=0.3 key=value
    wait_for both_pids_are_known
}

@test "SIGINT, SIGTERM and SIGHUP while a script hangs during configuration" {
    for signal in INT TERM HUP; do
        for method in config config_complete get_ready; do
            rm -f "$DIR/pids"
            config_hangs "$method"
            py "$signal" <<'EOT'
number = getattr(signal, "SIG" + sys.argv[1])
server = int(os.environ["SERVER"])
took_s = time_to_end(server, lambda: os.kill(server, number))
assert took_s < 2.3 * SLOWER, "it took %.2f s" % took_s
pids = lines(os.environ["DIR"] + "/pids")
until(lambda: not any(is_alive(pid) for pid in pids), "the scripts to be gone", 1)
EOT
            status=0
            wait_exit || status=$?
            [ "$status" -le 1 ]
            same "$(ls -A "$TMPDIR")" ""
            [ ! -e "$SOCK" ]
            [ ! -e "$PIDFILE" ]
        done
    done
}

@test "a hanging unload script is bounded too" {
    disk unload.sh <<EOT
#!/bin/sh
case \$1 in
    get_size) echo 1M ;;
    unload) echo \$\$ >$DIR/pids; exec sleep 1000 ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/unload.sh" sh.grace=1
    py <<'EOT'
expect_prompt_end(lambda: os.kill(int(os.environ["SERVER"]), 15), 3.0)
EOT
    ended_well
    not is_alive "$(cat "$DIR/pids")"
}

@test "a hanging close script is bounded too" {
    disk close.sh <<EOT
#!/bin/sh
case \$1 in
    get_size) echo 1M ;;
    close) echo \$\$ >>$DIR/pids; exec sleep 1000 ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/close.sh" sh.grace=1
    py <<'EOT'
expect_prompt_end(lambda: os.kill(int(os.environ["SERVER"]), 15), 3.0, clients=1)
EOT
    ended_well
    not is_alive "$(cat "$DIR/pids")"
}

@test "forty hanging close scripts, one after another, are bounded together" {
    serve eval sh.grace=1 get_size='echo 1M' pread='head -c $3 /dev/zero' close='sleep 1000'
    py <<'EOT'
expect_prompt_end(lambda: os.kill(int(os.environ["SERVER"]), 15), 3.0, clients=40)
EOT
    ended_well
}
