# SPDX-License-Identifier: BSD-3-Clause
"""Each option of nbdlab as a table of TAP tests, in the order of --help.

A row is a function that says whether a client sees the option's effect, when the server is
started with some words of the command line.  From it come these tests:

  accepted      the effect is seen, for every way to write the option
  without it    the effect is not seen
  malformed     each bad value ends the program with status 1 and one line that names the option
  no value      or one too many: the same
  abbreviated   every beginning of every name is taken for the one option that it can mean
  as in nbdkit  Debian's nbdkit takes no spelling that is not taken here

Rows run two at a time.  An argument picks the tests whose names it matches.
"""

import re
import resource
import ssl
import sys
import traceback

import reader
from lab import *

ROWS = {}
PKI = tempfile.mkdtemp(prefix="nbdlab-pki.")
IS_ROOT = os.geteuid() == 0
HAS_IPV6 = os.path.exists("/proc/net/if_inet6") and "0" * 31 + "1 " in open("/proc/net/if_inet6").read()


class Row:
    def __init__(self, names, effect, value=None, bad=(), base=None, needs="", contrast=True):
        self.names = names
        self.effect = effect
        self.value = value          # one that has the effect; None for an option without a value
        self.bad = bad              # values that are refused
        self.base = base or UNIX    # where the malformed option is tried
        self.needs = needs          # why the effect cannot be seen here, or ""
        self.contrast = contrast    # whether the effect can be looked for without the option

    def __str__(self):
        """As messages name it."""
        return "/".join(self.names[:1 + (len(self.names[0]) == 2)])

    def long_names(self):
        return [name for name in self.names if name.startswith("--")]

    def spellings(self):
        """Every way to write it, as words of a command line."""
        short = [name for name in self.names if not name.startswith("--")]
        names = list(dict.fromkeys([*self.long_names(), shortest(self.long_names()[0])]))
        if self.value is None:
            return [[name] for name in short + names]
        words = [[name, self.value] for name in short + names]
        return (words + [[name + self.value] for name in short]
                + [[name + "=" + self.value] for name in names])


# Where a server that should not start would listen.
UNIX = ("-f", "-U", "{dir}/sock", "-P", "{dir}/pid")
TCP = ("-f", "-i", "127.0.0.1", "-p", "0", "-P", "{dir}/pid")


def option(*names, **more):
    def add(effect):
        row = Row(names, effect, **more)
        ROWS[row.long_names()[0]] = row
        return effect
    return add


def meaning(written):
    """The rows that --written may be short for."""
    exact = [row for row in ROWS.values() if written in row.names]
    return exact or [row for row in ROWS.values()
                     if any(name.startswith(written) for name in row.long_names())]


def shortest(name):
    """The shortest beginning of a long name that means nothing else."""
    return next(name[:length] for length in range(3, len(name) + 1)
                if [name in row.names for row in meaning(name[:length])] == [True])


def fill_in(words, folder):
    """The words, with "{dir}" for the folder of a server and "{pki}" for certificates and keys."""
    return [word.replace("{dir}", folder).replace("{pki}", PKI) for word in words]


class Started(Server):
    """A server that serves, with these words on its command line."""

    def __init__(self, *words, where=("-U", "{dir}/sock"), disk=("memory", "1M")):
        super().__init__(*words, *disk)
        self.where = where
        self.start()

    def start(self):
        self.where = fill_in(self.where, self.dir)
        self.args = fill_in(self.args, self.dir)
        if any(word.endswith("/lab.pid") for word in self.args):
            self.pidfile = self.dir + "/lab.pid"
        super().start()
        if self.process.poll() is not None:
            said = self.log
            self.__exit__()
            raise AssertionError("the server did not start:\n" + said)

    @property
    def port(self):
        """The one that -p 0 prints."""
        return int(until(lambda: re.search(r"^(\d+)$", self.log, re.M), "the port to be printed")[1])

    def status(self, field):
        """A line of /proc/PID/status, as words."""
        with open("/proc/%d/status" % self.process.pid) as file:
            return re.search(r"^%s:\s*(.*)$" % field, file.read(), re.M)[1].split()


def output(*words):
    """What the program prints to standard output before it ends with status 0."""
    return subprocess.run([NBDLAB, *words], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=True, timeout=BOUND_S).stdout


