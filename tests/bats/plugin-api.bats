#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# What the server promises to C plugins: both API versions, thread models, defaults and emulation,
# errno, exit in the configuration phase, and the functions that plugins can call.

load common

plugin() {
    printf '%s/tests/plugins/%s.so\n' "$BUILD" "$1"
}

serve_plugin() {
    local name=$1
    shift
    rm -f "$DIR/calls"
    serve "$(plugin "$name")" log="$DIR/calls" "$@"
}

# calls [PATTERN]: the recorded lines that match, joined by "; ".
calls() {
    grep -E "${1:-.}" "$DIR/calls" | paste -sd';' | sed 's/;/; /g'
}

@test "API version 1: data callbacks without flags" {
    serve_plugin api1
    py <<'EOT'
client = ready()
same(client.flags, HAS_FLAGS | SEND_FLUSH | SEND_FUA | SEND_TRIM | SEND_WRITE_ZEROES | SEND_DF |
     SEND_FAST_ZERO, "flags")
client.write(4096, b"v1" * 256)
same(client.read(4096, 512), b"v1" * 256, "data")
client.write(0, b"fua", flags=FLAG_FUA)
same(client.errno(CMD_TRIM, 512, 1024), 0, "trim")
same(client.errno(CMD_WRITE_ZEROES, 4096, 512), 0, "zero that may trim")
same(client.errno(CMD_WRITE_ZEROES, 8192, 512, flags=FLAG_NO_HOLE), 0, "zero that may not")
same(client.errno(CMD_WRITE_ZEROES, 0, 512), 0, "zero that falls back")
same(client.errno(CMD_WRITE_ZEROES, 4096, 512, flags=FLAG_FAST_ZERO), ENOTSUP, "fast zero")
same(client.read(0, 512), bytes(512), "data after zero")
client.disconnect()
EOT
    stop
    same "$(calls)" "open 0; pwrite 512 4096; pread 512 4096; pwrite 3 0; flush; trim 1024 512; \
zero 512 4096 may_trim=1; zero 512 8192 may_trim=0; zero 512 0 may_trim=1; pwrite 512 0; \
pread 512 0; close"
    run -0 "$NBDLAB" "$(plugin api1)" --dump-plugin
    contains "$output" "api_version=1"
    contains "$output" "max_thread_model=serialize_all_requests"
    contains "$output" "has__zero_v1=1"
}

@test "API version 2: -r is passed to open, and no write reaches the plugin" {
    serve_plugin full -r
    py <<'EOT'
client = ready()
same(client.errno(CMD_WRITE, 0, 512, data=bytes(512)), EPERM, "write")
client.disconnect()
EOT
    stop
    same "$(calls 'open|pwrite')" "open 1 the default"
}

@test "defaults of a plugin that can only read" {
    serve "$(plugin bare)"
    py <<'EOT'
client = ready(meta=True)
same(client.flags, HAS_FLAGS | READ_ONLY | SEND_DF, "flags")
same(client.block_status(0, 1 << 20), [(1 << 20, 0)], "extents")
same(client.errno(CMD_CACHE, 0, 512), EINVAL, "cache")
same(client.read(0, 3), b"bbb", "data")
EOT
    stop
}

@test "defaults of a plugin that can read, write and flush" {
    serve_plugin writable
    py <<'EOT'
client = ready(meta=True)
same(client.flags, HAS_FLAGS | SEND_FLUSH | SEND_FUA | SEND_WRITE_ZEROES | SEND_DF
     | SEND_FAST_ZERO, "flags")
client.write(0, b"fua", flags=FLAG_FUA)
same(client.errno(CMD_WRITE_ZEROES, 512, 1024), 0, "zero")
same(client.errno(CMD_WRITE_ZEROES, 512, 1024, flags=FLAG_FUA), 0, "zero with FUA")
same(client.errno(CMD_WRITE_ZEROES, 512, 1024, flags=FLAG_FAST_ZERO), ENOTSUP, "fast zero")
same(client.errno(CMD_TRIM, 0, 512), EINVAL, "trim")
EOT
    same "$(calls)" "pwrite 3 0; flush; pwrite 1024 512; pwrite 1024 512; flush"
    stop
}

