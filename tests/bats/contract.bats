#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# One contract for plugins in all languages: these tests run once for each, as contract-c,
# contract-sh, contract-python, contract-ocaml and contract-rust, on the disk that
# tests/contract/README.md describes.

load common

: "${CONTRACT_LANGUAGE:=c}"
export CONTRACT_LANGUAGE

contract_py() {
    { echo 'from contract.served import *'; cat; } | py "$@"
}

# What can be told to end something, as requests that the raw client sends.
REQUESTS='
REQUESTS = {
    "pread": lambda client: client.send_request(CMD_READ, TOLD, SECTOR),
    "pwrite": lambda client: client.send_write(TOLD, bytes(SECTOR)),
    "flush": lambda client: client.send_request(CMD_FLUSH),
}
'

@test "the callbacks of start-up and end come in order, with their arguments" {
    contract_py <<'EOT'
with Disk("hello", "other=x y") as disk:
    libnbd(disk.sock, "plain").shutdown()
    disk.expect_stop()
    calls = [call for call in disk.calls() if call.split()[1] == LAST or call.split()[1] not in ("load", "unload")]
    start = ["config word hello", "config other x y", "config_complete", "thread_model",
             "get_ready", "after_fork", "preconnect false", "open plain false"]
    end = ["close plain", LAST]
    both = lambda methods: [line for method in methods for line in
                            ("begin " + method, "end " + method.split()[0])]
    same(calls[:len(start) * 2], both(start), "the first calls")
    same(calls[-len(end) * 2:], both(end), "the last calls")
    asked = {call.split()[1] for call in calls[len(start) * 2:-len(end) * 2]}
    same(sorted(asked - {"export_description"}),
         ["block_size", "can_cache", "can_extents", "can_fast_zero", "can_flush", "can_fua",
          "can_multi_conn", "can_trim", "can_write", "can_zero", "get_size", "is_rotational"],
         "what is asked")
EOT
}

@test "what the plugin says of itself is offered to clients" {
    contract_py <<'EOT'
import json
with Disk() as disk:
    out = subprocess.check_output(["nbdinfo", "--json", "nbd+unix:///plain?socket=" + disk.sock])
    export, = json.loads(out)["exports"]
    said = {key: export.get(key) for key in (
        "export-name", "description", "export-size", "is_rotational", "is_read_only", "can_cache",
        "can_fast_zero", "can_flush", "can_fua", "can_multi_conn", "can_trim", "can_zero",
        "block_size_minimum", "block_size_preferred", "block_size_maximum")}
    same(said, {"export-name": "plain", "description": "the export plain", "export-size": SIZE,
                "is_rotational": True, "is_read_only": False, "can_cache": True,
                "can_fast_zero": True, "can_flush": True, "can_fua": True, "can_multi_conn": True,
                "can_trim": True, "can_zero": True, "block_size_minimum": 1,
                "block_size_preferred": 4096, "block_size_maximum": SIZE})
    same("base:allocation" in export["contexts"], True, "extents")
    disk.expect_stop()
EOT
}

@test "exports are listed, described, and the default one is opened" {
    contract_py <<'EOT'
with Disk() as disk:
    client = connect(disk.sock)
    client.enter()
    same(client.list_exports(), [("plain", ""), ("told", "does what it is told")], "the list")
    client.abort()
    client = ready(disk.sock, export="")
    client.disconnect()
    disk.wait_for("end close")
    same(disk.count("begin default_export false false"), 1, "times that the default was asked for")
    same(disk.count("begin open plain false"), 1, "times that it was opened")
    disk.expect_stop()
EOT
}

@test "a client of a read-only server is told so, and so is the plugin" {
    contract_py <<'EOT'
with Disk("-r") as disk:
    client = ready(disk.sock, export="plain")
    same(client.errno(CMD_WRITE, 0, SECTOR, data=bytes(SECTOR)), EPERM, "errno of a write")
    client.disconnect()
    disk.wait_for("end close")
    same((disk.count("begin preconnect true"), disk.count("begin open plain true")), (1, 1),
         "calls that say read-only")
    disk.expect_stop()
EOT
}

