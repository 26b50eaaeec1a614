# SPDX-License-Identifier: BSD-3-Clause
"""LIST_META_CONTEXT and SET_META_CONTEXT."""

from rules.bench import *
from rules.book import MAY, SENSE, SHOULD, Skip, expect, one_of, rule

LIST_META = "Option types: NBD_OPT_LIST_META_CONTEXT"
SET_META = "Option types: NBD_OPT_SET_META_CONTEXT"
ALLOCATION = "base:allocation"
BOTH = (OPT_LIST_META_CONTEXT, OPT_SET_META_CONTEXT)


def replies_of(client, option, name, *queries):
    """[(id, name)] of the contexts that are told."""
    contexts = []
    for kind, payload in client.ask(option, meta_query(name, *queries)):
        same(kind, REP_META_CONTEXT, "type of a reply before the ACK")
        expect(len(payload) > 4, "a context without a name")
        contexts.append((struct.unpack(">I", payload[:4])[0], payload[4:].decode()))
    return contexts


def with_contexts(t):
    """A Talk with structured replies, of a server that has base:allocation."""
    client = t.haggling()
    try:
        if ALLOCATION in client.list_meta(t.name()):
            return client
    except OptionError as error:
        same(error.code, REP_ERR_UNSUP, "refusal of LIST_META_CONTEXT")
    raise Skip("the server has no base:allocation")


@rule("meta-list-before-structured", LIST_META,
      "LIST_META_CONTEXT without structured replies is refused as invalid, or answered.", MAY)
def _(t):
    client = t.greeted()
    try:
        client.list_meta(t.name())
        return "answered"
    except OptionError as error:
        one_of(error.code, (REP_ERR_INVALID, REP_ERR_EXT_HEADER_REQD, REP_ERR_UNSUP), "refusal")
        return "refused"


@rule("meta-set-before-structured", SET_META,
      "SET_META_CONTEXT without structured replies is refused with NBD_REP_ERR_INVALID.", SHOULD)
def _(t):
    client = t.greeted()
    one_of(client.refusal(OPT_SET_META_CONTEXT, meta_query(t.name(), ALLOCATION)),
           (REP_ERR_INVALID, REP_ERR_EXT_HEADER_REQD, REP_ERR_UNSUP), "refusal")


@rule("meta-list-all", LIST_META,
      "Without a query, LIST_META_CONTEXT tells all contexts; base:allocation is one.")
def _(t):
    names = with_contexts(t).list_meta(t.name())
    same(names.count(ALLOCATION), 1, "times that base:allocation is named")


@rule("meta-list-wildcard", "The `base:` metadata namespace",
      "base: alone is a wildcard in LIST_META_CONTEXT.")
def _(t):
    same(with_contexts(t).list_meta(t.name(), "base:"), [ALLOCATION], "contexts")


@rule("meta-list-exact", LIST_META,
      "A query that names a context finds it.")
def _(t):
    same(with_contexts(t).list_meta(t.name(), ALLOCATION), [ALLOCATION], "contexts")


@rule("meta-list-several", LIST_META,
      "A context that several queries match is told once.", SENSE)
def _(t):
    same(with_contexts(t).list_meta(t.name(), "base:", ALLOCATION, "base:"), [ALLOCATION],
         "contexts")


@rule("meta-list-unknown-namespace", LIST_META,
      "Queries in a namespace that the server does not know are ignored, in a single ACK.")
def _(t):
    client = with_contexts(t)
    for query in ("x-nowhere:", "x-nowhere:leaf", "nbd-server:x", "\u65e5:x", "BASE:allocation"):
        same(client.list_meta(t.name(), query), [], "contexts for " + query)


@rule("meta-list-unknown-leaf", "The `base:` metadata namespace",
      "A leaf-name that is not known in base: is ignored, not an error.")
def _(t):
    client = with_contexts(t)
    for query in ("base:nothing", "base:allocatio", "base:allocation2", "base:ALLOCATION"):
        same(client.list_meta(t.name(), query), [], "contexts for " + query)


@rule("meta-list-id", LIST_META,
      "The ID in a reply to LIST_META_CONTEXT is 0.", SHOULD)
def _(t):
    client = with_contexts(t)
    for number, name in replies_of(client, OPT_LIST_META_CONTEXT, t.name()):
        same(number, 0, "ID of " + name)


@rule("meta-list-names", "Metadata querying",
      "Each name is a namespace, a colon, and more; and a string as all others.")
def _(t):
    for name in with_contexts(t).list_meta(t.name()):
        space, colon, _ = name.partition(":")
        expect(colon and space and space.isprintable() and " " not in space, "the name %r" % name)
        expect("\0" not in name and len(name.encode()) <= 4096, "the name %r" % name)
        expect(space in ("base", "nbd-server", "qemu") or space.startswith("x-"),
               "the namespace %r" % space)


