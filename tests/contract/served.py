# SPDX-License-Identifier: BSD-3-Clause
"""A server with the disk of README.md, in the language $CONTRACT_LANGUAGE."""

import os

from lab import *  # noqa: F401,F403  (a test wants all of it at hand)
from lab import BUILD, CMD_READ, TESTS, Server, lines, same, until

LANGUAGE = os.environ["CONTRACT_LANGUAGE"]
PLUGIN = {
    "sh": ["sh", TESTS + "/contract/contract.sh"],
    "python": ["python", TESTS + "/contract/contract.py"],
}.get(LANGUAGE, ["%s/tests/contract/%s.so" % (BUILD, LANGUAGE)])
# Scripts have no cleanup method.
LAST = "unload" if LANGUAGE == "sh" else "cleanup"

SECTOR = 512
TOLD, GATE, ERRNO, DATA, HOLE, ZERO, SIZE = [
    kib << 10 for kib in (64, 128, 256, 384, 512, 768, 1024)]


def expect(client, cookie, error, what):
    """The client's next reply is this one."""
    reply = client.reply()
    same((reply.cookie, reply.error), (cookie, error), what)


class Disk(Server):
    """Served once entered; `when` and `do` tell it what to do."""

    def __init__(self, *args, when="", do="", result="ok"):
        super().__init__(*PLUGIN, *args, CONTRACT_WHEN=when, CONTRACT_DO=do,
                         CONTRACT_RESULT=result)
        self.gate = self.dir + "/gate"
        self.calls_path = self.dir + "/calls"
        self.environment.update(CONTRACT_GATE=self.gate, CONTRACT_LOG=self.calls_path)
        self.environment.pop("RUST_BACKTRACE", None)
        os.mkfifo(self.gate)
        self.gate_fd = os.open(self.gate, os.O_RDWR)

    def __enter__(self):
        return self.start()

    def calls(self):
        return lines(self.calls_path)

    def count(self, line):
        """How often a line of the log begins so."""
        return sum((call + " ").startswith(line + " ") for call in self.calls())

    def wait_for(self, line, count=1):
        until(lambda: self.count(line) >= count, "%d times: %s" % (count, line))

    def send_slow(self, client, count=1):
        """Reads that wait at the gate; returns their cookies when they are in the plugin."""
        before = self.count("begin pread")
        cookies = [client.send_request(CMD_READ, GATE, SECTOR) for _ in range(count)]
        self.wait_for("begin pread", before + count)
        return cookies

    def open_gate(self, count=1):
        os.write(self.gate_fd, count * b"go\n")

    def errors(self, text):
        """How many messages of the server's log say so."""
        return sum(text in line and ": debug: " not in line for line in self.log.splitlines())

    def expect_end(self):
        """It ends with 0 and leaves nothing; whoever was opened was closed, once, as its last."""
        same(self.wait(), 0, "exit status")
        same(self.leftovers(), [], "what is left behind")
        same(self.count("begin close"), self.count("end open"), "times that close was called")
        same(self.count("end " + LAST), 1, "times that the last callback was called")

    def expect_stop(self):
        same(self.stop(), 0, "exit status")
        self.expect_end()