@test "a parameter that the plugin does not know ends start-up with its message" {
    contract_py <<'EOT'
disk = Disk("wrong=1")
disk.start()
same(disk.wait(), 1, "exit status")
same(disk.errors("unknown parameter wrong"), 1, "messages")
same(disk.leftovers(), [], "what is left behind")
EOT
}

@test "what is written is read, in pieces of many sizes and by another client" {
    contract_py <<'EOT'
import random
with Disk() as disk:
    client, other = ready(disk.sock, export="plain"), ready(disk.sock, export="plain")
    model = bytearray(SIZE)
    chance = random.Random(5)
    for _ in range(60):
        length = chance.choice((1, 511, 512, 513, 4096, 65536, 100000))
        offset = chance.choice((chance.randrange(0, TOLD - 1), chance.randrange(DATA, HOLE)))
        length = min(length, (GATE if offset < GATE else HOLE) - offset)
        data = bytes(chance.choices(range(256), k=length))
        client.write(offset, data)
        model[offset:offset + length] = data
        assert other.read(offset, length) == data, "%d bytes at %d" % (length, offset)
    assert other.read(0, GATE - 1) == model[:GATE - 1], "the first part"
    assert other.read(DATA, HOLE - DATA) == model[DATA:HOLE], "the last part"
    client.disconnect()
    other.disconnect()
    disk.expect_stop()
EOT
}

@test "real clients write, read and verify" {
    contract_py <<'EOT'
with Disk() as disk:
    uri = "nbd+unix:///plain?socket=" + disk.sock
    subprocess.check_call(["qemu-io", "-f", "raw", "-d", "unmap", "-c", "write -P 5 384k 128k",
                           "-c", "flush", "-c", "read -P 5 384k 128k", "-c", "write -z 400k 8k",
                           "-c", "read -P 0 400k 8k", "-c", "discard 440k 4k",
                           "-c", "read -P 5 444k 8k", uri])
    handle = libnbd(disk.sock, "plain")
    same(bytes(handle.pread(8192, 440 << 10)), bytes(4096) + b"\5" * 4096, "after the discard")
    handle.shutdown()
    disk.expect_stop()
EOT
}

@test "many requests of many clients at once get their own data" {
    contract_py <<'EOT'
with Disk() as disk:
    clients = [ready(disk.sock, export="plain") for _ in range(6)]
    for i, client in enumerate(clients):
        for j in range(8):
            client.send_write((8 * i + j) * 512, bytes([1 + 8 * i + j]) * 512)
    for client in clients:
        same([reply.error for reply in client.replies(8).values()], [0] * 8, "errors of writes")
    for i, client in enumerate(clients):
        cookies = [client.send_request(CMD_READ, (8 * i + j) * 512, 512)
                   for j in range(8)]
        replies = client.replies(8)
        for j, cookie in enumerate(cookies):
            same(replies[cookie].data, bytes([1 + 8 * i + j]) * 512, "client %d, read %d" % (i, j))
        client.disconnect()
    disk.expect_stop()
EOT
}