@test "a long zero is emulated by writes of bounded size that cover it exactly" {
    serve_plugin writable size=1G
    py <<'EOT'
client = ready()
same(client.errno(CMD_WRITE_ZEROES, 1000, 300 << 20, flags=FLAG_FUA), 0, "zero")
calls = [line.split() for line in lines(os.environ["DIR"] + "/calls")]
same(calls[-1], ["flush"], "the last call")
at = 1000
for name, count, offset in calls[:-1]:
    same((name, int(offset)), ("pwrite", at), "the next write")
    assert int(count) <= 64 << 20, count
    at += int(count)
same(at, 1000 + (300 << 20), "where the last write ends")
EOT
    stop
}

# The plugin is parallel, and one of two clients has it leave what it was lent as it has changed it.
# bats test_tags=tls
@test "what is lent to a plugin may be changed in place, and is nobody else's" {
    serve "$(plugin cipher)" script key=value
    py <<'EOT'
import threading
MIB = 1 << 20
failures = []

def use(export, start, byte):
    client = ready(export=export)
    data = bytes([byte]) * 1000
    for _ in range(5):
        same(client.errno(CMD_WRITE_ZEROES, start, 3 * MIB + 100), 0, "a long zero")
        same(client.errno(CMD_WRITE, start + MIB, 100000, data=data * 100), 0, "a long write")
        client.errno(CMD_WRITE_ZEROES, start + 2 * MIB, 512)
        parts = []
        client.send = parts.append
        for number in range(40):
            client.send_write(start + 2048 * number, data)
            client.send_request(CMD_WRITE_ZEROES, start + 2048 * number + 1000, 500)
        del client.send
        client.send(b"".join(parts))
        same([reply.error for reply in client.replies(80).values()], [0] * 80, "short ones")
        same(client.errno(CMD_CACHE, start, 3 * MIB), 0, "cache")
        expected = bytearray(3 * MIB + 100)
        expected[MIB:MIB + 100000] = data * 100
        for number in range(40):
            expected[2048 * number:2048 * number + 1000] = data
        same(client.read(start, len(expected)) == expected, True, "data of '%s'" % export)

def run(*args):
    try:
        use(*args)
    except BaseException as error:
        failures.append(error)

threads = [threading.Thread(target=run, args=args)
           for args in (("careless", 0, 0x11), ("", 4 * MIB, 0x22))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
same(failures, [], "failures")
client = connect()
client.enter()
same(client.inform(OPT_INFO, "careless", INFO_NAME)[INFO_NAME], b"careless", "its name, told")
EOT
    stop
}

@test "capabilities are asked once per connection and cached" {
    serve_plugin full
    py <<'EOT'
client = connect()
client.greet()
client.negotiate_structured()
for n in range(3):
    client.set_meta("", "base:allocation")
    client.inform(OPT_INFO, "", INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE)
client.list_exports()
client.go("", INFO_BLOCK_SIZE)
client.write(0, bytes(512), flags=FLAG_FUA)
for kind in (CMD_TRIM, CMD_WRITE_ZEROES, CMD_CACHE, CMD_BLOCK_STATUS):
    same(client.errno(kind, 0, 512), 0, "errno of command %d" % kind)
client.disconnect()
EOT
    stop
    for name in default_export open get_size can_write can_flush can_trim can_zero can_fast_zero \
        can_extents can_fua can_cache can_multi_conn is_rotational block_size close; do
        same "$name $(grep -c "^$name\b" "$DIR/calls")" "$name 1"
    done
}

@test "an error in a capability callback refuses the export, and close follows" {
    for name in can_write can_flush can_trim can_zero can_fast_zero can_extents can_fua can_cache \
        can_multi_conn is_rotational; do
        serve_plugin full "$name=-1"
        py "$name" <<'EOT'
client = connect()
client.greet()
client.negotiate_structured()
try:
    client.set_meta("", "base:allocation")
    client.go()
    # can_extents may be asked as late as the first BLOCK_STATUS.
    same(sys.argv[1], "can_extents", "the callback whose error may be seen later")
    same(client.errno(CMD_BLOCK_STATUS, 0, 512) != 0, True, "an error")
except OptionError:
    client.abort()
EOT
        has "told to fail in $name"
        stop
        same "$(grep -c '^open' "$DIR/calls")" "$(grep -c '^close' "$DIR/calls")"
    done
}

@test "FUA: native is passed on, emulated is a flush, none is not offered" {
    serve_plugin full can_fua=2
    py <<'EOT'
client = ready()
client.write(0, b"x", flags=FLAG_FUA)
same(client.errno(CMD_TRIM, 0, 512, flags=FLAG_FUA), 0, "trim")
same(client.errno(CMD_WRITE_ZEROES, 0, 512, flags=FLAG_FUA | FLAG_NO_HOLE), 0, "zero")
EOT
    same "$(calls '^(pwrite|trim|zero|flush)')" "pwrite 1 0 fua; trim 512 0 fua; zero 512 0 fua"
    stop
    serve_plugin full can_fua=1 can_flush=0
    py <<'EOT'
client = ready()
same(client.flags & (SEND_FUA | SEND_FLUSH), SEND_FUA, "flags")
client.write(0, b"x", flags=FLAG_FUA)
same(client.errno(CMD_TRIM, 0, 512, flags=FLAG_FUA), 0, "trim")
same(client.errno(CMD_WRITE_ZEROES, 0, 512, flags=FLAG_FUA), 0, "zero")
EOT
    same "$(calls '^(pwrite|trim|zero|flush)')" \
        "pwrite 1 0; flush; trim 512 0; flush; zero 512 0 may_trim; flush"
    stop
    serve_plugin full can_fua=0
    py <<'EOT'
client = ready()
same(client.flags & SEND_FUA, 0, "flags")
same(client.errno(CMD_WRITE, 0, 1, data=b"x", flags=FLAG_FUA), EINVAL, "write")
EOT
    same "$(calls '^(pwrite|flush)')" ""
    stop
}

@test "zero: falls back to pwrite on ENOTSUP and EOPNOTSUPP only, never for a fast zero" {
    for error in 95 28; do # EOPNOTSUPP, which is ENOTSUP here, and ENOSPC
        serve_plugin full zero=$error
        py $error <<'EOT'
client = ready()
falls_back = sys.argv[1] == "95"
same(client.errno(CMD_WRITE_ZEROES, 0, 512), 0 if falls_back else ENOSPC, "zero")
same(client.errno(CMD_WRITE_ZEROES, 0, 512, flags=FLAG_FAST_ZERO), int(sys.argv[1]), "fast zero")
EOT
        if [ $error -eq 95 ]; then
            same "$(calls '^(zero|pwrite)')" \
                "zero 512 0 may_trim; pwrite 512 0; zero 512 0 may_trim fast"
        else
            same "$(calls '^(zero|pwrite)')" "zero 512 0 may_trim; zero 512 0 may_trim fast"
        fi
        stop
    done
    serve_plugin full can_zero=0
    py <<'EOT'
client = ready()
same(client.errno(CMD_WRITE_ZEROES, 0, 512, flags=FLAG_FUA), 0, "zero")
EOT
    same "$(calls '^(zero|pwrite|flush)')" "pwrite 512 0 fua"
    stop
}

@test "zero: what the client sees of a fallback that fails is the errno of pwrite" {
    serve_plugin full zero=95 pwrite=28
    py <<'EOT'
same(ready().errno(CMD_WRITE_ZEROES, 0, 512), ENOSPC, "zero")
EOT
    same "$(calls '^(zero|pwrite)')" "zero 512 0 may_trim; pwrite 512 0"
    stop
}

@test "fast zero is refused where it is not offered" {
    serve_plugin full can_fast_zero=0
    py <<'EOT'
client = ready()
same(client.flags & SEND_FAST_ZERO, 0, "flags")
same(client.errno(CMD_WRITE_ZEROES, 0, 512, flags=FLAG_FAST_ZERO), EINVAL, "fast zero")
EOT
    same "$(calls '^(zero|pwrite)')" ""
    stop
}

@test "cache: none, emulated by pread, native" {
    for cache in 0 1 2; do
        serve_plugin full can_cache=$cache
        py $cache <<'EOT'
client = ready()
same(client.flags & SEND_CACHE, SEND_CACHE if sys.argv[1] != "0" else 0, "flags")
same(client.errno(CMD_CACHE, 512, 1024), 0 if sys.argv[1] != "0" else EINVAL, "cache")
EOT
        case $cache in
            0) same "$(calls '^(cache|pread)')" "" ;;
            1) same "$(calls '^(cache|pread)')" "pread 1024 512" ;;
            2) same "$(calls '^(cache|pread)')" "cache 1024 512" ;;
        esac
        stop
    done
}

