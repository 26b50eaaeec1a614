# SPDX-License-Identifier: BSD-3-Clause
"""A small NBD client that can also send what no polite client sends.

It owns nothing but one socket per Client.  Every wait is bounded: a server that says nothing
raises Silence, one that hangs up raises Closed.  Polite use:

    c = connect()              # the socket named by $SOCK, or connect("/path"), connect(port)
    c.handshake()
    c.read(0, 512)

Impolite use: c.greet(), c.send_option(), c.send_request(), c.send() and the reply parsers.
"""

import os
import select
import socket
import ssl
import struct
import time

BOUND_S = float(os.environ.get("BOUND_S", "10"))

NBDMAGIC = 0x4E42444D41474943
IHAVEOPT = 0x49484156454F5054
OPT_REPLY_MAGIC = 0x3E889045565A9
REQUEST_MAGIC = 0x25609513
SIMPLE_REPLY_MAGIC = 0x67446698
STRUCTURED_REPLY_MAGIC = 0x668E33EF
EXTENDED_REQUEST_MAGIC = 0x21E41C71
EXTENDED_REPLY_MAGIC = 0x6E8A278C
OLDSTYLE_MAGIC = 0x00420281861253

# Handshake flags, the server's and the client's.
FIXED_NEWSTYLE, NO_ZEROES = 1, 2

OPT_EXPORT_NAME, OPT_ABORT, OPT_LIST, OPT_PEEK_EXPORT, OPT_STARTTLS = 1, 2, 3, 4, 5
OPT_INFO, OPT_GO, OPT_STRUCTURED_REPLY, OPT_LIST_META_CONTEXT = 6, 7, 8, 9
OPT_SET_META_CONTEXT, OPT_EXTENDED_HEADERS = 10, 11

REP_ACK, REP_SERVER, REP_INFO, REP_META_CONTEXT = 1, 2, 3, 4
REP_ERROR_BIT = 1 << 31
(REP_ERR_UNSUP, REP_ERR_POLICY, REP_ERR_INVALID, REP_ERR_PLATFORM, REP_ERR_TLS_REQD,
 REP_ERR_UNKNOWN, REP_ERR_SHUTDOWN, REP_ERR_BLOCK_SIZE_REQD, REP_ERR_TOO_BIG,
 REP_ERR_EXT_HEADER_REQD) = [REP_ERROR_BIT + n for n in range(1, 11)]

INFO_EXPORT, INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE = 0, 1, 2, 3

(HAS_FLAGS, READ_ONLY, SEND_FLUSH, SEND_FUA, ROTATIONAL, SEND_TRIM, SEND_WRITE_ZEROES, SEND_DF,
 CAN_MULTI_CONN, SEND_RESIZE, SEND_CACHE, SEND_FAST_ZERO,
 BLOCK_STATUS_PAYLOAD) = [1 << n for n in range(13)]

CMD_READ, CMD_WRITE, CMD_DISC, CMD_FLUSH, CMD_TRIM = 0, 1, 2, 3, 4
CMD_CACHE, CMD_WRITE_ZEROES, CMD_BLOCK_STATUS, CMD_RESIZE = 5, 6, 7, 8
FLAG_FUA, FLAG_NO_HOLE, FLAG_DF, FLAG_REQ_ONE, FLAG_FAST_ZERO, FLAG_PAYLOAD_LEN = (
    1, 2, 4, 8, 16, 32)

CHUNK_DONE = 1
CHUNK_NONE, CHUNK_OFFSET_DATA, CHUNK_OFFSET_HOLE, CHUNK_BLOCK_STATUS = 0, 1, 2, 5
CHUNK_BLOCK_STATUS_EXT = 6
CHUNK_ERROR, CHUNK_ERROR_OFFSET = 32769, 32770

EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN = (
    1, 5, 12, 22, 28, 75, 95, 108)


class Closed(Exception):
    """The server hung up: how is "eof", "reset", "cut" (TLS without a goodbye) or an error of
    TLS, got is what came before."""

    def __init__(self, how, got=b""):
        super().__init__("connection ended (%s) after %d bytes of what was expected"
                         % (how, len(got)))
        self.how = how
        self.got = got


class Silence(Exception):
    """Nothing came within the bound."""