# The numbers are Linux's: what a plugin says, and what the protocol has for it.
@test "each errno reaches the client, from each callback, and its text the log once" {
    contract_py <<'EOT'
KINDS = {"pread": CMD_READ, "pwrite": CMD_WRITE, "trim": CMD_TRIM, "zero": CMD_WRITE_ZEROES,
         "cache": CMD_CACHE}
with Disk() as disk:
    client = ready(disk.sock, export="plain")
    for number, expected in {1: 1, 5: 5, 12: 12, 22: 22, 27: 28, 28: 28, 30: 1, 75: 22, 95: 22,
                             108: 108, 122: 28}.items():
        for method, kind in KINDS.items():
            more = {"data": bytes(SECTOR)} if method == "pwrite" else {}
            before = disk.errors("told errno %d" % number)
            same(client.errno(kind, ERRNO + SECTOR * number, SECTOR, **more), expected,
                 "errno %d of %s" % (number, method))
            # A zero that is not supported becomes a write, which then fails.
            if (number, method) != (95, "zero"):
                same(disk.errors("told errno %d" % number) - before, 1,
                     "messages of errno %d of %s" % (number, method))
    # proto.md has these two for one kind of request each.
    same(client.errno(CMD_READ, ERRNO + SECTOR * 75, SECTOR, flags=FLAG_DF), 75, "EOVERFLOW")
    same(client.errno(CMD_WRITE_ZEROES, ERRNO + SECTOR * 95, SECTOR, flags=FLAG_FAST_ZERO), 95,
         "ENOTSUP")
    same(client.read(0, SECTOR), bytes(SECTOR), "a read after all that")
    client.disconnect()
    disk.expect_stop()
EOT
}

@test "flags reach the plugin" {
    contract_py <<'EOT'
with Disk() as disk:
    client = ready(disk.sock, export="plain", meta=True)
    client.write(0, b"x" * SECTOR, flags=FLAG_FUA)
    for kind, flags in ((CMD_TRIM, 0), (CMD_TRIM, FLAG_FUA), (CMD_WRITE_ZEROES, 0),
                        (CMD_WRITE_ZEROES, FLAG_NO_HOLE | FLAG_FUA),
                        (CMD_WRITE_ZEROES, FLAG_FAST_ZERO), (CMD_CACHE, 0)):
        same(client.errno(kind, 4096, SECTOR, flags=flags), 0, "errno of %s with %s" % (kind, flags))
    client.block_status(0, SECTOR, flags=FLAG_REQ_ONE)
    client.disconnect()
    disk.wait_for("end close")
    calls = [line.split()[1:] for line in disk.calls() if line.startswith("begin ")]
    calls = [words[:4] + [set(words[4].split(",")) if len(words) > 4 else set()] for words in calls]
    for call, flags in (("pwrite plain 512 0", {"fua"}), ("trim plain 512 4096", set()),
                        ("trim plain 512 4096", {"fua"}), ("zero plain 512 4096", {"may_trim"}),
                        ("zero plain 512 4096", {"fua"}),
                        ("zero plain 512 4096", {"may_trim", "fast"}),
                        ("cache plain 512 4096", set()), ("extents plain 512 0", {"req_one"})):
        assert call.split() + [flags] in calls, "not called: %s with %s" % (call, flags)
    disk.expect_stop()
EOT
}

@test "a fast zero is done or refused, trim and zero leave zeroes" {
    contract_py <<'EOT'
with Disk() as disk:
    client = ready(disk.sock, export="plain")
    for offset in (HOLE, ZERO):
        client.write(offset, b"x" * 4096)
    same(client.errno(CMD_WRITE_ZEROES, HOLE, SECTOR, flags=FLAG_FAST_ZERO), 0, "a fast zero")
    same(client.errno(CMD_WRITE_ZEROES, ZERO, SECTOR, flags=FLAG_FAST_ZERO), ENOTSUP, "refused")
    same(client.errno(CMD_TRIM, HOLE + SECTOR, SECTOR), 0, "a trim")
    same(client.errno(CMD_WRITE_ZEROES, ZERO + SECTOR, SECTOR), 0, "a zero")
    same(client.read(HOLE, 1536), bytes(1024) + b"x" * SECTOR, "after fast zero and trim")
    same(client.read(ZERO, 1536), b"x" * SECTOR + bytes(SECTOR) + b"x" * SECTOR, "after zero")
    client.disconnect()
    disk.expect_stop()
EOT
}