@test "extents: used, ignored without can_extents, errors where they do not cover the request" {
    serve_plugin full
    py <<'EOT'
client = ready(meta=True)
same(client.block_status(0, 1 << 20), [(65536, 0), ((1 << 20) - 65536, 3)], "extents")
same(client.block_status(512, 512, flags=FLAG_REQ_ONE), [(512, 0)], "one extent")
EOT
    same "$(calls '^extents')" "extents 1048576 0; extents 512 512 req_one"
    stop
    serve_plugin full can_extents=0
    py <<'EOT'
same(ready(meta=True).block_status(0, 1 << 20), [(1 << 20, 0)], "extents")
EOT
    same "$(calls '^extents')" ""
    stop
    for mode in none gap late; do
        serve_plugin full extents=$mode
        py <<'EOT'
client = ready(meta=True)
assert client.errno(CMD_BLOCK_STATUS, 4096, 1 << 19) in (EIO, EINVAL)
client.read(0, 512)
EOT
        has "error:"
        stop
    done
}

@test "extents and exports: a plugin may make lists of its own" {
    serve "$(plugin lists)" -v
    py <<'EOT'
client = ready(meta=True)
KIB = 1024
same(client.block_status(100 * KIB, 100 * KIB), [(28 * KIB, 3), (64 * KIB, 0), (64 * KIB, 3)],
     "extents")
client = connect()
client.greet()
same(client.list_exports(), [("one", ""), ("two", "the second")], "exports")
EOT
    has "15 extents"
    has "nbdkit_extents_new: from 2 to 1 is no range of a disk"
    stop
}