def is_reachable(host, port):
    try:
        open_socket((host, port)).close()
        return True
    except ConnectionRefusedError:
        return False


def comes_true(condition, words):
    """Whether it does soon; where the option was not given, it should not."""
    try:
        return bool(until(condition, "the effect", None if words else 0.3 * SLOWER))
    except Silence:
        return False


def refuses(client, query, *args):
    """Whether the server does not know an option of the handshake."""
    try:
        query(*args)
    except OptionError as error:
        return error.code == REP_ERR_UNSUP
    return False


def is_served_tls(server, user="", **credentials):
    """Whether nbdinfo is, over TLS and with nothing less."""
    words = ["%s=%s" % (key.replace("_", "-"), value) for key, value in credentials.items()]
    uri = "nbds+unix://%s?%s" % (user and user + "@", "&".join(["socket=" + server.sock, *words]))
    end = subprocess.run(["nbdinfo", "--size", uri], capture_output=True, timeout=BOUND_S)
    return end.stdout == b"1048576\n"


def is_refused(name, words, where=UNIX):
    """Where an option cannot have its effect, it is not passed over."""
    expect_refusal([*where, *words, "memory", "1M"], name)
    return True


# The table.

@option("-4", "--ipv4-only", needs="" if HAS_IPV6 else "there is no IPv6 loopback here")
def ipv4_only(words):
    with Started(*words, where=("-p", "0")) as server:
        return is_reachable("127.0.0.1", server.port) and not is_reachable("::1", server.port)


@option("-6", "--ipv6-only", needs="" if HAS_IPV6 else "there is no IPv6 loopback here")
def ipv6_only(words):
    with Started(*words, where=("-p", "0")) as server:
        return is_reachable("::1", server.port) and not is_reachable("127.0.0.1", server.port)


@option("--bytes-in-flight", value="256M", bad=["", "x", "-1", "255M", "1G1", "9E"])
def bytes_in_flight(words):
    """A client gets a quarter of it: two reads of 32 MiB, and the third waits."""
    slow = "echo . >>{dir}/calls; until [ -e {dir}/go ]; do sleep 0.01; done; head -c $3 /dev/zero"
    with Started(*words, disk=("eval", "thread_model=echo parallel", "get_size=echo 1G",
                               "pread=" + slow)) as server:
        client = ready(server.sock)
        calls = server.dir + "/calls"
        for _ in range(3):
            client.send_request(CMD_READ, 0, 32 << 20)
        until(lambda: len(lines(calls)) >= 2, "two reads to begin")
        is_waiting = not comes_true(lambda: len(lines(calls)) == 3, [])
        with open(server.dir + "/go", "w"):
            same([client.reply().error for _ in range(3)], [0] * 3, "errno of the reads")
        return is_waiting


@option("--connections", value="1", bad=["", "x", "-1", "0", "4294967296", "1.5"])
def connections(words):
    with Started(*words) as server:
        first, second = ready(server.sock), connect(server.sock)
        is_waiting = not comes_true(second.is_readable, [])
        first.disconnect()
        second.handshake()
        return is_waiting


@option("-D", "--debug", value="nbdkit.backend.datapath=0",
        bad=["", "x", "x=1", "x.y", "x.y=", ".y=1", "x.=1", "x.y=1.5", "x.y=z"])
def debug(words):
    with Started("-v", *words) as server:
        ready(server.sock).read(0, 512)
        server.stop()
        return "read, flags" not in server.log


@option("--exit-with-parent")
def exit_with_parent(words):
    with Server() as place:
        shell = '"$0" "$@" & echo $! >"%s/child"; exec sleep 1000' % place.dir
        parent = subprocess.Popen(["sh", "-c", shell, NBDLAB, "-f", "-U", place.sock, "-P",
                                   place.pidfile, *words, "memory", "1M"])
        try:
            until(lambda: lines(place.pidfile), "the server to start")
            child = int(until(lambda: lines(place.dir + "/child"), "its process ID")[0])
            ready(place.sock)
        finally:
            parent.kill()
            parent.wait()
        has_ended = comes_true(lambda: not is_alive(child), words)
        if not has_ended:
            os.kill(child, signal.SIGKILL)
        return has_ended


@option("-e", "--exportname", "--export", "--export-name", value="lab", bad=["x" * 4097, "\udcff"])
def exportname(words):
    return output(*words, "eval", "open=echo $3", "get_size=[ $2 = lab ] && echo 2M || echo 1M",
                  "pread=head -c $3 /dev/zero", "--run", 'nbdinfo --size "$uri"') == "2097152\n"