@test "extents are what the plugin says" {
    contract_py <<'EOT'
with Disk() as disk:
    handle = libnbd(disk.sock, "plain", meta=True)
    def status(count, offset):
        entries = []
        handle.block_status(count, offset, lambda name, start, pairs, error: entries.extend(pairs))
        return entries
    same(status(SIZE, 0), [HOLE, 0, ZERO - HOLE, 3, SIZE - ZERO, 2], "the whole disk")
    same(status(8192, ZERO - 4096)[:2], [4096, 3], "in the middle")
    handle.shutdown()
    disk.expect_stop()
EOT
}

@test "requests run in parallel, on one connection and on two" {
    contract_py <<'EOT'
with Disk() as disk:
    one, two = ready(disk.sock, export="plain"), ready(disk.sock, export="plain")
    cookies = disk.send_slow(one, 2)
    slow, = disk.send_slow(two)
    same(one.read(0, SECTOR), bytes(SECTOR), "a read meanwhile")
    disk.open_gate(3)
    same(sorted(one.replies(2)), sorted(cookies), "replies to the slow reads")
    same(two.reply().error, 0, "error of the other client's")
    one.disconnect()
    two.disconnect()
    disk.expect_stop()
EOT
}

@test "shutdown from pread, pwrite and flush: what is in flight ends, all clients are let go" {
    { echo "$REQUESTS"; cat; } <<'EOT' | contract_py
for method, request in REQUESTS.items():
    for result, errno in (("ok", 0), ("fail", ENOSPC)):
        with Disk(when=method, do="shutdown", result=result) as disk:
            client, other = ready(disk.sock, export="told"), ready(disk.sock, export="plain")
            slow, = disk.send_slow(client)
            cookie = request(client)
            expect(client, cookie, errno, method + ", the told request")
            same(other.ending(), "eof", "how the other client's connection ends")
            disk.open_gate()
            expect(client, slow, 0, method + ", the slow read")
            same(client.ending(), "eof", "how the connection ends")
            disk.expect_end()
EOT
}

@test "disconnect(0) from pread, pwrite and flush: what is in flight ends, the rest is refused" {
    { echo "$REQUESTS"; cat; } <<'EOT' | contract_py
for method, request in REQUESTS.items():
    for result, errno in (("ok", 0), ("fail", ENOSPC)):
        with Disk(when=method, do="soft", result=result) as disk:
            client, other = ready(disk.sock, export="told"), ready(disk.sock, export="plain")
            slow, = disk.send_slow(client)
            cookie = request(client)
            expect(client, cookie, errno, method + ", the told request")
            reads = disk.count("begin pread told")
            same(client.errno(CMD_READ, 0, SECTOR), ESHUTDOWN, "errno of the next read")
            same(client.errno(CMD_WRITE, 0, SECTOR, data=bytes(SECTOR)), ESHUTDOWN, "of a write")
            same(disk.count("begin pread told"), reads, "reads that reached the plugin")
            same(other.read(0, SECTOR), bytes(SECTOR), "what the other client reads")
            disk.open_gate()
            expect(client, slow, 0, method + ", the slow read")
            client.disconnect()
            client = ready(disk.sock, export="told")
            same(client.read(0, SECTOR), bytes(SECTOR), "what it reads when it comes again")
            client.disconnect()
            other.disconnect()
            disk.expect_stop()
EOT
}

@test "disconnect(1) from pread, pwrite and flush: no reply to anything, others go on" {
    { echo "$REQUESTS"; cat; } <<'EOT' | contract_py
for method, request in REQUESTS.items():
    for result in ("ok", "fail"):
        with Disk(when=method, do="forced", result=result) as disk:
            client, other = ready(disk.sock, export="told"), ready(disk.sock, export="plain")
            disk.send_slow(client)
            request(client)
            try:
                client.receive(1)
            except Closed as closed:
                same(closed.got if hasattr(closed, "got") else b"", b"", "what came before the end")
            else:
                raise AssertionError("a reply came")
            same(other.read(0, SECTOR), bytes(SECTOR), "what the other client reads")
            disk.open_gate()
            client = ready(disk.sock, export="told")
            same(client.read(0, SECTOR), bytes(SECTOR), "what it reads when it comes again")
            client.disconnect()
            other.disconnect()
            disk.expect_stop()
EOT
}

