#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Kernels that do not know a system call (ENOSYS), and seccomp profiles and sandboxes that refuse it
# (EPERM): each of those that are younger than ten years, or little known, has another way that does
# the same. clone3(2) is the C library's, whose way is for ENOSYS alone.

load common

@test "each young system call is refused in turn, and nobody notices" {
    disk disk.sh <<EOT
#!/bin/sh
case \$1 in
    thread_model) echo parallel ;;
    get_size) echo 2M ;;
    can_write) exit 0 ;;
    map) echo "0 1M file $DIR/data" ;;
    pread) head -c "\$3" /dev/zero ;;
    pwrite) cat >/dev/null ;;
    after_fork) setsid sleep 1000 >/dev/null 2>&1 & echo \$! >$DIR/leftover ;;
    *) exit 2 ;;
esac
EOT
    truncate -s 1M "$DIR/data"
    py <<'EOT'
DIR, SOCK, PIDFILE = (os.environ[name] for name in ("DIR", "SOCK", "PIDFILE"))
USED = ["pidfd_open", "pidfd_send_signal", "close_range", "pwritev2", "sync_file_range", "fallocate",
        "getrandom", "clone3"]
OTHERS = [name for name in SYSTEM_CALLS if name not in USED]
ROWS = [[name] for name in USED] + [OTHERS]
FILES = [["pwritev2"], ["sync_file_range"], ["fallocate"], OTHERS]
ALL = [name for name in SYSTEM_CALLS if name != "clone3"]

def run(refused, number, *args, **more):
    server = subprocess.Popen([NBDLAB, "-U", SOCK, *args],
                              preexec_fn=lambda: refuse_calls(refused, number), **more)
    atexit.register(server.kill)
    return server

def use_disk(offset):
    """All that clients do to disks, between `offset` and 64 KiB more."""
    client = ready(meta=True)
    data = b"data" * 1024
    client.write(offset, data)
    client.write(offset + 4096, data, flags=FLAG_FUA)
    same(client.read(offset, 8192), data * 2, "data")
    for kind in CMD_WRITE_ZEROES, CMD_TRIM, CMD_CACHE:
        same(client.errno(kind, offset, 4096), 0, "errno of command %d" % kind)
    same(client.read(offset, 8192), bytes(4096) + data, "data after zeroing")
    same(client.errno(CMD_FLUSH), 0, "errno of a flush")
    assert client.block_status(0, 65536)
    return client

def in_background(refused, number):
    """Workers, a script's map, something left behind, and SIGTERM."""
    server = run(refused, number, "-P", PIDFILE, "sh", DIR + "/disk.sh", "sh.process=worker")
    same(server.wait(BOUND_S), 0, "exit status of the start")
    pid = int(lines(PIDFILE)[0])
    leftover = lines(DIR + "/leftover")[0]
    client = use_disk(0)
    for _ in range(3):
        same(client.read(1 << 20, 512), bytes(512), "data of the script")
    client.write(1 << 20, bytes(512))
    client.disconnect()
    same(is_alive(leftover), True, "is the daemon alive")
    os.kill(pid, signal.SIGTERM)
    until(lambda: not is_alive(pid), "the end of the server")
    same(is_alive(leftover), False, "is the daemon alive")
    same((os.path.exists(SOCK), os.listdir(os.environ["TMPDIR"])), (False, []), "what is left")

def with_run(refused, number, *disk, offset=4096):
    """The script started for each call, and the command of --run."""
    server = run(refused, number, *disk, "--run", "echo ready; read x; exit 7",
                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    same(server.stdout.readline(), b"ready\n", "what the command says")
    client = ready(meta=True)
    client.write(offset, b"data" * 128)
    client.read(offset, 512)
    if disk[0] != "sh":
        use_disk(offset)
    server.stdin.write(b"x\n")
    server.stdin.close()
    same(server.wait(BOUND_S), 7, "exit status of the command")

for number in errno_module.ENOSYS, EPERM:
    for row in ROWS:
        if row == ["clone3"] and number == EPERM:
            continue
        try:
            in_background(row, number)
            with_run(row, number, "sh", DIR + "/disk.sh", offset=1 << 20)
            if row in FILES:
                with_run(row, number, "file", DIR + "/data", "cache=none")
        except BaseException:
            print("with %s refused by %s" % (row, errno_module.errorcode[number]))
            raise
    with_run(ALL, number, "memory", "1M")
EOT
}
