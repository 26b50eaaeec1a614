#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# A server that is ended by a fatal signal says where, ends the command of --run, and leaves
# nothing behind; the signal stays what ended it.

load common

setup() {
    common_setup
    CRASHER=$BUILD/tests/plugins/crasher.so
    export CRASHER
    # A sanitizer catches the signal, too, and decides what becomes of it.
    [ -z "${SANITIZE:-}" ] || export EXPECTED=any
    export ASAN_OPTIONS="log_path=$DIR/report:detect_leaks=0" TSAN_OPTIONS=log_path=$DIR/report
    export UBSAN_OPTIONS=log_path=$DIR/report
    ulimit -c 0
}

@test "the plugin crashes: one line says in which callback, --run's command ends, all is removed" {
    py <<'EOT'
def run(where, how, text, number, background=False):
    """A server that crashes: what it says, its status, and what it leaves."""
    folder = tempfile.mkdtemp(dir=os.environ["DIR"])
    command = """echo $$ >%s/command; nbdcopy "$uri" null:
                 sh -c 'echo $$ >>%s/command; exec sleep 1000'; :""" % (folder, folder)
    args = [NBDLAB, "-U", "-", "-P", folder + "/pid", os.environ["CRASHER"], "in=" + where,
            "how=" + how, "--run", command]
    process = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, timeout=BOUND_S,
                             env=dict(os.environ, TMPDIR=folder))
    said = [line for line in process.stderr.decode(errors="replace").splitlines()
            if ": error: " in line]
    same(said[:1], [text], "what is said of how=%s in %s" % (how, where))
    same(len(said), 1, "the errors")
    if os.environ.get("EXPECTED") != "any":
        same(process.returncode, -number, "the exit status of how=%s in %s" % (how, where))
    if os.path.exists(folder + "/command"):
        for pid in lines(folder + "/command"):
            until(lambda: not is_alive(pid), "the command, or what it has started, to end")
        os.unlink(folder + "/command")
    same(os.listdir(folder), [], "what is left of how=%s in %s" % (how, where))

name = os.path.basename(NBDLAB)
def said(prefix, where, what):
    return "%s: %serror: the plugin crashed in %s: SIG%s" % (name, prefix, where, what)
SEGV, FPE, ABRT = signal.SIGSEGV, signal.SIGFPE, signal.SIGABRT
run("pread", "SEGV", said("crasher[1]: ", "pread", "SEGV"), SEGV)
run("pread", "ABRT", said("crasher[1]: ", "pread", "ABRT"), ABRT)
run("can_write", "SEGV", said("crasher[1]: ", "can_write", "SEGV"), SEGV)
run("open", "FPE", said("crasher[1]: ", "open", "FPE"), FPE)
run("pread", "overflow", said("crasher[1]: ", "pread", "SEGV"), SEGV)
run("after_fork", "overflow", said("", "after_fork", "SEGV"), SEGV)
run("config_complete", "SEGV", said("", "config_complete", "SEGV"), SEGV)
run("thread", "SEGV", name + ": error: the server crashed outside of the plugin's callbacks: SIGSEGV",
    SEGV)
EOT
}

@test "a command that ignores SIGTERM is killed" {
    py <<'EOT'
command = "trap '' TERM; echo $$ >%s/command; nbdcopy \"$uri\" null:; while :; do sleep 0.1; done"
process = subprocess.run([NBDLAB, "-U", "-", os.environ["CRASHER"], "in=pread", "--run",
                          command % os.environ["DIR"]], timeout=BOUND_S)
same(process.returncode != 0, True, "the server failed")
pid = int(lines(os.environ["DIR"] + "/command")[0])
assert not is_alive(pid), "the command is left"
EOT
}

@test "-u: what the command waits for ends, too, though it has root's rights" {
    # For others there is no -u.
    [ "$(id -u)" = 0 ] || return 0
    export PIDS=$DIR/pids
    run timeout -s KILL 30 "$NBDLAB" -u nobody -U - -P "$PIDFILE" "$CRASHER" in=pread \
        --run 'export uri; sh -c "echo \$\$ >\"\$PIDS\"; nbdcopy \"\$uri\" null:; exec sleep 1000"; :' \
        3>&- 4>&-
    contains "$output" "the plugin crashed in pread: SIGSEGV"
    wait_for not is_alive "$(cat "$PIDS")"
    # It cannot be removed from root's folder.
    [ ! -s "$PIDFILE" ]
}

@test "process 1, which ignores signals that are sent, ends all the same" {
    local unshare="unshare -pf --kill-child"
    [ "$(id -u)" = 0 ] || unshare="unshare -rpf --kill-child"
    run timeout -s KILL 30 $unshare "$NBDLAB" -U - "$CRASHER" in=pread how=ABRT \
        --run 'nbdcopy "$uri" null:; sleep 1000' 3>&- 4>&-
    contains "$output" "the plugin crashed in pread: SIGABRT"
    [ -n "${EXPECTED:-}" ] || same "$status" 134
    [ "$status" != 137 ]
}

@test "a signal that a process sends to the server: that is said" {
    serve memory 1M
    kill -SEGV "$SERVER"
    wait_for not is_alive "$SERVER"
    has "outside of the plugin's callbacks: SIGSEGV, which a process sent"
}

@test "a crash in the background: the socket and the pid file are removed" {
    "$NBDLAB" -U "$SOCK" -P "$PIDFILE" --log="$DIR/messages" "$CRASHER" in=pread 3>&- 4>&-
    SERVER=$(cat "$PIDFILE")
    STARTED+=("$SERVER")
    run -1 qemu-io -r -f raw -c 'read 0 512' "$URI"
    wait_for not is_alive "$SERVER"
    [ ! -e "$SOCK" ]
    [ ! -e "$PIDFILE" ]
    grep -q "crasher\[1\]: error: the plugin crashed in pread: SIGSEGV" "$DIR/messages"
}

@test "a fork of the plugin's that crashes harms nobody" {
    serve "$CRASHER" in=pread how=fork
    qemu-io -r -f raw -c 'read 0 512' "$URI"
    [ -S "$SOCK" ]
    stop
    lacks crashed
}

@test "handlers of the plugin's language come first: faulthandler's traceback, then our message" {
    if [ ! -e "$BUILD/plugins/nbdkit-python-plugin.so" ]; then skip "built without Python"; fi
    cat >"$DIR/disk.py" <<'EOT'
import ctypes, faulthandler
API_VERSION = 2
faulthandler.enable()
def open(readonly): return 1
def get_size(h): return 4096
def pread(h, buf, offset, flags): ctypes.string_at(0)
EOT
    serve python "$DIR/disk.py"
    run -1 qemu-io -r -f raw -c 'read 0 512' "$URI"
    wait_for not is_alive "$SERVER"
    has "in pread"
    has "error: the plugin crashed in pread: SIGSEGV"
    [ ! -e "$SOCK" ]
}
