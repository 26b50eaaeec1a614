#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# sh.process=worker and the method process_model: calls are forks of a resident shell, which nobody
# can tell from scripts that are started anew.  (The suites of scripts run with workers as well.)

load common

# These tests say themselves what has workers.
NBDLAB=$REAL_NBDLAB

# memory_disk SHELL: a disk in a file, which can do everything these tests need.
memory_disk() {
    disk disk.sh <<EOT
#!$1
case \$1 in
    thread_model) echo parallel ;;
    get_ready) truncate -s 64M "\$tmpdir/disk" ;;
    get_size) echo 64M ;;
    can_write) exit 0 ;;
    pread) dd if="\$tmpdir/disk" iflag=skip_bytes,count_bytes,fullblock bs=1M skip="\$4" count="\$3" status=none ;;
    pwrite) dd of="\$tmpdir/disk" oflag=seek_bytes iflag=fullblock bs=1M seek="\$4" conv=notrunc status=none ;;
    *) exit 2 ;;
esac
EOT
}

# probe_disk: a read at sector N runs what stands in $DIR/probe; its output fills the sector.
probe_disk() {
    disk disk.sh <<EOT
#!${1:-/bin/bash}
case \$1 in
    thread_model) echo parallel ;;
    get_size) echo 1M ;;
    pread) { eval "\$(cat $DIR/probe)"; } >$DIR/said; printf "%-\${3}s" "\$(cat $DIR/said)" ;;
    *) exit 2 ;;
esac
EOT
}

# children: the processes that are the server's own, one pid a line.
children() {
    pgrep -P "$SERVER" || :
}

# template: the pid of the shell that forks.
template() {
    pgrep -P "$SERVER" -f nbdlab | while read -r pid; do
        if [ "$(readlink "/proc/$pid/fd/3" | cut -d: -f1)" = pipe ]; then
            case $(readlink "/proc/$pid/fd/0") in pipe:*) echo "$pid" ;; esac
        fi
    done
}

# waiting: the pids of the subshells that wait for a call.
waiting() {
    local pid
    for pid in $(children); do
        case $(readlink "/proc/$pid/fd/0") in */.nbdlab-*) echo "$pid" ;; esac
    done
}

has_waiting() {
    [ -n "$(waiting)" ]
}

# folder_of_fifos: where the subshells that wait have come from.
folder_of_fifos() {
    dirname "$(readlink "/proc/$(waiting | head -n 1)/fd/0")"
}

read_once() {
    py <<<'ready().read(0, 512)'
}

@test "data of every kind, many requests at a time, in every shell" {
    for shell in /bin/sh /bin/dash /bin/bash /bin/ksh /bin/zsh "/usr/bin/env bash" "/bin/bash -eu"; do
        rm -f "$LOG"
        memory_disk "$shell"
        serve sh "$DIR/disk.sh" sh.process=worker
        wait_for has_waiting
        py <<'EOT'
import random
client = ready()
blocks = {}
for n in range(12):
    blocks[n * 65536] = bytes(random.randrange(256) for _ in range(4096))
blocks[0] = bytes(range(256)) * 16
h = libnbd()
going = [h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(data)), offset)
         for offset, data in blocks.items()]
while going:
    h.poll(-1)
    going = [cookie for cookie in going if not h.aio_command_completed(cookie)]
for offset, data in blocks.items():
    same(bytes(h.pread(4096, offset)), data, "data at %d" % offset)
h.shutdown()
EOT
        lacks "error:"
        stop
    done
}

@test "32 MiB in one request, both ways" {
    memory_disk /bin/bash
    serve sh "$DIR/disk.sh" sh.process=worker
    py <<'EOT'
data = os.urandom(1 << 20) * 32
h = libnbd()
h.pwrite(data, 4096)
assert bytes(h.pread(len(data), 4096)) == data
h.shutdown()
EOT
    lacks "error:"
    stop
}

@test "nothing of a call is seen by another" {
    for shell in /bin/sh /bin/bash /bin/ksh /bin/zsh; do
        probe_disk $shell
        cat >"$DIR/probe" <<'EOT'
echo "${leak-none} $(pwd) $(umask) $(trap) $(type leaking >/dev/null 2>&1 && echo function)"
ls /proc/self/fd | tr '\n' ' '; set | grep -ci '^nbdlab'
leak=1; export leak; cd /; umask 0; trap ': left' EXIT; leaking() { :; }
exec 7</dev/null; set -e
EOT
        for model in spawn worker; do
            serve sh "$DIR/disk.sh" sh.process=$model
            [ $model = spawn ] || wait_for has_waiting
            py >"$DIR/$model" <<'EOT'
client = ready()
said = [client.read(0, 512) for _ in range(10)]
same(set(said), {said[0]}, "what calls said")
print(said[0].decode())
EOT
            stop
        done
        contains "$(cat "$DIR/worker")" "none /"
        same "$(cat "$DIR/worker")" "$(cat "$DIR/spawn")"
    done
}