@rule("meta-list-selects-nothing", LIST_META,
      "LIST_META_CONTEXT does not change what is selected.")
def _(t):
    client = with_contexts(t)
    client.set_meta(t.name(), ALLOCATION)
    client.list_meta(t.name(), "x-nowhere:")
    client.list_meta(t.name())
    client.go(t.name())
    client.block_status(0, 512)


@rule("meta-no-colon", LIST_META,
      "A query without a colon is refused as invalid, or ignored; it finds nothing.", MAY)
def _(t):
    client = with_contexts(t)
    notes = set()
    for option in BOTH:
        for query in ("base", "", "allocation"):
            try:
                same(replies_of(client, option, t.name(), query), [], "contexts")
                notes.add("ignored")
            except OptionError as error:
                same(error.code, REP_ERR_INVALID, "refusal")
                notes.add("refused")
    return " and ".join(sorted(notes))


@rule("meta-malformed", LIST_META,
      "Data that is not what its lengths say is refused with NBD_REP_ERR_INVALID.")
def _(t):
    client = with_contexts(t)
    name = counted(t.name())
    cases = [b"", b"\0", bytes(3), bytes(4), bytes(7),
             struct.pack(">I", 100) + b"short",
             struct.pack(">I", 0xFFFFFFFF) + bytes(4),
             name + struct.pack(">I", 1),
             name + struct.pack(">II", 1, 20) + b"base:",
             name + struct.pack(">II", 1, 0xFFFFFFFF) + b"base:allocation",
             name + struct.pack(">I", 2) + counted(ALLOCATION),
             name + struct.pack(">I", 0xFFFFFFFF) + counted(ALLOCATION)]
    for option in BOTH:
        for data in cases:
            same(client.refusal(option, data), REP_ERR_INVALID, "refusal of %r" % data)


@rule("meta-trailing-bytes", LIST_META,
      "Bytes behind the last query make it malformed, too.", SENSE)
def _(t):
    client = with_contexts(t)
    for option in BOTH:
        for data in (meta_query(t.name()) + b"x", meta_query(t.name(), ALLOCATION) + bytes(4)):
            same(client.refusal(option, data), REP_ERR_INVALID, "refusal of %r" % data)


@rule("meta-set-none", SET_META,
      "Without a query, SET_META_CONTEXT selects nothing.")
def _(t):
    same(with_contexts(t).set_meta(t.name()), {}, "contexts")


@rule("meta-set-one", SET_META,
      "SET_META_CONTEXT answers with each context that it selected, then ACK.")
def _(t):
    client = with_contexts(t)
    replies = replies_of(client, OPT_SET_META_CONTEXT, t.name(), ALLOCATION)
    same([name for _, name in replies], [ALLOCATION], "contexts")


@rule("meta-set-twice-in-one", SET_META,
      "A context that is named twice has one ID: IDs and contexts are one to one.")
def _(t):
    client = with_contexts(t)
    replies = replies_of(client, OPT_SET_META_CONTEXT, t.name(), ALLOCATION, ALLOCATION, "base:")
    same([name for _, name in replies], [ALLOCATION], "contexts")


@rule("meta-set-wildcard", "The `base:` metadata namespace",
      "base: alone is ignored by SET_META_CONTEXT.")
def _(t):
    client = with_contexts(t)
    same(client.set_meta(t.name(), "base:"), {}, "contexts")


@rule("meta-set-unknown", "The `base:` metadata namespace",
      "SET_META_CONTEXT ignores what it does not know and selects the rest.")
def _(t):
    client = with_contexts(t)
    names = client.set_meta(t.name(), "base:nothing", "x-nowhere:thing", ALLOCATION, "x-other:")
    same(list(names), [ALLOCATION], "contexts")


@rule("meta-set-empty-leaf", "Metadata querying",
      "A query that is a namespace and a colon selects nothing.", SHOULD)
def _(t):
    client = with_contexts(t)
    same(client.set_meta(t.name(), "base:", "x-nowhere:", "qemu:"), {}, "contexts")


@rule("meta-set-id", SET_META,
      "The ID that SET_META_CONTEXT told is the one in replies to block status.")
def _(t):
    client = t.ready(meta=True)
    reply = client.command(CMD_BLOCK_STATUS, 0, 512)
    same([number for number, _ in reply.extents], [client.context_id], "IDs")


@rule("meta-set-replaces", SET_META,
      "Each SET_META_CONTEXT replaces what was selected before: one without a query, and all is "
      "gone.")
def _(t):
    client = with_contexts(t)
    client.set_meta(t.name(), ALLOCATION)
    client.set_meta(t.name())
    client.go(t.name())
    same(client.errno(CMD_BLOCK_STATUS, 0, 512), EINVAL, "errno of a block status")


