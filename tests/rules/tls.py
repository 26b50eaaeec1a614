# SPDX-License-Identifier: BSD-3-Clause
"""STARTTLS, from the client's side: with a server that requires TLS, and with one that offers it.

Which certificates and keys are good is for others to test; here any will do.
"""

import ssl

from rules.bench import *
from rules.book import SENSE, SHOULD, expect, rule

REQUIRED, OFFERED = "tls-required", "tls-offered"
FORCED, SELECTIVE = "FORCEDTLS mode", "SELECTIVETLS mode"
NEEDS_TLS = ((OPT_LIST, b""), (OPT_INFO, go_query("")), (OPT_GO, go_query("")),
             (OPT_STRUCTURED_REPLY, b""), (OPT_EXTENDED_HEADERS, b""), (99, b""), (99, b"data"),
             (OPT_LIST_META_CONTEXT, meta_query("")), (OPT_SET_META_CONTEXT, meta_query("")),
             (OPT_INFO, b"nonsense"), (OPT_GO, go_query("missing")), (OPT_PEEK_EXPORT, b""))


def secured(t, server=REQUIRED, **versions):
    """A Talk in option haggling, over TLS."""
    client = t.greeted(server=server)
    same(client.ask(OPT_STARTTLS), [], "replies before the ACK")
    client.start_tls(**versions)
    return client


def is_cut_off(client):
    """Whether the session ends, whatever alert comes before that."""
    try:
        while client.sock.recv(4096):
            pass
        return True
    except ConnectionError:
        return True
    except TimeoutError:
        return False


@rule("tls-forced-all", FORCED,
      "A server that requires TLS refuses every option but STARTTLS and ABORT with "
      "NBD_REP_ERR_TLS_REQD, those that it does not know included.")
def _(t):
    client = t.greeted(server=REQUIRED)
    for option, data in NEEDS_TLS:
        same(client.refusal(option, data), REP_ERR_TLS_REQD, "refusal of option %d" % option)


@rule("tls-forced-tells-nothing", "Option types: NBD_OPT_INFO and NBD_OPT_GO",
      "It does not tell anything about an export before that.")
def _(t):
    client = t.greeted(server=REQUIRED)
    for option in (OPT_INFO, OPT_GO):
        client.send_option(option, go_query("", INFO_NAME, INFO_BLOCK_SIZE))
        same(client.option_reply(option)[0], REP_ERR_TLS_REQD, "first reply")


@rule("tls-forced-export-name", FORCED,
      "EXPORT_NAME before TLS ends the session, as it cannot fail.")
def _(t):
    client = t.greeted(server=REQUIRED)
    client.send_option(OPT_EXPORT_NAME, b"")
    client.hangs_up()


@rule("tls-forced-abort", FORCED,
      "ABORT is acknowledged before TLS.")
def _(t):
    t.greeted(server=REQUIRED).abort()


@rule("tls-forced-ack", FORCED,
      "STARTTLS is answered with ACK, also after options that were refused; then comes TLS.")
def _(t):
    client = t.greeted(server=REQUIRED)
    client.refusal(OPT_LIST)
    client.refusal(OPT_GO, go_query(""))
    same(client.ask(OPT_STARTTLS), [], "replies before the ACK")
    client.start_tls()
    client.list_exports()


@rule("tls-with-data", "Option types: NBD_OPT_STARTTLS",
      "STARTTLS with data is refused with NBD_REP_ERR_INVALID, and may be asked again.")
def _(t):
    for server in (REQUIRED, OFFERED):
        client = t.greeted(server=server)
        same(client.refusal(OPT_STARTTLS, b"x"), REP_ERR_INVALID, "refusal")
        client.ask(OPT_STARTTLS)
        client.start_tls()
        client.go("")
        client.read(0, 512)


@rule("tls-twice", FORCED,
      "STARTTLS within TLS is refused with NBD_REP_ERR_INVALID.")
def _(t):
    client = secured(t)
    same(client.refusal(OPT_STARTTLS), REP_ERR_INVALID, "refusal")
    client.list_exports()


@rule("tls-twice-offered", SELECTIVE,
      "Where TLS is only offered, STARTTLS within TLS is refused with NBD_REP_ERR_INVALID, "
      "too.")
def _(t):
    same(secured(t, OFFERED).refusal(OPT_STARTTLS), REP_ERR_INVALID, "refusal")


@rule("tls-no-longer-required", FORCED,
      "Within TLS nothing is refused with NBD_REP_ERR_TLS_REQD.")