@test "a background child that goes on printing spoils no later reply" {
    disk disk.sh <<EOT
#!/bin/bash
case \$1 in
    thread_model) echo parallel ;;
    get_size) echo 1M ;;
    pread)
        if [ "\$4" -eq 0 ]; then
            { trap '' PIPE; while :; do echo spoilt; echo spoilt >&2; done; } 2>/dev/null &
            { trap '' PIPE TERM; while sleep 0.01; do printf spoilt; done; } &
            echo \$! >>$DIR/pids
            exit 1
        fi
        head -c "\$3" /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/disk.sh" sh.process=worker sh.timeout=0.2
    py <<'EOT'
spoiler, other = ready(), ready()
for n in range(3):
    spoiler.send_request(CMD_READ, 0, 512)
    for m in range(10):
        same(other.read(512 * m + 512, 512), bytes(512), "data")
    same(spoiler.reply().error, EIO, "errno of the spoiler")
EOT
    stop
}

@test "an edited script counts at the next call, and so does its other #! line" {
    probe_disk /bin/bash
    echo 'echo "one ${BASH_VERSION:+bash}"' >"$DIR/probe"
    serve sh "$DIR/disk.sh" sh.process=worker
    py <<'EOT'
path = os.environ["DIR"] + "/disk.sh"
def edit(old, new):
    text = open(path).read()
    with open(path + ".new", "w") as file:
        file.write(text.replace(old, new))
    os.chmod(path + ".new", 0o755)
    os.rename(path + ".new", path)
client = ready()
same(client.read(0, 512).decode().strip(), "one bash", "before")
edit("{ eval", "{ echo two; eval")
same(client.read(0, 512).decode().split(), ["two", "one", "bash"], "after")
edit("#!/bin/bash", "#!/bin/dash")
same(client.read(0, 512).decode().split(), ["two", "one"], "with dash")
edit("#!/bin/dash", "#!/usr/bin/env -S dash")
same(client.read(0, 512).decode().split(), ["two", "one"], "spawned")
edit("#!/usr/bin/env -S dash", "#!/bin/bash")
same(client.read(0, 512).decode().split(), ["two", "one", "bash"], "with bash again")
os.rename(path, path + ".away")
same(client.errno(CMD_READ, 0, 512), EIO, "errno of a read without a script")
os.rename(path + ".away", path)
client.read(0, 512)
EOT
    same "$(grep -c 'line 1 is another one now' "$LOG")" 1
    same "$(grep -c 'cannot run it: No such file' "$LOG")" 1
    stop
}

@test "a shell that is killed while it waits is missed by nobody; the one that forks is replaced" {
    probe_disk
    echo 'echo fine' >"$DIR/probe"
    serve sh "$DIR/disk.sh" sh.process=worker
    wait_for has_waiting
    read_once
    for _ in 1 2 3; do
        # shellcheck disable=SC2046
        kill -KILL $(waiting)
        read_once
    done
    lacks "error:"
    kill -KILL "$(template)"
    wait_for has "was killed by SIGKILL; another one takes over"
    has "warning: $DIR/disk.sh: the shell that forks workers"
    # shellcheck disable=SC2046
    kill -KILL $(waiting)
    read_once
    wait_for has_waiting
    [ -n "$(template)" ]
    stop
}

@test "a call whose shell is killed fails with EIO; others go on" {
    mkfifo "$DIR/gate"
    disk disk.sh <<EOT
#!/bin/sh
case \$1 in
    thread_model) echo parallel ;;
    get_size) echo 1M ;;
    pread) if [ "\$4" -eq 65536 ]; then sh -c 'echo \$PPID' >$DIR/caller; read -r _ <$DIR/gate; fi
        head -c "\$3" /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/disk.sh" sh.process=worker
    py <<'EOT'
client = ready()
client.send_request(CMD_READ, 65536, 512)
caller = os.environ["DIR"] + "/caller"
until(lambda: lines(caller), "the call")
ready().read(0, 512)
os.kill(int(lines(caller)[0]), 9)
same(client.reply().error, EIO, "errno of the call")
EOT
    wait_for has "pread: killed by SIGKILL"
    stop
}

