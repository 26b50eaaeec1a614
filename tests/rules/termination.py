# SPDX-License-Identifier: BSD-3-Clause
"""Ends: clients that leave without a word, and servers that are shut down."""

from rules.bench import *
from rules.book import SENSE, SHOULD, one_of, rule


@rule("eof-after-greeting", "Termination of the session during option haggling",
      "A client may close the connection before it has said anything.")
def _(t):
    for _ in range(10):
        client = t.connect()
        client.receive(18)
        client.close()


@rule("eof-in-haggling", "Termination of the session during option haggling",
      "A client that closes its side in haggling sees the server close the other one.")
def _(t):
    client = t.greeted()
    client.list_exports()
    client.sock.shutdown(socket.SHUT_WR)
    same(client.ending(), "eof", "how the connection ends")


@rule("eof-in-transmission", "Terminating the transmission phase",
      "A client that closes its side in transmission is answered what it had asked, and then sees "
      "the end.", SENSE)
def _(t):
    client = t.ready()
    cookies = {client.send_request(CMD_READ, 0, 4096) for _ in range(20)}
    client.sock.shutdown(socket.SHUT_WR)
    same(set(client.replies(20)), cookies, "cookies")
    same(client.ending(), "eof", "how the connection ends")


@rule("reset-in-transmission", "Terminating the transmission phase",
      "A hard disconnect by a client, with requests in flight, harms no other client.")
def _(t):
    other = t.ready()
    for _ in range(10):
        client = t.ready()
        for _ in range(20):
            client.send_request(CMD_READ, 0, 65536)
        client.vanish()
    other.read(0, 512)
    other.disconnect()


@rule("reset-closes-disk", "Terminating the transmission phase",
      "The disk of a client that vanished is closed.", SENSE)
def _(t):
    client = t.ready("tag=reset-closes-disk")
    client.read(0, 512)
    client.vanish()
    until(lambda: "close" in t.calls("reset-closes-disk"), "the disk to be closed")


@rule("server-does-not-leave", "Terminating the transmission phase",
      "The server does not end a connection that obeys the rules: it stays through errors and "
      "unknown commands.")
def _(t):
    client = t.ready()
    for kind in (99, CMD_READ, CMD_CACHE, CMD_BLOCK_STATUS, 1000):
        client.command(kind, 1 << 50, 512)
    client.read(0, 512)
    client.disconnect()


@rule("stop-answers-inflight", "Terminating the transmission phase",
      "A server that is shut down waits for requests in flight, and answers them.", SHOULD)
def _(t):
    server = t.server("plain#inflight")
    client = t.ready("gate,tag=inflight", server="plain#inflight")
    idle = t.ready(server="plain#inflight")
    slow = client.send_request(CMD_READ, 64 << 10, 512)
    until(lambda: "inflight read" in open(server.record).read(), "the read to begin")
    server.process.terminate()
    idle.ending()
    open(server.record + ".open", "w").close()
    reply = client.reply()
    same((reply.cookie, reply.error), (slow, 0), "cookie and errno of the read")
    same(client.ending(), "eof", "how the connection ends")
    same(server.wait(), 0, "exit status of the server")


@rule("stop-ends-idle", "Terminating the transmission phase",
      "A server that is shut down ends the connections of clients that ask nothing.", SENSE)
def _(t):
    server = t.server("plain#idle")
    clients = [t.ready(server="plain#idle"), t.haggling(server="plain#idle"),
               t.connect("plain#idle")]
    clients[2].receive(18)
    server.process.terminate()
    for client in clients:
        same(client.ending(), "eof", "how the connection ends")
    same(server.wait(), 0, "exit status of the server")


@rule("stop-refuses", "Terminating the transmission phase",
      "A request that comes after the shutdown began is answered with NBD_ESHUTDOWN, or not at "
      "all.", SHOULD)
def _(t):
    server = t.server("plain#refuses")
    client = t.ready(server="plain#refuses")
    server.process.terminate()
    try:
        while True:
            error = client.errno(CMD_READ, 0, 512)
            one_of(error, (0, ESHUTDOWN), "errno")
    except Closed:
        pass
    same(server.wait(), 0, "exit status of the server")