def _(t):
    for server in (REQUIRED, OFFERED):
        for option, data in NEEDS_TLS:
            client = secured(t, server)
            try:
                client.ask(option, data)
            except OptionError as error:
                expect(error.code != REP_ERR_TLS_REQD, "option %d needs TLS" % option)


@rule("tls-all-works", "Server-side requirements",
      "Within TLS all the rest works: options, structured replies, contexts, transmission.")
def _(t):
    for extended in (False, True):
        client = secured(t)
        if extended:
            client.negotiate_extended()
        else:
            client.negotiate_structured()
        client.set_meta("", "base:allocation")
        client.go("", INFO_NAME)
        client.write(0, b"secretly" * 512)
        same(client.read(0, 4096), b"secretly" * 512, "what was written")
        client.block_status(0, 4096)
        same(client.errno(CMD_READ, 1 << 50, 512), EINVAL, "errno beyond the end")


@rule("tls-export-name", FORCED,
      "Within TLS, EXPORT_NAME works.")
def _(t):
    client = secured(t)
    client.export_name("")
    client.read(0, 512)


@rule("tls-disc-close-notify", "Terminating the transmission phase",
      "After DISC the server closes the TLS session, and then the connection.")
def _(t):
    client = secured(t)
    client.go("")
    client.send_request(CMD_DISC)
    try:
        same(client.sock.recv(1), b"", "bytes after DISC")
    except ssl.SSLError:
        raise AssertionError("the connection was closed, the TLS session was not") from None


@rule("tls-abort", "Termination of the session during option haggling",
      "ABORT within TLS is acknowledged within TLS.")
def _(t):
    secured(t).abort()


@rule("tls-plain-after-ack", FORCED,
      "After the ACK everything is in TLS: a client that goes on in the clear gets no answer.")
def _(t):
    for server in (REQUIRED, OFFERED):
        client = t.greeted(server=server)
        client.ask(OPT_STARTTLS)
        client.send_option(OPT_LIST)
        client.send_option(OPT_GO, go_query(""))
        data = b""
        try:
            while len(data) < 1000:
                data += client.receive(1)
        except Closed:
            pass
        expect(struct.pack(">Q", OPT_REPLY_MAGIC) not in data, "it answered in the clear")


@rule("tls-injection", "Option types: NBD_OPT_STARTTLS",
      "What comes in the clear right behind STARTTLS, before its answer, is not obeyed after it.")
def _(t):
    for server in (REQUIRED, OFFERED):
        client = t.greeted(server=server)
        client.send(struct.pack(">QII", IHAVEOPT, OPT_STARTTLS, 0) +
                    struct.pack(">QII", IHAVEOPT, OPT_STRUCTURED_REPLY, 0))
        try:
            client.option_reply(OPT_STARTTLS)
            client.start_tls()
            client.go("")
            same(client.flags & SEND_DF, 0, "NBD_FLAG_SEND_DF, of what was injected")
        except (Closed, ConnectionError, ssl.SSLError):
            pass


@rule("tls-forgets-structured", "Option types: NBD_OPT_STARTTLS",
      "Structured replies that were negotiated before TLS are not in force in it.")
def _(t):
    client = t.haggling(server=OFFERED)
    client.ask(OPT_STARTTLS)
    client.start_tls()
    client.is_structured = False
    client.go("")
    same(client.flags & SEND_DF, 0, "NBD_FLAG_SEND_DF")
    client.read(0, 512)


@rule("tls-forgets-extended", "Option types: NBD_OPT_EXTENDED_HEADERS",
      "Extended headers that were negotiated before TLS are not in force in it.")
def _(t):
    client = t.haggling(extended=True, server=OFFERED)
    client.ask(OPT_STARTTLS)
    client.start_tls()
    client.is_structured = client.is_extended = False
    client.go("")
    client.read(0, 512)


@rule("tls-forgets-contexts", "Option types: NBD_OPT_STARTTLS",
      "Meta contexts that were selected before TLS are forgotten in it, though structured "
      "replies were negotiated again.")
def _(t):
    client = t.haggling(server=OFFERED)
    client.set_meta("", "base:allocation")
    client.ask(OPT_STARTTLS)
    client.start_tls()
    client.negotiate_structured()
    client.go("")
    same(client.errno(CMD_BLOCK_STATUS, 0, 512), EINVAL, "errno of a block status")


@rule("tls-negotiate-again", "Option types: NBD_OPT_STRUCTURED_REPLY",
      "What was negotiated before TLS can be negotiated again within it.")
def _(t):
    client = t.haggling(extended=True, server=OFFERED)
    client.ask(OPT_STARTTLS)
    client.start_tls()
    client.is_extended = False
    client.negotiate_structured()
    client.set_meta("", "base:allocation")
    client.go("")
    client.block_status(0, 512)


