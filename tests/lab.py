# SPDX-License-Identifier: BSD-3-Clause
"""What tests written in Python share: servers, libnbd clients, and all of rawnbd."""

import atexit
import ctypes
import errno as errno_module
import fcntl
import os
import select
import socket
import struct
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import nbd

from rawnbd import *  # noqa: F401,F403  (a test wants all of it at hand)
from rawnbd import BOUND_S, Silence, ready, same, until

NBDLAB = os.environ.get("NBDLAB", "nbdlab")
BUILD = os.environ.get("BUILD", "build")
TESTS = os.path.dirname(os.path.abspath(__file__))
SLOWER = int(os.environ.get("SLOWER", "1"))


def libnbd(address=None, export="", meta=False):
    """A connected libnbd handle."""
    handle = nbd.NBD()
    handle.set_export_name(export)
    if "TLS_FOLDER" in os.environ:
        handle.set_tls(nbd.TLS_REQUIRE)
        handle.set_tls_certificates(os.environ["TLS_FOLDER"])
        handle.set_tls_verify_peer(False)  # which is about the server's host name
    if meta:
        handle.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
    if isinstance(address, int):
        handle.connect_tcp("127.0.0.1", str(address))
    else:
        handle.connect_unix(address or os.environ["SOCK"])
    return handle


def nbd_errno(function, *args, **more):
    """The errno that a libnbd call fails with, 0 if it does not."""
    try:
        function(*args, **more)
    except nbd.Error as error:
        return getattr(errno_module, error.errno) if error.errno else -1
    return 0


