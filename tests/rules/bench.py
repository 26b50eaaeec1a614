# SPDX-License-Identifier: BSD-3-Clause
"""What rules are tried with: servers (ours, or one that runs already), disks, and clients.

A Talk is a Client of rawnbd.py that remembers what was said.  A Bench gives out Talks.
"""

import os
import re
import shutil
import ssl
import struct
import subprocess

from rawnbd import *  # noqa: F401,F403
from rawnbd import (CMD_BLOCK_STATUS, CMD_CACHE, CMD_READ, CMD_TRIM, CMD_WRITE, CMD_WRITE_ZEROES,
                    FIXED_NEWSTYLE, NBDMAGIC, NO_ZEROES, REP_ERR_UNSUP, Client, Closed,
                    OptionError, open_socket, same)
from rules.book import Skip

TRANSCRIPT_LINES = 14

# Rules that want to be behind the end of the disk take a place from here on.
BEYOND = 1 << 50

WITH_RANGE = (CMD_READ, CMD_WRITE, CMD_TRIM, CMD_CACHE, CMD_WRITE_ZEROES, CMD_BLOCK_STATUS)

# The servers that rules ask for by name, and the options that make them.
SERVERS = {
    "plain": [],
    "readonly": ["-r"],
    "oldstyle": ["-o"],
    "bare": ["--mask-handshake=0"],         # of the handshake flags, the server sets none
    "zeroes": ["--mask-handshake=1"],       # fixed newstyle alone
    "unfixed": ["--mask-handshake=2"],      # no zeroes alone
    "simple": ["--no-sr"],
    "nometa": ["--no-mc"],
    "tls-required": ["--tls=require"],
    "tls-offered": ["--tls=on"],
}


class Talk(Client):
    """A client that notes what it sends and receives, in the bench's transcript."""

    def __init__(self, sock, bench):
        super().__init__(sock)
        self.bench = bench
        self.name = "client %d" % (len(bench.clients) + 1)

    def send(self, data):
        """Send, and leave it to what is read next to see that the server has hung up."""
        self.bench.note(self.name, "sends", data)
        try:
            super().send(data)
        except ConnectionError:
            self.bench.note(self.name, "sees", "that nobody reads this")

    def receive(self, count):
        try:
            data = super().receive(count)
        except Closed as closed:
            self.bench.note(self.name, "gets", closed.got)
            self.bench.note(self.name, "sees the end:", closed.how)
            raise
        self.bench.note(self.name, "gets", data)
        return data

    def send_request(self, kind, offset=0, length=0, **raw):
        if kind in WITH_RANGE and length and offset < BEYOND and self.size is not None:
            self.bench.target.check_size(self.size, offset + length)
        if kind in (CMD_WRITE, CMD_TRIM, CMD_WRITE_ZEROES):
            self.bench.target.allow_writing()
        return super().send_request(kind, offset, length, **raw)

    def negotiate_structured(self):
        self.need(super().negotiate_structured, "structured replies")

    def negotiate_extended(self):
        self.need(super().negotiate_extended, "extended headers")

    @staticmethod
    def need(negotiate, what):
        """Negotiate what is optional for a server; rules that need it are skipped without it."""
        try:
            negotiate()
        except OptionError as error:
            if error.code != REP_ERR_UNSUP:
                raise
            raise Skip("the server has no " + what) from None

    def start_tls(self, minimum=ssl.TLSVersion.TLSv1_2, maximum=ssl.TLSVersion.MAXIMUM_SUPPORTED):
        """The client's side of TLS after STARTTLS was acknowledged; any certificate will do."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        context.minimum_version, context.maximum_version = minimum, maximum
        self.sock = context.wrap_socket(self.sock, suppress_ragged_eofs=False)

    def hangs_up(self):
        """See the connection end without another byte, whichever way."""
        self.ending()

    def is_over(self):
        """Whether the server hung up, rather than answering an option or a request."""
        try:
            self.receive(1)
        except Closed:
            return True
        return False


class Ours:
    """Servers of ours, started when a rule first asks for them.  Each has all disks."""

    def __init__(self):
        from lab import Server          # here, as it needs libnbd's module and --socket does not
        self.make_server = Server
        self.plugin = os.environ["BUILD"] + "/tests/plugins/rules.so"
        self.running = {}

    def name(self, disk):
        return disk

    def allow_writing(self):
        pass

    def check_size(self, size, needed):
        pass

    def server(self, name):
        """A server, by its name in SERVERS; what follows a # in the name makes it another one."""
        server = self.running.get(name)
        if server is None or server.process.poll() is not None:
            server = self.running[name] = self.start(name)
        return server

    def start(self, name):
        server = self.make_server()
        server.record = server.dir + "/record"
        kind = name.partition("#")[0]
        server.args = [*SERVERS[kind], self.plugin, "log=" + server.record]
        if kind.startswith("tls"):
            server.args.insert(0, "--tls-certificates=" + self.make_certificates(server.dir))
        server.start()
        if server.process.poll() is not None:
            raise AssertionError("the server did not start: " + server.log)
        return server

    def make_certificates(self, folder):
        """Certificates for a TLS server, which is its own authority; returns their folder."""
        config = subprocess.run([os.environ["NBDLAB"], "--dump-config"], capture_output=True,
                                text=True)
        if "tls=yes" not in config.stdout:
            raise Skip("the server was built without TLS")
        folder += "/pki"
        os.mkdir(folder)
        with open(folder + "/template", "w") as template:
            template.write("cn = localhost\ndns_name = localhost\ntls_www_server\n"
                           "expiration_days = 2\n")
        key = folder + "/server-key.pem"
        for arguments in (["--generate-privkey", "--key-type=ecdsa", "--outfile", key],
                          ["--generate-self-signed", "--load-privkey", key, "--template",
                           folder + "/template", "--outfile", folder + "/server-cert.pem"]):
            subprocess.run(["certtool", *arguments], check=True, capture_output=True)
        shutil.copy(folder + "/server-cert.pem", folder + "/ca-cert.pem")
        return folder

    def address(self, name):
        return self.server(name).sock

    def check(self):
        """Every server that was started and not told to end still greets."""
        for name, server in self.running.items():
            if "#" in name:
                continue
            status = server.process.poll()
            same(status, None, "exit status of the server, which should still run")
            sock = open_socket(server.sock)
            same(sock.recv(8), struct.pack(">Q", NBDMAGIC), "greeting of the next client")
            sock.close()

    def obituary(self):
        """A line for each server that has ended without having been told to."""
        return ["%s has ended with status %d" % (" ".join(server.process.args[:1] + server.args),
                                                 server.process.returncode)
                for name, server in self.running.items()
                if "#" not in name and server.process.poll() is not None]

    def end(self):
        for server in self.running.values():
            if server.process.poll() is None:
                server.process.terminate()
        for server in self.running.values():
            try:
                server.process.wait(20)
            except subprocess.TimeoutExpired:
                pass
            server.__exit__()