@rule("meta-set-fails-and-replaces", SET_META,
      "A SET_META_CONTEXT that fails, too, clears what was selected.")
def _(t):
    for data in (b"", bytes(3), meta_query(t.name(), ALLOCATION) + b"x", bytes(65537)):
        client = with_contexts(t)
        client.set_meta(t.name(), ALLOCATION)
        try:
            client.ask(OPT_SET_META_CONTEXT, data)
        except OptionError:
            client.go(t.name())
            same(client.errno(CMD_BLOCK_STATUS, 0, 512), EINVAL, "errno of a block status")


@rule("meta-set-again", SET_META,
      "SET_META_CONTEXT may come again; the last one counts.")
def _(t):
    client = with_contexts(t)
    client.set_meta(t.name())
    client.refusal(OPT_SET_META_CONTEXT, b"")
    client.set_meta(t.name(), ALLOCATION)
    client.go(t.name())
    client.block_status(0, 512)


@rule("meta-set-other-export", SET_META,
      "Contexts are selected for one export: GO for another one has none.")
def _(t):
    name = t.name("size=2M")
    client = with_contexts(t)
    client.set_meta(name, ALLOCATION)
    client.go(t.name("size=3M"))
    same(client.errno(CMD_BLOCK_STATUS, 0, 512), EINVAL, "errno of a block status")


@rule("meta-set-same-name", SET_META,
      "The export of GO is the one of SET_META_CONTEXT if the names are the same.")
def _(t):
    name = t.name("size=2M,name=\u65e5")
    client = with_contexts(t)
    client.set_meta(name, ALLOCATION)
    client.inform(OPT_INFO, t.name("size=3M"))
    client.go(name)
    client.block_status(0, 512)


@rule("meta-set-export-name", "Metadata querying",
      "EXPORT_NAME keeps the contexts of its export as GO does.")
def _(t):
    client = with_contexts(t)
    client.set_meta(t.name(), ALLOCATION)
    client.export_name(t.name())
    client.block_status(0, 512)


@rule("meta-set-missing-export", SET_META,
      "For an export that is not there the answer is an error, or a selection of no use.", MAY)
def _(t):
    name = t.name("missing")
    client = with_contexts(t)
    try:
        client.set_meta(name, ALLOCATION)
        note = "answered"
    except OptionError as error:
        one_of(error.code, (REP_ERR_UNKNOWN, REP_ERR_INVALID), "refusal")
        note = "refused"
    client.go(t.name())
    same(client.errno(CMD_BLOCK_STATUS, 0, 512), EINVAL, "errno of a block status")
    return note


@rule("meta-many-queries", LIST_META,
      "A thousand queries are answered, or refused with NBD_REP_ERR_TOO_BIG.", MAY)
def _(t):
    client = with_contexts(t)
    for option in BOTH:
        queries = ["x-nowhere:%d" % number for number in range(1000)] + [ALLOCATION]
        try:
            same([name for _, name in replies_of(client, option, t.name(), *queries)],
                 [ALLOCATION], "contexts")
        except OptionError as error:
            same(error.code, REP_ERR_TOO_BIG, "refusal")


@rule("meta-long-query", "Conventions",
      "A query of more than 4096 bytes is refused or ignored, and so is one that is not UTF-8 or "
      "has a NUL.", SENSE)
def _(t):
    client = with_contexts(t)
    for option in BOTH:
        for query in (b"base:" + b"x" * 4092, b"base:\xff", b"base:allocation\0", b"base:\0"):
            try:
                same(replies_of(client, option, t.name(), query), [], "contexts")
            except OptionError as error:
                one_of(error.code, (REP_ERR_INVALID, REP_ERR_TOO_BIG), "refusal")


@rule("meta-export-name-is-string", "Conventions",
      "Names of exports obey the same rules here: no NUL, 4096 bytes at most.")
def _(t):
    client = with_contexts(t)
    for option in BOTH:
        for name in (b"a\0b", b"name=" + b"x" * 4092):
            one_of(client.refusal(option, meta_query(name, ALLOCATION)),
                   (REP_ERR_INVALID, REP_ERR_TOO_BIG, REP_ERR_UNKNOWN), "refusal")


@rule("meta-refused", "Baseline",
      "A server without meta contexts refuses both options with NBD_REP_ERR_UNSUP.")
def _(t):
    client = t.haggling(server="nometa")
    for option in BOTH:
        same(client.refusal(option, meta_query(t.name(), ALLOCATION)), REP_ERR_UNSUP, "refusal")
    client.go(t.name())
    same(client.errno(CMD_BLOCK_STATUS, 0, 512), EINVAL, "errno of a block status")