def is_alive(pid):
    """Whether a process still runs; a zombie does not."""
    try:
        with open("/proc/%d/stat" % int(pid)) as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def lines(path):
    """The whole lines of a file, none if there is no such file yet."""
    try:
        with open(path, errors="replace") as file:
            return [line.rstrip("\n") for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []


def open_gate(path, line=b"go\n"):
    """Let go on what waits for a line from the FIFO at path; bounded, unlike open(2)."""
    def write():
        try:
            gate = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        os.write(gate, line)
        os.close(gate)
        return True
    until(write, "somebody who waits at the gate")


LIBC = ctypes.CDLL(None, use_errno=True)


def sockets_of(pid):
    """Duplicates of every socket that another process has open (pidfd_getfd(2))."""
    found = []
    pidfd = os.pidfd_open(pid)
    for name in os.listdir("/proc/%d/fd" % pid):
        if os.readlink("/proc/%d/fd/%s" % (pid, name)).startswith("socket:"):
            copy = LIBC.syscall(438, pidfd, int(name), 0)
            if copy < 0:
                raise OSError(ctypes.get_errno(), "pidfd_getfd")
            found.append(socket.socket(fileno=copy))
    os.close(pidfd)
    return found


class Filter(ctypes.Structure):
    """struct sock_fprog."""
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


LOAD, EQUAL, ANSWER, ALLOW, ERRNO = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000


def install_filter(lines):
    """From now on system calls go through this program of BPF (seccomp(2)), in children too."""
    text = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    program = Filter(len(lines), ctypes.addressof(text))
    if LIBC.prctl(38, 1, 0, 0, 0) or LIBC.prctl(22, 2, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def forbid_sockets(family, number):
    """From now on socket(2) for that address family fails with errno `number`."""
    calls = {"x86_64": 41, "aarch64": 198, "riscv64": 198}
    install_filter([
        (LOAD, 0, 0, 0),                                     # the number of the call
        (EQUAL, 0, 3, calls[os.uname().machine]),
        (LOAD, 0, 0, 16),                                    # its first argument
        (EQUAL, 0, 1, family),
        (ANSWER, 0, 0, ERRNO | number),
        (ANSWER, 0, 0, ALLOW),
    ])


# Those of the last ten years or so, and a few older ones that seccomp profiles refuse.
SYSTEM_CALLS = {name: numbers[os.uname().machine != "x86_64"] for name, numbers in {
    "sync_file_range": (277, 84), "fallocate": (285, 47), "renameat2": (316, 276),
    "getrandom": (318, 278), "memfd_create": (319, 279), "execveat": (322, 281),
    "userfaultfd": (323, 282), "membarrier": (324, 283), "mlock2": (325, 284),
    "copy_file_range": (326, 285), "preadv2": (327, 286), "pwritev2": (328, 287),
    "statx": (332, 291), "rseq": (334, 293), "pidfd_send_signal": (424, 424),
    "io_uring_setup": (425, 425), "pidfd_open": (434, 434), "clone3": (435, 435),
    "close_range": (436, 436), "openat2": (437, 437), "pidfd_getfd": (438, 438),
    "faccessat2": (439, 439), "epoll_pwait2": (441, 441), "fchmodat2": (452, 452)}.items()}


def refuse_calls(names, number):
    """From now on these system calls fail with errno `number`."""
    calls = [SYSTEM_CALLS[name] for name in names]
    install_filter([(LOAD, 0, 0, 0),
                    *((EQUAL, len(calls) - i, 0, call) for i, call in enumerate(calls)),
                    (ANSWER, 0, 0, ALLOW), (ANSWER, 0, 0, ERRNO | number)])
    for name, call in zip(names, calls):
        result = LIBC.syscall(call, *[ctypes.c_long(-1)] * 6)
        same((name, result, ctypes.get_errno()), (name, -1, number), "what is refused")


def activate(sockets, *args, names=None, pid=None, count=None, environment=(), **more):
    """Starts the server as a superserver does: with these to listen on from descriptor 3 on."""
    fds = [one if isinstance(one, int) else one.fileno() for one in sockets]

    def prepare():
        copies = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in fds]
        for number, copy in enumerate(copies):
            os.dup2(copy, 3 + number, inheritable=True)
            os.close(copy)
        os.environ.update(environment)
        os.environ["LISTEN_PID"] = str(os.getpid()) if pid is None else pid
        os.environ["LISTEN_FDS"] = str(len(fds)) if count is None else count
        if names is not None:
            os.environ["LISTEN_FDNAMES"] = names
    process = subprocess.Popen([NBDLAB, *args], stdin=subprocess.DEVNULL, preexec_fn=prepare,
                               close_fds=False, **more)
    # A test that fails does not leave it behind.
    atexit.register(process.kill)
    return process


class Server:
    """A server in the foreground on its own socket, in a directory of its own."""

    def __init__(self, *args, **environment):
        self.dir = tempfile.mkdtemp(prefix="nbdlab-test.")
        self.sock = self.dir + "/sock"
        self.pidfile = self.dir + "/pid"
        self.tmp = self.dir + "/tmp"
        self.process = None
        self.where = ["-U", self.sock]
        self.args = args
        self.environment = dict(os.environ, TMPDIR=self.tmp, **environment)
        os.mkdir(self.tmp)

    def start(self, *more):
        tls = []
        if "TLS_SERVER" in os.environ:
            tls = ["--tls=require", "--tls-certificates=" + os.environ["TLS_SERVER"]]
        command = [NBDLAB, "-f", *self.where, "-P", self.pidfile, *tls, *self.args, *more]
        with open(self.dir + "/log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=self.environment)
        until(lambda: os.path.exists(self.pidfile) or self.process.poll() is not None,
              "the server to start")
        return self

    @property
    def log(self):
        with open(self.dir + "/log", errors="replace") as log:
            return log.read()

    def wait(self):
        """The exit status of a server that was told to end."""
        try:
            return self.process.wait(BOUND_S)
        except subprocess.TimeoutExpired:
            raise Silence("the server does not end") from None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def leftovers(self):
        """What an ended server should have removed."""
        left = [path for path in (self.sock, self.pidfile) if os.path.lexists(path)]
        return left + os.listdir(self.tmp)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def time_to_end(pid, trigger):
    """The seconds from before trigger() until process pid has ended."""
    start = time.monotonic()
    trigger()
    until(lambda: not is_alive(pid), "process %s to end" % pid)
    return time.monotonic() - start


def expect_prompt_end(trigger, limit_s=1.0, clients=10):
    """With idle clients connected the server $SERVER ends in time and all of them see it."""
    idle = [ready(export="idle") for _ in range(clients)]
    took_s = time_to_end(int(os.environ["SERVER"]), trigger)
    assert took_s < limit_s * SLOWER, "it took %.2f s" % took_s
    for client in idle:
        same(client.ending(), "eof", "how an idle client's connection ends")