@test "extents: types that do not exist are not sent" {
    serve_plugin full extents=wild
    py <<'EOT'
same(ready(meta=True).block_status(0, 1 << 20), [(1 << 20, 3)], "extents")
EOT
    stop
}

@test "exports: list_exports with the default export, names and descriptions interned" {
    serve_plugin full
    py <<'EOT'
client = connect()
client.greet()
same(client.list_exports(), [("one", "the first"), ("the default", "")], "exports")
for name, real in (("", "the default"), ("x", "x")):
    info = client.inform(OPT_INFO, name, INFO_NAME, INFO_DESCRIPTION)
    same(info[INFO_NAME].decode(), real, "name")
    same(info[INFO_DESCRIPTION].decode(), "describes '%s'" % real, "description")
EOT
    stop
}

@test "errno: ignored where it is not preserved, unless nbdkit_set_error was called" {
    serve "$(plugin bare)"
    py <<'EOT'
client = ready()
same(client.errno(CMD_READ, 65536, 512), EIO, "errno only")
same(client.errno(CMD_READ, 131072, 512), EPERM, "nbdkit_set_error")
same(client.errno(CMD_READ, 196608, 512), 0, "nbdkit_set_error in a call that succeeds")
same(client.errno(CMD_READ, 65536, 512), EIO, "errno only, after nbdkit_set_error")
EOT
    stop
}

@test "errno: used where it is preserved, nbdkit_error keeps it, nbdkit_set_error wins" {
    serve_plugin writable
    py <<'EOT'
client = ready()
for offset, error in ((65536, ENOSPC), (131072, EPERM), (196608, EIO), (262144, EIO), (0, 0)):
    same(client.errno(CMD_READ, offset, 512), error, "errno at %d" % offset)
EOT
    has "writable[1]: error: the disk is full: No space left on device"
    stop
}

# observe MODEL: many requests of three clients one after another or at once, then the maxima.
observe() {
    serve_plugin models model="$1"
    py "$1" <<'EOT'
model = sys.argv[1]
if model == "serialize_connections":
    first = ready()
    second = connect()
    same(second.is_readable(0.2), False, "a greeting for a second client")
    first.read(0, 512)
    first.disconnect()
    second.handshake()
    clients = [second]
else:
    clients = [ready() for _ in range(3)]
if model == "parallel":
    cookies = [clients[0].send_request(CMD_READ, 65536, 512) for _ in range(2)]
    same([r.error for r in clients[0].replies(2).values()], [0, 0], "two reads that meet")
if model == "serialize_requests":
    for client in clients[:2]:
        client.send_request(CMD_READ, 65536, 512)
    for client in clients[:2]:
        same(client.reply().error, 0, "two reads of two clients that meet")
for client in clients:
    for n in range(20):
        client.send_request(CMD_READ, 512 * n, 512)
for client in clients:
    replies = client.replies(20)
    same([reply.error for reply in replies.values()], [0] * 20, "errors")
    if model != "parallel":
        same(list(replies), sorted(replies), "order of the replies")
for client in clients:
    client.disconnect()
EOT
    stop
    run -0 "$NBDLAB" "$(plugin models)" model="$1" --dump-plugin
    contains "$output" "max_thread_model=parallel"
    contains "$output" "
thread_model=$1"
}