@test "shutdown from close ends the server; disconnect from close changes nothing" {
    contract_py <<'EOT'
for action in ("shutdown", "soft", "forced"):
    for result in ("ok", "fail"):
        with Disk(when="close", do=action, result=result) as disk:
            client, other = ready(disk.sock, export="told"), ready(disk.sock, export="plain")
            same(client.read(0, SECTOR), bytes(SECTOR), "a read")
            client.disconnect()
            if action == "shutdown":
                same(other.ending(), "eof", "how the other client's connection ends")
                disk.expect_end()
            else:
                disk.wait_for("begin close told")
                same(other.read(0, SECTOR), bytes(SECTOR), "what the other client reads")
                ready(disk.sock, export="plain").disconnect()
                other.disconnect()
                disk.expect_stop()
EOT
}

@test "one of several parallel requests shuts down, and all are answered" {
    contract_py <<'EOT'
def answer(client):
    reply = client.reply()
    return reply.cookie, reply.error
with Disk(when="pread", do="shutdown") as disk:
    client, other = ready(disk.sock, export="told"), ready(disk.sock, export="plain")
    slow = disk.send_slow(client, 3)
    others, = disk.send_slow(other)
    told = client.send_request(CMD_READ, TOLD, SECTOR)
    same(answer(client), (told, 0), "the told read")
    disk.open_gate(4)
    same(sorted(answer(client) for _ in slow), sorted((cookie, 0) for cookie in slow), "slow reads")
    same(answer(other), (others, 0), "the other client's slow read")
    same((client.ending(), other.ending()), ("eof", "eof"), "how the connections end")
    disk.expect_end()
EOT
}

@test "a failure in each request's callback is EIO and one message, and the client goes on" {
    contract_py <<'EOT'
KINDS = {"pread": CMD_READ, "pwrite": CMD_WRITE, "flush": CMD_FLUSH, "trim": CMD_TRIM,
         "zero": CMD_WRITE_ZEROES, "cache": CMD_CACHE, "extents": CMD_BLOCK_STATUS}
for method, kind in KINDS.items():
    with Disk(when=method, do="fail") as disk:
        client = ready(disk.sock, export="told", meta=True)
        more = {"data": bytes(SECTOR)} if method == "pwrite" else {}
        place = (0, 0) if method == "flush" else (TOLD, SECTOR)
        same(client.errno(kind, *place, **more), EIO, "errno of " + method)
        same(disk.errors("told to fail"), 1, "messages of " + method)
        same(client.read(0, SECTOR), bytes(SECTOR), "a read after it")
        client.disconnect()
        disk.expect_stop()
EOT
}

@test "a failure while a client comes refuses that client alone, with one message" {
    contract_py <<'EOT'
for method in ("open", "get_size", "block_size", "can_write", "can_flush", "can_trim", "can_zero",
               "can_fast_zero", "can_fua", "can_cache", "can_extents", "can_multi_conn",
               "is_rotational"):
    with Disk(when=method, do="fail") as disk:
        client = connect(disk.sock)
        client.enter()
        client.negotiate_structured()
        client.refusal(OPT_GO, go_query("told"))
        same(disk.errors("told to fail"), 1, "messages of " + method)
        client.go("plain")
        same(client.read(0, SECTOR), bytes(SECTOR), "a read after it")
        client.disconnect()
        disk.expect_stop()
EOT
}

