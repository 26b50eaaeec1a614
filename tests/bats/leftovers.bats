# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Whatever ends the server, and however its scripts' children hide: nothing of them is left.

load common

# A disk whose client leaves a daemon, a child that ignores SIGTERM, and a call that hangs.
make_messy_disk() {
    disk messy.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1M ;;
    open)
        setsid sleep 1000 >/dev/null 2>&1 &
        echo $! >"$PIDS/daemon"
        sh -c 'trap "" TERM; exec sleep 1000' >/dev/null 2>&1 &
        echo $! >"$PIDS/stubborn" ;;
    pread)
        sh -c 'echo $PPID' >"$PIDS/reader"
        sleep 1000 ;;
    *) exit 2 ;;
esac
EOT
    export PIDS=$DIR/pids
    mkdir "$PIDS"
}

# Starts a client that waits for its read, and waits until the script hangs in it.
hang_in_a_read() {
    py >"$DIR/client.out" 2>&1 3>&- 4>&- <<'EOT' &
c = ready()
c.send_request(CMD_READ, 0, 512)
c.ending()
EOT
    STARTED+=($!)
    wait_for test -s "$PIDS/reader"
}

killed_by_int() {
    ! kill -INT "$SERVER" 2>/dev/null || ! is_alive "$SERVER"
}