@test "thread model serialize_connections: one handle at a time" {
    observe serialize_connections
    same "$(calls)" "calls 1, of one handle 1, handles 1"
}

@test "thread model serialize_all_requests: one call at a time" {
    observe serialize_all_requests
    same "$(calls)" "calls 1, of one handle 1, handles 3"
}

@test "thread model serialize_requests: one call of each handle at a time" {
    observe serialize_requests
    contains "$(calls)" "of one handle 1, handles 3"
    not contains "$(calls)" "calls 1,"
}

@test "thread model parallel: several calls of one handle at a time" {
    observe parallel
    not contains "$(calls)" "of one handle 1,"
}

@test "thread model parallel: -t bounds the calls of one handle" {
    serve_plugin models -t 2
    py <<'EOT'
client = ready()
for n in range(40):
    client.send_request(CMD_READ, 512 * n, 512)
client.replies(40)
client.disconnect()
EOT
    stop
    contains "$(calls)" "calls 2, of one handle 2,"
}

@test "exit in the configuration phase: the status is the program's" {
    for status in 0 1 5 99; do
        TOOLBOX_EXIT_IN_LOAD=$status run -$status "$NBDLAB" -f -U "$SOCK" "$(plugin toolbox)"
        for method in config config_complete thread_model get_ready; do
            run -$status "$NBDLAB" -f -U "$SOCK" -P "$PIDFILE" "$(plugin toolbox)" exit=$method:$status
            [ ! -e "$SOCK" ]
            [ ! -e "$PIDFILE" ]
            run -$status "$NBDLAB" -U "$SOCK" "$(plugin toolbox)" exit=$method:$status
        done
    done
}

# try_function FUNCTION ARGUMENT RESULT
try_function() {
    run -0 --separate-stderr "$NBDLAB" -f -U "$SOCK" "$(plugin toolbox)" "$1=$2" exit=config_complete:0
    same "$1($2) $output" "$1($2) $1: $3"
    if [ "$3" = error ]; then contains "$stderr" "error:"; else same "$stderr" ""; fi
}

@test "nbdkit_parse_int and its family" {
    for function in int int8_t int16_t int32_t int64_t; do
        try_function $function 0 0
        try_function $function -1 -1
        try_function $function 0x7f 127
        try_function $function 010 8
        try_function $function -128 -128
    done
    for function in unsigned uint8_t uint16_t uint32_t uint64_t; do
        try_function $function 255 255
        try_function $function 0xff 255
        try_function $function -1 error
    done
    for function in int uint8_t int64_t; do
        for text in '' ' ' x 1x '1 2' 0x 09 1.5 --1; do
            try_function $function "$text" error
        done
    done
    try_function int8_t 128 error
    try_function int8_t -129 error
    try_function uint8_t 256 error
    try_function int16_t 32768 error
    try_function uint16_t 65535 65535
    try_function uint16_t 65536 error
    try_function int 2147483648 error
    try_function unsigned 4294967296 error
    try_function int64_t 9223372036854775807 9223372036854775807
    try_function int64_t 9223372036854775808 error
    try_function uint64_t 18446744073709551615 18446744073709551615
    try_function uint64_t 18446744073709551616 error
}

@test "nbdkit_parse_size, nbdkit_parse_bool and nbdkit_parse_probability" {
    for pair in 0:0 512:512 1k:1024 1K:1024 2M:2097152 1G:1073741824 1T:1099511627776 5s:2560 \
        10b:10 7E:8070450532247928832 9223372036854775807:9223372036854775807; do
        try_function size "${pair%:*}" "${pair#*:}"
    done
    for text in '' M -1 1MM 1Z 8E 9223372036854775808 '1 M' 0x10; do
        try_function size "$text" error
    done
    for text in 1 true TRUE t yes y on ON; do try_function bool $text 1; done
    for text in 0 false f no n off OFF; do try_function bool $text 0; done
    for text in '' 2 maybe truee -1; do try_function bool "$text" error; done
    for pair in 0=0 1=1 0.5=0.5 50%=0.5 100%=1 1:4=0.25 1e-3=0.001; do
        try_function probability "${pair%=*}" "${pair#*=}"
    done
    for text in '' -1 1:0 1:2:3 half 50%%; do try_function probability "$text" error; done
}

