#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Files that the command line names: where others may write to the folder they could put a link
# or a FIFO there, and the server may be root. Root also has it become another user.

load common

# What each case here begins with: the folder of somebody else, or as much of it as one user can be.
HOSTILE=$(cat <<'EOT'
from lab import *
import threading
is_root = os.geteuid() == 0
folder = os.environ["DIR"] + "/run"
os.mkdir(folder)
os.chmod(folder, 0o777)
user = []
if is_root:
    os.chown(folder, 65534, 65534)
    user = ["-u", "nobody", "-g", "nogroup"]
precious = os.environ["DIR"] + "/precious"

def look(path):
    status = os.lstat(path)
    return open(path).read(), status.st_uid, status.st_gid, status.st_mode, status.st_ino

def reset():
    with open(precious, "w") as file:
        file.write("precious\n")
    return look(precious)

def refused(*args):
    """What a server that does not start says; it takes no time."""
    sock = "%s/%d" % (os.environ["DIR"], threading.get_native_id())
    result = subprocess.run([NBDLAB, "-f", "-U", sock, *args], text=True,
                            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=BOUND_S)
    same(result.returncode, 1, "exit status of %s" % (args,))
    assert not os.path.lexists(sock), "a socket is left"
    return result.stderr
EOT
)

hostile() {
    { echo "$HOSTILE"; cat; } | timeout "$((6 * BOUND_S))" /usr/bin/python3 -
}

@test "-P: a link, a file with two names and what is no file are refused, and stay as they are" {
    hostile <<'EOT'
pid = folder + "/disk.pid"
for make, why in ((os.symlink, "it is a symbolic link"),
                  (os.link, "the file has another name"),
                  (lambda _, path: os.symlink(os.environ["DIR"] + "/nosuch", path), "symbolic link"),
                  (lambda _, path: os.mkfifo(path), "it is no regular file"),
                  (lambda _, path: os.mkdir(path), "it is no regular file")):
    before = reset()
    make(precious, pid)
    said = refused(*user, "-P", pid, "memory", "1M")
    assert "-P/--pidfile: cannot write %s: " % pid in said and why in said, said
    same(look(precious), before, "the file of somebody else")
    same(os.listdir(folder), ["disk.pid"], "the folder")
    os.rmdir(pid) if os.path.isdir(pid) and not os.path.islink(pid) else os.unlink(pid)
    os.unlink(precious)
assert "a new file is made" in refused("-P", "/proc/1/disk.pid", "memory", "1M") or is_root
assert "Is a directory" in refused("-P", folder + "/", "memory", "1M")
assert not os.path.lexists(os.environ["DIR"] + "/nosuch")
EOT
}

@test "-P: a new file takes the place of an old one at once, and is the user's" {
    hostile <<'EOT'
pid = folder + "/disk.pid"
reset()
os.rename(precious, pid)
old = open(pid)
look_at_it = "cat %s; stat -c '%%U %%a' %s; ls -A %s" % (pid, pid, folder)
said = subprocess.run([NBDLAB, *user, "-P", pid, "memory", "1M", "--run", look_at_it], text=True,
                      check=True, stdout=subprocess.PIPE).stdout.split()
assert said[0].isdigit(), said
same(said[1:], ["nobody" if is_root else subprocess.getoutput("id -un"), "644", "disk.pid"])
same(old.read(), "precious\n", "what somebody reads who had opened the old one")
same(os.listdir(folder), [], "what is left")
EOT
}

@test "--log=/path: a link is followed only where nobody else may put one" {
    hostile <<'EOT'
own = os.environ["DIR"] + "/own"
os.mkdir(own)
for make, why in ((os.symlink, "symbolic link in a folder that others may write to"),
                  (os.link, "has another name (a hard link), and others may write")):
    before = reset()
    make(precious, folder + "/log")
    said = refused("--log=" + folder + "/log", "memory", "1M")
    assert "--log: cannot write to %s/log: " % folder in said and why in said, said
    same(look(precious), before, "the file of somebody else")
    make(precious, own + "/log")
    subprocess.run([NBDLAB, "--log=" + own + "/log", "eval", "get_size=echo 1M", "pread=exit 1",
                    "--run", "qemu-io -r -f raw -c 'read 0 512' \"$uri\" >&2 || :"], check=True,
                   stderr=subprocess.DEVNULL)
    assert "pread" in open(precious).read(), "nothing was logged"
    os.unlink(folder + "/log")
    os.unlink(own + "/log")
    os.unlink(precious)
EOT
}

@test "a FIFO that nobody writes to is an error that says so, and not waited for" {
    hostile <<'EOT'
fifos = [os.environ["DIR"] + "/fifo%d" % i for i in range(3)]
[os.mkfifo(path) for path in fifos]
unwritten = "%s: it is a FIFO that nobody writes to"
said = []
cases = (("--tls-psk: cannot read " + unwritten, fifos[0], "--tls-psk=%s", "memory", "1M"),
         ("cannot read parameters from @" + unwritten, fifos[1], "memory", "1M", "@%s"),
         ("cannot use %s: it is neither", fifos[2], "%s"))
cases = [(text % path, *[arg.replace("%s", path) for arg in args]) for text, path, *args in cases]
threads = [threading.Thread(target=lambda case=case: said.append((case[0], refused(*case[1:]))))
           for case in cases]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
same(len(said), len(cases), "servers that ended in time")
for expected, text in said:
    assert expected in text, "%s is not in %s" % (expected, text)
EOT
}

@test "a FIFO that somebody writes to is read, however late and slowly" {
    mkfifo "$DIR/fifo" "$DIR/keys"
    timeout "$BOUND_S" sh -c '{ echo size=2M; sleep 1.1; echo "# late"; } >"$DIR/fifo"' 3>&- &
    same "$(timeout "$BOUND_S" "$NBDLAB" memory @"$DIR/fifo" --run 'nbdinfo --size "$uri"')" 2097152
    same "$(timeout "$BOUND_S" "$NBDLAB" memory @<(sleep 1.1; echo 3M) --run 'nbdinfo --size "$uri"')" 3145728
    # The name of the first user is in the URI: the keys are read twice, the FIFO once.
    timeout "$BOUND_S" sh -c 'echo alice:00 >"$DIR/keys"' 3>&- &
    contains "$(timeout "$BOUND_S" "$NBDLAB" --tls=require --tls-psk="$DIR/keys" memory 1M --run 'echo "$uri"')" "nbds+unix://"
}