is_all_gone() {
    local file
    for file in "$PIDS"/*; do
        if is_alive "$(cat "$file")"; then return 1; fi
    done
    [ -z "$(ls -A "$TMPDIR")" ]
}

@test "SIGTERM leaves no daemon, no stubborn child, no call and no tmpdir" {
    make_messy_disk
    serve sh "$DIR/messy.sh" sh.grace=0.5
    hang_in_a_read
    stop
    is_all_gone
}

@test "SIGKILL of the server leaves none of them either" {
    make_messy_disk
    serve sh "$DIR/messy.sh"
    hang_in_a_read
    kill -KILL "$SERVER"
    wait_for is_all_gone
}

@test "SIGKILL of a server in the background leaves none of them either" {
    make_messy_disk
    "$NBDLAB" -U "$SOCK" -P "$PIDFILE" sh "$DIR/messy.sh" 3>&- 4>&-
    SERVER=$(cat "$PIDFILE")
    STARTED+=("$SERVER")
    hang_in_a_read
    kill -KILL "$SERVER"
    wait_for is_all_gone
}

@test "SIGINT again and again during start-up kills the server and leaves nothing" {
    make_messy_disk
    disk slow.sh <<'EOT'
#!/bin/sh
case $1 in
    config_complete) echo $$ >"$PIDS/slow"; sleep 1000 ;;
    get_size) echo 1M ;;
    *) exit 2 ;;
esac
EOT
    start sh "$DIR/slow.sh"
    wait_for test -s "$PIDS/slow"
    kill -INT "$SERVER"
    wait_for killed_by_int
    wait_for is_all_gone
}

@test "-U -: the folder of a killed server goes at the next start, and no other folder does" {
    py <<'EOT'
tmp = os.environ["TMPDIR"]
is_root = os.geteuid() == 0

def start(*args):
    one = subprocess.Popen([NBDLAB, "-f", "-U", "-", *args, "--print-uri", "memory", "1M"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    atexit.register(one.kill)
    sock = one.stdout.readline().split("socket=")[1].strip()
    same(libnbd(sock).get_size(), 1 << 20, "the size of the disk, once it is served")
    return one, sock

def folders():
    return {name for name in os.listdir(tmp)}

# Two that are killed, one of them after it became another user, and one that lives on.
os.chmod(tmp, 0o1777)
killed = [start()[0], start(*(["-u", "nobody"] if is_root else []))[0]]
alive, sock = start()
for one in killed:
    one.kill()
    one.wait()
same(len(folders()), 3, "folders of servers")
# What only looks alike: somebody's files, and a server that locks nothing.
os.mkdir(tmp + "/nbdlabABCDEF", 0o700)
open(tmp + "/nbdlabABCDEF/socket", "w").close()
os.mkdir(tmp + "/nbdlabGHIJKL", 0o700)
other = socket.socket(socket.AF_UNIX)
other.bind(tmp + "/nbdlabGHIJKL/socket")
other.listen()
os.symlink("/", tmp + "/nbdlabMNOPQR")
os.mkdir(tmp + "/nbdlabSTUVWX", 0o700)
kept = {"nbdlabABCDEF", "nbdlabGHIJKL", "nbdlabMNOPQR", "nbdlabSTUVWX",
        os.path.basename(os.path.dirname(sock))}
subprocess.run([NBDLAB, "memory", "1M", "--run", ":"], check=True)
same(folders(), kept, "what is left of the next server's start and end")
same(libnbd(sock).get_size(), 1 << 20, "the server that lives on")
alive.terminate()
same(alive.wait(BOUND_S), 0)
same(folders(), kept - {os.path.basename(os.path.dirname(sock))}, "at the end")
same(os.listdir(tmp + "/nbdlabABCDEF") + os.listdir(tmp + "/nbdlabGHIJKL"), ["socket"] * 2)
# Servers that start at once remove no folder of each other.
started = [start() for _ in range(8)]
for one, sock in started:
    same(libnbd(sock).get_size(), 1 << 20)
    one.terminate()
same([one.wait(BOUND_S) for one, _ in started], [0] * 8)
EOT
}

@test "a stale socket of a killed server does not keep the next one from starting" {
    serve memory 1M
    kill -KILL "$SERVER"
    wait_exit || true
    test -S "$SOCK"
    serve memory 1M
    same "$(nbdinfo --size "$URI")" 1048576
    stop
    test ! -e "$SOCK"
}

# no_zombies: the server has no child that has ended.
no_zombies() {
    local pid
    for pid in $(pgrep -P "$SERVER" || :); do
        if ! is_alive "$pid"; then return 1; fi
    done
}

# serve_escapes ARGS...: a read at sector N is a call that tries the Nth way to outlive its limit.
# $PIDS/N has the id of its program, $PIDS/moved-N that of what went to the server's process group.
serve_escapes() {
    disk escapes.sh <<'EOT'
#!/bin/bash
move='setpgrp(0, getpgrp(getppid())) or die; open(my $f, ">", "$ENV{PIDS}/moved-$ENV{n}"); print $f $$; close $f;'
note() { sh -c 'echo $PPID' >"$PIDS/$1"; }
case $1 in
    thread_model) echo parallel ;;
    get_size) echo 1M ;;
    open | close) if [ -e "$PIDS.$1" ]; then note "$1"; exec perl -e "$move sleep 1000"; fi ;;
    pread)
        export n=$(($4 / 512))
        note "$n"
        case $n in
            0) exec perl -e "$move sleep 1000" ;;
            1) trap '' TERM; exec perl -e "$move sleep 1000" ;;
            2) exec perl -e "$move"'kill "STOP", $$; sleep 1000' ;;
            3) kill -STOP "$(cat "$PIDS/$n")"; sleep 1000 ;;
            4) kill -STOP 0; sleep 1000 ;;
            5) trap '' TERM; while :; do sleep 0.1; done ;;
            6) setsid sleep 1000 & sleep 1000 ;;
            7) (setsid sleep 1000 &); exit 1 ;;
            8) perl -e '$SIG{CHLD} = "IGNORE";'"$move sleep 1000" & wait ;;
            *) setsid true >/dev/null 2>&1 & head -c "$3" /dev/zero ;;
        esac ;;
    *) exit 2 ;;
esac
EOT
    export PIDS=$DIR/pids
    mkdir -p "$PIDS"
    serve sh "$DIR/escapes.sh" "$@"
}

@test "sh.timeout ends a call's program wherever it went, and no zombie stays" {
    serve_escapes sh.timeout=0.5
    py <<'EOT'
client = ready()
PIDS = os.environ["PIDS"]
missing = range(9)
give_up = time.monotonic() + BOUND_S
while missing:
    assert time.monotonic() < give_up, "no program moved in cases %r" % missing
    cases = {client.send_request(CMD_READ, n * 512, 512): n for n in missing}
    for _ in cases:
        reply = client.reply()
        n = cases[reply.cookie]
        same(reply.error, EIO, "errno of case %d" % n)
        same(is_alive(lines("%s/%d" % (PIDS, n))[0]), False, "is the program of case %d alive" % n)
    # On a busy machine, the limit may have come first.
    missing = [n for n in (0, 1, 2, 8) if not os.path.exists("%s/moved-%d" % (PIDS, n))]
for _ in range(20):
    client.read(9 * 512, 512)
EOT
    wait_for no_zombies
    stop
    is_all_gone
}

@test "the same in open and close, and with sh.grace when the server stops" {
    serve_escapes sh.timeout=0.5
    py <<'EOT'
def has_ended(method):
    path = "%s/%s" % (os.environ["PIDS"], method)
    return os.path.exists(path) and lines(path) and not is_alive(lines(path)[0])
def is_open_refused():
    try:
        ready()
    except OptionError:
        return has_ended("open")
os.close(os.open(os.environ["PIDS"] + ".open", os.O_CREAT))
until(is_open_refused, "an open whose program has ended")
os.unlink(os.environ["PIDS"] + ".open")
os.close(os.open(os.environ["PIDS"] + ".close", os.O_CREAT))
ready().disconnect()
until(lambda: has_ended("close"), "the end of the program of close")
os.unlink(os.environ["PIDS"] + ".close")
EOT
    stop
    is_all_gone
    serve_escapes sh.grace=0.5
    py <<'EOT'
before = len(os.listdir(os.environ["PIDS"]))
client = ready()
client.send_request(CMD_READ, 512, 512)
until(lambda: len(os.listdir(os.environ["PIDS"])) == before + 2, "the call")
os.kill(int(os.environ["SERVER"]), signal.SIGTERM)
same(client.reply().error, ESHUTDOWN, "errno of the read")
EOT
    wait_exit
    is_all_gone
}

@test "a server that is a subreaper, or process 1, waits for what its scripts leave behind" {
    disk leaving.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1M ;;
    pread) setsid true >/dev/null 2>&1 & head -c "$3" /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    py "$DIR/leaving.sh" <<'EOT'
def become_subreaper():
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
server = subprocess.Popen([NBDLAB, "-f", "-U", os.environ["SOCK"], "sh", sys.argv[1]],
                          preexec_fn=become_subreaper)
atexit.register(server.kill)
until(is_listening, "the server")
client = ready()
def has_no_zombies():
    client.read(0, 512)
    children = subprocess.run(["pgrep", "-P", str(server.pid)], capture_output=True, text=True).stdout
    return all(is_alive(pid) for pid in children.split())
for _ in range(10):
    client.read(0, 512)
until(has_no_zombies, "the last zombie to be waited for")
server.terminate()
same(server.wait(BOUND_S), 0, "exit status")
EOT
}