@test "process_model: worker, spawn, rubbish, nothing; sh.process decides over it" {
    for case in 'worker:' 'spawn:' 'rubbish:not a process model' ':printed nothing'; do
        rm -f "$LOG"
        disk disk.sh <<EOT
#!/bin/sh
case \$1 in
    process_model) echo ${case%%:*} ;;
    get_size) echo 1M ;;
    pread) head -c "\$3" /dev/zero ;;
    *) exit 2 ;;
esac
EOT
        serve sh "$DIR/disk.sh"
        read_once
        if [ "$case" = worker: ]; then wait_for has_waiting; else same "$(template)" ""; fi
        if [ -n "${case#*:}" ]; then has "${case#*:}"; else lacks "error:"; fi
        stop
    done
    serve sh "$DIR/disk.sh" sh.process=worker
    wait_for has_waiting
    stop
    serve eval process_model='echo worker' get_size='echo 1M' pread='head -c "$3" /dev/zero'
    read_once
    wait_for has_waiting
    stop
}

@test "another interpreter: an error with sh.process=worker, one line with process_model" {
    disk disk.py <<'EOT'
#!/usr/bin/python3
import sys
answers = {"get_size": "1M", "pread": "x" * 512, "process_model": "worker"}
if sys.argv[1] not in answers:
    sys.exit(2)
sys.stdout.write(answers[sys.argv[1]])
EOT
    run -1 "$NBDLAB" -f -U "$SOCK" sh "$DIR/disk.py" sh.process=worker 3>&-
    contains "$output" "sh.process=worker is for scripts whose #! line names sh, dash, bash, ksh or zsh"
    run -1 "$NBDLAB" -f -U "$SOCK" sh "$DIR/disk.py" sh.process=fast 3>&-
    contains "$output" "sh.process=fast: give spawn or worker"
    serve sh "$DIR/disk.py"
    read_once
    same "$(grep -c 'process_model: workers are for scripts' "$LOG")" 1
    same "$(grep -c 'warning:.*process_model' "$LOG")" 1
    stop
}

@test "arguments of every kind reach the script" {
    disk disk.sh <<EOT
#!/bin/sh
case \$1 in
    open) printf '%s' "\$3" ;;
    get_size) printf '%s' "\$2" >$DIR/handle; echo 1M ;;
    pread) head -c "\$3" /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/disk.sh" sh.process=worker
    wait_for has_waiting
    py <<'EOT'
for name in ("", "it's", 'a "b" $c `d` \\e', "two\nlines\n\n and'", " blanks ", "-n", "*", "é\t€"):
    ready(export=name)
    same(open(os.environ["DIR"] + "/handle").read(), name, "the handle")
EOT
    lacks "error:"
    stop
}

@test "ps shows what a worker is, in a line, and calls have no variable of it" {
    probe_disk
    echo '{ env; set; } | grep "^nbdlab_" || echo none' >"$DIR/probe"
    for shell in sh bash ksh zsh; do
        sed -i "1s|.*|#!/bin/$shell|" "$DIR/disk.sh"
        serve sh "$DIR/disk.sh" sh.process=worker
        wait_for has_waiting
        line=$(tr '\0' ' ' <"/proc/$(waiting | head -n 1)/cmdline")
        contains "$line" "$DIR/disk.sh"
        [ "${#line}" -lt 300 ]
        py <<<'same(ready().read(0, 512).split(), [b"none"], "variables")'
        stop
    done
}

@test "nothing is left of it when the server ends, however it ends" {
    probe_disk
    echo 'echo fine' >"$DIR/probe"
    for signal in TERM KILL; do
        serve sh "$DIR/disk.sh" sh.process=worker
        wait_for has_waiting
        read_once
        processes=$(children)
        folder=$(folder_of_fifos)
        [ -d "$folder" ]
        kill -$signal "$SERVER"
        wait_exit || true
        # shellcheck disable=SC2086
        for pid in $processes; do wait_for not is_alive "$pid"; done
        wait_for not test -e "$folder"
        wait_for test -z "$(ls -A "$TMPDIR")"
    done
}

is_at_rest() {
    [ "$(children | wc -l)" -le 4 ]
}

@test "after many calls there are no more descriptors, processes or zombies than before" {
    disk disk.sh <<'EOT'
#!/bin/sh
case $1 in
    thread_model) echo parallel ;;
    get_size) echo 1M ;;
    pread) true & setsid true & printf '%512s' x ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/disk.sh" sh.process=worker
    read_once
    wait_for is_at_rest
    descriptors=$(find "/proc/$SERVER/fd" | wc -l)
    py <<'EOT'
