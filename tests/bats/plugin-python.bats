#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The python plugin: what is its own. What it has in common with other languages is in
# contract.bats.

load common
load page

setup() {
    common_setup
    cd "$DIR"
    PAGE=$TESTS/../man/nbdlab-python-plugin.3
}

# script <<'EOT': makes disk.py out of standard input and, where that has less, a disk of 1 MiB.
script() {
    cat - "$BATS_FILE_TMPDIR/defaults.py" >disk.py
}

setup_file() {
    cat >"$BATS_FILE_TMPDIR/defaults.py" <<'EOT'
API_VERSION = globals().get("API_VERSION", 2)
if "open" not in globals():
    def open(readonly): return 1
if "get_size" not in globals():
    def get_size(h): return 1048576
if "pread" not in globals():
    def pread(h, buf, offset, flags): pass
EOT
}

# once ARGS...: a server with a command that looks at it and prints the size.
once() {
    timeout "$((3 * BOUND_S))" "$NBDLAB" -U - python "$@" --run 'nbdinfo --size "$uri"' 3>&- 4>&-
}

# refused MESSAGE ARGS...: the server ends with status 1 and one line that says so.
refused() {
    run timeout "$((3 * BOUND_S))" "$NBDLAB" -f -U "$SOCK" python "${@:2}" 3>&- 4>&- </dev/null
    same "$status" 1
    contains "$output" "$1"
    same "${#lines[@]}" 1
}

# read_errno: the errno of a read of the first sector.
read_errno() {
    py <<'EOT'
print(ready().errno(CMD_READ, 0, 512))
EOT
}

@test "the manual's disk, served to nbdinfo and qemu-img" {
    block disk >disk.py
    run_block serve
    contains "$output" "export-size: 16777216"
    contains "$output" "is_read_only: false"
    run_block script
    contains "$output" "virtual size: 16 MiB"
    run_block inline
    same "$output" 1048576
}

@test "the manual's disk keeps what real clients write" {
    block disk >disk.py
    serve python disk.py
    head -c 16M /dev/urandom >in
    nbdcopy in "$URI"
    nbdcopy "$URI" out
    cmp in out
    qemu-img compare -f raw -F raw in "$URI"
    stop
}

@test "each message of the manual's errors is one that beginners get" {
    has_message() {
        grep -qF ".It $1" "$PAGE" || { echo "not in the page: $1"; return 1; }
        contains "$output" "$1"
    }
    printf 'def open(readonly): pass\ndef pread(h): pass\n' >disk.py
    run -1 once disk.py
    has_message "there is no function 'get_size' in the script"
    read_once() {
        # shellcheck disable=SC2016
        run timeout "$((3 * BOUND_S))" "$NBDLAB" -U - python disk.py \
            --run 'nbdcopy "$uri" null:' 3>&- 4>&-
        [ "$status" -ne 0 ]
    }
    script <<<'def pread(h, buf, offset): pass'
    read_once
    has_message "pread: TypeError: pread() takes 3 positional arguments but 4 were given"
    script <<<'def pread(h, buf, offset, flags): return bytes(len(buf))'
    read_once
    has_message "pread: returned data"
    script <<<'def pread(h, buf, offset, flags): buf[:] = b"short"'
    read_once
    has_message "pread: ValueError: buf takes"
    contains "$output" " bytes here and was given 5"
    printf 'def open(readonly): pass\ndef get_size(h): return 1 << 20\ndef pread(h, buf, offset, flags): pass\n' >disk.py
    read_once
    has_message "pread: TypeError: pread() missing 1 required positional argument: 'flags'"
    contains "$output" "without API_VERSION = 2 in the script it is called as pread(h, count, offset)"
    script <<<'def pread(h, buf, offset, flags): open("disk.py", "rb").readinto(buf)'
    read_once
    has_message "open() is the script's own here, Python's is builtins.open()"
    script <<'EOT'
import threading
def after_fork(): threading.Thread(target=threading.Event().wait).start()
EOT
    once disk.py >out 2>&1
    output=$(cat out)
    contains "$output" "warning: 1 thread of the script still runs"
}