@option("--filter", value="cow", bad=["cow"])
def refuse_filter(words):
    """There are no filters yet."""
    end = subprocess.run([NBDLAB, *words, "memory", "1M", "--run", "true"], capture_output=True)
    return b"option --filter is not supported yet" in end.stderr


@option("-f", "--foreground", "--no-fork")
def foreground(words):
    with Server() as place:
        process = subprocess.Popen([NBDLAB, *words, "-U", place.sock, "-P", place.pidfile,
                                    "memory", "1M"])
        pid = int(until(lambda: lines(place.pidfile), "the server to start")[0])
        ready(place.sock).disconnect()
        os.kill(pid, signal.SIGTERM)
        process.wait(BOUND_S)
        until(lambda: not is_alive(pid), "the server to end")
        return pid == process.pid


@option("-g", "--group", value="daemon", bad=["", "no such group", "4294967295", "-1"])
def group(words):
    if not IS_ROOT and words:
        return is_refused("-g", words)
    with Started(*words) as server:
        ready(server.sock)
        return server.status("Gid") == ["1"] * 4


@option("-i", "--ipaddr", "--ip-addr", value="127.0.0.2", base=TCP,
        bad=["", "127.0.0.256", "no.such.address.invalid"])
def ipaddr(words):
    with Started(*words, where=("-p", "0")) as server:
        return is_reachable("127.0.0.2", server.port) and not is_reachable("127.0.0.1", server.port)


@option("--keepalive", "--keep-alive")
def keepalive(words):
    with Started(*words, where=("-p", "0", "-i", "127.0.0.1")) as server:
        client = ready(server.port)
        theirs = [sock for sock in sockets_of(server.process.pid)
                  if sock.family == socket.AF_INET and not sock.getsockopt(socket.SOL_SOCKET,
                                                                           socket.SO_ACCEPTCONN)]
        same([sock.getpeername() for sock in theirs], [client.sock.getsockname()], "its clients")
        return bool(theirs[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))


FAILING = ("eval", "get_size=echo 1M", "pread=echo EIO no luck >&2; exit 1")


@option("--log", value="null", bad=["", "{dir}/no/such/folder/log", "{dir}"])
def log(words):
    with Started(*words, disk=FAILING) as server:
        same(ready(server.sock).command(CMD_READ, 0, 512).error, EIO, "errno")
        server.stop()
        return "no luck" not in server.log


@option("--mask-handshake", value="1", bad=["", "x", "-1", "4294967296", "1.5"])
def mask_handshake(words):
    with Started(*words) as server:
        return connect(server.sock).greet(None) == FIXED_NEWSTYLE


@option("--name", value="upstairs")
def name(words):
    with Started(*words, disk=FAILING) as server:
        same(ready(server.sock).command(CMD_READ, 0, 512).error, EIO, "errno")
        return "upstairs" in server.log


@option("-n", "--newstyle", "--new-style")
def newstyle(words):
    with Started("-o", *words) as server:
        return connect(server.sock).unpack(">QQ")[1] == IHAVEOPT


@option("--no-mc", "--no-meta-contexts")
def no_mc(words):
    with Started(*words) as server:
        client = connect(server.sock)
        client.greet()
        client.negotiate_structured()
        return refuses(client, client.set_meta, "", "base:allocation")


@option("--no-sr", "--no-structured-replies")
def no_sr(words):
    with Started(*words) as server:
        client = connect(server.sock)
        client.greet()
        return refuses(client, client.negotiate_structured)


@option("-o", "--oldstyle", "--old-style")
def oldstyle(words):
    with Started(*words) as server:
        return connect(server.sock).unpack(">QQ")[1] == OLDSTYLE_MAGIC


@option("-P", "--pidfile", "--pid-file", value="{dir}/lab.pid",
        bad=["", "{dir}", "{dir}/no/such/folder/pid"])
def pidfile(words):
    with Started(*words, where=("-U", "{dir}/sock", "--print-uri")) as server:
        written = until(lambda: lines(server.pidfile), "a line in the pid file")
        return written == [str(server.process.pid)] and server.pidfile.endswith("/lab.pid")