@rule("tls-handshake-fails", FORCED,
      "A TLS handshake that fails ends the session, and nothing else.")
def _(t):
    for garbage in (b"\x16\x03\x01\x00\x05hello", bytes(100), b"\xff" * 100,
                    b"\x15\x03\x03\x00\x02\x02\x28"):
        client = t.greeted(server=REQUIRED)
        client.ask(OPT_STARTTLS)
        client.send(garbage)
        client.sock.shutdown(socket.SHUT_WR)
        expect(is_cut_off(client), "the session goes on")
    secured(t).list_exports()


@rule("tls-handshake-abandoned", FORCED,
      "A client that leaves within the TLS handshake harms nobody.", SENSE)
def _(t):
    for length in (0, 1, 5, 6):
        client = t.greeted(server=REQUIRED)
        client.ask(OPT_STARTTLS)
        client.send(b"\x16\x03\x01\x02\x00\x01"[:length])
        client.vanish()
    secured(t).list_exports()


@rule("tls-handshake-silent", FORCED,
      "A client that falls silent within the TLS handshake holds up nobody.", SENSE)
def _(t):
    for _ in range(5):
        t.greeted(server=REQUIRED).ask(OPT_STARTTLS)
    secured(t).list_exports()


@rule("tls-needs-fixed", "Server-side requirements",
      "TLS needs fixed newstyle on both sides: without the client's flag STARTTLS is not "
      "acknowledged.")
def _(t):
    for server in (REQUIRED, OFFERED):
        client = t.greeted(NO_ZEROES, server)
        client.send_option(OPT_STARTTLS)
        try:
            expect(client.option_reply(OPT_STARTTLS)[0] & REP_ERROR_BIT, "it is acknowledged")
        except Closed:
            pass


@rule("tls-forced-without-fixed", FORCED,
      "A client without fixed newstyle gets nothing from a server that requires TLS.", SENSE)
def _(t):
    client = t.greeted(0, REQUIRED)
    client.send_option(OPT_EXPORT_NAME, b"")
    client.hangs_up()


@rule("tls-offered-not-used", SELECTIVE,
      "Where TLS is offered, a client may do without: nothing needs it on exports that do not.")
def _(t):
    for option, data in NEEDS_TLS:
        client = t.greeted(server=OFFERED)
        try:
            client.ask(option, data)
        except OptionError as error:
            expect(error.code != REP_ERR_TLS_REQD, "option %d needs TLS" % option)
    t.ready(server=OFFERED).read(0, 512)


@rule("tls-offered-any-time", SELECTIVE,
      "STARTTLS may come at any time in haggling.")
def _(t):
    client = t.haggling(server=OFFERED)
    client.list_exports()
    client.inform(OPT_INFO, "")
    client.refusal(99)
    same(client.ask(OPT_STARTTLS), [], "replies before the ACK")
    client.start_tls()
    client.inform(OPT_INFO, "")


@rule("tls-consistent", "Server-side requirements",
      "The mode does not change within a connection: what is refused stays refused.")
def _(t):
    client = t.greeted(server=REQUIRED)
    for _ in range(5):
        same(client.refusal(OPT_LIST), REP_ERR_TLS_REQD, "refusal")
        client.refusal(OPT_STARTTLS, b"x")


@rule("tls-1.2", "TLS versions",
      "TLS 1.2 works.")
def _(t):
    client = secured(t, maximum=ssl.TLSVersion.TLSv1_2)
    same(client.sock.version(), "TLSv1.2", "version")
    client.list_exports()


@rule("tls-1.3", "TLS versions",
      "TLS 1.3 works.", SHOULD)
def _(t):
    client = secured(t, minimum=ssl.TLSVersion.TLSv1_3)
    same(client.sock.version(), "TLSv1.3", "version")
    client.list_exports()


@rule("tls-in-pieces", FORCED,
      "TLS records may come in pieces of any size.", SENSE)
def _(t):
    client = t.greeted(server=REQUIRED)
    client.ask(OPT_STARTTLS)
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    tls = context.wrap_bio(inside, outside)

    def exchange(step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                for byte in outside.read():
                    client.sock.sendall(bytes([byte]))
                inside.write(client.sock.recv(4096))

    exchange(tls.do_handshake)
    tls.write(struct.pack(">QII", IHAVEOPT, OPT_ABORT, 0))
    same(exchange(lambda: tls.read(20)),
         struct.pack(">QIII", OPT_REPLY_MAGIC, OPT_ABORT, REP_ACK, 0), "reply")