@test "an exception is one message with file, line, type and text; -v adds the traceback" {
    script <<'EOT'
import json
def helper(): json.loads("{")
def pread(h, buf, offset, flags):
    helper()
EOT
    serve python ./disk.py
    same "$(read_errno)" 5
    stop
    has "error: ./disk.py:2: pread: JSONDecodeError: Expecting property name"
    same "$(messages | wc -l)" 1
    serve -v python ./disk.py
    same "$(read_errno)" 5
    stop
    has "debug: ./disk.py: pread: error: Traceback (most recent call last):"
    has 'debug:   File "./disk.py", line 4, in pread'
}

@test "errno: set_error, an OSError's, a MemoryError's, and EIO" {
    script <<'EOT'
import errno, nbdkit, socket
def boom(kind):
    if kind == 0: raise OSError(errno.ENOSPC, "full")
    if kind == 1: nbdkit.set_error(errno.EPERM); raise RuntimeError("no")
    if kind == 2: nbdkit.set_error(errno.EPERM); raise OSError(errno.ENOSPC, "full")
    if kind == 3: raise MemoryError
    if kind == 4: raise socket.timeout
    if kind == 5: raise PermissionError(errno.EACCES, "no")
    if kind == 6: raise SystemExit(3)
    if kind == 7: raise KeyboardInterrupt
    if kind == 8: __builtins__.open("/nonexistent")
    if kind == 9: raise FileExistsError(99999999, "an odd number")
def pread(h, buf, offset, flags): boom(offset // 512)
EOT
    serve python disk.py
    py <<'EOT'
client = ready()
same([client.errno(CMD_READ, 512 * kind, 512) for kind in range(11)],
     [28, 1, 1, 12, 5, 5, 5, 5, 5, 5, 0], "errnos")
# What was set in a call that failed is not there in the next.
same(client.errno(CMD_READ, 512 * 4, 512), 5, "errno after all")
EOT
    stop
    has "SystemExit: 3"
    has "FileNotFoundError: [Errno 2] No such file or directory: '/nonexistent'"
}

@test "exceptions whose text is odd do no harm" {
    script <<'EOT'
class Odd(Exception):
    def __str__(self): raise ValueError("no text")
class Wrong(Exception):
    def __str__(self): return 5
def pread(h, buf, offset, flags):
    raise [Odd(), Wrong(), ValueError("two\nlines"), ValueError("\udc80 \0 %s%n"), ValueError()][offset // 512]
EOT
    serve python disk.py
    py <<'EOT'
client = ready()
same([client.errno(CMD_READ, 512 * kind, 512) for kind in range(6)], [5] * 6, "errnos")
EOT
    stop
    has "pread: Odd: "
    has "pread: Wrong: "
    has "ValueError: two lines"
    has '\udc80   %s%n'
    has "pread: IndexError: list index out of range"
}

@test "a script that cannot be loaded ends start-up with its line" {
    refused "missing.py: No such file or directory" missing.py
    refused ".: Is a directory" .
    printf 'def open(readonly):\nreturn 1\n' >disk.py
    refused "disk.py:2: IndentationError: expected an indented block" disk.py
    script <<<'import nonesuch'
    refused "disk.py:1: ModuleNotFoundError: No module named 'nonesuch'" disk.py
    script <<<'raise SystemExit("no more")'
    refused "disk.py:1: SystemExit: no more" disk.py
    script <<<'API_VERSION = 3'
    refused "disk.py: API_VERSION must be 1 or 2" disk.py
    script <<<'API_VERSION = "2"'
    refused "disk.py: API_VERSION must be 1 or 2" disk.py
    printf '#!/bin/sh\necho $1\n' >disk.sh
    refused "disk.sh:2: SyntaxError: invalid syntax" disk.sh
    head -c 100 /dev/zero >zeroes
    refused "not a Python script" zeroes
    for name in open get_size pread; do
        script <<<"$name = 5"
        refused "there is no function '$name'" disk.py
    done
}

@test "parameters: required ones, unknown ones, bare ones" {
    refused "no script"
    run -1 timeout "$BOUND_S" "$NBDLAB" -s python - 3>&- 4>&- </dev/null
    contains "$output" "script=- reads the script from standard input, which the client uses"
    refused "the first parameter must be the script, not size=1" size=1
    script <<<''
    refused "unknown parameter size=1: the script has no function config" disk.py size=1
    refused "the script has no variable magic_config_key" disk.py bare
    script <<'EOT'
magic_config_key = "word"
size = 0
def config(key, value):
    global size
    if key not in ("word", "plus", "a.b"): raise ValueError("what is %s?" % key)
    size += int(value) * {"word": 512, "plus": 1024, "a.b": 2048}[key]
def config_complete():
    if size == 0: raise ValueError("give sizes")
def get_size(h): return size
EOT
    same "$(once disk.py 1 plus=1 a.b=1 2)" $((512 + 1024 + 2048 + 1024))
    refused "disk.py:5: config: ValueError: what is other?" disk.py other=1
    refused "config: ValueError: invalid literal for int() with base 10: 'x=y z'" disk.py "word=x=y z"
    refused "disk.py:8: config_complete: ValueError: give sizes" disk.py
}

@test "version 1: data is returned, flags are not passed" {
    script <<'EOT'
API_VERSION = 1
disk = bytearray(1048576)
log = []
def pread(h, count, offset):
    return {512: b"short", 1024: "text", 1536: None, 2048: bytes(count + 1),
            2560: memoryview(bytes(count))[::2]}.get(offset, disk[offset:offset + count])
def pwrite(h, buf, offset): disk[offset:offset + len(buf)] = buf
def flush(h): log.append("flush")
def trim(h, count, offset): disk[offset:offset + count] = b"t" * count
def zero(h, count, offset, may_trim): disk[offset:offset + count] = (b"m" if may_trim else b"0") * count
def can_fua(h): return nbdkit.FUA_NATIVE
import nbdkit
def close(h): print(log)
EOT
    serve python disk.py
    py <<'EOT'
client = ready()
client.write(65536, b"x" * 512, flags=FLAG_FUA)
same(client.read(65536, 512), b"x" * 512, "data")
same([client.errno(CMD_READ, offset, 512) for offset in range(512, 3072, 512)], [5] * 5, "errnos")
for kind, flags, byte in ((CMD_TRIM, 0, b"t"), (CMD_WRITE_ZEROES, 0, b"m"),
                          (CMD_WRITE_ZEROES, FLAG_NO_HOLE, b"0")):
    same(client.errno(kind, 65536, 512, flags=flags), 0, "errno")
    same(client.read(65536, 512), byte * 512, "data")
same(client.errno(CMD_WRITE_ZEROES, 65536, 512, flags=FLAG_FAST_ZERO), ENOTSUP, "fast zero")
client.disconnect()
EOT
    stop
    has "['flush']"
    has "pread: returned 5 bytes of data instead of 512"
    has "pread: returned 'text': return the data as bytes"
    has "pread: returned 513 bytes"
}

@test "a buffer of the wrong size, type or length is an error, never a crash" {
    script <<'EOT'
def pread(h, buf, offset, flags):
    return [lambda: buf.__setitem__(slice(None), bytes(len(buf) - 1)),
            lambda: buf.__setitem__(slice(None), bytes(len(buf) + 1)),
            lambda: buf.__setitem__(slice(None), "text"),
            lambda: buf.__setitem__(len(buf), 1),
            lambda: buf.__setitem__(0, 256),
            lambda: buf.release() or buf[0],
            lambda: bytearray(len(buf)),
            lambda: buf.__setitem__(slice(0, 2), b"ab"),
            lambda: fill(buf)][offset // 512]()
def fill(buf):
    with buf as memory:
        memory[:] = b"w" * len(memory)
    try:
        buf[0] = 0
    except ValueError:
        return
    raise RuntimeError("the end of \"with\" did not release the buffer")
def pwrite(h, buf, offset, flags):
    buf[0] = 1
EOT
    serve python disk.py
    py <<'EOT'
client = ready()
same([client.errno(CMD_READ, 512 * kind, 512) for kind in range(7)], [5] * 7, "errnos")
same(client.read(512 * 7, 512), b"ab" + bytes(510), "what is not filled")
same(client.read(512 * 8, 512), b"w" * 512, "what is filled in the body of \"with\"")
same(client.errno(CMD_WRITE, 0, 512, data=b"y" * 512), 5, "errno of a write into the buffer")
EOT
    stop
    has "pwrite: TypeError: cannot modify read-only memory"
}

@test "views of a buffer that the script keeps are taken back" {
    script <<'EOT'
kept = []
def pread(h, buf, offset, flags):
    for view in kept:
        try:
            view[0] = 88
        except ValueError:
            pass
        else:
            raise RuntimeError("memory of a request that is over was written to")
    buf[:] = b"d" * len(buf)
    kept.extend([buf, buf[1:], memoryview(buf).cast("B"), buf[5:9].toreadonly()])
def pwrite(h, buf, offset, flags):
    kept.append(buf[2:])
    raise RuntimeError("with the buffer in its traceback")
EOT
    serve python disk.py
    py <<'EOT'
client = ready()
same(client.errno(CMD_WRITE, 0, 512, data=b"y" * 512), 5, "errno of a write")
for _ in range(20):
    same(client.read(0, 4096), b"d" * 4096, "data")
EOT
    stop
    same "$(messages | wc -l)" 1
}

@test "mistakes that have a remedy are told it, and others are not" {
    # said TEXT <<CODE: the script fails with this message, and no more.
    said() {
        { echo "API_VERSION = 2"; cat; echo "def get_size(h): return 512"; } >disk.py
        run timeout "$((3 * BOUND_S))" "$NBDLAB" -U - python disk.py \
            --run 'qemu-io -r -f raw -c "read 0 512" "$uri"' 3>&- 4>&-
        same "$(sed -n "s/^$NAME: python\[1\]: error: disk.py:[0-9]*: //p" <<<"$output" | sort -u)" "$1"
    }
    local own=": open() is the script's own here, Python's is builtins.open()"
    local rest='def pread(h, buf, offset, flags): pass'
    said "open: TypeError: open() takes 1 positional argument but 2 were given$own" <<<"\
def open(readonly): return open('disk.py', 'rb')
$rest"
    said "open: RecursionError: maximum recursion depth exceeded$own" <<<"\
def open(readonly): return open('disk.py')
$rest"
    said "pread: TypeError: 'int' object does not support the context manager protocol$own" <<<"\
def open(readonly): return 1
def pread(h, buf, offset, flags):
    with open('disk.py') as file: file.readinto(buf)"
    said "pread: AttributeError: 'int' object has no attribute 'readinto'$own" <<<"\
def open(readonly): return 1
def pread(h, buf, offset, flags): open('disk.py').readinto(buf)"
    # Not these.
    said "open: TypeError: open() missing required argument 'flags' (pos 2)" <<<"\
import os
def open(readonly): return os.open('disk.py')
$rest"
    said "pread: AttributeError: 'int' object has no attribute 'readinto'" <<<"\
def open(readonly): return 1
def pread(h, buf, offset, flags): h.readinto(buf)"
    # Version 1 by name is meant.
    said "pread: TypeError: unsupported operand type(s) for +: 'int' and 'str'" <<<"\
API_VERSION = 1
def open(readonly): return 1
def pread(h, count, offset): return 1 + 'x'"
}

@test "the buffer that a script fills is used as a memoryview is" {
    script <<'EOT'
import array, io, struct
def pread(h, buf, offset, flags):
    view = memoryview(buf)
    n = len(buf)
    assert n == 512 == buf.nbytes == len(view), n
    io.BytesIO(b"r" * n).readinto(buf)
    assert bytes(buf) == buf.tobytes() == b"r" * n
    buf[:] = bytes(range(256)) * 2
    buf[3:5] = b"xy"
    buf[-1] = 7
    struct.pack_into(">H", buf, 8, 0x4142)
    assert buf[3] == 120 and buf[8:10] == b"AB" and buf[511] == 7
    assert buf == view and view == buf and buf != b"no" and 120 in buf
    assert list(buf)[:4] == [0, 1, 2, 120] and next(reversed(buf)) == 7
    assert buf.format == "B" and buf.cast("I").shape == (128,)
    assert buf[::2][1] == 2 and bool(buf) and buf.toreadonly().readonly
    array.array("B", buf)
    for wrong in (lambda: hash(buf), lambda: buf.nothing, lambda: buf[600], lambda: buf["x"]):
        try:
            wrong()
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            pass
        else:
            raise RuntimeError("no exception")
    for part, data, text in ((slice(0, 4), b"abc", "buf takes 4 bytes here and was given 3"),
                             (slice(None), bytearray(513), "buf takes 512 bytes here and was given 513"),
                             (slice(0, 4), memoryview(b"abcd").cast("I"), "different structures")):
        try:
            buf[part] = data
        except ValueError as error:
            assert text in str(error), error
        else:
            raise RuntimeError("no exception")
    try:
        del buf[0]
    except TypeError:
        pass
EOT
    serve python disk.py
    py <<'EOT'
want = bytearray(range(256)) * 2
want[3:5] = b"xy"
want[8:10] = b"AB"
want[511] = 7
same(ready().read(0, 512), bytes(want), "data")
EOT
    stop
}

@test "memory that cannot be taken back fails the request and is said" {
    script <<'EOT'
import pickle
kept = []
def pread(h, buf, offset, flags): kept.append(pickle.PickleBuffer(buf))
EOT
    serve python disk.py
    same "$(read_errno)" 5
    stop
    has "pread: the script still uses the buffer of a request that is over"
}

@test "answers that make no sense are said, and refused" {
    refused_with() { # MESSAGE <<CODE
        script
        run timeout "$((3 * BOUND_S))" "$NBDLAB" -U - python disk.py --run 'nbdinfo "$uri"' 3>&- 4>&-
        [ "$status" -ne 0 ]
        contains "$output" "$1"
    }
    refused_with "get_size: returned 1.5: return the disk's size" <<<'def get_size(h): return 1.5'
    refused_with "get_size: returned None" <<<'def get_size(h): pass'
    refused_with "get_size: returned -1" <<<'def get_size(h): return -1'
    refused_with "get_size: returned 9223372036854775808" <<<'def get_size(h): return 1 << 63'
    refused_with "block_size: returned (1, 2)" <<<'def block_size(h): return 1, 2'
    refused_with "block_size: returned (1, 4096, -1)" <<<'def block_size(h): return 1, 4096, -1'
    refused_with "block_size: returned 5" <<<'def block_size(h): return 5'
    refused_with "can_fua: returned 3" <<<'def can_fua(h): return 3
def pwrite(h, buf, offset, flags): pass'
    refused_with "can_cache: returned 'native'" <<<'def can_cache(h): return "native"'
    refused_with "thread_model: returned 4" <<<'def thread_model(): return 4'
    refused_with "can_write: ZeroDivisionError" <<<'class Odd:
    def __bool__(self): return 1 / 0
def can_write(h): return Odd()'
    refused_with "default_export: returned 5: return a string" <<<'def default_export(r, t): return 5'
    refused_with "default_export: returned 'a\\x00b'" <<<'def default_export(r, t): return "a\0b"'
}

@test "lists of exports and extents, as lists, tuples and generators, and odd ones" {
    script <<'EOT'
import nbdkit
def list_exports(readonly, is_tls):
    yield "one"
    yield ("two", "the second")
    yield ["three", None]
def extents(h, count, offset, flags):
    kind = offset // 65536
    if kind == 0: return ((at, 4096, at // 4096 % 2 * nbdkit.EXTENT_ZERO) for at in range(0, 65536, 4096))
    if kind == 1: return 5
    if kind == 2: return [(offset, 5)]
    if kind == 3: return [("0", 1, 2)]
    if kind == 4: return [(offset, -1, 0)]
    if kind == 5: return (1 // 0 for _ in range(3))
    if kind == 6: return []
    if kind == 7: return None
    if kind == 8: return [(0, 1 << 64, 0)]
EOT
    serve python disk.py
    py <<'EOT'
client = connect()
client.enter()
same(client.list_exports(), [("one", ""), ("two", "the second"), ("three", "")], "exports")
client.abort()
client = ready(meta=True)
same([client.errno(CMD_BLOCK_STATUS, 65536 * kind, 512) for kind in range(1, 9)],
     [5, 5, 5, 5, 5, 22, 5, 5], "errnos")
handle = libnbd(meta=True)
entries = []
handle.block_status(16384, 0, lambda name, start, pairs, error: entries.extend(pairs))
same(entries[:6], [4096, 0, 4096, 2, 4096, 0], "extents")
EOT
    stop
    has "extents: returned ('0', 1, 2): return triples (offset, length, type)"
    has "extents: TypeError: 'int' object is not iterable"
}

@test "functions of the module, in a connection and outside" {
    script <<'EOT'
import nbdkit, os
seen = {}
told = open("told", "w", buffering=1)
def outside(name, *args):
    try:
        return getattr(nbdkit, name)(*args)
    except Exception as error:
        return type(error).__name__
def config_complete():
    seen["outside"] = [outside(name) for name in ("export_name", "is_tls", "peer_pid", "peer_name")]
    seen["parsed"] = [nbdkit.parse_size("10M"), nbdkit.parse_bool("off"), nbdkit.parse_bool("1"),
                      nbdkit.parse_delay("pause", "1500ms"), nbdkit.parse_probability("p", "1:4")]
    seen["wrong"] = [outside("parse_size", "10Q"), outside("parse_bool", "maybe"),
                     outside("parse_delay", "pause", "later"), outside("parse_size", 5),
                     outside("parse_probability", "p", "x"), outside("set_error", "x"),
                     outside("nanosleep", -1, 0), outside("set_error", 1 << 40)]
    seen["files"] = [nbdkit.read_password("secret"), nbdkit.absolute_path("x") == os.getcwd() + "/x",
                     nbdkit.realpath(".") == os.path.realpath("."), nbdkit.stdio_safe()]
def open(readonly):
    seen["inside"] = [nbdkit.export_name(), nbdkit.is_tls(), nbdkit.peer_pid() > 0,
                      nbdkit.peer_uid() == os.getuid(), nbdkit.peer_gid() == os.getgid(),
                      nbdkit.peer_name(), nbdkit.peer_tls_dn(), nbdkit.nanosleep(0, 1)]
    nbdkit.debug("hello %s %n")
    return 1
def close(h):
    for key, value in seen.items(): print(key, value, file=told)
EOT
    serve -v python disk.py
    py <<'EOT'
ready(export="some export").disconnect()
EOT
    stop
    same "$(cat told)" "outside ['RuntimeError', 'RuntimeError', 'RuntimeError', 'RuntimeError']
parsed [10485760, False, True, (1, 500000000), 0.25]
wrong ['ValueError', 'ValueError', 'ValueError', 'TypeError', 'ValueError', 'TypeError', 'OverflowError', 'OverflowError']
files [b'secret', True, True, True]
inside ['some export', False, True, True, True, '', '', None]"
    has "debug: hello %s %n"
}

@test "the names of TCP clients" {
    script <<'EOT'
import nbdkit
def get_size(h):
    name = nbdkit.peer_name()
    assert name[0] in ("127.0.0.1", "::1") and 0 < name[1] < 65536, name
    return 512
EOT
    timeout "$((3 * BOUND_S))" "$NBDLAB" -f -p 0 -i 127.0.0.1 -P "$PIDFILE" python disk.py \
        --run 'nbdinfo --size "$uri"' 3>&- 4>&- >out
    same "$(cat out)" 512
    timeout "$((3 * BOUND_S))" "$NBDLAB" -f -p 0 -i ::1 python disk.py \
        --run 'nbdinfo --size "$uri"' 3>&- 4>&- >out
    same "$(cat out)" 512
}

@test "the module has every constant, and each function says what it does" {
    script <<'EOT'
import nbdkit
names = {name: getattr(nbdkit, name) for name in dir(nbdkit) if name[0] != "_"}
print(" ".join("%s=%d" % item for item in names.items() if isinstance(item[1], int)))
print(" ".join(name for name, value in names.items() if callable(value) and not value.__doc__))
EOT
    same "$(once disk.py)" "CACHE_EMULATE=1 CACHE_NATIVE=2 CACHE_NONE=0 EXTENT_HOLE=1 EXTENT_ZERO=2 FLAG_FAST_ZERO=8 FLAG_FUA=2 FLAG_MAY_TRIM=1 FLAG_REQ_ONE=4 FUA_EMULATE=1 FUA_NATIVE=2 FUA_NONE=0 THREAD_MODEL_PARALLEL=3 THREAD_MODEL_SERIALIZE_ALL_REQUESTS=1 THREAD_MODEL_SERIALIZE_CONNECTIONS=0 THREAD_MODEL_SERIALIZE_REQUESTS=2

1048576"
}

@test "each function and constant of the module stands in the manual" {
    script <<'EOT'
import nbdkit
print(*[name for name in dir(nbdkit) if name[0] != "_"])
EOT
    once disk.py | head -n 1 | tr ' ' '\n' >names
    [ "$(wc -l <names)" -gt 35 ]
    while read -r name; do
        grep -qE "(nbdkit\.)?$name\b" "$PAGE" || { echo "not in the page: $name"; false; }
    done <names
}

@test "parallel: another call goes on while one waits, in Python or in the server" {
    script <<'EOT'
import nbdkit, threading
barriers = {512: threading.Barrier(3)}
def thread_model(): return nbdkit.THREAD_MODEL_PARALLEL
def pread(h, buf, offset, flags):
    if offset in barriers: barriers[offset].wait()
    if offset == 1024: nbdkit.nanosleep(3600, 0)
EOT
    serve python disk.py
    py <<'EOT'
client, other = ready(), ready()
asleep = other.send_request(CMD_READ, 1024, 512)
for _ in range(3):
    client.send_request(CMD_READ, 512, 512)
same([reply.error for reply in client.replies(3).values()], [0, 0, 0], "errors")
took_s = time_to_end(int(os.environ["SERVER"]), lambda: os.kill(int(os.environ["SERVER"]), 15))
assert took_s < 5 * SLOWER, took_s
EOT
}

@test "without thread_model one call at a time runs" {
    script <<'EOT'
import nbdkit
busy = 0
def pread(h, buf, offset, flags):
    global busy
    busy += 1
    nbdkit.nanosleep(0, 1000000)
    assert busy == 1
    busy -= 1
EOT
    serve python disk.py
    py <<'EOT'
clients = [ready() for _ in range(3)]
for client in clients:
    for _ in range(5):
        client.send_request(CMD_READ, 0, 512)
for client in clients:
    same([reply.error for reply in client.replies(5).values()], [0] * 5, "errors")
EOT
    stop
}

@test "shutdown and disconnect do not hold the interpreter" {
    script <<'EOT'
import nbdkit, threading
def thread_model(): return nbdkit.THREAD_MODEL_PARALLEL
def pread(h, buf, offset, flags):
    if offset == 0: nbdkit.nanosleep(3600, 0)
    if offset == 512: nbdkit.disconnect(True)
    if offset == 1024: nbdkit.shutdown()
EOT
    serve python disk.py
    py <<'EOT'
sleeper, other = ready(), ready()
sleeper.send_request(CMD_READ, 0, 512)
other.send_request(CMD_READ, 512, 512)
same(other.ending() in ("eof", "reset"), True, "end of the disconnected client")
other = ready()
other.send_request(CMD_READ, 1024, 512)
same(other.reply().error, 0, "error of the read that shuts down")
until(lambda: not is_alive(os.environ["SERVER"]), "the server to end")
EOT
}

@test "modules: beside the script, of Python's own, in C, and of a virtual environment" {
    mkdir lib
    echo 'size = 4096' >lib/beside.py
    cat >lib/disk.py <<'EOT'
import beside, ctypes, hashlib, random, socket, ssl, subprocess, sys, threading, zlib
API_VERSION = 2
def open(readonly): return sys.argv
def get_size(h): return beside.size
def pread(h, buf, offset, flags): pass
assert sys.argv == ["lib/disk.py"] and __name__ == "__main__" and __file__ == "lib/disk.py"
assert subprocess.check_output(["echo", "x"]) == b"x\n"
EOT
    same "$(once lib/disk.py)" 4096
    /usr/bin/python3 -m venv --without-pip venv
    echo 'size = 8192' >"$(echo venv/lib/python3*/site-packages)/only_there.py"
    script <<<'import only_there
def get_size(h): return only_there.size'
    refused "No module named 'only_there'" disk.py
    same "$(VIRTUAL_ENV=$PWD/venv once disk.py)" 8192
}

@test "what is printed comes out at once, on stderr when it serves; with -s not to the client" {
    script <<'EOT'
print("loaded")
def open(readonly): print("opened")
EOT
    serve python disk.py
    py <<'EOT'
client = ready()
same(lines(os.environ["DIR"] + "/out"), ["loaded"], "output")
assert "opened" in lines(os.environ["LOG"]), "it is not on standard error"
EOT
    stop
    py <<'EOT'
handle = nbd.NBD()
handle.connect_command([NBDLAB, "-s", "python", "disk.py"])
same(bytes(handle.pread(4, 0)), bytes(4), "data")
EOT
}

@test "in the background: the script's threads, random numbers and locks are those of that process" {
    script <<'EOT'
import nbdkit, os, random, threading
loaded = os.getpid()
forked = []
os.register_at_fork(after_in_child=lambda: forked.append(os.getpid()))
ready = threading.Event()
def after_fork(): threading.Thread(target=ready.set, daemon=True).start()
def pread(h, buf, offset, flags):
    assert ready.wait(30) and forked == [os.getpid()] and loaded != os.getpid()
    buf[:] = bytes(random.choices(range(256), k=len(buf)))
EOT
    "$NBDLAB" -U "$SOCK" -P "$PIDFILE" python disk.py 2>>"$LOG"
    SERVER=$(cat "$PIDFILE")
    STARTED+=("$SERVER")
    same "$(read_errno)" 0
    kill "$SERVER"
    wait_for not is_alive "$SERVER"
}

@test "going into the background while a thread of the script is busy" {
    # Sanitizers do not support a fork with several threads: they end the process, lose its signals,
    # or look for threads that are only in the parent.
    local busy=3
    [ -z "${SANITIZE:-}" ] || busy=0
    script <<EOT
import threading
def spin():
    while True: pass
for _ in range($busy): threading.Thread(target=spin, daemon=True).start()
# Long, and in C: the others ask for the lock meanwhile, so that one has it as soon as this returns.
def get_ready(): sum(range(3000000))
def after_fork(): assert threading.active_count() == 1
EOT
    for _ in 1 2 3 4 5; do
        timeout -s KILL "$BOUND_S" "$NBDLAB" -U "$SOCK" -P "$PIDFILE" python disk.py 2>>"$LOG"
        wait_for [ -s "$PIDFILE" ]
        SERVER=$(cat "$PIDFILE")
        STARTED+=("$SERVER")
        same "$(read_errno)" 0
        kill "$SERVER"
        wait_for not is_alive "$SERVER"
    done
}

@test "at the end: exit functions run, handles are freed, threads are not waited for" {
    script <<'EOT'
import atexit, nbdkit, threading
class Handle:
    def __del__(self): print("handle")
def open(readonly): return Handle()
def cleanup(): print("cleanup")
atexit.register(print, "exit")
EOT
    serve python disk.py
    same "$(read_errno)" 0
    stop
    same "$(messages)" "handle
cleanup
exit"
    rm "$LOG"
    cat >>disk.py <<'EOT'
def after_fork(): threading.Thread(target=threading.Event().wait).start()
EOT
    serve python disk.py
    stop
    same "$(messages | grep -v ": warning: 1 thread of the script still runs")" "cleanup
exit"
}

@test "many connections and threads leave nothing behind in the interpreter" {
    script <<'EOT'
import gc, nbdkit, os, sys
def thread_model(): return nbdkit.THREAD_MODEL_PARALLEL
def pread(h, buf, offset, flags):
    buf[:8] = (len(sys._current_frames()) if offset else len(gc.get_objects())).to_bytes(8, "little")
    if offset == 512: nbdkit.nanosleep(0, 100000)
def pwrite(h, buf, offset, flags): raise ValueError("an exception with a traceback")
EOT
    serve python disk.py
    py <<'EOT'
def look(offset):
    client = ready()
    value = int.from_bytes(client.read(offset, 512)[:8], "little")
    client.disconnect()
    return value
def churn():
    for _ in range(30):
        clients = [ready() for _ in range(4)]
        for client in clients:
            for _ in range(4):
                client.send_request(CMD_READ, 512, 512)
        for client in clients:
            client.replies(4)
            same(client.errno(CMD_WRITE, 0, 512, data=bytes(512)), 5, "errno of a write")
            client.disconnect()
churn()
before = look(0)
churn()
grown = look(0) - before
assert grown < 100, "%d objects more" % grown
until(lambda: look(1024) <= 2, "the states of ended threads to go")
EOT
    stop
}

@test "--dump-plugin prints the version of Python, and what the script adds" {
    run -0 "$NBDLAB" python --dump-plugin
    contains "$output" "python_version=3."
    contains "$output" "python_pep_384_abi_version=3"
    contains "$output" "nbdkit_python_maximum_api_version=2"
    script <<'EOT'
import nbdkit
def dump_plugin(): print("mine=yes")
def thread_model(): return nbdkit.THREAD_MODEL_SERIALIZE_REQUESTS
EOT
    run -0 "$NBDLAB" python disk.py --dump-plugin
    contains "$output" "mine=yes"
    contains "$output" "thread_model=serialize_requests"
}

@test "--help names the parameters" {
    run -0 "$NBDLAB" python --help
    contains "$output" "script=FILE"
}
