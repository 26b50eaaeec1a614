# SPDX-License-Identifier: BSD-3-Clause
"""Every exit status and every death, in every kind of method, as a table of TAP tests.

The disk is disks/told.sh.  Each row has a server of its own, a client that brings the status
about, and another one, the bystander, that must not notice.  Rows run two at a time.
"""

import os
import re
import sys
import traceback

import reader
from lab import *

STATUSES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 100, 127, 255,
            "SIGABRT", "SIGKILL", "SIGTERM", "SIGSEGV"]
EFFECTS = {4: "shutdown", 5: "shutdown", 6: "forced", 7: "soft", 8: "soft"}
ERRNOS = {0: 0, 4: 0, 7: 0, 5: ESHUTDOWN, 8: ESHUTDOWN}

TOLD_AT, SLOW_AT = 65536, 131072
SIZE = 1 << 20
# name of the context: (method, raw request, libnbd call)
TRANSMISSION = {
    "pread": ("pread", lambda c: c.send_request(CMD_READ, TOLD_AT, 512),
              lambda h: h.pread(512, TOLD_AT)),
    "pwrite of 512 bytes": ("pwrite", lambda c: c.send_write(TOLD_AT, bytes(512)),
                            lambda h: h.pwrite(bytes(512), TOLD_AT)),
    "pwrite of 512 KiB left unread": ("pwrite", lambda c: c.send_write(TOLD_AT, bytes(512 << 10)),
                                      lambda h: h.pwrite(bytes(512 << 10), TOLD_AT)),
    "flush": ("flush", lambda c: c.send_request(CMD_FLUSH), lambda h: h.flush()),
}
NEGOTIATION = ("open", "get_size")
CONFIGURATION = ("config", "config_complete", "get_ready")
MAY_BE_MISSING = ("open", "close", "config_complete", "get_ready", "flush")


class Told(Server):
    """A server of disks/told.sh, its log and its gate."""

    def __init__(self, method, status):
        super().__init__("sh", TESTS + "/disks/told.sh", "now=1",
                         TOLD_METHOD=method, TOLD_STATUS=str(status))
        self.method = method
        self.environment["TOLD_DIR"] = self.dir + "/told"
        os.mkdir(self.dir + "/told")
        os.mkfifo(self.dir + "/told/gate")
        self.effect = EFFECTS.get(status, "none")
        self.errno = ERRNOS.get(status, EIO)
        if status == 2 and method in MAY_BE_MISSING:
            self.errno = 0

    def calls(self):
        return lines(self.dir + "/told/log")

    def begun(self, method):
        return sum(line.startswith("begin %s <" % method) for line in self.calls())

    def open_gate(self):
        open_gate(self.dir + "/told/gate")

    def check_end(self):
        """The server ends as it should, leaves nothing, and has called in the right order."""
        if self.effect != "shutdown":
            self.process.send_signal(signal.SIGTERM)
        same(self.wait(), 0, "exit status of the server")
        same(self.leftovers(), [], "what is left behind")
        check_order(self.calls())

    def __exit__(self, *args):
        gate = os.open(self.dir + "/told/gate", os.O_RDWR)
        super().__exit__(*args)
        os.close(gate)


def check_order(calls):
    """Each handle that an open gave out is closed once, after its last callback; unload is last."""
    handles = [call[len("end open <"):-1] for call in calls
               if re.match(r"end open <\w+-\d+>$", call)]
    for handle in handles:
        mine = [call.split()[:2] for call in calls if call.endswith("<%s>" % handle)]
        same(mine[0], ["end", "open"], "first line of handle " + handle)
        same(mine[-2:], [["begin", "close"], ["end", "close"]], "last lines of " + handle)
        same(mine.count(["begin", "close"]), 1, "times that close was called for " + handle)
    same(calls[-2:], ["begin unload <>", "end unload <>"], "last call")


def drained_ending(client):
    """How the connection ends, whatever comes before that."""
    try:
        client.receive(1 << 30)
    except Closed as closed:
        return closed.how
    raise AssertionError("unreachable: nobody sends that much")