@test "a failure of the callbacks about exports leaves the server serving" {
    contract_py <<'EOT'
with Disk(when="preconnect", do="fail") as disk:
    same(connect(disk.sock).ending(), "eof", "what a client sees")
    same(disk.errors("told to fail"), 1, "messages of preconnect")
    disk.expect_stop()
for method in ("list_exports", "default_export", "export_description"):
    with Disk(when=method, do="fail") as disk:
        client = connect(disk.sock)
        client.enter()
        client.negotiate_structured()
        if method == "list_exports":
            client.refusal(OPT_LIST)
        elif method == "default_export":
            client.refusal(OPT_GO, go_query(""))
        else:
            client.inform(OPT_INFO, "told", INFO_DESCRIPTION)
        same(disk.errors("told to fail"), 1, "messages of " + method)
        client.go("plain")
        same(client.read(0, SECTOR), bytes(SECTOR), "a read after it")
        client.disconnect()
        disk.expect_stop()
EOT
}

@test "a failure at start-up ends the server with status 1 and one message" {
    contract_py <<'EOT'
for method in ("config", "config_complete", "thread_model", "get_ready", "after_fork"):
    disk = Disk("word=x", when=method, do="fail")
    disk.start()
    same(disk.wait(), 1, "exit status, " + method)
    same(disk.errors("told to fail"), 1, "messages of " + method)
    same(disk.leftovers(), [], "what is left behind")
EOT
}

@test "a failure at the end is one message, and the server ends as always" {
    contract_py <<'EOT'
for method in ("close", LAST):
    with Disk(when=method, do="fail") as disk:
        client = ready(disk.sock, export="told")
        client.disconnect()
        disk.wait_for("begin close told")
        same(disk.stop(), 0, "exit status, " + method)
        same(disk.errors("told to fail"), 1, "messages of " + method)
        same(disk.leftovers(), [], "what is left behind")
EOT
}

@test "wrong answers are errors: a short read, a negative size, odd extents and block sizes" {
    contract_py <<'EOT'
for method, kind in (("pread", CMD_READ), ("extents", CMD_BLOCK_STATUS)):
    with Disk(when=method, do="wrong") as disk:
        client = ready(disk.sock, export="told", meta=True)
        same(client.errno(kind, TOLD, SECTOR), EIO, "errno of " + method)
        assert disk.errors(": error: ") > 0, "no message of " + method
        same(client.read(0, SECTOR), bytes(SECTOR), "a read after it")
        client.disconnect()
        disk.expect_stop()
for method in ("get_size", "block_size"):
    with Disk(when=method, do="wrong") as disk:
        client = connect(disk.sock)
        client.enter()
        client.negotiate_structured()
        client.refusal(OPT_GO, go_query("told"))
        assert disk.errors(": error: ") > 0, "no message of " + method
        client.go("plain")
        same(client.read(0, SECTOR), bytes(SECTOR), "a read after it")
        client.disconnect()
        disk.expect_stop()
EOT
}

@test "a server in the background serves and ends the same way" {
    contract_py <<'EOT'
disk = Disk()
command = [NBDLAB, "-U", disk.sock, "-P", disk.pidfile, *disk.args]
with open(disk.dir + "/log", "ab") as log:
    same(subprocess.call(command, env=disk.environment, stdin=subprocess.DEVNULL, stdout=log,
                         stderr=log), 0, "exit status of the start")
until(lambda: lines(disk.pidfile), "the pid file")
pid = int(lines(disk.pidfile)[0])
client, other = ready(disk.sock, export="told"), ready(disk.sock, export="plain")
slow, = disk.send_slow(client)
same(other.read(0, SECTOR), bytes(SECTOR), "a read")
disk.open_gate()
same(client.reply().error, 0, "error of the slow read")
other.write(0, b"w" * SECTOR)
same(client.read(0, SECTOR), b"w" * SECTOR, "what the other has written")
time_to_end(pid, lambda: os.kill(pid, signal.SIGTERM))
same((client.ending(), other.ending()), ("eof", "eof"), "how the connections end")
same(disk.leftovers(), [], "what is left behind")
same(disk.count("end " + LAST), 1, "times that the last callback was called")
shutil.rmtree(disk.dir)
EOT
}