h = libnbd()
going = []
for n in range(500 // SLOWER):
    while len(going) >= 8:
        h.poll(-1)
        going = [cookie for cookie in going if not h.aio_command_completed(cookie)]
    going.append(h.aio_pread(nbd.Buffer(512), 0))
while going:
    h.poll(-1)
    going = [cookie for cookie in going if not h.aio_command_completed(cookie)]
assert len(os.listdir("/proc/%s/fd" % os.environ["SERVER"])) < 200
h.shutdown()
EOT
    wait_for is_at_rest
    [ "$(find "/proc/$SERVER/fd" | wc -l)" -le $((descriptors + 4)) ]
    stop
}

# zombies: how many children of the server have ended and not been waited for.
zombies() {
    local pid count=0
    for pid in $(children); do
        is_alive "$pid" || count=$((count + 1))
    done
    echo "$count"
}

is_one_zombie() {
    [ "$(zombies)" = 1 ]
}

@test "a call that goes on after its program has ended keeps no orphan a zombie; a stopped template goes on" {
    disk disk.sh <<EOT
#!/bin/bash
case \$1 in
    thread_model) echo parallel ;;
    get_size) echo 1M ;;
    pread)
        case \$4 in
            0) sleep 1000 & echo \$BASHPID >$DIR/caller; exit ;;
            512) kill -STOP \$\$ ;;
        esac
        setsid sleep 0.01 >/dev/null 2>&1 & printf '%512s' x ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/disk.sh" sh.process=worker sh.grace=0
    py <<'EOT'
client, other = ready(), ready()
client.send_request(CMD_READ, 0, 512)
caller = os.environ["DIR"] + "/caller"
until(lambda: os.path.exists(caller) and lines(caller) and not is_alive(lines(caller)[0]), "the end of a program")
start = time.monotonic()
for n in range(40):
    other.read(512 if n == 9 else 1024, 512)
EOT
    wait_for is_one_zombie
    lacks "error:"
    [ -n "$(template)" ]
    stop
}

@test "-u: workers are that user's" {
    [ "$(id -u)" = 0 ] || skip "needs root"
    probe_disk
    echo 'id -u' >"$DIR/probe"
    chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_TEST_TMPDIR/.." "$DIR"
    chmod 777 "$DIR" "$TMPDIR"
    serve -u daemon sh "$DIR/disk.sh" sh.process=worker
    wait_for has_waiting
    folder=$(folder_of_fifos)
    py <<<'same(ready().read(0, 512).split()[0].decode(), "1", "the user")'
    stop
    not test -e "$folder"
    same "$(ls -A "$TMPDIR")" ""
}

# How often a thread sleeps, and how much a client takes at a time, is the machine's affair, and not
# counted. The client of the write sends each part when the server has taken the last one.
@test "spawn: 1 MiB takes the server a few dozen system calls, whatever the machine does meanwhile" {
    memory_disk /bin/bash
    serve sh "$DIR/disk.sh"
    for request in read write; do
        py $request <<'EOT'
import collections, re, termios
client = ready()
client.read(0, 512)
server = os.environ["SERVER"]
# -f follows the threads that are there; %%process is left out, so children are not followed.
trace = subprocess.Popen(["strace", "-f", "-qq", "-o", os.environ["DIR"] + "/trace", "-p", server],
                         stderr=subprocess.PIPE)
threads = os.listdir("/proc/%s/task" % server)
def traced(pid):
    return "TracerPid:\t0\n" not in open("/proc/%s/task/%s/status" % (server, pid)).read()
until(lambda: all(traced(pid) for pid in threads), "strace")
def is_taken():
    return struct.unpack("i", fcntl.ioctl(client.sock, termios.TIOCOUTQ, bytes(4)))[0] == 0
if sys.argv[1] == "read":
    client.read(0, 1 << 20)
else:
    client.send_request(CMD_WRITE, 0, 1 << 20)
    for _ in range(32):
        until(is_taken, "the server to take what was sent")
        client.send(bytes(1 << 15))
    same(client.reply().error, 0, "errno of the write")
own = set(threads) | set(os.listdir("/proc/%s/task" % server))
trace.terminate()
trace.wait()
lines = [line for line in open(os.environ["DIR"] + "/trace")
         if line.split()[0] in own and re.match(r"\d+ +\w+\(", line)]
count = collections.Counter(re.split("[ (]+", line)[1] for line in lines)
for name in ("poll", "futex", "sched_yield", "restart_syscall", "sendmsg"):
    count.pop(name, 0)
assert count["recvfrom"] <= 6 and count["read"] <= 10, "".join(lines)
assert 5 < sum(count.values()) < 48 * SLOWER, "".join(lines)
EOT
    done
    stop
}