def expect_bystander(server, bystander):
    """The other client notices nothing, unless the server ends."""
    if server.effect == "shutdown":
        assert nbd_errno(bystander.pread, 512, 0) != 0, "reads although the server has ended"
    else:
        same(len(bystander.pread(512, 0)), 512, "bytes that the bystander reads")
        bystander.shutdown()


def expect_reconnect(server):
    """The client that was refused or thrown out may come back."""
    if server.effect == "shutdown":
        return
    export = "other" if server.method in NEGOTIATION else "told"
    client = ready(server.sock, export=export)
    client.read(0, 512)
    client.disconnect()


def raw_transmission(server, request, _):
    bystander = libnbd(server.sock, "other")
    client = ready(server.sock, export="told")
    reads = server.begun("pread")
    slow = client.send_request(CMD_READ, SLOW_AT, 512)
    until(lambda: server.begun("pread") > reads, "the slow read to begin")
    told = request(client)
    if server.effect == "forced":
        client.ending()
        server.open_gate()
    else:
        reply = client.reply()
        same((reply.cookie, reply.error), (told, server.errno), "reply to the told request")
        expect_soft(server, client)
        server.open_gate()
        reply = client.reply()
        same((reply.cookie, reply.error), (slow, 0), "reply to the slow request")
        expect_after(server, client)
    if server.effect == "shutdown":
        same(server.wait(), 0, "exit status of the server")
    expect_bystander(server, bystander)
    expect_reconnect(server)


def expect_soft(server, client):
    """While the slow read still runs, a softly disconnected client's commands all fail."""
    if server.effect != "soft":
        return
    reads = server.begun("pread")
    same(client.errno(CMD_READ, 0, 512), ESHUTDOWN, "errno of a read after the soft disconnect")
    same(client.errno(CMD_WRITE, 0, 512, data=bytes(512)), ESHUTDOWN, "errno of a write")
    same(client.errno(CMD_FLUSH), ESHUTDOWN, "errno of a flush")
    same(server.begun("pread"), reads, "reads that reached the script")


def expect_after(server, client):
    """What the client can still do after a request that did not cost it the connection."""
    if server.effect == "shutdown":
        same(client.ending(), "eof", "how the connection ends")
        return
    same(client.errno(CMD_READ, 0, 512), 0 if server.effect == "none" else ESHUTDOWN,
         "errno of the next read")
    client.disconnect()


def libnbd_transmission(server, _, call):
    bystander = ready(server.sock, export="other")
    handle = libnbd(server.sock, "told")
    error = nbd_errno(call, handle)
    if server.effect == "forced":
        assert error != 0, "the told call succeeded"
        assert handle.aio_is_dead() or handle.aio_is_closed(), handle.connection_state()
    else:
        same(error, server.errno, "errno of the told call")
    if server.effect in ("none", "soft"):
        same(nbd_errno(handle.pread, 512, 0), 0 if server.effect == "none" else ESHUTDOWN,
             "errno of the next read")
        handle.shutdown()
        same(len(bystander.read(0, 512)), 512, "bytes that the bystander reads")
    if server.effect == "forced":
        bystander.read(0, 512)
    if server.effect == "shutdown":
        same(bystander.ending(), "eof", "how the bystander's connection ends")
    else:
        bystander.disconnect()
    expect_reconnect(server)


def raw_negotiation(server):
    bystander = libnbd(server.sock, "other")
    client = connect(server.sock)
    client.enter()
    client.negotiate_structured()
    if server.effect == "shutdown":
        client.send_option(OPT_GO, go_query("told"))
        drained_ending(client)
        same(server.wait(), 0, "exit status of the server")
    elif server.effect == "forced":
        client.send_option(OPT_GO, go_query("told"))
        client.ending()
    elif server.errno:
        client.refusal(OPT_GO, go_query("told"))
        client.abort()
    else:
        client.go("told")
        same(client.errno(CMD_READ, 0, 512), 0 if server.effect == "none" else ESHUTDOWN,
             "errno of the first read")
        client.disconnect()
    expect_bystander(server, bystander)
    expect_reconnect(server)