@test "paths, passwords, standard input and interned strings" {
    cd "$DIR"
    ln -s log link
    touch log
    try_function absolute_path /a/../b /a/../b
    try_function absolute_path no/such/file "$DIR/no/such/file"
    try_function realpath ./link "$(realpath "$DIR")/log"
    try_function realpath no/such/file error
    try_function password secret secret
    try_function password '' ''
    printf 'from a file\n' >"$DIR/password"
    try_function password "+$DIR/password" "from a file"
    try_function password +no/such/file error
    try_function password -0 error
    try_function password -2 error
    run -0 "$NBDLAB" -f "$(plugin toolbox)" password=-9 exit=config_complete:0 9<"$DIR/password"
    same "$output" "password: from a file"
    try_function stdio_safe 1 1
    run -0 --separate-stderr "$NBDLAB" -f "$(plugin toolbox)" password=- </dev/null
    contains "$stderr" "error:"
    try_function strdup_intern "a string" "a string"
    try_function strndup_intern "a string" "a s"
    try_function printf_intern "a string" "<a string>"
}

@test "nbdkit_peer_name and the others over a Unix socket" {
    serve "$(plugin peer)"
    py <<'EOT'
client = ready(export="some name")
text = client.read(0, client.size).decode().splitlines()
same(text, ["unix", "pid %d" % os.getpid(), "uid %d" % os.getuid(), "gid %d" % os.getgid(),
            "export <some name>", "tls 0"], "what the plugin learned")
EOT
    stop
}

@test "nbdkit_peer_name and the others over TCP" {
    start_bare -f -p 0 -i 127.0.0.1 -P "$PIDFILE" "$(plugin peer)"
    wait_ready
    py "$(cat "$DIR/out")" <<'EOT'
client = connect(int(sys.argv[1]))
host, port = client.sock.getsockname()
client.handshake()
text = client.read(0, client.size).decode().splitlines()
same(text, ["ip4 127.0.0.1 %d" % port, "pid -1", "uid -1", "gid -1", "export <>", "tls 0"],
     "what the plugin learned")
EOT
    stop
}

@test "nbdkit_nanosleep sleeps, and is woken when the server stops" {
    serve_plugin sleeper
    py <<'EOT'
client = ready()
client.read(0, 512)
client.send_request(CMD_READ, 65536, 512)
until(lambda: "begin 65536" in lines(os.environ["DIR"] + "/calls"), "the sleep to begin")
expect_prompt_end(lambda: os.kill(int(os.environ["SERVER"]), 15))
same(client.reply().error, ESHUTDOWN, "errno of the read that slept")
EOT
    wait_exit
    same "$(calls 'begin|end|unload')" "begin 0; end 0: 0; begin 65536; end 65536: -1; unload"
}

@test "nbdkit_stop_fd wakes a plugin that waits in poll" {
    serve_plugin sleeper
    py <<'EOT'
client = ready()
client.send_request(CMD_READ, 131072, 512)
until(lambda: "begin 131072" in lines(os.environ["DIR"] + "/calls"), "the poll to begin")
expect_prompt_end(lambda: os.kill(int(os.environ["SERVER"]), 15))
same(client.reply().error, 0, "errno of the read")
EOT
    wait_exit
    same "$(calls 'begin|end|unload')" "begin 131072; end 131072: 0; unload"
}

# sleep_until_client LEAVES: a client whose read sleeps is thrown out, closes or vanishes.
sleep_until_client() {
    serve_plugin sleeper
    py "$1" <<'EOT'
path = os.environ["DIR"] + "/calls"
client = ready()
client.send_request(CMD_READ, 65536, 512)
until(lambda: "begin 65536" in lines(path), "the sleep to begin")
if sys.argv[1] == "thrown out":
    client.send_write(0, bytes(512))
    client.ending()
else:
    getattr(client, sys.argv[1])()
until(lambda: "close" in lines(path), "close")
EOT
    same "$(calls)" "begin 65536; end 65536: -1; close"
    stop
}

@test "nbdkit_nanosleep is woken when its client is thrown out" {
    sleep_until_client "thrown out"
}

@test "nbdkit_nanosleep is woken when its client hangs up" {
    sleep_until_client close
}

@test "nbdkit_nanosleep is woken when its client vanishes" {
    sleep_until_client vanish
}

@test "--dump-plugin and --help show what the plugin says of itself" {
    run -0 "$NBDLAB" "$(plugin full)" --dump-plugin
    for line in name=full version=7.8.9 api_version=2 thread_model=parallel has_extents=1 \
        has_list_exports=1 has_block_size=1 has_can_fast_zero=1; do
        contains "
$output
" "
$line
"
    done
    run -0 "$NBDLAB" "$(plugin full)" --help
    contains "$output" "the full plugin"
    contains "$output" "has every callback"
    contains "$output" "log=FILE"
    run -0 "$NBDLAB" "$(plugin full)" --version
    contains "$output" "full 7.8.9"
}

