#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# What the command line lets clients negotiate: -o, --mask-handshake, --no-sr and --no-mc, as raw
# clients and real ones see it.

load common

# with ARGS...: the Python on standard input against a disk served with these options.
with() {
    serve "$@" memory 1M </dev/null
    py
    stop
}

@test "-o: size, flags and zeroes come at once, then simple replies" {
    for option in -o --oldstyle --old-style; do
        with "$option" <<'EOT'
client = connect()
client.oldstyle()
same((client.size, client.server_flags), (1 << 20, 0), "size and handshake flags")
same(client.flags & (HAS_FLAGS | SEND_FLUSH | SEND_DF), HAS_FLAGS | SEND_FLUSH, "flags")
client.write(512, b"o" * 512)
same(client.read(0, 1024), bytes(512) + b"o" * 512, "data")
same(client.errno(CMD_READ, 1 << 20, 1), EINVAL, "errno")
same(client.errno(CMD_READ, 0, 512, flags=FLAG_DF), EINVAL, "errno with DF")
same(client.errno(CMD_BLOCK_STATUS, 0, 512), EINVAL, "errno")
client.disconnect()
EOT
    done
}

@test "-o: the default export of the plugin, and no client if there is none" {
    disk named.sh <<'EOT'
#!/bin/sh
case $1 in
    default_export) echo "$DEFAULT" ;;
    open) [ "$3" = main ] || { echo ENOENT no such export >&2; exit 1; } ;;
    get_size) echo 64K ;;
    pread) head -c $3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    DEFAULT=main serve -o sh "$DIR/named.sh"
    py <<'EOT'
client = connect()
client.oldstyle()
same((client.size, client.flags & READ_ONLY), (65536, READ_ONLY), "size and flags")
same(client.read(65535, 1), b"\0", "data")
EOT
    stop
    DEFAULT=other serve -o sh "$DIR/named.sh"
    py <<<'connect().ending()'
    stop
    has "no such export"
}

@test "-o: real clients" {
    serve -o memory 1M
    py <<<'h = libnbd(); h.pwrite(b"x" * 512, 0); assert h.pread(512, 0) == b"x" * 512
same(h.get_protocol(), "oldstyle", "protocol")'
    run -0 nbdinfo --size "$URI"
    same "$output" 1048576
    stop
}

@test "--mask-handshake: flags that are not offered must not be used" {
    with --mask-handshake=0 <<'EOT'
client = connect()
same(client.greet(0), 0, "handshake flags")
client.export_name("", 124)
client.read(0, 512)
for flags in (1, 2, 3):
    client = connect()
    client.greet(flags)
    client.ending()
client = connect()
client.greet(0)
client.send_option(OPT_LIST)
client.ending()
same(libnbd().pread(512, 0), bytes(512), "data for libnbd")
same(libnbd().get_protocol(), "newstyle", "protocol")
EOT
    with --mask-handshake=1 <<'EOT'
client = connect()
same(client.greet(FIXED_NEWSTYLE), FIXED_NEWSTYLE, "handshake flags")
client.export_name("", 124)
client.read(0, 512)
client = connect()
client.greet(FIXED_NEWSTYLE | NO_ZEROES)
client.ending()
EOT
    with --mask-handshake=0xffff <<'EOT'
same(connect().greet(None), FIXED_NEWSTYLE | NO_ZEROES, "handshake flags")
EOT
}

@test "--no-sr: neither structured replies nor extended headers nor contexts" {
    for option in --no-sr --no-structured-replies; do
        with "$option" <<'EOT'
client = connect()
client.greet()
for number in (OPT_STRUCTURED_REPLY, OPT_EXTENDED_HEADERS):
    same(client.refusal(number), REP_ERR_UNSUP, "error")
same(client.refusal(OPT_SET_META_CONTEXT, meta_query("", "base:allocation")), REP_ERR_INVALID, "")
client.go()
same(client.flags & SEND_DF, 0, "DF")
same(client.command(CMD_READ, 0, 512).is_structured, False, "is structured")
handle = libnbd()
same(handle.get_structured_replies_negotiated(), False, "negotiated with libnbd")
same(handle.pread(512, 0), bytes(512), "data for libnbd")
EOT
    done
}

@test "--connections=1: no client is told that it may use several at once" {
    with --connections=1 <<'EOT'
client = ready()
same(client.flags & CAN_MULTI_CONN, 0, "multi-conn")
client.disconnect()
EOT
    with --connections=2 <<'EOT'
same(ready().flags & CAN_MULTI_CONN, CAN_MULTI_CONN, "multi-conn")
EOT
}

@test "--no-mc: no contexts, but structured replies and extended headers" {
    for option in --no-mc --no-meta-contexts; do
        with "$option" <<'EOT'
client = connect()
client.greet()
client.negotiate_structured()
for number in (OPT_SET_META_CONTEXT, OPT_LIST_META_CONTEXT):
    same(client.refusal(number, meta_query("", "base:allocation")), REP_ERR_UNSUP, "error")
client.negotiate_extended()
client.go()
same(client.flags & (SEND_DF | BLOCK_STATUS_PAYLOAD), SEND_DF, "flags")
same(client.errno(CMD_BLOCK_STATUS, 0, 512), EINVAL, "errno")
client.read(0, 512)
same(libnbd(meta=True).can_meta_context(nbd.CONTEXT_BASE_ALLOCATION), False, "with libnbd")
EOT
    done
}