class Foreign:
    """A server that runs already, with one export."""

    def __init__(self, address, export, may_write):
        self.where, self.export, self.may_write = address, export, may_write

    def name(self, disk):
        if disk:
            raise Skip("needs a disk that is called " + disk)
        return self.export

    def allow_writing(self):
        if not self.may_write:
            raise Skip("writes; allowed with --may-write")

    def check_size(self, size, needed):
        """Rules use fixed places of the disk, which that of a good server may not have."""
        if needed > size:
            raise Skip("needs a disk of %d bytes; this one has %d" % (needed, size))

    def server(self, name):
        raise Skip("needs a server of ours")

    def address(self, name):
        if name != "plain":
            raise Skip("needs a server of ours with other options: " + name)
        return self.where

    def check(self):
        open_socket(self.where).close()

    def obituary(self):
        return []

    def end(self):
        pass


class Bench:
    """What a rule's function gets."""

    def __init__(self, target):
        self.target = target
        self.is_ours = isinstance(target, Ours)
        self.clients, self.transcript = [], []

    def note(self, who, does, what):
        if isinstance(what, bytes):
            if not what:
                return
            what = "%d bytes: %s%s" % (len(what), what[:40].hex(" ", -8),
                                       " ..." if len(what) > 40 else "")
        self.transcript.append("%s %s %s" % (who, does, what))
        del self.transcript[:-TRANSCRIPT_LINES]

    def clean(self):
        for client in self.clients:
            client.close()
        self.clients, self.transcript = [], []

    # Clients.

    def connect(self, server="plain"):
        """A Talk that has neither sent nor read anything."""
        client = Talk(open_socket(self.target.address(server)), self)
        self.clients.append(client)
        return client

    def greeted(self, flags=FIXED_NEWSTYLE | NO_ZEROES, server="plain"):
        """A Talk in option haggling."""
        client = self.connect(server)
        client.greet(flags)
        return client

    def haggling(self, structured=True, extended=False, server="plain"):
        client = self.greeted(server=server)
        if extended:
            client.negotiate_extended()
        elif structured:
            client.negotiate_structured()
        return client

    def ready(self, disk="", structured=True, extended=False, meta=False, **more):
        """A Talk in transmission on a disk; more: infos to ask for, server."""
        client = self.haggling(structured, extended, more.get("server", "plain"))
        name = self.name(disk)
        if meta and not client.set_meta(name, "base:allocation"):
            raise Skip("the server has no base:allocation")
        client.go(name, *more.get("infos", ()))
        return client

    # Disks and servers.

    def name(self, disk=""):
        """The export that is a disk; see plugins/rules.c."""
        return self.target.name(disk)

    def server(self, name="plain"):
        return self.target.server(name)

    def calls(self, tag):
        """The calls of the plugin that were recorded for a disk with this tag."""
        with open(self.server().record) as record:
            return [line.partition(" ")[2].rstrip("\n") for line in record
                    if line.startswith(tag + " ")]

    @staticmethod
    def memory_kib(server):
        """The most memory that a server has had so far."""
        with open("/proc/%d/status" % server.process.pid) as status:
            return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1))