class OptionError(Exception):
    """An option was answered with an error; code is the NBD_REP_ERR_ number."""

    def __init__(self, code, text):
        super().__init__("option refused: error %d %r" % (code - REP_ERROR_BIT, text))
        self.code = code
        self.text = text


class Reply:
    """A whole reply: its cookie, its errno (0 for success), its data and its chunks."""

    def __init__(self, cookie, is_structured):
        self.cookie = cookie
        self.is_structured = is_structured
        self.error = 0
        self.text = ""
        self.data = b""
        self.error_offset = None
        self.chunks = []       # of (type, payload)
        self.flags = []        # of each chunk
        self.extents = []      # of (context id, [(length, flags), ...])

    def __repr__(self):
        return "Reply(cookie=%d, error=%d, %d bytes, chunks=%s)" % (
            self.cookie, self.error, len(self.data), [t for t, _ in self.chunks])


def same(actual, expected, what=""):
    """Assert equality and say what was seen."""
    if actual != expected:
        raise AssertionError("%s: got %r, expected %r" % (what or "value", actual, expected))


def until(condition, what, bound_s=None):
    """Poll until condition() is true; a bounded wait for an event that has no descriptor."""
    deadline = time.monotonic() + (bound_s or BOUND_S)
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Silence("waited in vain for %s" % what)
        time.sleep(0.005)


def open_socket(address):
    """address is a path, a port of the IPv4 loopback, or a (host, port) pair."""
    if isinstance(address, int):
        address = ("127.0.0.1", address)
    if isinstance(address, tuple):
        return socket.create_connection(address, timeout=BOUND_S)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(BOUND_S)
    sock.connect(address)
    return sock


def is_listening(address=None):
    """Whether a server takes clients; a socket in the file system may not have got so far."""
    try:
        open_socket(address if address is not None else os.environ["SOCK"]).close()
        return True
    except (FileNotFoundError, ConnectionRefusedError):
        return False


def connect(address=None):
    """A Client that is connected but has neither read nor sent anything."""
    return Client(open_socket(address if address is not None else os.environ["SOCK"]))


def ready(address=None, **options):
    """A Client in the transmission phase; options go to Client.handshake()."""
    client = connect(address)
    client.handshake(**options)
    return client


def meta_query(export, *queries):
    """The payload of LIST_META_CONTEXT and SET_META_CONTEXT."""
    data = counted(export) + struct.pack(">I", len(queries))
    return data + b"".join(counted(query) for query in queries)


def go_query(export, *infos):
    """The payload of GO and INFO."""
    return counted(export) + struct.pack(">H%dH" % len(infos), len(infos), *infos)