@option("-p", "--port", value="0", base=TCP, bad=["", "x", "-1", "65536", "4294967296", "1 2"],
        contrast=False)
def port(words):
    with Started("-i", "127.0.0.1", *words, where=()) as server:
        return ready(server.port).size == 1 << 20


@option("--print-uri", "--print-url", "--show-uri", "--show-url")
def print_uri(words):
    with Started(*words) as server:
        printed = [line for line in server.log.splitlines() if line.startswith("nbd+")]
        return bool(printed) and subprocess.run(["nbdinfo", "--size", printed[0]], check=True,
                                                capture_output=True).stdout == b"1048576\n"


@option("-r", "--readonly", "--read-only")
def readonly(words):
    with Started(*words) as server:
        return bool(ready(server.sock).flags & READ_ONLY)


@option("--run", value='nbdinfo --size "$uri"')
def run(words):
    with Server() as place:
        printed = output("-U", place.sock, "-P", place.pidfile, *words, "memory", "1M")
        for pid in lines(place.pidfile):
            os.kill(int(pid), signal.SIGTERM)
            until(lambda: not is_alive(pid), "the server to end")
        return printed == "1048576\n"


@option("--selinux-label", value="system_u:object_r:svirt_socket_t:s0", bad=["", "x"],
        contrast=False,
        needs="SELinux is in use here" if os.path.exists("/sys/fs/selinux/enforce") else "")
def selinux_label(words):
    """Few machines have SELinux in use; options.bats sees what is written for the kernel."""
    return is_refused("--selinux-label", words)


@option("-s", "--single", "--stdin", contrast=False)
def single(words):
    ours, theirs = socket.socketpair()
    process = subprocess.Popen([NBDLAB, *words, "memory", "1M"], stdin=theirs, stdout=theirs)
    theirs.close()
    client = Client(ours)
    client.handshake()
    client.disconnect()
    return process.wait(BOUND_S) == 0


@option("--swap")
def swap(words):
    """Sanitizers make mlockall(2) do nothing."""
    if not IS_ROOT and words and SLOWER == 1:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
        return is_refused("--swap", words)
    with Started(*words) as server:
        return int(server.status("VmLck")[0]) > 0 or (SLOWER > 1 and bool(words))


@option("-t", "--threads", value="1", bad=["", "x", "-1", "0", "1025", "4294967297", "1.5"])
def threads(words):
    disk = (BUILD + "/tests/plugins/told.so", "log={dir}/calls", "gate={dir}/gate")
    with Started(*words, disk=disk) as server:
        os.mkfifo(server.dir + "/gate")
        client = ready(server.sock)
        slow = client.send_request(CMD_READ, 131072, 512)
        client.send_request(CMD_READ, 0, 512)
        is_waiting = not comes_true(client.is_readable, [])
        open_gate(server.dir + "/gate")
        first = client.reply().cookie
        same(first == slow, is_waiting, "whether the slow request is answered first")
        return is_waiting


@option("--timeout", "--time-out", value="0.2", bad=["", "x", "-1", "1h", "99999999999"])
def timeout(words):
    with Started(*words) as server:
        client = connect(server.sock)
        client.greet(None)
        return comes_true(client.is_readable, words) and client.ending() in ("eof", "reset")


X509 = "--tls-certificates={pki}/server"


@option("--tls", value="require", bad=["", "maybe", "2"])
def tls(words):
    with Started(X509, *words) as server:
        client = connect(server.sock)
        client.greet()
        try:
            client.go()
        except OptionError as error:
            return error.code == REP_ERR_TLS_REQD
        return False


@option("--tls-certificates", value="{pki}/server", base=UNIX + ("--tls=require",),
        bad=["", "{dir}", "{dir}/no/such/folder", "{pki}/anonymous", "{pki}/keys.psk"])
def tls_certificates(words):
    with Started(*words) as server:
        return is_served_tls(server, tls_certificates=PKI + "/anonymous")


@option("--tls-priority", value="NORMAL:-VERS-ALL:+VERS-TLS1.2", base=UNIX + (X509,),
        bad=["", "NO SUCH PRIORITY", "NORMAL:+NOTHING"])
def tls_priority(words):
    with Started(X509, *words) as server:
        client = connect(server.sock)
        client.greet()
        client.ask(OPT_STARTTLS)
        context = ssl.create_default_context(cafile=PKI + "/anonymous/ca-cert.pem")
        return context.wrap_socket(client.sock, server_hostname="localhost").version() == "TLSv1.2"