@test "a plugin with unset required members is refused" {
    for member in name open get_size pread; do
        sed "/\\.$member = bare_$member\\|\\.$member = \"bare\"/d" "$TESTS/plugins/bare.c" >"$DIR/x.c"
        gcc -w -fPIC -shared -I "$TESTS/../include" -o "$DIR/x.so" "$DIR/x.c"
        run -1 "$NBDLAB" -f -U "$SOCK" "$DIR/x.so"
        contains "$output" "$member"
    done
    sed 's/"bare"/"no blanks"/' "$TESTS/plugins/bare.c" >"$DIR/x.c"
    gcc -w -fPIC -shared -I "$TESTS/../include" -o "$DIR/x.so" "$DIR/x.c"
    run -1 "$NBDLAB" -f -U "$SOCK" "$DIR/x.so"
    contains "$output" ".name"
}

@test "a plugin compiled against a shorter struct loads" {
    sed 's/NBDKIT_REGISTER_PLUGIN(plugin)//' "$TESTS/plugins/bare.c" >"$DIR/x.c"
    cat >>"$DIR/x.c" <<'EOT'
#include <stddef.h>
struct nbdkit_plugin *plugin_init(void);
struct nbdkit_plugin *plugin_init(void)
{
    /* As if the header had ended before can_multi_conn; what follows is not for the server. */
    plugin._struct_size = offsetof(struct nbdkit_plugin, can_multi_conn);
    plugin._api_version = 2;
    plugin._thread_model = THREAD_MODEL;
    memset((char *)&plugin + plugin._struct_size, 0x5a, sizeof plugin - plugin._struct_size);
    return &plugin;
}
EOT
    gcc -Wall -Werror -fPIC -shared -I "$TESTS/../include" -o "$DIR/x.so" "$DIR/x.c"
    serve "$DIR/x.so"
    py <<<'same(ready(meta=True).read(0, 3), b"bbb", "data")'
    stop
}

@test "a plugin compiled for nbdkit 1.0 loads: what its struct lacks is nothing" {
    cat >"$DIR/old.c" <<'EOT'
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* All members that there were. */
struct old_plugin {
    uint64_t struct_size;
    int api_version, thread_model;
    const char *name, *longname, *version, *description;
    void (*load)(void);
    void (*unload)(void);
    int (*config)(const char *, const char *);
    int (*config_complete)(void);
    const char *config_help;
    void *(*open)(int);
    void (*close)(void *);
    int64_t (*get_size)(void *);
    int (*can_write)(void *);
    int (*can_flush)(void *);
    int (*is_rotational)(void *);
    int (*can_trim)(void *);
    int (*pread)(void *, void *, uint32_t, uint64_t);
    int (*pwrite)(void *, const void *, uint32_t, uint64_t);
    int (*flush)(void *);
    int (*trim)(void *, uint32_t, uint64_t);
};
static char disk[1 << 20];
static void *old_open(int readonly) { return readonly ? disk : disk; }
static int64_t old_get_size(void *handle) { return handle ? sizeof disk : 0; }
static int old_pread(void *handle, void *buffer, uint32_t count, uint64_t offset)
{
    memcpy(buffer, (char *)handle + offset, count);
    return 0;
}
static int old_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset)
{
    memcpy((char *)handle + offset, buffer, count);
    return 0;
}
/* What follows the struct is not for the server. */
static struct { struct old_plugin plugin; char trap[512]; } all = {
    { SIZE, 1, 1, .name = "old", .open = old_open, .get_size = old_get_size, .pread = old_pread,
      .pwrite = old_pwrite }, { 0 }
};
struct old_plugin *plugin_init(void);
struct old_plugin *plugin_init(void)
{
    memset((char *)&all + SIZE, 0x5a, sizeof all - SIZE);
    return &all.plugin;
}
EOT
    local size
    for size in 'sizeof(struct old_plugin)' 'offsetof(struct old_plugin, flush)'; do
        gcc -Wall -Werror -fPIC -shared "-DSIZE=$size" -o "$DIR/old.so" "$DIR/old.c"
        serve "$DIR/old.so"
        py <<'EOT'