def counted(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack(">I", len(data)) + data


class Client:
    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(BOUND_S)
        self.server_flags = 0
        self.is_structured = False
        self.is_extended = False
        self.context_id = None
        self.size = None
        self.flags = 0
        self.info = {}
        self.pending = {}      # cookie -> (type, length)
        self.offsets = {}      # cookie -> offset
        self.partial = {}      # cookie -> Reply whose chunks are still coming
        self.next_cookie = 1

    # Bytes.

    def send(self, data):
        try:
            self.sock.sendall(data)
        except socket.timeout:
            raise Silence("the server does not read") from None
        except ssl.SSLError:
            raise BrokenPipeError("sent in vain") from None

    def receive(self, count):
        """Exactly count bytes; a tuple of Closed and Silence otherwise."""
        got = bytearray()
        while len(got) < count:
            try:
                more = self.sock.recv(min(count - len(got), 1 << 20))
            except socket.timeout:
                raise Silence("%d of %d bytes came" % (len(got), count)) from None
            except ssl.SSLError as error:
                # "cut": without TLS's goodbye.
                is_cut = error.reason in (None, "UNEXPECTED_EOF_WHILE_READING")
                raise Closed("cut" if is_cut else error.reason, bytes(got)) from None
            except ConnectionError:
                raise Closed("reset", bytes(got)) from None
            if not more:
                raise Closed("eof", bytes(got))
            got += more
        return bytes(got)

    def unpack(self, form):
        return struct.unpack(form, self.receive(struct.calcsize(form)))

    def is_readable(self, wait_s=0.0):
        """Whether something (bytes, or the end) can be read within wait_s."""
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return True
        return bool(select.select([self.sock], [], [], wait_s)[0])

    def ending(self):
        """How the connection ends, "eof" or "reset"; any byte that still comes is an error."""
        try:
            byte = self.receive(1)
        except Closed as closed:
            return closed.how
        raise AssertionError("the connection should have ended, but %r came" % byte)

    def close(self):
        self.sock.close()

    def vanish(self):
        """Close so that the server sees a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # Handshake.

    def greet(self, client_flags=FIXED_NEWSTYLE | NO_ZEROES):
        """Read the greeting and answer with client_flags (None: do not answer)."""
        magic, option_magic, self.server_flags = self.unpack(">QQH")
        same(magic, NBDMAGIC, "first magic")
        same(option_magic, IHAVEOPT, "second magic")
        if client_flags is not None:
            self.send(struct.pack(">I", client_flags))
        return self.server_flags

    def send_option(self, option, data=b"", magic=IHAVEOPT, length=None):
        self.send(struct.pack(">QII", magic, option, len(data) if length is None else length)
                  + data)

    def option_reply(self, option=None):
        """One reply: (type, data); option is what it must be about."""
        magic, about, kind, length = self.unpack(">QIII")
        same(magic, OPT_REPLY_MAGIC, "option reply magic")
        if option is not None:
            same(about, option, "option that the reply is about")
        return kind, self.receive(length)

    def ask(self, option, data=b"", **raw):
        """Send an option; its replies up to the ACK, or OptionError."""
        self.send_option(option, data, **raw)
        replies = []
        while True:
            kind, payload = self.option_reply(option)
            if kind & REP_ERROR_BIT:
                raise OptionError(kind, payload.decode(errors="replace"))
            if kind == REP_ACK:
                same(payload, b"", "payload of an ACK")
                return replies
            replies.append((kind, payload))

    def refusal(self, option, data=b"", **raw):
        """The error code that an option is answered with; success is a failure."""
        try:
            replies = self.ask(option, data, **raw)
        except OptionError as error:
            return error.code
        raise AssertionError("option %d was accepted: %r" % (option, replies))

    def abort(self):
        self.ask(OPT_ABORT)

    def list_exports(self):
        """A list of (name, description)."""
        exports = []
        for kind, payload in self.ask(OPT_LIST):
            same(kind, REP_SERVER, "reply to LIST")
            length = struct.unpack(">I", payload[:4])[0]
            exports.append((payload[4:4 + length].decode(), payload[4 + length:].decode()))
        return exports

    def negotiate_structured(self):
        same(self.ask(OPT_STRUCTURED_REPLY), [], "replies to STRUCTURED_REPLY")
        self.is_structured = True

    def negotiate_extended(self):
        same(self.ask(OPT_EXTENDED_HEADERS), [], "replies to EXTENDED_HEADERS")
        self.is_structured = self.is_extended = True

    def set_meta(self, export="", *queries):
        """A dict of context name -> id."""
        contexts = {}
        for kind, payload in self.ask(OPT_SET_META_CONTEXT, meta_query(export, *queries)):
            same(kind, REP_META_CONTEXT, "reply to SET_META_CONTEXT")
            contexts[payload[4:].decode()] = struct.unpack(">I", payload[:4])[0]
        self.context_id = contexts.get("base:allocation")
        return contexts

    def list_meta(self, export="", *queries):
        replies = self.ask(OPT_LIST_META_CONTEXT, meta_query(export, *queries))
        return [payload[4:].decode() for _, payload in replies]

    def inform(self, option, export="", *infos):
        """INFO or GO; fills in and returns a dict of info type -> payload."""
        self.info = {}
        for kind, payload in self.ask(option, go_query(export, *infos)):
            same(kind, REP_INFO, "reply to GO or INFO")
            self.info[struct.unpack(">H", payload[:2])[0]] = payload[2:]
        self.size, self.flags = struct.unpack(">QH", self.info[INFO_EXPORT])
        return self.info

    def go(self, export="", *infos):
        return self.inform(OPT_GO, export, *infos)

    def export_name(self, name="", padding=0):
        """The old way in; padding is how many zero bytes must follow the answer."""
        self.send_option(OPT_EXPORT_NAME, name if isinstance(name, bytes) else name.encode())
        self.size, self.flags = self.unpack(">QH")
        same(self.receive(padding), bytes(padding), "padding")

    def oldstyle(self):
        """Read all of oldstyle negotiation, to which a client has nothing to say."""
        magic, old_magic, self.size, flags = self.unpack(">QQQI")
        same(magic, NBDMAGIC, "first magic")
        same(old_magic, OLDSTYLE_MAGIC, "second magic")
        self.server_flags, self.flags = flags >> 16, flags & 0xffff
        same(self.receive(124), bytes(124), "padding")

    def wrap(self, folder, version=None):
        """Shake hands for TLS with the certificates of a folder, as libnbd wants them."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        context.load_verify_locations(folder + "/ca-cert.pem")
        if os.path.exists(folder + "/client-cert.pem"):
            context.load_cert_chain(folder + "/client-cert.pem", folder + "/client-key.pem")
        if version:
            context.minimum_version = context.maximum_version = version
        self.sock = context.wrap_socket(self.sock, suppress_ragged_eofs=False)

    def starttls(self, folder, version=None):
        same(self.ask(OPT_STARTTLS), [], "replies to STARTTLS")
        self.wrap(folder, version)

    def enter(self):
        """Greet, and begin TLS if $TLS_FOLDER wants that."""
        self.greet()
        if "TLS_FOLDER" in os.environ:
            self.starttls(os.environ["TLS_FOLDER"])

    def handshake(self, export="", structured=True, meta=False, extended=False):
        self.enter()
        if extended:
            self.negotiate_extended()
        elif structured:
            self.negotiate_structured()
        if meta:
            same(list(self.set_meta(export, "base:allocation")), ["base:allocation"], "contexts")
        self.go(export)

    # Transmission.

    def send_request(self, kind, offset=0, length=0, **raw):
        """Send a request and do not wait; returns its cookie.

        raw: flags, cookie, magic, data (what follows the header, whatever length says).  With
        extended headers, FLAG_PAYLOAD_LEN is set on a write; payload_len=True or False says
        otherwise."""
        cookie = raw.get("cookie", self.next_cookie)
        self.next_cookie = max(self.next_cookie, cookie) + 1
        self.pending[cookie] = (kind, length)
        self.offsets[cookie] = offset
        form, magic, flags = ">IHHQQI", REQUEST_MAGIC, raw.get("flags", 0)
        if self.is_extended:
            form, magic = ">IHHQQQ", EXTENDED_REQUEST_MAGIC
            if raw.get("payload_len", kind == CMD_WRITE):
                flags |= FLAG_PAYLOAD_LEN
        header = struct.pack(form, raw.get("magic", magic), flags, kind, cookie, offset, length)
        self.send(header + raw.get("data", b""))
        return cookie

    def send_write(self, offset, data, **raw):
        return self.send_request(CMD_WRITE, offset, len(data), data=data, **raw)

    def reply(self):
        """The next whole reply, of whichever request."""
        while True:
            magic = self.unpack(">I")[0]
            if self.is_extended:
                same(magic, EXTENDED_REPLY_MAGIC, "reply magic with extended headers")
            elif magic == SIMPLE_REPLY_MAGIC:
                return self.simple_reply()
            else:
                same(magic, STRUCTURED_REPLY_MAGIC, "reply magic")
                assert self.is_structured, "a structured reply that was not negotiated"
            done = self.chunk()
            if done:
                return done

    def simple_reply(self):
        error, cookie = self.unpack(">IQ")
        assert cookie in self.pending, "a reply to an unknown cookie %d" % cookie
        kind, length = self.pending.pop(cookie)
        assert not (self.is_structured and kind in (CMD_READ, CMD_BLOCK_STATUS)), \
            "a simple reply to a request that must get a structured one"
        reply = Reply(cookie, False)
        reply.error = error
        if kind == CMD_READ and not error:
            reply.data = self.receive(length)
        return reply

    def chunk(self):
        """Read one chunk behind its magic; the finished Reply with the last one, else None."""
        if self.is_extended:
            flags, kind, cookie, offset, length = self.unpack(">HHQQQ")
            same(offset, self.offsets.get(cookie), "offset in the header of a reply")
        else:
            flags, kind, cookie, length = self.unpack(">HHQI")
        payload = self.receive(length)
        assert cookie in self.pending, "a chunk for an unknown cookie %d" % cookie
        reply = self.partial.setdefault(cookie, Reply(cookie, True))
        reply.chunks.append((kind, payload))
        reply.flags.append(flags)
        if kind & 0x8000:
            reply.error, text_length = struct.unpack(">IH", payload[:6])
            reply.text = payload[6:6 + text_length].decode()
            rest = payload[6 + text_length:]
            same(len(rest), 8 if kind == CHUNK_ERROR_OFFSET else 0, "bytes behind the error's text")
            if rest:
                reply.error_offset = struct.unpack(">Q", rest)[0]
        if not flags & CHUNK_DONE:
            return None
        del self.partial[cookie]
        self.assemble(reply, *self.pending.pop(cookie), self.offsets.get(cookie))
        return reply

    @staticmethod
    def assemble(reply, kind, length, start):
        """Put the chunks of a successful reply together."""
        data = bytearray(length if kind == CMD_READ and not reply.error else 0)
        covered = []
        for chunk, payload in reply.chunks:
            if chunk == CHUNK_BLOCK_STATUS:
                pairs = struct.iter_unpack(">II", payload[4:])
                reply.extents.append((struct.unpack(">I", payload[:4])[0], list(pairs)))
            elif chunk == CHUNK_BLOCK_STATUS_EXT:
                context, count = struct.unpack(">II", payload[:8])
                triples = list(struct.iter_unpack(">QII", payload[8:]))
                assert count in (0, len(triples)), "a descriptor count of %d" % count
                same([padding for _, padding, _ in triples], [0] * len(triples), "padding")
                reply.extents.append((context, [(size, flags) for size, _, flags in triples]))
            elif chunk in (CHUNK_OFFSET_DATA, CHUNK_OFFSET_HOLE):
                offset = struct.unpack(">Q", payload[:8])[0]
                body = payload[8:]
                if chunk == CHUNK_OFFSET_HOLE:
                    body = bytes(struct.unpack(">I", body)[0])
                start = offset if start is None else start
                assert body, "an empty chunk"
                covered.append((offset - start, offset - start + len(body)))
                if not reply.error:
                    data[offset - start:offset - start + len(body)] = body
        covered.sort()
        for (_, end), (begin, _) in zip(covered, covered[1:]):
            assert end <= begin, "chunks of a read overlap: %r" % covered
        if covered:
            assert covered[0][0] >= 0 and covered[-1][1] <= length, "chunks outside of the request"
        if kind == CMD_READ and not reply.error:
            same(sum(end - begin for begin, end in covered), length,
                 "bytes covered by the chunks of a read")
        reply.data = bytes(data)

    def replies(self, count):
        """count replies in whatever order they come, as a dict by cookie."""
        got = [self.reply() for _ in range(count)]
        return {reply.cookie: reply for reply in got}

    def command(self, kind, offset=0, length=0, **raw):
        """Send one request and wait for its reply, whatever it says."""
        cookie = self.send_request(kind, offset, length, **raw)
        reply = self.reply()
        same(reply.cookie, cookie, "cookie of the reply")
        return reply

    def errno(self, kind, offset=0, length=0, **raw):
        """The errno that a request is answered with, 0 for success."""
        return self.command(kind, offset, length, **raw).error

    def read(self, offset, length, **raw):
        reply = self.command(CMD_READ, offset, length, **raw)
        same(reply.error, 0, "errno of a read")
        return reply.data

    def write(self, offset, data, **raw):
        same(self.command(CMD_WRITE, offset, len(data), data=data, **raw).error, 0,
             "errno of a write")

    def block_status(self, offset, length, **raw):
        """The extents of base:allocation: a list of (length, flags)."""
        reply = self.command(CMD_BLOCK_STATUS, offset, length, **raw)
        same(reply.error, 0, "errno of a block status")
        same([context for context, _ in reply.extents], [self.context_id], "context ids")
        return reply.extents[0][1]

    def disconnect(self):
        """Say goodbye as the protocol wants it and see the server hang up."""
        self.send_request(CMD_DISC)
        same(self.ending(), "eof", "how the server hangs up after DISC")
        self.close()