def libnbd_negotiation(server):
    bystander = ready(server.sock, export="other")
    if server.effect == "shutdown":
        # The reply may be on its way before the server has stopped; it is of no use then.
        assert nbd_errno(lambda: libnbd(server.sock, "told").pread(512, 0)) != 0, "a read worked"
    elif server.effect == "forced" or server.errno:
        assert nbd_errno(libnbd, server.sock, "told") != 0, "the client could connect"
    else:
        handle = libnbd(server.sock, "told")
        same(nbd_errno(handle.pread, 512, 0), 0 if server.effect == "none" else ESHUTDOWN,
             "errno of the first read")
        handle.shutdown()
    if server.effect == "shutdown":
        same(bystander.ending(), "eof", "how the bystander's connection ends")
    else:
        same(len(bystander.read(0, 512)), 512, "bytes that the bystander reads")
        bystander.disconnect()
    expect_reconnect(server)


def raw_close(server):
    bystander = libnbd(server.sock, "other")
    client = ready(server.sock, export="told")
    client.read(0, 512)
    client.send_request(CMD_DISC)
    # Thrown out in the end, a client on TLS is not told goodbye.
    assert client.ending() == "eof" or server.effect == "forced", "the connection was cut"
    until(lambda: "end close <told" in "".join(server.calls()), "close to be called")
    if server.effect == "shutdown":
        same(server.wait(), 0, "exit status of the server")
    expect_bystander(server, bystander)


def libnbd_close(server):
    bystander = ready(server.sock, export="other")
    handle = libnbd(server.sock, "told")
    handle.pread(512, 0)
    handle.shutdown()
    until(lambda: "end close <told" in "".join(server.calls()), "close to be called")
    if server.effect == "shutdown":
        same(bystander.ending(), "eof", "how the bystander's connection ends")
    else:
        same(len(bystander.read(0, 512)), 512, "bytes that the bystander reads")
        bystander.disconnect()


def configuration(server):
    if server.errno or server.effect == "forced":
        same(server.wait(), 1, "exit status of the server")
        assert server.method in server.log, "no message names the method:\n" + server.log
        same(server.leftovers(), [], "what is left behind")
        same(server.begun("open"), 0, "times that open was called")
    else:
        if server.effect != "shutdown":
            libnbd(server.sock, "other").shutdown()
        server.check_end()


def run_row(name):
    """Run one row, in a process of its own; None, or what went wrong."""
    kind, method, status, calls = ROWS[name]
    with Told(method, status) as server:
        try:
            server.start()
            kind(server, *calls)
            if kind is not configuration:
                server.check_end()
        except Exception:
            return "%s\nserver's log:\n%s\ncalls:\n%s" % (
                traceback.format_exc(), server.log, "\n".join(server.calls()))
    return None


def table():
    """Every row with its name."""
    for status in STATUSES:
        word = str(status) if isinstance(status, str) else "exit %d" % status
        for name, (method, *calls) in TRANSMISSION.items():
            yield "%s in %s, raw" % (word, name), (raw_transmission, method, status, calls)
            yield "%s in %s, libnbd" % (word, name), (libnbd_transmission, method, status, calls)
        for method in NEGOTIATION:
            yield "%s in %s, raw" % (word, method), (raw_negotiation, method, status, ())
            yield "%s in %s, libnbd" % (word, method), (libnbd_negotiation, method, status, ())
        yield "%s in close, raw" % word, (raw_close, "close", status, ())
        yield "%s in close, libnbd" % word, (libnbd_close, "close", status, ())
        for method in CONFIGURATION:
            yield "%s in %s" % (word, method), (configuration, method, status, ())


ROWS = dict(table())


def main():
    names = [name for name in ROWS if not sys.argv[1:] or re.search(sys.argv[1], name)]
    print("1..%d" % len(names), flush=True)
    with reader.make_pool(2) as pool:
        results = pool.map(run_row, names)
        for number, (name, problem) in enumerate(zip(names, results), 1):
            print("%s %d %s" % ("not ok" if problem else "ok", number, name), flush=True)
            for line in (problem or "").splitlines():
                print("# " + line, flush=True)


if __name__ == "__main__":
    reader.end_with(main)