client = ready(meta=True)
same(client.flags, HAS_FLAGS | SEND_WRITE_ZEROES | SEND_DF | SEND_FAST_ZERO, "flags")
client.write(4096, b"old" * 512)
same(client.errno(CMD_WRITE_ZEROES, 4608, 512), 0, "zero, written")
same(client.read(4096, 1536), b"".join([(b"old" * 512)[:512], bytes(512), (b"old" * 512)[1024:]]),
     "data")
same(client.block_status(0, 512), [(512, 0)], "extents")
EOT
        stop
    done
    run -0 "$NBDLAB" "$DIR/old.so" --dump-plugin
    contains "$output" "has__pwrite_v1=1"
    gcc -fPIC -shared '-DSIZE=offsetof(struct old_plugin, pread)' -o "$DIR/old.so" "$DIR/old.c"
    run -1 "$NBDLAB" "$DIR/old.so"
    contains "$output" "it has no .pread callback"
    gcc -fPIC -shared '-DSIZE=offsetof(struct old_plugin, open)' -o "$DIR/old.so" "$DIR/old.c"
    run -1 "$NBDLAB" "$DIR/old.so"
    contains "$output" "too small"
}

@test "a plugin of an API version to come is refused" {
    sed 's/NBDKIT_REGISTER_PLUGIN(plugin)//' "$TESTS/plugins/bare.c" >"$DIR/x.c"
    cat >>"$DIR/x.c" <<'EOT'
struct nbdkit_plugin *plugin_init(void);
struct nbdkit_plugin *plugin_init(void)
{
    plugin._struct_size = sizeof plugin;
    plugin._api_version = 3;
    plugin._thread_model = THREAD_MODEL;
    return &plugin;
}
EOT
    gcc -Wall -Werror -fPIC -shared -I "$TESTS/../include" -o "$DIR/x.so" "$DIR/x.c"
    run -1 "$NBDLAB" -f -U "$SOCK" "$DIR/x.so"
    contains "$output" "API version"
}

@test "a C++ plugin" {
    command -v g++ >/dev/null || skip "there is no g++"
    cat >"$DIR/x.cc" <<'EOT'
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>
#include <cstring>
#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL
static void *cxx_open(int) { return NBDKIT_HANDLE_NOT_NEEDED; }
static int64_t cxx_get_size(void *) { return 1 << 20; }
static int cxx_pread(void *, void *buffer, uint32_t count, uint64_t, uint32_t)
{
    std::memset(buffer, 'c', count);
    return 0;
}
namespace {
nbdkit_plugin create_plugin()
{
    nbdkit_plugin made = nbdkit_plugin();
    made.name = "cxx";
    made.open = cxx_open;
    made.get_size = cxx_get_size;
    made.pread = cxx_pread;
    return made;
}
}
static struct nbdkit_plugin plugin = create_plugin();
NBDKIT_REGISTER_PLUGIN(plugin)
EOT
    g++ -Wall -Wextra -Werror -fPIC -shared -I "$TESTS/../include" -o "$DIR/x.so" "$DIR/x.cc"
    serve "$DIR/x.so"
    py <<<'same(ready().read(0, 3), b"ccc", "data")'
    stop
}

@test "a failure without a message, a result of 5, a size of no whole blocks: one hint for each" {
    serve "$BUILD/tests/plugins/silent.so"
    py <<'EOT'
for _ in range(2):
    client = ready()
    same(client.read(0, 512), b"x" * 512, "data")
    same([client.errno(CMD_FLUSH) for _ in range(2)], [EIO, EIO], "errnos of flushes")
    client.disconnect()
EOT
    same "$(grep -c "warning: plugin silent: pread returned 5, which counts as success" "$LOG")" 1
    same "$(grep -c "warning: plugin silent: flush failed without a message: call nbdkit_error()" "$LOG")" 1
    same "$(grep -c "warning: plugin silent: the size, 1000 bytes, .* last 488 bytes" "$LOG")" 1
    same "$(grep -c "plugin silent:" "$LOG")" 3
    stop
    serve "$BUILD/tests/plugins/silent.so"
    py <<'EOT'
client = connect()
client.greet()
try:
    client.ask(OPT_GO, go_query("unread"))
except OptionError as error:
    assert '"much" is not a size' in error.text, error.text
assert "open failed without a message" not in open(os.environ["LOG"]).read(), "what the server said is no message"
assert client.refusal(OPT_GO, go_query("closed")) & REP_ERROR_BIT
client.abort()
EOT
    has "warning: plugin silent: open failed without a message"
    stop
}