@option("--tls-psk", value="{pki}/keys.psk",
        bad=["", "{dir}", "{dir}/no/such/file", "{pki}/log", "/dev/null"])
def tls_psk(words):
    with Started(*words) as server:
        return is_served_tls(server, user="alice", tls_psk_file=PKI + "/keys.psk")


@option("--tls-verify-peer")
def tls_verify_peer(words):
    with Started(X509, *words) as server:
        same(is_served_tls(server, tls_certificates=PKI + "/client"), True, "with a certificate")
        return not is_served_tls(server, tls_certificates=PKI + "/anonymous")


@option("-U", "--unix", value="{dir}/lab.sock", base=("-f", "-P", "{dir}/pid"),
        bad=["", "{dir}/no/such/folder/sock", "{dir}", "{dir}/" + "x" * 100], contrast=False)
def unix(words):
    with Started(*words, where=()) as server:
        return ready(server.dir + "/lab.sock").size == 1 << 20


@option("-u", "--user", value="daemon", bad=["", "no such user", "4294967295", "-1"])
def user(words):
    if not IS_ROOT and words:
        return is_refused("-u", words)
    with Started(*words) as server:
        ready(server.sock)
        return server.status("Uid") == ["1"] * 4


@option("-v", "--verbose")
def verbose(words):
    with Started(*words) as server:
        ready(server.sock).read(0, 512)
        server.stop()
        return "debug: read, flags" in server.log


@option("--vsock")
def vsock(words):
    """Few machines have a loopback for it, which a client needs; listen-network.bats looks."""
    try:
        socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    except OSError:
        return bool(words) and is_refused("--vsock", words, ("-f", "-p", "0", "-P", "{dir}/pid"))
    with Started(*words, where=("-p", "0")) as server:
        return socket.AF_VSOCK in [sock.family for sock in sockets_of(server.process.pid)]


@option("--dump-config", contrast=False)
def dump_config(words):
    return "\nnbdlab_version=" in output(*words)


@option("--dump-plugin", contrast=False)
def dump_plugin(words):
    return "\nname=memory\n" in output(*words, "memory")


@option("--help", contrast=False)
def help(words):
    return output(*words).startswith("usage: ")


@option("--long-options", contrast=False)
def long_options(words):
    return output(*words).split() == [name for row in ROWS.values() for name in row.long_names()]


@option("--short-options", contrast=False)
def short_options(words):
    return output(*words).split() == [name for row in ROWS.values() for name in row.names
                                      if name not in row.long_names()]


@option("-V", "--version", contrast=False)
def version(words):
    return re.match(r"\S+ \d+\.\d+\.\d+ ", output(*words)) is not None


# What cannot be used together; the message names both.
CONFLICTS = [
    (["-U", "{dir}/sock", "-p", "0"], "-U", "-p"),
    (["-U", "{dir}/sock", "-i", "127.0.0.1"], "-U", "-i"),
    (["-s", "-U", "{dir}/sock"], "-s", "-U"),
    (["-s", "-p", "0"], "-s", "-p"),
    (["-s", "-i", "127.0.0.1"], "-s", "-i"),
    (["-s", "--run", "true"], "-s", "--run"),
    (["-s", "--print-uri"], "-s", "--print-uri"),
    (["--vsock", "-U", "{dir}/sock"], "--vsock", "-U"),
    (["--vsock", "-i", "127.0.0.1"], "--vsock", "-i"),
    (["--vsock", "-s"], "--vsock", "-s"),
    (["-o", "--tls=require"], "-o", "--tls"),
]


# The tests that come from a row.

def expect_refusal(words, *parts):
    """Status 1, one line with all parts in it, and nothing is left behind."""
    with Server() as place:
        words = fill_in(words, place.dir)
        end = subprocess.run([NBDLAB, *words], stdin=subprocess.DEVNULL, capture_output=True,
                             env=place.environment, timeout=BOUND_S)
        text = end.stderr.decode(errors="replace")
        same(end.returncode, 1, "exit status; it said: %s" % text)
        same(end.stdout, b"", "standard output")
        same(text.count("\n"), 1, "lines of " + text)
        same(text.split(": ")[:2], [os.path.basename(NBDLAB), "error"], "how the message begins")
        for part in parts:
            assert re.search(re.escape(part) + r"(?![\w-])", text), "%s is not in: %s" % (part, text)
        same(place.leftovers(), [], "what is left behind")


def accepted(row, words):
    same(row.effect(words), True, "whether the effect is seen")


def absent(row):
    same(row.effect([]), False, "whether the effect is seen")


def malformed(row, value):
    expect_refusal([*row.base, row.long_names()[0] + "=" + value, "memory", "1M"],
                   row.long_names()[0])


def wrong_number_of_words(row):
    if row.value is None:
        for name in row.long_names():
            expect_refusal([*row.base, name + "=x", "memory", "1M"], str(row), "no value")
    else:
        for name in row.names:
            expect_refusal([*row.base, "memory", "1M", name], str(row), "value")


def abbreviated(row):
    for name in row.long_names():
        for length in range(3, len(name)):
            written = name[:length]
            rows = meaning(written)
            # Refused whatever it means, so that the message tells.
            words = [written] if rows[0].value is not None else [written + "=x"]
            if len(rows) == 1:
                expect_refusal(words, str(rows[0]))
            else:
                expect_refusal(words, written + " is short for several options",
                               *[name for row in rows for name in row.long_names()
                                 if name.startswith(written)])


# Short for one option in nbdkit 1.32, and for several in later ones.
NEWER = ("--sh", "--sho", "--tls-p")


def as_in_nbdkit(row):
    """nbdkit knows fewer options, so that what is short for one there may not be here."""
    for name in row.names:
        for length in range(min(3, len(name)), len(name) + 1):
            written = name[:length]
            value = [] if row.value is None else [row.value]
            known = subprocess.run(["nbdkit", written, *value, "--dump-config"], timeout=BOUND_S,
                                   stdin=subprocess.DEVNULL, capture_output=True)
            if known.returncode == 0 and written not in NEWER:
                same(meaning(written), [row], "what %s means" % written)


def combined(words, *parts):
    expect_refusal([*words, "-P", "{dir}/pid", "memory", "1M"], *parts)


def tests_of(title, row):
    """Its tests, as (name, why it is skipped, function, arguments)."""
    for words in row.spellings():
        yield "%s: accepted as %s" % (title, " ".join(words)), row.needs, accepted, (row, words)
    if row.contrast:
        yield "%s: without it" % title, row.needs, absent, (row,)
    for value in row.bad:
        shown = value if len(value) < 60 else value[:20] + "..."
        yield "%s: malformed: %s" % (title, ascii(shown)), "", malformed, (row, value)
    yield "%s: a value is missing, or too many" % title, "", wrong_number_of_words, (row,)
    yield "%s: abbreviated" % title, "", abbreviated, (row,)
    has_nbdkit = "" if shutil.which("nbdkit") else "there is no nbdkit here"
    yield "%s: as in nbdkit" % title, has_nbdkit, as_in_nbdkit, (row,)


def table():
    for title, row in ROWS.items():
        yield from tests_of(title, row)
    for conflict in CONFLICTS:
        yield "together: %s" % " ".join(conflict[0]), "", combined, (conflict[0], *conflict[1:])


TESTS_BY_NAME = {name: rest for name, *rest in table()}


def run_test(name):
    """In a process of its own; None, or what went wrong."""
    skipped, function, args = TESTS_BY_NAME[name]
    if skipped:
        return None
    try:
        function(*args)
    except Exception:
        return traceback.format_exc()
    return None


def make_pki():
    subprocess.run(["bash", "-c", 'source "$0"; make_pki "$1"', TESTS + "/bats/pki.bash", PKI],
                   check=True)


def main():
    names = [name for name in TESTS_BY_NAME if not sys.argv[1:] or re.search(sys.argv[1], name)]
    print("1..%d" % len(names), flush=True)
    make_pki()
    with reader.make_pool(2) as pool:
        for number, (name, problem) in enumerate(zip(names, pool.map(run_test, names)), 1):
            skipped = TESTS_BY_NAME[name][0]
            print("%s %d %s%s" % ("not ok" if problem else "ok", number, name.replace("#", "no."),
                                  " # SKIP " + skipped if skipped else ""), flush=True)
            for line in (problem or "").splitlines():
                print("# " + line, flush=True)


if __name__ == "__main__":
    try:
        reader.end_with(main)
    finally:
        shutil.rmtree(PKI)
